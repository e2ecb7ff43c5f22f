//! The environment of another block, to predict in: predictions that depend on a word in which it differs are announced
//! stale.
//!
//! In: that block and the one that is audited. Out: what predictions are made in, and the words in which the two differ.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use revm::{DatabaseRef, bytecode::Bytecode, context::BlockEnv, state::AccountInfo};

use crate::{access_set::AccessSet, block::Block, environment::EnvironmentWord, state::BlockState};

/// What transactions see of a block. The rules and the chain stay those of the block that is audited.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The number of the block, for reports.
    pub number: u64,
    /// The words that instructions can ask of it.
    pub env: BlockEnv,
    /// The hashes of the blocks before it, as far as they are known.
    pub block_hashes: BTreeMap<u64, B256>,
}

impl Environment {
    /// The environment of a block.
    pub fn of(block: &Block) -> Self {
        Self { number: block.number, env: block.env(), block_hashes: block.block_hashes.clone() }
    }

    /// Whether a prediction made in this environment says that it does not hold in the other.
    pub(super) fn outdates(&self, set: &AccessSet, other: &Self) -> bool {
        set.depends_on_environment.iter().any(|word| self.differs(*word, other))
    }

    fn differs(&self, word: EnvironmentWord, other: &Self) -> bool {
        if let EnvironmentWord::BlockHash(number) = word {
            let hashes = [self, other].map(|it| it.block_hashes.get(&number));
            // A hash that one of them lacks was taken from the other.
            return matches!(hashes, [Some(one), Some(other)] if one != other);
        }
        word.value_in(&self.env) != word.value_in(&other.env)
    }
}

/// A state on which blocks have the hashes that an environment gives them.
pub(super) struct Elsewhere<'a> {
    pub(super) state: &'a BlockState,
    pub(super) block_hashes: &'a BTreeMap<u64, B256>,
}

impl DatabaseRef for Elsewhere<'_> {
    type Error = <BlockState as DatabaseRef>::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.state.basic_ref(address)
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Self::Error> {
        self.state.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        match self.block_hashes.get(&number) {
            Some(hash) => Ok(*hash),
            None => self.state.block_hash_ref(number),
        }
    }
}
