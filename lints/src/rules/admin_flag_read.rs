//! ## What it does
//!
//! Finds a variable that user functions only check, such as `paused`, and that only an administrator writes.
//!
//! ## Why it serialises
//!
//! Readers do not stand in one another's way. The call that sets it does: in its block, all calls that check it come
//! before it or wait for it.
//!
//! ## Example
//!
//! ```solidity
//! function setPaused(bool value) external onlyOwner {
//!     paused = value;
//! }
//!
//! function transfer(address to, uint256 amount) external {
//!     require(!paused);
//!     move(msg.sender, to, amount);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Fix at deployment what does not have to change. What has to change takes effect at a later block, under a key of its
//! own, so that a call that sets it writes what no call of this block reads.
//!
//! ```solidity
//! mapping(uint256 era => bool) private pausedIn;
//!
//! function setPaused(bool value) external onlyOwner {
//!     pausedIn[block.number / 64 + 1] = value;
//! }
//!
//! function transfer(address to, uint256 amount) external {
//!     require(!pausedIn[block.number / 64]);
//!     move(msg.sender, to, amount);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: administrators act rarely, and reading costs no parallelism. This is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! Whether the administrator acts rarely does not show in the code.

use std::collections::BTreeSet;

use deconflict_analyzer::Escapes;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G403",
    name: "admin-flag-read",
    group: Group::Pedantic,
    summary: "a switch that an administrator sets and that all calls check",
    source: include_str!("admin_flag_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let own: BTreeSet<_> = view.writes().iter().map(|it| (it.function, it.access.position.pc)).collect();
    let set: Vec<Touch<'_>> = view
        .everyone()
        .filter(|touch| {
            touch.is_write()
                && touch.access.slot.is_fixed()
                && !own.contains(&(touch.function, touch.access.position.pc))
        })
        .collect();
    let mut found = fields(set.iter().copied());
    found.retain(|field| is_checked(view, field));
    let report = |field: &Field| {
        let mut subject = Subject::storage(view, field);
        let readers = subject.functions(|_| true);
        subject.spots.extend(set.iter().filter(|touch| touch.touches(field)).map(Spot::of));
        let (variable, writers) = (subject.variable(), subject.writers());
        let story = Story {
            message: format!("a call to {writers} sets `{variable}`, which calls to {readers} check"),
            label: format!("`{variable}` changes for everybody"),
            help: "fix it at deployment, or let the change take effect at a later block".to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        };
        subject.finding(rule, vec![field.clone()], story)
    };
    found.iter().filter_map(report).collect()
}

/// Whether users pass or fail by it, use it for nothing else, and never write it.
fn is_checked(view: &ContractView<'_>, field: &Field) -> bool {
    let touching = view.touching(field);
    let mut escapes = Escapes::default();
    for touch in &touching {
        escapes = escapes.with(view.escapes(touch.function, field));
    }
    let decides = Escapes::REQUIRE.with(Escapes::BRANCH);
    view.all_known
        && !touching.iter().any(Touch::is_write)
        && escapes.intersects(decides)
        && escapes.is_within(decides.with(Escapes::LOG).with(Escapes::RETURN))
}
