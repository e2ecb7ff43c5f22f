//! What the transaction and the block answer to instructions that ask for them.
//!
//! In: which word is asked for. Out: the word. Nothing here depends on a frame.

use alloy_primitives::{Address, U256};
use deconflict_analyzer::FrameWord;
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
};

use super::taint::Taint;
use super::template::NodeId;
use super::world::Word;

/// An offset into bytes; past every end if it does not fit.
#[inline]
pub(super) fn clamp(word: U256) -> usize {
    u32::try_from(word).map_or(u32::MAX as usize, |offset| offset as usize)
}
pub(super) fn block_word(word: FrameWord, tx: &TxEnv, block: &BlockEnv, chain_id: u64) -> U256 {
    let address = |address: Address| address.into_word().into();
    match word {
        FrameWord::Origin => address(tx.caller),
        FrameWord::GasPrice => U256::from(super::effective_gas_price(tx, block)),
        FrameWord::Coinbase => address(block.beneficiary),
        FrameWord::Timestamp => block.timestamp,
        FrameWord::Number => block.number,
        FrameWord::PrevRandao => block.prevrandao.map_or(block.difficulty, Into::into),
        FrameWord::GasLimit => U256::from(block.gas_limit),
        FrameWord::ChainId => U256::from(chain_id),
        FrameWord::BaseFee => U256::from(block.basefee),
        FrameWord::BlobBaseFee => {
            block.blob_excess_gas_and_price.map_or(U256::ZERO, |blob| U256::from(blob.blob_gasprice))
        }
        FrameWord::SlotNumber => U256::from(block.slot_num),
        // Words of the frame are read where they are.
        FrameWord::Address
        | FrameWord::Caller
        | FrameWord::CallValue
        | FrameWord::CallDataSize
        | FrameWord::CodeSize => U256::ZERO,
    }
}

/// The hash of one of the last 256 blocks, zero for any other.
pub(super) fn block_hash<D: DatabaseRef>(number: U256, block: &BlockEnv, state: &D) -> Word {
    let known = block.number.checked_sub(number).is_some_and(|age| !age.is_zero() && age <= U256::from(256));
    let Some(number) = u64::try_from(number).ok().filter(|_| known) else { return Word::default() };
    match state.block_hash_ref(number) {
        Ok(hash) => Word::clean(hash.into()),
        Err(_) => Word { node: NodeId::UNKNOWN, ..Word::new(U256::ZERO, Taint::UNAVAILABLE) },
    }
}
