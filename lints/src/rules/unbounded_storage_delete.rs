//! ## What it does
//!
//! Finds a user function that deletes a storage array element by element.
//!
//! ## Why it serialises
//!
//! The call writes every slot of the list: it conflicts with each call that reads or writes any of them, and grows
//! with the list.
//!
//! ## Example
//!
//! ```solidity
//! function settle() external {
//!     delete entries;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Start a new list under the next number, and leave the old one where it is.
//!
//! ```solidity
//! mapping(uint256 round => mapping(address account => uint256))
//!     public entryOf;
//!
//! function settle() external {
//!     require(msg.sender == keeper);
//!     round += 1;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The list is short, or cleared once.
//!
//! ## Known gaps
//!
//! A loop that clears entries of a mapping is not reported.

use alloy_primitives::U256;
use deconflict_analyzer::{Projection, Root};

use super::shared_text::is_text;
use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "L1005",
    name: "unbounded-storage-delete",
    group: Group::Default,
    summary: "a call that clears a whole list in storage",
    source: include_str!("unbounded_storage_delete.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let is_zero = |touch: &Touch<'_>| {
        touch.write().is_some_and(|(value, _)| view.analysis.expressions.constant(value) == Some(U256::ZERO))
    };
    let clears = |length: &&Touch<'_>| {
        let elements = |touch: &Touch<'_>| {
            touch.function == length.function
                && touch.access.slot.root == length.access.slot.root
                && matches!(touch.access.slot.path.first(), Some(Projection::Element { .. }))
                && touch.access.circumstance.repeated
                && is_zero(touch)
        };
        length.access.slot.is_fixed()
            && !is_text(view, length)
            && matches!(length.access.slot.root, Root::Fixed(_))
            && (is_zero(length) || (length.access.circumstance.repeated && view.steps_down(length)))
            && writes.iter().any(elements)
    };
    let found: Vec<Field> = fields(writes.iter().filter(clears).copied());
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} clears the list behind `{variable}`, slot by slot"),
        label: "clears every element of the list".to_owned(),
        help: "start a new list under the next number and leave the old one where it is".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}
