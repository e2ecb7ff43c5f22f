//! ## What it does
//!
//! Finds a variable of type `string` or `bytes`, one for everybody, that user calls replace.
//!
//! ## Why it serialises
//!
//! The length shares a word with what is short, and each further word is a slot: calls that rewrite it conflict with each
//! other, and with all that read it.
//!
//! ## Example
//!
//! ```solidity
//! string public motto;
//!
//! function setMotto(string calldata text) external {
//!     motto = text;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep a text for each user, or emit it in an event.
//!
//! ```solidity
//! mapping(address account => string) public mottoOf;
//!
//! function setMotto(string calldata text) external {
//!     mottoOf[msg.sender] = text;
//! }
//! ```
//!
//! ## When to ignore
//!
//! It is rewritten rarely. Texts seldom are hot, which is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! Needs the compiler's storage layout to know a text.

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "P306",
    name: "shared-text",
    group: Group::Pedantic,
    summary: "a text or byte string for all that calls rewrite",
    source: include_str!("shared_text.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let texts = view.shared_fields(|touch| is_text(view, touch));
    report_fields(rule, view, &texts, |variable, writers| Story {
        message: format!("{writers:#} rewrites the same text, `{variable}`"),
        label: "stores length and content for everybody".to_owned(),
        help: "keep a text for each user, or emit it in an event".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether the word is the length, and perhaps the content, of a text that is declared as one.
pub(super) fn is_text(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    view.names.is_text(&touch.access.slot)
}
