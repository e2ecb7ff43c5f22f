//! KECCAK256 without hashing two words that were hashed before.
//!
//! In: the instruction's operands and memory. Out: what revm's instruction leaves behind, gas included.

use alloy_primitives::U256;
use revm::{
    DatabaseRef,
    interpreter::{InstructionContext, InstructionExecResult, InstructionResult, instructions::system},
};

use super::engine::At;
use crate::view::HASHED_BYTES;

/// What KECCAK256 does, without hashing two words that were hashed before.
pub(super) fn keccak256<D: DatabaseRef>(at: At<'_, '_, D>) -> InstructionExecResult {
    let Some(bytes) = two_words(&at) else { return system::keccak256(at) };
    if let Some(hash) = at.host.journaled_state.database.hashes.find(&bytes) {
        let cost = at.host.cfg.gas_params.keccak256_cost(HASHED_BYTES);
        if !at.interpreter.gas.record_regular_cost(cost) {
            return Err(InstructionResult::OutOfGas);
        }
        let Some(([_], top)) = at.interpreter.stack.popn_top::<1>() else {
            return Err(InstructionResult::StackUnderflow);
        };
        *top = hash;
        return Ok(());
    }
    let At { interpreter, host } = at;
    system::keccak256(InstructionContext { interpreter: &mut *interpreter, host: &mut *host })?;
    if let Some(hash) = interpreter.stack.top() {
        host.journaled_state.database.hashes.keep(&bytes, *hash);
    }
    Ok(())
}

/// The bytes that the instruction hashes, if they are two words of memory that is there already.
fn two_words<D: DatabaseRef>(at: &At<'_, '_, D>) -> Option<[u64; 8]> {
    let [.., length, offset] = at.interpreter.stack.data().as_slice() else { return None };
    if *length != U256::from(HASHED_BYTES) {
        return None;
    }
    let offset = usize::try_from(*offset).ok()?;
    let end = offset.checked_add(HASHED_BYTES)?;
    if end > at.interpreter.memory.len() {
        return None;
    }
    let memory = at.interpreter.memory.slice_range(offset..end);
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(memory.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Some(words)
}
