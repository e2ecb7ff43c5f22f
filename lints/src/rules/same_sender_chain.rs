//! ## What it does
//!
//! Finds a nonce for each account that a call has to match or that is hashed into what the account has signed.
//!
//! ## Why it serialises
//!
//! What one account sends or signs runs one after the other, because each call needs the nonce that the last one left.
//! Accounts do not wait for each other; a busy one, such as an exchange or a relayer, waits for itself.
//!
//! ## Example
//!
//! ```solidity
//! function execute(address signer, bytes calldata data, uint256 nonce)
//!     external
//! {
//!     require(nonceOf[signer] == nonce);
//!     nonceOf[signer] = nonce + 1;
//!     run(signer, data);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let the account choose among many sequences: a nonce with a key in its upper bits, as ERC-4337 has it, or a bitmap of
//! nonces in no order.
//!
//! ```solidity
//! mapping(address signer => mapping(uint192 key => uint64)) public nonceOf;
//!
//! function execute(
//!     address signer, bytes calldata data, uint192 key, uint64 nonce
//! ) external {
//!     require(nonceOf[signer][key] == nonce);
//!     nonceOf[signer][key] = nonce + 1;
//!     run(signer, data);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: accounts rarely sign much at a time, which does not show in the code. This is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! The nonce of the account that sends a transaction chains its transactions as well, and shows in no contract: several
//! accounts to send from are all that helps there.

use alloy_primitives::U256;
use deconflict_analyzer::{Node, standards::ADDRESS_BITS};
use revm_bytecode::opcode;

use super::global_nonce::hashes;
use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "F903",
    name: "same-sender-chain",
    group: Group::Pedantic,
    summary: "a nonce that puts the calls for one account in a row",
    source: include_str!("same_sender_chain.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let nonces = view.writes().into_iter().filter(|touch| is_nonce(view, touch));
    report_fields(rule, view, &fields(nonces), |variable, writers| Story {
        message: format!("calls to {writers} for one account run in the order of `{variable}`"),
        label: "the next call for this account needs the number that this one leaves".to_owned(),
        help:
            "let the account choose among many sequences, by a key in the upper bits of the nonce or a bitmap"
                .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    })
}

/// Whether it counts by one under the account alone, and the count decides or is signed.
fn is_nonce(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let field = touch.field();
    let mut keys = touch.access.slot.keys();
    let (Some(account), None) = (keys.next(), keys.next()) else { return false };
    let counts = touch
        .sum()
        .is_some_and(|(amount, subtract)| !subtract && expressions.constant(amount) == Some(U256::ONE))
        || is_successor(view, touch);
    let is_given = |word| view.is_chosen(word) && view.loads(word).is_empty();
    let matched = || {
        view.comparisons(touch.function).into_iter().any(|it| {
            let mut sides = it.sides().into_iter();
            it.is_equality() && sides.any(|(own, given)| view.is_made_from(own, &field) && is_given(given))
        })
    };
    counts
        && !view.is_shared_word(account)
        && expressions.bits(account) <= ADDRESS_BITS
        && (matched() || hashes(view, touch.function, &field))
}

/// Whether one more is stored than the number that the call brings and that has to match.
fn is_successor(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let Some((value, _)) = touch.write() else { return false };
    match expressions.node(value) {
        Node::Binary { op: opcode::ADD, a, b } => {
            let one = |word| expressions.constant(word) == Some(U256::ONE);
            (one(a) && view.is_chosen(b)) || (one(b) && view.is_chosen(a))
        }
        _ => false,
    }
}
