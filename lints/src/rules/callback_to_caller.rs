//! ## What it does
//!
//! Finds a user function that calls its caller: hooks of tokens, flash loans, withdrawals by `call`.
//!
//! ## Why it serialises
//!
//! What the caller's code touches is not known from this contract. Where the caller is an account without code, it
//! touches nothing.
//!
//! ## Example
//!
//! ```solidity
//! function withdraw(uint256 amount) external {
//!     balanceOf[msg.sender] -= amount;
//!     (bool ok,) = msg.sender.call{value: amount}("");
//!     require(ok);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let the receiver pull, and say in the documentation which functions call back.
//!
//! ```solidity
//! function withdraw(uint256 amount) external {
//!     balanceOf[msg.sender] -= amount;
//!     claimOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: a scheduler resolves the callback when it knows the sender, which is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A callback through another contract is not seen.

use deconflict_analyzer::{Environment, Node};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X705",
    name: "callback-to-caller",
    group: Group::Pedantic,
    summary: "a call back into whoever called",
    source: include_str!("callback_to_caller.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        for it in summary.calls.iter().filter(|it| !it.circumstance.reverts) {
            if matches!(view.analysis.expressions.node(it.target), Node::Environment(Environment::Caller)) {
                spots.push(Spot {
                    function,
                    position: &it.position,
                    does: "calls back as well".to_owned(),
                    rank: Some(0),
                });
            }
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("a call to {writers} calls back into its caller"),
        label: "runs the code of whoever called".to_owned(),
        help: "let the receiver pull, or say which functions call back".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
