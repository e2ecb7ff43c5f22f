//! ## What it does
//!
//! Finds a set that keeps an array of its members beside a mapping from member to place: `EnumerableSet`,
//! `ERC721Enumerable`, `AccessControlEnumerable`, and the same written by hand.
//!
//! ## Why it serialises
//!
//! Each insertion reads and writes the array's length, and stores the member's place, which depends on it. Each removal
//! moves the last member into the gap, so that it also writes the record of somebody who has nothing to do with the
//! call. All insertions and removals run one after the other.
//!
//! ## Example
//!
//! ```solidity
//! EnumerableSet.AddressSet private holders;
//!
//! function join() external {
//!     holders.add(msg.sender);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep membership alone on chain, and let an indexer list the members from events.
//!
//! ```solidity
//! mapping(address account => bool) public isHolder;
//!
//! function join() external {
//!     isHolder[msg.sender] = true;
//!     emit Joined(msg.sender);
//! }
//! ```
//!
//! A token does not need `ERC721Enumerable` for wallets to list what an account owns: they read the transfer events.
//!
//! ## When to ignore
//!
//! Another contract iterates over the members on chain, and they change rarely.
//!
//! ## Known gaps
//!
//! Sets that are reached through a mapping key, such as one set for each role, are not reported.

use deconflict_analyzer::{Effect, Node, Projection, Slot, Space};

use super::array_push::resizes;
use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "E502",
    name: "enumerable-set",
    group: Group::Default,
    summary: "a set that lists its members in an array beside a mapping of their places",
    source: include_str!("enumerable_set.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let indexed = |length: &Touch<'_>| {
        let mut others = writes.iter().filter(|touch| touch.function == length.function);
        others.any(|touch| keeps_place(view, touch, &length.access.slot))
    };
    let mut found = fields(resizes(view).into_iter().filter(indexed));
    // A list that users only take from is another pattern: `swap-and-pop`.
    found.retain(|field| {
        let grows = |touch: &Touch<'_>| touch.sum().is_some_and(|(_, subtract)| !subtract);
        view.touching(field).iter().any(grows)
    });
    found.iter().filter_map(|field| report(rule, view, field)).collect()
}

/// Whether `touch` stores a place in the array at `length` into a mapping, or under the key of a member of the array.
fn keeps_place(view: &ContractView<'_>, touch: &Touch<'_>, length: &Slot) -> bool {
    let Effect::Write { value, .. } = touch.access.effect else { return false };
    let mut keys = touch.access.slot.path.iter().filter_map(|step| match *step {
        Projection::Mapping { key } => Some(key),
        _ => None,
    });
    let is_mapping = keys.clone().next().is_some();
    is_mapping && (view.depends_on(value, length) || keys.any(|key| is_member(view, key, length)))
}

/// Whether `word` was loaded from the array whose length is in `length`, from its last place.
fn is_member(view: &ContractView<'_>, word: deconflict_analyzer::ExprId, length: &Slot) -> bool {
    let expressions = &view.analysis.expressions;
    expressions.any(word, |part| match expressions.node(part) {
        Node::Load { space: Space::Storage, slot, .. } => {
            expressions.constant(slot).is_none() && view.depends_on(slot, length)
        }
        _ => false,
    })
}

fn report(rule: &Rule, view: &ContractView<'_>, field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (set, writers) = (subject.list(), subject.writers());
    let story = Story {
        message: format!("{writers:#} changes the same enumerable set, `{set}`"),
        label: format!("reads and writes the length of `{set}`, and the place that a member has in it"),
        help: "keep only membership on chain (`mapping(address => bool)`) and list the members off chain from events".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![field.clone()], story)
}
