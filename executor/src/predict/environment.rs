//! What the transaction and the block answer to instructions that ask for them.
//!
//! In: which word is asked for. Out: the word, and which words of the block decide it. Nothing here depends on a frame.

use alloy_primitives::U256;
use deconflict_analyzer::FrameWord;
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
};

use super::node::NodeId;
use super::taint::Taint;
use super::touched_state::Word;
use crate::environment::EnvironmentWord;

/// An offset into bytes; past every end if it does not fit.
#[inline]
pub(super) fn clamp(word: U256) -> usize {
    u32::try_from(word).map_or(u32::MAX as usize, |offset| offset as usize)
}

/// An amount of gas; all that there is if it does not fit.
pub(super) fn clamp_gas(word: U256) -> u64 {
    u64::try_from(word).unwrap_or(u64::MAX)
}

/// A word of the transaction or of the block.
pub(super) fn block_word(word: FrameWord, tx: &TxEnv, block: &BlockEnv, chain_id: u64) -> U256 {
    match word {
        FrameWord::Origin => tx.caller.into_word().into(),
        FrameWord::GasPrice => U256::from(super::effective_gas_price(tx, block)),
        FrameWord::ChainId => U256::from(chain_id),
        // Words of the frame are read where they are.
        other => source(other).and_then(|word| word.value_in(block)).unwrap_or_default(),
    }
}

/// The word of the block that an instruction asks for as it is.
fn source(word: FrameWord) -> Option<EnvironmentWord> {
    Some(match word {
        FrameWord::Coinbase => EnvironmentWord::Coinbase,
        FrameWord::Timestamp => EnvironmentWord::Timestamp,
        FrameWord::Number => EnvironmentWord::Number,
        FrameWord::PrevRandao => EnvironmentWord::PrevRandao,
        FrameWord::GasLimit => EnvironmentWord::GasLimit,
        FrameWord::BaseFee => EnvironmentWord::BaseFee,
        FrameWord::BlobBaseFee => EnvironmentWord::BlobBaseFee,
        FrameWord::SlotNumber => EnvironmentWord::SlotNumber,
        FrameWord::Origin
        | FrameWord::GasPrice
        | FrameWord::ChainId
        | FrameWord::Address
        | FrameWord::Caller
        | FrameWord::CallValue
        | FrameWord::CallDataSize
        | FrameWord::CodeSize => return None,
    })
}

/// The word of the block that decides what [`block_word`] answers; none where the transaction and the rules do.
pub(super) fn block_source(word: FrameWord, tx: &TxEnv) -> Option<EnvironmentWord> {
    match word {
        FrameWord::GasPrice => price_source(tx),
        other => source(other),
    }
}

/// The word of the block that decides what the transaction pays for gas.
fn price_source(tx: &TxEnv) -> Option<EnvironmentWord> {
    // Transactions of the first two types name a price, all others the most they pay beyond the base fee.
    (tx.tx_type > 1 && tx.gas_priority_fee.is_some()).then_some(EnvironmentWord::BaseFee)
}

/// The words of the block that decide what the sender pays in advance.
pub(super) fn fee_sources(tx: &TxEnv) -> impl Iterator<Item = EnvironmentWord> {
    let of_blobs = (!tx.blob_hashes.is_empty()).then_some(EnvironmentWord::BlobBaseFee);
    price_source(tx).into_iter().chain(of_blobs)
}

/// The hash of one of the last 256 blocks, zero for any other, and the number of the block that was asked for if it is one
/// of these. Which ones they are the number of the block decides.
pub(super) fn block_hash<D: DatabaseRef>(number: U256, block: &BlockEnv, state: &D) -> (Word, Option<u64>) {
    // No block has such a number.
    let Ok(asked) = u64::try_from(number) else { return (Word::default(), None) };
    let age = block.number.checked_sub(number).filter(|age| !age.is_zero() && *age <= U256::from(256));
    let in_range = Taint::environment(EnvironmentWord::Number);
    if age.is_none() {
        return (Word::new(U256::ZERO, in_range), None);
    }
    let taint = in_range.union(Taint::environment(EnvironmentWord::BlockHash(asked)));
    let word = match state.block_hash_ref(asked) {
        Ok(hash) => Word::new(hash.into(), taint),
        Err(_) => Word { node: NodeId::UNKNOWN, ..Word::new(U256::ZERO, Taint::UNAVAILABLE.union(taint)) },
    };
    (word, Some(asked))
}
