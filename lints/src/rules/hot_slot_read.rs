//! ## What it does
//!
//! Finds a variable that calls of one user function set, and that another user function needs for what it stores,
//! checks or names.
//!
//! ## Why it serialises
//!
//! Every call of the reader waits for every call of the writer before it, whoever sends them. The reader may have
//! been written to touch nothing but its caller's own record; the one shared word orders it all the same.
//!
//! ## Example
//!
//! ```solidity
//! uint256 public floor;
//!
//! function list(uint256 id, uint256 price) external {
//!     priceOf[id] = price;
//!     floor = price;
//! }
//!
//! function bid(uint256 id, uint256 amount) external {
//!     require(amount >= floor);
//!     bidOf[msg.sender][id] = amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Read a snapshot that is fixed for an epoch, let the caller bring the number along and check it where it is
//! settled, or move the check off the hot path.
//!
//! ```solidity
//! mapping(uint256 epoch => uint256) public floorOf;
//!
//! function list(uint256 id, uint256 price) external {
//!     priceOf[id] = price;
//!     floorOf[block.number / 32 + 1] = price;
//! }
//!
//! function bid(uint256 id, uint256 amount) external {
//!     require(amount >= floorOf[block.number / 32]);
//!     bidOf[msg.sender][id] = amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The writer is called rarely: then most blocks hold readers only, and those do not conflict.
//!
//! ## Known gaps
//!
//! A variable that another rule explains is reported by that rule alone, with its readers; only a plain sum is reported by
//! both, where functions need it whose calls would not wait for one another otherwise: shards do not help them.

use std::collections::BTreeSet;

use deconflict_analyzer::{Escapes, standards::PROXY_SLOTS};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "R1201",
    name: "hot-slot-read",
    group: Group::Pedantic,
    summary: "a variable that one user function writes and another depends on",
    source: include_str!("hot_slot_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut found = view.shared_fields(|touch| {
        touch.write().is_some_and(|(value, _)| !view.is_of_contract(value))
            && !view.checks_caller(touch.function)
            && !view.transfers_permission(touch)
    });
    // What a proxy runs is the business of another rule.
    found.retain(|field| field.slot.number().is_none_or(|number| !PROXY_SLOTS.contains(&number)));
    found.retain(|field| !readers(view, field).is_empty());
    report_fields(rule, view, &found, |variable, writers| {
        let readers: BTreeSet<String> = found
            .iter()
            .filter(|field| crate::finding::Subject::storage(view, field).variable() == variable)
            .flat_map(|field| readers(view, field))
            .map(|function| format!("`{}`", view.short(function)))
            .collect();
        let readers = crate::finding::enumerate(readers);
        Story {
            message: format!("calls to {writers} write `{variable}`, on which calls to {readers} depend"),
            label: format!("whoever reads `{variable}` waits for this"),
            help: "read a snapshot that is fixed for an epoch, or let the caller bring the number along and check it where it is settled".to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        }
    })
}

/// The user functions that depend on the field without writing it.
fn readers(view: &ContractView<'_>, field: &Field) -> BTreeSet<usize> {
    let depends = Escapes::OTHER_STORE
        .with(Escapes::BRANCH)
        .with(Escapes::REQUIRE)
        .with(Escapes::KEY)
        .with(Escapes::CALL);
    let touching = view.touching(field);
    let writers: BTreeSet<usize> =
        touching.iter().filter(|touch| touch.is_write()).map(|touch| touch.function).collect();
    let reading = touching.iter().map(|touch| touch.function).filter(|function| !writers.contains(function));
    // Others wait for a sum as well; it is worth a word beside those on the sum only where they would not wait otherwise.
    let is_sum = touching.iter().filter(|touch| touch.is_write()).all(|touch| touch.sum().is_some());
    reading
        .filter(|&function| view.escapes(function, field).intersects(depends))
        .filter(|&function| !is_sum || !writes_shared(view, function))
        .collect()
}

/// Whether any two calls of the function meet in what they write.
fn writes_shared(view: &ContractView<'_>, function: usize) -> bool {
    view.writes().iter().any(|touch| {
        touch.function == function
            && !touch.is_net_zero()
            && view.is_shared(&touch.access.slot)
            && !view.is_once_per_block(touch)
    })
}
