//! ## What it does
//!
//! Finds a balance that a call charges by the gas it has used, under a key that is not the caller: the deposit of a
//! paymaster or a relayer in an entry point.
//!
//! ## Why it serialises
//!
//! Many users have their gas paid by few sponsors. All calls that one sponsor pays for write the same slot, and what
//! they write is known only when they have run.
//!
//! ## Example
//!
//! ```solidity
//! function handle(address sponsor, address target, bytes calldata data)
//!     external
//! {
//!     uint256 before = gasleft();
//!     target.call(data);
//!     depositOf[sponsor] -= (before - gasleft()) * tx.gasprice;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Spread a sponsor's deposit over several accounts, and let each call name the one that its sender picks; or charge a
//! batch once.
//!
//! ```solidity
//! function handle(address sponsor, address target, bytes calldata data)
//!     external
//! {
//!     uint256 before = gasleft();
//!     target.call(data);
//!     spentOf[sponsor][msg.sender] += (before - gasleft()) * tx.gasprice;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Each sponsor pays for its own calls only.
//!
//! ## Known gaps
//!
//! How many calls share a sponsor cannot be seen in the code, which is why the finding is `likely`.
//! A charge that does not depend on gas or its price is not reported.

use deconflict_analyzer::{Environment, Node, Root, Sources, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B208",
    name: "gas-deposit",
    group: Group::Default,
    summary: "a deposit of one account that pays for the gas of many calls",
    source: include_str!("gas_deposit.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let charged: Vec<Touch<'_>> = view.writes().into_iter().filter(|touch| is_charged(view, touch)).collect();
    let report = |field: &Field| {
        let mut subject = Subject::storage(view, field);
        // What fills the deposit up takes part, but it is not what is shown.
        for spot in &mut subject.spots {
            let charges = charged.iter().any(|touch| touch.access.position == *spot.position);
            spot.rank = spot.rank.filter(|_| charges);
        }
        let (variable, writers) = (subject.variable(), subject.writers());
        let story = Story {
            message: format!(
                "calls to {writers} that one account pays for all charge the same slot, `{variable}`"
            ),
            label: format!("`{variable}` pays for the gas of many calls"),
            help: "spread a sponsor's deposit over several accounts, or book what each sender has used and settle it later"
                .to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Likely,
        };
        subject.finding(rule, vec![field.clone()], story)
    };
    fields(charged.iter().copied()).iter().filter_map(report).collect()
}

fn is_charged(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    // Gas that was used, or the price that the transaction pays for it.
    let by_gas = |word| {
        expressions.sources(word).intersects(Sources::GAS)
            || view
                .parts(word)
                .iter()
                .any(|&part| matches!(expressions.node(part), Node::Environment(Environment::GasPrice)))
    };
    let own = Sources::CALLER.with(Sources::TRANSACTION);
    let slot = &touch.access.slot;
    let moved = match touch.write() {
        Some((
            _,
            WriteForm::Delta { amount, subtract: true, .. } | WriteForm::Increment { amount, subtract: true },
        )) => Some(*amount),
        Some((value, WriteForm::ReadModifyWrite)) => Some(value),
        _ => None,
    };
    matches!(slot.root, Root::Fixed(_))
        && slot.keys().next().is_some()
        && !slot.keys().any(|key| expressions.sources(key).intersects(own))
        && moved.is_some_and(by_gas)
}
