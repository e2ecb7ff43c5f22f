//! Writes a block as JSON that [`BlockReader`](super::BlockReader) reads back to the same block.

use alloy_primitives::{KECCAK256_EMPTY, U256};

use super::{
    Block,
    format::{AccountFile, BlockFile, ExpectedFile, FORMAT, HeaderFile, TransactionFile},
};
use crate::chain::fork_name;

/// The JSON of a block with its codes, one field a line, ending in a line break; `None` if the format has no name for
/// the block's fork.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, write_block};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let text = write_block(&block).ok_or("its fork has a name")?;
/// let again = BlockReader::default().parse(Path::new("again.json"), text.as_bytes())?;
/// assert_eq!(again.transactions.len(), block.transactions.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_block(block: &Block) -> Option<String> {
    let header = &block.header;
    let expected = &block.expected;
    let accounts = block.pre_state.iter().map(|(address, account)| {
        let code_hash = (account.code_hash != KECCAK256_EMPTY).then_some(account.code_hash);
        let storage = account.storage.clone();
        (*address, AccountFile { balance: account.balance, nonce: account.nonce, code_hash, storage })
    });
    let file = BlockFile::<TransactionFile> {
        format: FORMAT,
        chain_id: block.chain_id,
        number: block.number,
        spec: fork_name(block.spec)?.to_owned(),
        header: HeaderFile {
            hash: header.hash,
            parent_hash: header.parent_hash,
            coinbase: header.coinbase,
            timestamp: header.timestamp,
            gas_limit: header.gas_limit,
            base_fee: header.base_fee,
            difficulty: header.difficulty,
            prev_randao: header.prev_randao,
            excess_blob_gas: header.excess_blob_gas,
            blob_base_fee: header.blob_base_fee.map(U256::from),
            parent_beacon_block_root: header.parent_beacon_block_root,
            max_blobs: header.max_blobs,
        },
        expected: ExpectedFile {
            gas_used: expected.gas_used,
            receipts_root: expected.receipts_root,
            logs_bloom: expected.logs_bloom,
            state_root: expected.state_root,
            transactions_root: expected.transactions_root,
            blob_gas_used: expected.blob_gas_used,
        },
        block_hashes: block.block_hashes.clone(),
        transactions: block.transactions.iter().map(TransactionFile::from).collect(),
        pre_state: accounts.collect(),
        codes: block.codes.iter().map(|(hash, code)| (*hash, code.original_bytes())).collect(),
        code_absent: block.code_absent.clone(),
    };
    let text =
        serde_json::to_string_pretty(&file).expect("maps have keys that are strings, and nothing else fails");
    Some(text + "\n")
}
