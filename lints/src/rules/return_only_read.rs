//! ## What it does
//!
//! Finds a sum whose new value goes nowhere but into what the function returns.
//!
//! ## Why it serialises
//!
//! Sums commute, and an executor that merges commutative updates could run the calls side by side, but for the
//! number that each returns.
//!
//! ## Example
//!
//! ```solidity
//! function register() external returns (uint256) {
//!     registeredAt[msg.sender] = block.number;
//!     return ++count;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Return nothing: transactions that come from accounts cannot read it anyway.
//!
//! ```solidity
//! function register() external {
//!     registeredAt[msg.sender] = block.number;
//!     count += 1;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Other contracts need the number. Whether any does cannot be seen in the code, which is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A number that is also logged is not reported.

use deconflict_analyzer::Escapes;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "R1203",
    name: "return-only-read",
    group: Group::Pedantic,
    summary: "a count that is read only to return it",
    source: include_str!("return_only_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let harmless = Escapes::STORE_BACK.with(Escapes::OVERFLOW_CHECK).with(Escapes::RETURN);
    let found = view.shared_fields(|touch| {
        let escapes = view.escapes(touch.function, &touch.field());
        touch.sum().is_some() && escapes.intersects(Escapes::RETURN) && escapes.is_within(harmless)
    });
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} returns the new value of `{variable}`"),
        label: format!("only the caller is told what `{variable}` is here"),
        help: "return nothing, if no contract needs the number".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}
