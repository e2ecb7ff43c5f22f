//! Which transactions of a block have to wait for which, by their predicted accesses.
//!
//! In: an access set per transaction. Out: for each transaction the earlier ones that write what it reads, as far as
//! nothing in between writes it too. Only reading what was written orders transactions. Predictions are not trusted:
//! whatever comes out here changes when things are done, never what they come to.

use alloy_primitives::{Address, U256};
use revm::{DatabaseRef, context::TxEnv};

use crate::{
    access_set::{AccessSet, AccountAccess},
    store::Store,
};

/// The order in which transactions of a block depend on each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dag {
    /// For each transaction the earlier ones that it waits for, sorted.
    pub(crate) before: Vec<Vec<u32>>,
}

/// A piece of state that orders transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Balance(Address),
    Nonce(Address),
    Code(Address),
}

impl Dag {
    /// The order that predictions ask for. Slots that are predicted to be written are announced to the store.
    pub(crate) fn new<D: DatabaseRef>(
        transactions: &[&TxEnv],
        hints: &[AccessSet],
        beneficiary: Address,
        state: &D,
        store: &mut Store,
    ) -> Self {
        let mut last_writers: Vec<u32> = Vec::new();
        let mut last_account_writers: rustc_hash::FxHashMap<Piece, u32> = rustc_hash::FxHashMap::default();
        let mut all = Vec::with_capacity(transactions.len());
        for (index, transaction) in transactions.iter().enumerate() {
            let mut before: Vec<u32> = Vec::new();
            let Some(set) = hints.get(index) else {
                all.push(before);
                continue;
            };
            let mut read = |slot: &(Address, U256), store: &Store| {
                if let Some(cell) = store.slots.announced(slot) {
                    before.push(last_writers[cell as usize]);
                }
            };
            // A store is a reading too: what it costs depends on the word that was there.
            for slot in set.reads.iter().chain(&set.writes) {
                read(slot, store);
            }
            for &slot in &set.writes {
                let cell = store.slots.announce(slot) as usize;
                last_writers.resize(last_writers.len().max(cell + 1), 0);
                last_writers[cell] = index as u32;
            }
            let sender = transaction.caller;
            let debited = |address: Address| set.accounts.contains(&AccountAccess::BalanceDebit(address));
            for access in &set.accounts {
                let piece = match *access {
                    // Paying commutes as long as there is enough; who looks at a balance needs all of it.
                    AccountAccess::BalanceRead(address) if !debited(address) => Piece::Balance(address),
                    AccountAccess::NonceWrite(address) if address != sender => Piece::Nonce(address),
                    AccountAccess::CodeRead(address) => Piece::Code(address),
                    _ => continue,
                };
                before.extend(last_account_writers.get(&piece));
            }
            // A sender that is not yet able to pay waits for whoever pays it.
            if let Some(&payer) = last_account_writers.get(&Piece::Balance(sender)) {
                let balance = state.basic_ref(sender).ok().flatten().map_or(U256::ZERO, |info| info.balance);
                let needs = revm::context::Transaction::max_balance_spending(*transaction);
                if needs.map_or(true, |needs| balance < needs) {
                    before.push(payer);
                }
            }
            for access in &set.accounts {
                let piece = match *access {
                    AccountAccess::BalanceCredit(address) | AccountAccess::BalanceDebit(address)
                        if address != beneficiary =>
                    {
                        Piece::Balance(address)
                    }
                    AccountAccess::NonceWrite(address) if address != sender => Piece::Nonce(address),
                    AccountAccess::CodeWrite(address) => Piece::Code(address),
                    _ => continue,
                };
                last_account_writers.insert(piece, index as u32);
            }
            before.sort_unstable();
            before.dedup();
            before.retain(|other| *other < index as u32);
            all.push(before);
        }
        Self { before: all }
    }

    /// The transactions that wait for each one, sorted.
    pub(crate) fn after(&self) -> Vec<Vec<u32>> {
        let mut after = vec![Vec::new(); self.before.len()];
        for (index, before) in self.before.iter().enumerate() {
            for other in before {
                after[*other as usize].push(index as u32);
            }
        }
        after
    }

    /// The number of edges.
    pub(crate) fn edges(&self) -> usize {
        self.before.iter().map(Vec::len).sum()
    }

    /// For each transaction what has to be done one after the other from its start on, given what each one takes.
    pub(crate) fn remaining(&self, costs: &[u64]) -> Vec<u64> {
        let mut remaining = costs.to_vec();
        for index in (0..self.before.len()).rev() {
            for other in &self.before[index] {
                let other = *other as usize;
                remaining[other] = remaining[other].max(costs[other].saturating_add(remaining[index]));
            }
        }
        remaining
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};
    use revm::{context::TxEnv, database::EmptyDB};

    use super::Dag;
    use crate::{
        access_set::AccessSet,
        store::{Store, Table},
    };

    fn touching(reads: &[u64], writes: &[u64]) -> AccessSet {
        let slots = |list: &[u64]| list.iter().map(|it| (Address::ZERO, U256::from(*it))).collect();
        AccessSet { reads: slots(reads), writes: slots(writes), ..AccessSet::default() }
    }

    #[test]
    fn readers_wait_for_the_last_writer() {
        let hints = [touching(&[], &[1]), touching(&[1], &[1]), touching(&[1, 2], &[]), touching(&[2], &[])];
        let transaction = TxEnv::default();
        let mut store = Store { slots: Table::open(), ..Store::default() };
        let dag = Dag::new(&[&transaction; 4], &hints, Address::ZERO, &EmptyDB::new(), &mut store);
        assert_eq!(dag.before, [vec![], vec![0], vec![1], vec![]]);
        assert_eq!(dag.after(), [vec![1], vec![2], vec![], vec![]]);
        assert_eq!(dag.edges(), 2);
        assert_eq!(dag.remaining(&[1, 2, 3, 4]), [6, 5, 3, 4]);
    }
}
