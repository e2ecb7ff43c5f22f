//! ## What it does
//!
//! Finds a `SELFDESTRUCT` that an ordinary user can reach.
//!
//! ## Why it serialises
//!
//! It writes the whole account: balance, and where the contract was created in the same transaction also code,
//! nonce and all storage. Every other call of the contract conflicts with it.
//!
//! ## Example
//!
//! ```solidity
//! function finish(address payable to) external {
//!     selfdestruct(to);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Send the balance away and mark the contract as finished, or leave it to an administrator.
//!
//! ```solidity
//! function finish(address payable to) external {
//!     isFinished = true;
//!     to.transfer(address(this).balance);
//! }
//! ```
//!
//! ## When to ignore
//!
//! A contract that lives for one transaction.
//!
//! ## Known gaps
//!
//! A destruction in a library that is reached by `DELEGATECALL` is not seen.

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "F905",
    name: "selfdestruct-redeploy",
    group: Group::Default,
    summary: "a function for users that destroys its contract",
    source: include_str!("selfdestruct_redeploy.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        let reached = summary.self_destructs.iter().filter(|it| !it.circumstance.reverts);
        let does = "destroys it as well";
        spots.extend(reached.map(|it| Spot {
            function,
            position: &it.position,
            does: does.to_owned(),
            rank: Some(0),
        }));
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("a call to {writers} destroys the contract, which every other call conflicts with"),
        label: "writes the whole account".to_owned(),
        help: "send the balance away and mark the contract as finished, or leave it to an administrator"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
