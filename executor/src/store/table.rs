//! A map shared by threads, for keys most of which are known beforehand and most of which are never written.
//!
//! Keys that were announced have a cell each, found through an index that never changes; others go to maps behind
//! locks. A filter answers for keys that nobody has written, without touching anything that others change.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// The number of maps that keys share which were not announced.
const SHARDS: usize = 64;

/// The number of words of the filter.
const WORDS: usize = 1024;

/// A shared map from keys to cells.
pub(crate) struct Table<K, C> {
    index: HashTable<(K, u32)>,
    cells: Vec<Mutex<C>>,
    others: Vec<Mutex<HashTable<(K, C)>>>,
    /// Whether there is anything in `others`.
    has_others: AtomicBool,
    /// A bit for each hash in `others`.
    filter: Vec<AtomicU64>,
}

impl<K, C> fmt::Debug for Table<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("cells", &self.cells.len()).finish_non_exhaustive()
    }
}

impl<K, C> Default for Table<K, C> {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            cells: Vec::new(),
            others: Vec::new(),
            has_others: AtomicBool::new(false),
            filter: Vec::new(),
        }
    }
}

/// Locks whatever happened to whoever held the lock: a panic inside a transaction never happens under one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Copy, C: Default> Table<K, C> {
    /// A table that is ready for threads to write to.
    pub(crate) fn open() -> Self {
        Self {
            others: (0..SHARDS).map(|_| Mutex::default()).collect(),
            filter: (0..WORDS).map(|_| AtomicU64::new(0)).collect(),
            ..Self::default()
        }
    }

    /// The number of the cell of a key, which is made if need be.
    pub(crate) fn announce(&mut self, key: K) -> u32 {
        let hash = FxBuildHasher.hash_one(key);
        let cells = &mut self.cells;
        self.index
            .entry(hash, |it| it.0 == key, |it| FxBuildHasher.hash_one(it.0))
            .or_insert_with(|| {
                cells.push(Mutex::default());
                (key, cells.len() as u32 - 1)
            })
            .get()
            .1
    }

    /// The number of the cell of a key that was announced.
    pub(crate) fn announced(&self, key: &K) -> Option<u32> {
        self.index.find(FxBuildHasher.hash_one(key), |it| it.0 == *key).map(|it| it.1)
    }

    /// Looks at the cell of a key; none if nobody has written it.
    pub(crate) fn with<R>(&self, key: &K, look: impl FnOnce(&C) -> R) -> Option<R> {
        let others = self.has_others.load(Ordering::Acquire);
        if !others && self.cells.is_empty() {
            return None;
        }
        let hash = FxBuildHasher.hash_one(key);
        if let Some((_, cell)) = self.index.find(hash, |it| it.0 == *key) {
            return Some(look(&lock(&self.cells[*cell as usize])));
        }
        let (word, bit) = place(hash);
        if !others || self.filter[word].load(Ordering::Acquire) & bit == 0 {
            return None;
        }
        lock(&self.others[shard(hash)]).find(hash, |it| it.0 == *key).map(|it| look(&it.1))
    }

    /// Changes the cell of a key.
    pub(crate) fn change<R>(&self, key: K, change: impl FnOnce(&mut C) -> R) -> R {
        let hash = FxBuildHasher.hash_one(key);
        if let Some((_, cell)) = self.index.find(hash, |it| it.0 == key) {
            return change(&mut lock(&self.cells[*cell as usize]));
        }
        let (word, bit) = place(hash);
        let mut map = lock(&self.others[shard(hash)]);
        self.filter[word].fetch_or(bit, Ordering::AcqRel);
        self.has_others.store(true, Ordering::Release);
        let entry = map.entry(hash, |it| it.0 == key, |it| FxBuildHasher.hash_one(it.0));
        change(&mut entry.or_insert_with(|| (key, C::default())).into_mut().1)
    }

    /// All keys with their cells, in no particular order.
    pub(crate) fn into_cells(self) -> impl Iterator<Item = (K, C)> {
        let mut keys: Vec<(K, u32)> = self.index.into_iter().collect();
        keys.sort_unstable_by_key(|it| it.1);
        let open = |cell: Mutex<C>| cell.into_inner().unwrap_or_else(PoisonError::into_inner);
        let announced = keys.into_iter().map(|it| it.0).zip(self.cells.into_iter().map(open));
        let others = self.others.into_iter();
        announced.chain(others.flat_map(|map| map.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn place(hash: u64) -> (usize, u64) {
    ((hash >> 6) as usize % WORDS, 1 << (hash & 63))
}

fn shard(hash: u64) -> usize {
    (hash >> 20) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn announced_keys_and_others_are_found() {
        let mut table: Table<u64, Vec<u64>> = Table::open();
        assert_eq!(table.announce(1), 0);
        assert_eq!(table.announce(2), 1);
        assert_eq!(table.announce(1), 0);
        assert_eq!(table.announced(&2), Some(1));
        table.change(1, |cell| cell.push(10));
        table.change(7, |cell| cell.push(70));
        assert_eq!(table.with(&1, Clone::clone), Some(vec![10]));
        assert_eq!(table.with(&2, Clone::clone), Some(vec![]));
        assert_eq!(table.with(&7, Clone::clone), Some(vec![70]));
        assert_eq!(table.with(&8, Clone::clone), None);
        let mut all: Vec<_> = table.into_cells().collect();
        all.sort();
        assert_eq!(all, [(1, vec![10]), (2, vec![]), (7, vec![70])]);
    }
}
