//! ## What it does
//!
//! Finds the total supply of a token that functions for everybody change, outside of transfers.
//!
//! ## Why it serialises
//!
//! The supply is one slot: all mints and burns meet there.
//!
//! ## Example
//!
//! ```solidity
//! function deposit() external payable {
//!     balanceOf[msg.sender] += msg.value;
//!     totalSupply += msg.value;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Most tokens can be left as they are: the standard wants the number, and transfers never touch it. Where minting
//! is what users do all the time, count in shards and add them up in `totalSupply()`.
//!
//! ```solidity
//! function deposit() external payable {
//!     balanceOf[msg.sender] += msg.value;
//!     supplyIn[uint160(msg.sender) % 64] += msg.value;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always, which is why the rule is pedantic: by default the variable is reported as `global-accumulator`.
//!
//! ## Known gaps
//!
//! The supply is told by the selector of `totalSupply()`.

use deconflict_analyzer::standards::TOTAL_SUPPLY;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C104",
    name: "supply-on-mint",
    group: Group::Pedantic,
    summary: "a supply that users move by minting and burning",
    source: include_str!("supply_on_mint.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let supply = view.returned_by(TOTAL_SUPPLY);
    let found =
        view.shared_fields(|touch| touch.sum().is_some() && supply.iter().any(|field| touch.touches(field)));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} moves the supply, `{variable}`"),
        label: format!("`{variable}` is one slot for all who mint or burn"),
        help: "leave it, or count in shards that `totalSupply()` adds up".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}
