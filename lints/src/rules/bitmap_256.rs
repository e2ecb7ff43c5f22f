//! ## What it does
//!
//! Finds a bitmap that users set bits of, in words that 256 neighbouring numbers share: `claimed[i >> 8] |= 1 << (i
//! & 255)`.
//!
//! ## Why it serialises
//!
//! To set one bit, a call reads the word and stores it back with the other 255 bits in it. Claims of neighbouring
//! numbers conflict, and neighbours tend to claim at about the same time.
//!
//! ## Example
//!
//! ```solidity
//! function claim(uint256 index) external {
//!     require(claimed[index >> 8] & (1 << (index & 255)) == 0);
//!     claimed[index >> 8] |= 1 << (index & 255);
//!     pay(msg.sender);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep one flag a slot where claims come in bursts, or spread neighbours over words: take the low bits for the
//! word and the high bits for the bit.
//!
//! ```solidity
//! mapping(uint256 index => bool) public isClaimed;
//!
//! function claim(uint256 index) external {
//!     require(!isClaimed[index]);
//!     isClaimed[index] = true;
//!     pay(msg.sender);
//! }
//! ```
//!
//! ## When to ignore
//!
//! Claims are spread over time, or the gas that the packed flags save (up to 17,100 a claim) matters more.
//!
//! ## Known gaps
//!
//! A bitmap under a key of the caller or of who has signed, such as Permit2's nonces, is not reported: users do not meet
//! there.

use alloy_primitives::U256;
use deconflict_analyzer::{ExprId, Node, Projection, Root, Sources, WriteForm, standards::WORD_BITS};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ComparedWords, ContractView, Touch, fields, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "P304",
    name: "bitmap-256",
    group: Group::Default,
    summary: "a bitmap that packs the flags of 256 neighbours into one slot",
    source: include_str!("bitmap_256.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let bitmaps = view.writes().into_iter().filter(|touch| is_bitmap(view, touch));
    report_fields(rule, view, &fields(bitmaps), |variable, writers| {
        Story {
        message: format!("calls to {writers} with neighbouring numbers set bits of the same slot, `{variable}`"),
        label: "stores the flags of 256 neighbours to change one".to_owned(),
        help: "keep one flag a slot (`mapping(uint256 => bool)`), or let the low bits pick the word, so that neighbours are apart".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    }
    })
}

fn is_bitmap(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let Some((value, WriteForm::ReadModifyWrite)) = touch.write() else { return false };
    let slot = &touch.access.slot;
    let Some((key, _)) = last_key(slot) else { return false };
    let Some(number) = word_of(view, key) else { return false };
    let by_user = |key: ExprId| {
        expressions.sources(key).intersects(Sources::CALLER) || has_signed(view, touch.function, key)
    };
    let sets_a_bit = view.parts(value).into_iter().any(|part| match expressions.node(part) {
        Node::Binary { op: opcode::SHL, a, b } => {
            expressions.constant(a).is_none() && expressions.constant(b) == Some(U256::ONE)
        }
        Node::Binary { op: opcode::EXP, a, b } => {
            expressions.constant(a) == Some(U256::from(2)) && expressions.constant(b).is_none()
        }
        _ => false,
    });
    let is_offset = matches!(slot.path.last(), Some(Projection::Offset(_)));
    matches!(slot.root, Root::Fixed(_))
        && !is_offset
        && sets_a_bit
        && view.is_chosen(number)
        && !slot.keys().any(by_user)
}

/// Whether the call only succeeds if the key is the account that a signature was recovered to.
fn has_signed(view: &ContractView<'_>, function: usize, key: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    let is_answer = |word: ExprId| {
        view.parts(word).iter().any(|&part| matches!(expressions.node(part), Node::ReturnWord { .. }))
    };
    let compared = view.comparisons(function).into_iter().filter(|it| it.is_equality());
    compared
        .flat_map(ComparedWords::sides)
        .any(|(account, signer)| view.bare(account) == view.bare(key) && is_answer(signer))
}

/// The number of which `key` is the word: the number without its low eight bits.
fn word_of(view: &ContractView<'_>, key: ExprId) -> Option<ExprId> {
    let expressions = &view.analysis.expressions;
    let eight = |id: ExprId| expressions.constant(id) == Some(U256::from(8));
    match expressions.node(key) {
        Node::Binary { op: opcode::SHR, a, b } if eight(a) => Some(b),
        Node::Binary { op: opcode::DIV, a, b } if expressions.constant(b) == Some(U256::from(WORD_BITS)) => {
            Some(a)
        }
        Node::Binary { op: opcode::AND, a, b } if expressions.constant(b).is_some() => word_of(view, a),
        _ => None,
    }
}
