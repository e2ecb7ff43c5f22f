//! ## What it does
//!
//! Finds a `DELEGATECALL` whose target comes from calldata or from a variable that is no slot of ERC-1967, and a call
//! whose target and input both come from calldata.
//!
//! ## Why it serialises
//!
//! The target decides what is read and written: by `DELEGATECALL` here, by a call elsewhere. Until it is known, a
//! scheduler has to assume that the call touches every slot of the contract, or anything at all.
//!
//! ## Example
//!
//! ```solidity
//! address public implementation;
//!
//! fallback() external payable {
//!     implementation.delegatecall(msg.data);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Make the target `immutable`, or keep it in the slot of ERC-1967 where tools look for it, or allow only targets
//! from a fixed list.
//!
//! ```solidity
//! address private immutable implementation;
//!
//! fallback() external payable {
//!     implementation.delegatecall(msg.data);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Wallets that are meant to run anything.
//!
//! ## Known gaps
//!
//! A call of a known function at an address from a variable or an argument is not reported: nearly every contract makes
//! one, and the storage that it touches is not this contract's.
//! Calls that a signer or the holder of some record decides are taken for those of a wallet, and not reported.
//! With the state at hand the target can be looked up; the finding is about what can be said without it.

use deconflict_analyzer::{
    Call, CallKind, Circumstance, Environment, ExprId, Node, Sources, Summary,
    standards::{BEACON_SLOT, ECRECOVER, IMPLEMENTATION_SLOT},
};

use super::upgrade_slot_written_by_user_path::is_guarded;
use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X703",
    name: "dynamic-target",
    group: Group::Default,
    summary: "a call into code that only state or the caller names",
    source: include_str!("dynamic_target.rs"),
    check,
};

/// Whether the target comes from the call, or from a variable that tools do not know.
fn is_open(view: &ContractView<'_>, function: usize, target: ExprId) -> bool {
    let sources = view.analysis.expressions.sources(target);
    if sources.intersects(Sources::CALLDATA) && is_guarded(view, function) {
        return false;
    }
    let known = |slot: &deconflict_analyzer::Slot| {
        slot.number().is_some_and(|it| [IMPLEMENTATION_SLOT, BEACON_SLOT].contains(&it))
    };
    sources.intersects(Sources::CALLDATA) || view.loads(target).iter().any(|load| !known(&load.slot))
}

/// Whether the caller names the target of a call and what it is asked for, so that it may be anything.
fn is_anything(view: &ContractView<'_>, call: &Call) -> bool {
    call.kind == CallKind::Call
        && call.selector.is_none()
        && call.asked_by.intersects(Sources::CALLDATA)
        && call.asked_by.is_within(Sources::CALLDATA.with(Sources::UNKNOWN).with(Sources::PHI))
        && view.analysis.expressions.sources(call.target).intersects(Sources::CALLDATA)
}

/// Whether somebody's signature is asked for, who then decides what is called.
fn is_signed(view: &ContractView<'_>, summary: &Summary) -> bool {
    let expressions = &view.analysis.expressions;
    summary.calls.iter().any(|call| expressions.constant(call.target) == Some(ECRECOVER))
}

/// Whether the caller has to be who some record names: the holder of what is called, who alone can be in the way.
fn is_holder(view: &ContractView<'_>, function: usize) -> bool {
    let expressions = &view.analysis.expressions;
    view.comparisons(function).into_iter().filter(|it| it.is_equality()).any(|it| {
        it.sides().into_iter().any(|(caller, named)| {
            matches!(expressions.node(caller), Node::Environment(Environment::Caller))
                && !view.loads(named).is_empty()
        })
    })
}

/// Whether the call is only made if a mapping says yes to the target.
fn is_listed(view: &ContractView<'_>, circumstance: &Circumstance, target: ExprId) -> bool {
    circumstance.requires.iter().filter(|condition| condition.holds).any(|condition| {
        let loads = view.loads(condition.expression);
        loads.len() == 1 && loads.iter().any(|load| load.slot.keys().any(|key| key == target))
    })
}

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut spots = Vec::new();
    for (function, summary) in view.users() {
        for it in summary.calls.iter().filter(|it| !it.circumstance.reverts) {
            let on_this = matches!(it.kind, CallKind::DelegateCall | CallKind::CallCode);
            if (on_this || (is_anything(view, it) && !is_signed(view, summary) && !is_holder(view, function)))
                && !view.checks_caller(function)
                && is_open(view, function, it.target)
                && !is_listed(view, &it.circumstance, it.target)
            {
                spots.push(Spot {
                    function,
                    position: &it.position,
                    does: "runs it as well".to_owned(),
                    rank: Some(u8::from(!on_this)),
                });
            }
        }
    }
    let subject = Subject { view, field: None, spots };
    let writers = subject.writers();
    let on_this = subject.spots.iter().any(|spot| spot.rank == Some(0));
    let label = if on_this {
        "runs foreign code on the storage of this contract"
    } else {
        "runs whatever the caller names, with whatever input"
    };
    let label = label.to_owned();
    let story = Story {
        message: format!("what a call to {writers} reads and writes is decided by code that state or the caller names"),
        label,
        help: "make the target immutable, keep it in the slot of ERC-1967, or allow only targets from a fixed list".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    };
    subject.finding(rule, Vec::new(), story).into_iter().collect()
}
