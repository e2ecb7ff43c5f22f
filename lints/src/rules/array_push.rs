//! ## What it does
//!
//! Finds a storage array that user functions append to or pop from.
//!
//! ## Why it serialises
//!
//! `push` reads the array's length, writes the element after the last one, and stores the new length. The length is
//! one slot that every call reads and writes, and the element's slot depends on every call before: two calls from
//! different users always conflict, and merging the length cannot help, since the element has to go somewhere.
//!
//! ## Example
//!
//! ```solidity
//! address[] public players;
//!
//! function enter() external payable {
//!     players.push(msg.sender);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Key the record by what the call brings along, and emit an event for whoever needs the list.
//!
//! ```solidity
//! mapping(address player => bool) public hasEntered;
//!
//! function enter() external payable {
//!     hasEntered[msg.sender] = true;
//!     emit Entered(msg.sender);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The array is short-lived or rarely appended to.
//!
//! ## Known gaps
//!
//! Arrays that are reached through a mapping key are not reported, although all calls with one key share a length.

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "E501",
    name: "array-push",
    group: Group::Default,
    summary: "a storage array that every call appends to",
    source: include_str!("array_push.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = fields(resizes(view));
    found.iter().filter_map(|field| report(rule, view, field)).collect()
}

/// The writes of users that change the length of an array by one and write an element where the old length points.
pub(super) fn resizes<'a>(view: &ContractView<'a>) -> Vec<Touch<'a>> {
    let writes = view.writes();
    let is_resize = |touch: &Touch<'a>| {
        let slot = &touch.access.slot;
        let length = touch.field();
        view.steps_by_one(touch)
            && slot.is_fixed()
            && writes.iter().any(|element| {
                element.function == touch.function
                    && view
                        .element(&element.access.slot)
                        .is_some_and(|it| it.length == *slot && view.is_made_from(it.index, &length))
            })
    };
    writes.iter().copied().filter(is_resize).collect()
}

fn report(rule: &Rule, view: &ContractView<'_>, field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (array, writers) = (subject.list(), subject.writers());
    let story = Story {
        message: format!("{writers:#} changes the length of the same array, `{array}`"),
        label: format!("reads and writes the length of `{array}`, and an element whose slot depends on it"),
        help: "key the record by the sender or by an identifier from the call, and emit an event for whoever needs the list".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![field.clone()], story)
}
