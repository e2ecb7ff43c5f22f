//! The state before a block in memory, and the state between its transactions, as views that revm reads from.
//!
//! What a block does not list follows the format: an account does not exist, a slot is zero. A code or a block hash
//! that is needed and not listed is an error, never an invented value.

use std::collections::BTreeMap;

use alloy_primitives::{
    Address, B256, KECCAK256_EMPTY, U256,
    map::{AddressMap, B256Map},
};
use hashbrown::HashMap;
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    database::{CacheDB, DBErrorMarker},
    state::{AccountInfo, EvmState},
};
use rustc_hash::FxBuildHasher;
use thiserror::Error;

use crate::block::Block;

/// The state before the first transaction of a block.
#[derive(Clone, Debug, Default)]
pub struct BlockState {
    accounts: AddressMap<AccountInfo>,
    /// The words of all accounts in one table: a load is one lookup.
    storage: HashMap<(Address, U256), U256, FxBuildHasher>,
    codes: B256Map<Bytecode>,
    /// Sorted by number.
    block_hashes: Vec<(u64, B256)>,
}

/// The state after some transactions of a block: what they changed, over the state before the block.
pub type Overlay<'a> = CacheDB<&'a BlockState>;

/// A piece of state that is needed and that the block does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// A code is needed that is listed as one that never runs, or not at all.
    #[error("the code with the hash {0} is needed and not part of the block; add it to `codes`")]
    CodeMissing(B256),
    /// A block hash is needed that is not listed.
    #[error("the hash of block {0} is needed and not part of the block; add it to `block_hashes`")]
    BlockHashMissing(u64),
}

impl DBErrorMarker for StateError {}

impl BlockState {
    /// The state before the first transaction of `block`.
    pub fn new(block: &Block) -> Self {
        let accounts = block.pre_state.iter().map(|(address, account)| {
            let info = AccountInfo {
                balance: account.balance,
                nonce: account.nonce,
                code_hash: account.code_hash,
                account_id: None,
                code: None,
            };
            (*address, info)
        });
        let storage = block.pre_state.iter().flat_map(|(address, account)| {
            account.storage.iter().map(|(slot, word)| ((*address, *slot), *word))
        });
        Self {
            accounts: accounts.collect(),
            storage: storage.collect(),
            codes: block.codes.iter().map(|(hash, code)| (*hash, code.clone())).collect(),
            block_hashes: block.block_hashes.iter().map(|(number, hash)| (*number, *hash)).collect(),
        }
    }

    /// Takes these for the hashes of earlier blocks, beside those that it has.
    pub(crate) fn know_hashes(&mut self, hashes: &BTreeMap<u64, B256>) {
        let mut all: BTreeMap<u64, B256> = self.block_hashes.iter().copied().collect();
        all.extend(hashes);
        self.block_hashes = all.into_iter().collect();
    }

    /// A state over this one, which transactions can be committed to.
    pub fn overlay(&self) -> Overlay<'_> {
        CacheDB::new(self)
    }

    /// Makes the changes of a transaction part of this state, as it is to the next one.
    #[expect(clippy::iter_over_hash_type, reason = "each account is changed on its own, in any order")]
    pub(crate) fn commit(&mut self, changes: &EvmState) {
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() || account.is_created() {
                self.storage.retain(|(holder, _), _| holder != address);
            }
            if account.is_selfdestructed() {
                self.accounts.remove(address);
                continue;
            }
            if let Some(code) = &account.info.code {
                self.codes.entry(account.info.code_hash).or_insert_with(|| code.clone());
            }
            self.accounts.insert(*address, AccountInfo { code: None, ..account.info.clone() });
            let words = account.storage.iter().map(|(slot, word)| ((*address, *slot), word.present_value()));
            self.storage.extend(words);
        }
    }
}

impl DatabaseRef for BlockState {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.accounts.get(&address).cloned())
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        if hash == KECCAK256_EMPTY || hash.is_zero() {
            return Ok(Bytecode::default());
        }
        self.codes.get(&hash).cloned().ok_or(StateError::CodeMissing(hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        let found = self.block_hashes.binary_search_by_key(&number, |(number, _)| *number);
        found.map(|index| self.block_hashes[index].1).map_err(|_| StateError::BlockHashMissing(number))
    }
}
