//! ## What it does
//!
//! Finds an amount that every call adds to, that is held against a limit, and that starts again when a span of time
//! is over.
//!
//! ## Why it serialises
//!
//! Whether a call passes depends on what all calls before it have used up. The amount is one slot, and because it
//! decides, an executor cannot even merge the additions.
//!
//! ## Example
//!
//! ```solidity
//! function withdraw(uint256 amount) external {
//!     if (block.timestamp >= windowStart + 1 days) {
//!         windowStart = block.timestamp;
//!         used = 0;
//!     }
//!     used += amount;
//!     require(used <= CAP);
//!     pay(msg.sender, amount);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Limit each user or each route on its own, or split the limit over shards that the caller's address picks: 64
//! buckets of a 64th of the limit each.
//!
//! ```solidity
//! mapping(uint256 day => mapping(uint256 shard => uint256)) private used;
//!
//! function withdraw(uint256 amount) external {
//!     uint256 shard = uint160(msg.sender) % 64;
//!     used[block.timestamp / 1 days][shard] += amount;
//!     require(used[block.timestamp / 1 days][shard] <= CAP / 64);
//!     pay(msg.sender, amount);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The limit is a safety net that has to be exact, as that of a bridge.
//!
//! ## Known gaps
//!
//! A limit that is checked by another contract is not seen.

use alloy_primitives::U256;
use deconflict_analyzer::{Effect, ExprId, Node, Sources};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ComparedWords, ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G405",
    name: "global-rate-limit",
    group: Group::Default,
    summary: "a limit on what all users together may do in a span of time",
    source: include_str!("global_rate_limit.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let limited = writes.iter().copied().filter(|touch| {
        view.is_shared(&touch.access.slot)
            && !view.is_once_per_block(touch)
            && is_used_up(view, touch)
            && starts_again(view, &writes, touch)
    });
    report_fields(rule, view, &fields(limited), |variable, writers| Story {
        message: format!("{writers:#} is held against one limit for all, `{variable}`"),
        label: format!("`{variable}` decides whether the next call passes"),
        help: "limit each user or route on its own, or split the limit over shards that the caller picks"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether the call adds an amount, or takes it off, and the sum decides whether the call succeeds.
fn is_used_up(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, _)) = touch.write() else { return false };
    let field = touch.field();
    if takes_from_bucket(view, touch) {
        return true;
    }
    view.is_made_from(value, &field)
        && (touch.sum().is_some() || view.is_chosen(value) || view.may_be_without(value, &field))
        && view.comparisons(touch.function).into_iter().any(|it| is_limit(view, it, &field))
}

/// Whether the call takes an amount from what time has filled up, if there is as much.
fn takes_from_bucket(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, _)) = touch.write() else { return false };
    let field = touch.field();
    let Node::Binary { op: opcode::SUB, a: filled, b: amount } = view.analysis.expressions.node(value) else {
        return false;
    };
    view.is_made_from(filled, &field)
        && view.has_time(filled)
        && view.is_chosen(amount)
        && view.comparisons(touch.function).into_iter().any(|it| {
            // Compilers look at what is left instead of what is taken.
            let taken = |word: ExprId| word == amount || word == value;
            !it.is_equality() && it.sides().into_iter().any(|(left, other)| left == filled && taken(other))
        })
}

/// Whether the sum in `field` is compared with a limit: a constant that is no bound of a type, or other storage.
fn is_limit(view: &ContractView<'_>, comparison: ComparedWords, field: &Field) -> bool {
    let expressions = &view.analysis.expressions;
    let is_own = |word: ExprId| {
        let constant = expressions.constant(word);
        let bound = constant.is_some_and(|it| (it & it.wrapping_add(U256::ONE)).is_zero());
        let stored = !view.loads(word).is_empty() && !view.is_made_from(word, field);
        let immutable = expressions.sources(word).intersects(Sources::IMMUTABLE);
        (constant.is_some() && !bound) || ((stored || immutable) && !view.has_time(word))
    };
    let is_linear = |word: ExprId| {
        let timed = |a, b| view.has_time(a) || view.has_time(b);
        let scaled = |&(a, b): &(ExprId, ExprId)| {
            !timed(a, b) && (view.is_made_from(a, field) || view.is_made_from(b, field))
        };
        view.is_made_from(word, field) && !view.products(word).iter().any(scaled)
    };
    // What is left of the limit, compared with the amount.
    let is_rest = |word: ExprId| match expressions.node(word) {
        Node::Binary { op: opcode::SUB, a, b } => is_own(a) && view.is_made_from(b, field),
        _ => false,
    };
    let sides = comparison.sides();
    !comparison.is_equality()
        && sides.into_iter().any(|(sum, limit)| (is_linear(sum) && is_own(limit)) || is_rest(sum))
}

/// Whether time brings the amount back: it is reset or decays with time, or is kept under a key of time.
fn starts_again(view: &ContractView<'_>, writes: &[Touch<'_>], touch: &Touch<'_>) -> bool {
    let field = touch.field();
    let has_time = |word: ExprId| view.has_time(word);
    let keyed = touch.access.slot.keys().any(has_time);
    let decays = touch.write().is_some_and(|(value, _)| {
        let timed = |a, b| has_time(a) || has_time(b);
        let products = view.products(value);
        has_time(value) && !products.iter().any(|&(a, b)| !timed(a, b) && view.is_made_from(b, &field))
    });
    let reset = |other: &Touch<'_>| {
        let Effect::Write { value, .. } = other.access.effect else { return false };
        let anew = view.is_constant(value) || view.is_block_time(value);
        let timed = || view.conditions(other.function).iter().any(|condition| has_time(condition.expression));
        let first = || !view.is_made_from(value, &field) && view.is_once_per_block(other);
        other.touches(&field) && ((anew && timed()) || first())
    };
    // A reset that meets the sum before it is stored leaves a choice between the old amount and none.
    let chosen = || {
        let timed = view.conditions(touch.function).iter().any(|condition| has_time(condition.expression));
        timed && touch.write().is_some_and(|(value, _)| view.may_be_without(value, &field))
    };
    let timed_by_stamp = || {
        writes.iter().any(|other| {
            other.function == touch.function
                && !other.touches(&field)
                && other.write().is_some_and(|(value, _)| has_time(value))
        })
    };
    keyed
        || decays
        || writes.iter().any(|other| other.function == touch.function && reset(other) && timed_by_stamp())
        || (timed_by_stamp() && chosen())
}
