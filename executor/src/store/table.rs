//! A map shared by threads, for keys most of which are read and never written.
//!
//! In: keys and changes of their cells. Out: what a look at a cell finds. Cells lie in maps behind locks, enough of them
//! that threads seldom meet; a filter answers for keys that nobody has written, without touching anything that others
//! change. No hash stands in for a key.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash},
};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

// What stands above decides which locks these are, so that a model can go through all that threads can do.
use super::sync::{
    AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, TABLE_SHARDS as SHARDS,
    TABLE_WORDS as WORDS,
};

/// A shared map from keys to cells.
pub(crate) struct Table<K, C> {
    cells: Vec<Mutex<HashTable<(K, C)>>>,
    /// Whether there is anything in `cells`.
    written: AtomicBool,
    /// A bit for each hash in `cells`.
    filter: Vec<AtomicU64>,
}

impl<K, C> fmt::Debug for Table<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("written", &self.written).finish_non_exhaustive()
    }
}

impl<K, C> Default for Table<K, C> {
    fn default() -> Self {
        Self {
            cells: (0..SHARDS).map(|_| Mutex::default()).collect(),
            written: AtomicBool::new(false),
            filter: (0..WORDS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

/// Locks whatever happened to whoever held the lock: a panic inside a transaction never happens under one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Copy, C: Default> Table<K, C> {
    /// Looks at the cell of a key; none if nobody has written it.
    pub(crate) fn with<R>(&self, key: &K, look: impl FnOnce(&C) -> R) -> Option<R> {
        if !self.written.load(Ordering::Acquire) {
            return None;
        }
        let hash = FxBuildHasher.hash_one(key);
        let (word, bit) = place(hash);
        if self.filter[word].load(Ordering::Acquire) & bit == 0 {
            return None;
        }
        lock(&self.cells[shard(hash)]).find(hash, |it| it.0 == *key).map(|it| look(&it.1))
    }

    /// Changes the cell of a key.
    pub(crate) fn change<R>(&self, key: K, change: impl FnOnce(&mut C) -> R) -> R {
        let hash = FxBuildHasher.hash_one(key);
        let (word, bit) = place(hash);
        let mut map = lock(&self.cells[shard(hash)]);
        if self.filter[word].load(Ordering::Relaxed) & bit == 0 {
            self.filter[word].fetch_or(bit, Ordering::AcqRel);
            self.written.store(true, Ordering::Release);
        }
        let entry = map.entry(hash, |it| it.0 == key, |it| FxBuildHasher.hash_one(it.0));
        change(&mut entry.or_insert_with(|| (key, C::default())).into_mut().1)
    }

    /// The memory that the table has, in bytes.
    pub(crate) fn bytes(&mut self) -> usize {
        let cells = self.cells.iter_mut();
        cells.map(|cells| cells.get_mut().unwrap_or_else(PoisonError::into_inner).allocation_size()).sum()
    }

    /// Makes room for so many keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        for cells in &mut self.cells {
            let cells = cells.get_mut().unwrap_or_else(PoisonError::into_inner);
            cells.reserve(keys / SHARDS, |it| FxBuildHasher.hash_one(it.0));
        }
    }

    /// Takes all keys with their cells out, in no particular order, and keeps the room that they had.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (K, C)> {
        self.written.store(false, Ordering::Relaxed);
        for word in &self.filter {
            word.store(0, Ordering::Relaxed);
        }
        let cells = self.cells.iter_mut();
        cells.flat_map(|cells| cells.get_mut().unwrap_or_else(PoisonError::into_inner).drain())
    }
}

fn place(hash: u64) -> (usize, u64) {
    ((hash >> 6) as usize % WORDS, 1 << (hash & 63))
}

fn shard(hash: u64) -> usize {
    (hash >> 20) as usize % SHARDS
}
