//! ## What it does
//!
//! Finds functions that ordinary callers send ether to, and that book it.
//!
//! ## Why it serialises
//!
//! Each such call adds to the balance of one account, the contract. An executor that takes balances for plain words puts
//! all of them in a row; one that adds payments up, as nearly all do, runs them side by side.
//!
//! ## Example
//!
//! ```solidity
//! function deposit() external payable {
//!     balanceOf[msg.sender] += msg.value;
//! }
//! ```
//!
//! ## Rewrite
//!
//! None is needed where payments are added up. For an engine that does not, take a token instead, wrapped ether for one:
//! its ledger has an entry for each sender, and the contract books who has paid without holding ether itself.
//!
//! ```solidity
//! function deposit(uint256 amount) external {
//!     balanceOf[msg.sender] += amount;
//!     wrapped.transferFrom(msg.sender, vaultOf[msg.sender], amount);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: whether it costs anything depends on the engine and not on the code, which is why the rule is pedantic.
//! A function that also reads the balance is the business of `self-balance-read`.
//!
//! ## Known gaps
//!
//! Ether that arrives and is not booked, or all of which is passed on in the same call, is not reported.

use deconflict_analyzer::{Environment, Node, Sources};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "N804",
    name: "payable-self-credit",
    group: Group::Pedantic,
    summary: "ether that calls leave in the contract",
    source: include_str!("payable_self_credit.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let expressions = &view.analysis.expressions;
    let is_whole = |word| matches!(expressions.node(word), Node::Environment(Environment::CallValue));
    // What is left of a part is passed on where it is made from the whole.
    let is_rest = |word| match expressions.node(word) {
        Node::Binary { op: opcode::SUB, a, .. } => is_whole(a),
        _ => false,
    };
    let passed_on = |function: usize| {
        let calls = view.analysis.summaries[function].calls.iter().filter_map(|call| call.value);
        let parts: Vec<_> =
            calls.filter(|&it| expressions.sources(it).intersects(Sources::CALL_VALUE)).collect();
        parts.iter().any(|&it| is_whole(it)) || (parts.len() > 1 && parts.iter().any(|&it| is_rest(it)))
    };
    let writes = view.writes();
    let booked = writes.iter().filter(|touch| {
        let Some((value, _)) = touch.write() else { return false };
        expressions.sources(value).intersects(Sources::CALL_VALUE) && !passed_on(touch.function)
    });
    let spots = booked.map(|touch| Spot {
        function: touch.function,
        position: &touch.access.position,
        does: "takes ether as well".to_owned(),
        rank: Some(0),
    });
    let subject = Subject { view, field: None, spots: spots.collect() };
    let takers = subject.writers();
    let story = Story {
        message: format!("calls to {takers} leave ether in one account, this contract"),
        label: "books what arrives with the call".to_owned(),
        help: "nothing, where an executor adds payments up; else take a token, whose ledger has an entry for each sender"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
