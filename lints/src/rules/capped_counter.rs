//! ## What it does
//!
//! Finds a sum or a count for all users that a call checks against a cap, and a stock that only goes down and is
//! checked before.
//!
//! ## Why it serialises
//!
//! Far from the cap the sum commutes, but the check reads it: what a call is allowed to do depends on all calls
//! before it.
//!
//! ## Example
//!
//! ```solidity
//! function buy(uint256 amount) external payable {
//!     require(sold + amount <= CAP);
//!     sold += amount;
//!     boughtBy[msg.sender] += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Give each shard of callers a quota of its own, move quota between shards now and then, or check the cap when
//! purchases are settled.
//!
//! ```solidity
//! function buy(uint256 amount) external payable {
//!     uint256 shard = uint160(msg.sender) % 64;
//!     require(soldIn[shard] + amount <= CAP / 64);
//!     soldIn[shard] += amount;
//!     boughtBy[msg.sender] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The cap has to be exact and first come, first served.
//!
//! ## Known gaps
//!
//! A cap that is the length of an array is reported as `array-push`.

use alloy_primitives::U256;
use deconflict_analyzer::{Escapes, ExprId, Permission, standards::TOTAL_SUPPLY};

use super::redundant_hot_check::is_asked;
use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ComparedWords, ContractView, Field, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C109",
    name: "capped-counter",
    group: Group::Default,
    summary: "a total that is held against a cap",
    source: include_str!("capped_counter.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let harmless = Escapes::STORE_BACK
        .with(Escapes::OVERFLOW_CHECK)
        .with(Escapes::REQUIRE)
        .with(Escapes::BRANCH)
        .with(Escapes::LOG);
    let found = view.shared_fields(|touch| {
        if runs_out(view, touch) {
            return true;
        }
        let adds = touch.sum().is_some_and(|(_, subtract)| !subtract);
        let (function, field) = (touch.function, touch.field());
        let escapes = view.escapes(function, &field);
        adds && escapes.intersects(Escapes::REQUIRE)
            && escapes.is_within(harmless)
            && view.comparisons(function).into_iter().any(|it| is_cap(view, it, &field))
    });
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} is held against the same cap by `{variable}`"),
        label: format!("`{variable}` decides whether the next call passes"),
        help:
            "split the cap into quotas for shards that the caller picks, or check it when calls are settled"
                .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether the call takes an amount from a stock that no user fills up, and asks first whether there is as much.
fn runs_out(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let field = touch.field();
    let takes = |it: &Touch<'_>| {
        it.sum().is_some_and(|(amount, subtract)| subtract && !view.is_constant(amount)) && is_asked(view, it)
    };
    // What a token burns was minted by somebody.
    let is_supply = || view.returned_by(TOTAL_SUPPLY).iter().any(|supply| supply.overlaps(&field));
    let mut writes = view.touching(&field).into_iter().filter(Touch::is_write);
    view.all_known
        && takes(touch)
        && writes.all(|write| takes(&write))
        && !is_supply()
        && !is_filled(view, &field)
}

/// Whether a contract that the code names fills the stock up, as a token does for whoever sends some.
fn is_filled(view: &ContractView<'_>, field: &Field) -> bool {
    let in_code = |function: usize| match &view.analysis.summaries[function].permission {
        Permission::Restricted(any) => any.iter().all(|it| view.loads(it.expression).is_empty()),
        Permission::Anyone => false,
    };
    view.everyone().any(|touch| {
        touch.touches(field)
            && touch.sum().is_some_and(|(amount, subtract)| !subtract && view.is_chosen(amount))
            && in_code(touch.function)
    })
}

/// Whether it is a constant, and no bound of a type.
fn is_limit(view: &ContractView<'_>, word: ExprId) -> bool {
    let bound = |it: U256| (it & it.wrapping_add(U256::ONE)).is_zero();
    view.is_constant(word) && view.analysis.expressions.constant(word).is_none_or(|it| !bound(it))
}

/// Whether the sum is compared with something that is not the sum, nor only what is added.
fn is_cap(view: &ContractView<'_>, comparison: ComparedWords, field: &Field) -> bool {
    let limits = |word| {
        !view.is_made_from(word, field)
            && (!view.loads(word).is_empty() || is_limit(view, word))
            && !view.has_time(word)
    };
    !comparison.is_equality()
        && comparison.sides().into_iter().any(|(sum, cap)| view.is_made_from(sum, field) && limits(cap))
}
