//! The words of a block that transactions see, by name.
//!
//! In: nothing. Out: [`EnvironmentWord`], which predictions list their dependence on, its value in a block, and which words
//! of a block are [`Assumed`]. The fork and the chain are not among them: they are the rules that a transaction runs by,
//! not an input of it.

use alloy_primitives::U256;
use revm::context::BlockEnv;

/// A word of the block that a transaction runs in, which the transaction itself does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EnvironmentWord {
    /// `TIMESTAMP`.
    Timestamp,
    /// `NUMBER`.
    Number,
    /// `PREVRANDAO`, which was `DIFFICULTY` before the merge.
    PrevRandao,
    /// `COINBASE`: the account that gets the fees.
    Coinbase,
    /// `BASEFEE`. Also `GASPRICE`, and what the sender pays in advance, of transactions whose price follows it.
    BaseFee,
    /// `GASLIMIT`: how much gas the block may use.
    GasLimit,
    /// `BLOBBASEFEE`. Also what the sender pays in advance for blobs.
    BlobBaseFee,
    /// `SLOTNUM`.
    SlotNumber,
    /// `BLOCKHASH` of the block of this number.
    BlockHash(u64),
}

impl EnvironmentWord {
    /// The names of all words, in the order of their numbers.
    pub const NAMES: [&'static str; 9] = [
        "timestamp",
        "number",
        "prev_randao",
        "coinbase",
        "base_fee",
        "gas_limit",
        "blob_base_fee",
        "slot_number",
        "block_hash",
    ];

    /// The words but the hashes of blocks, in the order of their numbers.
    pub(crate) const FIXED: [Self; 8] = [
        Self::Timestamp,
        Self::Number,
        Self::PrevRandao,
        Self::Coinbase,
        Self::BaseFee,
        Self::GasLimit,
        Self::BlobBaseFee,
        Self::SlotNumber,
    ];

    /// The name that formats and reports use, in snake case; the same for the hash of any block.
    pub fn name(self) -> &'static str {
        Self::NAMES[self.number()]
    }

    /// Which word it is, hashes of blocks not told apart.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::Timestamp => 0,
            Self::Number => 1,
            Self::PrevRandao => 2,
            Self::Coinbase => 3,
            Self::BaseFee => 4,
            Self::GasLimit => 5,
            Self::BlobBaseFee => 6,
            Self::SlotNumber => 7,
            Self::BlockHash(_) => 8,
        }
    }

    /// What the word is in a block with this environment. None for the hash of a block, which the state under the block
    /// has to say.
    pub fn value_in(self, block: &BlockEnv) -> Option<U256> {
        Some(match self {
            Self::Timestamp => block.timestamp,
            Self::Number => block.number,
            Self::PrevRandao => block.prevrandao.map_or(block.difficulty, Into::into),
            Self::Coinbase => block.beneficiary.into_word().into(),
            Self::BaseFee => U256::from(block.basefee),
            Self::GasLimit => U256::from(block.gas_limit),
            Self::BlobBaseFee => {
                let price = block.blob_excess_gas_and_price.map(|blob| U256::from(blob.blob_gasprice));
                price.unwrap_or_default()
            }
            Self::SlotNumber => U256::from(block.slot_num),
            Self::BlockHash(_) => return None,
        })
    }
}

/// The words of a block that is not there yet, as far as nobody has said them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// Those that whoever makes the block chooses, or that are not known before it is made.
    pub guessed: Vec<EnvironmentWord>,
    /// Those that follow from the block before it by Ethereum's rules: right wherever a chain has these rules.
    pub computed: Vec<EnvironmentWord>,
}

impl Assumed {
    /// Where nothing is known of the block.
    pub fn everything() -> Self {
        Self { guessed: EnvironmentWord::FIXED.to_vec(), computed: Vec::new() }
    }

    /// Somebody has said what this word is.
    pub fn forget(&mut self, word: EnvironmentWord) {
        self.guessed.retain(|it| *it != word);
        self.computed.retain(|it| *it != word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_number_and_a_name_of_its_own() {
        let all = EnvironmentWord::FIXED.into_iter().chain([EnvironmentWord::BlockHash(7)]);
        for (number, word) in all.enumerate() {
            assert_eq!(word.number(), number);
            assert_eq!(EnvironmentWord::NAMES.iter().position(|name| *name == word.name()), Some(number));
        }
        assert_eq!(EnvironmentWord::BlockHash(1).name(), EnvironmentWord::BlockHash(2).name());
    }

    #[test]
    fn before_the_merge_randomness_is_difficulty() {
        let mut block = BlockEnv { difficulty: U256::from(5), prevrandao: None, ..BlockEnv::default() };
        assert_eq!(EnvironmentWord::PrevRandao.value_in(&block), Some(U256::from(5)));
        block.prevrandao = Some(alloy_primitives::B256::with_last_byte(9));
        assert_eq!(EnvironmentWord::PrevRandao.value_in(&block), Some(U256::from(9)));
    }
}
