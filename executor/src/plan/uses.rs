//! Who uses one piece of state, in the order of the block.
//!
//! In: uses with the rank of their transaction. Out: the writers before a rank. Lists are sorted by rank; most have one
//! element or two.

use super::TransactionId;

/// Where a transaction stands: larger is later. Ranks leave room between neighbours.
pub(super) type Rank = u64;

/// How a transaction uses a piece of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It reads it.
    Read,
    /// It reads and writes it.
    Write,
    /// It adds to it without looking.
    Delta,
}

impl Kind {
    /// Both by one transaction.
    pub(super) fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Write }
    }
}

/// Each number once, by all that is done with it.
pub(super) fn merged(mut keys: Vec<(u32, Kind)>) -> Vec<(u32, Kind)> {
    keys.sort_unstable_by_key(|(number, _)| *number);
    keys.dedup_by(|(number, kind), (kept, all)| {
        let same = number == kept;
        if same {
            *all = all.and(*kind);
        }
        same
    });
    keys
}

/// The uses of one piece of state.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    readers: Vec<(Rank, TransactionId)>,
    writers: Vec<(Rank, TransactionId, Kind)>,
    /// How many of the writers do more than add.
    replacing: u32,
    written_gas: u64,
}

impl Uses {
    pub(super) fn insert(&mut self, rank: Rank, id: TransactionId, kind: Kind, gas: u64) {
        if kind == Kind::Read {
            let at = self.readers.partition_point(|(other, _)| *other < rank);
            self.readers.insert(at, (rank, id));
        } else {
            let at = self.writers.partition_point(|(other, ..)| *other < rank);
            self.writers.insert(at, (rank, id, kind));
            self.replacing += u32::from(kind == Kind::Write);
            self.written_gas += gas;
        }
    }

    pub(super) fn remove(&mut self, rank: Rank, kind: Kind, gas: u64) {
        if kind == Kind::Read {
            if let Ok(at) = self.readers.binary_search_by_key(&rank, |(other, _)| *other) {
                self.readers.remove(at);
            }
        } else if let Ok(at) = self.writers.binary_search_by_key(&rank, |(other, ..)| *other) {
            self.writers.remove(at);
            self.replacing -= u32::from(kind == Kind::Write);
            self.written_gas -= gas;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The gas of all transactions that write it.
    pub(super) fn written_gas(&self) -> u64 {
        self.written_gas
    }

    pub(super) fn writers(&self) -> &[(Rank, TransactionId, Kind)] {
        &self.writers
    }

    /// The rank of the first transaction that uses it.
    pub(super) fn first(&self) -> Option<Rank> {
        let reader = self.readers.first().map(|(rank, _)| *rank);
        let writer = self.writers.first().map(|(rank, ..)| *rank);
        reader.into_iter().chain(writer).min()
    }

    /// Adds the writers before `rank`, back to the last that does more than add; all of them if so wanted.
    pub(super) fn writers_before(&self, rank: Rank, all: bool, found: &mut Vec<TransactionId>) {
        let end = self.writers.partition_point(|(other, ..)| *other < rank);
        for (_, id, kind) in self.writers[..end].iter().rev() {
            found.push(*id);
            if *kind == Kind::Write && !all {
                break;
            }
        }
    }

    /// Whether the users of it can influence each other: readers only do not, and neither do those who only add.
    pub(super) fn joins(&self) -> bool {
        self.replacing > 0 || !self.writers.is_empty() && !self.readers.is_empty()
    }

    /// All users, readers first.
    pub(super) fn users(&self) -> impl Iterator<Item = TransactionId> {
        self.readers.iter().map(|(_, id)| *id).chain(self.writers.iter().map(|(_, id, _)| *id))
    }
}
