//! The environment of another block, to predict in: predictions that depend on a word in which it differs are announced
//! stale.
//!
//! In: that block and the one that is audited. Out: what predictions are made in, and the words in which the two differ.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use revm::context::BlockEnv;

use crate::{access_set::AccessSet, block::Block, environment::EnvironmentWord};

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
