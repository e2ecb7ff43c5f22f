//! ## What it does
//!
//! Finds a shared variable that is compared with an amount before the same amount is taken from it by checked
//! arithmetic, which fails in the same cases.
//!
//! ## Why it serialises
//!
//! An executor that merges sums has to make sure that each check would have come out the same. The check of the subtraction
//! is one it knows; each further one is one more that it has to prove, or it gives up.
//!
//! ## Example
//!
//! ```solidity
//! require(remaining >= amount);
//! remaining -= amount;
//! ```
//!
//! ## Rewrite
//!
//! Leave the check to the subtraction.
//!
//! ```solidity
//! remaining -= amount;
//! ```
//!
//! ## When to ignore
//!
//! The message of the error is worth it: this is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A check in another function, or one that is stricter than the subtraction, is not reported.

use alloy_primitives::U256;
use deconflict_analyzer::{ExprId, Node};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "R1204",
    name: "redundant-hot-check",
    group: Group::Pedantic,
    summary: "a check of a shared sum that the subtraction makes anyway",
    source: include_str!("redundant_hot_check.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| is_checked_twice(view, touch));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!(
            "calls to {writers} check `{variable}` before they take from it, and again as they do"
        ),
        label: format!("fails anyway where `{variable}` is less than what is taken"),
        help: "leave the check to the subtraction".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether the call fails both where the sum is less than the amount and where taking it would go below zero.
fn is_checked_twice(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let Some((amount, true)) = touch.sum() else { return false };
    // The difference is not more than the sum, or than what fits into the type of both.
    let is_bound = |word: ExprId| {
        expressions.constant(word).is_some_and(|it| (it & it.wrapping_add(U256::ONE)).is_zero())
    };
    let again = less(view, touch).into_iter().any(|(bound, left)| match expressions.node(left) {
        Node::Binary { op: opcode::SUB, a, b } => {
            b == amount && is_bare(view, touch, a) && (bound == a || is_bound(bound))
        }
        _ => false,
    });
    again && is_asked(view, touch)
}

/// Whether the call fails where a comparison says that the sum is less than what is taken from it: compilers that check
/// subtractions look at the difference instead.
pub(super) fn is_asked(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((amount, true)) = touch.sum() else { return false };
    !view.is_made_from(amount, &touch.field())
        && less(view, touch).into_iter().any(|(sum, taken)| taken == amount && is_bare(view, touch, sum))
}

/// What must not be less than what for the call to succeed.
fn less(view: &ContractView<'_>, touch: &Touch<'_>) -> Vec<(ExprId, ExprId)> {
    let required = touch.access.circumstance.requires.iter().filter(|it| !it.holds);
    let compared = required.filter_map(|it| match view.analysis.expressions.node(it.expression) {
        Node::Binary { op: opcode::LT, a, b } => Some((a, b)),
        Node::Binary { op: opcode::GT, a, b } => Some((b, a)),
        _ => None,
    });
    compared.collect()
}

/// Whether the word is the sum and nothing but masks and shifts around the load.
fn is_bare(view: &ContractView<'_>, touch: &Touch<'_>, word: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    view.is_made_from(word, &touch.field())
        && view.parts(word).into_iter().all(|part| match expressions.node(part) {
            Node::Binary { op, .. } => {
                matches!(op, opcode::AND | opcode::SHR | opcode::SHL | opcode::DIV)
            }
            node => matches!(node, Node::Load { .. } | Node::Constant(_)),
        })
}
