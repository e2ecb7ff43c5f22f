//! ## What it does
//!
//! Finds a reentrancy guard kept in storage: a slot that the call locks, and unlocks again before it ends.
//!
//! ## Why it serialises
//!
//! Every guarded function reads and writes the same slot, so each conflicts with every other.
//! An executor that compares values at the end of a transaction sees that nothing changed and lets calls run side by
//! side; one that takes every stored key for a write does not. The two stores cost gas on both.
//! Which of them it is, the setting `profile` says: under `net-change` the finding is about gas and counts no waves, under
//! `write-key` it says how many calls wait.
//!
//! ## Example
//!
//! ```solidity
//! uint256 private status = 1;
//!
//! modifier nonReentrant() {
//!     require(status != 2);
//!     status = 2;
//!     _;
//!     status = 1;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the lock in transient storage, which no other transaction can see: a `transient` variable (Solidity 0.8.28),
//! `ReentrancyGuardTransient` from `@openzeppelin/contracts`, or the transient guards of solmate and solady.
//!
//! ```solidity
//! bool private transient entered;
//!
//! modifier nonReentrant() {
//!     require(!entered);
//!     entered = true;
//!     _;
//!     entered = false;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The chain has no transient storage (before the Cancun fork), or the executor drops writes that change nothing.
//!
//! ## Known gaps
//!
//! A guard that some successful path leaves locked is not recognised as one.

use deconflict_analyzer::{NetZero, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G401",
    name: "storage-reentrancy-guard",
    group: Group::Default,
    summary: "a reentrancy guard in storage, which every guarded function locks and unlocks",
    source: include_str!("storage_reentrancy_guard.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let is_guard = |touch: &Touch<'_>| {
        matches!(touch.write(), Some((_, WriteForm::NetZero(NetZero::Guard))))
            && view.is_shared(&touch.access.slot)
    };
    let found = fields(view.writes().into_iter().filter(is_guard));
    found.iter().filter_map(|field| report(rule, view, field)).collect()
}

fn report(rule: &Rule, view: &ContractView<'_>, field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{writers:#} locks and unlocks the same slot, `{variable}`"),
        label: format!("`{variable}` is locked here and unlocked at the end of the call"),
        help: "keep the lock in transient storage: a `transient` variable (Solidity 0.8.28) or OpenZeppelin's `ReentrancyGuardTransient`".to_owned(),
        notes: vec![view.settings.profile.of_unchanged("the lock")],
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![field.clone()], story)
}
