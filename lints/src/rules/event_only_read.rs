//! ## What it does
//!
//! Finds a sum whose new value goes nowhere but into the data of an event.
//!
//! ## Why it serialises
//!
//! Sums commute: an executor that merges commutative updates runs such calls side by side. The event takes that
//! away, because what it says depends on all calls before it.
//!
//! ## Example
//!
//! ```solidity
//! function deposit() external payable {
//!     depositOf[msg.sender] += msg.value;
//!     total += msg.value;
//!     emit Deposited(msg.sender, msg.value, total);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Log what the call adds, and let indexers add up. Without the total, or with the total in shards, nothing is
//! shared.
//!
//! ```solidity
//! function deposit() external payable {
//!     depositOf[msg.sender] += msg.value;
//!     totalIn[uint160(msg.sender) % 64] += msg.value;
//!     emit Deposited(msg.sender, msg.value);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Indexers rely on the total in the event.
//!
//! ## Known gaps
//!
//! A total that is also returned is reported as an accumulator, and a count that is logged as `sequential-id`.

use deconflict_analyzer::Escapes;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "R1202",
    name: "event-only-read",
    group: Group::Default,
    summary: "a total that is read only to put it into an event",
    source: include_str!("event_only_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| touch.sum().is_some() && is_only_logged(view, touch));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} puts the new value of `{variable}` into an event"),
        label: format!("only an event needs what `{variable}` is here"),
        help: "log what the call adds instead of the total, and add up off chain or in shards".to_owned(),
        notes: vec![
            "without the event, executors that merge commutative updates could run these calls side by side"
                .to_owned(),
        ],
        confidence: Confidence::Proved,
    })
}

fn is_only_logged(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let escapes = view.escapes(touch.function, &touch.field());
    let harmless = Escapes::STORE_BACK.with(Escapes::OVERFLOW_CHECK);
    escapes.intersects(Escapes::LOG) && escapes.is_within(harmless.with(Escapes::LOG))
}
