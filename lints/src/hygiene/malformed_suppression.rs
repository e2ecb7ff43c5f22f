//! ## What it does
//!
//! Finds a comment that is meant to suppress a rule and cannot be read: an unknown rule, an unknown word, a missing
//! bracket, or a missing reason where the project asks for one.
//!
//! ## Why it matters
//!
//! Such a comment suppresses nothing, or not what its author meant.
//!
//! ## Example
//!
//! ```solidity
//! total += 1; // deconflict: allow(global-conter)
//! ```
//!
//! ## Rewrite
//!
//! ```solidity
//! total += 1; // deconflict: allow(global-counter) reason="one call a day"
//! ```
//!
//! ## When to ignore
//!
//! Never: the comment has no effect as it stands.
//!
//! ## Known gaps
//!
//! A comment that does not begin with `deconflict:` or `@custom:deconflict` is not taken for a suppression.

use crate::rule::{Group, Rule};

/// The declaration. What it finds is found where comments are read.
pub(crate) const RULE: Rule = Rule {
    code: "S002",
    name: "malformed-suppression",
    group: Group::Default,
    summary: "a comment that is meant to suppress a rule and cannot be read",
    source: include_str!("malformed_suppression.rs"),
    check: |_, _| Vec::new(),
};
