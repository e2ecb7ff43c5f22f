//! ## What it does
//!
//! Finds totals that user calls add to or take from, and whose ratio, the share of the pool that is lent out, decides
//! what calls pay or whether they pass; and a total of debt by which an index of interest grows over time.
//!
//! ## Why it serialises
//!
//! The rate that a call gets depends on what all calls before it have borrowed and paid back. The totals are the same
//! slots for all of them, and since their ratio is used, the sums cannot be merged.
//!
//! ## Example
//!
//! ```solidity
//! function borrow(uint256 amount) external {
//!     totalBorrows += amount;
//!     require(totalBorrows * 1e18 / (cash + totalBorrows) <= MAX_UTILISATION);
//!     debtOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Fix the rate for an epoch, from the totals of the epoch before, and keep the totals of the running epoch in shards; or
//! split the pool into isolated markets.
//!
//! ```solidity
//! function borrow(uint256 amount) external {
//!     require(utilisationOf[block.timestamp / 1 hours] <= MAX_UTILISATION);
//!     borrowed[uint160(msg.sender) % 64] += amount;
//!     debtOf[msg.sender] += amount;
//! }
//! ```
//!
//! Measured on two threads against plain serial execution, with such a pair of contracts (`lending-shared-index` and `lending-epochs` in docs/benchmarks.md): 0.86 of its speed before, 1.45 after.
//!
//! ## When to ignore
//!
//! The order is inherent in one pool, and the market is small.
//!
//! ## Known gaps
//!
//! A rate that another contract computes from the totals is not seen.

use std::collections::BTreeSet;

use deconflict_analyzer::{ExprId, Node, Sources};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B207",
    name: "pooled-debt-totals",
    group: Group::Default,
    summary: "totals of a lending pool that set the rate of the next call",
    source: include_str!("pooled_debt_totals.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let totals = view.shared_fields(|touch| touch.access.slot.is_fixed() && moves(view, touch));
    let quotients = quotients(view);
    // A pool is one finding, shown where its debt is.
    let rated =
        |total: &&Field| is_rated(view, &quotients, total) || is_used(view, &quotients, &totals, total);
    let Some(first) = totals.iter().filter(|_| totals.len() > 1).find(rated) else {
        return of_interest(rule, view, &totals).into_iter().collect();
    };
    let in_ratio = |total: &&Field| {
        *total == first
            || quotients.iter().any(|&(share, of)| {
                let is_part = view.is_made_from(of, first) || view.is_made_from(share, first);
                is_part && view.is_made_from(of, total)
            })
    };
    let claims: Vec<Field> = totals.iter().filter(in_ratio).cloned().collect();
    let subject = Subject::storage(view, first);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!(
            "{writers:#} moves `{variable}`, whose share of the pool sets the terms of the next"
        ),
        label: format!("`{variable}` is a part of the ratio that the next call is held against"),
        help: "fix the rate for an epoch from the totals of the one before, keep running totals in shards, or isolate markets"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    };
    subject.finding(rule, claims, story).into_iter().collect()
}

/// A total that an index of interest grows by: the next call finds another index for every call that has changed it.
fn of_interest(rule: &Rule, view: &ContractView<'_>, totals: &[Field]) -> Option<Finding> {
    let (total, indexes) = totals.iter().find_map(|total| {
        let indexes = view.shared_fields(|touch| grows_by_interest(view, touch, total));
        (!indexes.is_empty()).then_some((total, indexes))
    })?;
    let subject = Subject::storage(view, total);
    let index = Subject::storage(view, &indexes[0]).variable();
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!(
            "{writers:#} moves `{variable}`, by which the interest in `{index}` grows for the next"
        ),
        label: format!("`{variable}` sets how fast `{index}` grows"),
        help: "fix the rate for an epoch from the total of the one before, and keep the total of the running epoch in shards or by borrower"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    };
    let claims = std::iter::once(total.clone()).chain(indexes).collect();
    subject.finding(rule, claims, story)
}

/// Whether the call raises an index by itself times a time times what is made from the total. Divided by the total it
/// would be a reward per share.
fn grows_by_interest(view: &ContractView<'_>, touch: &Touch<'_>, total: &Field) -> bool {
    let field = touch.field();
    let expressions = &view.analysis.expressions;
    touch.write().is_some_and(|(value, _)| {
        !field.overlaps(total)
            && touch.access.slot.is_fixed()
            && view.is_made_from(value, &field)
            && expressions.sources(value).intersects(Sources::BLOCK)
            && view.products(value).iter().any(|&(a, b)| [a, b].iter().any(|&side| view.is_made_from(side, total)))
            && view.products(value).iter().any(|&(a, b)| [a, b].iter().any(|&side| view.is_made_from(side, &field)))
            && !view.parts(value).into_iter().any(|part| {
                matches!(expressions.node(part), Node::Binary { op: opcode::DIV, b, .. } if view.is_made_from(b, total))
            })
    })
}

/// Whether the call adds to the field or takes from it what the caller chooses, also after interest has been added.
fn moves(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    if touch.sum().is_some_and(|(amount, _)| view.is_chosen(amount)) {
        return true;
    }
    let field = touch.field();
    let expressions = &view.analysis.expressions;
    let is_old = |word| {
        view.is_made_from(word, &field)
            && !view.is_chosen(word)
            && (view.products(word).is_empty() || view.has_time(word))
    };
    let is_amount = |word| view.is_chosen(word) && !view.is_made_from(word, &field);
    touch.write().is_some_and(|(value, _)| match expressions.node(value) {
        Node::Binary { op: opcode::ADD, a, b } => (is_old(a) && is_amount(b)) || (is_old(b) && is_amount(a)),
        Node::Binary { op: opcode::SUB, a, b } => is_old(a) && is_amount(b),
        _ => false,
    })
}

/// The quotients of the contract's user functions: what is stored and what decides.
fn quotients(view: &ContractView<'_>) -> BTreeSet<(ExprId, ExprId)> {
    let expressions = &view.analysis.expressions;
    let mut found = BTreeSet::new();
    for (function, _) in view.users() {
        let stored = view.writes().into_iter().filter(|touch| touch.function == function);
        let stored = stored.filter_map(|touch| touch.write().map(|(value, _)| value));
        let decisive = view.conditions(function).into_iter().map(|condition| condition.expression);
        for word in stored.chain(decisive).collect::<BTreeSet<ExprId>>() {
            for part in view.parts(word) {
                if let Node::Binary { op: opcode::DIV, a, b } = expressions.node(part) {
                    found.insert((a, b));
                }
            }
        }
    }
    found
}

/// Whether the field is a share of a whole that it is a part of: `borrowed / (cash + borrowed)`.
fn is_rated(view: &ContractView<'_>, quotients: &BTreeSet<(ExprId, ExprId)>, field: &Field) -> bool {
    let scaled =
        |word| view.is_made_from(word, field) && view.loads(word).iter().all(|load| load.overlaps(field));
    let whole = |word| {
        view.is_made_from(word, field)
            && view.loads(word).iter().any(|load| !load.overlaps(field) && load.slot.is_fixed())
            && view.products(word).is_empty()
    };
    quotients.iter().any(|&(share, of)| scaled(share) && whole(of))
}

/// Whether the field is a share of another total that bounds it: `borrowed / supplied`, where `borrowed <= supplied`.
fn is_used(
    view: &ContractView<'_>,
    quotients: &BTreeSet<(ExprId, ExprId)>,
    totals: &[Field],
    field: &Field,
) -> bool {
    let only = |word, field: &Field| {
        view.is_made_from(word, field)
            && view.loads(word).iter().all(|load| load.overlaps(field))
            && view.products(word).is_empty()
    };
    let bounds = |total: &Field| {
        let compared = view.users().flat_map(|(function, _)| view.comparisons(function));
        compared
            .filter(|it| !it.is_equality())
            .any(|it| it.sides().into_iter().any(|(share, whole)| only(share, field) && only(whole, total)))
    };
    totals.iter().filter(|total| !total.overlaps(field)).any(|total| {
        quotients.iter().any(|&(share, of)| only(share, field) && only(of, total)) && bounds(total)
    })
}
