//! ## What it does
//!
//! Finds a variable in storage in which a call notes a balance, to compare with it later in the same call.
//!
//! ## Why it serialises
//!
//! The note is needed only until the call ends, but it is one slot that every call writes.
//!
//! ## Example
//!
//! ```solidity
//! function flash(address receiver, uint256 amount) external {
//!     before = token.balanceOf(address(this));
//!     token.transfer(receiver, amount);
//!     IReceiver(receiver).onFlash();
//!     require(token.balanceOf(address(this)) >= before);
//!     before = 0;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep it on the stack, or in transient storage if another function needs it.
//!
//! ```solidity
//! function flash(address receiver, uint256 amount) external {
//!     uint256 before = token.balanceOf(address(this));
//!     token.transfer(receiver, amount);
//!     IReceiver(receiver).onFlash();
//!     require(token.balanceOf(address(this)) >= before);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The contract runs on engines that compare values only: there the slot ends each call as it began.
//!
//! ## Known gaps
//!
//! A note that is not cleared before the call ends is reported as `last-touched`, if at all.

use deconflict_analyzer::{ExprId, NetZero, Node, WriteForm, standards::BALANCE_OF};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "T1102",
    name: "flash-balance-before",
    group: Group::Default,
    summary: "a balance that is noted in storage for the time of one call",
    source: include_str!("flash_balance_before.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let temporary = |touch: &Touch<'_>| {
        let form = touch.write().map(|(_, form)| form);
        matches!(form, Some(WriteForm::NetZero(NetZero::Cleared | NetZero::Restored)))
            && view.is_shared(&touch.access.slot)
    };
    let mut found = fields(view.writes().into_iter().filter(temporary));
    found.retain(|field| {
        let touching = view.touching(field);
        let mut writes = touching.iter().filter(|touch| touch.is_write());
        let lasting = touching.iter().any(|touch| touch.is_write() && !touch.is_net_zero());
        view.all_known
            && !lasting
            && writes.any(|touch| touch.write().is_some_and(|(value, _)| is_balance(view, value)))
    });
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("{writers:#} notes a balance in the same slot, `{variable}`"),
        label: format!("`{variable}` is needed only until the call ends"),
        help: "keep it on the stack, or in a `transient` variable (Solidity 0.8.28)".to_owned(),
        notes: vec![view.settings.profile.of_unchanged("the slot")],
        confidence: Confidence::Proved,
    })
}

/// Whether the word is the ether of an account, or what a call of `balanceOf` has returned.
fn is_balance(view: &ContractView<'_>, word: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    match expressions.node(word) {
        Node::Balance { .. } => true,
        Node::ReturnWord { site, .. } => {
            let pc = expressions.site_pc(site);
            let calls = view.analysis.summaries.iter().flat_map(|summary| &summary.calls);
            calls.into_iter().any(|call| call.position.pc == pc && call.selector == Some(BALANCE_OF))
        }
        _ => false,
    }
}
