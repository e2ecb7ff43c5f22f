//! A block with all that its execution needs: environment, transactions, and the part of the state that they touch.
//!
//! Files come in through [`BlockReader`] and go out through [`write_block`]; both speak the same JSON, plain or
//! compressed by zstd. In between there is plain data in revm's own types, and nothing here executes anything.

mod error;
mod bytes;
mod form;
mod codes;
mod format;
mod other;
mod read;
mod write;

pub use codes::CodeStore;
pub use error::BlockError;
pub use form::{BlobLimits, FormError, check_form, check_forms};
pub use format::transaction_from_json;
pub use read::BlockReader;
pub use write::write_block;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bloom, U256};
use revm::{
    bytecode::Bytecode,
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::block::BlobExcessGasAndPrice,
    primitives::hardfork::SpecId,
};

/// A block, the state before its first transaction as far as they touch it, and what execution has to come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The number of the block.
    pub number: u64,
    /// The chain that transactions have to name, where they name one.
    pub chain_id: u64,
    /// The rules that hold for the block.
    pub spec: SpecId,
    /// What transactions can see of the block.
    pub header: Header,
    /// What execution has to come to.
    pub expected: Expected,
    /// Hashes of earlier blocks by number, as far as they are needed.
    pub block_hashes: BTreeMap<u64, B256>,
    /// The transactions, in order.
    pub transactions: Vec<Transaction>,
    /// The state before the first transaction. An account that is not listed does not exist.
    pub pre_state: BTreeMap<Address, Account>,
    /// The codes of the accounts in `pre_state`, by hash.
    pub codes: BTreeMap<B256, Bytecode>,
    /// Hashes of codes that accounts in `pre_state` have, but that are never run.
    pub code_absent: BTreeSet<B256>,
}

/// What transactions can see of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The hash of the block.
    pub hash: Option<B256>,
    /// The hash of the block before.
    pub parent_hash: Option<B256>,
    /// Who receives the fees.
    pub coinbase: Address,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The most gas that the transactions may use together.
    pub gas_limit: u64,
    /// The fee per gas that is burnt; zero before London.
    pub base_fee: u64,
    /// The difficulty; zero from the Merge on.
    pub difficulty: U256,
    /// The randomness of the block; from the Merge on.
    pub prev_randao: Option<B256>,
    /// The blob gas above target so far; from Cancun on.
    pub excess_blob_gas: Option<u64>,
    /// The fee per blob gas; from Cancun on.
    pub blob_base_fee: Option<u128>,
    /// The root of the parent beacon block; from Cancun on.
    pub parent_beacon_block_root: Option<B256>,
    /// The most blobs that the block may have, where somebody has said so; else the chain's schedule or the fork tells.
    pub max_blobs: Option<u64>,
}

/// What the execution of a block has to come to, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The gas that all transactions use together.
    pub gas_used: Option<u64>,
    /// The root of the receipts.
    pub receipts_root: Option<B256>,
    /// The bloom filter over all logs.
    pub logs_bloom: Option<Bloom>,
    /// The root of the state after the block, rewards and withdrawals included.
    pub state_root: Option<B256>,
    /// The root of the transactions.
    pub transactions_root: Option<B256>,
    /// The blob gas that all transactions use together.
    pub blob_gas_used: Option<u64>,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its hash, where it is known.
    pub hash: Option<B256>,
    /// All that execution needs of it.
    pub env: TxEnv,
}

/// An account before the first transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The balance in wei.
    pub balance: U256,
    /// The nonce.
    pub nonce: u64,
    /// The hash of the code; the hash of nothing where there is none.
    pub code_hash: B256,
    /// Storage words by slot. A slot that is not listed is zero.
    pub storage: BTreeMap<U256, U256>,
}

impl Block {
    /// The environment that transactions see.
    pub fn env(&self) -> BlockEnv {
        let header = &self.header;
        let blob = header.excess_blob_gas.map(|excess_blob_gas| BlobExcessGasAndPrice {
            excess_blob_gas,
            blob_gasprice: header.blob_base_fee.unwrap_or(1),
        });
        BlockEnv {
            number: U256::from(self.number),
            beneficiary: header.coinbase,
            timestamp: U256::from(header.timestamp),
            gas_limit: header.gas_limit,
            basefee: header.base_fee,
            difficulty: header.difficulty,
            prevrandao: header.prev_randao,
            blob_excess_gas_and_price: blob,
            ..BlockEnv::default()
        }
    }

    /// The rules that transactions run by.
    pub fn rules(&self) -> CfgEnv {
        let mut rules = CfgEnv::new_with_spec(self.spec);
        rules.chain_id = self.chain_id;
        rules.max_blobs_per_tx = BlobLimits::of(self).per_transaction;
        rules
    }
}
