//! ## What it does
//!
//! Finds an array of checkpoints, each with a time or block number, that user functions append to after a look at
//! the last one.
//!
//! ## Why it serialises
//!
//! Each call reads the length and the last checkpoint, and writes one or the other. All calls that move the total
//! behind it run one after the other.
//!
//! ## Example
//!
//! ```solidity
//! function stake(uint256 amount) external {
//!     uint256 total = totals[totals.length - 1].value + amount;
//!     totals.push(Checkpoint(uint48(block.number), uint208(total)));
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep checkpoints for each user only, and let whoever needs a total at a block compute it from shards that are
//! settled once a block or epoch.
//!
//! ```solidity
//! function stake(uint256 amount) external {
//!     stakedIn[block.number / 32][uint160(msg.sender) % 64] += amount;
//!     stakeOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The total changes rarely, as that of a token that only an administrator mints.
//!
//! ## Known gaps
//!
//! Whether the ways on which the total moves are open to a call is not always seen: the finding is `likely`.
//! Histories that are reached through a mapping key are not reported.

use std::collections::BTreeSet;

use deconflict_analyzer::ExprId;

use super::array_push::resizes;
use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "E506",
    name: "global-checkpoints",
    group: Group::Default,
    summary: "a history that every call appends a checkpoint to",
    source: include_str!("global_checkpoints.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let is_history = |length: &Touch<'_>| {
        let field = length.field();
        let own = view.everyone().filter(|touch| touch.function == length.function);
        let elements: Vec<Touch<'_>> = own
            .filter(|touch| touch.access.slot.root == length.access.slot.root)
            .filter(|touch| {
                last_key(&touch.access.slot).is_some_and(|(key, _)| view.is_made_from(key, &field))
            })
            .collect();
        let key_of = |touch: &Touch<'_>| last_key(&touch.access.slot).map(|(key, _)| key);
        let stamped =
            elements.iter().any(|touch| touch.write().is_some_and(|(value, _)| view.has_time(value)));
        // An earlier checkpoint is read; storing a packed one reads its own word.
        let keys = |writes: bool| -> BTreeSet<ExprId> {
            elements.iter().filter(|touch| touch.is_write() == writes).filter_map(key_of).collect()
        };
        let (read, written) = (keys(false), keys(true));
        stamped && !read.is_empty() && (read != written || written.len() > 1)
    };
    let found = fields(resizes(view).into_iter().filter(is_history));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} appends to the same history, `{variable}`"),
        label: "reads the last checkpoint and the length, and writes one of them".to_owned(),
        help: "keep checkpoints for each user, and settle totals once a block or epoch from shards"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    })
}
