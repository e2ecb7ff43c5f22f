//! What to do first, and whether to do it side by side at all.
//!
//! In: the order that transactions depend on each other in, and what each is likely to take. Out: a priority for each,
//! and an estimate of the time on so many threads. Estimates decide about time only.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{access_set::AccessSet, dag::Dag};

/// What a transaction takes at the least, in nanoseconds.
const TRANSACTION: u64 = 1_500;

/// What a plain transfer takes, in nanoseconds.
const TRANSFER: u64 = 500;

/// What starting another thread takes, in nanoseconds.
const THREAD: u64 = 30_000;

/// The gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;

/// The gas that a transaction is likely to use: what is predicted, as far as the transaction allows it.
pub(crate) fn gas(hint: Option<&AccessSet>, gas_limit: u64) -> u64 {
    hint.map_or(gas_limit, |hint| hint.gas.min(gas_limit))
}

/// The time that a transaction is likely to take, in nanoseconds.
pub(crate) fn cost(hint: Option<&AccessSet>, gas_limit: u64) -> u64 {
    let gas = gas(hint, gas_limit);
    if gas <= TRANSFER_GAS {
        return TRANSFER;
    }
    // Measured on real blocks: about 5 gas a nanosecond beyond what a transaction costs anyway.
    TRANSACTION + (gas - TRANSFER_GAS) / 5
}

/// The time that a list schedule takes on so many threads, longest remaining path first.
pub(crate) fn makespan(dag: &Dag, costs: &[u64], priorities: &[u64], threads: usize) -> u64 {
    let after = dag.after();
    let mut waits_for: Vec<usize> = dag.before.iter().map(Vec::len).collect();
    let mut ready: BinaryHeap<(u64, Reverse<usize>)> = BinaryHeap::new();
    for (index, waits) in waits_for.iter().enumerate() {
        if *waits == 0 {
            ready.push((priorities[index], Reverse(index)));
        }
    }
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = 0;
    loop {
        while running.len() < threads
            && let Some((_, Reverse(index))) = ready.pop()
        {
            running.push(Reverse((costs[index].saturating_add(now), index)));
        }
        let Some(Reverse((end, done))) = running.pop() else { return now };
        now = end;
        for next in &after[done] {
            let next = *next as usize;
            waits_for[next] -= 1;
            if waits_for[next] == 0 {
                ready.push((priorities[next], Reverse(next)));
            }
        }
    }
}

/// Whether a block is likely to be done sooner on so many threads than on one.
pub(crate) fn pays(dag: &Dag, costs: &[u64], priorities: &[u64], threads: usize) -> bool {
    let serial = costs.iter().fold(0_u64, |sum, cost| sum.saturating_add(*cost));
    let path = priorities.iter().copied().max().unwrap_or(0);
    let overhead = |time: u64| time.saturating_add(time / 4 + THREAD * (threads as u64 - 1));
    // The path alone may already be too long; only otherwise is it worth while to lay everything out.
    overhead(path.max(serial / threads as u64)) < serial
        && overhead(makespan(dag, costs, priorities, threads)) < serial
}

#[cfg(test)]
mod tests {
    use super::{makespan, pays};
    use crate::dag::Dag;

    #[test]
    fn independent_work_is_shared_and_chains_are_not() {
        let costs = [100_000; 8];
        let free = Dag { before: vec![vec![]; 8] };
        let chain = Dag { before: (0..8).map(|it: u32| it.checked_sub(1).into_iter().collect()).collect() };
        assert_eq!(makespan(&free, &costs, &free.remaining(&costs), 2), 400_000);
        assert_eq!(makespan(&chain, &costs, &chain.remaining(&costs), 2), 800_000);
        assert!(pays(&free, &costs, &free.remaining(&costs), 2));
        assert!(!pays(&chain, &costs, &chain.remaining(&costs), 2));
    }
}
