//! ## What it does
//!
//! Finds a sum under a key that the caller chooses, such as a proposal or an option, in a function that marks the
//! caller as having done so once.
//!
//! ## Why it serialises
//!
//! Voters have records of their own, but a vote is about few things at a time: nearly all calls choose the same
//! key, and add to the same slot.
//!
//! ## Example
//!
//! ```solidity
//! function vote(uint256 proposal) external {
//!     require(!hasVoted[proposal][msg.sender]);
//!     hasVoted[proposal][msg.sender] = true;
//!     votesFor[proposal] += weightOf[msg.sender];
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the tally in shards that the voter picks, and add them up when the vote is over.
//!
//! ```solidity
//! function vote(uint256 proposal) external {
//!     require(!hasVoted[proposal][msg.sender]);
//!     hasVoted[proposal][msg.sender] = true;
//!     votesIn[proposal][uint160(msg.sender) % 64] += weightOf[msg.sender];
//! }
//! ```
//!
//! ## When to ignore
//!
//! There are as many keys as callers.
//!
//! ## Known gaps
//!
//! How many keys there are cannot be seen in the code, which is why the finding is `likely`.
//! A vote that leaves no mark of who has voted is no vote but a sum under a key like any other, and not reported.

use alloy_primitives::U256;
use deconflict_analyzer::{Projection, Root, Sources, standards::ADDRESS_BITS};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B209",
    name: "vote-tally",
    group: Group::Default,
    summary: "a tally of few options that every voter adds to",
    source: include_str!("vote_tally.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let tallies = writes.iter().copied().filter(|touch| {
        is_tally(view, touch)
            && writes.iter().any(|other| other.function == touch.function && marks(view, touch, other))
    });
    let mut found = fields(tallies);
    // The options of one vote are one finding.
    found.dedup_by(|later, first| later.slot.root == first.slot.root);
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("calls to {writers} that choose alike add to the same slot, `{variable}`"),
        label: "one slot for all who choose alike".to_owned(),
        help: "keep the tally in shards that the voter picks and add them up when the vote is over"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    })
}

/// Whether it is a sum under a key that the caller chooses and is not.
fn is_tally(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let slot = &touch.access.slot;
    let own = Sources::CALLER.with(Sources::TRANSACTION);
    let chosen = |key| expressions.sources(key).intersects(Sources::CALLDATA);
    // An address is somebody; an option is a number.
    let is_account = |key| expressions.bits(key) == ADDRESS_BITS;
    touch.sum().is_some_and(|(_, subtract)| !subtract)
        && matches!(slot.root, Root::Fixed(_))
        && slot.keys().any(chosen)
        && !slot.keys().any(|key| expressions.sources(key).intersects(own) || is_account(key))
}

/// Whether `other` marks, under the caller and the key of the tally, that the call was made.
fn marks(view: &ContractView<'_>, tally: &Touch<'_>, other: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let by_caller =
        |slot| last_key(slot).is_some_and(|(key, _)| expressions.sources(key).intersects(Sources::CALLER));
    // A mark may be what was chosen.
    let is_choice = |value| tally.access.slot.keys().any(|key| view.parts(value).contains(&view.bare(key)));
    let sets = other.write().is_some_and(|(value, _)| match expressions.constant(value) {
        Some(mark) => mark != U256::ZERO,
        None => is_choice(value),
    });
    let same = tally.access.slot.keys().any(|key| other.access.slot.keys().any(|it| it == key));
    let mapped = other.access.slot.path.iter().any(|step| matches!(step, Projection::Mapping { .. }));
    // Where there is one vote only, a voter is marked without saying for which.
    let only_once = || {
        let conditions = &view.analysis.summaries[other.function].requires;
        let marked = conditions.iter().filter(|condition| !condition.holds);
        marked.flat_map(|condition| view.loads(condition.expression)).any(|load| other.touches(&load))
    };
    sets && mapped && by_caller(&other.access.slot) && (same || only_once())
}
