//! Rules about the comments that suppress findings.
//!
//! Declarations and documentation alone: what these rules find is found where comments are read, which no rule that looks
//! at code does.

pub(crate) mod malformed_suppression;
pub(crate) mod unused_suppression;

use crate::rule::Rule;

/// Every rule about comments.
pub(crate) const RULES: &[Rule] = &[unused_suppression::RULE, malformed_suppression::RULE];
