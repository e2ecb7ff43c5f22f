//! What transactions of a block have written so far, each version kept apart, over a state that does not change.
//!
//! In: the writes of a transaction, under its index, before it is known whether they are right. Out: what a transaction
//! finds in a piece of state, given all writes of earlier ones that are there by then. Nothing here decides whether a
//! reading is right: that is checked when the transaction's turn to be committed comes, when all that stand before it
//! are final. Locks are held for a few instructions only, and never while the state below is read.

/// What the tables are built of.
mod sync {
    pub(super) use std::sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    };

    pub(super) use crate::tuning::{TABLE_SHARDS, TABLE_WORDS};
}

mod table;
mod fees;
mod answers;

use alloy_primitives::{Address, U256};
use revm::state::AccountInfo;

pub(crate) use self::{
    answers::Answers,
    fees::Fees,
    table::{Table, lock},
};

/// The index of a transaction in its block.
pub(crate) type Index = u32;

/// The versions of everything that was written.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) accounts: Table<Address, AccountVersions>,
    pub(crate) slots: Table<(Address, U256), SlotVersions>,
    /// When accounts lost all their storage.
    pub(crate) resets: Table<Address, Vec<Index>>,
}

impl Store {
    /// Makes room for what so many transactions are likely to write.
    pub(crate) fn reserve(&mut self, transactions: usize) {
        self.accounts.reserve(2 * transactions);
        self.slots.reserve(2 * transactions);
    }

    /// The memory that the tables have, in bytes; lists of several versions come on top.
    pub(crate) fn bytes(&mut self) -> usize {
        self.accounts.bytes() + self.slots.bytes() + self.resets.bytes()
    }
}

/// What a transaction does to an account outside its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountWrite {
    /// Adds to balance and nonce, whatever they were.
    Add(AccountDelta),
    /// Makes the account what is given here.
    Set(Option<AccountInfo>),
}

/// What is added to an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountDelta {
    pub(crate) credit: U256,
    pub(crate) debit: U256,
    pub(crate) nonce: u64,
}

impl AccountDelta {
    /// Both additions, one after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            credit: self.credit.saturating_add(other.credit),
            debit: self.debit.saturating_add(other.debit),
            nonce: self.nonce.saturating_add(other.nonce),
        }
    }

    /// The account after the addition; none if a number leaves its range.
    pub(crate) fn apply(self, info: Option<AccountInfo>) -> Option<AccountInfo> {
        let mut info = info.unwrap_or_default();
        info.balance = info.balance.checked_add(self.credit)?.checked_sub(self.debit)?;
        info.nonce = info.nonce.checked_add(self.nonce)?;
        Some(info)
    }
}

/// What a transaction does to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotWrite {
    /// Adds to the word, whatever it was, modulo 2^256.
    Add(U256),
    /// Makes the word what is given here.
    Set(U256),
}

/// A slot as a transaction finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The word is known.
    Word(U256),
    /// This was added to the word that the slot held before the block.
    Added(U256),
}

/// Versions in the order of their writers. Most pieces of state have one at a time, which needs no allocation.
#[derive(Debug)]
struct Versions<T> {
    first: Option<(Index, T)>,
    later: Vec<(Index, T)>,
}

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self { first: None, later: Vec::new() }
    }
}

impl<T> Versions<T> {
    /// The last version before `reader`.
    fn last(&self, reader: Index) -> Option<&(Index, T)> {
        if self.later.is_empty() {
            return self.first.as_ref().filter(|(writer, _)| *writer < reader);
        }
        let end = self.later.partition_point(|(writer, _)| *writer < reader);
        match end.checked_sub(1) {
            Some(last) => Some(&self.later[last]),
            None => self.first.as_ref().filter(|(writer, _)| *writer < reader),
        }
    }

    /// The versions before `reader`, from the last one back.
    fn back(&self, reader: Index) -> impl Iterator<Item = &(Index, T)> {
        let end = self.later.partition_point(|(writer, _)| *writer < reader);
        let first = self.first.iter().filter(move |(writer, _)| *writer < reader);
        self.later[..end].iter().rev().chain(first)
    }

    fn insert(&mut self, writer: Index, version: T) {
        match &mut self.first {
            None => self.first = Some((writer, version)),
            Some(first) if first.0 == writer => first.1 = version,
            Some(first) if first.0 > writer => {
                let old = std::mem::replace(first, (writer, version));
                self.later.insert(0, old);
            }
            Some(_) => {
                let at = self.later.partition_point(|(other, _)| *other < writer);
                match self.later.get_mut(at) {
                    Some(old) if old.0 == writer => old.1 = version,
                    _ => self.later.insert(at, (writer, version)),
                }
            }
        }
    }

    /// Makes a version final: nobody will ask for an earlier one again.
    fn settle(&mut self, writer: Index, version: T) {
        let first = self.first.replace((writer, version)).filter(|first| first.0 > writer);
        if !self.later.is_empty() {
            let end = self.later.partition_point(|(other, _)| *other <= writer);
            self.later.drain(..end);
        }
        if let Some(first) = first {
            self.later.insert(0, first);
        }
    }

    fn remove(&mut self, writer: Index) {
        self.later.retain(|(other, _)| *other != writer);
        if self.first.as_ref().is_some_and(|first| first.0 == writer) {
            self.first = if self.later.is_empty() { None } else { Some(self.later.remove(0)) };
        }
    }

    /// What was written last.
    fn into_last(mut self) -> Option<T> {
        self.later.pop().or(self.first).map(|(_, version)| version)
    }
}

/// The versions of an account, by the index of their writer.
#[derive(Debug, Default)]
pub(crate) struct AccountVersions(Versions<AccountWrite>);

impl AccountVersions {
    /// The account as transaction `reader` finds it, and the last writer it owes that to. `base` is the account before
    /// the block. Additions that lead out of range are left out: the reading will turn out wrong.
    pub(crate) fn read(
        &self,
        reader: Index,
        base: Option<AccountInfo>,
    ) -> (Option<AccountInfo>, Option<Index>) {
        let Some((last, _)) = self.0.last(reader) else { return (base, None) };
        let mut delta = AccountDelta::default();
        let mut start = None;
        for (_, write) in self.0.back(reader) {
            match write {
                AccountWrite::Set(info) => {
                    start = Some(info.clone());
                    break;
                }
                AccountWrite::Add(addition) => {
                    delta = addition.and(delta);
                }
            }
        }
        let info = start.unwrap_or(base);
        let info = if delta == AccountDelta::default() { info } else { delta.apply(info.clone()).or(info) };
        (info, Some(*last))
    }

    /// The last writer before `reader`.
    pub(crate) fn writer(&self, reader: Index) -> Option<Index> {
        self.0.last(reader).map(|(writer, _)| *writer)
    }

    pub(crate) fn insert(&mut self, writer: Index, write: AccountWrite) {
        self.0.insert(writer, write);
    }

    /// The last version before `reader`, if it says all there is to say without what stands before it.
    pub(crate) fn settled(&self, reader: Index) -> Option<(&Option<AccountInfo>, Index)> {
        match self.0.last(reader)? {
            (writer, AccountWrite::Set(info)) => Some((info, *writer)),
            (_, AccountWrite::Add(_)) => None,
        }
    }

    /// Makes a version final: nobody will ask for an earlier one again.
    pub(crate) fn settle(&mut self, writer: Index, info: Option<AccountInfo>) {
        self.0.settle(writer, AccountWrite::Set(info));
    }

    pub(crate) fn remove(&mut self, writer: Index) {
        self.0.remove(writer);
    }

    /// What was written last, if anything was.
    pub(crate) fn last(self) -> Option<AccountWrite> {
        self.0.into_last()
    }
}

/// The versions of a slot, by the index of their writer.
#[derive(Debug, Default)]
pub(crate) struct SlotVersions(Versions<SlotWrite>);

impl SlotVersions {
    /// What transaction `reader` finds, if anybody wrote it from transaction `since` on, which began with an empty slot;
    /// without `since`, from the start of the block on.
    pub(crate) fn read(&self, reader: Index, since: Option<Index>) -> Option<Found> {
        if let (SlotWrite::Set(word), None) = (self.0.last(reader)?.1, since) {
            return Some(Found::Word(word));
        }
        let mut delta = None;
        for (writer, write) in self.0.back(reader) {
            if since.is_some_and(|since| *writer < since) {
                break;
            }
            let so_far = delta.unwrap_or(U256::ZERO);
            match *write {
                SlotWrite::Set(word) => return Some(Found::Word(word.wrapping_add(so_far))),
                SlotWrite::Add(addition) => delta = Some(so_far.wrapping_add(addition)),
            }
        }
        let delta = delta?;
        Some(if since.is_some() { Found::Word(delta) } else { Found::Added(delta) })
    }

    /// The last version, if it says all there is to say, and who wrote it.
    pub(crate) fn last(&self) -> Option<(Index, U256)> {
        match self.0.last(Index::MAX)? {
            (writer, SlotWrite::Set(word)) => Some((*writer, *word)),
            (_, SlotWrite::Add(_)) => None,
        }
    }

    pub(crate) fn insert(&mut self, writer: Index, write: SlotWrite) {
        self.0.insert(writer, write);
    }

    /// Makes a version final: nobody will ask for an earlier one again.
    pub(crate) fn settle(&mut self, writer: Index, word: U256) {
        self.0.settle(writer, SlotWrite::Set(word));
    }

    pub(crate) fn remove(&mut self, writer: Index) {
        self.0.remove(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_balance(balance: u64) -> AccountInfo {
        AccountInfo { balance: U256::from(balance), ..AccountInfo::default() }
    }

    #[test]
    fn a_reader_finds_what_stands_before_it() {
        let mut versions = AccountVersions::default();
        let add = |credit: u64| {
            AccountWrite::Add(AccountDelta { credit: U256::from(credit), ..AccountDelta::default() })
        };
        versions.insert(5, add(50));
        versions.insert(2, add(20));
        versions.insert(7, AccountWrite::Set(None));
        assert_eq!(versions.read(2, Some(with_balance(1))), (Some(with_balance(1)), None));
        assert_eq!(versions.read(3, Some(with_balance(1))), (Some(with_balance(21)), Some(2)));
        assert_eq!(versions.read(6, Some(with_balance(1))), (Some(with_balance(71)), Some(5)));
        assert_eq!(versions.read(8, Some(with_balance(1))), (None, Some(7)));
        versions.remove(2);
        assert_eq!(versions.read(6, None), (Some(with_balance(50)), Some(5)));
    }

    #[test]
    fn a_slot_keeps_its_versions_apart() {
        let set = |word: u64| SlotWrite::Set(U256::from(word));
        let word = |word: u64| Some(Found::Word(U256::from(word)));
        let mut versions = SlotVersions::default();
        versions.insert(4, set(4));
        versions.insert(1, set(1));
        versions.insert(4, set(40));
        assert_eq!(versions.read(1, None), None);
        assert_eq!(versions.read(4, None), word(1));
        assert_eq!(versions.read(9, None), word(40));
        assert_eq!((versions.read(9, Some(4)), versions.read(9, Some(5))), (word(40), None));
        versions.remove(4);
        assert_eq!(versions.read(9, None), word(1));
        versions.insert(0, set(7));
        versions.insert(6, set(6));
        versions.settle(3, U256::from(3));
        assert_eq!(versions.read(3, None), None);
        assert_eq!(versions.read(5, None), word(3));
        assert_eq!(versions.read(7, None), word(6));
        versions.remove(3);
        assert_eq!(versions.read(7, None), word(6));
        versions.settle(8, U256::from(8));
        assert_eq!((versions.read(7, None), versions.read(9, None)), (None, word(8)));
    }

    #[test]
    fn what_is_added_to_a_slot_adds_up() {
        let add = |word: u64| SlotWrite::Add(U256::from(word));
        let mut versions = SlotVersions::default();
        versions.insert(5, add(50));
        versions.insert(2, add(2));
        assert_eq!(versions.read(2, None), None);
        assert_eq!(versions.read(9, None), Some(Found::Added(U256::from(52))));
        // What was added before the storage was taken away is gone with it.
        assert_eq!(versions.read(9, Some(3)), Some(Found::Word(U256::from(50))));
        assert_eq!(versions.last(), None);
        versions.settle(2, U256::from(100));
        assert_eq!(versions.read(9, None), Some(Found::Word(U256::from(150))));
        versions.settle(5, U256::from(150));
        assert_eq!(versions.last(), Some((5, U256::from(150))));
    }

    #[test]
    fn a_settled_account_stands_for_what_was_before_it() {
        let mut versions = AccountVersions::default();
        let add = |credit: u64| {
            AccountWrite::Add(AccountDelta { credit: U256::from(credit), ..AccountDelta::default() })
        };
        versions.insert(1, add(1));
        versions.insert(3, add(3));
        versions.insert(5, add(5));
        assert_eq!(versions.settled(4), None);
        versions.settle(3, Some(with_balance(10)));
        assert_eq!(versions.settled(4), Some((&Some(with_balance(10)), 3)));
        assert_eq!(versions.read(3, None), (None, None));
        assert_eq!(versions.read(6, None), (Some(with_balance(15)), Some(5)));
    }

    #[test]
    fn what_was_written_is_found() {
        let mut table: Table<u64, Vec<u64>> = Table::default();
        assert_eq!(table.with(&1, Clone::clone), None);
        table.change(1, |cell| cell.push(10));
        table.change(7, |cell| cell.push(70));
        table.change(7, |cell| cell.push(71));
        assert_eq!(table.with(&1, Clone::clone), Some(vec![10]));
        assert_eq!(table.with(&7, Clone::clone), Some(vec![70, 71]));
        assert_eq!(table.with(&8, Clone::clone), None);
        let mut all: Vec<_> = table.drain().collect();
        all.sort();
        assert_eq!(all, [(1, vec![10]), (7, vec![70, 71])]);
        assert_eq!(table.with(&1, Clone::clone), None);
    }
}
