//! Hashes of two words that were computed before: contracts hash the same key of a mapping again and again.
//!
//! In: 64 bytes. Out: their hash, if it is still known. A hash is found by all bytes that it is of, so that it
//! is never one of other bytes.

use alloy_primitives::U256;

use crate::tuning::KEPT_HASHES;

/// The number of bytes whose hashes are kept: a key of a mapping and the mapping's slot.
pub(crate) const BYTES: usize = 64;

/// Eight words of what was hashed, and four of its hash.
type Cell = [u64; 12];

/// Hashes by what they are of. A cell without a hash is empty: no bytes are known whose hash is zero.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    cells: Vec<Cell>,
}

impl Hashes {
    pub(crate) fn find(&self, bytes: &[u64; 8]) -> Option<U256> {
        let cell = self.cells.get(place(bytes))?;
        let hash = U256::from_limbs([cell[8], cell[9], cell[10], cell[11]]);
        (cell[..8] == *bytes && !hash.is_zero()).then_some(hash)
    }

    pub(crate) fn keep(&mut self, bytes: &[u64; 8], hash: U256) {
        if self.cells.is_empty() {
            self.cells = vec![[0; 12]; KEPT_HASHES];
        }
        let cell = &mut self.cells[place(bytes)];
        cell[..8].copy_from_slice(bytes);
        cell[8..].copy_from_slice(hash.as_limbs());
    }
}

fn place(bytes: &[u64; 8]) -> usize {
    let mix = |delta: u64, word: &u64| (delta.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (bytes.iter().fold(0, mix) >> 40) as usize % KEPT_HASHES
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
