//! How many transactions a second one core predicts, beside how many it executes.
//!
//! `cargo bench -p deconflict-executor --bench predict` measures plain transfers of an ERC-20 token, swaps through one
//! pair, swaps through three, and all real blocks together. Criterion prints transactions a second for both, going
//! through all blocks over and over; a table at the end says how long a prediction takes beside an execution, block by
//! block and in turn. The contracts are those of
//! `fixtures/blocks`. The real blocks are in the folder that `DECONFLICT_DATA` names, else in `shared/data` beside the
//! repository; without them they are left out. For them the time is printed, too, that codes cost which are met for the
//! first time, and what is left of it when they are read from the cache on disk.
//!
//! Predictions are made on the state before the block with everything about codes at hand. Executions are those of
//! unmodified revm, one transaction after the other on the state that the ones before leave.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall as _, sol};
use criterion::{BatchSize, Criterion, Throughput};
use deconflict_executor::{
    Block, BlockContext, BlockReader, BlockState, Overlay, Predictor, Scratch, SliceCache, Transaction,
};
use revm::{Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _};

sol! {
    function transfer(address to, uint256 amount) external;
    function swap(address[] pairs, address token, uint256 amount, uint256 minimum) external;
}

/// Transactions of a mix that is not of real blocks.
const TRANSACTIONS: u64 = 200;

/// Rounds of the table at the end.
const ROUNDS: usize = 11;

/// Transactions that are measured together.
struct Mix {
    name: &'static str,
    blocks: Vec<(Block, BlockState)>,
}

impl Mix {
    fn new(name: &'static str, blocks: Vec<Block>) -> Self {
        let blocks = blocks.into_iter().map(|block| {
            let state = BlockState::new(&block);
            (block, state)
        });
        Self { name, blocks: blocks.collect() }
    }

    fn len(&self) -> u64 {
        self.blocks.iter().map(|(block, _)| block.transactions.len() as u64).sum()
    }

    /// Predicts every transaction; how many predictions were complete.
    fn predict(&self, predictor: &Predictor, scratch: &mut Scratch) -> usize {
        self.blocks.iter().map(|(block, state)| predict(block, state, predictor, scratch)).sum()
    }

    fn states(&self) -> Vec<Overlay<'_>> {
        self.blocks.iter().map(|(_, state)| state.overlay()).collect()
    }

    /// Executes every transaction on these states; how many succeeded.
    fn execute(&self, states: Vec<Overlay<'_>>) -> usize {
        self.blocks.iter().zip(states).map(|((block, _), state)| execute(block, state)).sum()
    }
}

/// Predicts the transactions of a block; how many predictions were complete.
fn predict(block: &Block, state: &BlockState, predictor: &Predictor, scratch: &mut Scratch) -> usize {
    let env = block.env();
    let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
    let sets = block
        .transactions
        .iter()
        .map(|transaction| predictor.predict_with(scratch, &transaction.env, context, state));
    sets.filter(|set| black_box(set).is_complete()).count()
}

/// Executes the transactions of a block; how many succeeded.
fn execute(block: &Block, state: Overlay<'_>) -> usize {
    let mut rules = block.rules();
    // The transactions of a mix are picked, so that those between them are missing.
    rules.disable_nonce_check = true;
    let context = Context::mainnet().with_db(state).with_block(block.env()).with_cfg(rules);
    let mut evm = context.build_mainnet();
    let results = block.transactions.iter().map(|transaction| evm.transact_commit(transaction.env.clone()));
    results.filter(|result| matches!(result, Ok(result) if result.is_success())).count()
}

/// A committed block.
fn fixture(name: &str) -> Block {
    let path = corpus::workspace().join("fixtures/blocks").join(name);
    let mut reader = BlockReader::new(None).expect("no codes file is named");
    reader.read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// The block with other transactions: copies of one, each with a caller and calldata of its own.
fn copies(block: &Block, of: &Transaction, data: impl Fn(u64) -> Vec<u8>) -> Block {
    let transactions = (0..TRANSACTIONS).map(|number| {
        let mut copy = of.clone();
        copy.hash = None;
        // Ten people have tokens and let the router take them.
        copy.env.caller = Address::repeat_byte(0x10 + (number % 10) as u8);
        copy.env.data = data(number).into();
        copy
    });
    let mut block = block.clone();
    block.header.gas_limit = u64::MAX;
    block.transactions = transactions.collect();
    block
}

/// Somebody who was never seen before.
fn stranger(number: u64) -> Address {
    Address::from_word(keccak256(B256::from(U256::from(number))))
}

fn generated() -> Vec<Mix> {
    let tokens = fixture("2-tokens.json");
    let found = tokens.transactions.iter().find(|it| transferCall::abi_decode(&it.env.data).is_ok());
    let transfer = found.expect("the block moves tokens");
    let transfers = copies(&tokens, transfer, |number| {
        transferCall { to: stranger(number), amount: U256::from(1 + number) }.abi_encode()
    });
    let exchange = fixture("4-exchange.json");
    let through = |pairs: usize| {
        let found = exchange.transactions.iter().find_map(|it| {
            let call = swapCall::abi_decode(&it.env.data).ok()?;
            (call.pairs.len() == pairs).then_some((it, call))
        });
        let (transaction, call) = found.expect("the block swaps through one pair, and through three");
        copies(&exchange, transaction, |number| {
            let amount = U256::from(1_000_000 + number);
            swapCall { amount, minimum: U256::from(1), ..call.clone() }.abi_encode()
        })
    };
    vec![
        Mix::new("erc20-transfer", vec![transfers]),
        Mix::new("amm-swap", vec![through(1)]),
        Mix::new("multi-hop", vec![through(3)]),
    ]
}

/// All real blocks; none where they are not at hand.
fn real() -> Option<Mix> {
    let mut reader = BlockReader::new(None).expect("no codes file is named");
    let mut read = |path| reader.read(path).unwrap_or_else(|error| panic!("{error}"));
    let blocks: Vec<Block> = corpus::real_blocks().iter().map(|path| read(path)).collect();
    (!blocks.is_empty()).then(|| Mix::new("real-blocks", blocks))
}

fn by_criterion(criterion: &mut Criterion, mix: &Mix) {
    let predictor = Predictor::new();
    let mut scratch = Scratch::default();
    let mut group = criterion.benchmark_group(mix.name);
    group.throughput(Throughput::Elements(mix.len()));
    group.bench_function("predict", |bencher| {
        bencher.iter(|| mix.predict(&predictor, &mut scratch));
    });
    group.bench_function("execute", |bencher| {
        bencher.iter_batched(|| mix.states(), |states| mix.execute(states), BatchSize::LargeInput);
    });
    group.finish();
}

/// The median of predicting and of executing the mix. Each block is predicted right before it is executed, and once
/// more before that, so that neither finds the caches of the machine filled with other blocks.
fn in_turn(mix: &Mix) -> (Duration, Duration) {
    let predictor = Predictor::new();
    let mut scratch = Scratch::default();
    let (mut predicting, mut executing) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut predicted, mut executed) = (Duration::ZERO, Duration::ZERO);
        for (block, state) in &mix.blocks {
            predict(block, state, &predictor, &mut scratch);
            let start = Instant::now();
            predict(block, state, &predictor, &mut scratch);
            predicted += start.elapsed();
            execute(block, state.overlay());
            let overlay = state.overlay();
            let start = Instant::now();
            black_box(execute(block, overlay));
            executed += start.elapsed();
        }
        predicting.push(predicted);
        executing.push(executed);
    }
    predicting.sort_unstable();
    executing.sort_unstable();
    (predicting[ROUNDS / 2], executing[ROUNDS / 2])
}

fn table(mixes: &[Mix]) {
    println!("\n{ROUNDS} rounds in turn, one thread, median");
    println!(
        "{:<16}{:>8}{:>10}{:>12}{:>13}{:>13}{:>9}",
        "mix", "txs", "complete", "successful", "ns predicted", "ns executed", "ratio"
    );
    for mix in mixes {
        let (predicting, executing) = in_turn(mix);
        let a_transaction = |time: Duration| time.as_nanos() as f64 / mix.len() as f64;
        println!(
            "{:<16}{:>8}{:>10}{:>12}{:>13.0}{:>13.0}{:>8.1}%",
            mix.name,
            mix.len(),
            mix.predict(&Predictor::new(), &mut Scratch::default()),
            mix.execute(mix.states()),
            a_transaction(predicting),
            a_transaction(executing),
            100.0 * predicting.as_secs_f64() / executing.as_secs_f64(),
        );
    }
}

/// What codes cost that are met for the first time: compiled, or read from disk.
fn cold(mix: &Mix) -> Result<(), Box<dyn std::error::Error>> {
    let first = |predictor: &Predictor| {
        let mut scratch = Scratch::default();
        let start = Instant::now();
        mix.predict(predictor, &mut scratch);
        let both = start.elapsed();
        let start = Instant::now();
        mix.predict(predictor, &mut scratch);
        both.saturating_sub(start.elapsed())
    };
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let folder = tempfile::tempdir()?;
    let compiled = first(&Predictor::new());
    let predictor = Predictor::with_cache(SliceCache::open_in(folder.path())?);
    first(&predictor);
    let start = Instant::now();
    let written = predictor.cache().map(SliceCache::flush).transpose()?.unwrap_or_default();
    let writing = start.elapsed();
    drop(predictor);
    let size: u64 =
        std::fs::read_dir(folder.path())?.filter_map(|it| Some(it.ok()?.metadata().ok()?.len())).sum();
    let start = Instant::now();
    let cache = SliceCache::open_in(folder.path())?;
    let opening = start.elapsed();
    let read = first(&Predictor::with_cache(cache));
    println!("\n{written} slices met for the first time, {:.1} MB on disk", size as f64 / 1e6);
    println!("compiled {:>9.1} ms", milliseconds(compiled));
    println!("read     {:>9.1} ms, and {:.1} ms to open the file", milliseconds(read), milliseconds(opening));
    println!("written  {:>9.1} ms, once", milliseconds(writing));
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let mut mixes = generated();
    let real = real();
    mixes.extend(real);
    for mix in &mixes {
        by_criterion(&mut criterion, mix);
    }
    criterion.final_summary();
    // Under `cargo test` everything runs once to see that it does.
    if std::env::args().any(|argument| argument == "--bench") {
        table(&mixes);
        if let Some(mix) = mixes.iter().find(|mix| mix.name == "real-blocks") {
            cold(mix)?;
        }
    }
    Ok(())
}
