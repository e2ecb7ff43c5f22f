//! Blocks come to what their headers say, and a block that does not is told apart.

mod corpus;
#[path = "../examples/generate_blocks/scenes.rs"]
mod scenes;
#[path = "../examples/generate_blocks/world.rs"]
mod world;

use std::{fs, path::Path};

use alloy_primitives::{B256, Bloom, U256};
use deconflict_executor::{Block, BlockReader, BlockState, ReplayError, replay, write_block};
use revm::context_interface::result::ExecutionResult;

use corpus::{blocks, real_blocks, workspace};

fn check(file: &Path, reader: &mut BlockReader) -> Vec<bool> {
    let block = reader.read(file).unwrap_or_else(|error| panic!("{error}"));
    let state = BlockState::new(&block);
    let outcome = replay(&block, &state).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.results.len(), block.transactions.len());
    assert!(block.expected.gas_used.is_some(), "there is something to compare with");
    outcome.results.iter().map(ExecutionResult::is_success).collect()
}

#[test]
fn real_blocks_come_to_what_their_headers_say() {
    let mut reader = BlockReader::default();
    for file in real_blocks() {
        check(&file, &mut reader);
    }
}

#[test]
fn generated_blocks_come_to_what_they_were_generated_with() {
    let mut reader = BlockReader::default();
    let mut succeeded = Vec::new();
    let mut failed = Vec::new();
    for file in blocks(&workspace().join("fixtures/blocks")) {
        let results = check(&file, &mut reader);
        succeeded.push(results.iter().filter(|success| **success).count());
        failed.push(results.iter().filter(|success| !**success).count());
    }
    assert_eq!(succeeded, [7, 10, 12, 9, 14, 5]);
    assert_eq!(failed, [0, 9, 2, 2, 4, 1]);
}

fn generated(name: &str) -> Block {
    let file = workspace().join("fixtures/blocks").join(name);
    BlockReader::default().read(&file).unwrap_or_else(|error| panic!("{error}"))
}

fn difference(block: &Block) -> (&'static str, Option<usize>) {
    match replay(block, &BlockState::new(block)) {
        Err(ReplayError::Mismatch { field, suspect, .. }) => (field, suspect),
        other => panic!("the difference was not found: {other:?}"),
    }
}

#[test]
fn a_block_that_comes_to_something_else_is_an_error() {
    let mut block = generated("2-tokens.json");
    let gas = block.expected.gas_used.expect("generated blocks have it");
    block.expected.gas_used = Some(gas - 1);
    assert_eq!(difference(&block), ("expected.gas_used", Some(block.transactions.len() - 1)));
    block.expected.gas_used = Some(gas + 1);
    assert_eq!(difference(&block), ("expected.gas_used", None));

    let mut block = generated("2-tokens.json");
    block.expected.logs_bloom = Some(Bloom::ZERO);
    assert_eq!(difference(&block), ("expected.logs_bloom", Some(0)));

    let mut block = generated("2-tokens.json");
    block.expected.receipts_root = Some(B256::ZERO);
    assert_eq!(difference(&block), ("expected.receipts_root", None));
}

#[test]
fn a_wrong_word_of_the_state_shows() {
    let mut block = generated("2-tokens.json");
    let balances = block.pre_state.values_mut().flat_map(|account| account.storage.values_mut());
    balances.for_each(|word| *word = U256::ZERO);
    assert_eq!(difference(&block).0, "expected.gas_used");
}

#[test]
fn generating_again_gives_the_same_bytes() {
    let fixtures = workspace().join("fixtures");
    let written = scenes::all(&fixtures).expect("the generator runs");
    for (name, text) in &written {
        let committed = fs::read_to_string(fixtures.join("blocks").join(name)).unwrap_or_default();
        assert!(
            *text == committed,
            "{name} is not what is committed; run `cargo run -p deconflict-executor --example generate_blocks`"
        );
    }
    let committed = blocks(&fixtures.join("blocks"));
    assert_eq!(committed.len(), written.len(), "a block that nobody generates: {committed:?}");
}

#[test]
fn a_written_block_is_read_back_the_same() {
    for file in blocks(&workspace().join("fixtures/blocks")) {
        let mut reader = BlockReader::default();
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let text = write_block(&block).expect("the fork has a name");
        assert_eq!(reader.parse(&file, text.as_bytes()).unwrap_or_else(|error| panic!("{error}")), block);
    }
}
