//! ## What it does
//!
//! Finds a function that asks whether a reentrancy guard in storage is set without setting it: a protection against
//! reading in the middle of another call.
//!
//! ## Why it serialises
//!
//! An engine that tracks stored keys takes each guarded call for a write to the lock, and each such read for one that has
//! to wait for it. What was free of conflicts, a mere view, then waits for every deposit and withdrawal.
//!
//! ## Example
//!
//! ```solidity
//! function price() external view returns (uint256) {
//!     require(status != ENTERED);
//!     return reserves * 1e18 / shares;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the lock in transient storage, where nothing outlives a transaction.
//!
//! ```solidity
//! bool transient entered;
//!
//! function price() external view returns (uint256) {
//!     require(!entered);
//!     return reserves * 1e18 / shares;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The contract runs on engines that compare values only: there the lock ends each call as it began.
//!
//! ## Known gaps
//!
//! A lock that another contract holds is not seen.

use deconflict_analyzer::{Effect, Escapes, NetZero, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G406",
    name: "guarded-view",
    group: Group::Default,
    summary: "a read of a lock that other functions set during their calls",
    source: include_str!("guarded_view.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let is_guard = |touch: &Touch<'_>| {
        matches!(touch.write(), Some((_, WriteForm::NetZero(NetZero::Guard))))
            && view.is_shared(&touch.access.slot)
    };
    let guards = fields(view.writes().into_iter().filter(is_guard));
    guards.iter().filter_map(|guard| report(rule, view, guard)).collect()
}

/// Whether the lock decides in a call, and not only what is packed beside it.
fn asks_for(view: &ContractView<'_>, function: usize, guard: &Field) -> bool {
    let mut conditions = view.conditions(function).into_iter();
    conditions.any(|it| view.loads(it.expression).iter().any(|load| load.overlaps(guard)))
}

fn report(rule: &Rule, view: &ContractView<'_>, guard: &Field) -> Option<Finding> {
    let decides = Escapes::REQUIRE.with(Escapes::BRANCH);
    let touching: Vec<Touch<'_>> = view.everyone().filter(|touch| touch.touches(guard)).collect();
    let locks = |function: usize| touching.iter().any(|touch| touch.function == function && touch.is_write());
    let asks = |touch: &&Touch<'_>| match touch.access.effect {
        Effect::Read { escapes, .. } => {
            escapes.intersects(decides) && !locks(touch.function) && asks_for(view, touch.function, guard)
        }
        Effect::Write { .. } => false,
    };
    let spots = touching.iter().filter(asks).map(|touch| Spot {
        function: touch.function,
        position: &touch.access.position,
        does: "asks as well".to_owned(),
        rank: Some(0),
    });
    let subject = Subject { view, field: Some(guard.clone()), spots: spots.collect() };
    let (variable, readers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("calls to {readers} wait for every call that locks `{variable}`"),
        label: format!("reads `{variable}`, which each guarded call stores"),
        help: "keep the lock in transient storage: a `transient` variable (Solidity 0.8.28)".to_owned(),
        notes: vec![view.settings.profile.of_unchanged("the lock")],
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story)
}
