//! ## What it does
//!
//! Finds a list that user functions remove from by moving its last element into the gap and shortening it.
//!
//! ## Why it serialises
//!
//! Each removal reads the length and the last element, writes the element that is removed, and writes the length.
//! The last element belongs to somebody who has nothing to do with the call. All removals run one after the other.
//!
//! ## Example
//!
//! ```solidity
//! function leave(uint256 at) external {
//!     require(players[at] == msg.sender);
//!     players[at] = players[players.length - 1];
//!     players.pop();
//! }
//! ```
//!
//! ## Rewrite
//!
//! Leave gaps: mark the element as removed, and let whoever reads the list skip it. Or give each user a list of
//! their own.
//!
//! ```solidity
//! function leave(uint256 at) external {
//!     require(players[at] == msg.sender);
//!     delete players[at];
//! }
//! ```
//!
//! ## When to ignore
//!
//! Removals are rare, or made by an administrator.
//!
//! ## Known gaps
//!
//! Lists that keep the place of each member beside them are reported as `enumerable-set`.
//! Lists that are reached through a mapping key are not reported.

use deconflict_analyzer::Slot;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "E503",
    name: "swap-and-pop",
    group: Group::Default,
    summary: "a list whose removals move the last element into the gap",
    source: include_str!("swap_and_pop.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let shrinks = writes.iter().copied().filter(|length| {
        view.steps_down(length)
            && view.is_shared(&length.access.slot)
            && writes
                .iter()
                .any(|moved| moved.function == length.function && is_moved(view, moved, &length.field()))
    });
    report_fields(rule, view, &fields(shrinks), |variable, writers| {
        let list = variable.strip_suffix(".length").unwrap_or(variable);
        Story {
            message: format!("{writers:#} changes the end of the same list, `{list}`"),
            label: format!("removals from `{list}` move its last element and shorten it"),
            help: "mark elements as removed and leave the gap, or give each user a list of their own"
                .to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        }
    })
}

/// Whether `touch` stores an element that was loaded from the end of the same list, whose length is in `length`.
fn is_moved(view: &ContractView<'_>, touch: &Touch<'_>, length: &Field) -> bool {
    let Some((value, _)) = touch.write() else { return false };
    let at_end = |slot: &Slot| last_key(slot).is_some_and(|(key, _)| view.is_made_from(key, length));
    let slot = &touch.access.slot;
    let list = view.element(slot).map(|it| it.length);
    view.loads(value).iter().any(|load| {
        let alike = load.slot.root == slot.root && load.slot.path.len() == slot.path.len();
        let last = view.element(&load.slot).filter(|it| view.is_made_from(it.index, length));
        (last_key(slot).is_some() && alike && at_end(&load.slot))
            || last.is_some_and(|it| Some(it.length) == list)
    })
}
