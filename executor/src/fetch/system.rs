//! What a client writes before the first transaction of a block: the parent's hash of EIP-2935, and the root of the beacon
//! chain of EIP-4788.
//!
//! In: a block with the state after its parent. Out: the same with these words in it, as its transactions find them. A chain
//! without the contracts is left as it is.

use alloy_eips::{
    eip2935::{HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS},
    eip4788::BEACON_ROOTS_ADDRESS,
};
use alloy_primitives::{Address, KECCAK256_EMPTY, U256};
use revm::primitives::hardfork::SpecId;

use crate::block::Block;

/// The number of roots that the contract of EIP-4788 keeps.
const ROOTS: u64 = 8_191;

/// Puts into the state what the client writes, where the contracts are known.
pub(super) fn put_into(block: &mut Block) {
    let header = &block.header;
    let mut words: Vec<(Address, u64, U256)> = Vec::new();
    if let (true, Some(root)) = (block.spec.is_enabled_in(SpecId::CANCUN), header.parent_beacon_block_root) {
        let at = header.timestamp % ROOTS;
        words.push((BEACON_ROOTS_ADDRESS, at, U256::from(header.timestamp)));
        words.push((BEACON_ROOTS_ADDRESS, at + ROOTS, root.into()));
    }
    let parent = block.number.checked_sub(1).zip(header.parent_hash);
    if let (true, Some((number, hash))) = (block.spec.is_enabled_in(SpecId::PRAGUE), parent) {
        words.push((HISTORY_STORAGE_ADDRESS, number % HISTORY_SERVE_WINDOW as u64, hash.into()));
    }
    for (address, slot, word) in words {
        let account = block.pre_state.get_mut(&address);
        if let Some(account) = account.filter(|account| account.code_hash != KECCAK256_EMPTY) {
            account.storage.insert(U256::from(slot), word);
        }
    }
}
