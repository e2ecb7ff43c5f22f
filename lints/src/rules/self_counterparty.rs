//! ## What it does
//!
//! Finds a mapping from account to amount in which the contract keeps an entry of its own that user functions add
//! to or take from.
//! A balance in a token of the same project counts as well: there the finding is on the line that calls the token.
//!
//! ## Why it serialises
//!
//! Balances of different users are different slots.
//! The entry of the contract is one slot for all: whoever buys from it, sells to it or pays it a fee waits for
//! everybody else who does.
//!
//! ## Example
//!
//! ```solidity
//! function buy() external payable {
//!     uint256 amount = msg.value * rate;
//!     balanceOf[address(this)] -= amount;
//!     balanceOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the stock in several places, and let the caller draw from the one that its address picks; mint and burn
//! instead of moving a stock; or keep stock in lots that are sold one by one.
//!
//! ```solidity
//! mapping(uint256 shard => uint256) private stockIn;
//!
//! function buy() external payable {
//!     uint256 amount = msg.value * rate;
//!     stockIn[uint160(msg.sender) % 64] -= amount;
//!     balanceOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The contract's own entry moves on rare paths only, such as a liquidation.
//!
//! ## Known gaps
//!
//! Calls to a token are followed only where one contract of the project alone can be meant.
//! Where a key before the last one differs from call to call, the finding is `likely`: only calls with the same key
//! meet.

use deconflict_analyzer::{Environment, ExprId, Node, Projection, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B203",
    name: "self-counterparty",
    group: Group::Default,
    summary: "a mapping entry of the contract itself that every call moves",
    source: include_str!("self_counterparty.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let own = view.writes().into_iter().filter(|touch| is_own_entry(view, touch));
    report_fields(rule, view, &fields(own), |variable, writers| {
        Story {
        message: format!("{writers:#} moves the contract's own balance, `{variable}`"),
        label: format!("`{variable}` is one slot, whoever calls"),
        help: "keep the stock in shards that the caller picks (`stockIn[uint160(msg.sender) % 64]`), or mint and burn instead of moving a stock".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
    })
}

fn is_own_entry(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((_, form)) = touch.write() else { return false };
    let updates =
        matches!(form, WriteForm::Delta { .. } | WriteForm::Increment { .. } | WriteForm::ReadModifyWrite);
    let slot = &touch.access.slot;
    let is_self = |key: ExprId| {
        matches!(view.analysis.expressions.node(key), Node::Environment(Environment::Address))
            && slot.path.contains(&Projection::Mapping { key })
    };
    updates && view.is_shared(slot) && slot.keys().any(is_self)
}
