//! ## What it does
//!
//! Finds a user function that walks over a storage array which user functions append to or write.
//!
//! ## Why it serialises
//!
//! The walk reads the length and every element: it conflicts with each call that appends or changes one, and grows
//! with the list.
//!
//! ## Example
//!
//! ```solidity
//! function isListed(address account) public returns (bool) {
//!     for (uint256 i = 0; i < list.length; i++) {
//!         if (list[i] == account) return true;
//!     }
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep what the walk is for in a mapping, or let the caller say where in the list to look.
//!
//! ```solidity
//! function check(uint256 at) external {
//!     require(list[at] == msg.sender);
//!     checkedAt[msg.sender] = block.number;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The list is short and hardly ever changes.
//!
//! ## Known gaps
//!
//! A walk over a linked list is not recognised.

use std::collections::BTreeSet;

use alloy_primitives::U256;
use deconflict_analyzer::{ByteRange, Root};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "L1002",
    name: "storage-array-scan",
    group: Group::Default,
    summary: "a loop over a list in storage in a function that users call",
    source: include_str!("storage_array_scan.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let reads = view.users().flat_map(|(function, summary)| {
        summary.accesses.iter().map(move |access| Touch { function, access })
    });
    let scans: Vec<Touch<'_>> = reads.filter(|touch| is_scan(view, touch)).collect();
    let arrays: BTreeSet<Root> = scans.iter().map(|touch| touch.access.slot.root).collect();
    arrays.into_iter().filter_map(|array| report(rule, view, &scans, array)).collect()
}

/// Whether a loop reads elements of an array up to its length.
fn is_scan(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let slot = &touch.access.slot;
    let Some(element) = view.element(slot) else { return false };
    // Words of a text are no elements that anyone looks for.
    if !element.length.is_fixed() || view.names.is_text(&element.length) {
        return false;
    }
    let index = &element.index;
    // Who clears the list leaves nothing of it to walk over: `unbounded-storage-delete`.
    let clears = |other: &Touch<'_>| {
        other.function == touch.function
            && other.access.slot == element.length
            && other
                .write()
                .is_some_and(|(value, _)| view.analysis.expressions.constant(value) == Some(U256::ZERO))
    };
    if view.writes().iter().any(clears) {
        return false;
    }
    let length = Field { slot: element.length, bytes: ByteRange::WORD };
    let bounded = || {
        view.comparisons(touch.function)
            .into_iter()
            .any(|it| it.sides().into_iter().any(|(at, end)| at == *index && view.is_made_from(end, &length)))
    };
    // Elements that are taken out one by one are looked at where they are.
    let is_end = view.is_end(*index, &length) || view.shrinks(touch.function, slot);
    !touch.is_write() && !is_end && touch.access.circumstance.repeated && !view.is_chosen(*index) && bounded()
}

fn report(rule: &Rule, view: &ContractView<'_>, scans: &[Touch<'_>], array: Root) -> Option<Finding> {
    let scans: Vec<Touch<'_>> =
        scans.iter().copied().filter(|touch| touch.access.slot.root == array).collect();
    let changed = view.writes().into_iter().any(|touch| touch.access.slot.root == array);
    let field = fields(scans.iter().copied()).into_iter().next()?;
    if !changed {
        return None;
    }
    let spots = scans.iter().map(|touch| Spot { rank: Some(0), ..Spot::of(touch) }).collect();
    let subject = Subject { view, field: Some(field), spots };
    let (variable, readers) = (subject.variable(), subject.writers());
    let list = variable.split('[').next().unwrap_or(&variable).to_owned();
    let story = Story {
        message: format!("{readers:#} walks over `{list}`, and waits for each call that changes it"),
        label: format!("reads every element of `{list}`"),
        help: "keep what the walk is for in a mapping, or let the caller say where in the list to look"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story)
}
