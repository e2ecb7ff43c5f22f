//! The slices of codes, compiled once for all transactions and threads.
//!
//! In: the hash of a code and a way to get its bytes. Out: its slice, or where the account is delegated to. Bounded:
//! what has not been used for long is dropped and compiled again when it is needed.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY};
use deconflict_analyzer::{Slice, Variant};
use hashbrown::HashMap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustc_hash::FxBuildHasher;

use crate::cache::SliceCache;

/// How much memory the shared slices may take, in bytes, roughly.
const CAPACITY: u64 = 512 << 20;

/// How many codes are expected: a hint for the size of tables.
const EXPECTED: usize = 4_096;

/// How many slices one thread keeps at hand before it starts anew.
const AT_HAND: usize = 4_096;

/// What the code of an account leads to.
#[derive(Clone, Debug)]
pub(super) enum Runnable {
    /// There is nothing to run.
    Nothing,
    /// The code itself.
    Slice(Arc<Slice>),
    /// The code of another account, by an EIP-7702 designator.
    Delegation(Address),
}

#[derive(Clone, Copy, Debug)]
struct BySize;

impl Weighter<(B256, Variant), Runnable> for BySize {
    fn weight(&self, _: &(B256, Variant), code: &Runnable) -> u64 {
        match code {
            Runnable::Nothing | Runnable::Delegation(_) => 64,
            Runnable::Slice(slice) => slice.size() as u64,
        }
    }
}

/// The slices that all threads share.
#[derive(Debug)]
pub(super) struct CodeCache {
    shared: Cache<(B256, Variant), Runnable, BySize>,
    /// Where slices are looked for before they are compiled, and kept afterwards.
    pub(super) disk: Option<SliceCache>,
}

impl Default for CodeCache {
    fn default() -> Self {
        Self { shared: Cache::with_weighter(EXPECTED, CAPACITY, BySize), disk: None }
    }
}

/// The slices that one thread has at hand.
pub(super) type CodesAtHand = HashMap<(B256, Variant), Runnable, FxBuildHasher>;

impl CodeCache {
    /// No slices but those on disk.
    pub(super) fn over(disk: SliceCache) -> Self {
        Self { disk: Some(disk), ..Self::default() }
    }

    /// What the code with this hash leads to. `bytes` is asked only where it has not been compiled yet. None where `stop`
    /// has said that it is enough before it was.
    pub(super) fn get<E>(
        &self,
        at_hand: &mut CodesAtHand,
        hash: B256,
        variant: Variant,
        bytes: impl FnOnce() -> Result<Bytes, E>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Runnable>, E> {
        if hash == KECCAK256_EMPTY {
            return Ok(Some(Runnable::Nothing));
        }
        let key = (hash, variant);
        if let Some(code) = at_hand.get(&key) {
            return Ok(Some(code.clone()));
        }
        let code = if let Some(code) = self.shared.get(&key) {
            code
        } else {
            let code = match self.disk.as_ref().and_then(|disk| disk.load(hash, variant)) {
                Some(slice) => Runnable::Slice(Arc::new(slice)),
                None => match compile(bytes()?, variant, false, stop) {
                    Some(code) => self.keep(code),
                    None => return Ok(None),
                },
            };
            self.shared.insert(key, code.clone());
            code
        };
        if at_hand.len() >= AT_HAND {
            at_hand.clear();
        }
        at_hand.insert(key, code.clone());
        Ok(Some(code))
    }

    /// Whether the code with this hash has been compiled, and is in memory.
    pub(super) fn has(&self, at_hand: &CodesAtHand, hash: B256, variant: Variant) -> bool {
        let key = (hash, variant);
        hash == KECCAK256_EMPTY || at_hand.contains_key(&key) || self.shared.peek(&key).is_some()
    }

    /// Compiles a code again so that computed jumps may land anywhere. False where `stop` has said that it is enough
    /// before that was done.
    pub(super) fn widen(&self, at_hand: &mut CodesAtHand, slice: &Slice, stop: &dyn Fn() -> bool) -> bool {
        let key = (slice.hash, slice.variant);
        let Some(code) = compile(slice.code.clone(), slice.variant, true, stop) else { return false };
        let code = self.keep(code);
        self.shared.insert(key, code.clone());
        at_hand.insert(key, code);
        true
    }

    /// Lets the next process find what was compiled.
    fn keep(&self, code: Runnable) -> Runnable {
        if let (Some(disk), Runnable::Slice(slice)) = (&self.disk, &code) {
            disk.store(slice);
        }
        code
    }
}

fn compile(
    bytes: Bytes,
    variant: Variant,
    all_destinations: bool,
    stop: &dyn Fn() -> bool,
) -> Option<Runnable> {
    if bytes.is_empty() {
        return Some(Runnable::Nothing);
    }
    if let Some(address) = delegate(&bytes) {
        return Some(Runnable::Delegation(address));
    }
    let slice = Slice::compile_until(bytes, variant, all_destinations, stop)?;
    Some(Runnable::Slice(Arc::new(slice)))
}

/// The account that a designator names, by EIP-7702.
pub(super) fn delegate(code: &[u8]) -> Option<Address> {
    let address = code.strip_prefix(&[0xef, 0x01, 0x00])?;
    (address.len() == 20).then(|| Address::from_slice(address))
}

/// The code of an account that is delegated to another, by EIP-7702.
pub(super) fn designator(address: Address) -> Bytes {
    let bytes = [&[0xef, 0x01, 0x00][..], address.as_slice()].concat();
    debug_assert!(delegate(&bytes) == Some(address));
    bytes.into()
}
