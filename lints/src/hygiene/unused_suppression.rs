//! ## What it does
//!
//! Finds a comment that suppresses a rule where the rule has nothing to say.
//!
//! ## Why it matters
//!
//! A suppression that nothing needs any more hides the next finding on that line, which nobody has judged.
//!
//! ## Example
//!
//! ```solidity
//! function rename(string calldata to) external {
//!     name[msg.sender] = to; // deconflict: allow(global-counter)
//! }
//! ```
//!
//! ## Rewrite
//!
//! ```solidity
//! function rename(string calldata to) external {
//!     name[msg.sender] = to;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The finding comes and goes with a compiler's settings, and the other settings are checked as well.
//!
//! ## Known gaps
//!
//! A suppression of a rule that is allowed, or in a file that no checked contract has code from, is not judged.

use crate::rule::{Group, Rule};

/// The declaration. What it finds is found beside what comments cover.
pub(crate) const RULE: Rule = Rule {
    code: "S001",
    name: "unused-suppression",
    group: Group::Default,
    summary: "a comment that suppresses a rule which finds nothing there",
    source: include_str!("unused_suppression.rs"),
    check: |_, _| Vec::new(),
};
