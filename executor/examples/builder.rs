//! How a builder fills blocks with the planner: by fee, but past what would only wait.
//!
//! `cargo run --release -p deconflict-executor --example builder -- FILE…` takes the transactions of real blocks for a
//! mempool, builds one block of half their gas in plain order of fees and one with the planner, and compares fees and
//! parallel time. Without files it takes a generated block. Prediction and planning are all that happens; nothing runs.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{cmp::Reverse, collections::BTreeMap, error::Error, path::PathBuf, time::Instant};

use alloy_primitives::Address;
use deconflict_executor::{
    Block, BlockReader, BlockState, Predictor, Transaction,
    hints::{Basis, hint_block},
    plan::{Planner, Rules, Touches},
};

/// The lanes that the block is built for.
const LANES: usize = 8;

/// How many of the best candidates are looked at before one is taken.
const WINDOW: usize = 24;

/// How much of its fee a candidate may lose for waiting, for each part of the block's time that it adds.
const WEIGHT: f64 = 6.0;

/// A transaction that could come into the block.
struct Candidate {
    sender: Address,
    nonce: u64,
    /// What the builder gets for a unit of gas.
    tip: u128,
    touches: Touches,
}

/// A block that was built.
struct Built {
    fees: u128,
    gas: u64,
    makespan: u64,
    count: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/workloads/blocks");
        files.push([fixtures, "hybrid-30-hot.json"].iter().collect());
    }
    let mut reader = BlockReader::new(None)?;
    let predictor = Predictor::new();
    let (mut plain_time, mut planned_time, mut plain_fees, mut planned_fees) = (0, 0, 0, 0);
    for file in files {
        let block = reader.read(&file)?;
        let mempool = candidates(&block, &predictor);
        let limit = mempool.iter().map(|it| it.touches.gas).sum::<u64>() / 2;
        let plain = build(&mempool, limit, 1);
        if plain.count == 0 {
            // Half of a single transaction is no block.
            continue;
        }
        let start = Instant::now();
        let planned = build(&mempool, limit, WINDOW);
        let took = start.elapsed();
        println!(
            "block {}: {} of {} transactions in {took:.1?}; by fee {} gas of time, planned {} ({:.2} times as fast a gas), \
             {:.1} % of the fees",
            block.number,
            planned.count,
            mempool.len(),
            plain.makespan,
            planned.makespan,
            speed(&planned) / speed(&plain),
            100.0 * planned.fees as f64 / plain.fees.max(1) as f64,
        );
        plain_time += plain.makespan;
        planned_time += planned.makespan;
        plain_fees += plain.fees;
        planned_fees += planned.fees;
    }
    println!(
        "all: {:.1} % of the time and {:.1} % of the fees of plain order on {LANES} lanes",
        100.0 * planned_time as f64 / plain_time.max(1) as f64,
        100.0 * planned_fees as f64 / plain_fees.max(1) as f64
    );
    Ok(())
}

/// Gas that is done in a unit of time.
fn speed(built: &Built) -> f64 {
    built.gas as f64 / built.makespan.max(1) as f64
}

/// The transactions of a block as a mempool, with what they are predicted to touch.
fn candidates(block: &Block, predictor: &Predictor) -> Vec<Candidate> {
    let state = BlockState::new(block);
    let hints = hint_block(block, &block.transactions, predictor, &state, Basis::StaticAndState, None);
    let rules = Rules::usual(block.header.coinbase);
    let candidate = |(transaction, hint): (&Transaction, &deconflict_executor::hints::TransactionHint)| {
        let env = &transaction.env;
        let base = u128::from(block.header.base_fee);
        let tip = env.gas_priority_fee.unwrap_or(u128::MAX).min(env.gas_price.saturating_sub(base));
        let touches = Touches::new(env, &hint.set, &rules, hint.needs_funds);
        Candidate { sender: env.caller, nonce: env.nonce, tip, touches }
    };
    block.transactions.iter().zip(&hints.transactions).map(candidate).collect()
}

/// Fills a block up to `limit` gas. Of the `window` best candidates by fee the one is taken that is worth most for the time
/// that it adds; with a window of one that is plain order of fees.
fn build(mempool: &[Candidate], limit: u64, window: usize) -> Built {
    // Of each sender the next one by nonce can come; the others wait behind it.
    let mut queues: BTreeMap<Address, Vec<&Candidate>> = BTreeMap::new();
    for candidate in mempool {
        queues.entry(candidate.sender).or_default().push(candidate);
    }
    for queue in queues.values_mut() {
        queue.sort_by_key(|candidate| Reverse(candidate.nonce));
    }
    let mut planner = Planner::new(LANES);
    let (mut fees, mut count) = (0, 0);
    loop {
        let left = limit - planner.gas();
        let mut heads: Vec<(Address, &Candidate)> = queues
            .iter()
            .filter_map(|(sender, queue)| queue.last().map(|candidate| (*sender, *candidate)))
            .filter(|(_, candidate)| candidate.touches.gas <= left)
            .collect();
        heads.sort_by_key(|(sender, candidate)| (Reverse(candidate.tip), *sender));
        heads.truncate(window);
        let worth = |candidate: &Candidate, planner: &mut Planner| {
            let preview = planner.preview(&candidate.touches);
            // What is late on a balanced block, and what stands behind a hub, makes the block longer.
            let even = (planner.gas() / LANES as u64).max(1);
            let late = preview.finish.saturating_sub(even.max(preview.makespan.min(even * 2)));
            candidate.tip as f64 / (1.0 + WEIGHT * late as f64 / even.max(candidate.touches.gas) as f64)
        };
        let best = if window == 1 {
            heads.first().copied()
        } else {
            let rated = heads.iter().map(|(sender, it)| (worth(it, &mut planner), *sender, *it));
            rated.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, sender, it)| (sender, it))
        };
        let Some((sender, candidate)) = best else { break };
        planner.push(&candidate.touches);
        fees += candidate.tip * u128::from(candidate.touches.gas);
        count += 1;
        if let Some(queue) = queues.get_mut(&sender) {
            queue.pop();
        }
    }
    Built { fees, gas: planner.gas(), makespan: planner.lanes().makespan_gas, count }
}
