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
//! mapping(address account => mapping(bytes32 name => bytes32))
//!     private entries;
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
//! All such stores of a contract make one finding, since each may fall on the slot of any other.
//! An index that is bounded in a way that is not seen makes a finding that is `likely`.

use std::collections::BTreeSet;

use deconflict_analyzer::{
    Condition, ExprId, Expressions, Node, Projection, Root, Sources, standards::ADDRESS_BITS,
};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
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
    // Slots that may be any slot may be one another: they are one location, and one finding.
    let writes = view.writes().into_iter();
    let touches: Vec<_> = writes.filter_map(|touch| Some((touch, is_unknown(view, &touch)?))).collect();
    report(rule, view, &touches).into_iter().collect()
}

fn is_unknown(view: &ContractView<'_>, touch: &Touch<'_>) -> Option<Confidence> {
    let slot = &touch.access.slot;
    let conditions = || {
        let circumstance = &touch.access.circumstance;
        circumstance.when.iter().chain(&circumstance.requires)
    };
    // Behind a hash, whatever stood before it cannot fall on a variable.
    let hashed =
        slot.path.iter().any(|step| matches!(step, Projection::Mapping { .. } | Projection::Element { .. }));
    match slot.root {
        _ if hashed => None,
        // Compilers that keep a list in place compare the index with the length.
        Root::Raw(_) if view.element(slot).is_some_and(|it| is_bounded(view, it.index, conditions())) => None,
        Root::Raw(word) if is_derived_by_hash(view, word) || has_hash(view, word) => None,
        // A sum that cannot leave a short stretch of slots is an array in place.
        Root::Raw(word) if view.analysis.expressions.bits(word) <= SHORT => None,
        // Where ways have met that each had a place of their own, nobody chooses another.
        Root::Raw(word) | Root::Unknown(word) if !view.is_chosen(word) => None,
        Root::Raw(word) if view.analysis.expressions.sources(word).is_within(Sources::CALLDATA) => {
            Some(Confidence::Proved)
        }
        // A place that state leads to is one that the contract keeps track of.
        Root::Raw(word) if kept(view, word) => None,
        Root::Raw(_) | Root::Unknown(_) => Some(Confidence::Likely),
        Root::Fixed(_) => {
            let loose = slot.path.iter().any(|step| match *step {
                Projection::Index { index, .. } => {
                    !kept(view, index) && !is_bounded(view, index, conditions())
                }
                _ => false,
            });
            loose.then_some(Confidence::Likely)
        }
    }
}

/// Whether storage, or ways that meet, decide the word beside what the call brings.
fn kept(view: &ContractView<'_>, word: ExprId) -> bool {
    view.analysis.expressions.sources(word).intersects(Sources::STORAGE.with(Sources::PHI))
}

/// Whether a hash went into the slot in a way that is not followed: no call can choose what comes out.
fn has_hash(view: &ContractView<'_>, word: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    view.parts(word).into_iter().any(|part| matches!(expressions.node(part), Node::Keccak(_)))
}

/// A hash, or a hash with something added that cannot undo it: a shape of its own, which collides with no variable.
fn is_derived_by_hash(view: &ContractView<'_>, word: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    let mut open = BTreeSet::new();
    derived(expressions, word, &mut open)
}

/// `open` holds the loop variables on the way here, which are what their other values are.
fn derived(expressions: &Expressions, word: ExprId, open: &mut BTreeSet<ExprId>) -> bool {
    // A constant longer than an address, as a hash is, is a root that somebody hashed, or chose to be out of the way.
    let is_root = expressions.constant(word).is_some_and(|root| root.bit_len() > ADDRESS_BITS as usize);
    if is_root || expressions.preimage(word).is_some() {
        return true;
    }
    match expressions.node(word) {
        Node::Binary { op: opcode::ADD | opcode::SUB | opcode::OR | opcode::XOR, a, b } => {
            [(a, b), (b, a)].into_iter().any(|(hash, other)| {
                // What was hashed cannot be chosen to cancel the hash.
                let harmless = expressions.bits(other) <= ADDRESS_BITS || expressions.contains(hash, other);
                harmless && derived(expressions, hash, open)
            })
        }
        Node::Binary { op: opcode::AND | opcode::SHL | opcode::SHR, a, b } => {
            let masked = |mask: ExprId, hash: ExprId, open: &mut BTreeSet<ExprId>| {
                expressions.constant(mask).is_some() && derived(expressions, hash, open)
            };
            masked(a, b, open) || masked(b, a, open)
        }
        Node::Unary { op: opcode::NOT, a } => derived(expressions, a, open),
        Node::Phi { .. } => {
            let operands = expressions.phi_operands(word);
            !open.insert(word)
                || (!operands.is_empty()
                    && operands.iter().all(|&operand| derived(expressions, operand, open)))
        }
        _ => false,
    }
}

/// Whether an index is too short to wrap around, or was compared with something on the way.
fn is_bounded<'c>(
    view: &ContractView<'_>,
    index: ExprId,
    mut conditions: impl Iterator<Item = &'c Condition>,
) -> bool {
    let expressions = &view.analysis.expressions;
    // Elements that share a word have the word of their index: what bounds the index bounds the word.
    let mut whole = index;
    while let Node::Binary { op: opcode::SHR | opcode::DIV | opcode::AND, a, b } = expressions.node(whole) {
        let parts = [(a, b), (b, a)].into_iter();
        let Some((_, inner)) =
            parts.into_iter().find(|(constant, _)| expressions.constant(*constant).is_some())
        else {
            break;
        };
        whole = inner;
    }
    let compares = |condition: &Condition| {
        expressions.any(condition.expression, |part| match expressions.node(part) {
            Node::Binary { op: opcode::LT | opcode::GT | opcode::SLT | opcode::SGT, a, b } => {
                [a, b].iter().any(|&side| side == index || side == whole)
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
