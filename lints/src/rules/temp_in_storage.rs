//! ## What it does
//!
//! Finds a state variable that a call sets and puts back before it ends: a context for a callback, a borrower during a
//! flash loan, a rate that is swapped in and out.
//!
//! ## Why it serialises
//!
//! For the length of each call the value is in a slot that all calls share, and every call writes it. An executor that
//! compares values at the end of a transaction sees that nothing changed; one that takes every stored key for a write
//! runs the calls one after the other. The stores cost gas on both.
//!
//! ## Example
//!
//! ```solidity
//! address private borrower;
//!
//! function flash(uint256 amount) external {
//!     borrower = msg.sender;
//!     IBorrower(msg.sender).onFlashLoan(amount);
//!     borrower = address(0);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Hand the value over in memory or in calldata, or keep it in transient storage.
//!
//! ```solidity
//! address private transient borrower;
//! ```
//!
//! ## When to ignore
//!
//! The chain has no transient storage (before the Cancun fork), or the executor drops writes that change nothing.
//!
//! ## Known gaps
//!
//! A temporary that is kept in each caller's own record is not reported: callers do not meet there.

use deconflict_analyzer::{NetZero, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "T1101",
    name: "temp-in-storage",
    group: Group::Default,
    summary: "a state variable that is set during a call and put back before it ends",
    source: include_str!("temp_in_storage.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let is_temporary = |touch: &Touch<'_>| {
        let form = touch.write().map(|(_, form)| form);
        let temporary = matches!(form, Some(WriteForm::NetZero(NetZero::Cleared | NetZero::Restored)));
        temporary && view.is_shared(&touch.access.slot)
    };
    let found = fields(view.writes().into_iter().filter(is_temporary));
    found
        .iter()
        .filter(|field| never_changes(view, field))
        .filter_map(|field| report(rule, view, field))
        .collect()
}

/// Whether no user ever leaves another value in the field: else it is a variable like any other.
fn never_changes(view: &ContractView<'_>, field: &Field) -> bool {
    view.all_known && view.touching(field).iter().filter(|touch| touch.is_write()).all(Touch::is_net_zero)
}

fn report(rule: &Rule, view: &ContractView<'_>, field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{writers:#} sets the same slot, `{variable}`, and puts it back"),
        label: format!("`{variable}` is needed only until the call ends"),
        help: "hand the value over in memory or calldata, or make the variable `transient` (Solidity 0.8.28)"
            .to_owned(),
        notes: vec![view.settings.profile.of_unchanged("the slot")],
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![field.clone()], story)
}
