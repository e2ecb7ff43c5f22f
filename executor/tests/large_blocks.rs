//! Blocks that are larger than any real one, and predictions that are as wrong as they can be.

#[path = "../examples/generate_workloads/workload.rs"]
mod workload;

use alloy_primitives::{Address, U256};
use deconflict_executor::{
    AccessSet, Block, BlockState, Config, Executor, Mode, Predictor, execute_settled, report::predict,
};

fn block(name: &str, gas: u64) -> Block {
    let workload = workload::ALL.iter().find(|it| it.name == name).expect("there is such a workload");
    workload.of_gas(gas, 0, 7).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_block_of_a_billion_gas() {
    let block = block("erc20-random-recipients", 1_000_000_000);
    assert!(block.transactions.len() > 10_000, "only {} transactions", block.transactions.len());
    let state = BlockState::new(&block);
    let expected = execute_settled(&block, &state).unwrap_or_else(|error| panic!("{error}"));
    let predictor = Predictor::new();
    for may_fall_back in [false, true] {
        let executor =
            Executor::new(Config { threads: 4, mode: Mode::Scheduled, may_fall_back, ..Config::default() });
        let executed = executor
            .execute_predicting(block.env(), block.rules(), &block.transactions, &state, &predictor)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(expected.0.gas_used > 900_000_000);
        assert!(executed.outcome == expected.0, "the results differ");
        let per_transaction = executed.figures.store_bytes / block.transactions.len();
        assert!((100..2_000).contains(&per_transaction), "{per_transaction} bytes a transaction");
        let changes = executed.writes.changes(&state).expect("the block is complete");
        assert_eq!(changes.digest(), expected.1.digest());
    }
}

#[test]
fn wrong_predictions_cost_little() {
    // In the first nothing conflicts, whatever is said of it; in the second everything does.
    for (name, conflicts) in [("amm-independent", false), ("erc20-chain", true)] {
        let block = block(name, 15_000_000);
        let state = BlockState::new(&block);
        let right = predict(&block, &state, &Predictor::new(), 2);
        let everywhere = |set: &AccessSet| AccessSet {
            reads: vec![(Address::ZERO, U256::ZERO)],
            writes: vec![(Address::ZERO, U256::ZERO)],
            ..set.clone()
        };
        let all_conflict: Vec<_> = right.iter().map(everywhere).collect();
        let reversed: Vec<_> = right.iter().rev().cloned().collect();
        let empty = vec![AccessSet::default(); right.len()];
        let executor = Executor::new(Config { threads: 2, may_fall_back: false, ..Config::default() });
        for (lie, hints) in [("all conflict", all_conflict), ("reversed", reversed), ("empty", empty)] {
            let executed = executor
                .execute(block.env(), block.rules(), &block.transactions, &state, &hints)
                .unwrap_or_else(|error| panic!("{error}"));
            // Time is for the benchmark; what decides it is how often a transaction runs: at most once more than once.
            let figures = executed.figures;
            let bound = if conflicts { figures.ahead } else { 0 };
            assert!(figures.ahead <= block.transactions.len() as u64, "{name}, {lie}: {figures:?}");
            assert!(figures.reexecutions <= bound, "{name}, {lie}: {figures:?}");
        }
    }
}
