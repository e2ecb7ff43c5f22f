//! ## What it does
//!
//! Finds a store whose slot nobody can tell from the contract: it comes from calldata, from another contract, or from
//! arithmetic that may wrap around to any slot.
//!
//! ## Why it serialises
//!
//! A store to an unknown slot may fall on every variable of the contract. Until the call has run, a scheduler has to
//! assume that it conflicts with all other calls of the contract.
//!
//! ## Example
//!
//! ```solidity
//! function put(bytes32 slot, bytes32 value) external {
//!     assembly { sstore(slot, value) }
//! }
//! ```
//!
//! ## Rewrite
//!
//! Use a typed mapping, at a namespaced root (ERC-7201) where the layout must not move. Its slots are hashes that
//! cannot fall on one another or on a variable.
//!
//! ```solidity
//! mapping(address account => mapping(bytes32 name => bytes32)) private entries;
//!
//! function put(bytes32 name, bytes32 value) external {
//!     entries[msg.sender][name] = value;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The function is a migration that runs once.
//!
//! ## Known gaps
//!
//! A slot that comes from calldata can be predicted for a concrete call; the finding is about what can be said without
//! one.
//! An index that is bounded in a way that is not seen makes a finding that is `likely`.

use deconflict_analyzer::{Condition, ExprId, Node, Projection, Root, Sources};
use revm_bytecode::opcode;

use std::collections::BTreeMap;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    place::Located,
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X701",
    name: "unknown-slot-write",
    group: Group::Default,
    summary: "a store whose slot may be any slot of the contract",
    source: include_str!("unknown_slot_write.rs"),
    check,
};

/// Indexes and slots of at most so many bits name no variable that they do not belong to: no layout is that long, and no
/// hash that short.
const SHORT: u32 = 32;

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    // One finding for each line: several functions may come to it, or the same one with several slots.
    let mut lines: BTreeMap<(bool, u32, u32), Vec<(Touch<'_>, Confidence)>> = BTreeMap::new();
    for touch in view.writes() {
        if let Some(confidence) = is_unknown(view, &touch) {
            let place = match view.places.locate(&touch.access.position) {
                Located::At(place) => (true, place.primary.source.0, place.primary.start),
                Located::OnlyPc | Located::Foreign => (false, touch.access.position.pc.0, 0),
            };
            lines.entry(place).or_default().push((touch, confidence));
        }
    }
    lines.into_values().filter_map(|touches| report(rule, view, &touches)).collect()
}

fn is_unknown(view: &ContractView<'_>, touch: &Touch<'_>) -> Option<Confidence> {
    let slot = &touch.access.slot;
    // Behind a hash, whatever stood before it cannot fall on a variable.
    let hashed =
        slot.path.iter().any(|step| matches!(step, Projection::Mapping { .. } | Projection::Element { .. }));
    match slot.root {
        _ if hashed => None,
        Root::Raw(word) if is_derived_by_hash(view, word) => None,
        // A sum that cannot leave a short stretch of slots is an array in place.
        Root::Raw(word) if view.analysis.expressions.bits(word) <= SHORT => None,
        Root::Raw(_) => Some(Confidence::Proved),
        Root::Unknown(_) => Some(Confidence::Likely),
        Root::Fixed(_) => {
            let conditions = || {
                let circumstance = &touch.access.circumstance;
                circumstance.when.iter().chain(&circumstance.requires)
            };
            let loose = slot.path.iter().any(|step| match *step {
                Projection::Index { index, .. } => !is_bounded(view, index, conditions()),
                _ => false,
            });
            loose.then_some(Confidence::Likely)
        }
    }
}

/// A hash, or a hash and an offset: a shape of its own, which collides with no variable.
fn is_derived_by_hash(view: &ContractView<'_>, word: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    match expressions.node(word) {
        Node::Keccak(_) => true,
        Node::Binary { op: opcode::ADD, a, b } => {
            let small = |id: ExprId| expressions.bits(id) <= 128;
            (is_derived_by_hash(view, a) && small(b)) || (is_derived_by_hash(view, b) && small(a))
        }
        // An ERC-7201 root clears the last byte of a hash.
        Node::Binary { op: opcode::AND, a, b } => is_derived_by_hash(view, a) || is_derived_by_hash(view, b),
        _ => expressions.preimage(word).is_some(),
    }
}

/// Whether an index is too short to wrap around, or was compared with something on the way.
fn is_bounded<'c>(
    view: &ContractView<'_>,
    index: ExprId,
    mut conditions: impl Iterator<Item = &'c Condition>,
) -> bool {
    let expressions = &view.analysis.expressions;
    let compares = |condition: &Condition| {
        expressions.any(condition.expression, |part| match expressions.node(part) {
            Node::Binary { op: opcode::LT | opcode::GT | opcode::SLT | opcode::SGT, a, b } => {
                a == index || b == index
            }
            _ => false,
        })
    };
    expressions.bits(index) <= SHORT
        || !expressions
            .sources(index)
            .intersects(Sources::CALLDATA.with(Sources::RETURN_DATA).with(Sources::UNKNOWN))
        || conditions.any(compares)
}

fn report(rule: &Rule, view: &ContractView<'_>, touches: &[(Touch<'_>, Confidence)]) -> Option<Finding> {
    let spots = touches.iter().map(|(touch, _)| Spot::of(touch)).collect();
    let (first, _) = touches.first()?;
    let field = first.field();
    let claims = touches.iter().map(|(touch, _)| touch.field()).collect();
    let subject = Subject { view, field: Some(field), spots };
    let (variable, writers) = (subject.variable(), subject.writers());
    let confidence = touches.iter().map(|&(_, confidence)| confidence).max().unwrap_or(Confidence::Likely);
    let story = Story {
        message: format!("a call to {writers} may write any slot of the contract"),
        label: format!("the slot is `{variable}`, which cannot be told apart from any other"),
        help: "use a typed mapping, at a namespaced root (ERC-7201) if the layout must not move".to_owned(),
        notes: vec![format!(
            "a scheduler must assume that {writers} conflicts with every other function of the contract"
        )],
        confidence,
    };
    subject.finding(rule, claims, story)
}
