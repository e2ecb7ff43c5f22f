//! Hashes of two words that were computed before: contracts hash the same key of a mapping again and again.
//!
//! In: 64 bytes of memory. Out: their hash, if it is still known. A hash is found by all bytes that it is of, so that it
//! is never one of other bytes.

use alloy_primitives::U256;
use revm::{
    DatabaseRef,
    interpreter::{InstructionContext, InstructionExecResult, InstructionResult, instructions::system},
};

use super::observe::At;

/// The number of bytes whose hashes are kept: a key of a mapping and the mapping's slot.
const BYTES: usize = 64;

/// The number of hashes that are kept: few enough to stay where memory is fastest.
const CELLS: usize = 256;

/// Eight words of what was hashed, and four of its hash.
type Cell = [u64; 12];

/// Hashes by what they are of. A cell without a hash is empty: no bytes are known whose hash is zero.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    cells: Vec<Cell>,
}

impl Hashes {
    fn find(&self, bytes: &[u64; 8]) -> Option<U256> {
        let cell = self.cells.get(place(bytes))?;
        let hash = U256::from_limbs([cell[8], cell[9], cell[10], cell[11]]);
        (cell[..8] == *bytes && !hash.is_zero()).then_some(hash)
    }

    fn keep(&mut self, bytes: &[u64; 8], hash: U256) {
        if self.cells.is_empty() {
            self.cells = vec![[0; 12]; CELLS];
        }
        let cell = &mut self.cells[place(bytes)];
        cell[..8].copy_from_slice(bytes);
        cell[8..].copy_from_slice(hash.as_limbs());
    }
}

fn place(bytes: &[u64; 8]) -> usize {
    let mix = |sum: u64, word: &u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (bytes.iter().fold(0, mix) >> 40) as usize % CELLS
}

/// What KECCAK256 does, without hashing two words that were hashed before.
pub(super) fn keccak256<D: DatabaseRef>(at: At<'_, '_, D>) -> InstructionExecResult {
    let Some(bytes) = two_words(&at) else { return system::keccak256(at) };
    if let Some(hash) = at.host.journaled_state.database.hashes.find(&bytes) {
        let cost = at.host.cfg.gas_params.keccak256_cost(BYTES);
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
    if *length != U256::from(BYTES) {
        return None;
    }
    let offset = usize::try_from(*offset).ok()?;
    let end = offset.checked_add(BYTES)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_found_by_all_of_its_bytes() {
        let mut hashes = Hashes::default();
        assert_eq!(hashes.find(&[0; 8]), None);
        hashes.keep(&[1; 8], U256::from(7));
        assert_eq!(hashes.find(&[1; 8]), Some(U256::from(7)));
        assert_eq!(hashes.find(&[0; 8]), None);
        // Whatever lies in the same cell replaces it, and is not taken for it.
        let other =
            (2..1 << 20).map(|word| [word; 8]).find(|it| place(it) == place(&[1; 8])).expect("cells are few");
        assert_eq!(hashes.find(&other), None);
        hashes.keep(&other, U256::from(8));
        assert_eq!((hashes.find(&[1; 8]), hashes.find(&other)), (None, Some(U256::from(8))));
    }
}
