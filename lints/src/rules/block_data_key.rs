//! ## What it does
//!
//! Finds a write to an entry whose key is made from the hash or the randomness of a block, from the beneficiary,
//! from the time as a seed, or from the gas that is left.
//!
//! ## Why it serialises
//!
//! What the call writes is known only when the block is being built, or when the call runs. A scheduler cannot
//! place it before.
//!
//! ## Example
//!
//! ```solidity
//! function draw() external {
//!     bytes32 drawn = keccak256(abi.encode(block.prevrandao, msg.sender));
//!     uint256 winner = uint256(drawn) % 100;
//!     prizeOf[winner] += 1;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Commit first and reveal later: the revealing call brings along what decides its key.
//!
//! ```solidity
//! function reveal(uint256 seed) external {
//!     require(keccak256(abi.encode(seed)) == commitOf[msg.sender]);
//!     prizeOf[seed % 100] += 1;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The number of possible keys is small and all calls that use them are few.
//!
//! ## Known gaps
//!
//! A time that is divided to the day or the epoch is no seed, and not reported.

use deconflict_analyzer::{Environment, ExprId, Node};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X706",
    name: "block-data-key",
    group: Group::Pedantic,
    summary: "a write whose slot is drawn from the randomness of the block or from gas",
    source: include_str!("block_data_key.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let drawn = view
        .writes()
        .into_iter()
        .filter(|touch: &Touch<'_>| touch.access.slot.keys().any(|key| is_drawn(view, key)));
    let found = fields(drawn);
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("which slot a call to {writers} writes is drawn from the block: `{variable}`"),
        label: "the slot is known only when the call runs".to_owned(),
        help: "commit first and reveal later, so that the call brings along what decides its key".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

fn is_drawn(view: &ContractView<'_>, key: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    let is_seed = |id: ExprId| match expressions.node(id) {
        Node::Keccak(_) => view.has_time(id),
        Node::Binary { op: opcode::MOD, a, .. } => view.has_time(a),
        Node::BlockHash(_) | Node::Gas(_) => true,
        Node::Environment(word) => {
            matches!(word, Environment::PrevRandao | Environment::Coinbase | Environment::GasPrice)
        }
        _ => false,
    };
    view.parts(key).into_iter().any(is_seed) || is_moment(view, key)
}

/// Whether the word is the time to the second, rather than the hour or day that everybody can tell beforehand.
fn is_moment(view: &ContractView<'_>, word: ExprId) -> bool {
    match view.analysis.expressions.node(word) {
        Node::Environment(Environment::Timestamp) => true,
        Node::Binary { op: opcode::AND | opcode::ADD | opcode::SUB, a, b } => {
            is_moment(view, a) || is_moment(view, b)
        }
        _ => false,
    }
}
