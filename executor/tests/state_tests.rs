//! The state tests of ethereum/tests through the parallel engine: roots of the state and hashes of the logs as they have
//! to be, and blocks of many such transactions as they come out one by one.
//!
//! A part of the files runs, picked by a fixed seed; `DECONFLICT_STATE_TESTS=all` runs all of them, and any other word
//! those whose names contain it.

#![expect(clippy::print_stdout, reason = "a test says what it has run or skips")]

#[path = "state_tests/case.rs"]
mod case;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{B256, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{TrieAccount, root};
use deconflict_executor::{
    Block, BlockState, Config, ExecuteError, Execution, Executor, Mode, Predictor, ReplayError, StateChanges,
    StateError, execute_settled,
};

use case::{Case, cases};

/// One in so many files runs, unless all are asked for.
const SHARE: usize = 12;

/// Files whose cases compute for minutes.
const SLOW: [&str; 4] = ["stTimeConsuming", "stQuadraticComplexityTest", "loop", "CALLBlake2f_MaxRounds"];

/// Files in which revm itself does otherwise: it creates where an account has storage but neither code nor nonce, which
/// cannot be on the chain (EIP-7610), and leaves it to whoever decodes a transaction how many blobs it may have and that
/// it creates nothing.
const UNLIKE: [&str; 8] = [
    "blobhashListBounds7.json",
    "createBlobhashTx.json",
    "invalid_tx_blob_count.json",
    "RevertInCreateInInitCreate2Paris.json",
    "RevertInCreateInInit_Paris.json",
    "create2collisionStorageParis.json",
    "dynamicAccountOverwriteEmpty_Paris.json",
    "InitCollisionParis.json",
];

#[test]
fn cases_come_to_what_they_have_to() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = env::var_os("DECONFLICT_DATA").map_or(beside, PathBuf::from);
    let archive = data.join("GeneralStateTests-4c87ebbf.tar.zst");
    let Ok(packed) = fs::File::open(&archive) else {
        println!("SKIPPED: there is no {}; name its folder by DECONFLICT_DATA", archive.display());
        return;
    };
    let wanted = env::var("DECONFLICT_STATE_TESTS").ok();
    let unpacked = zstd::Decoder::new(packed).expect("the archive is a zstd frame");
    let mut files = Vec::new();
    for entry in tar::Archive::new(unpacked).entries().expect("the archive is a tar archive") {
        let mut entry = entry.expect("the archive is whole");
        let name = entry.path().expect("a path").to_string_lossy().into_owned();
        // The digits of the hash pick files without regard to their order.
        let is_picked = usize::from(keccak256(&name)[0]) * 256 + usize::from(keccak256(&name)[1]);
        let is_slow = SLOW.iter().any(|part| name.contains(part));
        let is_wanted = match &wanted {
            None => is_picked % SHARE == 0 && !is_slow,
            Some(part) => part == "all" || name.contains(part),
        };
        if is_wanted && Path::new(&name).extension().is_some_and(|it| it == "json") {
            let mut json = Vec::new();
            entry.read_to_end(&mut json).expect("the archive is whole");
            files.push((name, json));
        }
    }
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let counts = Mutex::new([0_usize; 4]);
    let work = || {
        while let Some((name, json)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let (cases, unfit) = cases(name, json);
            let mut bad: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
            let (blocks, transactions) = together(&cases, &mut bad);
            failures.lock().expect("nobody panics here").extend(bad);
            if start.elapsed() > Duration::from_secs(10) {
                println!("{name} took {:.0} s", start.elapsed().as_secs_f64());
            }
            let mut counts = counts.lock().expect("nobody panics here");
            for (count, more) in counts.iter_mut().zip([cases.len(), unfit, blocks, transactions]) {
                *count += more;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let [cases, unfit, blocks, transactions] = counts.into_inner().expect("nobody panics here");
    println!(
        "{} files, {cases} cases, {unfit} with numbers that are too large; {transactions} transactions in {blocks} blocks",
        files.len()
    );
    let mut failures = failures.into_inner().expect("nobody panics here");
    let all = failures.len();
    failures.retain(|failure| !UNLIKE.iter().any(|name| failure.contains(name)));
    println!("{} cases come out as revm has it, not as the tests do", all - failures.len());
    assert!(cases > 100 || wanted.is_some(), "only {cases} cases");
    assert!(
        failures.is_empty(),
        "{} failures, among them\n{}",
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
}

/// Two threads, and everything is run ahead.
fn execute(block: &Block, state: &BlockState) -> Result<Execution, ExecuteError<StateError>> {
    let executor = Executor::new(Config {
        threads: 2,
        mode: Mode::Scheduled,
        may_fall_back: false,
        ..Config::default()
    });
    executor.execute_predicting(block.env(), block.rules(), &block.transactions, state, &Predictor::new())
}

fn check(case: &Case) -> Result<(), String> {
    let state = BlockState::new(&case.block);
    let (changes, logs) = match execute(&case.block, &state) {
        Ok(execution) => {
            if case.is_invalid {
                return Err(format!("{}: the transaction is invalid and was executed", case.name));
            }
            let logs = execution.outcome.results.iter().flat_map(|result| result.logs().to_vec());
            let logs: Vec<_> = logs.collect();
            (execution.writes.changes(&state).map_err(|error| format!("{}: {error}", case.name))?, logs)
        }
        Err(ExecuteError::InvalidTransaction { .. } | ExecuteError::BlockGas { .. }) => {
            if !case.is_invalid {
                return Err(format!("{}: the transaction is valid and was refused", case.name));
            }
            (StateChanges::default(), Vec::new())
        }
        Err(other) => return Err(format!("{}: {other}", case.name)),
    };
    let root = state_root(&case.block, &changes);
    if root != case.root {
        return Err(format!("{}: the state's root is {root} instead of {}", case.name, case.root));
    }
    let hash = keccak256(alloy_rlp::encode(&logs));
    if hash != case.logs && !case.is_invalid {
        return Err(format!("{}: the logs' hash is {hash} instead of {}", case.name, case.logs));
    }
    Ok(())
}

/// The root of the state after a block.
fn state_root(block: &Block, changes: &StateChanges) -> B256 {
    type Stored = (U256, u64, B256, BTreeMap<U256, U256>);
    let mut accounts: BTreeMap<_, Stored> = (block.pre_state.iter())
        .map(|(address, it)| (*address, (it.balance, it.nonce, it.code_hash, it.storage.clone())))
        .collect();
    for (address, change) in &changes.accounts {
        let Some(info) = &change.info else {
            accounts.remove(address);
            continue;
        };
        let account = accounts.entry(*address).or_default();
        let code_hash = if info.code_hash.is_zero() { KECCAK256_EMPTY } else { info.code_hash };
        (account.0, account.1, account.2) = (info.balance, info.nonce, code_hash);
        if change.wiped {
            account.3.clear();
        }
        account.3.extend(&change.storage);
    }
    root::state_root_unhashed(accounts.into_iter().map(|(address, (balance, nonce, code_hash, storage))| {
        let storage = storage.into_iter().filter(|(_, word)| !word.is_zero());
        let storage_root = root::storage_root_unhashed(storage.map(|(slot, word)| (B256::from(slot), word)));
        (address, TrieAccount { nonce, balance, storage_root, code_hash })
    }))
}

/// Executes the cases of a file that share their state and rules as one block, and compares with one by one. The numbers
/// of blocks and transactions.
fn together(cases: &[Case], bad: &mut Vec<String>) -> (usize, usize) {
    let mut groups: Vec<Vec<&Case>> = Vec::new();
    for case in cases.iter().filter(|case| !case.is_invalid) {
        let fits = |group: &&mut Vec<&Case>| {
            let (one, two) = (&group[0].block, &case.block);
            one.spec == two.spec && one.pre_state == two.pre_state && one.header == two.header
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(case),
            None => groups.push(vec![case]),
        }
    }
    let (mut blocks, mut transactions) = (0, 0);
    for group in groups.iter().filter(|group| group.len() > 1) {
        let mut block = group[0].block.clone();
        block.header.gas_limit = u64::MAX;
        block.transactions = group.iter().flat_map(|case| case.block.transactions.clone()).take(40).collect();
        let state = BlockState::new(&block);
        // What is not valid any more after those before it is left out.
        let expected = loop {
            let mut nonces = BTreeMap::new();
            for transaction in &mut block.transactions {
                let env = &mut transaction.env;
                let before = block.pre_state.get(&env.caller).map_or(0, |account| account.nonce);
                let nonce = nonces.entry(env.caller).or_insert(before);
                env.nonce = *nonce;
                *nonce += 1;
            }
            match execute_settled(&block, &state) {
                Ok(expected) => break expected,
                Err(ReplayError::InvalidTransaction { index, .. } | ReplayError::BlockGas { index, .. }) => {
                    block.transactions.remove(index);
                }
                Err(other) => panic!("{}: {other}", group[0].name),
            }
        };
        blocks += 1;
        transactions += block.transactions.len();
        match execute(&block, &state) {
            Ok(execution) if execution.outcome == expected.0 => match execution.writes.changes(&state) {
                Ok(changes) if changes.digest() == expected.1.digest() => {}
                Ok(changes) => {
                    bad.push(format!(
                        "{}, together: {:?}",
                        group[0].name,
                        changes.first_difference(&expected.1)
                    ));
                }
                Err(error) => bad.push(format!("{}, together: {error}", group[0].name)),
            },
            Ok(_) => bad.push(format!("{}, together: results differ", group[0].name)),
            Err(error) => bad.push(format!("{}, together: {error}", group[0].name)),
        }
    }
    (blocks, transactions)
}
