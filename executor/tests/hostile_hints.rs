//! Predictions that are empty, random, turned round or made up, and states that fail: the result is the same, or an error.

mod corpus;

use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256, Selector, U256};
use deconflict_executor::{
    AccessSet, AccountAccess, Block, BlockContext, BlockReader, BlockState, Config, ExecuteError, Executor,
    Mode, Outcome, Predictor, Shortfall, ShortfallReason, StateChanges, StateKey, execute_settled,
};
use proptest::prelude::*;
use revm::{DatabaseRef, bytecode::Bytecode, database::DBErrorMarker, state::AccountInfo};

use corpus::{blocks, workspace};

struct Case {
    block: Block,
    state: BlockState,
    hints: Vec<AccessSet>,
    expected: (Outcome, StateChanges),
}

/// The generated blocks, and real ones where they are at hand.
fn cases() -> Vec<Case> {
    let mut files = blocks(&workspace().join("fixtures/blocks"));
    let real = ["116525", "2688148", "9068998", "19934116", "22546209"];
    files.extend(corpus::real_blocks().into_iter().filter(|file| {
        let name = file.to_string_lossy().into_owned();
        real.iter().any(|it| name.contains(it))
    }));
    let mut reader = BlockReader::default();
    let predictor = Predictor::new();
    let case = |file: std::path::PathBuf| {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let state = BlockState::new(&block);
        let env = block.env();
        let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
        let hints = block.transactions.iter().map(|it| predictor.predict(&it.env, context, &state)).collect();
        let expected = execute_settled(&block, &state).unwrap_or_else(|error| panic!("{error}"));
        Case { block, state, hints, expected }
    };
    files.into_iter().map(case).collect()
}

/// A way to spoil predictions.
#[derive(Clone, Debug)]
enum Spoil {
    Nothing,
    Missing,
    Empty,
    Random(u64),
    Inverted,
    AllConflicting,
    Shifted(usize),
    Truncated(usize),
    OtherCodes,
}

fn spoils() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        Just(Spoil::Nothing),
        Just(Spoil::Missing),
        Just(Spoil::Empty),
        any::<u64>().prop_map(Spoil::Random),
        Just(Spoil::Inverted),
        Just(Spoil::AllConflicting),
        (1..50usize).prop_map(Spoil::Shifted),
        (0..50usize).prop_map(Spoil::Truncated),
        Just(Spoil::OtherCodes),
    ]
}

fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *seed;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

fn spoil(hints: &[AccessSet], how: &Spoil) -> Vec<AccessSet> {
    let mut spoilt = hints.to_vec();
    match how {
        Spoil::Nothing => {}
        Spoil::Missing => spoilt.clear(),
        Spoil::Empty => spoilt.iter_mut().for_each(|set| *set = AccessSet::default()),
        Spoil::Random(seed) => {
            let mut seed = *seed;
            let slots: Vec<_> =
                hints.iter().flat_map(|set| set.reads.iter().chain(&set.writes)).copied().collect();
            let mut pick = |count: u64| -> Vec<(Address, U256)> {
                let count = next(&mut seed) % count;
                let mut picked: Vec<_> = (0..count)
                    .map(|_| match slots.len() as u64 {
                        0 => (Address::ZERO, U256::from(next(&mut seed) % 4)),
                        len => slots[(next(&mut seed) % len) as usize],
                    })
                    .collect();
                picked.sort_unstable();
                picked.dedup();
                picked
            };
            for set in &mut spoilt {
                (set.reads, set.writes) = (pick(6), pick(6));
                set.deltas.clone_from(&set.writes);
                set.gas = pick(1_000).len() as u64 * 10_000;
            }
        }
        Spoil::Inverted => {
            for set in &mut spoilt {
                std::mem::swap(&mut set.reads, &mut set.writes);
                set.gas = u64::MAX - set.gas;
            }
            spoilt.reverse();
        }
        Spoil::AllConflicting => {
            for set in &mut spoilt {
                set.writes = vec![(Address::ZERO, U256::ZERO)];
                set.accounts = vec![
                    AccountAccess::BalanceRead(Address::ZERO),
                    AccountAccess::BalanceCredit(Address::ZERO),
                    AccountAccess::NonceWrite(Address::ZERO),
                    AccountAccess::CodeRead(Address::ZERO),
                    AccountAccess::CodeWrite(Address::ZERO),
                ];
            }
        }
        Spoil::Shifted(by) => {
            let by = by % spoilt.len().max(1);
            spoilt.rotate_left(by);
        }
        Spoil::Truncated(len) => spoilt.truncate(*len),
        Spoil::OtherCodes => {
            for set in &mut spoilt {
                set.depends_on = vec![StateKey::Code(Address::repeat_byte(0xee))];
                set.incomplete = vec![Shortfall {
                    reason: ShortfallReason::CodeUnavailable,
                    code_hash: B256::repeat_byte(0xee),
                    selector: Selector::ZERO,
                    pc: 7,
                }];
                set.accounts = vec![AccountAccess::CodeRead(Address::repeat_byte(0xee))];
            }
        }
    }
    spoilt
}

fn executor(threads: usize, mode: Mode, may_fall_back: bool) -> Executor {
    Executor::new(Config { threads, mode, may_fall_back, ..Config::default() })
}

#[test]
fn wrong_predictions_change_nothing() {
    let cases = cases();
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let inputs = (0..cases.len(), spoils(), 1..9usize, any::<bool>());
    runner
        .run(&inputs, |(case, how, threads, may_fall_back)| {
            let Case { block, state, hints, expected } = &cases[case];
            let hints = spoil(hints, &how);
            let executed = executor(threads, Mode::Scheduled, may_fall_back)
                .execute(block.env(), block.rules(), &block.transactions, state, &hints)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(&executed.outcome, &expected.0);
            let changes = executed.writes.changes(state).expect("the block is complete");
            prop_assert_eq!(changes.first_difference(&expected.1), None);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// A state that fails or panics at one reading, or at all from there on.
struct Failing<'a> {
    state: &'a BlockState,
    readings: AtomicU64,
    at: u64,
    panics: bool,
    forever: bool,
}

/// What a state says that fails.
#[derive(Debug, thiserror::Error)]
#[error("the disk is on fire")]
struct OnFire;

impl DBErrorMarker for OnFire {}

impl Failing<'_> {
    fn read(&self) -> Result<(), OnFire> {
        let reading = self.readings.fetch_add(1, Ordering::Relaxed);
        if reading == self.at || (self.forever && reading > self.at) {
            assert!(!self.panics, "the disk is gone");
            return Err(OnFire);
        }
        Ok(())
    }
}

impl DatabaseRef for Failing<'_> {
    type Error = OnFire;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, OnFire> {
        self.read()?;
        Ok(self.state.basic_ref(address).expect("the block is complete"))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, OnFire> {
        self.read()?;
        Ok(self.state.code_by_hash_ref(hash).expect("the block is complete"))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, OnFire> {
        self.read()?;
        Ok(self.state.storage_ref(address, slot).expect("the block is complete"))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, OnFire> {
        self.read()?;
        Ok(self.state.block_hash_ref(number).expect("the block is complete"))
    }
}

#[test]
fn a_state_that_fails_is_an_error_and_nothing_else() {
    let cases = cases();
    std::panic::set_hook(Box::new(|_| {}));
    let mut errors = 0;
    let mut seed = 1;
    for round in 0..160u64 {
        let Case { block, state, hints, expected } = &cases[(next(&mut seed) as usize) % cases.len()];
        let (panics, forever) = (round % 2 == 0, round % 4 < 2);
        let failing = |at| Failing { state, readings: AtomicU64::new(0), at, panics, forever };
        // A reading that one thread makes, so that most executions come to it.
        let healthy = failing(u64::MAX);
        let (env, rules) = (block.env(), block.rules());
        executor(1, Mode::Serial, false)
            .execute(env, rules, &block.transactions, &healthy, hints)
            .expect("nothing fails");
        let failing = failing(next(&mut seed) % healthy.readings.into_inner().max(1));
        let mode = [Mode::Scheduled, Mode::Optimistic, Mode::Serial][(round % 3) as usize];
        let executor = executor(1 + (round as usize % 4), mode, false);
        match executor.execute(block.env(), block.rules(), &block.transactions, &failing, hints) {
            // A reading that failed once, ahead of its turn, is made again.
            Ok(executed) => {
                assert_eq!(executed.outcome, expected.0);
                let changes = executed.writes.changes(state).expect("the block is complete");
                assert_eq!(changes.first_difference(&expected.1), None);
            }
            Err(ExecuteError::Database { .. } | ExecuteError::Settle { .. }) => {
                assert!(!panics);
                errors += 1;
            }
            Err(ExecuteError::Panicked { message, .. }) => {
                assert!(panics && message == "the disk is gone", "{message}");
                errors += 1;
            }
            Err(other) => {
                drop(std::panic::take_hook());
                panic!("{other}");
            }
        }
        // The next block executes.
        let executed = executor.execute(block.env(), block.rules(), &block.transactions, state, hints);
        assert_eq!(executed.map(|it| it.outcome).ok().as_ref(), Some(&expected.0));
    }
    drop(std::panic::take_hook());
    assert!(errors > 40, "only {errors} of 160 executions met the failure");
}
