//! What transactions of a block have written so far, each version kept apart, over a state that does not change.
//!
//! In: the writes of a transaction, under its index, before it is known whether they are right. Out: what a transaction
//! finds in a piece of state, given all writes of earlier ones that are there by then. Nothing here decides whether a
//! reading is right: that is checked when the transaction's turn to be committed comes, when all that stand before it
//! are final. Locks are held for a few instructions only, and never while the state below is read.

mod table;

use alloy_primitives::{Address, U256};
use revm::state::AccountInfo;

pub(crate) use self::table::{Table, lock};

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

/// What a transaction does to an account outside its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountWrite {
    /// Adds to balance and nonce, whatever they were.
    Add(Addition),
    /// Makes the account what is given here.
    Set(Option<AccountInfo>),
}

/// What is added to an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addition {
    pub(crate) credit: U256,
    pub(crate) debit: U256,
    pub(crate) nonce: u64,
}

impl Addition {
    /// The account after the addition; none if a number leaves its range.
    pub(crate) fn apply(self, info: Option<AccountInfo>) -> Option<AccountInfo> {
        let mut info = info.unwrap_or_default();
        info.balance = info.balance.checked_add(self.credit)?.checked_sub(self.debit)?;
        info.nonce = info.nonce.checked_add(self.nonce)?;
        Some(info)
    }
}

/// The versions of an account, by the index of their writer.
#[derive(Debug, Default)]
pub(crate) struct AccountVersions(Vec<AccountVersion>);

#[derive(Debug)]
struct AccountVersion {
    writer: Index,
    write: AccountWrite,
}

impl AccountVersions {
    /// The account as transaction `reader` finds it, and the last writer it owes that to. `base` is the account before
    /// the block. Additions that lead out of range are left out: the reading will turn out wrong.
    pub(crate) fn read(
        &self,
        reader: Index,
        base: Option<AccountInfo>,
    ) -> (Option<AccountInfo>, Option<Index>) {
        let end = self.0.partition_point(|version| version.writer < reader);
        let Some(last) = end.checked_sub(1) else { return (base, None) };
        let start = self.0[..end].iter().rposition(|version| matches!(version.write, AccountWrite::Set(_)));
        let (info, rest) = match start.map(|start| (start, &self.0[start].write)) {
            Some((start, AccountWrite::Set(info))) => (info.clone(), start + 1),
            _ => (base, 0),
        };
        let mut sum = Addition::default();
        for version in &self.0[rest..end] {
            if let AccountWrite::Add(addition) = &version.write {
                sum.credit = sum.credit.saturating_add(addition.credit);
                sum.debit = sum.debit.saturating_add(addition.debit);
                sum.nonce = sum.nonce.saturating_add(addition.nonce);
            }
        }
        let info = if rest == end { info } else { sum.apply(info.clone()).or(info) };
        (info, Some(self.0[last].writer))
    }

    /// The last writer before `reader`.
    pub(crate) fn writer(&self, reader: Index) -> Option<Index> {
        let end = self.0.partition_point(|version| version.writer < reader);
        end.checked_sub(1).map(|last| self.0[last].writer)
    }

    /// The last version before `reader`, if it says all there is to say without what stands before it.
    pub(crate) fn settled(&self, reader: Index) -> Option<(&Option<AccountInfo>, Index)> {
        let end = self.0.partition_point(|version| version.writer < reader);
        match self.0.get(end.checked_sub(1)?)? {
            AccountVersion { writer, write: AccountWrite::Set(info) } => Some((info, *writer)),
            AccountVersion { .. } => None,
        }
    }

    /// Makes a version final: nobody will ask for an earlier one again.
    pub(crate) fn settle(&mut self, writer: Index, info: Option<AccountInfo>) {
        let end = self.0.partition_point(|version| version.writer <= writer);
        let version = AccountVersion { writer, write: AccountWrite::Set(info) };
        match end {
            0 => self.0.insert(0, version),
            1 => self.0[0] = version,
            _ => drop(self.0.splice(..end, [version])),
        }
    }

    pub(crate) fn insert(&mut self, writer: Index, write: AccountWrite) {
        let version = AccountVersion { writer, write };
        let at = self.0.partition_point(|version| version.writer < writer);
        match self.0.get_mut(at) {
            Some(old) if old.writer == writer => *old = version,
            _ => self.0.insert(at, version),
        }
    }

    pub(crate) fn remove(&mut self, writer: Index) {
        self.0.retain(|version| version.writer != writer);
    }

    /// What was written last, if anything was.
    pub(crate) fn last(mut self) -> Option<AccountWrite> {
        self.0.pop().map(|version| version.write)
    }
}

/// The versions of a slot, by the index of their writer. Most slots have one.
#[derive(Debug, Default)]
pub(crate) struct SlotVersions {
    first: Option<(Index, U256)>,
    later: Vec<(Index, U256)>,
}

impl SlotVersions {
    /// The word that transaction `reader` finds, and who wrote it.
    pub(crate) fn read(&self, reader: Index) -> Option<(Index, U256)> {
        let end = self.later.partition_point(|(writer, _)| *writer < reader);
        match end.checked_sub(1) {
            Some(last) => Some(self.later[last]),
            None => self.first.filter(|(writer, _)| *writer < reader),
        }
    }

    pub(crate) fn insert(&mut self, writer: Index, word: U256) {
        match &mut self.first {
            None => self.first = Some((writer, word)),
            Some(first) if first.0 == writer => first.1 = word,
            Some(first) if first.0 > writer => {
                let old = std::mem::replace(first, (writer, word));
                self.later.insert(0, old);
            }
            Some(_) => {
                let at = self.later.partition_point(|(other, _)| *other < writer);
                match self.later.get_mut(at) {
                    Some(old) if old.0 == writer => old.1 = word,
                    _ => self.later.insert(at, (writer, word)),
                }
            }
        }
    }

    /// Makes a version final: nobody will ask for an earlier one again.
    pub(crate) fn settle(&mut self, writer: Index, word: U256) {
        if self.later.is_empty() && self.first.is_none_or(|first| first.0 <= writer) {
            self.first = Some((writer, word));
            return;
        }
        let first = self.first.take().filter(|first| first.0 > writer);
        self.later.retain(|(other, _)| *other > writer);
        self.later.splice(0..0, first);
        self.first = Some((writer, word));
    }

    pub(crate) fn remove(&mut self, writer: Index) {
        self.later.retain(|(other, _)| *other != writer);
        if self.first.is_some_and(|first| first.0 == writer) {
            self.first = if self.later.is_empty() { None } else { Some(self.later.remove(0)) };
        }
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
        let add =
            |credit: u64| AccountWrite::Add(Addition { credit: U256::from(credit), ..Addition::default() });
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
        let mut versions = SlotVersions::default();
        versions.insert(4, U256::from(4));
        versions.insert(1, U256::from(1));
        versions.insert(4, U256::from(40));
        assert_eq!(versions.read(1), None);
        assert_eq!(versions.read(4), Some((1, U256::from(1))));
        assert_eq!(versions.read(9), Some((4, U256::from(40))));
        versions.remove(4);
        assert_eq!(versions.read(9), Some((1, U256::from(1))));
        versions.insert(0, U256::from(7));
        versions.insert(6, U256::from(6));
        versions.settle(3, U256::from(3));
        assert_eq!(versions.read(3), None);
        assert_eq!(versions.read(5), Some((3, U256::from(3))));
        assert_eq!(versions.read(7), Some((6, U256::from(6))));
        versions.remove(3);
        assert_eq!(versions.read(7), Some((6, U256::from(6))));
        versions.settle(8, U256::from(8));
        assert_eq!((versions.read(7), versions.read(9)), (None, Some((8, U256::from(8)))));
    }

    #[test]
    fn a_settled_account_stands_for_what_was_before_it() {
        let mut versions = AccountVersions::default();
        let add =
            |credit: u64| AccountWrite::Add(Addition { credit: U256::from(credit), ..Addition::default() });
        versions.insert(1, add(1));
        versions.insert(3, add(3));
        versions.insert(5, add(5));
        assert_eq!(versions.settled(4), None);
        versions.settle(3, Some(with_balance(10)));
        assert_eq!(versions.settled(4), Some((&Some(with_balance(10)), 3)));
        assert_eq!(versions.read(3, None), (None, None));
        assert_eq!(versions.read(6, None), (Some(with_balance(15)), Some(5)));
    }
}
