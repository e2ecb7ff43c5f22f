//! Remembered results of functions of bytes that cost more than finding them again: precompiles and long hashes.
//!
//! A signature is checked when a transaction comes in, again when the state under it has changed, and again for every
//! block that it is tried in: the answer is the same each time. The whole input is kept and compared, so that a
//! remembered result is never that of other bytes. Bounded: of what was not asked for lately nothing is kept.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};
use revm::precompile::{PrecompileSpecId, Precompiles};

use super::keccak::KeccakCache;

/// How many bytes of inputs and outputs a generation holds before the next begins.
const CAPACITY: usize = 2 << 20;

/// What an entry takes beyond its input and output, roughly, in bytes.
const OVERHEAD: usize = 128;

/// A function of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Function {
    Keccak,
    /// The precompile of this number by these rules.
    Precompile(PrecompileSpecId, u16),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Input {
    function: Function,
    bytes: Box<[u8]>,
}

#[derive(Clone, Copy, Hash)]
struct InputRef<'a> {
    function: Function,
    bytes: &'a [u8],
}

impl Equivalent<Input> for InputRef<'_> {
    fn equivalent(&self, other: &Input) -> bool {
        self.function == other.function && *self.bytes == *other.bytes
    }
}

/// What a precompile returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) bytes: Bytes,
    pub(crate) gas_used: u64,
}

/// Remembered results.
#[derive(Clone, Debug, Default)]
pub(super) struct ResultMemo {
    pairs: KeccakCache,
    remembered: Remembered,
}

/// Remembered results of anything but pairs of words. Inputs come from whoever writes transactions, so that their places
/// must not be foreseeable: the tables have a secret of their own each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remembered {
    young: HashMap<Input, Returned, RandomState>,
    old: HashMap<Input, Returned, RandomState>,
    /// How many bytes the young ones take.
    size: usize,
}

impl ResultMemo {
    /// The hash of two words, as mappings use it.
    #[inline]
    pub(super) fn keccak_pair(&mut self, first: U256, second: U256) -> U256 {
        self.pairs.pair(first, second)
    }

    /// The hash of bytes.
    pub(super) fn keccak(&mut self, bytes: &[u8]) -> U256 {
        if let Ok(pair) = <&[u8; 64]>::try_from(bytes) {
            return self.pairs.pair(U256::from_be_slice(&pair[..32]), U256::from_be_slice(&pair[32..]));
        }
        let input = InputRef { function: Function::Keccak, bytes };
        if let Some(known) = self.remembered.find(input) {
            return U256::from_be_slice(&known.bytes);
        }
        let hash: B256 = keccak256(bytes);
        self.remembered.keep(input, Returned { bytes: Bytes::copy_from_slice(&hash.0), gas_used: 0 });
        hash.into()
    }

    /// What a precompile returns, and the gas that it takes; none if it fails with as much as it is given.
    pub(super) fn precompile(
        &mut self,
        spec: PrecompileSpecId,
        number: u16,
        bytes: &[u8],
        gas: u64,
    ) -> Option<&Returned> {
        if self.remembered.precompile(spec, number, bytes).is_none() {
            let [high, low] = number.to_be_bytes();
            let mut address = Address::with_last_byte(low);
            address.0[18] = high;
            let result = Precompiles::new(spec).get(&address)?.execute(bytes, gas, 0).ok()?;
            if !result.status.is_success() {
                return None;
            }
            let returned = Returned { bytes: result.bytes, gas_used: result.gas_used };
            self.remembered.keep_precompile(spec, number, bytes, returned);
        }
        self.remembered.precompile(spec, number, bytes).filter(|returned| returned.gas_used <= gas)
    }
}

impl Remembered {
    /// What a precompile is known to return, to whoever has the gas.
    pub(crate) fn precompile(
        &mut self,
        spec: PrecompileSpecId,
        number: u16,
        bytes: &[u8],
    ) -> Option<&Returned> {
        self.find(InputRef { function: Function::Precompile(spec, number), bytes })
    }

    /// Remembers what a precompile has returned.
    pub(crate) fn keep_precompile(
        &mut self,
        spec: PrecompileSpecId,
        number: u16,
        bytes: &[u8],
        returned: Returned,
    ) {
        self.keep(InputRef { function: Function::Precompile(spec, number), bytes }, returned);
    }

    /// What is remembered. Afterwards it is among the young.
    fn find(&mut self, input: InputRef<'_>) -> Option<&Returned> {
        if !self.young.contains_key(&input) {
            let (key, returned) = self.old.remove_entry(&input)?;
            self.insert(key, returned);
        }
        self.young.get(&input)
    }

    fn keep(&mut self, input: InputRef<'_>, returned: Returned) {
        self.insert(Input { function: input.function, bytes: input.bytes.into() }, returned);
    }

    fn insert(&mut self, input: Input, returned: Returned) {
        if self.size > CAPACITY {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
        self.size += input.bytes.len() + returned.bytes.len() + OVERHEAD;
        self.young.insert(input, returned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: PrecompileSpecId = PrecompileSpecId::CANCUN;

    #[test]
    fn remembered_hashes_are_right() {
        let mut results = ResultMemo::default();
        for number in 0..60_000_u32 {
            let bytes = (number % 20_000).to_be_bytes().repeat(1 + (number % 20_000) as usize % 40);
            assert_eq!(results.keccak(&bytes), U256::from_be_bytes(keccak256(&bytes).0));
            assert!(results.remembered.size <= CAPACITY + bytes.len() + 32 + OVERHEAD);
        }
        assert!(!results.remembered.old.is_empty(), "nothing was ever forgotten");
    }

    #[test]
    fn a_precompile_fails_for_want_of_gas_whatever_is_remembered() {
        let mut results = ResultMemo::default();
        for gas in [59, 60, 59] {
            // SHA-256 of nothing costs 60.
            let returned = results.precompile(SPEC, 2, &[], gas);
            assert_eq!(returned.map(|it| it.gas_used), (gas >= 60).then_some(60));
        }
    }

    #[test]
    fn precompiles_are_told_apart() {
        let precompiles = Precompiles::new(SPEC);
        let mut results = ResultMemo::default();
        for _ in 0..2 {
            for number in [2, 3, 4] {
                let direct = precompiles.get(&Address::with_last_byte(number)).expect("all forks have it");
                let direct = direct.execute(b"deconflict", 100_000, 0).expect("any bytes will do");
                let returned = results.precompile(SPEC, number.into(), b"deconflict", 100_000);
                assert_eq!(returned.map(|it| &it.bytes), Some(&direct.bytes));
            }
            assert!(results.precompile(SPEC, 0x99, &[], 100_000).is_none());
        }
    }
}
