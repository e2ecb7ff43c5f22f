//! Rules about the comments that suppress findings.
//!
//! Declarations and documentation alone: what these rules find is found where comments are read, which no rule that looks
//! at code does.

pub(crate) mod malformed_suppression;
pub(crate) mod unused_suppression;

use crate::rule::Rule;

/// The rule about comments that nothing needs: what it finds can go, and nothing depends on it.
pub const UNUSED_SUPPRESSION: Rule = unused_suppression::RULE;

/// Every rule about comments.
pub(crate) const RULES: &[Rule] = &[UNUSED_SUPPRESSION, malformed_suppression::RULE];
