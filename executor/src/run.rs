//! Executes the transactions of a block on several threads and comes to what one thread would come to.
//!
//! In: a block's environment and rules, its transactions, the state before it, and predictions of what each transaction
//! touches. Out: results, receipts root and state changes. Predictions decide when a transaction runs; whether its run
//! counts is decided when all that stand before it are final, and if it does not, it alone runs again. Nothing that comes
//! out depends on predictions or on the timing of threads.

mod commit;
mod dispatch;

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
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
    commit::{Committer, collect, guarded},
    dispatch::{Board, Plan},
};
use crate::{
    access_set::AccessSet,
    block::Transaction,
    changes::FinalWrites,
    dag::Dag,
    fees::Fees,
    schedule,
    serial::{Outcome, summarize},
    store::{Store, Table},
    worker::{Rules, Worker},
};

/// How to execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The number of threads; at least one is used.
    pub threads: usize,
    /// The order in which transactions are run.
    pub mode: Mode,
    /// Whether a block on which several threads are not likely to win may be left to one thread.
    pub may_fall_back: bool,
}

impl Default for Config {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads, mode: Mode::Scheduled, may_fall_back: true }
    }
}

/// The order in which transactions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A transaction runs as soon as those have run that it is predicted to depend on.
    Scheduled,
    /// Transactions run in their order, as soon as a thread is free.
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
    /// Transactions that ran again in their turn.
    pub reexecutions: u64,
    /// Pairs of transactions one of which waited for the other.
    pub edges: u64,
    /// The most gas that is used by transactions that wait for each other one after the other.
    pub critical_path_gas: u64,
    /// The time for working out the order.
    pub schedule: Duration,
    /// The time for everything after that.
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

/// Receives the index and the result of a transaction.
pub type Listener<'a> = dyn Fn(usize, &ExecutionResult) + Sync + 'a;

/// Watches an execution, or ends it.
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

/// Executes blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor {
    config: Config,
}

impl Executor {
    /// An executor that works as `config` says.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Executes the transactions of a block on `state`. `hints` are predictions, one a transaction; those that are
    /// missing or wrong cost time.
    pub fn execute<D: DatabaseRef + Sync>(
        &self,
        block: BlockEnv,
        rules: CfgEnv,
        transactions: &[Transaction],
        state: &D,
        hints: &[AccessSet],
    ) -> Result<Execution, ExecuteError<D::Error>> {
        self.execute_watched(block, rules, transactions, state, hints, Watch::default())
    }

    /// Executes the transactions of a block as [`Self::execute`] does, and lets the caller watch.
    pub fn execute_watched<D: DatabaseRef + Sync>(
        &self,
        block: BlockEnv,
        rules: CfgEnv,
        transactions: &[Transaction],
        state: &D,
        hints: &[AccessSet],
        watch: Watch<'_>,
    ) -> Result<Execution, ExecuteError<D::Error>> {
        let start = Instant::now();
        let rules = Rules { block, cfg: rules };
        let fees = Fees::new(rules.block.beneficiary);
        let mut store = Store { accounts: Table::open(), slots: Table::open(), resets: Table::open() };
        let mut figures = RunFigures::default();
        let plan =
            guarded(0, || Ok(self.plan(&rules, transactions, state, hints, &mut store, &mut figures)))?;
        figures.schedule = start.elapsed();
        let start = Instant::now();
        let committer = Committer::new(transactions, &rules, watch);
        let results = match plan {
            None => {
                figures.threads = 1;
                let mut worker = Worker::new(&rules, state, &store, &fees);
                committer.run_all(&mut worker)
            }
            Some((plan, threads)) => {
                figures.threads = threads;
                let board = Board::new(&plan, transactions.len());
                std::thread::scope(|scope| {
                    for _ in 1..threads {
                        scope.spawn(|| {
                            let mut worker = Worker::new(&rules, state, &store, &fees);
                            board.work(&mut worker, &committer);
                        });
                    }
                    let mut worker = Worker::new(&rules, state, &store, &fees);
                    board.work(&mut worker, &committer);
                });
                committer.finish()
            }
        };
        let (results, reexecutions) = results?;
        figures.reexecutions = reexecutions;
        let writes = guarded(transactions.len() as u32, || {
            let writes = collect(store, &fees, rules.cfg.spec, state);
            writes.map_err(|source| ExecuteError::Settle { source })
        })?;
        figures.execute = start.elapsed();
        let outcome = summarize(transactions, rules.cfg.spec, results);
        Ok(Execution { outcome, writes, figures })
    }

    /// What to run when, on how many threads; none if one thread is to run everything in order.
    fn plan<D: DatabaseRef>(
        &self,
        rules: &Rules,
        transactions: &[Transaction],
        state: &D,
        hints: &[AccessSet],
        store: &mut Store,
        figures: &mut RunFigures,
    ) -> Option<(Plan, usize)> {
        let threads = self.config.threads.clamp(1, transactions.len().max(1));
        if self.config.mode == Mode::Serial || (threads == 1 && self.config.may_fall_back) {
            return None;
        }
        if self.config.mode == Mode::Optimistic {
            return Some((Plan::in_order(transactions.len()), threads));
        }
        let envs: Vec<_> = transactions.iter().map(|transaction| &transaction.env).collect();
        let dag = Dag::new(&envs, hints, rules.block.beneficiary, state, store);
        let costs: Vec<u64> = (envs.iter().enumerate())
            .map(|(index, env)| schedule::cost(hints.get(index), env.gas_limit))
            .collect();
        let priorities = dag.remaining(&costs);
        figures.edges = dag.edges() as u64;
        let gas: Vec<u64> = (envs.iter().enumerate())
            .map(|(index, env)| schedule::gas(hints.get(index), env.gas_limit))
            .collect();
        figures.critical_path_gas = dag.remaining(&gas).into_iter().max().unwrap_or(0);
        if self.config.may_fall_back && !schedule::pays(&dag, &costs, &priorities, threads) {
            return None;
        }
        Some((Plan::new(&dag, priorities), threads))
    }
}
