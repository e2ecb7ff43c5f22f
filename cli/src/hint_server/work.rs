//! The predictions of one request, and when to make no more of them.
//!
//! In: a block, transactions and a state. Out: hints, as far as they are there when they are asked for. Whoever asks gets what
//! is there at any time; work that has been given up ends after the transaction that it is at.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::Address;
use deconflict_executor::{
    AccessSet, Block, BlockContext, Predictor, Scratch, Transaction,
    hints::{TransactionHint, hint_transaction},
};

use super::state::View;

/// The most slots and accounts that the hints of a request may name: a transaction with much gas can be made to name so many
/// that the hints of a few would not fit into memory.
pub(super) const MOST_ACCESSES: usize = 1 << 18;

/// From how many accesses on a thread does not keep the room that a prediction took.
const MUCH: usize = 1 << 14;

/// What one request is about.
pub(super) struct Work {
    pub(super) block: Block,
    pub(super) transactions: Vec<Transaction>,
    pub(super) view: View,
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
        self.0.given_up.store(true, Ordering::Relaxed);
    }
}

impl Work {
    pub(super) fn new(block: Block, transactions: Vec<Transaction>, view: View) -> Self {
        let found = Found { hints: Some(vec![None; transactions.len()]), accesses: 0 };
        Self { block, transactions, view, found: Mutex::new(found), given_up: AtomicBool::new(false) }
    }

    /// Predicts one transaction after the other, until all are done or it is given up.
    pub(super) fn run(&self, predictor: &Predictor) {
        thread_local! {
            static SCRATCH: std::cell::RefCell<Scratch> = std::cell::RefCell::default();
        }
        let env = self.block.env();
        let context = BlockContext { env: &env, spec: self.block.spec, chain_id: self.block.chain_id };
        SCRATCH.with_borrow_mut(|scratch| {
            for (index, transaction) in self.transactions.iter().enumerate() {
                if self.given_up.load(Ordering::Relaxed) {
                    break;
                }
                let hint = hint_transaction(scratch, predictor, transaction, context, &self.view);
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
        });
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

/// Which calls took next to no time: waking another thread for the like of them takes longer than they do.
#[derive(Debug, Default)]
pub(super) struct Quick(Mutex<HashSet<Call>>);

/// Whom a transaction calls, and which function.
type Call = (Option<Address>, [u8; 4]);

impl Quick {
    /// The longest that is no time.
    const LONGEST: Duration = Duration::from_millis(1);

    /// How many calls are remembered before all are forgotten.
    const MOST: usize = 1 << 16;

    /// Whether all of this was quick the last time. Never where the request brings its own codes.
    pub(super) fn knows(&self, work: &Work) -> bool {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work.view.is_at_hand() && work.transactions.iter().all(|it| calls.contains(&call(it)))
    }

    /// Work has taken so long.
    pub(super) fn learn(&self, work: &Work, took: Duration) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= Self::MOST {
            calls.clear();
        }
        for call in work.transactions.iter().map(call) {
            if took < Self::LONGEST {
                calls.insert(call);
            } else {
                calls.remove(&call);
            }
        }
    }
}

fn call(transaction: &Transaction) -> Call {
    let env = &transaction.env;
    (env.kind.to().copied(), env.data.first_chunk().copied().unwrap_or_default())
}

fn accesses(set: &AccessSet) -> usize {
    let slots = set.reads.len() + set.writes.len() + set.deltas.len();
    slots + set.accounts.len() + set.depends_on.len() + set.incomplete.len()
}

/// A hint that says nothing yet.
fn pending(transaction: &Transaction) -> TransactionHint {
    let env = &transaction.env;
    TransactionHint {
        hash: transaction.hash,
        from: env.caller,
        to: env.kind.to().copied(),
        set: AccessSet { gas: env.gas_limit, ..AccessSet::default() },
        places: Vec::new(),
        pending: true,
        needs_funds: false,
    }
}
