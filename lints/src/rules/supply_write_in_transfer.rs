//! ## What it does
//!
//! Finds a token whose `transfer` or `transferFrom` changes the total supply, as a token that burns a part of each
//! transfer does.
//!
//! ## Why it serialises
//!
//! Transfers between different accounts touch different balances and can run side by side.
//! The supply is one slot: with it in every transfer, all transfers of the token run one after the other, and
//! transfers are what a token is used for most.
//!
//! ## Example
//!
//! ```solidity
//! function transfer(address to, uint256 amount) external returns (bool) {
//!     uint256 burnt = amount / 100;
//!     balanceOf[msg.sender] -= amount;
//!     balanceOf[to] += amount - burnt;
//!     totalSupply -= burnt;
//!     return true;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Collect what is burnt in shards that the sender picks, and take it off the supply in a function that somebody
//! calls now and then.
//! `totalSupply()` subtracts the shards, so that it stays exact.
//!
//! ```solidity
//! mapping(uint256 shard => uint256) private burntIn;
//!
//! function transfer(address to, uint256 amount) external returns (bool) {
//!     uint256 burnt = amount / 100;
//!     balanceOf[msg.sender] -= amount;
//!     balanceOf[to] += amount - burnt;
//!     burntIn[uint160(msg.sender) % 64] += burnt;
//!     return true;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The token is rarely transferred, or the fee is zero on nearly every transfer and the write is skipped then.
//!
//! ## Known gaps
//!
//! Functions are told by the selectors of ERC-20. A transfer under another name is reported as
//! `global-accumulator`.
//! A burn by a transfer to the address zero is not reported.

use deconflict_analyzer::{
    Sources,
    standards::{ADDRESS_BITS, TOKEN_TRANSFERS, TOTAL_SUPPLY},
};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C103",
    name: "supply-write-in-transfer",
    group: Group::Default,
    summary: "a transfer of a token that changes the total supply",
    source: include_str!("supply_write_in_transfer.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let supply = view.returned_by(TOTAL_SUPPLY);
    let found = view.shared_fields(|touch| {
        let transfers = view.selector(touch.function).is_some_and(|it| TOKEN_TRANSFERS.contains(&it));
        let is_supply = supply.iter().any(|field| touch.touches(field));
        transfers
            && !is_burn(view, touch)
            && touch
                .sum()
                .is_some_and(|(amount, subtract)| is_supply || (subtract && !view.is_constant(amount)))
    });
    report_fields(rule, view, &found, |variable, writers| {
        Story {
        message: format!("{writers:#} changes the supply of the token, `{variable}`"),
        label: format!("`{variable}` is read and written here by every transfer"),
        help: "collect what is burnt in shards that the sender picks (`burntIn[uint160(msg.sender) % 64] += burnt`) and settle them in a function of its own".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
    })
}

/// Whether the transfer goes to the address zero here: who does that burns, and calls it a transfer.
fn is_burn(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    touch.access.circumstance.when.iter().any(|condition| {
        let recipient = condition.expression;
        !condition.holds
            && expressions.bits(recipient) == ADDRESS_BITS
            && expressions.sources(recipient).is_within(Sources::CALLDATA)
    })
}
