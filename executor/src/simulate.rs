//! How fast a block would be on more processors than there are.
//!
//! In: a block. Out: the speed-up over one processor, by measured times of its transactions, for three ways to execute
//! it: in the order that its true dependencies allow, in the order that predictions ask for with the wrong ones executed
//! again, and optimistically. There processors are taken to cost nothing and to share nothing: these are limits. A fourth
//! one is the bundled executor as it is, with what it costs on this machine.

mod engine;
pub mod human;
pub mod json;
mod model;

use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, context::TxEnv, database::CacheDB,
};

use self::model::{optimistic, scheduled};
use crate::{
    access_set::{AccessSet, AccountAccess},
    block::Block,
    dag::Dag,
    predict::Predictor,
    record::{NetChanges, Record, record},
    report::predict,
    schedule,
    serial::ReplayError,
    state::BlockState,
};

/// How often each transaction is timed; the shortest time counts.
const TIMINGS: usize = 3;

/// A block on imagined processors.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// The number of the block.
    pub number: u64,
    /// The number of transactions.
    pub transactions: usize,
    /// The gas that they used.
    pub gas_used: u64,
    /// The time on one processor.
    pub serial: Duration,
    /// Transactions that the predicted order would execute again on the most processors.
    pub mispredicted: usize,
    /// The results, by number of processors.
    pub cores: Vec<Cores>,
}

/// Speed-ups over one processor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cores {
    /// The number of processors.
    pub n: usize,
    /// By true dependencies.
    pub ideal: f64,
    /// By predicted ones.
    pub predicted: f64,
    /// Without any.
    pub optimistic: f64,
    /// Of the bundled executor, with all that it costs; not a number if that could not be measured.
    pub engine: f64,
}

/// Simulates a block on these numbers of processors.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, Predictor, simulate::simulate_block};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let simulation = simulate_block(&block, &[2, 4], &Predictor::new())?;
/// assert_eq!(simulation.cores.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn simulate_block(
    block: &Block,
    cores: &[usize],
    predictor: &Predictor,
) -> Result<Simulation, ReplayError> {
    let state = BlockState::new(block);
    let mut truth = Vec::with_capacity(block.transactions.len());
    let mut gas_used = 0;
    record(block, &state, |_, result, record, changes| {
        gas_used += result.tx_gas_used();
        truth.push(touched(&record, &changes));
    })?;
    let hints = predict(block, &state, predictor, 1);
    let times = times(block, &state)?;
    let envs: Vec<&TxEnv> = block.transactions.iter().map(|transaction| &transaction.env).collect();
    let dag = |sets: &[AccessSet]| Dag::new(&envs, sets, block.header.coinbase, &state);
    let (truth, predicted) = (dag(&truth), dag(&hints));
    let serial: u64 = times.iter().sum();
    let speed_up = |time: u64| serial as f64 / time.max(1) as f64;
    let estimates: Vec<u64> = (envs.iter().enumerate())
        .map(|(index, env)| schedule::cost(hints.get(index), env.gas_limit))
        .collect();
    let costs = engine::measure(block, &state);
    let true_priorities = truth.remaining(&times);
    let priorities = predicted.remaining(&estimates);
    let mut mispredicted = 0;
    let cores = cores.iter().map(|&n| {
        let ideal = scheduled(&truth, &truth, &times, &true_priorities, n);
        let by_hints = scheduled(&predicted, &truth, &times, &priorities, n);
        mispredicted = by_hints.stale;
        Cores {
            n,
            ideal: speed_up(ideal.time),
            predicted: speed_up(by_hints.time),
            optimistic: speed_up(optimistic(&truth, &times, n)),
            engine: costs
                .as_ref()
                .map_or(f64::NAN, |costs| speed_up(engine::executed(costs, &predicted, &truth, n))),
        }
    });
    let cores = cores.collect();
    Ok(Simulation {
        number: block.number,
        transactions: block.transactions.len(),
        gas_used,
        serial: Duration::from_nanos(serial),
        mispredicted,
        cores,
    })
}

/// What a transaction really depended on and changed, in the shape of a prediction.
fn touched(record: &Record, changes: &NetChanges) -> AccessSet {
    let slots = |keys: &mut dyn Iterator<Item = &(Address, U256)>| -> Vec<(Address, U256)> {
        let mut slots: Vec<_> = keys.copied().collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    };
    let happened = |access: &AccountAccess| match access {
        AccountAccess::NonceWrite(address) => changes.nonces.iter().any(|it| it.key == *address),
        AccountAccess::CodeWrite(address) => changes.codes.iter().any(|it| it.key == *address),
        AccountAccess::BalanceCredit(address) => changes.balances.iter().any(|it| it.key == *address),
        _ => true,
    };
    AccessSet {
        reads: slots(&mut record.reads.keys().chain(record.writes.keys())),
        writes: slots(&mut changes.storage.iter().map(|change| &change.key)),
        accounts: record.accounts.iter().filter(|access| happened(access)).copied().collect(),
        ..AccessSet::default()
    }
}

/// The nanoseconds that each transaction takes in plain serial revm.
fn times(block: &Block, state: &BlockState) -> Result<Vec<u64>, ReplayError> {
    let mut times = vec![u64::MAX; block.transactions.len()];
    for _ in 0..TIMINGS {
        let context = Context::mainnet().with_db(CacheDB::new(state));
        let mut evm = context.with_block(block.env()).with_cfg(block.rules()).build_mainnet();
        for (index, transaction) in block.transactions.iter().enumerate() {
            let env = transaction.env.clone();
            let start = Instant::now();
            let executed = evm.transact_commit(env);
            let time = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            executed.map_err(|error| ReplayError::Engine {
                block: block.number,
                index,
                hash: transaction.hash,
                reason: error.to_string(),
            })?;
            times[index] = times[index].min(time);
        }
    }
    Ok(times)
}
