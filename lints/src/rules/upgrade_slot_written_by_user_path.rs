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

use alloy_primitives::{U256, uint};
use deconflict_analyzer::{Effect, Escapes, Sources};

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

/// The slots of ERC-1967: implementation, beacon and admin.
pub(super) const SLOTS: [U256; 3] = [
    uint!(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc_U256),
    uint!(0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50_U256),
    uint!(0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103_U256),
];

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let given = |value| view.analysis.expressions.sources(value).intersects(Sources::CALLDATA);
    let found = view.shared_fields(|touch| {
        let known = touch.access.slot.number().is_some_and(|number| SLOTS.contains(&number));
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
