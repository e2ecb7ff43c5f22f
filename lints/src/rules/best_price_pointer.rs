//! ## What it does
//!
//! Finds a variable that points at an entry, such as the best offer of a book, which calls use as a key and move to
//! what the entry points at.
//!
//! ## Why it serialises
//!
//! What a call takes depends on where the one before it left the pointer. Which slots it touches is only known
//! then.
//!
//! ## Example
//!
//! ```solidity
//! function take() external payable {
//!     uint256 ask = bestAsk;
//!     ownerOf[ask] = msg.sender;
//!     bestAsk = next[ask];
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let callers name the offer or the price level that they take, or match orders in batches.
//!
//! ```solidity
//! function take(uint256 ask) external payable {
//!     require(ownerOf[ask] == address(0));
//!     ownerOf[ask] = msg.sender;
//! }
//! ```
//!
//! ## When to ignore
//!
//! An order book that has to match by price at once.
//!
//! ## Known gaps
//!
//! A pointer that is found by a bitmap is not recognised.

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "A604",
    name: "best-price-pointer",
    group: Group::Default,
    summary: "a pointer to the best offer that calls move along",
    source: include_str!("best_price_pointer.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| is_pointer(view, touch));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} takes what `{variable}` points at, and moves it"),
        label: "the next call takes what this points at".to_owned(),
        help: "let callers name the offer or level that they take, or match orders in batches".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether the stored word was found in an entry under the old one.
fn is_pointer(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, _)) = touch.write() else { return false };
    let field = touch.field();
    touch.access.slot.is_fixed()
        && view
            .loads(value)
            .iter()
            .any(|load| last_key(&load.slot).is_some_and(|(key, _)| view.is_made_from(key, &field)))
}
