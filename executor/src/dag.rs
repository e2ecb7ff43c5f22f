//! Which transactions of a block have to wait for which, by their predicted accesses.
//!
//! In: an access set per transaction. Out: for each transaction the earlier ones that write what it reads, as far as
//! nothing in between writes it too. Only reading what was written orders transactions. Predictions are not trusted:
//! whatever comes out here changes when things are done, never what they come to.

use alloy_primitives::{Address, TxKind, U256};
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::{EdgeRef as _, Topo},
};
use revm::{
    DatabaseRef,
    context::{Transaction as _, TxEnv},
};
use rustc_hash::FxHashMap;

use crate::access_set::{AccessSet, AccountAccess};

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

/// Who wrote what last, of the transactions that were taken in so far.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    slots: FxHashMap<(Address, U256), u32>,
    pieces: FxHashMap<Piece, u32>,
    beneficiary: Address,
}

impl Writers {
    /// Nobody yet, in a block whose fees go to `beneficiary`.
    pub(crate) fn new(beneficiary: Address) -> Self {
        Self { beneficiary, ..Self::default() }
    }

    /// Takes in the next transaction, and lists in `before` those that it has to wait for, sorted.
    pub(crate) fn take_in<D: DatabaseRef>(
        &mut self,
        index: u32,
        transaction: &TxEnv,
        set: &AccessSet,
        state: &D,
        before: &mut Vec<u32>,
    ) {
        // A store is a reading too: what it costs depends on the word that was there.
        before.extend(set.reads.iter().chain(&set.writes).filter_map(|slot| self.slots.get(slot)));
        self.slots.extend(set.writes.iter().map(|slot| (*slot, index)));
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
            before.extend(self.pieces.get(&piece));
        }
        self.wait_for_payer(transaction, state, before);
        for access in &set.accounts {
            let piece = match *access {
                AccountAccess::BalanceCredit(address) | AccountAccess::BalanceDebit(address)
                    if address != self.beneficiary =>
                {
                    Piece::Balance(address)
                }
                AccountAccess::NonceWrite(address) if address != sender => Piece::Nonce(address),
                AccountAccess::CodeWrite(address) => Piece::Code(address),
                _ => continue,
            };
            self.pieces.insert(piece, index);
        }
        before.sort_unstable();
        before.dedup();
        before.retain(|other| *other < index);
    }

    /// Takes in a transaction of which nothing is known but that it moves ether from one account to another.
    pub(crate) fn take_in_transfer<D: DatabaseRef>(
        &mut self,
        index: u32,
        transaction: &TxEnv,
        state: &D,
        before: &mut Vec<u32>,
    ) {
        self.wait_for_payer(transaction, state, before);
        self.pieces.insert(Piece::Balance(transaction.caller), index);
        if let TxKind::Call(to) = transaction.kind
            && to != self.beneficiary
        {
            self.pieces.insert(Piece::Balance(to), index);
        }
    }

    /// A sender that is not yet able to pay waits for whoever pays it.
    fn wait_for_payer<D: DatabaseRef>(&self, transaction: &TxEnv, state: &D, before: &mut Vec<u32>) {
        let Some(&payer) = self.pieces.get(&Piece::Balance(transaction.caller)) else { return };
        let balance =
            state.basic_ref(transaction.caller).ok().flatten().map_or(U256::ZERO, |info| info.balance);
        if transaction.max_balance_spending().map_or(true, |needs| balance < needs) {
            before.push(payer);
        }
    }
}

impl Dag {
    /// The order that predictions ask for.
    pub(crate) fn new<D: DatabaseRef>(
        transactions: &[&TxEnv],
        hints: &[AccessSet],
        beneficiary: Address,
        state: &D,
    ) -> Self {
        let mut writers = Writers::new(beneficiary);
        let mut all = Vec::with_capacity(transactions.len());
        for (index, transaction) in transactions.iter().enumerate() {
            let mut before = Vec::new();
            if let Some(set) = hints.get(index) {
                writers.take_in(index as u32, transaction, set, state, &mut before);
            }
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
        let mut graph = DiGraph::<u64, ()>::with_capacity(costs.len(), self.edges());
        for cost in costs {
            graph.add_node(*cost);
        }
        // Edges point from who waits to whom it waits for, so that a topological order starts at the end of the block.
        for (index, before) in self.before.iter().enumerate() {
            for other in before {
                graph.add_edge(NodeIndex::new(index), NodeIndex::new(*other as usize), ());
            }
        }
        let mut remaining = costs.to_vec();
        let mut order = Topo::new(&graph);
        while let Some(node) = order.next(&graph) {
            let waits = graph.edges_directed(node, Direction::Incoming);
            let longest = waits.map(|edge| remaining[edge.source().index()]).max().unwrap_or(0);
            remaining[node.index()] = costs[node.index()].saturating_add(longest);
        }
        remaining
    }

    /// The most that has to be done one after the other, given what each transaction takes.
    pub(crate) fn critical_path(&self, costs: &[u64]) -> u64 {
        self.remaining(costs).into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};
    use revm::{context::TxEnv, database::EmptyDB};

    use super::Dag;
    use crate::access_set::AccessSet;

    fn touching(reads: &[u64], writes: &[u64]) -> AccessSet {
        let slots = |list: &[u64]| list.iter().map(|it| (Address::ZERO, U256::from(*it))).collect();
        AccessSet { reads: slots(reads), writes: slots(writes), ..AccessSet::default() }
    }

    #[test]
    fn readers_wait_for_the_last_writer() {
        let hints = [touching(&[], &[1]), touching(&[1], &[1]), touching(&[1, 2], &[]), touching(&[2], &[])];
        let transaction = TxEnv::default();
        let dag = Dag::new(&[&transaction; 4], &hints, Address::ZERO, &EmptyDB::new());
        assert_eq!(dag.before, [vec![], vec![0], vec![1], vec![]]);
        assert_eq!(dag.after(), [vec![1], vec![2], vec![], vec![]]);
        assert_eq!(dag.edges(), 2);
        assert_eq!(dag.remaining(&[1, 2, 3, 4]), [6, 5, 3, 4]);
        assert_eq!(dag.critical_path(&[1, 2, 3, 4]), 6);
    }
}
