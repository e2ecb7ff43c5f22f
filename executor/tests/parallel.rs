//! Whatever the number of threads, the mode and the timing: results, receipts and state are those of serial execution.
//!
//! `DECONFLICT_RUNS` sets how often each real block is executed in each way; without it a part of them is, once.

#![expect(clippy::print_stdout, reason = "a test says how often transactions ran again")]

mod corpus;

use std::{env, path::PathBuf, sync::Mutex};

use alloy_primitives::{Address, TxKind, U256, hex};
use deconflict_executor::{
    AccessSet, Block, BlockContext, BlockReader, BlockState, Config, ExecuteError, Execution, Executor,
    Header, Mode, Predictions, Predictor, StateChanges, Transaction, Watch, execute_settled,
};
use revm::{DatabaseRef, context::TxEnv, primitives::hardfork::SpecId};

use corpus::{blocks, real_blocks, workspace};

fn predictions(block: &Block, state: &BlockState, predictor: &Predictor) -> Vec<AccessSet> {
    let env = block.env();
    let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
    block.transactions.iter().map(|it| predictor.predict(&it.env, context, state)).collect()
}

fn execute<D: DatabaseRef + Sync>(
    block: &Block,
    state: &D,
    hints: &[AccessSet],
    mode: Mode,
    threads: usize,
) -> Result<Execution, ExecuteError<D::Error>> {
    let executor = Executor::new(Config { threads, mode, may_fall_back: false, ..Config::default() });
    executor.execute(block.env(), block.rules(), &block.transactions, state, hints)
}

fn compare(
    block: &Block,
    expected: &(deconflict_executor::Outcome, StateChanges),
    actual: &Execution,
    how: &str,
) {
    let (outcome, changes) = expected;
    for (index, (one, two)) in outcome.results.iter().zip(&actual.outcome.results).enumerate() {
        assert_eq!(one, two, "block {} {how}: transactions[{index}]", block.number);
    }
    assert_eq!(*outcome, actual.outcome, "block {} {how}", block.number);
    let actual = actual.writes.clone().changes(&BlockState::new(block)).expect("the block is complete");
    if let Some(difference) = changes.first_difference(&actual) {
        panic!("block {} {how}: {difference}", block.number);
    }
    assert_eq!(changes.digest(), actual.digest());
}

/// The real blocks to execute, and how often; all of them if the environment says how often.
fn selection() -> (Vec<PathBuf>, usize) {
    let all = real_blocks();
    if let Ok(runs) = env::var("DECONFLICT_RUNS") {
        return (all, runs.parse().expect("DECONFLICT_RUNS is a number"));
    }
    let short = ["116525", "2688148", "4369999", "9068998", "17034869", "19934116", "22546209"];
    let is_short = |file: &PathBuf| short.iter().any(|it| file.to_string_lossy().contains(it));
    (all.into_iter().filter(is_short).collect(), 1)
}

#[test]
fn blocks_come_out_as_they_do_one_by_one() {
    let (mut files, runs) = selection();
    files.extend(blocks(&workspace().join("fixtures/blocks")));
    files.extend(blocks(&workspace().join("fixtures/workloads/blocks")));
    let mut reader = BlockReader::default();
    let predictor = Predictor::new();
    let mut reexecuted = std::collections::BTreeMap::new();
    let mut deltas = 0;
    for file in files {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let state = BlockState::new(&block);
        let expected = execute_settled(&block, &state).unwrap_or_else(|error| panic!("{error}"));
        let hints = predictions(&block, &state, &predictor);
        for run in 0..runs {
            for mode in [Mode::Serial, Mode::Scheduled, Mode::Optimistic] {
                for threads in [1, 2, 4, 8] {
                    // Every thread reads at another pace in every run, so that things happen in another order.
                    let shaken = Shaken { state: &state, seed: Mutex::new((run * 8 + threads) as u64) };
                    let executed = if run == 0 {
                        execute(&block, &state, &hints, mode, threads).map_err(|error| error.to_string())
                    } else {
                        execute(&block, &shaken, &hints, mode, threads).map_err(|error| error.to_string())
                    };
                    let how = format!("{} on {threads} threads, run {run}", mode.name());
                    let executed =
                        executed.unwrap_or_else(|error| panic!("block {} {how}: {error}", block.number));
                    compare(&block, &expected, &executed, &how);
                    *reexecuted.entry((mode.name(), threads)).or_insert(0) += executed.figures.reexecutions;
                    deltas += executed.figures.deltas;
                    // The same with one thread that runs in turn what others have not begun, with predictions made
                    // on the way, and with readers that read ahead.
                    let readers = [0, 1, 8, 0][threads.ilog2() as usize];
                    let executor = Executor::new(Config { threads, mode, may_fall_back: true, readers });
                    let (env, rules) = (block.env(), block.rules());
                    let executed =
                        executor.execute_predicting(env, rules, &block.transactions, &shaken, &predictor);
                    let executed =
                        executed.unwrap_or_else(|error| panic!("block {} {how}: {error}", block.number));
                    compare(&block, &expected, &executed, &format!("{how}, by need"));
                    *reexecuted.entry(("by need", threads)).or_insert(0) += executed.figures.reexecutions;
                }
            }
        }
    }
    println!("re-executions by mode and threads: {reexecuted:?}; words that were added to: {deltas}");
}

/// Whether an addition becomes final as one hangs on who runs ahead of whom: a block full of them is run until one does.
#[test]
fn additions_become_final_as_additions() {
    const PATIENCE: u64 = 500;
    let file = workspace().join("fixtures/workloads/blocks/erc20-hot-recipient.json");
    let block = BlockReader::default().read(&file).unwrap_or_else(|error| panic!("{error}"));
    let state = BlockState::new(&block);
    let expected = execute_settled(&block, &state).unwrap_or_else(|error| panic!("{error}"));
    let hints = predictions(&block, &state, &Predictor::new());
    let happened = (0..PATIENCE).any(|run| {
        [Mode::Scheduled, Mode::Optimistic].into_iter().any(|mode| {
            let shaken = Shaken { state: &state, seed: Mutex::new(run + 1) };
            let executed = execute(&block, &shaken, &hints, mode, 2 + run as usize % 3);
            let executed = executed.unwrap_or_else(|error| panic!("{error}"));
            compare(&block, &expected, &executed, &format!("{}, run {run}", mode.name()));
            executed.figures.deltas > 0
        })
    });
    assert!(happened, "no addition was made final as one in {PATIENCE} runs");
}

/// A state that takes its time every now and then.
struct Shaken<'a> {
    state: &'a BlockState,
    seed: Mutex<u64>,
}

impl Shaken<'_> {
    fn shake(&self) {
        let mut seed = self.seed.lock().expect("nobody panics here");
        *seed = next(*seed);
        let spins = if seed.is_multiple_of(16) { *seed >> 40 & 0xfff } else { 0 };
        drop(seed);
        for _ in 0..spins {
            std::hint::spin_loop();
        }
    }
}

/// The next number of a sequence that looks random.
fn next(seed: u64) -> u64 {
    let mut seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    seed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ seed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ seed >> 31
}

impl DatabaseRef for Shaken<'_> {
    type Error = <BlockState as DatabaseRef>::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<revm::state::AccountInfo>, Self::Error> {
        self.shake();
        self.state.basic_ref(address)
    }

    fn code_by_hash_ref(
        &self,
        hash: alloy_primitives::B256,
    ) -> Result<revm::bytecode::Bytecode, Self::Error> {
        self.state.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        self.shake();
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<alloy_primitives::B256, Self::Error> {
        self.state.block_hash_ref(number)
    }
}

/// A block of plain transfers: `from` and `to` name accounts by number.
fn transfers(pairs: &[(u64, u64)]) -> Block {
    let account = |number: u64| Address::from_word(U256::from(0x1000 + number).into());
    let mut nonces = std::collections::BTreeMap::<u64, u64>::new();
    let mut pre_state = std::collections::BTreeMap::new();
    let mut transactions = Vec::new();
    for &(from, to) in pairs {
        let nonce = nonces.entry(from).or_default();
        let env = TxEnv {
            caller: account(from),
            kind: TxKind::Call(account(to)),
            value: U256::from(1_000 + *nonce),
            nonce: *nonce,
            gas_limit: 21_000,
            gas_price: 10,
            chain_id: Some(1),
            ..TxEnv::default()
        };
        *nonce += 1;
        pre_state.insert(
            account(from),
            deconflict_executor::Account {
                balance: U256::from(10u64.pow(15)),
                nonce: 0,
                code_hash: alloy_primitives::KECCAK256_EMPTY,
                storage: std::collections::BTreeMap::new(),
            },
        );
        transactions.push(Transaction { hash: None, env });
    }
    Block {
        number: 1,
        chain_id: 1,
        spec: SpecId::SHANGHAI,
        header: Header {
            coinbase: account(u64::MAX >> 20),
            gas_limit: 1_000_000_000,
            base_fee: 3,
            prev_randao: Some(alloy_primitives::B256::ZERO),
            ..Header::default()
        },
        expected: deconflict_executor::Expected::default(),
        block_hashes: std::collections::BTreeMap::new(),
        transactions,
        pre_state,
        codes: std::collections::BTreeMap::new(),
        code_absent: std::collections::BTreeSet::new(),
    }
}

fn check_transfers(pairs: &[(u64, u64)]) {
    check(&transfers(pairs), &format!("{} transfers", pairs.len()));
}

fn check(block: &Block, what: &str) {
    let state = BlockState::new(block);
    let expected = execute_settled(block, &state).unwrap_or_else(|error| panic!("{error}"));
    let hints = predictions(block, &state, &Predictor::new());
    for mode in [Mode::Serial, Mode::Scheduled, Mode::Optimistic] {
        for threads in [1, 2, 8] {
            let executed =
                execute(block, &state, &hints, mode, threads).unwrap_or_else(|error| panic!("{error}"));
            compare(block, &expected, &executed, &format!("{what} {} on {threads} threads", mode.name()));
        }
    }
}

#[test]
fn blocks_of_no_and_of_one_transaction() {
    check_transfers(&[]);
    check_transfers(&[(1, 2)]);
    check_transfers(&[(1, 2), (3, 4)]);
}

#[test]
fn what_a_precompile_has_answered_is_no_answer_for_less_gas() {
    // Adds two points with the gas in the first word, and stores at the second word whether that has worked: PUSH1 64
    // PUSH0 PUSH1 128 PUSH0 PUSH1 6 PUSH0 CALLDATALOAD STATICCALL PUSH1 32 CALLDATALOAD SSTORE STOP.
    let code = hex!("6040 5f 6080 5f 6006 5f 35 fa 6020 35 55 00");
    let code = revm::bytecode::Bytecode::new_raw(code.into());
    let (contract, hash) = (Address::repeat_byte(0xcc), code.hash_slow());
    let mut block = transfers(&(0..40).map(|it| (it, 100 + it)).collect::<Vec<_>>());
    let account = deconflict_executor::Account {
        balance: U256::ZERO,
        nonce: 1,
        code_hash: hash,
        storage: std::collections::BTreeMap::new(),
    };
    block.pre_state.insert(contract, account);
    block.codes.insert(hash, code);
    for (index, transaction) in block.transactions.iter_mut().enumerate() {
        // Adding points costs 150.
        let gas = U256::from([150, 149, 1_000, 0][index % 4]);
        let data = [gas.to_be_bytes::<32>(), U256::from(index + 1).to_be_bytes::<32>()].concat();
        let env = &mut transaction.env;
        (env.kind, env.value, env.gas_limit, env.data) =
            (TxKind::Call(contract), U256::ZERO, 100_000, data.into());
    }
    let (_, changes) = execute_settled(&block, &BlockState::new(&block)).expect("the block is valid");
    assert_eq!(changes.accounts[&contract].storage.len(), 20);
    check(&block, "calls of a precompile");
}

#[test]
fn ten_thousand_transfers() {
    let independent: Vec<_> = (0..10_000).map(|it| (it, 20_000 + it)).collect();
    check_transfers(&independent);
    let mixed: Vec<_> = (0..10_000u64).map(|it| (next(it) % 500, 10_000 + next(it + 7) % 300)).collect();
    check_transfers(&mixed);
}

#[test]
fn transfers_among_few_accounts() {
    // One sender, one receiver, a chain, and everybody with everybody.
    check_transfers(&(0..300).map(|it| (1, 1_000 + it)).collect::<Vec<_>>());
    check_transfers(&(0..300).map(|it| (it, 1_000)).collect::<Vec<_>>());
    check_transfers(&(0..300).map(|it| (it, it + 1)).collect::<Vec<_>>());
    check_transfers(&(0..300).map(|it| (next(it) % 5, next(it + 1) % 5)).collect::<Vec<_>>());
}

#[test]
fn an_invalid_transaction_is_named_wherever_it_stands() {
    for bad in [0, 10, 19] {
        let mut block = transfers(&(0..20).map(|it| (it, 100 + it)).collect::<Vec<_>>());
        block.transactions[bad].env.nonce = 5;
        let state = BlockState::new(&block);
        for (mode, threads) in [(Mode::Serial, 1), (Mode::Scheduled, 2), (Mode::Optimistic, 4)] {
            match execute(&block, &state, &[], mode, threads) {
                Err(ExecuteError::InvalidTransaction { index, .. }) => assert_eq!(index, bad),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_block_without_gas_left_is_told() {
    let mut block = transfers(&(0..20).map(|it| (it, 100 + it)).collect::<Vec<_>>());
    block.header.gas_limit = 210_000;
    let state = BlockState::new(&block);
    for (mode, threads) in [(Mode::Serial, 1), (Mode::Scheduled, 2), (Mode::Optimistic, 4)] {
        match execute(&block, &state, &[], mode, threads) {
            Err(ExecuteError::BlockGas { index, left, .. }) => assert_eq!((index, left), (10, 0)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn results_are_handed_out_in_order_and_an_execution_can_be_called_off() {
    let block = transfers(&(0..200).map(|it| (it, 1_000 + it)).collect::<Vec<_>>());
    let state = BlockState::new(&block);
    let seen = Mutex::new(Vec::new());
    let committed = |index: usize, _: &revm::context_interface::result::ExecutionResult| {
        seen.lock().expect("nobody panics here").push(index);
    };
    let executor = Executor::new(Config {
        threads: 2,
        mode: Mode::Optimistic,
        may_fall_back: false,
        ..Config::default()
    });
    let run = |watch: Watch<'_>| {
        executor.execute_watched(
            block.env(),
            block.rules(),
            &block.transactions,
            &state,
            Predictions::None,
            watch,
        )
    };
    run(Watch { committed: Some(&committed), cancel: None }).expect("the block is valid");
    assert_eq!(*seen.lock().expect("nobody panics here"), (0..200).collect::<Vec<_>>());
    let cancel = std::sync::atomic::AtomicBool::new(true);
    match run(Watch { committed: None, cancel: Some(&cancel) }) {
        Err(ExecuteError::Cancelled { committed }) => assert_eq!(committed, 0),
        other => panic!("{other:?}"),
    }
}
