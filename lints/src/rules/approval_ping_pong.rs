//! ## What it does
//!
//! Finds an allowance that a call sets before it calls another contract and sets to zero after, in its own storage or in
//! that of a token.
//!
//! ## Why it serialises
//!
//! The allowance is needed only during the call, but it is stored. For a token, the entry belongs to the contract that
//! approves, and is one slot for all its users.
//!
//! ## Example
//!
//! ```solidity
//! function zap(address router, uint256 amount, bytes calldata data) external {
//!     token.approve(router, amount);
//!     router.call(data);
//!     token.approve(router, 0);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Use a token's temporary approvals (ERC-7674), or transfer to the router and let it give back what is left.
//!
//! ```solidity
//! function zap(address router, uint256 amount, bytes calldata data) external {
//!     token.temporaryApprove(router, amount);
//!     router.call(data);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The token has no temporary approvals, which is so for nearly all: this is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! What the second call to the token does is not always known; then two calls around a third are taken for the pattern.

use alloy_primitives::U256;
use deconflict_analyzer::{Call, CallKind, ExprId, Position, standards::APPROVE};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "T1103",
    name: "approval-ping-pong",
    group: Group::Pedantic,
    summary: "an allowance that is given and taken back within one call",
    source: include_str!("approval_ping_pong.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = own(view);
    for (function, summary) in view.users() {
        if let Some(call) = of_token(view, &summary.calls) {
            spots.push(spot(function, &call.position));
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("a call to {writers} gives an allowance and takes it back"),
        label: "stored for the time of one call".to_owned(),
        help: "use temporary approvals (ERC-7674), or transfer and let what is left be given back".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}

fn spot(function: usize, position: &Position) -> Spot<'_> {
    Spot { function, position, does: "does so as well".to_owned(), rank: Some(0) }
}

/// Entries under two keys that a call sets, and sets to zero, around calls of others.
fn own<'a>(view: &ContractView<'a>) -> Vec<Spot<'a>> {
    let expressions = &view.analysis.expressions;
    let writes = view.writes();
    let is_zero = |touch: &Touch<'_>| {
        touch.write().is_some_and(|(value, _)| expressions.constant(value) == Some(U256::ZERO))
    };
    let is_given = |touch: &&Touch<'_>| {
        touch.access.slot.keys().count() > 1
            && !is_zero(touch)
            && !view.analysis.summaries[touch.function].calls.is_empty()
            && writes.iter().any(|other| {
                other.function == touch.function
                    && other.access.slot == touch.access.slot
                    && other.access.position != touch.access.position
                    && is_zero(other)
            })
    };
    writes.iter().filter(is_given).map(|touch| spot(touch.function, &touch.access.position)).collect()
}

/// The approval of a token that is called again, by other means, after somebody else was called.
fn of_token<'a>(view: &ContractView<'_>, calls: &'a [Call]) -> Option<&'a Call> {
    let expressions = &view.analysis.expressions;
    let is_zero =
        |word: Option<&ExprId>| word.is_some_and(|&it| expressions.constant(it) == Some(U256::ZERO));
    let live = || calls.iter().filter(|call| call.kind == CallKind::Call && !call.circumstance.reverts);
    let mut given = live().filter(|call| call.selector == Some(APPROVE) && !is_zero(call.arguments.get(1)));
    given.find(|call| {
        let others = || live().filter(|it| it.position != call.position);
        others().any(|it| it.target != call.target)
            && others().any(|it| {
                let takes_back = it.selector == Some(APPROVE) && is_zero(it.arguments.get(1));
                it.target == call.target && (takes_back || it.selector.is_none())
            })
    })
}
