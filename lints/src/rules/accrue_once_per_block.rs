//! ## What it does
//!
//! Finds variables that a call writes only if nobody has in this block: interest and price accumulators behind `if
//! (block.timestamp != last)`.
//!
//! ## Why it serialises
//!
//! It hardly does: the first transaction of each block that gets there writes, all others of that block read.
//! What remains is that they wait for that first one.
//!
//! ## Example
//!
//! ```solidity
//! function accrue() public {
//!     if (block.timestamp == lastAccrual) return;
//!     index += index * rate * (block.timestamp - lastAccrual) / 1e18;
//!     lastAccrual = block.timestamp;
//! }
//! ```
//!
//! ## Rewrite
//!
//! None is needed. Where even one wait is too many, compute the index from the time in a view and store it on rare
//! events only, or have a keeper accrue at the top of each block.
//!
//! ```solidity
//! function index() public view returns (uint256) {
//!     uint256 elapsed = block.timestamp - baseTime;
//!     return baseIndex + baseIndex * rate * elapsed / 1e18;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: the rule is pedantic because what it finds is the right way to accrue.
//!
//! ## Known gaps
//!
//! An update that runs in every call but changes nothing after the first one of a block is not recognised.

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B205",
    name: "accrue-once-per-block",
    group: Group::Pedantic,
    summary: "a variable that only the first transaction of a block brings up to date",
    source: include_str!("accrue_once_per_block.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let once = view.writes().into_iter().filter(|touch| {
        // Ways that are not known may write at any time.
        view.analysis.summaries[touch.function].is_complete()
            && !touch.is_net_zero()
            && view.is_shared(&touch.access.slot)
            && view.is_once_per_block(touch)
    });
    let mut found = fields(once);
    let always = view.shared_fields(|_| true);
    found.retain(|field| !always.iter().any(|other| other.overlaps(field)));
    report_fields(rule, view, &found, |variable, writers| {
        Story {
        message: format!("the first call to {writers} in a block writes `{variable}`, and all others read it"),
        label: format!("only the first transaction of a block writes `{variable}`"),
        help: "nothing has to change; a keeper can accrue at the top of the block, so that no user transaction is the first".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
    })
}
