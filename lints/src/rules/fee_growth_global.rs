//! ## What it does
//!
//! Finds a variable that grows by an amount of the call divided by a total that calls change: fees per unit of
//! liquidity, dividends per share.
//!
//! ## Why it serialises
//!
//! Every call divides by what the total is then, and adds to what all others add to. Two slots order all calls.
//!
//! ## Example
//!
//! ```solidity
//! function swap(uint256 amount) external {
//!     feeGrowth += amount * FEE * 1e18 / liquidity;
//! }
//!
//! function provide(uint256 amount) external {
//!     liquidity += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Collect the amounts of an epoch in shards, and divide once when the epoch is over.
//!
//! ```solidity
//! function swap(uint256 amount) external {
//!     feesIn[epoch()][uint160(msg.sender) % 64] += amount * FEE;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The growth is what prices each call, as in a pool.
//!
//! ## Known gaps
//!
//! A growth over time is reported as `reward-accumulator`.

use deconflict_analyzer::WriteForm;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "A603",
    name: "fee-growth-global",
    group: Group::Default,
    summary: "a growth per unit that every call adds its share to",
    source: include_str!("fee_growth_global.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let totals =
        view.shared_fields(|touch| view.moved(touch).is_some_and(|(amount, _)| view.is_chosen(amount)));
    let is_growth = |touch: &Touch<'_>| {
        let (field, form) = (touch.field(), touch.write().map(|(_, form)| form));
        matches!(form, Some(WriteForm::Delta { .. } | WriteForm::Increment { .. }))
            && touch.sum().is_some_and(|(amount, _)| {
                !view.has_time(amount)
                    && view.is_chosen(amount)
                    && view.products(amount).iter().any(|&(_, divisor)| {
                        totals
                            .iter()
                            .any(|total| !total.overlaps(&field) && view.is_made_from(divisor, total))
                    })
            })
    };
    let found = view.shared_fields(is_growth);
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} adds its share of a total that calls change to `{variable}`"),
        label: format!("`{variable}` grows by an amount divided by a shared total"),
        help: "collect the amounts of an epoch in shards and divide once when it is over".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}
