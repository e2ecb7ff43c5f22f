//! What a template answers is what following the code comes to.

#![expect(clippy::print_stdout, reason = "a test says what it found")]

mod corpus;

use alloy_primitives::{Address, U256};
use deconflict_executor::{AccessSet, Block, BlockContext, BlockReader, BlockState, Predictor, Scratch};
use revm::context::TxEnv;

/// Two predictors, one of which learns.
struct Pair {
    learning: Predictor,
    following: Predictor,
    learnt: Scratch,
    followed: Scratch,
}

impl Pair {
    fn new() -> Self {
        Self {
            learning: Predictor::new(),
            following: Predictor::new().without_recipes(),
            learnt: Scratch::default(),
            followed: Scratch::default(),
        }
    }

    /// What both predict, the one that learns first.
    fn predict(&mut self, block: &Block, state: &BlockState, tx: &TxEnv) -> (AccessSet, AccessSet) {
        let env = block.env();
        let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
        let learnt = self.learning.predict_with(&mut self.learnt, tx, context, state);
        let followed = self.following.predict_with(&mut self.followed, tx, context, state);
        (learnt, followed)
    }
}

fn fixture_blocks() -> Vec<Block> {
    let mut reader = BlockReader::default();
    let files = corpus::blocks(&corpus::workspace().join("fixtures/blocks"));
    files.iter().map(|file| reader.read(file).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// The set without what is an estimate, or may name more than is needed.
fn accesses(set: AccessSet) -> AccessSet {
    AccessSet { gas: 0, depends_on: Vec::new(), depends_on_environment: Vec::new(), ..set }
}

#[test]
fn answers_are_what_following_comes_to() {
    let mut pair = Pair::new();
    for block in fixture_blocks() {
        let state = BlockState::new(&block);
        for round in 0..2 {
            for (index, transaction) in block.transactions.iter().enumerate() {
                let (learnt, followed) = pair.predict(&block, &state, &transaction.env);
                let place = format!("round {round}, transaction {index} of block {}", block.number);
                assert_eq!(accesses(learnt), accesses(followed), "{place}");
            }
        }
    }
    assert_eq!(pair.followed.answered(), 0);
    let (answered, followed) = (pair.learnt.answered(), pair.learnt.followed());
    assert!(answered > followed, "{answered} answered, {followed} followed");
}

#[test]
fn real_transactions_are_answered_by_what_others_taught() {
    let mut reader = BlockReader::default();
    let mut pair = Pair::new();
    for file in corpus::real_blocks().iter().step_by(6) {
        let block = reader.read(file).unwrap_or_else(|error| panic!("{error}"));
        let state = BlockState::new(&block);
        let (answered, followed) = (pair.learnt.answered(), pair.learnt.followed());
        for transaction in &block.transactions {
            pair.predict(&block, &state, &transaction.env);
        }
        let (answered, followed) = (pair.learnt.answered() - answered, pair.learnt.followed() - followed);
        println!("block {}: {answered} transactions answered, code of {followed} followed", block.number);
        for transaction in &block.transactions {
            pair.predict(&block, &state, &transaction.env);
        }
    }
    let (answered, followed) = (pair.learnt.answered(), pair.learnt.followed());
    println!("{answered} answered, {followed} followed");
    assert!(answered >= followed, "half of all are seen for the second time");
}

#[test]
fn a_template_is_a_function_of_calldata_caller_and_state() {
    let mut pair = Pair::new();
    let block = fixture_blocks().swap_remove(1);
    let state = BlockState::new(&block);
    let is_transfer = |tx: &&TxEnv| tx.data.starts_with(&[0xa9, 0x05, 0x9c, 0xbb]) && tx.data.len() == 68;
    let transactions: Vec<TxEnv> = block.transactions.iter().map(|it| it.env.clone()).collect();
    let transfer = transactions.iter().find(is_transfer).expect("the block transfers tokens").clone();
    let mut seen = Vec::new();
    for number in 1..40_u8 {
        let mut tx = transfer.clone();
        tx.caller = Address::repeat_byte(number);
        let mut data = tx.data.to_vec();
        data[16..36].copy_from_slice(Address::repeat_byte(200 - number % 7).as_slice());
        data[36..68].copy_from_slice(&U256::from(number % 3).to_be_bytes::<32>());
        tx.data = data.into();
        let (learnt, followed) = pair.predict(&block, &state, &tx);
        assert!(!learnt.writes.is_empty());
        assert_eq!(accesses(learnt.clone()), accesses(followed), "transfer {number}");
        seen.push(learnt.writes);
    }
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 30, "callers and recipients decide what is written");
    assert!(pair.learnt.answered() > 30, "one transfer is like the next: {}", pair.learnt.answered());
}
