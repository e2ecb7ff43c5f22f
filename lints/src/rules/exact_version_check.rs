//! ## What it does
//!
//! Finds an optimistic lock: a call names the version that it was made for, and counts it up.
//!
//! ## Why it serialises
//!
//! Of all calls that were made for one version, one succeeds. They cannot run side by side, and most of them were
//! made in vain.
//!
//! ## Example
//!
//! ```solidity
//! function update(uint256 expected, bytes32 item, uint256 value) external {
//!     require(version == expected);
//!     version += 1;
//!     valueOf[item] = value;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep a version for each thing that is updated.
//!
//! ```solidity
//! function update(uint256 expected, bytes32 item, uint256 value) external {
//!     require(versionOf[item] == expected);
//!     versionOf[item] += 1;
//!     valueOf[item] = value;
//! }
//! ```
//!
//! ## When to ignore
//!
//! All calls come from one sender.
//!
//! ## Known gaps
//!
//! A version that is a hash of the state is not recognised.

use deconflict_analyzer::Node;
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "R1205",
    name: "exact-version-check",
    group: Group::Default,
    summary: "a version for everybody that a call has to name exactly",
    source: include_str!("exact_version_check.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| {
        let counted = touch.sum().is_some_and(|(amount, subtract)| !subtract && view.is_constant(amount));
        (counted || is_next(view, touch)) && is_named(view, touch)
    });
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} has to name the same version, `{variable}`, and counts it up"),
        label: "all other calls that were made for this version fail".to_owned(),
        help: "keep a version for each thing that is updated".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether the call stores the number after the one that it was given.
fn is_next(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    touch.write().is_some_and(|(value, _)| match expressions.node(value) {
        Node::Binary { op: opcode::ADD, a, b } => [(a, b), (b, a)]
            .into_iter()
            .any(|(named, step)| expressions.constant(step).is_some() && view.is_chosen(named)),
        _ => false,
    })
}

/// Whether the call only succeeds if the caller named the counted word.
fn is_named(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let field = touch.field();
    let conditions = &view.analysis.summaries[touch.function].requires;
    let compared = view.compared(conditions.iter().filter(|condition| condition.holds));
    compared.into_iter().filter(|it| it.is_equality()).any(|it| {
        it.sides().into_iter().any(|(version, named)| {
            view.is_made_from(version, &field) && view.is_chosen(named) && !view.is_made_from(named, &field)
        })
    })
}
