//! Who is at which transaction, and how the thread that makes them final learns that one is executed.
//!
//! In: claims and ends. Out: at most one claim for each transaction, and no end that whoever waits for it could miss.

// What stands above decides which atomics these are, so that a model can go through all that threads can do.
use super::sync::{AtomicU8, AtomicU32, Ordering, fence};

/// Nobody has begun the transaction.
const OPEN: u8 = 0;
/// A thread is at it.
const CLAIMED: u8 = 1;
/// It is executed, and what it writes is published.
const DONE: u8 = 2;

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody has begun it.
    Open,
    /// A thread is at it.
    Claimed,
    /// It is executed, and what it writes is published.
    Done,
}

/// The stages of all transactions.
#[derive(Debug)]
pub(crate) struct Claims {
    stages: Vec<AtomicU8>,
    /// The transaction that somebody waits for.
    awaited: AtomicU32,
}

impl Claims {
    pub(crate) fn new(transactions: usize) -> Self {
        Self {
            stages: (0..transactions).map(|_| AtomicU8::new(OPEN)).collect(),
            awaited: AtomicU32::new(u32::MAX),
        }
    }

    pub(crate) fn stage(&self, index: u32) -> Stage {
        match self.stages[index as usize].load(Ordering::Acquire) {
            OPEN => Stage::Open,
            CLAIMED => Stage::Claimed,
            _ => Stage::Done,
        }
    }

    /// Reserves a transaction for the caller; false if somebody has it.
    pub(crate) fn claim(&self, index: u32) -> bool {
        let stage = &self.stages[index as usize];
        stage.load(Ordering::Relaxed) == OPEN
            && stage.compare_exchange(OPEN, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Says that a transaction is executed, after its writes were published. Tells whether somebody waits for it.
    pub(crate) fn finish(&self, index: u32) -> bool {
        self.stages[index as usize].store(DONE, Ordering::Release);
        // The two who write one and look at the other cannot both come too early.
        fence(Ordering::SeqCst);
        self.awaited.load(Ordering::Relaxed) == index
    }

    /// Says that transactions are executed for which nobody can wait: those that run in their turn, and those that run
    /// ahead in one batch behind another one.
    pub(crate) fn complete(&self, range: std::ops::Range<u32>) {
        for stage in &self.stages[range.start as usize..range.end as usize] {
            stage.store(DONE, Ordering::Release);
        }
    }

    /// Gives transactions back that were reserved and are not executed.
    pub(crate) fn release(&self, range: std::ops::Range<u32>) {
        for stage in &self.stages[range.start as usize..range.end as usize] {
            stage.store(OPEN, Ordering::Release);
        }
    }

    /// Says that the caller is going to wait. Tells whether there is anything to wait for: if so, whoever finishes the
    /// transaction is told that somebody waits.
    pub(crate) fn await_end(&self, index: u32) -> bool {
        self.awaited.store(index, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.stages[index as usize].load(Ordering::Acquire) != DONE
    }

    /// Says that the caller waits no longer.
    pub(crate) fn stop_waiting(&self) {
        self.awaited.store(u32::MAX, Ordering::Relaxed);
    }
}
