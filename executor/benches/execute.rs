//! Times execution on two threads beside plain serial revm: `cargo bench -p deconflict-executor --bench execute`.
//!
//! The two run in turns, so that whatever else the machine does meets both. Predictions are part of the time, the
//! analysis of codes is not. `DECONFLICT_ROUNDS` sets the number of rounds, `DECONFLICT_THREADS` the threads.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, TxKind, U256};
use deconflict_executor::{
    Account, Block, BlockReader, BlockState, Config, Executor, Expected, Header, Mode, Predictor,
    Transaction,
    report::{predict, time_serial},
};
use revm::{context::TxEnv, primitives::hardfork::SpecId};

fn main() {
    let number =
        |name: &str, usual: usize| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, threads) = (number("DECONFLICT_ROUNDS", 11), number("DECONFLICT_THREADS", 2));
    println!(
        "{:<24} {:>6} {:>7} {:>10} {:>10} {:>8} {:>15} {:>7}",
        "workload", "txs", "Mgas", "serial ms", "ours ms", "speed-up", "middle half", "again"
    );
    let predictor = Predictor::new();
    for (name, block) in transfers() {
        time(&name, &block, &predictor, rounds, threads);
    }
    let mut reader = BlockReader::default();
    let (mut serial, mut ours) = (Duration::ZERO, Duration::ZERO);
    for file in real_blocks() {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let times = time(&format!("block {}", block.number), &block, &predictor, rounds, threads);
        serial += times.0;
        ours += times.1;
    }
    if !ours.is_zero() {
        println!("all real blocks together: {:.2}", serial.as_secs_f64() / ours.as_secs_f64());
    }
}

/// The median times of serial execution and of ours.
fn time(
    name: &str,
    block: &Block,
    predictor: &Predictor,
    rounds: usize,
    threads: usize,
) -> (Duration, Duration) {
    let state = BlockState::new(block);
    let executor = Executor::new(Config { threads, mode: Mode::Scheduled, may_fall_back: true });
    predict(block, &state, predictor, threads);
    let (mut serial, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gas, mut again) = (0, 0);
    for _ in 0..rounds {
        let one = time_serial(block, &state).unwrap_or_else(|error| panic!("{error}"));
        let start = Instant::now();
        let hints = predict(block, &state, predictor, threads);
        let executed = executor
            .execute(block.env(), block.rules(), &block.transactions, &state, &hints)
            .unwrap_or_else(|error| panic!("{error}"));
        let two = start.elapsed();
        (gas, again) = (executed.outcome.gas_used, again.max(executed.figures.reexecutions));
        ratios.push(one.as_secs_f64() / two.as_secs_f64());
        serial.push(one);
        ours.push(two);
    }
    ratios.sort_by(f64::total_cmp);
    serial.sort_unstable();
    ours.sort_unstable();
    let middle = rounds / 2;
    println!(
        "{name:<24} {:>6} {:>7.1} {:>10.3} {:>10.3} {:>8.2} {:>6.2} - {:>6.2} {again:>7}",
        block.transactions.len(),
        gas as f64 / 1e6,
        serial[middle].as_secs_f64() * 1e3,
        ours[middle].as_secs_f64() * 1e3,
        ratios[middle],
        ratios[rounds / 4],
        ratios[rounds - 1 - rounds / 4],
    );
    (serial[middle], ours[middle])
}

/// Blocks of plain transfers, 100 Mgas each.
fn transfers() -> Vec<(String, Block)> {
    const COUNT: u64 = 4_761;
    let block = |name: &str, pair: fn(u64) -> (u64, u64)| {
        (format!("transfers {name}"), transfer_block((0..COUNT).map(pair)))
    };
    vec![
        block("independent", |it| (it, 100_000 + it)),
        block("chain", |it| (it, it + 1)),
        block("one sender", |it| (0, 100_000 + it)),
        block("one recipient", |it| (it, 100_000)),
    ]
}

fn transfer_block(pairs: impl Iterator<Item = (u64, u64)>) -> Block {
    let address = |number: u64| Address::from_word(alloy_primitives::keccak256(number.to_be_bytes()));
    let mut nonces = BTreeMap::<u64, u64>::new();
    let mut pre_state = BTreeMap::new();
    let mut transactions = Vec::new();
    let rich = |nonce| Account {
        balance: U256::from(10u64.pow(18)),
        nonce,
        code_hash: KECCAK256_EMPTY,
        storage: BTreeMap::new(),
    };
    for (from, to) in pairs {
        let nonce = nonces.entry(from).or_default();
        let env = TxEnv {
            caller: address(from),
            kind: TxKind::Call(address(to)),
            value: U256::from(1_000),
            nonce: *nonce,
            gas_limit: 21_000,
            gas_price: 10,
            chain_id: Some(1),
            ..TxEnv::default()
        };
        *nonce += 1;
        pre_state.insert(address(from), rich(0));
        pre_state.entry(address(to)).or_insert_with(|| rich(0));
        transactions.push(Transaction { hash: None, env });
    }
    Block {
        number: 0,
        chain_id: 1,
        spec: SpecId::PRAGUE,
        header: Header {
            coinbase: address(u64::MAX),
            gas_limit: 200_000_000,
            base_fee: 3,
            prev_randao: Some(B256::ZERO),
            excess_blob_gas: Some(0),
            ..Header::default()
        },
        expected: Expected::default(),
        block_hashes: BTreeMap::new(),
        transactions,
        pre_state,
        codes: BTreeMap::new(),
        code_absent: BTreeSet::new(),
    }
}

/// The real blocks, where they are at hand.
fn real_blocks() -> Vec<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = env::var_os("DECONFLICT_DATA").map_or(usual, PathBuf::from).join("blocks");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("there are no real blocks in {}; name their folder by DECONFLICT_DATA", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".json.zst"));
    files.sort();
    files
}
