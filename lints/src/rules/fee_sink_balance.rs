//! ## What it does
//!
//! Finds a mapping entry of one fixed account (a treasury, a fee recipient) that is credited in the same function as
//! the entries of ordinary users.
//!
//! ## Why it serialises
//!
//! Balances of different users are different slots, and calls of different users could run side by side. The entry of
//! the fixed account is the same slot in every call: each one adds to what the call before it stored.
//!
//! ## Example
//!
//! ```solidity
//! function transfer(address to, uint256 amount) external {
//!     uint256 fee = amount / 200;
//!     balanceOf[msg.sender] -= amount;
//!     balanceOf[to] += amount - fee;
//!     balanceOf[treasury] += fee;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Credit the fee where it meets nobody: in a shard that the payer's address picks, or in the payer's own record, and
//! let the treasury pull it from there.
//!
//! ```solidity
//! mapping(uint256 shard => uint256) private feesIn;
//!
//! function transfer(address to, uint256 amount) external {
//!     uint256 fee = amount / 200;
//!     balanceOf[msg.sender] -= amount;
//!     balanceOf[to] += amount - fee;
//!     feesIn[uint160(msg.sender) % 64] += fee;
//! }
//! ```
//!
//! Measured on two threads against plain serial execution, with such a pair of contracts (`fees-shared-sink` and `fees-sharded-sink` in docs/benchmarks.md): 1.34 of its speed before, 1.08 after.
//! The bundled executor merges additions to one word, so that the pot costs it nothing: the rewrite is for engines that do not.
//!
//! ## When to ignore
//!
//! The fee is zero on nearly every call, and the write is skipped then.
//!
//! ## Known gaps
//!
//! A sink in another contract, such as a fee sent to the treasury by a token's `transfer`, is not seen.
//! Where a key before the last one differs from call to call (`balances[token][treasury]`), the finding is `likely`:
//! only calls with the same key meet.

use alloy_primitives::U256;
use deconflict_analyzer::{Effect, ExprId, Projection, Root, Slot, Sources, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B201",
    name: "fee-sink-balance",
    group: Group::Default,
    summary: "a balance of one fixed account that every user's call credits",
    source: include_str!("fee_sink_balance.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let sinks = writes.iter().copied().filter(|touch| {
        is_sink(view, touch)
            && writes.iter().any(|other| other.function == touch.function && is_sibling(view, touch, other))
    });
    fields(sinks).iter().filter_map(|field| report(rule, view, field)).collect()
}

/// The key of a mapping entry, if the path ends at one.
fn mapping_key(touch: &Touch<'_>) -> Option<ExprId> {
    let (key, _) = last_key(&touch.access.slot)?;
    touch.access.slot.path.contains(&Projection::Mapping { key }).then_some(key)
}

fn is_sink(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Effect::Write { form, .. } = &touch.access.effect else { return false };
    let updates =
        matches!(form, WriteForm::Delta { .. } | WriteForm::Increment { .. } | WriteForm::ReadModifyWrite);
    let account = Sources::STORAGE.with(Sources::CODE).with(Sources::IMMUTABLE);
    let is_account =
        |key| view.analysis.expressions.sources(key).is_within(account) && view.is_shared_word(key);
    let is_entry =
        matches!(touch.access.slot.root, Root::Fixed(_)) && mapping_key(touch).is_some_and(is_account);
    // Nobody's entry: what is locked away once, or burnt.
    let nobody = |key: ExprId| view.analysis.expressions.constant(key) == Some(U256::ZERO);
    let is_nobody = mapping_key(touch).is_some_and(nobody)
        || view.names.folded(&touch.access.slot).is_some_and(|entry| entry.key.is_zero());
    updates
        && !is_nobody
        && !view.is_first_time(touch)
        && (is_entry || view.names.folded(&touch.access.slot).is_some())
}

/// Whether `other` writes an entry of the same mapping that the call chooses.
fn is_sibling(view: &ContractView<'_>, sink: &Touch<'_>, other: &Touch<'_>) -> bool {
    let chosen = Sources::CALLER.with(Sources::CALLDATA).with(Sources::TRANSACTION);
    let (sink, slot) = (&sink.access.slot, &other.access.slot);
    let same = place(view, sink) == place(view, slot);
    same && mapping_key(other).is_some_and(|key| view.analysis.expressions.sources(key).intersects(chosen))
}

/// Where the path begins and how long it is, counted from the mapping even where the compiler has hashed a constant key.
fn place(view: &ContractView<'_>, slot: &Slot) -> (Root, usize) {
    let outer = match slot.root {
        Root::Fixed(number) => view.names.folded(&Slot::fixed(number)),
        _ => None,
    };
    match outer {
        Some(entry) => (Root::Fixed(entry.mapping), slot.path.len() + 1),
        None => (slot.root, slot.path.len()),
    }
}

fn report(rule: &Rule, view: &ContractView<'_>, field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{writers:#} credits the same balance, `{variable}`"),
        label: format!("`{variable}` is one slot, whoever calls"),
        help: "credit fees in shards that the payer picks (`feesIn[uint160(msg.sender) % 64]`) or in the payer's own record, and let the recipient pull them".to_owned(),
        notes: Vec::new(),
        confidence: if view.is_shared(&field.slot) { Confidence::Proved } else { Confidence::Likely },
    };
    subject.finding(rule, vec![field.clone()], story)
}
