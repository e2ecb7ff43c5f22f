//! ## What it does
//!
//! Finds a user function that sends ether on to a fixed account.
//!
//! ## Why it serialises
//!
//! Every call raises the balance of the same account. Balances only add up, and engines that know it run the calls
//! side by side; others do not.
//!
//! ## Example
//!
//! ```solidity
//! function buy() external payable {
//!     boughtBy[msg.sender] += msg.value;
//!     treasury.transfer(msg.value);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the ether in the contract, and send it on once in a while.
//!
//! ```solidity
//! function buy() external payable {
//!     boughtBy[msg.sender] += msg.value;
//! }
//!
//! function sweep() external {
//!     treasury.transfer(address(this).balance);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The engine merges balance updates, as most do: the rule is pedantic.
//!
//! ## Known gaps
//!
//! Ether that another contract forwards is not seen.

use deconflict_analyzer::Sources;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "N803",
    name: "eth-sink",
    group: Group::Pedantic,
    summary: "ether that every call forwards to one account",
    source: include_str!("eth_sink.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        for it in summary.calls.iter().filter(|it| !it.circumstance.reverts) {
            if it.value.is_some_and(|value| !view.is_constant(value)) && {
                let account = Sources::STORAGE.with(Sources::IMMUTABLE);
                view.analysis.expressions.sources(it.target).is_within(account)
                    && view.is_shared_word(it.target)
            } {
                spots.push(Spot {
                    function,
                    position: &it.position,
                    does: "pays it as well".to_owned(),
                    rank: Some(0),
                });
            }
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("{writers:#} sends ether to the same account"),
        label: "raises the same balance in every call".to_owned(),
        help: "keep the ether in the contract and send it on once in a while".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
