//! Hands transactions to threads.
//!
//! In: which transaction waits for which, and what to prefer. A thread that has run a transaction goes on with one that
//! waited for it, so that a chain stays where its data is. Out: nothing but the order of things.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    hint::spin_loop,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use revm::DatabaseRef;

use super::commit::{Committer, guarded};
use crate::{
    dag::Dag,
    store::{Index, lock},
    worker::Worker,
};

/// How often a thread without work looks for some before it goes to sleep.
const SPINS: u32 = 2_000;

/// What waits for what, and what goes first.
#[derive(Debug)]
pub(super) struct Plan {
    waits_for: Vec<u32>,
    after: Vec<Vec<u32>>,
    priorities: Vec<u64>,
}

impl Plan {
    /// The plan that a dependency order asks for.
    pub(super) fn new(dag: &Dag, priorities: Vec<u64>) -> Self {
        let waits_for = dag.before.iter().map(|before| before.len() as u32).collect();
        Self { waits_for, after: dag.after(), priorities }
    }

    /// The plan in which nothing waits and everything starts in order.
    pub(super) fn in_order(transactions: usize) -> Self {
        Self {
            waits_for: vec![0; transactions],
            after: vec![Vec::new(); transactions],
            priorities: vec![0; transactions],
        }
    }
}

/// What is ready to run, shared by threads.
pub(super) struct Board<'a> {
    plan: &'a Plan,
    waits_for: Vec<AtomicU32>,
    ready: Mutex<Ready>,
    /// The number of transactions in `ready`, to be looked at without the lock.
    count: AtomicUsize,
    wake: Condvar,
}

struct Ready {
    queue: BinaryHeap<(u64, Reverse<Index>)>,
    sleeping: usize,
}

impl<'a> Board<'a> {
    pub(super) fn new(plan: &'a Plan, transactions: usize) -> Self {
        let free = (0..transactions as Index).filter(|index| plan.waits_for[*index as usize] == 0);
        let queue: BinaryHeap<_> =
            free.map(|index| (plan.priorities[index as usize], Reverse(index))).collect();
        Self {
            plan,
            waits_for: plan.waits_for.iter().map(|count| AtomicU32::new(*count)).collect(),
            count: AtomicUsize::new(queue.len()),
            ready: Mutex::new(Ready { queue, sleeping: 0 }),
            wake: Condvar::new(),
        }
    }

    /// Works until everything is over.
    pub(super) fn work<D: DatabaseRef>(
        &self,
        worker: &mut Worker<'_, D>,
        committer: &Committer<'_, D::Error>,
    ) {
        let work = || {
            let mut mine = None;
            while let Some(index) = mine.take().or_else(|| self.next(committer)) {
                let execution = worker.run_ahead(index, &committer.transaction(index).env);
                committer.take(index, execution, worker);
                mine = self.release(index);
                if committer.advance(worker) {
                    break;
                }
            }
            Ok(())
        };
        // A panic that no transaction is to blame for must not leave other threads waiting.
        if let Err(error) = guarded(0, work) {
            committer.stop(error);
        }
        // Nobody else is left asleep.
        drop(lock(&self.ready));
        self.wake.notify_all();
    }

    /// Lets go of what waited for a transaction, and keeps the most urgent of it.
    fn release(&self, index: Index) -> Option<Index> {
        let mut mine: Option<(u64, Reverse<Index>)> = None;
        let mut others = Vec::new();
        for &next in &self.plan.after[index as usize] {
            if self.waits_for[next as usize].fetch_sub(1, Ordering::AcqRel) == 1 {
                let ready = (self.plan.priorities[next as usize], Reverse(next));
                match &mut mine {
                    Some(best) if *best >= ready => others.push(ready),
                    best => others.extend(best.replace(ready)),
                }
            }
        }
        if !others.is_empty() {
            let mut ready = lock(&self.ready);
            ready.queue.extend(others);
            self.count.store(ready.queue.len(), Ordering::Release);
            let sleeping = ready.sleeping;
            drop(ready);
            if sleeping > 0 {
                self.wake.notify_all();
            }
        }
        mine.map(|(_, Reverse(index))| index)
    }

    /// The most urgent transaction, as soon as there is one; none when everything is over.
    fn next<E: std::error::Error>(&self, committer: &Committer<'_, E>) -> Option<Index> {
        for _ in 0..SPINS {
            if committer.over() {
                return None;
            }
            if self.count.load(Ordering::Acquire) > 0 {
                break;
            }
            spin_loop();
        }
        let mut ready = lock(&self.ready);
        loop {
            if committer.over() {
                return None;
            }
            if let Some((_, Reverse(index))) = ready.queue.pop() {
                self.count.store(ready.queue.len(), Ordering::Release);
                return Some(index);
            }
            ready.sleeping += 1;
            ready = self.wake.wait(ready).unwrap_or_else(PoisonError::into_inner);
            ready.sleeping -= 1;
        }
    }
}
