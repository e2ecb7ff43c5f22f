//! ## What it does
//!
//! Finds functions that book for accounts in their arguments and that one stored or fixed address alone may call, while
//! users cannot do the same themselves.
//!
//! ## Why it serialises
//!
//! All transactions come from one account. Its nonces put them in order, whatever they touch.
//!
//! ## Example
//!
//! ```solidity
//! function settle(address from, address to, uint256 amount) external {
//!     require(msg.sender == operator);
//!     balanceOf[from] -= amount;
//!     balanceOf[to] += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let a set of operators act, or users themselves with a signature of the operator.
//!
//! ```solidity
//! function settle(address from, address to, uint256 amount) external {
//!     require(isOperator[msg.sender]);
//!     balanceOf[from] -= amount;
//!     balanceOf[to] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The operator sends batches, or is a contract that many call. Neither shows in the code, which is why the rule is
//! pedantic.
//!
//! ## Known gaps
//!
//! That the operator sends many transactions is assumed, not known.

use deconflict_analyzer::{Environment, Node, Permission, Sources, Summary, standards::ADDRESS_BITS};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "F904",
    name: "shared-operator",
    group: Group::Pedantic,
    summary: "one account through which all users act",
    source: include_str!("shared_operator.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let users = view.writes();
    let mut spots = Vec::new();
    for touch in view.everyone() {
        let summary = &view.analysis.summaries[touch.function];
        let by_users = users.iter().any(|other| other.access.slot.root == touch.access.slot.root);
        if touch.sum().is_some() && !by_users && is_for_account(view, &touch) && is_of_one(view, summary) {
            spots.push(Spot {
                function: touch.function,
                position: &touch.access.position,
                does: "acts for others as well".to_owned(),
                rank: Some(0),
            });
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("all calls to {writers} come from one account, whose nonces put them in order"),
        label: "books for an account that is not the caller's".to_owned(),
        help: "let a set of operators act, or users themselves with a signature".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}

fn is_for_account(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    touch.access.slot.keys().any(|key| {
        expressions.bits(key) == ADDRESS_BITS
            && expressions.sources(key).is_within(Sources::CALLDATA)
            && expressions.sources(key).intersects(Sources::CALLDATA)
    })
}

/// Whether one address alone may call, rather than whoever has a role.
fn is_of_one(view: &ContractView<'_>, summary: &Summary) -> bool {
    let expressions = &view.analysis.expressions;
    let Permission::Restricted(any) = &summary.permission else { return false };
    let [condition] = any.as_slice() else { return false };
    let is_caller = |word| matches!(expressions.node(word), Node::Environment(Environment::Caller));
    match expressions.node(condition.expression) {
        Node::Binary { op: opcode::EQ, a, b } if condition.holds => {
            (is_caller(a) || is_caller(b))
                && view.loads(condition.expression).iter().all(|load| load.slot.is_fixed())
        }
        _ => false,
    }
}
