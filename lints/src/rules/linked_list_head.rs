//! ## What it does
//!
//! Finds a list in which each new element points at the head that it replaces.
//!
//! ## Why it serialises
//!
//! Each call reads the head, stores it in the new element, and becomes the head: it depends on the call before it,
//! and so on.
//!
//! ## Example
//!
//! ```solidity
//! function push(bytes32 item) external {
//!     next[item] = head;
//!     head = item;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep a list for each user or bucket, or key the items by what the call brings and list them off chain.
//!
//! ```solidity
//! function push(bytes32 item) external {
//!     next[msg.sender][item] = headOf[msg.sender];
//!     headOf[msg.sender] = item;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The list is an administrator's, or changes rarely.
//!
//! ## Known gaps
//!
//! A list whose links are packed beside other fields in one word is not recognised.

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
    code: "E504",
    name: "linked-list-head",
    group: Group::Default,
    summary: "a linked list whose head every call replaces",
    source: include_str!("linked_list_head.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let found = view.shared_fields(|touch| is_head(view, touch));
    report_fields(rule, view, &found, |variable, writers| {
        Story {
        message: format!("{writers:#} links to the head of the same list, `{variable}`, and replaces it"),
        label: "the next call links to what is stored here".to_owned(),
        help: "keep a list for each user or bucket, or key items by what the call brings and list them off chain".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    }
    })
}

/// Whether the call brings a new head, and stores the old one as it was in an element.
pub(super) fn is_head(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, WriteForm::Plain)) = touch.write() else { return false };
    let field = touch.field();
    view.is_chosen(value)
        && view.loads(value).is_empty()
        && view.writes().iter().any(|other| {
            let links = other.write().is_some_and(|(word, form)| {
                matches!(form, WriteForm::Plain) && view.is_made_from(word, &field) && is_whole(view, word)
            });
            // The element that is linked is the one that becomes the head.
            let is_element = |key: ExprId| {
                key == value || view.parts(key).contains(&value) || view.parts(value).contains(&key)
            };
            other.function == touch.function && other.access.slot.keys().any(is_element) && links
        })
}

/// Whether nothing was calculated with the loaded word.
fn is_whole(view: &ContractView<'_>, word: ExprId) -> bool {
    let moved = |node: Node| match node {
        Node::Binary { op, .. } => matches!(op, opcode::AND | opcode::SHR | opcode::SHL),
        node => matches!(node, Node::Load { .. } | Node::Constant(_)),
    };
    view.parts(word).into_iter().all(|part| moved(view.analysis.expressions.node(part)))
}
