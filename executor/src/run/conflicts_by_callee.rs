//! Which contracts' transactions are no good to speculate on, by the speculations that did not hold.
//!
//! In: speculations, and whether they held. Out: whether a transaction is likely to conflict with one before it that is not
//! executed yet. Nothing is kept as long as all speculations hold.

use std::ops::Range;

use alloy_primitives::{Address, TxKind};
use rustc_hash::FxHashMap;

use crate::{
    block::Transaction,
    store::Index,
    tuning::{CALLEE_ABORTED_PART, CALLEE_ABORTS},
};

/// A transaction that calls nobody.
const NONE: u32 = u32::MAX;

/// How speculations on transactions went, by whom they call.
#[derive(Debug, Default)]
pub(super) struct ConflictsByCallee {
    /// Speculations that held before one did not.
    validated: Vec<Range<Index>>,
    /// The number of whom each transaction calls. There are none until a speculation does not hold.
    of: Vec<u32>,
    records: Vec<Record>,
}

/// How speculations went.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    validated: u32,
    aborted: u32,
    /// Whether speculations on such transactions have held too seldom. What is run after those before it are done tells nothing
    /// about what would become of it otherwise, so that this stays.
    is_bad: bool,
}

impl Record {
    fn note(&mut self, validated: bool) {
        *(if validated { &mut self.validated } else { &mut self.aborted }) += 1;
        self.is_bad |= self.aborted >= CALLEE_ABORTS
            && self.aborted * CALLEE_ABORTED_PART > self.validated + self.aborted;
    }
}

impl ConflictsByCallee {
    /// Whether any speculation did not hold.
    pub(super) fn any(&self) -> bool {
        !self.of.is_empty()
    }

    /// Takes note whether a speculation on transactions held.
    pub(super) fn learn(&mut self, range: Range<Index>, validated: bool, transactions: &[Transaction]) {
        if self.of.is_empty() {
            if validated {
                self.validated.push(range);
                return;
            }
            self.number(transactions);
            for range in std::mem::take(&mut self.validated) {
                self.note(range, true);
            }
        }
        self.note(range, validated);
    }

    fn number(&mut self, transactions: &[Transaction]) {
        let mut numbers: FxHashMap<Address, u32> = FxHashMap::default();
        let mut number = |transaction: &Transaction| match transaction.env.kind {
            TxKind::Call(to) if !transaction.env.data.is_empty() => {
                let next = numbers.len() as u32;
                *numbers.entry(to).or_insert(next)
            }
            _ => NONE,
        };
        self.of = transactions.iter().map(&mut number).collect();
        self.records = vec![Record::default(); numbers.len()];
    }

    fn note(&mut self, range: Range<Index>, validated: bool) {
        for index in range {
            if let Some(record) = self.records.get_mut(self.of[index as usize] as usize) {
                record.note(validated);
            }
        }
    }

    /// Whether a transaction is likely to conflict with one of `before` that is not done.
    pub(super) fn conflict(
        &self,
        index: usize,
        before: Range<usize>,
        is_done: impl Fn(usize) -> bool,
    ) -> bool {
        let Some(target) = self.of.get(index) else { return false };
        self.records.get(*target as usize).is_some_and(|it| it.is_bad)
            && before.rev().any(|other| self.of[other] == *target && !is_done(other))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use revm::context::TxEnv;

    use super::*;

    #[test]
    fn who_disappoints_has_to_wait_for_its_like() {
        let call = |to: u8| {
            let kind = TxKind::Call(Address::repeat_byte(to));
            Transaction { hash: None, env: TxEnv { kind, data: Bytes::from(vec![1]), ..TxEnv::default() } }
        };
        let transactions = [1, 2, 1, 3, 2, 1].map(call);
        let mut conflicts_by_callee = ConflictsByCallee::default();
        conflicts_by_callee.learn(1..2, true, &transactions);
        assert!(!conflicts_by_callee.any());
        conflicts_by_callee.learn(2..3, false, &transactions);
        assert!(conflicts_by_callee.any() && !conflicts_by_callee.conflict(5, 0..5, |_| false));
        conflicts_by_callee.learn(0..1, false, &transactions);
        assert!(conflicts_by_callee.conflict(5, 0..5, |_| false));
        assert!(!conflicts_by_callee.conflict(5, 0..5, |it| it == 0 || it == 2));
        assert!(!conflicts_by_callee.conflict(4, 0..4, |_| false));
        assert!(!conflicts_by_callee.conflict(3, 0..3, |_| false));
    }
}
