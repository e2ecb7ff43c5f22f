//! ## What it does
//!
//! Finds a function that anyone can call and that writes the slot of ERC-1967 in which a proxy keeps its
//! implementation, beacon or admin.
//!
//! ## Why it serialises
//!
//! Every call of a proxy reads its implementation. Whoever can replace it makes all calls wait, and no access set
//! that was predicted for the old code holds.
//!
//! ## Example
//!
//! ```solidity
//! function upgradeTo(address code) external {
//!     StorageSlot.getAddressSlot(IMPLEMENTATION).value = code;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let only an administrator upgrade, with a delay, so that everybody knows the code of the next blocks.
//!
//! ```solidity
//! function upgradeTo(address code) external {
//!     require(msg.sender == admin);
//!     StorageSlot.getAddressSlot(IMPLEMENTATION).value = code;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The check of the caller is made by another contract, which the rule does not see.
//!
//! ## Known gaps
//!
//! Slots of other proxy standards are not known.

use deconflict_analyzer::{Effect, Escapes, Sources, standards::PROXY_SLOTS};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::ContractView,
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X704",
    name: "upgrade-slot-written-by-user-path",
    group: Group::Default,
    summary: "a function for everybody that replaces the implementation of a proxy",
    source: include_str!("upgrade_slot_written_by_user_path.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let given = |value| view.analysis.expressions.sources(value).intersects(Sources::CALLDATA);
    let found = view.shared_fields(|touch| {
        let known = touch.access.slot.number().is_some_and(|number| PROXY_SLOTS.contains(&number));
        known
            && touch.write().is_some_and(|(value, _)| given(value))
            && !view.checks_caller(touch.function)
            && !is_guarded(view, touch.function)
    });
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("anyone who calls {writers} replaces what the proxy runs, in `{variable}`"),
        label: format!("every call of the proxy reads `{variable}`"),
        help: "let only an administrator upgrade, with a delay".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    })
}

/// Whether a variable decides whether a call succeeds: that may be the check of an administrator.
pub(super) fn is_guarded(view: &ContractView<'_>, function: usize) -> bool {
    let decides = Escapes::REQUIRE.with(Escapes::BRANCH);
    view.analysis.summaries[function].accesses.iter().any(|access| match access.effect {
        Effect::Read { escapes, .. } => access.slot.is_fixed() && escapes.intersects(decides),
        Effect::Write { .. } => false,
    })
}
