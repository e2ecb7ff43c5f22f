//! Readers that read ahead of those who need what they read.
//!
//! In: a state that takes its time, and predictions. Out: the same state, most of it at hand by the time it is needed.
//! Reading ahead changes nothing but the time: what was not predicted is read when it is asked for, and a reading that
//! fails is tried again by whoever needs it.

mod kept;
mod rehearsal;

pub use self::kept::CachedState;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, TxKind, U256};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use rustc_hash::FxHashSet;

use self::{kept::Peek, rehearsal::Rehearsal};
use crate::{
    access_set::{AccessSet, AccountAccess},
    block::Transaction,
    predict::{BlockContext, Predictor, Scratch},
    store::{Fees, Store, lock},
    tuning::PAUSE,
    worker::BlockRules,
};

/// An execution, as those see it who read ahead of it.
pub(crate) struct Scene<'s> {
    pub(crate) rules: &'s BlockRules,
    pub(crate) transactions: &'s [Transaction],
    pub(crate) store: &'s Store,
    pub(crate) fees: &'s Fees,
    /// The number of final transactions.
    pub(crate) committed: &'s AtomicUsize,
    /// Whether it has ended.
    pub(crate) over: &'s AtomicBool,
    /// Set where somebody wants it to end.
    pub(crate) cancel: Option<&'s AtomicBool>,
}

impl Scene<'_> {
    /// Whether nobody needs what is read ahead any more.
    pub(crate) fn is_over(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is_set(self.over) || self.cancel.is_some_and(is_set)
    }
}

/// What is known of what transactions touch.
#[derive(Clone, Copy)]
pub(crate) enum Known<'k> {
    /// Predictions, one a transaction.
    Hints(&'k [AccessSet]),
    /// Whom to ask. A prediction reads what decides it, so that many of them at a time are reading ahead already.
    Predictor(&'k Predictor),
}

/// Something to read ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Account(Address),
    Slot(Address, U256),
    Code(B256),
}

impl<D: DatabaseRef + Sync> CachedState<'_, D> {
    /// Reads what the predictions name, `readers` pieces at a time, in the order of the transactions, until all is read
    /// or `stop` is set.
    pub fn prefetch(
        &self,
        transactions: &[Transaction],
        hints: &[AccessSet],
        readers: usize,
        stop: &AtomicBool,
    ) {
        let reading = Reading { state: self, wanted: Mutex::new(Wanted::new(transactions, hints)), stop };
        on_threads(readers, || reading.work(|| Find::Nothing));
    }

    /// Reads what the transactions of an execution are likely to need, `readers` pieces at a time, until all is read or
    /// the execution has ended. Says how long predictions took, the waits of all readers added up.
    pub(crate) fn read_ahead(&self, scene: &Scene<'_>, known: Known<'_>, readers: usize) -> Duration {
        let transactions = scene.transactions;
        // What needs no prediction comes first: predictions will ask for it.
        let (hints, predictor) = match known {
            Known::Hints(hints) => (hints, None),
            Known::Predictor(predictor) => ([].as_slice(), Some(predictor)),
        };
        let wanted = Mutex::new(Wanted::new(transactions, hints));
        let reading = Reading { state: self, wanted, stop: scene.over };
        let context = BlockContext {
            env: &scene.rules.block,
            spec: scene.rules.cfg.spec,
            chain_id: scene.rules.cfg.chain_id,
        };
        // Nobody goes home before the last prediction and the rehearsal have ended.
        let predictions = predictor.map_or(0, |_| transactions.len());
        let (next, open) = (AtomicUsize::new(0), AtomicUsize::new(1 + predictions));
        let (is_rehearsed, took) = (AtomicBool::new(false), AtomicU64::new(0));
        on_threads(readers, || {
            let mut scratch = Scratch::default();
            let peek = Peek::new(&self.kept, scene.over);
            let mut rehearsal = None;
            reading.work(|| {
                if let Some(predictor) = predictor
                    && let Some(transaction) = transactions.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let start = Instant::now();
                    let stop = || scene.is_over();
                    let predict =
                        || predictor.predict_until(&mut scratch, &transaction.env, context, self, &stop);
                    let set = catch_unwind(AssertUnwindSafe(predict));
                    let time = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    took.fetch_add(time, Ordering::Relaxed);
                    match set {
                        Ok(Some(set)) => lock(&reading.wanted).by_prediction(&set),
                        // What was begun and given up may have taken much room, and whoever needs what makes the state
                        // panic meets the panic again.
                        Ok(None) | Err(_) => scratch = Scratch::default(),
                    }
                    open.fetch_sub(1, Ordering::Release);
                    return Find::Something;
                }
                // Who is the first to have nothing else to do rehearses: it takes a processor away from those who
                // predict and execute.
                if !is_rehearsed.swap(true, Ordering::Relaxed) {
                    rehearsal = Some(Rehearsal::new(scene, &peek));
                }
                match rehearsal.as_mut().map(|it| it.step(&reading.wanted)) {
                    Some(Find::Nothing) => {
                        rehearsal = None;
                        open.fetch_sub(1, Ordering::Release);
                    }
                    Some(find) => return find,
                    None => {}
                }
                if open.load(Ordering::Acquire) == 0 { Find::Nothing } else { Find::Later }
            });
        });
        Duration::from_nanos(took.into_inner())
    }

    /// Reads a piece to have it at hand. Whoever needs what cannot be read is told so.
    fn read(&self, piece: Piece) {
        match piece {
            Piece::Account(address) => {
                if let Ok(Some(info)) = self.basic_ref(address)
                    && !info.is_code_hash_empty_or_zero()
                {
                    drop(self.code_by_hash_ref(info.code_hash));
                }
            }
            Piece::Slot(address, slot) => drop(self.storage_ref(address, slot)),
            Piece::Code(hash) => drop(self.code_by_hash_ref(hash)),
        }
    }
}

/// Readers at work.
struct Reading<'r, 'a, D> {
    state: &'r CachedState<'a, D>,
    wanted: Mutex<Wanted>,
    stop: &'r AtomicBool,
}

/// What a reader that had nothing to read has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Find {
    /// There may be something to read now.
    Something,
    /// There may be later.
    Later,
    /// There will not be.
    Nothing,
}

impl<D: DatabaseRef + Sync> Reading<'_, '_, D> {
    /// Reads what is wanted, and lets `find` look for more when all of it is taken.
    fn work(&self, mut find: impl FnMut() -> Find) {
        while !self.stop.load(Ordering::Relaxed) {
            let piece = lock(&self.wanted).take();
            if let Some(piece) = piece {
                self.state.read(piece);
                continue;
            }
            match find() {
                Find::Something => {}
                Find::Later => thread::sleep(PAUSE),
                // What others found in the meantime they read themselves.
                Find::Nothing => return,
            }
        }
    }
}

/// Does the same on several threads, one of them this one. Whoever needs what makes the state panic meets the panic again.
fn on_threads(threads: usize, work: impl Fn() + Sync) {
    let work = || drop(catch_unwind(AssertUnwindSafe(&work)));
    thread::scope(|scope| {
        for _ in 1..threads {
            // With fewer readers it takes longer, that is all.
            drop(thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
}

/// Predicts all transactions of a block on the state before it, on several threads.
pub(crate) fn predict_all<D: DatabaseRef + Sync>(
    context: BlockContext<'_>,
    transactions: &[Transaction],
    state: &D,
    predictor: &Predictor,
    threads: usize,
) -> Vec<AccessSet> {
    // A few at a time, unless there are so many threads that some would have nothing.
    let batch = (transactions.len() / (2 * threads.max(1))).clamp(1, 8);
    let batches = transactions.len().div_ceil(batch);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(batches));
    let work = || {
        let mut scratch = Scratch::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = transactions.chunks(batch).nth(number) else { return };
            let predict = |it: &Transaction| predictor.predict_with(&mut scratch, &it.env, context, state);
            let sets: Vec<_> = part.iter().map(predict).collect();
            lock(&done).push((number, sets));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(batches) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().flat_map(|(_, sets)| sets).collect()
}

/// What is to be read, each piece once, and how far that has come.
#[derive(Debug, Default)]
struct Wanted {
    seen: FxHashSet<Piece>,
    pieces: Vec<Piece>,
    taken: usize,
}

impl Wanted {
    /// What is known beforehand, in the order of the transactions.
    fn new(transactions: &[Transaction], hints: &[AccessSet]) -> Self {
        let mut wanted = Self::default();
        for (index, transaction) in transactions.iter().enumerate() {
            wanted.by_transaction(transaction);
            if let Some(hint) = hints.get(index) {
                wanted.by_prediction(hint);
            }
        }
        wanted
    }

    /// Adds a piece; false if it was there.
    fn add(&mut self, piece: Piece) -> bool {
        let is_new = self.seen.insert(piece);
        if is_new {
            self.pieces.push(piece);
        }
        is_new
    }

    fn by_transaction(&mut self, transaction: &Transaction) {
        self.add(Piece::Account(transaction.env.caller));
        if let TxKind::Call(to) = transaction.env.kind {
            self.add(Piece::Account(to));
        }
    }

    fn by_prediction(&mut self, set: &AccessSet) {
        for access in &set.accounts {
            let (AccountAccess::BalanceRead(address)
            | AccountAccess::BalanceCredit(address)
            | AccountAccess::BalanceDebit(address)
            | AccountAccess::NonceWrite(address)
            | AccountAccess::CodeRead(address)
            | AccountAccess::CodeWrite(address)) = *access;
            self.add(Piece::Account(address));
        }
        for &(address, slot) in set.reads.iter().chain(&set.writes) {
            self.add(Piece::Account(address));
            self.add(Piece::Slot(address, slot));
        }
    }

    fn take(&mut self) -> Option<Piece> {
        let piece = self.pieces.get(self.taken).copied()?;
        self.taken += 1;
        Some(piece)
    }
}

/// A state each reading of which takes a while, as one on disk or across a network does.
#[derive(Clone, Copy, Debug)]
pub struct SlowState<'a, D> {
    /// The state.
    pub state: &'a D,
    /// How long a reading takes.
    pub latency: Duration,
}

impl<D: DatabaseRef> DatabaseRef for SlowState<'_, D> {
    type Error = D::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, D::Error> {
        thread::sleep(self.latency);
        self.state.basic_ref(address)
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, D::Error> {
        thread::sleep(self.latency);
        self.state.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, D::Error> {
        thread::sleep(self.latency);
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, D::Error> {
        thread::sleep(self.latency);
        self.state.block_hash_ref(number)
    }
}
