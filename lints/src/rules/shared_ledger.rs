//! ## What it does
//!
//! Finds a contract that keeps many pools under keys, and beside them amounts by token that calls on different pools move:
//! protocol fees or reserves of a token.
//!
//! ## Why it serialises
//!
//! Calls on different pools could run side by side. But pools that have a token in common, and most have one of a few, meet
//! in that token's entry.
//!
//! ## Example
//!
//! ```solidity
//! function swap(bytes32 id, address token, uint256 amount) external {
//!     pools[id].reserve += amount;
//!     protocolFees[token] += amount / 1000;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the ledger by pool, and add up when fees are collected.
//!
//! ```solidity
//! function swap(bytes32 id, address token, uint256 amount) external {
//!     pools[id].reserve += amount;
//!     pools[id].fees += amount / 1000;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Few pools have a token in common.
//!
//! ## Known gaps
//!
//! How many pools share a token cannot be seen in the code, which is why the finding is `likely`.

use deconflict_analyzer::{CallKind, Root, Sources, standards::ADDRESS_BITS};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "A605",
    name: "shared-ledger",
    group: Group::Default,
    summary: "a ledger by token that all pools of one contract share",
    source: include_str!("shared_ledger.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let shared = writes.iter().copied().filter(|touch| {
        is_ledger(view, touch)
            && writes.iter().any(|pool| {
                pool.function == touch.function
                    && pool.access.slot.root != touch.access.slot.root
                    && pool.access.slot.keys().next() != touch.access.slot.keys().next()
                    && (is_pool(view, pool) || is_of_token(view, pool, touch))
            })
    });
    let mut found = fields(shared);
    found.dedup_by(|later, first| later.slot.root == first.slot.root);
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("calls to {writers} on different pools meet in the ledger `{variable}`"),
        label: "one entry for all pools that have this key in common".to_owned(),
        help: "keep the ledger by pool and add up when it is collected, or keep deltas in transient storage"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    })
}

/// Whether it is a word of a pool under a key: its new value is priced by what was there.
fn is_pool(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let slot = &touch.access.slot;
    let own = |key| expressions.sources(key).intersects(Sources::CALLER);
    let Some((value, _)) = touch.write() else { return false };
    let of_pool = |word| {
        view.loads(word).iter().any(|load| load.slot.root == slot.root && load.slot.keys().eq(slot.keys()))
    };
    let priced = view.products(value).into_iter().any(|(a, b)| of_pool(a) && view.is_chosen(b) || of_pool(b));
    matches!(slot.root, Root::Fixed(_)) && slot.keys().next().is_some() && !slot.keys().any(own) && priced
}

/// Whether it is a word of a pool that the key of the ledger takes part in: the hash that the pool is found under is made
/// from it, or it is the token that is paid with.
fn is_of_token(view: &ContractView<'_>, pool: &Touch<'_>, ledger: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let slot = &pool.access.slot;
    let own = |key| expressions.sources(key).intersects(Sources::CALLER);
    let Some(pool_key) = slot.keys().next() else { return false };
    let is_hash = expressions.bits(pool_key) > ADDRESS_BITS;
    let token_of = |key| {
        let token = view.bare(key);
        let mut calls = view.analysis.summaries[ledger.function].calls.iter();
        let paid = calls.any(|call| call.kind == CallKind::Call && view.bare(call.target) == token);
        paid || view.parts(pool_key).contains(&token)
    };
    matches!(slot.root, Root::Fixed(_))
        && is_hash
        && view.is_chosen(pool_key)
        && !slot.keys().any(own)
        && pool.sum().is_some()
        && ledger.sum().is_some_and(|(amount, _)| !view.is_constant(amount))
        && ledger.access.slot.keys().any(token_of)
}

/// Whether it is a sum under one key that calls choose and are not.
fn is_ledger(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let slot = &touch.access.slot;
    let keys: Vec<_> = slot.keys().collect();
    let [key] = keys.as_slice() else { return false };
    touch.sum().is_some()
        && matches!(slot.root, Root::Fixed(_))
        && expressions.sources(*key).is_within(Sources::CALLDATA)
        && expressions.sources(*key).intersects(Sources::CALLDATA)
        && expressions.bits(*key) == ADDRESS_BITS
}
