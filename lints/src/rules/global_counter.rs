//! ## What it does
//!
//! Finds a state variable that every call of a user function counts up or down by a constant.
//!
//! ## Why it serialises
//!
//! The new value depends on the old one, so two calls cannot run side by side, whoever sends them and whatever their
//! arguments are: the variable is one slot, and every call reads and writes it.
//! An executor that merges commutative updates can run calls side by side that do nothing with the count but store
//! it; the finding says so where that holds.
//!
//! ## Example
//!
//! ```solidity
//! uint256 public totalSold;
//!
//! function buy(uint256 seat) external payable {
//!     holderOf[seat] = msg.sender;
//!     totalSold += 1;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Drop the variable and count events off chain.
//! Where a contract needs the number, count in shards that the caller's address picks, and add them up in a view:
//!
//! ```solidity
//! mapping(uint256 shard => uint256) private sold;
//!
//! function buy(uint256 seat) external payable {
//!     holderOf[seat] = msg.sender;
//!     sold[uint160(msg.sender) % 64] += 1;
//! }
//!
//! function totalSold() external view returns (uint256 sum) {
//!     for (uint256 i = 0; i < 64; i++) sum += sold[i];
//! }
//! ```
//!
//! Do not pick the shard by a counter: that is the same hot slot again.
//!
//! ## When to ignore
//!
//! The function is called rarely, or the contract only ever runs on executors that merge commutative updates.
//!
//! ## Known gaps
//!
//! A counter that is only moved inside a loop is not recognised when the loop's length is not known.

use alloy_primitives::U256;

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C101",
    name: "global-counter",
    group: Group::Default,
    summary: "a state variable that every call counts up or down by a constant",
    source: include_str!("global_counter.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let sums = || writes.iter().copied().filter(|touch| is_shared_sum(view, touch));
    let constant =
        |touch: &Touch<'_>| view.counted(touch).is_some_and(|(amount, _)| view.is_constant(amount));
    let only_constants =
        |field: &Field| sums().filter(|touch| touch.field().overlaps(field)).all(|touch| constant(&touch));
    // Nobody's entry takes what is locked away once.
    let nobody = |touch: &Touch<'_>| {
        view.names.folded(&touch.access.slot).is_some_and(|entry| entry.key.is_zero())
            || last_key(&touch.access.slot)
                .is_some_and(|(key, _)| view.analysis.expressions.constant(key) == Some(U256::ZERO))
    };
    let found = fields(sums().filter(|touch| constant(touch) && !nobody(touch)));
    found.iter().filter(|field| only_constants(field)).filter_map(|field| report(rule, view, field)).collect()
}

/// Whether `touch` adds to or subtracts from a word that all callers share, more than once a block.
pub(super) fn is_shared_sum(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    view.counted(touch).is_some()
        && !view.is_unrolled(touch)
        && !view.is_first_time(touch)
        && view.is_shared(&touch.access.slot)
        && !view.is_once_per_block(touch)
}

fn report(rule: &Rule, view: &ContractView<'_>, field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{writers:#} counts in the same slot, `{variable}`"),
        label: format!("`{variable}` is read and written here by every call"),
        help: "count events off chain, or count in shards that the caller picks (`shards[uint160(msg.sender) % 64] += 1`) and add them up in a view"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![field.clone()], story)
}
