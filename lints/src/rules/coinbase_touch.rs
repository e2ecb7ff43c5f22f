//! ## What it does
//!
//! Finds a user function that sends ether to `block.coinbase` or looks at its balance.
//!
//! ## Why it serialises
//!
//! The fees of all transactions of the block go to that account. Who reads its balance has to wait for all of them;
//! who pays it writes what all others write as well.
//!
//! ## Example
//!
//! ```solidity
//! function bid() external payable {
//!     block.coinbase.transfer(msg.value);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Pay by the priority fee of the transaction, which engines add up at the end of the block.
//!
//! ```solidity
//! function bid() external {
//!     emit Bid(msg.sender, tx.gasprice - block.basefee);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Bundles of searchers, whose order is fixed anyway.
//!
//! ## Known gaps
//!
//! A payment by another contract is not seen.

use deconflict_analyzer::{Environment, ExprId, Node};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "N801",
    name: "coinbase-touch",
    group: Group::Default,
    summary: "a function that pays the beneficiary of the block or reads its balance",
    source: include_str!("coinbase_touch.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let expressions = &view.analysis.expressions;
    let is_coinbase = |id: ExprId| matches!(expressions.node(id), Node::Environment(Environment::Coinbase));
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        let calls = summary
            .calls
            .iter()
            .filter(|it| !it.circumstance.reverts && it.value.is_some() && is_coinbase(it.target));
        let reads =
            summary.balance_reads.iter().filter(|it| !it.circumstance.reverts && is_coinbase(it.address));
        let positions = calls.map(|it| &it.position).chain(reads.map(|it| &it.position));
        spots.extend(positions.map(|position| Spot {
            function,
            position,
            does: "touches it as well".to_owned(),
            rank: Some(0),
        }));
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("{writers:#} touches the account that all fees of the block go to"),
        label: "the beneficiary of the block".to_owned(),
        help: "pay by the priority fee of the transaction instead".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
