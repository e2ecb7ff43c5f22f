//! What alloy-evm's own block executor comes to, ours comes to: receipts, requests, gas, and the state that a node keeps.
//!
//! A part of the real blocks is compared; all of them are if `DECONFLICT_RUNS` is set.

#![expect(clippy::print_stdout, reason = "a test says what it has compared")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use alloy_consensus::{
    Signed, TxEip1559, TxEip2930, TxEip4844, TxEip4844Variant, TxEip7702, TxEnvelope, TxLegacy,
    transaction::Recovered,
};
use alloy_evm::{
    EvmEnv, EvmFactory as _,
    block::{BlockExecutionError, BlockExecutionResult, BlockExecutor, BlockValidationError},
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthEvm, EthEvmFactory,
        receipt_builder::{AlloyReceiptBuilder, ReceiptBuilder},
        spec::EthSpec,
    },
};
use alloy_primitives::{B256, Signature, keccak256};
use deconflict_alloy_evm::ParallelBlockExecutor;
use deconflict_executor::{Block, BlockReader, BlockState, Config, Executor, Predictor};
use revm::{
    context::TxEnv,
    database::{BundleState, OriginalValuesKnown, State, states::bundle_state::BundleRetention},
    database_interface::WrapDatabaseRef,
    inspector::NoOpInspector,
};

type Database<'a> = State<WrapDatabaseRef<&'a BlockState>>;
type Inner<'a, 's> = EthBlockExecutor<
    'a,
    EthEvm<&'a mut Database<'s>, NoOpInspector, <EthEvmFactory as alloy_evm::EvmFactory>::Precompiles>,
    EthSpec,
    AlloyReceiptBuilder,
>;
type Outcome =
    Result<BlockExecutionResult<<AlloyReceiptBuilder as ReceiptBuilder>::Receipt>, BlockExecutionError>;

/// The transaction as it would stand in a block. Who signed it is known, so that any signature does.
fn envelope(index: usize, env: &TxEnv) -> TxEnvelope {
    let (gas_limit, hash) = (env.gas_limit, keccak256(index.to_be_bytes()));
    let signature = Signature::test_signature();
    let blobs = env.blob_hashes.clone();
    match env.tx_type {
        0 => Signed::new_unchecked(TxLegacy { gas_limit, ..TxLegacy::default() }, signature, hash).into(),
        1 => Signed::new_unchecked(TxEip2930 { gas_limit, ..TxEip2930::default() }, signature, hash).into(),
        2 => Signed::new_unchecked(TxEip1559 { gas_limit, ..TxEip1559::default() }, signature, hash).into(),
        3 => {
            let blob = TxEip4844 { gas_limit, blob_versioned_hashes: blobs, ..TxEip4844::default() };
            TxEnvelope::Eip4844(Signed::new_unchecked(TxEip4844Variant::TxEip4844(blob), signature, hash))
        }
        4 => Signed::new_unchecked(TxEip7702 { gas_limit, ..TxEip7702::default() }, signature, hash).into(),
        other => panic!("there are no transactions of type {other}"),
    }
}

/// Executes a block by one of the two, over a state of its own.
fn run<'s>(
    block: &Block,
    state: &'s BlockState,
    execute: impl FnOnce(Inner<'_, 's>, Vec<(TxEnv, Recovered<TxEnvelope>)>) -> Outcome,
) -> (Outcome, BundleState) {
    let mut database = State::builder().with_database(WrapDatabaseRef(state)).with_bundle_update().build();
    let evm = EthEvmFactory::default()
        .create_evm(&mut database, EvmEnv { cfg_env: block.rules(), block_env: block.env() });
    let context = EthBlockExecutionCtx {
        parent_hash: block.header.parent_hash.unwrap_or_default(),
        parent_beacon_block_root: block.header.parent_beacon_block_root.or(Some(B256::ZERO)),
        ommers: &[],
        withdrawals: None,
        extra_data: alloy_primitives::Bytes::new(),
        tx_count_hint: Some(block.transactions.len()),
        slot_number: None,
    };
    let inner = EthBlockExecutor::new(evm, context, EthSpec::mainnet(), AlloyReceiptBuilder::default());
    let transactions = block.transactions.iter().enumerate().map(|(index, transaction)| {
        let recovered = Recovered::new_unchecked(envelope(index, &transaction.env), transaction.env.caller);
        (transaction.env.clone(), recovered)
    });
    let outcome = execute(inner, transactions.collect());
    database.merge_transitions(BundleRetention::Reverts);
    let bundle = database.take_bundle();
    (outcome, bundle)
}

fn plain(inner: Inner<'_, '_>, transactions: Vec<(TxEnv, Recovered<TxEnvelope>)>) -> Outcome {
    inner.execute_block(transactions)
}

fn parallel(threads: usize) -> impl FnOnce(Inner<'_, '_>, Vec<(TxEnv, Recovered<TxEnvelope>)>) -> Outcome {
    move |inner, transactions| {
        let executor = Executor::new(Config { threads, may_fall_back: false, ..Config::default() });
        ParallelBlockExecutor::new(inner, &executor, &Predictor::new()).execute_block(transactions)
    }
}

/// What a node writes down.
fn written(bundle: &BundleState) -> String {
    let mut changes = bundle.to_plain_state(OriginalValuesKnown::Yes);
    changes.accounts.sort_by_key(|(address, _)| *address);
    changes.storage.sort_by_key(|storage| storage.address);
    for storage in &mut changes.storage {
        storage.storage.sort_unstable();
    }
    changes.contracts.sort_by_key(|(hash, _)| *hash);
    format!("{changes:#?}")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.to_string_lossy().contains(".json"));
    files.sort();
    files
}

#[test]
fn blocks_come_out_as_they_do_with_alloy_evm() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let generated: Vec<PathBuf> =
        ["blocks", "workloads/blocks"].iter().flat_map(|folder| files(&fixtures.join(folder))).collect();
    assert!(generated.len() > 20, "only {} blocks", generated.len());
    let beside = fixtures.join("../../shared/data");
    let real = files(&env::var_os("DECONFLICT_DATA").map_or(beside, PathBuf::from).join("blocks"));
    let share = if env::var_os("DECONFLICT_RUNS").is_some() { 1 } else { 7 };
    let real: Vec<PathBuf> = real.into_iter().step_by(share).collect();
    let mut reader = BlockReader::default();
    let (mut compared, mut left) = (0, 0);
    for (file, is_real) in generated.iter().map(|it| (it, false)).chain(real.iter().map(|it| (it, true))) {
        let block = reader.read(file).unwrap_or_else(|error| panic!("{error}"));
        let state = BlockState::new(&block);
        let (expected, bundle) = run(&block, &state, plain);
        let expected = match expected {
            Ok(expected) => expected,
            // A recorded block does not hold what system calls read.
            Err(_) if is_real => {
                left += 1;
                continue;
            }
            Err(error) => panic!("{}: {error}", file.display()),
        };
        for threads in [1, 2, 4] {
            let (actual, own) = run(&block, &state, parallel(threads));
            let actual = actual.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(expected, actual, "{} on {threads} threads", file.display());
            let (one, two) = (written(&bundle), written(&own));
            let differs = one.lines().zip(two.lines()).position(|(one, two)| one != two);
            if let Some(line) = differs.or((one.len() != two.len()).then_some(0)) {
                let part = |text: &str| {
                    text.lines().skip(line.saturating_sub(6)).take(12).collect::<Vec<_>>().join("\n")
                };
                panic!("{} on {threads} threads:\n{}\nand\n{}", file.display(), part(&one), part(&two));
            }
        }
        compared += 1;
    }
    println!("{compared} blocks compared, {left} recorded ones without what system calls read");
}

#[test]
fn an_invalid_transaction_is_named_by_its_hash() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut block = BlockReader::default().read(&fixtures.join("blocks/1-transfers.json")).expect("a block");
    let last = block.transactions.len() - 1;
    block.transactions[last].env.nonce += 7;
    let state = BlockState::new(&block);
    for (outcome, _) in [run(&block, &state, plain), run(&block, &state, parallel(2))] {
        match outcome {
            Err(BlockExecutionError::Validation(BlockValidationError::InvalidTx { hash, error })) => {
                assert_eq!(hash, keccak256(last.to_be_bytes()));
                assert!(error.as_invalid_tx_err().is_some());
            }
            other => panic!("the transaction was not refused: {other:?}"),
        }
    }
}
