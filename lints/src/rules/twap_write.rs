//! ## What it does
//!
//! Finds a sum to which the first call of a block adds the price, a ratio of what calls move, times the time that has
//! passed.
//!
//! ## Why it serialises
//!
//! The first transaction of a block that gets here writes the sum; all later ones only read the time. It is one more slot
//! that the first one writes, beside reserves that order all of them anyway.
//!
//! ## Example
//!
//! ```solidity
//! uint256 passed = block.timestamp - lastTime;
//! if (passed > 0) priceCumulative += reserve1 * 2 ** 112 / reserve0 * passed;
//! lastTime = block.timestamp;
//! ```
//!
//! ## Rewrite
//!
//! Keep the sum and its time in a slot of their own, and compute it when it is asked for; or let a keeper touch the pool at
//! the top of a block.
//!
//! ```solidity
//! function observe() external {
//!     priceCumulative += price() * (block.timestamp - lastTime);
//!     lastTime = block.timestamp;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: it is written once a block, which is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A ring of observations, as in Uniswap's third version, is reported as what its index is.

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "A602",
    name: "twap-write",
    group: Group::Pedantic,
    summary: "a running sum of prices over time beside the reserves",
    source: include_str!("twap_write.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let moved = view.shared_fields(|touch| touch.write().is_some_and(|(value, _)| view.is_chosen(value)));
    let sums = view.writes().into_iter().filter(|touch| {
        let field = touch.field();
        let ratio = |a, b| {
            // Members that one store writes at once are told apart by what was loaded.
            let of = |word| {
                view.loads(word)
                    .into_iter()
                    .find(|load| !load.overlaps(&field) && moved.iter().any(|it| it.overlaps(load)))
            };
            matches!((of(a), of(b)), (Some(a), Some(b)) if a != b)
        };
        view.is_shared(&touch.access.slot)
            && touch.write().is_some_and(|(value, _)| {
                view.has_time(value)
                    && view.is_made_from(value, &field)
                    && view.products(value).into_iter().any(|(a, b)| ratio(a, b))
            })
    });
    report_fields(rule, view, &fields(sums), |variable, writers| Story {
        message: format!("calls to {writers} add the price over time to `{variable}`"),
        label: format!("the first call of a block brings `{variable}` up to date"),
        help: "keep it in a slot of its own and bring it up to date when it is asked for".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}
