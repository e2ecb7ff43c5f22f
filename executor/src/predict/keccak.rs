//! Keccak-256 with a memory of the hashes that storage keys are made of.
//!
//! Hashing a mapping key costs more than everything else that predicting it takes, and the same few keys come up again
//! and again: the balance of a pool, the allowance of a router. The whole preimage is kept and compared, so that a
//! remembered hash is never that of other bytes.

use alloy_primitives::{U256, keccak256};

/// How many hashes are remembered; a power of two.
const ENTRIES: usize = 1 << 13;

/// Remembered hashes of two words.
#[derive(Clone, Debug)]
pub(super) struct KeccakCache {
    entries: Box<[Option<Entry>]>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    preimage: [U256; 2],
    hash: U256,
}

impl Default for KeccakCache {
    fn default() -> Self {
        Self { entries: vec![None; ENTRIES].into_boxed_slice() }
    }
}

impl KeccakCache {
    /// The hash of two words, as mappings use it.
    #[inline]
    pub(super) fn pair(&mut self, first: U256, second: U256) -> U256 {
        let preimage = [first, second];
        let at = place(first, second);
        match &self.entries[at] {
            Some(entry) if entry.preimage == preimage => entry.hash,
            _ => {
                let mut bytes = [0; 64];
                bytes[..32].copy_from_slice(&first.to_be_bytes::<32>());
                bytes[32..].copy_from_slice(&second.to_be_bytes::<32>());
                let hash = keccak256(bytes).into();
                self.entries[at] = Some(Entry { preimage, hash });
                hash
            }
        }
    }
}

/// Where the hash of two words is looked for: a good spread is all that is needed.
fn place(first: U256, second: U256) -> usize {
    let mut mixed = 0_u64;
    for limb in first.as_limbs().iter().chain(second.as_limbs()) {
        mixed = (mixed.rotate_left(5) ^ limb).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (mixed >> 40) as usize % ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_hashes_are_right() {
        let mut cache = KeccakCache::default();
        for number in 0..40_000_u64 {
            let (first, second) = (U256::from(number % 9_000), U256::from(number % 7));
            let bytes = [first.to_be_bytes::<32>(), second.to_be_bytes::<32>()].concat();
            assert_eq!(cache.pair(first, second), U256::from_be_bytes(keccak256(&bytes).0));
        }
    }
}
