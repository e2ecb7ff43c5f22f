//! ## What it does
//!
//! Finds a store that happens, or happens as often as it does, depending on the gas that is left.
//!
//! ## Why it serialises
//!
//! What the call writes then depends on its gas limit and on the price of everything before. A scheduler cannot know it
//! from input and state, and has to expect either way.
//!
//! ## Example
//!
//! ```solidity
//! function work(uint256 from) external {
//!     for (uint256 i = from; gasleft() > 50_000; i++) done[i] = true;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let the caller say how much is to be done.
//!
//! ```solidity
//! function work(uint256 from, uint256 to) external {
//!     for (uint256 i = from; i < to; i++) done[i] = true;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Keepers call it, with gas to spare. Such loops are rare in what users call, which is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A check that makes the call fail for want of gas is not reported: what fails writes nothing.

use deconflict_analyzer::{Condition, Sources};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X708",
    name: "gas-dependent-path",
    group: Group::Pedantic,
    summary: "stores that depend on how much gas is left",
    source: include_str!("gas_dependent_path.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = Vec::new();
    for touch in view.writes() {
        let by_gas = |condition: &Condition| {
            view.analysis.expressions.sources(condition.expression).intersects(Sources::GAS)
        };
        if touch.access.circumstance.when.iter().any(by_gas) {
            spots.push(Spot {
                function: touch.function,
                position: &touch.access.position,
                does: "writes depending on gas as well".to_owned(),
                rank: Some(0),
            });
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("what a call to {writers} writes depends on how much gas is left"),
        label: "happens only with enough gas".to_owned(),
        help: "let the caller say how much is to be done".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
