//! ## What it does
//!
//! Finds a loop that writes an entry for each element of a list that the caller brings.
//!
//! ## Why it serialises
//!
//! What the call writes is known only when its input is, and the longer the list, the more other calls it meets. Nobody can
//! say beforehand how much of a block it blocks.
//!
//! ## Example
//!
//! ```solidity
//! function airdrop(address[] calldata to, uint256 amount) external {
//!     for (uint256 i = 0; i < to.length; i++) balanceOf[to[i]] += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Bound the batch, or let the receivers claim.
//!
//! ```solidity
//! function claim(uint256 amount, bytes32[] calldata proof) external {
//!     require(verify(proof, msg.sender, amount));
//!     balanceOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The caller pays for the length, and a scheduler reads the list from the input: this is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A bound on the length that is checked elsewhere is not taken into account.

use deconflict_analyzer::{ExprId, Node, Root, Sources};

use crate::{
    diagnostic::Confidence,
    finding::{Story, report_fields},
    rule::{Finding, Group, Rule},
    view::{ContractView, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "X707",
    name: "unbounded-set",
    group: Group::Pedantic,
    summary: "a loop over calldata that writes an entry a round",
    source: include_str!("unbounded_set.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let listed = view.writes().into_iter().filter(|touch| {
        touch.access.circumstance.repeated
            && matches!(touch.access.slot.root, Root::Fixed(_))
            && touch.access.slot.keys().any(|key| is_element(view, key))
    });
    let mut found = fields(listed);
    found.dedup_by(|later, first| later.slot.root == first.slot.root);
    report_fields(rule, view, &found, |variable, writers| Story {
        message: format!("a call to {writers} writes `{variable}` for as many as the caller lists"),
        label: "one entry for each element of the input".to_owned(),
        help: "bound the batch, or let receivers claim".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    })
}

/// Whether the word is read from the input at a place that changes from round to round.
fn is_element(view: &ContractView<'_>, key: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    view.parts(key).into_iter().any(|part| match expressions.node(part) {
        Node::CalldataWord { offset } => expressions.sources(offset).intersects(Sources::PHI),
        // Where the input was copied to memory first, the place is lost and its origin is not.
        Node::Unknown(_) => {
            let copied = Sources::CALLDATA.with(Sources::PHI).with(Sources::UNKNOWN);
            expressions.sources(part).intersects(Sources::CALLDATA)
                && expressions.sources(part).is_within(copied)
        }
        _ => false,
    })
}
