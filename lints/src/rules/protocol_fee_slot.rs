//! ## What it does
//!
//! Finds a variable to which every call adds a part of the amount that it moves: the fees of the protocol.
//!
//! ## Why it serialises
//!
//! The amounts of users go to slots of their own; the fee meets all others in one. The calls run one after the
//! other for the sake of a number that is needed when somebody collects.
//!
//! ## Example
//!
//! ```solidity
//! function swap(uint256 amount) external {
//!     uint256 fee = amount * 30 / 10_000;
//!     balanceOf[msg.sender] += amount - fee;
//!     protocolFees += fee;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Accrue the fee in shards that the payer picks, or in the payer's record, and collect from there.
//!
//! ```solidity
//! mapping(uint256 shard => uint256) private feesIn;
//!
//! function swap(uint256 amount) external {
//!     uint256 fee = amount * 30 / 10_000;
//!     balanceOf[msg.sender] += amount - fee;
//!     feesIn[uint160(msg.sender) % 64] += fee;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The fee is zero on nearly every call.
//!
//! ## Known gaps
//!
//! A fee that another contract keeps is not seen.

use deconflict_analyzer::{ExprId, Node, WriteForm};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B202",
    name: "protocol-fee-slot",
    group: Group::Default,
    summary: "a pot of fees that every call pays a part of its amount into",
    source: include_str!("protocol_fee_slot.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| is_fee(view, touch));
    report_fields(rule, view, &found, |variable, writers| {
        Story {
        message: format!("{writers:#} pays its fee into the same slot, `{variable}`"),
        label: format!("`{variable}` takes a part of what every call moves"),
        help: "accrue fees in shards that the payer picks (`feesIn[uint160(msg.sender) % 64] += fee`) and collect from there".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
    })
}

/// Whether a part of an amount that the call brings is added, and the amount moves elsewhere as well.
fn is_fee(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let amount = match touch.write() {
        Some((_, &WriteForm::Delta { amount, subtract: false, .. })) => amount,
        // The rate lies beside the pot, in the same word.
        Some((_, &WriteForm::Increment { amount, subtract: false }))
            if view.depends_on(amount, &touch.access.slot) =>
        {
            amount
        }
        _ => return false,
    };
    let is_part = |id: ExprId| match expressions.node(id) {
        Node::Binary { op: opcode::DIV | opcode::SHR, a, b } => {
            let (part, by) = if matches!(expressions.node(id), Node::Binary { op: opcode::DIV, .. }) {
                (a, b)
            } else {
                (b, a)
            };
            view.is_chosen(part) && view.is_constant(by)
        }
        _ => false,
    };
    // Where the part is all that moves, it is a total like any other.
    let moves = |part: ExprId| {
        view.writes().iter().any(|other| {
            other.function == touch.function
                && other.access.slot != touch.access.slot
                && other.write().is_some_and(|(value, _)| expressions.contains(value, part))
        }) || view.analysis.summaries[touch.function].calls.iter().any(|call| {
            call.arguments.iter().copied().chain(call.value).any(|word| expressions.contains(word, part))
        })
    };
    view.parts(amount).into_iter().filter(|&part| is_part(part)).any(moves)
}
