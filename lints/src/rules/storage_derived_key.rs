//! ## What it does
//!
//! Finds a write to a mapping entry whose key was loaded from storage that calls change, or came back from another
//! contract.
//!
//! ## Why it serialises
//!
//! What the call will write cannot be told from the call: a scheduler has to read the state first, and when that
//! word changes, the prediction was wrong.
//! Where calls change the word often, the writes have to wait for it.
//!
//! ## Example
//!
//! ```solidity
//! function tip(uint256 id) external payable {
//!     tipsOf[ownerOf[id]] += msg.value;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let the caller name the key, and check it: then the slot follows from the call alone.
//!
//! ```solidity
//! function tip(uint256 id, address owner) external payable {
//!     require(ownerOf[id] == owner);
//!     tipsOf[owner] += msg.value;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The word that the key comes from hardly ever changes.
//!
//! ## Known gaps
//!
//! A key that is compared with an argument or the sender on another path than the write is still reported.

use std::collections::BTreeSet;

use deconflict_analyzer::{
    ByteRange, Environment, ExprId, Node, Projection, Root, Sources, WriteForm, standards::ADDRESS_BITS,
};
use revm_bytecode::opcode;

use super::linked_list_head::is_head;
use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X702",
    name: "storage-derived-key",
    group: Group::Pedantic,
    summary: "a write whose slot depends on what other storage or another contract says",
    source: include_str!("storage_derived_key.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let derived = view.writes().into_iter().filter(|touch| is_derived(view, touch));
    let mut found = fields(derived);
    // Members and elements of one mapping under one kind of key are one finding.
    let mut seen = BTreeSet::new();
    found.retain(|field| seen.insert(field.slot.root));
    report_fields(rule, view, &found, |variable, writers| {
        Story {
        message: format!("the slot that a call to {writers} writes is only known from other state: `{variable}`"),
        label: "the key comes from state that calls change".to_owned(),
        help: "let the caller name the key and check it (`require(ownerOf[id] == owner)`), so that the slot follows from the call".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    }
    })
}

fn is_derived(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let slot = &touch.access.slot;
    // The first rounds of a loop say no more than the one access for all others.
    if view.is_unrolled(touch) {
        return false;
    }
    // Below an entry of the caller's own, only the caller's calls meet.
    let is_caller =
        |key: ExprId| matches!(view.analysis.expressions.node(key), Node::Environment(Environment::Caller));
    matches!(slot.root, Root::Fixed(_))
        && !slot.keys().next().is_some_and(is_caller)
        && slot
            .path
            .iter()
            .any(|step| matches!(*step, Projection::Mapping { key } if is_looked_up(view, touch, key)))
}

fn is_looked_up(view: &ContractView<'_>, touch: &Touch<'_>, key: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    let (named, key) = (key, plain(view, key));
    // Accounts and hashes are names; what is shorter is a number.
    let is_name = expressions.bits(named) >= ADDRESS_BITS;
    if !is_name
        || view.checks_caller(touch.function)
        || view.is_shared_word(key)
        || is_named(view, touch.function, key)
    {
        return false;
    }
    if matches!(expressions.node(key), Node::ReturnWord { .. }) {
        return true;
    }
    // What is computed from a stored word is a place in a list or a running number: other rules.
    let Some(slot) = view.loaded(key) else { return false };
    let counted = slot.keys().any(|key| !view.loads(key).is_empty());
    let listed = slot.path.iter().any(|step| matches!(step, Projection::Element { .. }));
    if slot.is_fixed() {
        // A pointer that calls move along: `best-price-pointer`.
        if view.loads(key).iter().any(|own| view.is_made_from_itself(own)) {
            return false;
        }
        let field = Field { slot, bytes: ByteRange::WORD };
        let mut writes = view.touching(&field).into_iter().filter(Touch::is_write);
        // The head of a list, to whose element the new one is linked: `linked-list-head`.
        if writes.clone().any(|other| is_head(view, &other)) {
            return false;
        }
        return writes.any(|other| {
            let form = other.write().map(|(_, form)| form);
            matches!(form, Some(WriteForm::Plain | WriteForm::NetZero(_))) && !other.is_lock()
        });
    }
    matches!(slot.root, Root::Fixed(_)) && !counted && !listed
}

/// Without the mask and the shift that take a field out of its word.
fn plain(view: &ContractView<'_>, id: ExprId) -> ExprId {
    let expressions = &view.analysis.expressions;
    match expressions.node(id) {
        Node::Binary { op: opcode::AND, a, b } if expressions.constant(b).is_some() => plain(view, a),
        Node::Binary { op: opcode::SHR, a, b } if expressions.constant(a).is_some() => plain(view, b),
        _ => id,
    }
}

/// Whether the call only succeeds if the key is what the caller named, or is the caller.
fn is_named(view: &ContractView<'_>, function: usize, key: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    let given = Sources::CALLDATA.with(Sources::CALLER).with(Sources::TRANSACTION);
    view.comparisons(function).into_iter().filter(|it| it.is_equality()).any(|comparison| {
        comparison.sides().into_iter().any(|(looked_up, named)| {
            plain(view, looked_up) == key && expressions.sources(named).is_within(given)
        })
    })
}
