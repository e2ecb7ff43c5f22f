//! Executes a block beside plain serial revm, and tells how both went.
//!
//! In: a block and how to execute it. Out: times, counts, and, if asked for, the first difference between the two. Codes
//! are analysed before any time is taken, as a node has done when a block arrives; predictions are part of the time.

pub mod human;
pub mod json;

use std::time::{Duration, Instant};

use alloy_primitives::B256;
use revm::{
    Context, DatabaseRef, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, database::CacheDB,
};
use thiserror::Error;

pub use crate::tuning::READERS;
use crate::{
    access_set::AccessSet,
    block::Block,
    changes::{StateChanges, execute_settled},
    dag::Dag,
    predict::{BlockContext, Predictor},
    prefetch::{SlowState, predict_all},
    run::{Config, ExecuteError, Execution, Executor, Mode},
    schedule,
    serial::{ReplayError, admit_all},
    state::{BlockState, StateError},
};

/// How to execute blocks for a report.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// How the executor works.
    pub config: Config,
    /// Whether to compare with serial execution.
    pub verify: bool,
    /// How long each reading of the state takes.
    pub latency: Duration,
    /// How often to execute; the times of the fastest execution count.
    pub repeat: usize,
}

/// How the execution of a block went.
#[derive(Clone, Debug)]
pub struct BlockRun {
    /// The number of the block.
    pub number: u64,
    /// How it was executed.
    pub mode: Mode,
    /// The threads that took part.
    pub threads: usize,
    /// The number of transactions.
    pub transactions: usize,
    /// The gas that they used.
    pub gas_used: u64,
    /// Processor time for predictions, most of it beside execution.
    pub predict: Duration,
    /// Processor time for working out who waits for whom, most of it beside execution.
    pub schedule: Duration,
    /// The time from the arrival of the block to its end.
    pub execute: Duration,
    /// The time that plain serial revm takes.
    pub serial: Duration,
    /// Transactions that ran ahead of their turn.
    pub ahead: u64,
    /// Those of them that ran again in it.
    pub reexecutions: u64,
    /// Additions to words of storage that counted although the word had changed, or might have.
    pub deltas: u64,
    /// The memory that the versions of what was written take, in bytes.
    pub store_bytes: usize,
    /// Pairs of transactions one of which depends on the other, by prediction.
    pub edges: u64,
    /// The most gas on a path of transactions that depend on each other, by prediction.
    pub critical_path_gas: u64,
    /// The root of the receipts.
    pub receipts_root: Option<B256>,
    /// The digest of the changes of the state.
    pub state_digest: B256,
    /// The first difference from serial execution, if there is one; none if nobody looked for it.
    pub verified: Option<Result<(), String>>,
}

/// Why a block cannot be executed.
#[derive(Debug, Error)]
pub enum RunError {
    /// By the executor.
    #[error("block {block} cannot be executed")]
    Execute {
        /// The number of the block.
        block: u64,
        /// Why.
        source: Box<ExecuteError<StateError>>,
    },
    /// One transaction after the other.
    #[error(transparent)]
    Replay(Box<ReplayError>),
}

impl From<ReplayError> for RunError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(Box::new(error))
    }
}

impl BlockRun {
    /// The time from the arrival of the block to its end.
    pub fn total(&self) -> Duration {
        self.execute
    }

    /// How many times faster than plain serial revm.
    pub fn speed_up(&self) -> f64 {
        self.serial.as_secs_f64() / self.total().as_secs_f64().max(1e-9)
    }
}

/// Executes a block as `options` say.
pub fn run_block(block: &Block, options: &RunOptions, predictor: &Predictor) -> Result<BlockRun, RunError> {
    admit_all(block)?;
    let state = BlockState::new(block);
    // Whatever codes the block needs are known from here on.
    let hints = predict(block, &state, predictor, options.config.threads);
    let (edges, critical_path_gas) = order(block, &state, &hints);
    let slow = SlowState { state: &state, latency: options.latency };
    let readers = if options.latency.is_zero() { 0 } else { READERS };
    let executor = Executor::new(Config { readers, ..options.config });
    let mut best: Option<BlockRun> = None;
    let mut execution = None;
    for _ in 0..options.repeat.max(1) {
        let serial =
            if options.latency.is_zero() { time_serial(block, &state) } else { time_serial(block, &slow) }?;
        let executed = if options.latency.is_zero() {
            run_once(block, &state, predictor, &executor)
        } else {
            run_once(block, &slow, predictor, &executor)
        }
        .map_err(|source| RunError::Execute { block: block.number, source: Box::new(source) })?;
        let figures = executed.figures;
        let serial = best.as_ref().map_or(serial, |best| best.serial.min(serial));
        let run = BlockRun {
            number: block.number,
            mode: options.config.mode,
            threads: figures.threads,
            transactions: block.transactions.len(),
            gas_used: executed.outcome.gas_used,
            predict: figures.predict,
            schedule: figures.schedule,
            execute: figures.execute,
            serial,
            ahead: figures.ahead,
            store_bytes: figures.store_bytes,
            reexecutions: figures.reexecutions,
            deltas: figures.deltas,
            edges,
            critical_path_gas,
            receipts_root: executed.outcome.receipts_root,
            state_digest: B256::ZERO,
            verified: None,
        };
        best = Some(match best {
            Some(best) if best.execute <= run.execute => BlockRun { serial, ..best },
            _ => run,
        });
        execution = Some(executed);
    }
    let (Some(mut run), Some(execution)) = (best, execution) else { unreachable!("it ran at least once") };
    let changes = execution.writes.clone().changes(&state);
    let changes = changes.map_err(|source| ExecuteError::Settle { source });
    let changes =
        changes.map_err(|source| RunError::Execute { block: block.number, source: Box::new(source) })?;
    run.state_digest = changes.digest();
    if options.verify {
        run.verified = Some(difference(block, &state, &execution, &changes)?.map_or(Ok(()), Err));
    }
    Ok(run)
}

/// The number of predicted dependencies, and the gas on the longest path of them.
fn order(block: &Block, state: &BlockState, hints: &[AccessSet]) -> (u64, u64) {
    let envs: Vec<_> = block.transactions.iter().map(|transaction| &transaction.env).collect();
    let dag = Dag::new(&envs, hints, block.header.coinbase, state);
    let gas: Vec<u64> = (envs.iter().enumerate())
        .map(|(index, env)| schedule::gas(hints.get(index), env.gas_limit))
        .collect();
    (dag.edges() as u64, dag.critical_path(&gas))
}

/// The first difference from what serial execution, or the block's header, comes to.
fn difference(
    block: &Block,
    state: &BlockState,
    execution: &Execution,
    actual: &StateChanges,
) -> Result<Option<String>, ReplayError> {
    let (outcome, changes) = execute_settled(block, state)?;
    let results = outcome.results.iter().zip(&execution.outcome.results);
    if let Some((index, (one, two))) = results.enumerate().find(|(_, (one, two))| one != two) {
        return Ok(Some(format!("transactions[{index}] comes to {two:?} instead of {one:?}")));
    }
    if let Some(difference) = changes.first_difference(actual) {
        return Ok(Some(format!("the state differs in {difference}")));
    }
    if outcome != execution.outcome || changes.digest() != actual.digest() {
        return Ok(Some("the summaries of the two executions differ".to_owned()));
    }
    Ok(crate::serial::verify(block, &execution.outcome).err().map(|error| error.to_string()))
}

fn run_once<D: DatabaseRef + Sync>(
    block: &Block,
    state: &D,
    predictor: &Predictor,
    executor: &Executor,
) -> Result<Execution, ExecuteError<D::Error>> {
    executor.execute_predicting(block.env(), block.rules(), &block.transactions, state, predictor)
}

/// Predicts all transactions of a block on the state before it, on several threads.
pub fn predict<D: DatabaseRef + Sync>(
    block: &Block,
    state: &D,
    predictor: &Predictor,
    threads: usize,
) -> Vec<AccessSet> {
    let env = block.env();
    let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
    predict_all(context, &block.transactions, state, predictor, threads)
}

/// The time that plain serial revm takes: each transaction committed to a cache over the state, and its result kept, since
/// whoever executes a block needs the receipts.
pub fn time_serial<D>(block: &Block, state: &D) -> Result<Duration, ReplayError>
where
    D: DatabaseRef<Error = StateError>,
{
    let start = Instant::now();
    let context = Context::mainnet().with_db(CacheDB::new(state));
    let mut evm = context.with_block(block.env()).with_cfg(block.rules()).build_mainnet();
    let mut results = Vec::with_capacity(block.transactions.len());
    for (index, transaction) in block.transactions.iter().enumerate() {
        let executed = evm.transact_commit(transaction.env.clone());
        let result = executed.map_err(|error| ReplayError::Engine {
            block: block.number,
            index,
            hash: transaction.hash,
            reason: error.to_string(),
        })?;
        results.push(result);
    }
    let time = start.elapsed();
    std::hint::black_box(results);
    Ok(time)
}

/// The time that two threads take with plain serial revm, one for every other transaction, each on a cache of its own
/// over the state; none if the halves cannot stand alone. It tells what two processors have to give at best.
pub fn time_halves<D>(block: &Block, state: &D) -> Option<Duration>
where
    D: DatabaseRef<Error = StateError> + Sync,
{
    let run = |half: usize| {
        let context = Context::mainnet().with_db(CacheDB::new(state));
        let mut evm = context.with_block(block.env()).with_cfg(block.rules()).build_mainnet();
        let part = block.transactions.iter().skip(half).step_by(2);
        let mut results = Vec::with_capacity(part.len());
        for transaction in part {
            let Ok(result) = evm.transact_commit(transaction.env.clone()) else { return None };
            results.push(result);
        }
        Some(results)
    };
    let start = Instant::now();
    let results = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        (run(0), other.join().unwrap_or_default())
    });
    let time = start.elapsed();
    (results.0.is_some() && results.1.is_some()).then_some(time)
}
