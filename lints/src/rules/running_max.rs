//! ## What it does
//!
//! Finds a record, such as a highest bid, that a call replaces if it brings a better value.
//!
//! ## Why it serialises
//!
//! Whether a call succeeds, and what it leaves behind, depends on the best of all calls before it. The record is
//! one slot, and the comparison keeps it from being merged.
//!
//! ## Example
//!
//! ```solidity
//! function bid() external payable {
//!     require(msg.value > highestBid);
//!     highestBid = msg.value;
//!     highestBidder = msg.sender;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Record each bid under its bidder, and find the best one when the auction closes, or let bidders commit to sealed
//! bids in batches.
//!
//! ```solidity
//! function bid() external payable {
//!     bidOf[msg.sender] += msg.value;
//! }
//!
//! function close(address winner) external {
//!     require(block.timestamp > end && bidOf[winner] >= bidOf[best]);
//!     best = winner;
//! }
//! ```
//!
//! ## When to ignore
//!
//! An open auction, where everybody has to see the best bid at once.
//!
//! ## Known gaps
//!
//! A record that is kept for each item (`bidOf[item]`) is not reported: only bids on one item meet.

use std::collections::BTreeSet;

use deconflict_analyzer::{ExprId, Node, WriteForm};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C107",
    name: "running-max",
    group: Group::Default,
    summary: "a best value so far that every call is compared with",
    source: include_str!("running_max.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| is_record(view, touch));
    report_fields(rule, view, &found, |variable, writers| {
        Story {
        message: format!("every call to {writers} is compared with the best one before it, `{variable}`"),
        label: format!("`{variable}` is replaced by what beats it"),
        help: "record each value under its sender and find the best one at the end, or take sealed values in batches".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
    })
}

/// Whether the call stores what it brings along, which was compared with what stood there.
fn is_record(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, WriteForm::Plain)) = touch.write() else { return false };
    let field = touch.field();
    // A record that shares its word with its holder is one of the parts of what is stored.
    let stored: BTreeSet<ExprId> =
        members(view, value).into_iter().map(|member| bare(view, member)).collect();
    view.is_chosen(value)
        && view.comparisons(touch.function).into_iter().any(|comparison| {
            !comparison.is_equality()
                && comparison
                    .sides()
                    .into_iter()
                    .any(|(new, old)| stored.contains(&bare(view, new)) && view.is_made_from(old, &field))
        })
}

/// The parts that a stored word is put together from, each shifted to where it begins.
fn members(view: &ContractView<'_>, word: ExprId) -> Vec<ExprId> {
    let expressions = &view.analysis.expressions;
    match expressions.node(word) {
        Node::Binary { op: opcode::OR, a, b } => {
            let mut all = members(view, a);
            all.extend(members(view, b));
            all
        }
        Node::Binary { op: opcode::SHL, b, .. } => vec![word, b],
        Node::Binary { op: opcode::MUL, a, b } if expressions.constant(b).is_some() => vec![word, a],
        Node::Binary { op: opcode::MUL, a, b } if expressions.constant(a).is_some() => vec![word, b],
        Node::Binary { op: opcode::AND, a, b } if expressions.constant(b).is_some() => {
            let mut all = members(view, a);
            all.push(word);
            all
        }
        _ => vec![word],
    }
}

/// Without the mask that cleans a value to its type.
fn bare(view: &ContractView<'_>, id: ExprId) -> ExprId {
    match view.analysis.expressions.node(id) {
        Node::Binary { op: opcode::AND, a, b } if view.analysis.expressions.constant(b).is_some() => a,
        _ => id,
    }
}
