//! The block that may follow the head of a node's chain.
//!
//! In: a node. Out: an environment for transactions that are not in a block yet, and where the state under it is. Nothing but
//! the head's own hash is checked: what follows from it is a guess at what somebody else will do.

use alloy_eips::{eip1559::BaseFeeParams, eip7840::BlobParams};
use alloy_primitives::B256;
use revm::primitives::hardfork::SpecId;

use super::{FetchError, FetchOptions, Node, header, wire, wire::Head};
use crate::{
    block::Block,
    chain::{ChainRules, Origin},
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
    /// The rules of the block, and how they are known.
    pub rules: ChainRules,
}

/// The block that may follow the head of the node's chain, by the rules that are named, or those of its chain's schedule, or
/// those that the head's header shows.
pub fn next_block(node: &dyn Node, options: FetchOptions<'_>) -> Result<NextBlock, FetchError> {
    let chain_id = wire::chain_id(node)?;
    let head = wire::latest(node)?;
    let rules = header::next_rules(chain_id, &head, options)?;
    let mut next = head.clone();
    let fee = head.header.next_block_base_fee(BaseFeeParams::ethereum());
    next.header.base_fee_per_gas = fee.or(head.base_fee_per_gas);
    next.header.number = head.number.saturating_add(1);
    // The earliest that it can be.
    next.header.timestamp = head.timestamp.saturating_add(1);
    next.header.parent_hash = head.hash;
    next.header.excess_blob_gas = rules.blobs.map(|params| next_excess(&head, &params));
    let mut block = header::block(chain_id, &next, &rules, Vec::new());
    // Nobody knows yet what it will be called and what it will come to.
    block.header.hash = None;
    block.expected = crate::block::Expected::default();
    let assumed = assumed(&rules);
    Ok(NextBlock { block, head: head.number, hash: head.hash, assumed, rules })
}

/// What of the environment of a next block somebody else has yet to decide, and what follows from its parent by Ethereum's
/// rules. Words that blocks of its fork do not have are neither.
fn assumed(rules: &ChainRules) -> Assumed {
    use EnvironmentWord::{BaseFee, BlobBaseFee, Coinbase, GasLimit, PrevRandao, SlotNumber, Timestamp};
    let since = |fork: SpecId| rules.spec.is_enabled_in(fork);
    let mut guessed = vec![Timestamp, PrevRandao, Coinbase, GasLimit];
    guessed.extend(since(SpecId::AMSTERDAM).then_some(SlotNumber));
    let mut computed = Vec::new();
    computed.extend(since(SpecId::LONDON).then_some(BaseFee));
    // How the blob fee moves depends on which rules hold.
    let blob_fee = if rules.origin == Origin::Guessed { &mut guessed } else { &mut computed };
    blob_fee.extend(since(SpecId::CANCUN).then_some(BlobBaseFee));
    guessed.sort_unstable();
    computed.sort_unstable();
    Assumed { guessed, computed }
}

/// The blob gas above target after the head, by EIP-4844 and, where the limits have a price to keep, EIP-7918. It follows from
/// the head alone.
fn next_excess(head: &Head, params: &BlobParams) -> u64 {
    // More than any chain has, and far from what overflows: the header is whatever a node says.
    const MOST: u64 = 1 << 40;
    let excess = head.excess_blob_gas.unwrap_or_default().min(MOST);
    let used = head.blob_gas_used.unwrap_or_default().min(MOST);
    params.next_block_excess_blob_gas_osaka(excess, used, head.base_fee_per_gas.unwrap_or_default())
}
