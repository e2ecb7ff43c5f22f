//! ## What it does
//!
//! Finds functions that note the block of an account's last call and refuse another one in the same block.
//!
//! ## Why it serialises
//!
//! Calls of one account conflict with each other, which its nonces have put in order already. Calls of others do not.
//! It costs where one account acts for many, a router or a relayer: then one of its calls gets through in each block.
//!
//! ## Example
//!
//! ```solidity
//! function mint() external {
//!     require(lastBlock[msg.sender] < block.number);
//!     lastBlock[msg.sender] = block.number;
//!     balanceOf[msg.sender] += 1;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Where it keeps one transaction from doing two things, a transient flag does the same without storage. Where it limits
//! an account, keep it.
//!
//! ```solidity
//! function mint() external {
//!     bytes32 flag = keccak256(abi.encode(msg.sender));
//!     bool acted;
//!     assembly {
//!         acted := tload(flag)
//!         tstore(flag, 1)
//!     }
//!     require(!acted);
//!     balanceOf[msg.sender] += 1;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: only calls of the same account meet, which is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A lock by the hash of a block or by an epoch is not reported.

use deconflict_analyzer::{Escapes, Sources, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G408",
    name: "last-block-lock",
    group: Group::Pedantic,
    summary: "a lock that lets one account act once a block",
    source: include_str!("last_block_lock.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let locks = view.writes().into_iter().filter(|touch| is_lock(view, touch));
    report_fields(rule, view, &fields(locks), |variable, writers| {
        Story {
        message: format!("an account gets through {writers} once a block, by `{variable}`"),
        label: "notes the block of the account's last call".to_owned(),
        help: "use a transient flag where one transaction is not to do two things; keep it where accounts are limited"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
    })
}

/// Whether the call stores the block under its sender, and is held against what stood there.
fn is_lock(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let sender = Sources::CALLER.with(Sources::TRANSACTION);
    let Some((value, WriteForm::Plain)) = touch.write() else { return false };
    let field = touch.field();
    touch.access.slot.keys().any(|key| expressions.sources(key).intersects(sender))
        && view.is_block_time(value)
        && view.escapes(touch.function, &field).intersects(Escapes::REQUIRE)
        && view.comparisons(touch.function).into_iter().any(|it| {
            it.sides().into_iter().any(|(last, now)| {
                view.is_made_from(last, &field) && !view.has_time(last) && view.is_block_time(now)
            })
        })
}
