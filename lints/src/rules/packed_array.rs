//! ## What it does
//!
//! Finds stores to elements of an array that are shorter than a word, at a place that the caller chooses.
//!
//! ## Why it serialises
//!
//! As many elements as fit share one word, and storing one stores them all. Calls for neighbouring elements conflict,
//! although each has an element of its own.
//!
//! ## Example
//!
//! ```solidity
//! uint8[] public levels;
//!
//! function setLevel(uint256 index, uint8 level) external {
//!     levels[index] = level;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Use elements of a whole word, or a mapping.
//!
//! ```solidity
//! mapping(uint256 index => uint256) public levels;
//!
//! function setLevel(uint256 index, uint256 level) external {
//!     levels[index] = level;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The array is small, or neighbours are rarely written in the same block: neither shows in the code, which is why the
//! rule is pedantic.
//!
//! ## Known gaps
//!
//! An array under a key of the caller is not reported: the caller's calls are in order anyway.

use alloy_primitives::U256;
use deconflict_analyzer::{ExprId, Node, Projection, Root, Sources, WriteForm, standards::WORD_BYTES};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "P305",
    name: "packed-array",
    group: Group::Pedantic,
    summary: "an array whose elements share words",
    source: include_str!("packed_array.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let packed = view.writes().into_iter().filter(|touch| is_packed(view, touch));
    report_fields(rule, view, &fields(packed), |variable, writers| Story {
        message: format!("calls to {writers} for neighbouring elements store the same word, `{variable}`"),
        label: "stores the whole word to change one element".to_owned(),
        help: "use elements of a whole word, or a mapping".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

fn is_packed(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let slot = &touch.access.slot;
    let Some((value, WriteForm::ReadModifyWrite)) = touch.write() else { return false };
    let index = match slot.path.last() {
        Some(Projection::Element { index, .. } | Projection::Index { index, .. }) => *index,
        _ => return false,
    };
    let own = |key: ExprId| expressions.sources(key).intersects(Sources::CALLER);
    matches!(slot.root, Root::Fixed(_))
        && shares_words(view, index)
        && view.is_chosen(index)
        && !slot.keys().any(own)
        && view.loads(value).iter().any(|load| load.slot == *slot)
}

/// Whether the index is that of a word that several elements share: the element's number without its low bits.
fn shares_words(view: &ContractView<'_>, index: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    // Elements of less than a byte are flags, which another rule knows.
    let few = |id: ExprId, most: u64| {
        expressions.constant(id).is_some_and(|it| !it.is_zero() && it <= U256::from(most))
    };
    match expressions.node(index) {
        Node::Binary { op: opcode::SHR, a, .. } => few(a, 5),
        Node::Binary { op: opcode::DIV, b, .. } => few(b, WORD_BYTES),
        // An index of a short type keeps its bits apart from what may stand above them.
        Node::Binary { op: opcode::AND, a, b } if expressions.constant(b).is_some() => shares_words(view, a),
        _ => false,
    }
}
