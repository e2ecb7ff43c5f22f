//! ## What it does
//!
//! Finds a user function that creates a contract by `new C()` without a salt.
//!
//! ## Why it serialises
//!
//! The address of what `CREATE` makes is a hash of the creator and of its nonce, the number of contracts that it
//! has created. Every call gets another address depending on how many came before, so they run one after the other,
//! and so does whatever is keyed by the new address.
//!
//! ## Example
//!
//! ```solidity
//! function open() external returns (Account account) {
//!     account = new Account(msg.sender);
//!     accountOf[msg.sender] = account;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Create with a salt that the sender is part of. The nonce is still counted up, but nothing depends on it.
//!
//! ```solidity
//! function open() external returns (Account account) {
//!     bytes32 salt = bytes32(uint256(uint160(msg.sender)));
//!     account = new Account{salt: salt}(msg.sender);
//!     accountOf[msg.sender] = account;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Creations are rare.
//!
//! ## Known gaps
//!
//! A creation by a library that is reached by `DELEGATECALL` is not seen.

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "F901",
    name: "create-nonce-address",
    group: Group::Default,
    summary: "a contract created under an address that depends on all creations before it",
    source: include_str!("create_nonce_address.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        for creation in summary.creations.iter().filter(|it| it.salt.is_none() && !it.circumstance.reverts) {
            let does = "creates a contract as well".to_owned();
            spots.push(Spot { function, position: &creation.position, does, rank: Some(0) });
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("{writers:#} creates a contract whose address depends on how many came before"),
        label: "the address is a hash of the creator's nonce".to_owned(),
        help: "create with a salt that the sender is part of (`new C{salt: …}(…)`, `CREATE2`)".to_owned(),
        notes: vec![format!(
            "two calls to {writers} always conflict on the nonce of the contract, whoever sends them"
        )],
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
