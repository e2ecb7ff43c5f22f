//! The block that may follow the head of a node's chain.
//!
//! In: a node. Out: an environment for transactions that are not in a block yet, and where the state under it is. Nothing but
//! the head's own hash is checked: what follows from it is a guess at what somebody else will do.

use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::B256;
use revm::primitives::hardfork::SpecId;

use super::{FetchError, Node, header, wire};
use crate::{
    block::Block,
    environment::{Assumed, EnvironmentWord},
};

/// What may follow the head of a chain.
#[derive(Clone, Debug)]
pub struct NextBlock {
    /// The block, without transactions and state.
    pub block: Block,
    /// The number of the head, after which the state holds.
    pub head: u64,
    /// The hash of the head.
    pub hash: B256,
    /// What of the block's environment was guessed or computed. Its number is neither: no other block can come next.
    pub assumed: Assumed,
}

/// The block that may follow the head of the node's chain, by these rules or by those that the head's header shows.
pub fn next_block(node: &dyn Node, spec: Option<SpecId>) -> Result<NextBlock, FetchError> {
    let chain_id = wire::chain_id(node)?;
    let head = wire::latest(node)?;
    let spec = spec.or_else(|| header::forks(chain_id, &head).first().copied());
    let spec = spec.ok_or(FetchError::UnknownFork)?;
    let mut next = head.clone();
    let fee = head.header.next_block_base_fee(BaseFeeParams::ethereum());
    next.header.base_fee_per_gas = fee.or(head.base_fee_per_gas);
    next.header.number = head.number.saturating_add(1);
    // The earliest that it can be.
    next.header.timestamp = head.timestamp.saturating_add(1);
    next.header.parent_hash = head.hash;
    let mut block = header::block(chain_id, &next, spec, Vec::new());
    // Nobody knows yet what it will be called and what it will come to.
    block.header.hash = None;
    block.expected = crate::block::Expected::default();
    let assumed = assumed(&block);
    Ok(NextBlock { block, head: head.number, hash: head.hash, assumed })
}

/// What of the environment of a next block somebody else has yet to decide, and what follows from its parent by Ethereum's
/// rules. Words that blocks of its fork do not have are neither.
fn assumed(block: &Block) -> Assumed {
    use EnvironmentWord::{BaseFee, BlobBaseFee, Coinbase, GasLimit, PrevRandao, SlotNumber, Timestamp};
    let since = |fork: SpecId| block.spec.is_enabled_in(fork);
    let mut guessed = vec![Timestamp, PrevRandao, Coinbase, GasLimit];
    guessed.extend(since(SpecId::AMSTERDAM).then_some(SlotNumber));
    let mut computed = Vec::new();
    computed.extend(since(SpecId::LONDON).then_some(BaseFee));
    computed.extend(since(SpecId::CANCUN).then_some(BlobBaseFee));
    Assumed { guessed, computed }
}
