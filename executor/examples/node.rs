//! How a node executes blocks with the executor: over its own state, one block after the other.
//!
//! `cargo run -p deconflict-executor --example node` executes three generated blocks. What a node has to bring is a state
//! that several threads can read ([`DatabaseRef`] and `Sync`), and a way to write down what a block changes.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use alloy_primitives::{Address, B256, U256};
use deconflict_executor::{Block, BlockReader, Config, Executor, FinalWrites, Predictions, Predictor, Watch};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};

/// The node's state: here maps in memory, in a node a database.
#[derive(Debug, Default)]
struct NodeState {
    accounts: BTreeMap<Address, AccountInfo>,
    slots: BTreeMap<(Address, U256), U256>,
    codes: BTreeMap<B256, Bytecode>,
    block_hashes: BTreeMap<u64, B256>,
}

impl DatabaseRef for NodeState {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.accounts.get(&address).cloned())
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.get(&hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.slots.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok(self.block_hashes.get(&number).copied().unwrap_or_default())
    }
}

impl NodeState {
    /// The state before a block.
    fn before(block: &Block) -> Self {
        let mut state =
            Self { codes: block.codes.clone(), block_hashes: block.block_hashes.clone(), ..Self::default() };
        for (&address, account) in &block.pre_state {
            let (balance, nonce, code_hash) = (account.balance, account.nonce, account.code_hash);
            // Without a code in place, it is asked for by its hash.
            let info = AccountInfo { balance, nonce, code_hash, code: None, ..AccountInfo::default() };
            state.accounts.insert(address, info);
            state.slots.extend(account.storage.iter().map(|(slot, word)| ((address, *slot), *word)));
        }
        state
    }

    /// Writes down what a block has changed. Storage that was lost comes before what was written after that.
    fn commit(&mut self, writes: FinalWrites) {
        for address in writes.wiped {
            self.slots.retain(|(owner, _), _| *owner != address);
        }
        for (address, info) in writes.accounts {
            match info {
                Some(mut info) => {
                    if let Some(code) = info.code.take() {
                        self.codes.insert(info.code_hash, code);
                    }
                    self.accounts.insert(address, info);
                }
                None => drop(self.accounts.remove(&address)),
            }
        }
        self.slots.extend(writes.slots);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/workloads/blocks");
    let mut reader = BlockReader::default();
    // Both live as long as the node: the one keeps its memory, the other what it knows of codes. For a state on a slow
    // disk, `readers` is the number of pieces to read at a time.
    let executor = Executor::new(Config { threads: 2, readers: 0, ..Config::default() });
    let predictor = Predictor::new();
    for name in ["erc20-independent", "amm-ten-pools", "hybrid"] {
        let block = reader.read(&fixtures.join(format!("{name}.json")))?;
        let mut state = NodeState::before(&block);
        let logs = AtomicUsize::new(0);
        // Results come in order, as soon as they are final; setting a flag given as `cancel` ends the execution.
        let committed = |_, result: &revm::context_interface::result::ExecutionResult| {
            logs.fetch_add(result.logs().len(), Ordering::Relaxed);
        };
        let watch = Watch { committed: Some(&committed), cancel: None };
        let execution = executor.execute_watched(
            block.env(),
            block.rules(),
            &block.transactions,
            &state,
            Predictions::ByNeed(&predictor),
            watch,
        )?;
        println!(
            "{name}: {} gas, {} logs, receipts root {}, {} accounts and {} slots written",
            execution.outcome.gas_used,
            logs.load(Ordering::Relaxed),
            execution.outcome.receipts_root.unwrap_or_default(),
            execution.writes.accounts.len(),
            execution.writes.slots.len(),
        );
        state.commit(execution.writes);
    }
    Ok(())
}
