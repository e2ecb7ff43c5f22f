//! What requests are about where they bring no state themselves.
//!
//! In: blocks of files, and a node. Out: a block to predict in and the state before it. The head of a node's chain is asked for
//! once for all requests of half a second.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use deconflict_executor::{
    Assumed, Block, BlockState, Expected, Header,
    fetch::{Node, next_block},
};
use revm::primitives::hardfork::SpecId;

use super::{
    service::Refusal,
    state::{NodeState, View},
};

/// How long the head of a node's chain is taken for the head.
const HEAD_HOLDS: Duration = Duration::from_millis(500);

/// A block to predict in, and the state before it.
pub(super) struct Base {
    pub(super) block: Block,
    pub(super) view: View,
    /// The first second that a block on this state can have.
    pub(super) earliest: u64,
    /// What of the block's environment nobody has said.
    pub(super) assumed: Assumed,
}

/// A block of a file with its state.
struct Known {
    block: Block,
    state: Arc<BlockState>,
}

/// What is known of the head of a node's chain.
struct Head {
    since: Instant,
    state: Arc<NodeState>,
    hash: B256,
    next: Block,
    assumed: Assumed,
}

/// All that requests can be about.
pub(super) struct Bases {
    known: BTreeMap<B256, Arc<Known>>,
    latest: Option<Arc<Known>>,
    node: Option<Arc<dyn Node + Send + Sync>>,
    head: Mutex<Option<Head>>,
}

impl Bases {
    pub(super) fn new(blocks: Vec<Block>, node: Option<Arc<dyn Node + Send + Sync>>) -> Self {
        let mut known = BTreeMap::new();
        let mut latest = None;
        for block in blocks {
            let entry = Arc::new(Known { state: Arc::new(BlockState::new(&block)), block });
            known.extend(entry.block.header.parent_hash.map(|parent| (parent, Arc::clone(&entry))));
            latest = Some(entry);
        }
        Self { known, latest, node, head: Mutex::default() }
    }

    /// How many states there are by the hash of the block that they come after.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// Whether finding a base may take as long as a node takes to answer.
    pub(super) fn may_wait(&self) -> bool {
        self.node.is_some()
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
        if let Some(node) = &self.node {
            return self.head(node);
        }
        let nothing = || Base {
            block: empty_block(),
            view: View::Nothing,
            earliest: 0,
            assumed: Assumed::everything(),
        };
        Ok(self.latest.as_ref().map_or_else(nothing, |known| known.base()))
    }

    /// The state at the head of the node's chain, and a block like the next one.
    fn head(&self, node: &Arc<dyn Node + Send + Sync>) -> Result<Base, Refusal> {
        let mut known = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|head| head.since.elapsed() >= HEAD_HOLDS) {
            let found = next_block(&**node, None).map_err(|error| Refusal::Internal(error.to_string()))?;
            // What is known of a state stays while the chain has the same head.
            let state = match &*known {
                Some(head) if head.hash == found.hash => Arc::clone(&head.state),
                _ => Arc::new(NodeState::new(Arc::clone(node), found.head)),
            };
            *known = Some(Head {
                since: Instant::now(),
                state,
                hash: found.hash,
                next: found.block,
                assumed: found.assumed,
            });
        }
        let head = known.as_ref().ok_or_else(|| Refusal::Internal("the node has no head".to_owned()))?;
        let earliest = head.next.header.timestamp;
        let (view, assumed) = (View::Node(Arc::clone(&head.state)), head.assumed.clone());
        Ok(Base { block: bare(&head.next), view, earliest, assumed })
    }
}

impl Known {
    fn base(&self) -> Base {
        let view = View::Block(Arc::clone(&self.state));
        Base { block: bare(&self.block), view, earliest: 0, assumed: Assumed::default() }
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
