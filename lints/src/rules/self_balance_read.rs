//! ## What it does
//!
//! Finds a user function whose outcome depends on the contract's own ether balance.
//!
//! ## Why it serialises
//!
//! Every payment to or from the contract changes that balance. Payments alone commute, and executors merge them; a call
//! that reads the balance has to wait for all payments before it, and all after it wait for the call.
//!
//! ## Example
//!
//! ```solidity
//! function deposit() external payable {
//!     require(address(this).balance <= cap);
//!     depositOf[msg.sender] += msg.value;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Decide by what belongs to the user: the user's own record, or a share that is fixed for an epoch.
//!
//! ```solidity
//! function deposit() external payable {
//!     depositOf[msg.sender] += msg.value;
//!     require(depositOf[msg.sender] <= capPerAccount);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The function is called rarely.
//! A check that the balance covers the ether that is about to be sent is not reported: the transfer itself implies it.
//!
//! ## Known gaps
//!
//! The balance of the contract in another token is a call to that token, and not looked at here.

use deconflict_analyzer::{BalanceRead, Environment, Escapes, ExprId, Node, Summary};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "N802",
    name: "self-balance-read",
    group: Group::Default,
    summary: "a user function whose outcome depends on the contract's own ether balance",
    source: include_str!("self_balance_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        for read in summary.balance_reads.iter().filter(|read| matters(view, function, read)) {
            let does = "reads the balance as well".to_owned();
            spots.push(Spot { function, position: &read.position, does, rank: Some(0) });
        }
    }
    if spots.is_empty() {
        return Vec::new();
    }
    let subject = Subject { view, field: None, spots };
    let readers = subject.writers();
    let story = Story {
        message: format!(
            "the outcome of {readers} depends on the contract's own ether balance, which every payment changes"
        ),
        label: "waits for every payment before it".to_owned(),
        help: "decide by amounts kept for each user or fixed for an epoch instead of `address(this).balance`"
            .to_owned(),
        notes: vec![format!("payments to and from the contract conflict with {readers:#}")],
        confidence: Confidence::Proved,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}

/// Whether the balance decides more than whether it suffices for what is sent away.
fn matters(view: &ContractView<'_>, function: usize, read: &BalanceRead) -> bool {
    let summary = &view.analysis.summaries[function];
    let expressions = &view.analysis.expressions;
    let own = matches!(expressions.node(read.address), Node::Environment(Environment::Address));
    if !own || read.circumstance.reverts {
        return false;
    }
    let implied = Escapes::CALL.with(Escapes::REQUIRE).with(Escapes::OVERFLOW_CHECK);
    // Where bytes of memory are lost, the words of an error that was not raised seem to be returned.
    let shown = implied.with(Escapes::RETURN).with(Escapes::LOG);
    let covers = read.escapes.is_within(shown)
        && !is_spent_in_part(view, summary, read)
        && is_covered(view, summary, read);
    if covers {
        return false;
    }
    !read.escapes.is_within(implied)
        || (is_spent_whole(summary, read) && !view.checks_caller(function))
        || is_spent_in_part(view, summary, read)
        || is_checked(view, summary, read)
}

/// Whether all that the contract has is sent away, which is more for every payment before.
fn is_spent_whole(summary: &Summary, read: &BalanceRead) -> bool {
    summary.calls.iter().any(|call| call.value == Some(read.value))
}

/// Whether something else than the whole balance is computed from it for a call.
fn is_spent_in_part(view: &ContractView<'_>, summary: &Summary, read: &BalanceRead) -> bool {
    let expressions = &view.analysis.expressions;
    let uses = |word: ExprId| expressions.contains(word, read.value);
    summary.calls.iter().any(|call| {
        call.value.is_some_and(|value| value != read.value && uses(value))
            || uses(call.target)
            || call.arguments.iter().any(|&argument| uses(argument))
    })
}

/// Whether a requirement compares the balance with anything but an amount that is sent.
fn is_checked(view: &ContractView<'_>, summary: &Summary, read: &BalanceRead) -> bool {
    if !read.escapes.intersects(Escapes::REQUIRE) {
        return false;
    }
    let expressions = &view.analysis.expressions;
    let circumstances = summary.calls.iter().map(|call| &call.circumstance).chain([&read.circumstance]);
    let requires = summary.requires.iter().chain(circumstances.flat_map(|it| it.requires.iter()));
    let mut checks =
        requires.filter(|condition| expressions.contains(condition.expression, read.value)).peekable();
    let sent: Vec<ExprId> = summary.calls.iter().filter_map(|call| call.value).collect();
    checks.peek().is_none()
        || checks.any(|check| {
            !sent.iter().any(|&value| {
                expressions.constant(value).is_none() && expressions.contains(check.expression, value)
            })
        })
}

/// Whether what is sent away is compared with the balance.
fn is_covered(view: &ContractView<'_>, summary: &Summary, read: &BalanceRead) -> bool {
    read.escapes.intersects(Escapes::REQUIRE) && !is_checked(view, summary, read)
}
