//! ## What it does
//!
//! Finds a state variable that a user call moves on when a point in time has passed: a phase, a round, an open or closed
//! state.
//!
//! ## Why it serialises
//!
//! All calls read the phase, and the one that comes first writes it. Whoever schedules must expect each call around that
//! time to be the one, and puts all others behind it.
//!
//! ## Example
//!
//! ```solidity
//! function bid() external payable {
//!     if (block.number > phaseEnd) {
//!         phase += 1;
//!         phaseEnd = block.number + 100;
//!     }
//!     bids[phase][msg.sender] += msg.value;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Compute the phase from the time: nobody has to write it.
//!
//! ```solidity
//! function phase() public view returns (uint256) {
//!     return (block.number - start) / 100;
//! }
//!
//! function bid() external payable {
//!     bids[phase()][msg.sender] += msg.value;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Phases are long, and a keeper moves them on at the top of a block.
//!
//! ## Known gaps
//!
//! A phase that only functions of an administrator move on is not reported, nor is one that is stored as the time itself.

use deconflict_analyzer::{Condition, Escapes, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G404",
    name: "user-advanced-phase",
    group: Group::Default,
    summary: "a phase that the first call after a point in time moves on",
    source: include_str!("user_advanced_phase.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let moved = view.writes().into_iter().filter(|touch| is_moved_on(view, touch));
    let mut found = fields(moved);
    found.retain(|field| is_needed(view, field));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!(
            "the first call to {writers} after a point in time moves `{variable}` on for all others"
        ),
        label: format!("`{variable}` changes because time has passed"),
        help: "compute it from the time or number of the block in a view, so that nobody has to write it"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    })
}

/// Whether time decides that a constant is stored, or that the word is counted on, beside what the call is for.
fn is_moved_on(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, form)) = touch.write() else { return false };
    let steps = match form {
        WriteForm::Delta { amount, subtract: false, .. }
        | WriteForm::Increment { amount, subtract: false } => view.is_constant(*amount),
        WriteForm::Plain => view.is_constant(value),
        _ => false,
    };
    let timed = |condition: &Condition| view.has_time(condition.expression);
    steps
        && touch.access.slot.is_fixed()
        && !touch.access.circumstance.repeated
        && touch.access.circumstance.when.iter().any(timed)
}

/// Whether calls are decided or keyed by the field, rather than merely told about it.
fn is_needed(view: &ContractView<'_>, field: &Field) -> bool {
    let decisive = Escapes::REQUIRE.with(Escapes::BRANCH).with(Escapes::KEY);
    let added = |touch: &Touch<'_>| {
        touch.is_write()
            && touch.write().is_some_and(|(value, _)| view.is_chosen(value) || view.has_time(value))
    };
    let touching = view.touching(field);
    touching.iter().any(|touch| view.escapes(touch.function, field).intersects(decisive))
        // What also takes in amounts is a total that starts again, which other rules know.
        && !touching.iter().any(added)
}
