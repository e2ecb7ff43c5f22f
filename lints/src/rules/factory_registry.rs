//! ## What it does
//!
//! Finds an array to which a function appends that creates a contract.
//!
//! ## Why it serialises
//!
//! Creations by different senders could run side by side under salted addresses. The list puts them in one order:
//! each reads its length, and stores where the last one stopped.
//!
//! ## Example
//!
//! ```solidity
//! function createPair(address a, address b) external {
//!     address pair = address(new Pair{salt: keccak256(abi.encode(a, b))}());
//!     allPairs.push(pair);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Emit an event, and let indexers list what was created. Keep a mapping where the chain has to know whether an
//! address is one of them.
//!
//! ```solidity
//! function createPair(address a, address b) external {
//!     address pair = address(new Pair{salt: keccak256(abi.encode(a, b))}());
//!     isPair[pair] = true;
//!     emit PairCreated(a, b, pair);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Creations are rare.
//!
//! ## Known gaps
//!
//! A contract created in the length of another call is not connected with the list.

use super::array_push::resizes;
use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "F902",
    name: "factory-registry",
    group: Group::Default,
    summary: "a list of all contracts that a factory has created",
    source: include_str!("factory_registry.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let creates = |touch: &Touch<'_>| {
        view.analysis.summaries[touch.function].creations.iter().any(|it| !it.circumstance.reverts)
    };
    let found = fields(resizes(view).into_iter().filter(creates));
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} appends what it creates to the same list, `{variable}`"),
        label: "reads and writes the length of the list".to_owned(),
        help:
            "emit an event and let indexers list what was created; keep a mapping where the chain has to know"
                .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}
