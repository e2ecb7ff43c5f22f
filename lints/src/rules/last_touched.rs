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
//! A number that a call stores and does nothing else is taken for a setting that is free for all.
//! A function that asks who calls, in whatever way, is taken for one of few callers.
//! A time or block number is not reported under the profile `net-change`: all calls of a block store the same.

use deconflict_analyzer::{ByteRange, Escapes, ExprId, Node, Sources, WriteForm, standards::ADDRESS_BITS};

use super::shared_text::is_text;
use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ComparedWords, ContractView, Field, Touch},
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
        _ if view.is_first_time(touch) || view.is_appended(touch) => false,
        Some((value, WriteForm::Plain)) => {
            is_who(view, value) || is_brought(view, touch, value) || (keys_count && view.is_block_time(value))
        }
        // The content of a text comes with its length, which says what has to be cleared.
        Some((value, _)) => is_text(view, touch) && is_brought(view, touch, value),
        None => false,
    });
    // A text is one thing, though its length and its content are parts of a word.
    for field in &mut found {
        if view.touching(field).iter().any(|touch| is_text(view, touch)) {
            field.bytes = ByteRange::WORD;
        }
    }
    found.dedup();
    found.retain(|field| is_blind(view, field));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} overwrites `{variable}`"),
        label: format!("`{variable}` is one slot, and the last call of all wins"),
        help: "emit an event instead, or store it in the record of the user".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether it is what the call brings along, whoever calls: nobody is asked who they are.
fn is_brought(view: &ContractView<'_>, touch: &Touch<'_>, value: ExprId) -> bool {
    let given = Sources::CALLDATA.with(Sources::CALL_VALUE);
    view.analysis.expressions.sources(value).intersects(given)
        && (is_text(view, touch) || keeps_record(view, touch.function))
        && !view.checks_caller(touch.function)
        && !is_vouched_for(view, touch.function)
}

/// Whether the call does something for its caller, so that what it leaves behind is what the last one did.
fn keeps_record(view: &ContractView<'_>, function: usize) -> bool {
    let is_own = |key: ExprId| view.analysis.expressions.sources(key).intersects(Sources::CALLER);
    view.writes().iter().any(|it| it.function == function && it.access.slot.keys().any(is_own))
}

/// Whether somebody with a permission has signed the call: the answer of another contract has to be a certain address.
fn is_vouched_for(view: &ContractView<'_>, function: usize) -> bool {
    let expressions = &view.analysis.expressions;
    let is_answer = |word: ExprId| {
        view.parts(word).iter().any(|&part| matches!(expressions.node(part), Node::ReturnWord { .. }))
    };
    // A flag or a selector is no address.
    let is_address = |word| {
        expressions.constant(word).is_none_or(|it| (64..=ADDRESS_BITS as usize).contains(&it.bit_len()))
    };
    let given = Sources::CALLDATA.with(Sources::CALLER).with(Sources::RETURN_DATA);
    let compared = view.comparisons(function).into_iter().filter(|it| it.is_equality());
    compared.flat_map(ComparedWords::sides).any(|(answer, holder)| {
        is_answer(answer) && !expressions.sources(holder).intersects(given) && is_address(holder)
    })
}

/// Whether it is the caller.
fn is_who(view: &ContractView<'_>, value: ExprId) -> bool {
    let who = Sources::CALLER.with(Sources::TRANSACTION);
    let sources = view.analysis.expressions.sources(value);
    sources.intersects(who) && sources.is_within(who.with(Sources::BLOCK))
}

/// Whether no user function needs what stands there, and all replace it.
fn is_blind(view: &ContractView<'_>, field: &Field) -> bool {
    let touching = view.touching(field);
    let is_text = touching.iter().any(|touch| is_text(view, touch));
    // To replace a text is to look up how long it was.
    let replaces = |function: usize| touching.iter().any(|it| it.function == function && it.is_write());
    let mut all = touching.iter();
    view.all_known
        && all.all(|touch| match touch.write() {
            Some((_, form)) => is_text || matches!(form, WriteForm::Plain),
            None => {
                (is_text && replaces(touch.function))
                    || view.escapes(touch.function, field).is_within(Escapes::RETURN.with(Escapes::LOG))
            }
        })
}
