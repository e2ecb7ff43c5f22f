//! ## What it does
//!
//! Finds a user function that depends on the ether balance of an account that is the same in all calls.
//!
//! ## Why it serialises
//!
//! Whatever pays that account, or is paid by it, changes what these calls see. A payment, which would otherwise commute
//! with everything, becomes something to wait for.
//!
//! ## Example
//!
//! ```solidity
//! function claim() external {
//!     require(treasury.balance > 1 ether);
//!     claimed[msg.sender] += 1;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Ask for what the contract itself keeps track of, or let whoever pays say that there is enough.
//!
//! ```solidity
//! function claim() external {
//!     require(open);
//!     claimed[msg.sender] += 1;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The account is rarely paid, which does not show in the code: this is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! The contract's own balance is the business of `self-balance-read`, the coinbase's of `coinbase-touch`.

use deconflict_analyzer::{Escapes, ExprId, Node, Sources};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "N805",
    name: "shared-account-read",
    group: Group::Pedantic,
    summary: "a read of the balance of one account for all",
    source: include_str!("shared_account_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let expressions = &view.analysis.expressions;
    let known = |address: ExprId| {
        let named = Sources::STORAGE.with(Sources::IMMUTABLE);
        let is_other =
            !view.parts(address).iter().any(|&part| matches!(expressions.node(part), Node::Environment(_)));
        is_other
            && expressions.sources(address).is_within(named)
            && view.loads(address).iter().all(|load| load.slot.is_fixed())
    };
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        for read in summary.balance_reads.iter().filter(|read| known(read.address)) {
            if read.escapes != Escapes::default() && !read.escapes.is_within(Escapes::LOG) {
                spots.push(Spot {
                    function,
                    position: &read.position,
                    does: "reads it as well".to_owned(),
                    rank: Some(0),
                });
            }
        }
    }
    let subject = Subject { view, field: None, spots };
    let readers = subject.writers();
    let story = Story {
        message: format!("calls to {readers} depend on the balance of an account that others pay"),
        label: "changes with every payment to or from that account".to_owned(),
        help: "ask for what the contract itself keeps track of".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
