//! The predictions of one request, and when to make no more of them.
//!
//! In: a block, transactions and a state. Out: hints, as far as they are there when they are asked for. Whoever asks gets what
//! is there at any time. Work that has been given up
//! ends at the next jump or so of the transaction that it is at, or with the analysis of the code that it is at.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use deconflict_executor::{
    AccessSet, Assumed, Block, BlockContext, Limits, Predictor, Scratch, Transaction,
    hints::{TransactionHint, hint_within},
};

use super::state::{Answers, Asking, AtHand, View};

/// The most slots and accounts that the hints of a request may name: a transaction with much gas can be made to name so many
/// that the hints of a few would not fit into memory.
pub(super) const MOST_ACCESSES: usize = 1 << 18;

/// From how many accesses on a thread does not keep the room that a prediction took.
const MUCH: usize = 1 << 14;

/// How long a request may take, and how much longer for each transaction, to be answered where it came in.
const AT_ONCE: Duration = Duration::from_micros(500);
const AT_ONCE_EACH: Duration = Duration::from_micros(20);

/// What one request is about.
pub(super) struct Work {
    pub(super) block: Block,
    /// What of the block's environment nobody has said.
    pub(super) assumed: Assumed,
    pub(super) transactions: Vec<Transaction>,
    pub(super) view: View,
    /// How the rules of the block are known, where they were found out.
    pub(super) spec_origin: Option<&'static str>,
    found: Mutex<Found>,
    given_up: AtomicBool,
}

/// What has been found out.
struct Found {
    /// None once it has been told: the codes of the others are analysed all the same.
    hints: Option<Vec<Option<TransactionHint>>>,
    accesses: usize,
}

/// The hints name more than fits into an answer.
pub(super) struct TooMuch;

/// Ends the work when it is dropped, as it is when whoever asked has gone.
pub(super) struct UntilDropped(pub(super) Arc<Work>);

impl Drop for UntilDropped {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl Work {
    pub(super) fn new(
        (block, assumed, spec_origin): (Block, Assumed, Option<&'static str>),
        transactions: Vec<Transaction>,
        view: View,
    ) -> Self {
        let found = Found { hints: Some(vec![None; transactions.len()]), accesses: 0 };
        let (found, given_up) = (Mutex::new(found), AtomicBool::new(false));
        Self { block, assumed, transactions, view, spec_origin, found, given_up }
    }

    /// Predicts what can be predicted in no time, without any code being analysed and without a node being asked. Whether
    /// that is all.
    pub(super) fn run_at_once(&self, predictor: &Predictor) -> bool {
        let longest = AT_ONCE + AT_ONCE_EACH * self.transactions.len() as u32;
        let end = Instant::now() + longest;
        let view = AtHand::new(&self.view);
        let limits = Limits { stop: &|| Instant::now() >= end, analyses: false };
        self.predict(predictor, &view, limits) && !view.lacks_something()
    }

    /// Predicts what is not predicted yet, until all is done or it is given up.
    pub(super) fn run(&self, predictor: &Predictor) {
        let stop = || self.is_given_up();
        let view = Asking { view: &self.view, stop: &stop };
        self.predict(predictor, &view, Limits { stop: &stop, analyses: true });
    }

    /// Predicts one transaction after the other. Whether all have been predicted.
    fn predict<V: Answers>(&self, predictor: &Predictor, view: &V, limits: Limits<'_>) -> bool {
        thread_local! {
            static SCRATCH: std::cell::RefCell<Scratch> = std::cell::RefCell::default();
        }
        let env = self.block.env();
        let context = BlockContext { env: &env, spec: self.block.spec, chain_id: self.block.chain_id };
        SCRATCH.with_borrow_mut(|scratch| {
            for (index, transaction) in self.transactions.iter().enumerate() {
                if (limits.stop)() {
                    return false;
                }
                if self.is_known(index) {
                    continue;
                }
                let hint = hint_within(scratch, predictor, transaction, context, view, limits);
                let Some(hint) = hint.filter(|_| !view.lacks_something()) else {
                    // What was begun and given up may have taken much room.
                    *scratch = Scratch::default();
                    return false;
                };
                let accesses = accesses(&hint.set);
                if accesses > MUCH {
                    *scratch = Scratch::default();
                }
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.accesses += accesses;
                if found.accesses > MOST_ACCESSES {
                    break;
                }
                if let Some(place) = found.hints.as_mut().and_then(|hints| hints.get_mut(index)) {
                    *place = Some(hint);
                }
            }
            true
        })
    }

    fn is_known(&self, index: usize) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.hints.as_ref().and_then(|hints| hints.get(index)).is_some_and(Option::is_some)
    }

    /// Whether it goes no further.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Nobody waits for it any more, and it goes no further.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// The hints, where they are not there yet as pending ones. None the second time.
    pub(super) fn take(&self) -> Option<Result<Vec<TransactionHint>, TooMuch>> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let hints = found.hints.take()?;
        // What comes now is not kept.
        if std::mem::take(&mut found.accesses) > MOST_ACCESSES {
            return Some(Err(TooMuch));
        }
        drop(found);
        let all = hints.into_iter().zip(&self.transactions);
        Some(Ok(all.map(|(hint, transaction)| hint.unwrap_or_else(|| pending(transaction))).collect()))
    }
}

fn accesses(set: &AccessSet) -> usize {
    let slots = set.reads.len() + set.writes.len() + set.deltas.len();
    slots
        + set.accounts.len()
        + set.depends_on.len()
        + set.depends_on_environment.len()
        + set.incomplete.len()
}

/// A hint that says nothing yet.
fn pending(transaction: &Transaction) -> TransactionHint {
    let env = &transaction.env;
    TransactionHint {
        hash: transaction.hash,
        from: env.caller,
        to: env.kind.to().copied(),
        nonce: env.nonce,
        gas_limit: env.gas_limit,
        set: AccessSet { gas: env.gas_limit, ..AccessSet::default() },
        places: Vec::new(),
        warm: Vec::new(),
        pending: true,
        needs_funds: false,
    }
}
