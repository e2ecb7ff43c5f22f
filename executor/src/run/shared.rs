//! What threads share while a block is executed: who is at what, and what was executed ahead of its turn.
//!
//! In: transactions, and where predictions come from. Out: executions that ran ahead, for the thread that makes them
//! final. That thread never depends on the others: what nobody has begun it runs itself.

use std::{
    hint::spin_loop,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use alloy_primitives::TxKind;
use revm::{DatabaseRef, context::TxEnv};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Predictions,
    claims::{Claims, Stage},
    dispatcher::{Dispatcher, Hint, Job, Knowledge, Progress},
    publish::publish,
};
use crate::{
    access_set::AccessSet,
    block::Transaction,
    predict::{BlockContext, Scratch},
    schedule::TRANSFER_GAS,
    store::{Index, lock},
    tuning::{FIRST_BATCH, GLANCES, NAPS, PACE_FADES, SPINS},
    view::{Effects, LoadSite, WordDelta},
    worker::{Batch, BlockRules, Failure, Worker},
};

/// An execution that ran ahead, of one transaction or several one after the other.
pub(super) struct Speculation<E> {
    /// What it came to, or how its first transaction failed.
    pub(super) execution: Result<Batch, Failure<E>>,
    /// Whether it was a speculation that it would hold.
    pub(super) speculative: bool,
    /// How often it had changed where to look for words that are only added to.
    pub(super) watchings: u32,
}

/// What threads share.
pub(super) struct Shared<'a, E> {
    pub(super) transactions: &'a [Transaction],
    rules: &'a BlockRules,
    predictions: Predictions<'a>,
    /// Whether there are threads besides the one that commits.
    has_helpers: bool,
    /// Whether the thread that commits runs nothing in its turn that can be run ahead.
    eager: bool,
    claims: Claims,
    ahead: Vec<Mutex<Option<Box<Speculation<E>>>>>,
    finished: Mutex<Vec<Range<Index>>>,
    /// Lists to be used again by whoever runs ahead: memory stays with the thread that asked for it.
    #[expect(clippy::vec_box, reason = "a box goes from thread to thread as it is")]
    spares: Mutex<Vec<Box<Effects>>>,
    dispatcher: Mutex<Dispatcher<'a>>,
    committed: AtomicUsize,
    over: AtomicBool,
    /// Set where somebody wants it to end.
    cancel: Option<&'a AtomicBool>,
    /// The thread that commits.
    committer: Thread,
    /// Speculations that somebody has still to learn from.
    outcomes: Mutex<Vec<(Range<Index>, bool)>>,
    validated: AtomicU64,
    aborted: AtomicU64,
    mispredicted: AtomicU64,
    /// Where to look for words that are only added to.
    watched: Mutex<Watched>,
    /// How often that has changed.
    watchings: AtomicU32,
    /// The nanoseconds that the slowest of the transactions took that ran ahead of late; zero if none has.
    pace: AtomicU64,
    /// The length of batches.
    batch: AtomicU32,
    /// Nobody else does anything until so many transactions are final.
    idle_until: AtomicUsize,
    predicting: AtomicU64,
    planning: AtomicU64,
}

/// Loads that have made speculations stale.
#[derive(Debug, Default)]
struct Watched {
    /// Those that may be parts of deltas, and which change of this list has added them.
    since: FxHashMap<LoadSite, u32>,
    /// Those that have turned out not to be.
    given_up: FxHashSet<LoadSite>,
}

impl<E> Progress for Shared<'_, E> {
    fn committed(&self) -> usize {
        self.committed.load(Ordering::Acquire)
    }

    fn claim(&self, index: Index) -> bool {
        self.claims.claim(index)
    }

    fn is_done(&self, index: Index) -> bool {
        self.claims.stage(index) == Stage::Done
    }

    fn speculations(&self) -> (u64, u64) {
        (self.validated.load(Ordering::Relaxed), self.aborted.load(Ordering::Relaxed))
    }

    fn mispredicted(&self) -> u64 {
        self.mispredicted.load(Ordering::Relaxed)
    }

    fn pace(&self) -> Option<u64> {
        Some(self.pace.load(Ordering::Relaxed)).filter(|pace| *pace > 0)
    }
}

/// How a thread finds the next transaction to make final.
pub(super) enum Next<E> {
    /// It ran ahead.
    Speculated(Box<Speculation<E>>),
    /// It is to be run now.
    Now,
}

impl<'a, E: std::error::Error + 'static> Shared<'a, E> {
    pub(super) fn new(
        transactions: &'a [Transaction],
        rules: &'a BlockRules,
        predictions: Predictions<'a>,
        threads: usize,
        (eager, is_alone): (bool, bool),
        cancel: Option<&'a AtomicBool>,
    ) -> Self {
        let knowledge = match predictions {
            Predictions::None => Knowledge::None,
            Predictions::Given(_) => Knowledge::Given,
            Predictions::ByNeed(_) => Knowledge::ByNeed,
        };
        let has_helpers = threads > 1 || eager;
        let count = if has_helpers { transactions.len() } else { 0 };
        Self {
            transactions,
            rules,
            predictions,
            has_helpers,
            eager,
            claims: Claims::new(count),
            ahead: (0..count).map(|_| Mutex::new(None)).collect(),
            finished: Mutex::default(),
            spares: Mutex::default(),
            dispatcher: Mutex::new(Dispatcher::new(
                count,
                rules.block.beneficiary,
                knowledge,
                eager,
                threads.saturating_sub(1),
            )),
            committed: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            cancel,
            committer: thread::current(),
            outcomes: Mutex::default(),
            validated: AtomicU64::new(0),
            aborted: AtomicU64::new(0),
            mispredicted: AtomicU64::new(0),
            watched: Mutex::default(),
            watchings: AtomicU32::new(0),
            pace: AtomicU64::new(0),
            batch: AtomicU32::new(if is_alone { FIRST_BATCH } else { 1 }),
            idle_until: AtomicUsize::new(0),
            predicting: AtomicU64::new(0),
            planning: AtomicU64::new(0),
        }
    }

    /// Helps until everything is over. A panic that no transaction is to blame for ends the help and nothing else.
    pub(super) fn help<D: DatabaseRef<Error = E>>(&self, worker: &mut Worker<'_, D>) {
        let help = || {
            let mut scratch = None;
            let mut idle = 0;
            while !self.over.load(Ordering::Acquire) {
                if self.work(worker, &mut scratch) {
                    idle = 0;
                } else if self.idle_until.load(Ordering::Relaxed) >= self.transactions.len() {
                    return;
                } else {
                    rest(&mut idle);
                }
            }
        };
        drop(catch_unwind(AssertUnwindSafe(help)));
    }

    /// Lets a worker know where to look for words that are only added to, if that has changed.
    fn look<D: DatabaseRef<Error = E>>(&self, worker: &mut Worker<'_, D>) {
        if self.watchings.load(Ordering::Acquire) != worker.watchings {
            let watched = lock(&self.watched);
            worker.watchings = self.watchings.load(Ordering::Acquire);
            worker.watch(watched.since.keys().copied());
        }
    }

    /// Takes note that an execution is stale because of what loads have found. True if nobody has looked yet whether all of
    /// them are parts of deltas; somebody will next time. `watchings` is what the execution knew.
    pub(super) fn watch(&self, sites: &[LoadSite], watchings: u32) -> bool {
        if sites.is_empty() {
            return false;
        }
        let mut watched = lock(&self.watched);
        let Watched { since, given_up } = &mut *watched;
        // The lock is held, so that nobody else counts.
        let now = self.watchings.load(Ordering::Relaxed) + 1;
        let (mut is_new, mut changed) = (true, false);
        for &site in sites {
            if site == 0 || given_up.contains(&site) {
                is_new = false;
            } else {
                let since = since.entry(site).or_insert(now);
                changed |= *since == now;
                is_new &= watchings < *since;
            }
        }
        if changed {
            self.watchings.store(now, Ordering::Release);
        }
        is_new
    }

    /// Takes note which loads have turned out to be no parts of deltas.
    fn give_up(&self, deltas: &[WordDelta]) {
        if deltas.iter().all(|delta| !delta.exact) {
            return;
        }
        let mut watched = lock(&self.watched);
        let Watched { since, given_up } = &mut *watched;
        let mut changed = false;
        for delta in deltas.iter().filter(|delta| delta.exact) {
            since.remove(&delta.read.site);
            changed |= given_up.insert(delta.read.site);
        }
        if changed {
            self.watchings.fetch_add(1, Ordering::Release);
        }
    }

    /// Does one thing that helps; false if there is nothing to do.
    fn work<D: DatabaseRef<Error = E>>(
        &self,
        worker: &mut Worker<'_, D>,
        scratch: &mut Option<Scratch>,
    ) -> bool {
        let job = {
            let mut dispatcher = lock(&self.dispatcher);
            let finished = std::mem::take(&mut *lock(&self.finished));
            dispatcher.absorb(finished);
            let outcomes = std::mem::take(&mut *lock(&self.outcomes));
            dispatcher.learn(outcomes, self.transactions);
            let job = dispatcher.job(self.transactions, self);
            self.batch.store(dispatcher.batch, Ordering::Relaxed);
            self.idle_until.store(dispatcher.idle_until, Ordering::Relaxed);
            job
        };
        match job {
            Job::Nothing => return false,
            Job::Run { range, speculative } => self.run_ahead(range, speculative, worker),
            Job::Predict(range) => {
                let state = worker.view().state;
                let start = Instant::now();
                let hints = range.clone().map(|index| self.hint(index, state, scratch)).collect();
                let predicted = Instant::now();
                let mut dispatcher = lock(&self.dispatcher);
                dispatcher.insert(range.start, hints, self.transactions, state, self);
                drop(dispatcher);
                let time = |since: Duration| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
                self.predicting.fetch_add(time(predicted - start), Ordering::Relaxed);
                self.planning.fetch_add(time(predicted.elapsed()), Ordering::Relaxed);
            }
        }
        true
    }

    fn run_ahead<D: DatabaseRef<Error = E>>(
        &self,
        range: Range<Index>,
        speculative: bool,
        worker: &mut Worker<'_, D>,
    ) {
        if let Some(spare) = lock(&self.spares).pop() {
            worker.spare = spare;
        }
        self.look(worker);
        let (first, start) = (range.start, Instant::now());
        let execution = if range.len() == 1 {
            let executed = worker.run_ahead(first, &self.transactions[first as usize].env);
            let slowest = start.elapsed();
            executed.map(|it| Batch { results: vec![it.result], effects: it.effects, slowest })
        } else {
            worker.run_batch_ahead(range.clone(), self.transactions)
        };
        let count = execution.as_ref().map_or(1, |batch| batch.results.len() as Index);
        let end = first + count;
        if let Ok(batch) = &execution {
            publish(end - 1, &batch.effects.writes, worker.view().store());
            self.give_up(&batch.effects.reads.deltas);
            let took = u64::try_from(batch.slowest.as_nanos()).unwrap_or(u64::MAX);
            let before = self.pace.load(Ordering::Relaxed);
            self.pace.store(took.max(before - before / PACE_FADES).max(1), Ordering::Relaxed);
        }
        self.claims.release(end..range.end);
        *lock(&self.ahead[first as usize]) =
            Some(Box::new(Speculation { execution, speculative, watchings: worker.watchings }));
        // Whoever waits does so for the first of them.
        self.claims.complete(first + 1..end);
        if self.claims.finish(first) {
            self.committer.unpark();
        }
        lock(&self.finished).push(first..end);
    }

    /// What is known of a transaction.
    fn hint<D: DatabaseRef>(&self, index: usize, state: &D, scratch: &mut Option<Scratch>) -> Hint<'a> {
        let predictor = match self.predictions {
            Predictions::None => return Hint::None,
            Predictions::Given(hints) => {
                let hint = hints.get(index);
                return match hint {
                    Some(set) if moves_ether_only(&self.transactions[index].env, set) => Hint::Transfer,
                    _ => hint.map_or(Hint::None, Hint::Given),
                };
            }
            Predictions::ByNeed(predictor) => predictor,
        };
        let env = &self.transactions[index].env;
        let predict = || {
            if is_transfer(env, state) {
                return Hint::Transfer;
            }
            let context = BlockContext {
                env: &self.rules.block,
                spec: self.rules.cfg.spec,
                chain_id: self.rules.cfg.chain_id,
            };
            let stop = || self.is_over();
            let set = predictor.predict_until(scratch.get_or_insert_default(), env, context, state, &stop);
            set.map_or(Hint::None, Hint::Made)
        };
        // A state that panics now will do so again for whoever executes the transaction.
        catch_unwind(AssertUnwindSafe(predict)).unwrap_or_else(|_| {
            *scratch = None;
            Hint::None
        })
    }

    /// Waits until it is clear how the next transaction becomes final; what can be done in the meantime is done.
    pub(super) fn turn<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        worker: &mut Worker<'_, D>,
        scratch: &mut Option<Scratch>,
    ) -> Next<E> {
        if !self.has_helpers {
            return Next::Now;
        }
        loop {
            match self.claims.stage(index) {
                Stage::Done => {
                    let ahead = lock(&self.ahead[index as usize]).take();
                    return ahead.map_or(Next::Now, Next::Speculated);
                }
                Stage::Open => {
                    if !(self.eager && self.work(worker, scratch)) && self.claim(index) {
                        return Next::Now;
                    }
                }
                Stage::Claimed => {
                    if !self.work(worker, scratch) {
                        self.wait(index);
                    }
                }
            }
        }
    }

    /// Waits until a transaction is executed that somebody is at.
    fn wait(&self, index: Index) {
        for _ in 0..SPINS {
            if self.is_done(index) {
                return;
            }
            spin_loop();
        }
        while self.claims.await_end(index) {
            thread::park_timeout(NAPS[1]);
        }
        self.claims.stop_waiting();
    }

    /// The end of what the committing thread should run one after the other from a transaction on, as far as it may.
    pub(super) fn end_of_batch(&self, index: Index) -> Index {
        let count = self.transactions.len() as Index;
        if !self.has_helpers {
            return count;
        }
        if self.eager {
            return index + 1;
        }
        let quiet = self.idle_until.load(Ordering::Relaxed) as Index;
        quiet.max(index + self.batch.load(Ordering::Relaxed)).min(count)
    }

    /// Reserves a transaction for the thread that commits.
    pub(super) fn may_run(&self, index: Index) -> bool {
        !self.has_helpers || self.claim(index)
    }

    /// Says that transactions have run in their turn and what they write is published.
    pub(super) fn complete(&self, range: Range<Index>) {
        if self.has_helpers {
            self.claims.complete(range.clone());
            lock(&self.finished).push(range);
        }
    }

    /// Says how many transactions are final.
    pub(super) fn advance(&self, committed: Index) {
        self.committed.store(committed as usize, Ordering::Release);
    }

    /// Says whether what ran ahead held, and whether it was a speculation.
    pub(super) fn record_outcome(&self, range: Range<Index>, speculative: bool, validated: bool) {
        if speculative {
            lock(&self.outcomes).push((range, validated));
        }
        let count = match (speculative, validated) {
            (true, true) => &self.validated,
            (true, false) => &self.aborted,
            (false, false) => &self.mispredicted,
            (false, true) => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives lists back that an execution has filled ahead of its turn.
    pub(super) fn give_back(&self, effects: Box<Effects>) {
        lock(&self.spares).push(effects);
    }

    /// The number of final transactions, and whether everybody may go home.
    pub(super) fn progress(&self) -> (&AtomicUsize, &AtomicBool) {
        (&self.committed, &self.over)
    }

    /// Whether nobody needs to know more of transactions that are not final.
    fn is_over(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is_set(&self.over) || self.cancel.is_some_and(is_set)
    }

    /// Sends everybody home.
    pub(super) fn close(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// The number of edges, and the processor time for predictions and for plans.
    pub(super) fn figures(&self) -> (u64, Duration, Duration) {
        let time = |nanoseconds: &AtomicU64| Duration::from_nanos(nanoseconds.load(Ordering::Relaxed));
        (lock(&self.dispatcher).edges, time(&self.predicting), time(&self.planning))
    }
}

/// Whether a transaction moves ether to an account without code, and does nothing else.
fn is_transfer<D: DatabaseRef>(env: &TxEnv, state: &D) -> bool {
    let TxKind::Call(to) = env.kind else { return false };
    env.data.is_empty()
        && env.authorization_list.is_empty()
        && to.0[..18] != [0; 18]
        && state.basic_ref(to).is_ok_and(|info| info.is_none_or(|info| info.is_code_hash_empty_or_zero()))
}

/// Whether a transaction is predicted to move ether from one account to another, and to do nothing else.
fn moves_ether_only(env: &TxEnv, set: &AccessSet) -> bool {
    env.data.is_empty()
        && env.authorization_list.is_empty()
        && matches!(env.kind, TxKind::Call(to) if to.0[..18] != [0; 18])
        && set.is_complete()
        && set.reads.is_empty()
        && set.writes.is_empty()
        && set.gas <= TRANSFER_GAS
}

/// Looks away for a while, longer each time.
fn rest(idle: &mut u32) {
    *idle += 1;
    if *idle <= GLANCES {
        (0..SPINS / GLANCES).for_each(|_| spin_loop());
    } else {
        // Whoever ends the execution wakes those who sleep.
        thread::park_timeout((NAPS[0] * (1 << (*idle - GLANCES - 1).min(8))).min(NAPS[1]));
    }
}
