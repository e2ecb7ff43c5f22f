//! ## What it does
//!
//! Finds a variable by which user calls scale amounts, and which an administrator multiplies: the index of a rebasing
//! token.
//!
//! ## Why it serialises
//!
//! As long as nobody moves it, all calls only read it. The call that does conflicts with every other call of its block.
//!
//! ## Example
//!
//! ```solidity
//! function rebase(uint256 factor) external onlyOwner {
//!     index = index * factor / 1e18;
//! }
//!
//! function transfer(address to, uint256 amount) external returns (bool) {
//!     uint256 scaled = amount * 1e18 / index;
//!     scaledOf[msg.sender] -= scaled;
//!     scaledOf[to] += scaled;
//!     return true;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Move it rarely and at the top or end of a block, or announce it for a later block, so that calls read a fixed pair.
//!
//! ```solidity
//! function announce(uint256 factor) external onlyOwner {
//!     nextIndex = index * factor / 1e18;
//!     nextFrom = block.number + 1;
//! }
//! ```
//!
//! ## When to ignore
//!
//! It is moved once a day: this is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! An index that the users themselves move is the business of other rules.

use std::collections::BTreeSet;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "L1003",
    name: "global-rebase",
    group: Group::Pedantic,
    summary: "an index that scales all balances and that an administrator moves",
    source: include_str!("global_rebase.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let users: BTreeSet<usize> = view.users().map(|(function, _)| function).collect();
    let moved = view.everyone().filter(|touch| {
        let field = touch.field();
        let scales = |value| {
            view.products(value)
                .iter()
                .any(|&(a, b)| view.is_made_from(a, &field) || view.is_made_from(b, &field))
        };
        let is_index =
            |value| (view.is_made_from(value, &field) && scales(value)) || moves_between(view, &field);
        !users.contains(&touch.function)
            && touch.access.slot.is_fixed()
            && touch.write().is_some_and(|(value, _)| is_index(value))
    });
    let moved: Vec<Touch<'_>> = moved.collect();
    let used = |field: &Field| {
        let by = |a, b| view.is_made_from(a, field) || view.is_made_from(b, field);
        !view.touching(field).iter().any(Touch::is_write)
            && view.writes().iter().any(|touch| {
                !touch.access.slot.is_fixed()
                    && touch
                        .write()
                        .is_some_and(|(value, _)| view.products(value).into_iter().any(|(a, b)| by(a, b)))
            })
    };
    let report = |field: &Field| {
        let mut subject = Subject::storage(view, field);
        let writers = moved.iter().filter(|touch| touch.touches(field)).map(Spot::of);
        subject.spots.extend(writers);
        let (variable, writers) = (subject.variable(), subject.writers());
        let story = Story {
            message: format!(
                "a call to {writers} changes `{variable}`, by which all calls of the block scale amounts"
            ),
            label: format!("`{variable}` is moved for everybody"),
            help: "move it rarely, and at the top or the end of a block".to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        };
        subject.finding(rule, vec![field.clone()], story)
    };
    fields(moved.iter().copied()).iter().filter(|field| used(field)).filter_map(report).collect()
}

/// Whether a user function takes from one account what it gives another, and the number scales that amount: a fee is
/// no part of what both have in common.
fn moves_between(view: &ContractView<'_>, index: &Field) -> bool {
    let by = |amount| {
        let scaled = |(a, b)| view.is_made_from(a, index) || view.is_made_from(b, index);
        view.products(amount).into_iter().any(scaled)
    };
    let writes = view.writes();
    writes.iter().any(|taken| {
        let Some((amount, true)) = taken.sum() else { return false };
        let given = |other: &&Touch<'_>| {
            other.function == taken.function
                && other.access.slot.root == taken.access.slot.root
                && other.sum() == Some((amount, false))
        };
        !taken.access.slot.is_fixed() && by(amount) && writes.iter().any(|other| given(&other))
    })
}
