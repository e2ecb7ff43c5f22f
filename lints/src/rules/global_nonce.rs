//! ## What it does
//!
//! Finds a counter that every call counts up and whose value goes into a hash: a nonce that all users share.
//!
//! ## Why it serialises
//!
//! A call cannot start before it knows its nonce, and that is what the call before it left behind.
//! Signatures over such a nonce are worse: each one is valid in one position of one order only.
//!
//! ## Example
//!
//! ```solidity
//! uint256 public nonce;
//!
//! function execute(
//!     address to, bytes calldata data, bytes32 r, bytes32 s, uint8 v
//! ) external {
//!     bytes32 digest = keccak256(abi.encode(to, data, nonce++));
//!     require(isSigner[ecrecover(digest, v, r, s)]);
//!     (bool ok,) = to.call(data);
//!     require(ok);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Give every user a nonce of their own, or a bitmap of nonces in no order as Permit2 has, or take the identifier
//! from the sender and a salt.
//!
//! ```solidity
//! mapping(address signer => uint256) public nonceOf;
//!
//! function execute(
//!     address signer, address to, bytes calldata data,
//!     bytes32 r, bytes32 s, uint8 v
//! ) external {
//!     bytes32 digest = keccak256(abi.encode(to, data, nonceOf[signer]++));
//!     require(isSigner[signer] && ecrecover(digest, v, r, s) == signer);
//!     (bool ok,) = to.call(data);
//!     require(ok);
//! }
//! ```
//!
//! ## When to ignore
//!
//! A wallet of few signers, who agree on the order of its transactions anyway.
//!
//! ## Known gaps
//!
//! A nonce that is hashed only into the data of an event or of a call is seen as a counter that escapes, and
//! reported as `sequential-id`.

use deconflict_analyzer::{Call, Effect, Escapes, ExprId, Node, Piece, standards::ECRECOVER};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C106",
    name: "global-nonce",
    group: Group::Default,
    summary: "a counter whose value is hashed into what a call signs or identifies",
    source: include_str!("global_nonce.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| {
        let counts = touch.sum().is_some_and(|(amount, subtract)| !subtract && view.is_constant(amount));
        let (function, field) = (touch.function, touch.field());
        counts && hashes(view, function, &field)
    });
    report_fields(rule, view, &found, |variable, writers| {
        Story {
        message: format!("{writers:#} hashes the same nonce, `{variable}`"),
        label: format!("`{variable}` is counted up here, and its value is hashed"),
        help: "count nonces for each user (`nonceOf[signer]++`), keep a bitmap of nonces in no order, or hash the sender with a salt".to_owned(),
        notes: vec!["a call cannot start before its nonce is known, which depends on all calls before it".to_owned()],
        confidence: Confidence::Proved,
    }
    })
}

/// Whether a call hashes the count into what decides, names or signs something.
pub(super) fn hashes(view: &ContractView<'_>, function: usize, field: &Field) -> bool {
    hashed_words(view, function).iter().any(|&word| is_hashed(view, word, field))
        || is_signed(view, function, field)
}

/// Whether the count goes out in a call beside one that recovers a signer: bytes of unknown length may hide the hash.
fn is_signed(view: &ContractView<'_>, function: usize, field: &Field) -> bool {
    let expressions = &view.analysis.expressions;
    let recovers = |call: &Call| expressions.constant(call.target) == Some(ECRECOVER);
    view.escapes(function, field).intersects(Escapes::CALL)
        && view.analysis.summaries[function].calls.iter().any(recovers)
}

/// The words of a call in which a hash decides something: what is compared, stored, used as a key, passed on or returned.
fn hashed_words(view: &ContractView<'_>, function: usize) -> Vec<ExprId> {
    let summary = &view.analysis.summaries[function];
    let mut words: Vec<ExprId> =
        view.conditions(function).iter().map(|condition| condition.expression).collect();
    for access in summary.accesses.iter().filter(|access| !access.circumstance.reverts) {
        words.extend(access.slot.keys());
        if let Effect::Write { value, .. } = access.effect {
            words.push(value);
        }
    }
    words.extend(summary.calls.iter().flat_map(|call| call.arguments.iter().copied()));
    words.extend(&summary.returned);
    words
}

fn is_hashed(view: &ContractView<'_>, word: ExprId, field: &Field) -> bool {
    let expressions = &view.analysis.expressions;
    view.parts(word).into_iter().any(|part| {
        matches!(expressions.node(part), Node::Keccak(_))
            && expressions.slot(part).is_none()
            && !is_data_place(view, part)
            && view.is_made_from(part, field)
    })
}

/// Whether the hash is where the content of a text or a list begins: that of the slot that holds the length.
fn is_data_place(view: &ContractView<'_>, hash: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    match expressions.preimage(hash) {
        Some(&[Piece::Word { word, from: 0, to: 32 }]) => expressions.slot(word).is_some(),
        _ => false,
    }
}
