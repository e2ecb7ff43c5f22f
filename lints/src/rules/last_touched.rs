//! ## What it does
//!
//! Finds a variable that user functions overwrite and no user function reads: the last caller, the last amount, the
//! last order.
//!
//! ## Why it serialises
//!
//! Nobody waits for the old value, but the order of the stores decides which one stays, so that an engine has to
//! keep them in order.
//!
//! ## Example
//!
//! ```solidity
//! function poke() external {
//!     pokesOf[msg.sender] += 1;
//!     lastCaller = msg.sender;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Emit an event, or store it in the record of the user.
//!
//! ```solidity
//! function poke() external {
//!     pokesOf[msg.sender] += 1;
//!     emit Poked(msg.sender);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The engine keeps versions of a slot, so that blind stores do not wait for each other.
//!
//! ## Known gaps
//!
//! An amount or a name that calls overwrite is not reported.
//! A time or block number is not reported under the profile `net-change`: all calls of a block store the same.

use deconflict_analyzer::{Escapes, ExprId, Sources, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C108",
    name: "last-touched",
    group: Group::Default,
    summary: "a variable that every call overwrites with who called or what it brought",
    source: include_str!("last_touched.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let keys_count = view.settings.profile == crate::settings::Profile::WriteKey;
    let mut found = view.shared_fields(|touch| match touch.write() {
        Some((value, WriteForm::Plain)) => {
            is_who(view, value) || is_copied(view, touch, value) || (keys_count && view.is_block_time(value))
        }
        _ => false,
    });
    found.retain(|field| is_blind(view, field));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("every call to {writers} overwrites `{variable}`"),
        label: format!("`{variable}` is one slot, and the last call of all wins"),
        help: "emit an event instead, or store it in the record of the user".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether it is what the call also stores for its caller: the variable repeats the last of these records.
fn is_copied(view: &ContractView<'_>, touch: &Touch<'_>, value: ExprId) -> bool {
    let is_own = |key: ExprId| view.analysis.expressions.sources(key).intersects(Sources::CALLER);
    view.is_chosen(value)
        && view.writes().iter().any(|other| {
            other.function == touch.function
                && other.access.slot.keys().any(is_own)
                && other.write().is_some_and(|(stored, _)| stored == value)
        })
}

/// Whether it is the caller: amounts and names that anybody may set are variables like any other.
fn is_who(view: &ContractView<'_>, value: ExprId) -> bool {
    let who = Sources::CALLER.with(Sources::TRANSACTION);
    let sources = view.analysis.expressions.sources(value);
    sources.intersects(who) && sources.is_within(who.with(Sources::BLOCK))
}

/// Whether no user function needs what stands there, and all replace it.
fn is_blind(view: &ContractView<'_>, field: &Field) -> bool {
    view.touching(field).iter().all(|touch| match touch.write() {
        Some((_, form)) => matches!(form, WriteForm::Plain),
        None => view.escapes(touch.function, field).is_within(Escapes::RETURN.with(Escapes::LOG)),
    })
}
