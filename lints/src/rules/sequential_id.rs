//! ## What it does
//!
//! Finds a counter whose value becomes an identifier: a mapping key, or a number that is stored,
//! returned or logged.
//!
//! ## Why it serialises
//!
//! The number that a call gets depends on how many calls came before it, and so do the slots that it writes under that
//! number. Unlike a plain counter, this cannot be merged: no call can start before the one before it has its number,
//! and nobody can tell beforehand which slots it will touch.
//!
//! ## Example
//!
//! ```solidity
//! uint256 public nextId;
//!
//! function mint() external returns (uint256 id) {
//!     id = nextId++;
//!     ownerOf[id] = msg.sender;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Make the identifier from what the call brings along: the sender with a counter of the sender's own, or a hash of the
//! sender and a salt.
//!
//! ```solidity
//! mapping(address minter => uint96) private minted;
//!
//! function mint() external returns (uint256 id) {
//!     id = (uint256(uint160(msg.sender)) << 96) | minted[msg.sender]++;
//!     ownerOf[id] = msg.sender;
//! }
//! ```
//!
//! Measured on two threads against plain serial execution, with such a pair of contracts (`mint-counter` and `mint-ranges` in docs/benchmarks.md): 0.79 of its speed before, 1.46 after.
//!
//! ## When to ignore
//!
//! The numbers must be dense, as in a collection numbered from 1 to 10,000.
//! Even then, ranges of numbers can be given to minters or lanes beforehand.
//!
//! ## Known gaps
//!
//! Where the number is only stored, returned or logged, not used as a key, the finding is `likely`: it may be a mere count.

use deconflict_analyzer::{Effect, Escapes};

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C105",
    name: "sequential-id",
    group: Group::Default,
    summary: "a counter whose value becomes a key or an identifier",
    source: include_str!("sequential_id.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let counts = |touch: &Touch<'_>| {
        // What has been counted meanwhile, by whom the call called, is counted on from.
        let up =
            view.moved(touch).filter(|&(amount, down)| !down && !view.is_made_from(amount, &touch.field()));
        // What is only stored or returned may be any sum; a number is counted by a constant.
        let certain = up.is_some_and(|(amount, _)| match identifies(view, touch) {
            Some(Confidence::Proved) => true,
            Some(Confidence::Likely) => {
                touch.sum().is_some() && view.is_constant(amount) && !adds_up(view, &touch.field())
            }
            None => false,
        });
        certain
            && view.is_shared(&touch.access.slot)
            && !view.is_unrolled(touch)
            && !view.is_once_per_block(touch)
    };
    let writes = view.writes();
    let is_length = |field: &Field| {
        let element = |touch: &Touch<'_>| {
            view.element(&touch.access.slot).is_some_and(|it| it.length.root == field.slot.root)
        };
        writes.iter().any(element)
    };
    let found = fields(writes.iter().copied().filter(counts));
    found
        .iter()
        .filter(|field| !is_length(field))
        .filter_map(|field| report(rule, view, &writes, field))
        .collect()
}

/// Whether some call moves the field by an amount that is no constant.
fn adds_up(view: &ContractView<'_>, field: &Field) -> bool {
    let varies = |touch: &Touch<'_>| touch.sum().is_some_and(|(amount, _)| !view.is_constant(amount));
    view.touching(field).iter().any(varies)
}

/// How sure it is that the counted word is an identifier.
fn identifies(view: &ContractView<'_>, count: &Touch<'_>) -> Option<Confidence> {
    let mut escapes = Escapes::default();
    for touch in view.touching(&count.field()).iter().filter(|touch| touch.function == count.function) {
        if let Effect::Read { escapes: of_this, .. } = touch.access.effect {
            escapes = escapes.with(of_this);
        }
    }
    if escapes.intersects(Escapes::KEY) {
        Some(Confidence::Proved)
    } else if escapes.intersects(Escapes::OTHER_STORE.with(Escapes::RETURN).with(Escapes::LOG)) {
        Some(Confidence::Likely)
    } else {
        None
    }
}

fn report(rule: &Rule, view: &ContractView<'_>, writes: &[Touch<'_>], field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (variable, writers) = (subject.variable(), subject.writers());
    let confidences = writes.iter().filter(|touch| touch.field().overlaps(field));
    let confidence =
        confidences.filter_map(|touch| identifies(view, touch)).min().unwrap_or(Confidence::Likely);
    let becomes = match confidence {
        Confidence::Proved => "which slots it touches depends on all calls before it",
        Confidence::Likely => "the number it gets depends on all calls before it",
    };
    let story = Story {
        message: format!("{writers:#} takes its number from `{variable}`"),
        label: format!("`{variable}` is counted up here, and its value is used as an identifier"),
        help: "derive the identifier from the call: the sender with a counter of its own (`(uint256(uint160(msg.sender)) << 96) | count[msg.sender]++`), or a hash of sender and salt".to_owned(),
        notes: vec![format!("a call cannot start before its number is known: {becomes}")],
        confidence,
    };
    subject.finding(rule, vec![field.clone()], story)
}
