//! ## What it does
//!
//! Finds a loop over a list in storage that credits an entry of each member, or sends each of them ether.
//!
//! ## Why it serialises
//!
//! One call writes the balances of all members. It conflicts with everything that any of them does, and grows with
//! the list until it no longer fits into a block.
//!
//! ## Example
//!
//! ```solidity
//! function distribute() external payable {
//!     for (uint256 i = 0; i < holders.length; i++) {
//!         balanceOf[holders[i]] += msg.value / holders.length;
//!     }
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let each member pull: raise one index, and settle a member's share when the member calls.
//!
//! ```solidity
//! function distribute() external payable {
//!     paidPerHolder += msg.value / holderCount;
//! }
//!
//! function claim() external {
//!     balanceOf[msg.sender] += paidPerHolder - claimedPerHolder[msg.sender];
//!     claimedPerHolder[msg.sender] = paidPerHolder;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The list is short and fixed.
//!
//! ## Known gaps
//!
//! A loop over a list that the caller brings along is not reported: the caller pays for its length.

use deconflict_analyzer::{Call, ExprId, Projection, Root, standards::TOKEN_TRANSFERS};

use crate::{
    diagnostic::Confidence,
    finding::{Actors, Spot, Story, Subject, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "L1001",
    name: "push-payments",
    group: Group::Default,
    summary: "a loop that pays everybody on a list",
    source: include_str!("push_payments.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let credits = view.writes().into_iter().filter(|touch| is_credit(view, touch));
    let mut found = report_fields(rule, view, &fields(credits), |variable, writers| {
        story(&format!("writes `{variable}`"), writers)
    });
    if found.is_empty() {
        found.extend(sent(rule, view));
    }
    found.truncate(1);
    found
}

/// Whether a loop writes entries whose keys are elements of a list.
fn is_credit(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let slot = &touch.access.slot;
    // What is wiped is not paid.
    let pays = touch.write().is_some_and(|(value, _)| view.analysis.expressions.constant(value).is_none());
    let is_member = |key: ExprId| view.is_from_array(key) || view.is_numbered(key);
    touch.access.circumstance.repeated
        && pays
        && matches!(slot.root, Root::Fixed(_))
        && slot.path.iter().any(|step| {
            matches!(*step, Projection::Mapping { key } if is_member(key) && !is_removal(view, touch, key))
        })
}

/// Whether the loop takes elements out of the list that the key is from, which puts the last one in their place.
fn is_removal(view: &ContractView<'_>, touch: &Touch<'_>, key: ExprId) -> bool {
    view.is_last(key) || view.loads(key).iter().any(|load| view.shrinks(touch.function, &load.slot))
}

/// Ether that a loop sends to the elements of a list.
fn sent(rule: &Rule, view: &ContractView<'_>) -> Option<Finding> {
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        let pays = |call: &&Call| {
            let sends = call.value.is_some_and(|value| !view.is_constant(value));
            let ether = || sends && call.circumstance.repeated && view.is_from_array(call.target);
            !call.circumstance.reverts && (ether() || is_token_payment(view, call, &summary.calls))
        };
        for call in summary.calls.iter().filter(pays) {
            spots.push(Spot {
                function,
                position: &call.position,
                does: "pays as well".to_owned(),
                rank: Some(0),
            });
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let story = story("pays", &writers);
    subject.finding(rule, Vec::new(), story)
}

/// Whether a loop sends tokens to the elements of a list. The rounds that were unrolled show what is sent to whom.
fn is_token_payment(view: &ContractView<'_>, call: &Call, all: &[Call]) -> bool {
    let in_loop =
        all.iter().any(|other| other.position.pc == call.position.pc && other.circumstance.repeated);
    in_loop
        && call.selector.is_some_and(|selector| TOKEN_TRANSFERS.contains(&selector))
        && call.arguments.iter().take(2).any(|&word| view.is_from_array(word))
}

fn story(does: &str, writers: &Actors) -> Story {
    Story {
        message: format!("{writers:#} {does} for all members of a list"),
        label: "conflicts with whatever any of the members does".to_owned(),
        help: "let members pull: raise one index and settle each member's share when the member calls"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
}
