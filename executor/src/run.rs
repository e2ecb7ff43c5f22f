//! Executes the transactions of a block on several threads and comes to what one thread would come to.
//!
//! In: a block's environment and rules, its transactions, the state before it, and predictions of what each transaction
//! touches. Out: results, receipts root and state changes. Predictions decide when a transaction runs; whether its run
//! counts is decided when all that stand before it are final, and if it does not, it alone runs again. Nothing that comes
//! out depends on predictions or on the timing of threads.

/// What turns are built of.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};
}

mod conflicts_by_callee;
mod dispatcher;
mod claims;
mod publish;
mod shared;
mod trial;
mod commit;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::Address;
use revm::{
    DatabaseRef,
    context::{BlockEnv, CfgEnv},
    context_interface::result::{ExecutionResult, InvalidTransaction},
};
use thiserror::Error;

use self::{
    commit::{Committer, guarded},
    publish::collect,
    shared::Shared,
    trial::Trial,
};
use crate::{
    access_set::AccessSet,
    block::Transaction,
    changes::FinalWrites,
    predict::Predictor,
    prefetch::{CachedState, Known, Scene},
    serial::{Outcome, summarize},
    store::{Answers, Fees, Store, lock},
    tuning::{SURELY_WORTH_THREADS, WORTH_CALLS, WORTH_THREADS},
    view::BatchState,
    worker::{BlockRules, Worker},
};

/// How to execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The number of threads; at least one is used.
    pub threads: usize,
    /// The order in which transactions are run.
    pub mode: Mode,
    /// Whether small blocks may be left to one thread, and transactions to the thread that makes them final. Otherwise
    /// everything is run ahead that can be.
    pub may_fall_back: bool,
    /// How many pieces of the state are read ahead at a time, where predictions name them; with none, the state is taken
    /// to be at hand.
    pub readers: usize,
}

impl Default for Config {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads, mode: Mode::Scheduled, may_fall_back: true, readers: 0 }
    }
}

/// The order in which transactions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What runs ahead of its turn does so when those have run that it is predicted to depend on.
    Scheduled,
    /// What runs ahead of its turn does so in the order of the block, as soon as a thread is free.
    Optimistic,
    /// One transaction after the other, on one thread.
    Serial,
}

impl Mode {
    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Optimistic => "optimistic",
            Self::Serial => "serial",
        }
    }
}

/// The execution of a block, and how it went.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Results, gas, bloom filter and receipts root.
    pub outcome: Outcome,
    /// What was written last, for a node to commit.
    pub writes: FinalWrites,
    /// How it went.
    pub figures: RunFigures,
}

/// How an execution went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunFigures {
    /// The threads that took part.
    pub threads: usize,
    /// Transactions that ran ahead of their turn.
    pub ahead: u64,
    /// Those of them that ran again in their turn.
    pub reexecutions: u64,
    /// Additions to words of storage that were made final without running the transaction again although the word had
    /// changed, or might have.
    pub deltas: u64,
    /// Pairs of transactions one of which was made to wait for the other.
    pub edges: u64,
    /// Time for predictions on all threads, most of it beside execution, waits for a slow state included.
    pub predict: Duration,
    /// Processor time for working out who waits for whom, most of it beside execution.
    pub schedule: Duration,
    /// The memory that the versions of what was written take, in bytes.
    pub store_bytes: usize,
    /// The time from the call until everything is final; the root of the receipts is computed after that.
    pub execute: Duration,
}

/// Why a block cannot be executed. Nothing of it has taken effect then.
#[derive(Debug, Error)]
pub enum ExecuteError<E: std::error::Error + 'static> {
    /// A transaction may not be part of the block.
    #[error("transactions[{index}] from {sender} is invalid: {reason}")]
    InvalidTransaction {
        /// The index of the transaction.
        index: usize,
        /// Its sender.
        sender: Address,
        /// Why.
        reason: InvalidTransaction,
    },
    /// A transaction may use more gas than the block has left.
    #[error(
        "transactions[{index}] is invalid: its gas limit is {gas_limit}, and {left} of the block's gas is left"
    )]
    BlockGas {
        /// The index of the transaction.
        index: usize,
        /// Its gas limit.
        gas_limit: u64,
        /// The gas that is left.
        left: u64,
    },
    /// The state could not be read.
    #[error("transactions[{index}] cannot be executed: the state cannot be read")]
    Database {
        /// The index of the transaction.
        index: usize,
        /// What the state says.
        source: E,
    },
    /// The beneficiary could not be read.
    #[error("the block was executed, but the state cannot be read to pay its beneficiary")]
    Settle {
        /// What the state says.
        source: E,
    },
    /// The execution engine gave up.
    #[error("transactions[{index}] cannot be executed: {reason}")]
    Engine {
        /// The index of the transaction.
        index: usize,
        /// What the engine says.
        reason: String,
    },
    /// The state or the engine panicked.
    #[error("transactions[{index}] cannot be executed: the state or the engine panicked: {message}")]
    Panicked {
        /// The index of the transaction.
        index: usize,
        /// What the panic says.
        message: String,
    },
    /// The caller has called it off.
    #[error("the execution was called off after {committed} transactions")]
    Cancelled {
        /// The number of transactions that were final by then.
        committed: usize,
    },
}

/// Where predictions of what transactions touch come from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Predictions<'a> {
    /// There are none.
    #[default]
    None,
    /// They are there, one a transaction; those that are missing or wrong cost time.
    Given(&'a [AccessSet]),
    /// They are made while the block is executed, where speculating goes wrong too often.
    ByNeed(&'a Predictor),
}

/// Reads ahead of an execution until it ends, and says how long predictions took.
type ReadAhead<'a> = dyn Fn(&Scene<'_>) -> Duration + Sync + 'a;

/// Receives the index and the result of a transaction.
pub type Listener<'a> = dyn Fn(usize, &ExecutionResult) + Sync + 'a;

/// Watches an execution, or ends it.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, BlockState, Config, Executor, Predictions, Watch};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let (executor, state) = (Executor::new(Config::default()), BlockState::new(&block));
/// let last = std::sync::atomic::AtomicUsize::new(0);
/// let committed = |index, _: &_| last.store(index, std::sync::atomic::Ordering::Relaxed);
/// let watch = Watch { committed: Some(&committed), cancel: None };
/// let (env, rules, transactions) = (block.env(), block.rules(), &block.transactions);
/// executor.execute_watched(env, rules, transactions, &state, Predictions::None, watch)?;
/// assert_eq!(last.into_inner() + 1, transactions.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Watch<'a> {
    /// Receives each result as soon as it is final, in order.
    pub committed: Option<&'a Listener<'a>>,
    /// Ends the execution when it is set.
    pub cancel: Option<&'a AtomicBool>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

impl Watch<'_> {
    fn cancelled(&self) -> bool {
        self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed))
    }
}

/// Executes blocks. What one block needed of memory is there for the next one.
#[derive(Clone, Debug, Default)]
pub struct Executor {
    config: Config,
    memory: Arc<Mutex<Vec<(Store, BatchState)>>>,
}

impl Executor {
    /// An executor that works as `config` says.
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// Executes the transactions of a block on `state`. `hints` are predictions, one a transaction; those that are
    /// missing or wrong cost time.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use deconflict_executor::{BlockReader, BlockState, Config, Executor, execute_settled};
    ///
    /// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
    /// let block = BlockReader::default().read(Path::new(file))?;
    /// let state = BlockState::new(&block);
    /// let executor = Executor::new(Config { threads: 2, ..Config::default() });
    /// let execution = executor.execute(block.env(), block.rules(), &block.transactions, &state, &[])?;
    ///
    /// // What one transaction after the other comes to.
    /// let (serial, changes) = execute_settled(&block, &state)?;
    /// assert_eq!(execution.outcome.receipts_root, serial.receipts_root);
    /// assert_eq!(execution.writes.changes(&state)?.digest(), changes.digest());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn execute<D: DatabaseRef + Sync>(
        &self,
        block: BlockEnv,
        rules: CfgEnv,
        transactions: &[Transaction],
        state: &D,
        hints: &[AccessSet],
    ) -> Result<Execution, ExecuteError<D::Error>> {
        self.execute_watched(block, rules, transactions, state, Predictions::Given(hints), Watch::default())
    }

    /// Executes the transactions of a block on `state`, and predicts what they touch where that pays.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use deconflict_executor::{BlockReader, BlockState, Config, Executor, Predictor};
    ///
    /// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
    /// let block = BlockReader::default().read(Path::new(file))?;
    /// let executor = Executor::new(Config { threads: 2, ..Config::default() });
    /// let (predictor, state) = (Predictor::new(), BlockState::new(&block));
    /// let (env, rules) = (block.env(), block.rules());
    /// let execution = executor.execute_predicting(env, rules, &block.transactions, &state, &predictor)?;
    /// assert_eq!(Some(execution.outcome.gas_used), block.expected.gas_used);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn execute_predicting<D: DatabaseRef + Sync>(
        &self,
        block: BlockEnv,
        rules: CfgEnv,
        transactions: &[Transaction],
        state: &D,
        predictor: &Predictor,
    ) -> Result<Execution, ExecuteError<D::Error>> {
        let predictions = Predictions::ByNeed(predictor);
        self.execute_watched(block, rules, transactions, state, predictions, Watch::default())
    }

    /// Executes the transactions of a block as [`Self::execute`] does, and lets the caller watch.
    pub fn execute_watched<D: DatabaseRef + Sync>(
        &self,
        block: BlockEnv,
        rules: CfgEnv,
        transactions: &[Transaction],
        state: &D,
        predictions: Predictions<'_>,
        watch: Watch<'_>,
    ) -> Result<Execution, ExecuteError<D::Error>> {
        let rules = BlockRules { block, cfg: rules, answers: Answers::default() };
        let readers = self.config.readers;
        if readers == 0 {
            return self.execute_at_hand(&rules, transactions, state, predictions, watch, None);
        }
        let cached = CachedState::new(state);
        let read_ahead = |scene: &Scene<'_>| match predictions {
            Predictions::None => Duration::ZERO,
            Predictions::Given(hints) => cached.read_ahead(scene, Known::Hints(hints), readers),
            Predictions::ByNeed(predictor) => cached.read_ahead(scene, Known::Predictor(predictor), readers),
        };
        let read_ahead = (self.config.mode == Mode::Scheduled).then_some(&read_ahead as &ReadAhead<'_>);
        self.execute_at_hand(&rules, transactions, &cached, predictions, watch, read_ahead)
    }

    /// Executes the transactions of a block, and beside that does `read_ahead`, which says how long predictions took.
    fn execute_at_hand<D: DatabaseRef + Sync>(
        &self,
        rules: &BlockRules,
        transactions: &[Transaction],
        state: &D,
        predictions: Predictions<'_>,
        watch: Watch<'_>,
        read_ahead: Option<&ReadAhead<'_>>,
    ) -> Result<Execution, ExecuteError<D::Error>> {
        let start = Instant::now();
        let fees = Fees::new(rules.block.beneficiary);
        let (mut store, room) = lock(&self.memory).pop().unwrap_or_default();
        let estimate = estimate(transactions);
        let threads = self.threads(transactions, estimate);
        let is_sure = !self.config.may_fall_back || estimate >= SURELY_WORTH_THREADS;
        if threads > 1 {
            store.reserve(transactions.len());
        }
        let predictions = if self.config.mode == Mode::Scheduled { predictions } else { Predictions::None };
        let eager = self.config.mode != Mode::Serial && !self.config.may_fall_back;
        let shared = Shared::new(transactions, rules, predictions, threads, (eager, !is_sure), watch.cancel);
        let mut committer = Committer::new(&shared, rules, watch, room);
        let schedule = start.elapsed();
        let (committed, over) = shared.progress();
        let scene =
            Scene { rules, transactions, store: &store, fees: &fees, committed, over, cancel: watch.cancel };
        let (committed, reading) = std::thread::scope(|scope| {
            let reading = read_ahead.and_then(|read_ahead| {
                std::thread::Builder::new().spawn_scoped(scope, || read_ahead(&scene)).ok()
            });
            let help = || shared.help(&mut Worker::new(rules, state, &store, &fees).ended_by(over));
            let mut helpers = Vec::new();
            let mut start = || {
                // Without a helper there is less help, that is all.
                let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, help).ok();
                helpers.extend((1..threads).filter_map(spawn));
            };
            if is_sure {
                start();
            }
            let trial = (!is_sure && threads > 1).then(|| Trial::new(transactions, estimate, &mut start));
            let committed = guarded(0, || {
                let mut worker = Worker::new(rules, state, &store, &fees);
                if let Some(cancel) = watch.cancel {
                    worker = worker.ended_by(cancel);
                }
                committer.run(&mut worker, trial)
            });
            shared.close();
            for helper in &helpers {
                helper.thread().unpark();
            }
            (committed, reading.and_then(|thread| thread.join().ok()).unwrap_or_default())
        });
        committed?;
        let Committer { results, ahead, reexecutions, deltas, mut left, room, .. } = committer;
        let (edges, predict, planning) = shared.figures();
        let mut figures = RunFigures {
            threads,
            ahead,
            reexecutions,
            deltas,
            edges,
            predict: predict + reading,
            schedule: schedule + planning,
            ..RunFigures::default()
        };
        let writes = guarded(transactions.len() as u32, || {
            let writes = collect(&mut store, &mut left, &fees, rules.cfg.spec, state);
            writes.map_err(|source| ExecuteError::Settle { source })
        })?;
        // Whichever has the more room; both are empty now.
        let room = if left.bytes() > room.bytes() { left } else { room };
        figures.store_bytes = store.bytes() + room.bytes();
        lock(&self.memory).push((store, room));
        figures.execute = start.elapsed();
        let outcome = summarize(transactions, rules.cfg.spec, results);
        Ok(Execution { outcome, writes, figures })
    }

    /// The number of threads that are likely to be worth while.
    fn threads(&self, transactions: &[Transaction], estimate: u64) -> usize {
        let threads = self.config.threads.clamp(1, transactions.len().max(1));
        if self.config.mode == Mode::Serial {
            return 1;
        }
        let calls = transactions.iter().filter(|it| !it.env.data.is_empty()).count();
        let is_worth = calls >= WORTH_CALLS && estimate >= WORTH_THREADS;
        if self.config.may_fall_back && !is_worth { 1 } else { threads }
    }
}

/// The nanoseconds that calls of contracts are likely to take at most.
fn estimate(transactions: &[Transaction]) -> u64 {
    transactions.iter().map(trial::cost).fold(0, u64::saturating_add)
}
