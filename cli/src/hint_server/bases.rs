//! What requests are about where they bring no state themselves.
//!
//! In: blocks of files, and a node. Out: a block to predict in and the state before it.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::B256;
use deconflict_executor::{Assumed, Block, BlockState, Expected, Header};
use revm::primitives::hardfork::SpecId;

use serde_json::Value;

use super::{head::Heads, refusal::Refusal, state::View, upstream::Upstream};
use crate::forks::Forks;

/// A block to predict in, and the state before it.
pub(super) struct Base {
    pub(super) block: Block,
    pub(super) view: View,
    /// The first second that a block on this state can have.
    pub(super) earliest: u64,
    /// What of the block's environment nobody has said.
    pub(super) assumed: Assumed,
    /// How the rules of the block are known, where they were found out.
    pub(super) spec_origin: Option<&'static str>,
}

/// A block of a file with its state.
struct Known {
    block: Block,
    state: Arc<BlockState>,
}

/// All that requests can be about.
pub(super) struct Bases {
    known: BTreeMap<B256, Arc<Known>>,
    latest: Option<Arc<Known>>,
    head: Option<Arc<Heads>>,
}

impl Bases {
    pub(super) fn new(blocks: Vec<Block>, node: Option<Arc<Upstream>>, forks: Forks) -> Self {
        let mut known = BTreeMap::new();
        let mut latest = None;
        for block in blocks {
            let entry = Arc::new(Known { state: Arc::new(BlockState::new(&block)), block });
            known.extend(entry.block.header.parent_hash.map(|parent| (parent, Arc::clone(&entry))));
            latest = Some(entry);
        }
        let bases = Self { known, latest, head: node.map(|node| Heads::new(node, forks)) };
        // The first request need not wait for it.
        bases.look();
        bases
    }

    /// How many states of files requests can be about: those that are known by the hash of the block that they come after,
    /// and the last, which needs no name.
    pub(super) fn count(&self) -> usize {
        let is_named = |latest: &Arc<Known>| latest.block.header.parent_hash.is_some();
        self.known.len() + usize::from(self.latest.as_ref().is_some_and(|latest| !is_named(latest)))
    }

    /// Whether finding a base may take as long as a node takes to answer.
    pub(super) fn may_wait(&self) -> bool {
        self.head.is_some()
    }

    /// Has the node asked for the head of its chain if that may have changed. Waits for nobody.
    pub(super) fn look(&self) {
        self.head.iter().for_each(Heads::look);
    }

    /// What is known of the node, and whether that is stale; none without a node.
    pub(super) fn node(&self) -> Option<(bool, Value)> {
        self.head.as_ref().map(Heads::health)
    }

    /// The base after the block with this hash, or the one that is the latest.
    pub(super) fn find(&self, parent: Option<B256>) -> Result<Base, Refusal> {
        if let Some(parent) = parent {
            let known = self.known.get(&parent).ok_or_else(|| {
                Refusal::Params(format!(
                    "there is no state after block {parent} here; leave out `parent`, or bring `state`"
                ))
            })?;
            return Ok(known.base());
        }
        if let Some(head) = &self.head {
            let head = head.get().map_err(Refusal::Internal)?;
            let earliest = head.next.header.timestamp;
            let (view, assumed) = (View::Node(head.state), (*head.assumed).clone());
            let spec_origin = Some(head.rules.origin.name());
            return Ok(Base { block: bare(&head.next), view, earliest, assumed, spec_origin });
        }
        let nothing = || Base {
            block: empty_block(),
            view: View::Nothing,
            earliest: 0,
            assumed: Assumed::everything(),
            spec_origin: None,
        };
        Ok(self.latest.as_ref().map_or_else(nothing, |known| known.base()))
    }
}

impl Known {
    fn base(&self) -> Base {
        let view = View::Block(Arc::clone(&self.state));
        let assumed = Assumed::default();
        Base { block: bare(&self.block), view, earliest: 0, assumed, spec_origin: None }
    }
}

/// A block without transactions and state.
fn bare(block: &Block) -> Block {
    Block {
        header: block.header.clone(),
        block_hashes: block.block_hashes.clone(),
        number: block.number,
        chain_id: block.chain_id,
        spec: block.spec,
        ..empty_block()
    }
}

/// A block of which nothing is known.
fn empty_block() -> Block {
    Block {
        number: 0,
        chain_id: 1,
        spec: SpecId::OSAKA,
        header: Header {
            gas_limit: 30_000_000,
            prev_randao: Some(B256::ZERO),
            excess_blob_gas: Some(0),
            blob_base_fee: Some(1),
            ..Header::default()
        },
        expected: Expected::default(),
        block_hashes: BTreeMap::new(),
        transactions: Vec::new(),
        pre_state: BTreeMap::new(),
        codes: BTreeMap::new(),
        code_absent: std::collections::BTreeSet::new(),
    }
}
