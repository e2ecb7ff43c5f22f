//! A state that is kept once it is read, and a look at what is kept.
//!
//! In: a state that takes its time. Out: the same state, read once; and for those who do not wait, what there is of it.

use std::{
    cell::RefCell,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy_primitives::{Address, B256, U256};
use revm::{DatabaseRef, bytecode::Bytecode, database::DBErrorMarker, state::AccountInfo};
use rustc_hash::FxHashMap;
use thiserror::Error;

use super::Piece;
use crate::{store::lock, tuning::KEPT_SHARDS};

/// A state that is read once.
#[derive(Debug)]
pub struct CachedState<'a, D> {
    state: &'a D,
    pub(super) kept: Kept,
}

/// What has been read of a state.
#[derive(Debug)]
pub(super) struct Kept {
    accounts: Vec<Mutex<FxHashMap<Address, Option<AccountInfo>>>>,
    slots: Vec<Mutex<FxHashMap<(Address, U256), U256>>>,
    codes: Mutex<FxHashMap<B256, Bytecode>>,
    block_hashes: Mutex<FxHashMap<u64, B256>>,
}

impl<'a, D: DatabaseRef> CachedState<'a, D> {
    /// A cache of `state`, which must not change while it is used.
    pub fn new(state: &'a D) -> Self {
        let kept = Kept {
            accounts: (0..KEPT_SHARDS).map(|_| Mutex::default()).collect(),
            slots: (0..KEPT_SHARDS).map(|_| Mutex::default()).collect(),
            codes: Mutex::default(),
            block_hashes: Mutex::default(),
        };
        Self { state, kept }
    }
}

impl Kept {
    fn account(&self, address: Address) -> &Mutex<FxHashMap<Address, Option<AccountInfo>>> {
        &self.accounts[usize::from(address[19]) % KEPT_SHARDS]
    }

    fn slot(&self, address: Address, slot: U256) -> &Mutex<FxHashMap<(Address, U256), U256>> {
        &self.slots[(usize::from(address[19]) ^ slot.byte(0) as usize ^ slot.byte(31) as usize) % KEPT_SHARDS]
    }
}

/// What `map` has under `key`, or what `read` finds, which is kept there. Nobody waits for anybody who reads.
fn keep<K: Eq + std::hash::Hash, V: Clone, E>(
    map: &Mutex<FxHashMap<K, V>>,
    key: K,
    read: impl FnOnce() -> Result<V, E>,
) -> Result<V, E> {
    if let Some(value) = lock(map).get(&key) {
        return Ok(value.clone());
    }
    let value = read()?;
    lock(map).insert(key, value.clone());
    Ok(value)
}

impl<D: DatabaseRef> DatabaseRef for CachedState<'_, D> {
    type Error = D::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, D::Error> {
        keep(self.kept.account(address), address, || self.state.basic_ref(address))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, D::Error> {
        keep(&self.kept.codes, hash, || self.state.code_by_hash_ref(hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, D::Error> {
        keep(self.kept.slot(address, slot), (address, slot), || self.state.storage_ref(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, D::Error> {
        keep(&self.kept.block_hashes, number, || self.state.block_hash_ref(number))
    }
}

/// A state of which there is what has been read of another one. An account that has not been read is not there, a word is
/// zero; both are noted as missing. It is for one thread, and for executions that are thrown away.
#[derive(Debug)]
pub(super) struct Peek<'k> {
    kept: &'k Kept,
    stop: &'k AtomicBool,
    missing: RefCell<Vec<Piece>>,
}

/// Something is not at hand for which nothing can stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it has not been read yet")]
pub(super) struct NotAtHand;

impl DBErrorMarker for NotAtHand {}

impl<'k> Peek<'k> {
    /// A look at what is kept, until `stop` is set.
    pub(super) fn new(kept: &'k Kept, stop: &'k AtomicBool) -> Self {
        Self { kept, stop, missing: RefCell::default() }
    }

    /// Whether nobody needs executions on it any more.
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How much was asked for and not there.
    pub(super) fn count(&self) -> usize {
        self.missing.borrow().len()
    }

    /// Takes out what was asked for and was not there, the same perhaps several times.
    pub(super) fn missing(&self) -> Vec<Piece> {
        self.missing.take()
    }

    fn find<T>(&self, found: Option<T>, piece: Piece) -> Result<Option<T>, NotAtHand> {
        if self.is_over() {
            return Err(NotAtHand);
        }
        if found.is_none() {
            self.missing.borrow_mut().push(piece);
        }
        Ok(found)
    }
}

impl DatabaseRef for Peek<'_> {
    type Error = NotAtHand;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, NotAtHand> {
        let found = lock(self.kept.account(address)).get(&address).cloned();
        Ok(self.find(found, Piece::Account(address))?.flatten())
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, NotAtHand> {
        let found = lock(&self.kept.codes).get(&hash).cloned();
        self.find(found, Piece::Code(hash))?.ok_or(NotAtHand)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, NotAtHand> {
        let found = lock(self.kept.slot(address, slot)).get(&(address, slot)).copied();
        Ok(self.find(found, Piece::Slot(address, slot))?.unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, NotAtHand> {
        lock(&self.kept.block_hashes).get(&number).copied().ok_or(NotAtHand)
    }
}
