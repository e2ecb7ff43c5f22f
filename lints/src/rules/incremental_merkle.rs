//! ## What it does
//!
//! Finds a Merkle tree that grows by a leaf a call: the bits of a counter decide which nodes are written.
//!
//! ## Why it serialises
//!
//! Each leaf needs the place after the one before it, and the hashes on the way up are made from those that earlier calls
//! left. No two calls can run side by side, and none can be predicted before the counter is known.
//!
//! ## Example
//!
//! ```solidity
//! function deposit(bytes32 leaf) external {
//!     uint256 index = count++;
//!     bytes32 node = leaf;
//!     for (uint256 height = 0; height < 32; height++) {
//!         if (index >> height & 1 == 0) { branch[height] = node; return; }
//!         node = keccak256(abi.encodePacked(branch[height], node));
//!     }
//! }
//! ```
//!
//! ## Rewrite
//!
//! Queue leaves under their senders, and let one call insert many of them.
//!
//! ```solidity
//! function deposit(bytes32 leaf) external {
//!     queued[msg.sender].push(leaf);
//! }
//!
//! function insert(address[] calldata senders) external {
//!     // Inserts all queued leaves of the senders in one go.
//! }
//! ```
//!
//! ## When to ignore
//!
//! The tree is the point, as in a bridge or a mixer: the order is inherent, and batches are all that helps.
//!
//! ## Known gaps
//!
//! A tree that is kept in the elements of an array of arrays is reported as `array-push`.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use deconflict_analyzer::{ExprId, Node, Pc, Sources};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "E507",
    name: "incremental-merkle",
    group: Group::Default,
    summary: "a tree of hashes that every call appends a leaf to",
    source: include_str!("incremental_merkle.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let counts = |touch: &Touch<'_>| {
        let value = touch.write().map(|(value, _)| value);
        touch.access.slot.is_fixed() && value.is_some_and(|value| view.is_made_from(value, &touch.field()))
    };
    for counter in view.shared_fields(counts) {
        let nodes = nodes(view, &counter);
        if nodes.is_empty() {
            continue;
        }
        let mut subject = Subject::storage(view, &counter);
        let mut lines = BTreeSet::new();
        for touch in &nodes {
            if lines.insert((touch.function, touch.access.position.pc)) {
                let mut spot = Spot::of(touch);
                "writes a node of the tree".clone_into(&mut spot.does);
                spot.rank = Some(3);
                subject.spots.push(spot);
            }
        }
        let (variable, writers) = (subject.variable(), subject.writers());
        let story = Story {
            message: format!(
                "{writers:#} appends to one tree of hashes, at the place that `{variable}` says"
            ),
            label: format!("`{variable}` decides which nodes are hashed and written"),
            help: "queue leaves under their senders and insert many of them in one call".to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        };
        let mut claims = vec![counter.clone()];
        claims.extend(fields(nodes.iter().copied()));
        found.extend(subject.finding(rule, claims, story));
    }
    found
}

/// The stores of one instruction to several places, which the bits of the counter choose, of words that are hashes on
/// some ways.
fn nodes<'a>(view: &ContractView<'a>, counter: &Field) -> Vec<Touch<'a>> {
    let expressions = &view.analysis.expressions;
    let is_bit = |word: ExprId| {
        view.is_made_from(word, counter)
            && view.parts(word).iter().any(|&part| {
                matches!(expressions.node(part), Node::Binary { op: opcode::AND, b, .. }
                    if expressions.constant(b) == Some(U256::ONE))
            })
    };
    let is_hash = |word: ExprId| {
        view.parts(word).iter().any(|&part| match expressions.node(part) {
            Node::Keccak(_) | Node::ReturnWord { .. } => true,
            // A hash of memory whose place is lost in a loop.
            Node::Unknown(_) => expressions.sources(part).intersects(Sources::STORAGE),
            _ => false,
        })
    };
    let writers: BTreeSet<usize> =
        view.touching(counter).iter().filter(|touch| touch.is_write()).map(|touch| touch.function).collect();
    let writes: Vec<Touch<'a>> = view
        .writes()
        .into_iter()
        .filter(|touch| writers.contains(&touch.function) && !touch.touches(counter))
        .collect();
    let mut groups: BTreeMap<(usize, Pc), Vec<Touch<'a>>> = BTreeMap::new();
    for touch in writes {
        groups.entry((touch.function, touch.access.position.pc)).or_default().push(touch);
    }
    let is_tree = |group: &Vec<Touch<'a>>| {
        let places: BTreeSet<_> = group.iter().map(|it| &it.access.slot).collect();
        let conditions: BTreeSet<ExprId> = group
            .iter()
            .flat_map(|it| &it.access.circumstance.when)
            .map(|condition| condition.expression)
            .collect();
        places.len() > 1
            && conditions.into_iter().any(is_bit)
            && group.iter().any(|it| it.write().is_some_and(|(value, _)| is_hash(value)))
    };
    groups.into_values().filter(is_tree).flatten().collect()
}
