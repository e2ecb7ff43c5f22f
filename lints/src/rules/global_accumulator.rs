//! ## What it does
//!
//! Finds a state variable to which every call of a user function adds an amount, or from which it subtracts one: a
//! total, a volume, an amount staked or raised.
//!
//! ## Why it serialises
//!
//! A total is one slot. Each call reads what the call before it wrote, so calls of different users with different
//! arguments run one after the other.
//! An executor that merges commutative updates can run them side by side as long as nothing but the sum depends on the
//! old total; the finding says so where that holds.
//!
//! ## Example
//!
//! ```solidity
//! uint256 public totalDeposits;
//!
//! function deposit() external payable {
//!     deposits[msg.sender] += msg.value;
//!     totalDeposits += msg.value;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the sum where it does not meet everybody: in shards that the caller's address picks, summed up by a view, or in
//! records by user and epoch that are settled later. Where only people and indexers read the total, emit an event.
//!
//! ```solidity
//! mapping(uint256 shard => uint256) private depositsIn;
//!
//! function deposit() external payable {
//!     deposits[msg.sender] += msg.value;
//!     depositsIn[uint160(msg.sender) % 64] += msg.value;
//! }
//! ```
//!
//! Measured on two threads against plain serial execution, with such a pair of contracts (`fees-shared-sink` and `fees-sharded-sink` in docs/benchmarks.md): 1.34 of its speed before, 1.08 after.
//! The bundled executor merges additions to one word, so that the pot costs it nothing: the rewrite is for engines that do not.
//!
//! ## When to ignore
//!
//! The total takes part in every call's outcome, as in a cap or a price, and cannot be stale.
//! The supply of a token that users can mint or burn is such a total as well: the standard wants the number, transfers
//! never touch it, and where minting is left to an administrator and burning is rare, little is lost.
//!
//! ## Known gaps
//!
//! A total that is multiplied or clamped on its way is not recognised as a sum.

use super::global_counter::is_shared_sum;
use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C102",
    name: "global-accumulator",
    group: Group::Default,
    summary: "a state variable to which every call adds an amount",
    source: include_str!("global_accumulator.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let sums = || writes.iter().copied().filter(|touch| is_shared_sum(view, touch));
    let varies = |touch: &Touch<'_>| view.counted(touch).is_some_and(|(amount, _)| !view.is_constant(amount));
    let found = fields(sums().filter(varies));
    found.iter().filter_map(|field| report(rule, view, field)).collect()
}

fn report(rule: &Rule, view: &ContractView<'_>, field: &Field) -> Option<Finding> {
    let subject = Subject::storage(view, field);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{writers:#} adds up in the same slot, `{variable}`"),
        label: format!("`{variable}` is read and written here by every call"),
        help: "add up in shards that the caller picks (`shards[uint160(msg.sender) % 64] += amount`) with a view that sums them, or keep amounts by user and epoch and settle them later"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![field.clone()], story)
}
