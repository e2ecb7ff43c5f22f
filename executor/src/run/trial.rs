//! Whether it pays to start threads, found out while the first transactions are executed.
//!
//! In: how far a block is. Out: a call that starts the threads, at most once. What transactions may use at most tells little
//! of what they take, so that a block that looks as if it might be long runs on one thread for a moment.

use std::time::Instant;

use crate::{
    block::Transaction,
    schedule,
    tuning::{TRIAL, WORTH_LEFT},
};

/// A block that may turn out to be worth threads.
pub(super) struct Trial<'s> {
    start: Instant,
    transactions: &'s [Transaction],
    /// The nanoseconds that all transactions were estimated to take, and those that have been executed.
    all: u64,
    done: u64,
    /// How many those are.
    count: usize,
    begin: &'s mut dyn FnMut(),
}

impl<'s> Trial<'s> {
    /// A trial that starts now. `estimate` is what the transactions are estimated to take, `begin` starts the threads.
    pub(super) fn new(transactions: &'s [Transaction], estimate: u64, begin: &'s mut dyn FnMut()) -> Self {
        Self { start: Instant::now(), transactions, all: estimate, done: 0, count: 0, begin }
    }

    /// Starts the threads if that pays, given how many transactions have been executed. Whether it has.
    pub(super) fn has_begun(&mut self, executed: usize) -> bool {
        let new = self.transactions.get(self.count..executed).unwrap_or_default();
        self.done = new.iter().map(cost).fold(self.done, u64::saturating_add);
        self.count = executed;
        let elapsed = self.start.elapsed();
        if elapsed < TRIAL || self.done == 0 {
            return false;
        }
        let left = elapsed.mul_f64(self.all.saturating_sub(self.done) as f64 / self.done as f64);
        if left < WORTH_LEFT {
            return false;
        }
        (self.begin)();
        true
    }
}

/// The nanoseconds that a call of a contract is estimated to take at most; none for what is left to one thread anyway.
pub(super) fn cost(transaction: &Transaction) -> u64 {
    if transaction.env.data.is_empty() { 0 } else { schedule::cost(None, transaction.env.gas_limit) }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use revm::context::TxEnv;

    use super::*;

    #[test]
    fn threads_are_started_where_much_is_left() {
        let env = TxEnv { gas_limit: 100_000, data: Bytes::from_static(&[1]), ..TxEnv::default() };
        let transactions = vec![Transaction { hash: None, env }; 100];
        let all = transactions.iter().map(cost).sum();
        let mut begun = 0;
        let mut begin = || begun += 1;
        let mut trial = Trial::new(&transactions, all, &mut begin);
        assert!(!trial.has_begun(0));
        std::thread::sleep(2 * TRIAL);
        // With one in a hundred done after all that time, the others will take long.
        assert!(trial.has_begun(1));
        let mut trial = Trial::new(&transactions, all, &mut begin);
        std::thread::sleep(TRIAL);
        assert!(!trial.has_begun(100));
        assert_eq!(begun, 1);
    }
}
