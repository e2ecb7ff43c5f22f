//! ## What it does
//!
//! Finds a user function that writes more than eight different places of storage.
//!
//! ## Why it serialises
//!
//! The more a call writes, the more other calls it meets.
//!
//! ## Example
//!
//! ```solidity
//! function update(uint256[12] calldata values) external {
//!     a = values[0];
//!     b = values[1];
//!     // …
//!     l = values[11];
//! }
//! ```
//!
//! ## Rewrite
//!
//! Split the function by what changes together.
//!
//! ```solidity
//! function updateFirst(uint256 a_, uint256 b_) external {
//!     a = a_;
//!     b = b_;
//! }
//! ```
//!
//! ## When to ignore
//!
//! What is written belongs to the caller alone. The rule is pedantic because the number says little by itself.
//!
//! ## Known gaps
//!
//! A loop counts as one place.

use std::collections::BTreeSet;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "L1004",
    name: "wide-write-set",
    group: Group::Pedantic,
    summary: "a function that writes many different slots",
    source: include_str!("wide_write_set.rs"),
    check,
};

const MANY: usize = 8;

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let mut found = Vec::new();
    for (function, _) in view.users() {
        let own = || writes.iter().filter(|touch| touch.function == function && !touch.is_net_zero());
        let places: BTreeSet<_> = own().map(|touch| &touch.access.slot).collect();
        if places.len() <= MANY {
            continue;
        }
        let spots = own().map(Spot::of).collect();
        let subject = Subject { view, field: None, spots };
        let writers = subject.writers();
        let story = Story {
            message: format!("a call to {writers} writes {} different places of storage", places.len()),
            label: "one of them".to_owned(),
            help: "split the function by what changes together".to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        };
        found.extend(subject.finding(rule, Vec::new(), story));
    }
    found
}
