//! Executes a block one transaction after the other on unmodified revm, and compares the result with its header.
//!
//! This is what every other way to execute a block is measured against. A transaction is never skipped: one that is
//! invalid ends the execution with an error that names it.

use alloy_primitives::{Address, B256, Bloom};
use revm::{
    Context, DatabaseCommit as _, ExecuteEvm as _, InspectEvm as _, Inspector, MainBuilder as _,
    MainContext as _, MainnetEvm,
    context::{BlockEnv, CfgEnv, ContextTr as _, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, InvalidTransaction},
    handler::MainnetContext,
    primitives::hardfork::SpecId,
    state::EvmState,
};
use thiserror::Error;

use crate::{
    block::{BlobLimits, Block, FormError, Transaction, check_form, check_forms},
    receipt::{bloom, receipts, root},
    state::{BlockState, Overlay, StateError},
};

/// What the execution of a block comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The result of each transaction: status, gas, logs and output.
    pub results: Vec<ExecutionResult>,
    /// The gas that all of them used together.
    pub gas_used: u64,
    /// The bloom filter over all logs.
    pub logs_bloom: Bloom,
    /// The root of the receipts. Before Byzantium receipts held state roots, so that there is none.
    pub receipts_root: Option<B256>,
}

/// Why a block cannot be executed, or does not come to what its header says.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// A transaction may not be part of the block.
    #[error("block {block}: transactions[{index}]{} from {sender} is invalid: {reason}", named(*hash))]
    InvalidTransaction {
        /// The number of the block.
        block: u64,
        /// The index of the transaction.
        index: usize,
        /// Its hash, where it is known.
        hash: Option<B256>,
        /// Its sender.
        sender: Address,
        /// Why.
        reason: InvalidTransaction,
    },
    /// A transaction may use more gas than the block has left.
    #[error(
        "block {block}: transactions[{index}]{} is invalid: its gas limit is {gas_limit}, and {left} of the block's \
         gas is left",
        named(*hash)
    )]
    BlockGas {
        /// The number of the block.
        block: u64,
        /// The index of the transaction.
        index: usize,
        /// Its hash, where it is known.
        hash: Option<B256>,
        /// Its gas limit.
        gas_limit: u64,
        /// The gas that is left.
        left: u64,
    },
    /// The execution needs state that the block does not have.
    #[error("block {block}: transactions[{index}]{} cannot be executed", named(*hash))]
    State {
        /// The number of the block.
        block: u64,
        /// The index of the transaction.
        index: usize,
        /// Its hash, where it is known.
        hash: Option<B256>,
        /// What is missing.
        source: StateError,
    },
    /// The execution engine gave up.
    #[error("block {block}: transactions[{index}]{} cannot be executed: {reason}", named(*hash))]
    Engine {
        /// The number of the block.
        block: u64,
        /// The index of the transaction.
        index: usize,
        /// Its hash, where it is known.
        hash: Option<B256>,
        /// What the engine says.
        reason: String,
    },
    /// The block comes to something else than its header says.
    #[error(
        "block {block}: {field} is {expected}, but execution comes to {actual}{}; the pre-state, a transaction or the \
         expectation is wrong",
        suspect.map(|index| format!(", and transactions[{index}] is the first to go beyond it")).unwrap_or_default()
    )]
    Mismatch {
        /// The number of the block.
        block: u64,
        /// The field of the block file.
        field: &'static str,
        /// What the field says.
        expected: String,
        /// What execution comes to.
        actual: String,
        /// The first transaction that shows that something is wrong, in itself or in one before it.
        suspect: Option<usize>,
    },
}

fn named(hash: Option<B256>) -> String {
    hash.map(|hash| format!(" ({hash})")).unwrap_or_default()
}

/// Executes a block and compares what it comes to with what its header says.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, BlockState, replay};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let outcome = replay(&block, &BlockState::new(&block))?;
/// assert_eq!(outcome.results.len(), block.transactions.len());
/// assert_eq!(Some(outcome.gas_used), block.expected.gas_used);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn replay(block: &Block, state: &BlockState) -> Result<Outcome, ReplayError> {
    let outcome = execute(block, state)?;
    verify(block, &outcome)?;
    Ok(outcome)
}

/// Executes a block.
pub fn execute(block: &Block, state: &BlockState) -> Result<Outcome, ReplayError> {
    let mut machine = SerialMachine::new(block, state, revm::inspector::NoOpInspector {});
    let mut results = Vec::with_capacity(block.transactions.len());
    for index in 0..block.transactions.len() {
        let (result, changes) = machine.run(index)?;
        machine.commit(changes);
        results.push(result);
    }
    Ok(conclude(block, results))
}

/// Whether a block can hold its transactions, as far as their forms say.
pub(crate) fn admit_all(block: &Block) -> Result<(), ReplayError> {
    check_forms(block).map_err(|(index, problem)| form_error(block, index, &problem))
}

fn form_error(block: &Block, index: usize, problem: &FormError) -> ReplayError {
    let Transaction { hash, env } = &block.transactions[index];
    let reason = InvalidTransaction::Str(problem.to_string().into());
    ReplayError::InvalidTransaction { block: block.number, index, hash: *hash, sender: env.caller, reason }
}

/// What the results of a block's transactions come to.
pub fn conclude(block: &Block, results: Vec<ExecutionResult>) -> Outcome {
    summarize(&block.transactions, block.spec, results)
}

/// What the results of transactions that were executed in this order come to.
pub(crate) fn summarize(
    transactions: &[Transaction],
    spec: SpecId,
    results: Vec<ExecutionResult>,
) -> Outcome {
    let receipts = receipts(transactions, &results);
    let mut logs_bloom = Bloom::ZERO;
    for receipt in &receipts {
        logs_bloom |= bloom(receipt);
    }
    Outcome {
        gas_used: receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used),
        logs_bloom,
        receipts_root: spec.is_enabled_in(SpecId::BYZANTIUM).then(|| root(&receipts)),
        results,
    }
}

/// Compares what a block comes to with what its header says, as far as the block has it.
pub fn verify(block: &Block, outcome: &Outcome) -> Result<(), ReplayError> {
    let mismatch = |field, expected: String, actual: String, suspect| {
        Err(ReplayError::Mismatch { block: block.number, field, expected, actual, suspect })
    };
    let expected = &block.expected;
    if let Some(gas) = expected.gas_used.filter(|gas| *gas != outcome.gas_used) {
        let mut used = 0;
        let suspect = outcome.results.iter().position(|result| {
            used += result.tx_gas_used();
            used > gas
        });
        return mismatch("expected.gas_used", gas.to_string(), outcome.gas_used.to_string(), suspect);
    }
    if let Some(filter) = expected.logs_bloom.filter(|filter| *filter != outcome.logs_bloom) {
        let receipts = receipts(&block.transactions, &outcome.results);
        let suspect = receipts.iter().position(|receipt| {
            let own = bloom(receipt);
            (own & filter) != own
        });
        let (expected, actual) = (filter.to_string(), outcome.logs_bloom.to_string());
        return mismatch("expected.logs_bloom", expected, actual, suspect);
    }
    match (expected.receipts_root, outcome.receipts_root) {
        (Some(expected), Some(actual)) if expected != actual => {
            mismatch("expected.receipts_root", expected.to_string(), actual.to_string(), None)
        }
        _ => Ok(()),
    }
}

/// Executes the transactions of a block one by one, so that a caller can look at the state between them.
pub(crate) struct SerialMachine<'a, I> {
    block: &'a Block,
    gas_used: u64,
    limits: BlobLimits,
    blobs: u64,
    evm: MainnetEvm<MainnetContext<Overlay<'a>>, I>,
}

impl<'a, I: Inspector<MainnetContext<Overlay<'a>>>> SerialMachine<'a, I> {
    pub(crate) fn new(block: &'a Block, state: &'a BlockState, inspector: I) -> Self {
        let context: Context<BlockEnv, TxEnv, CfgEnv, _> = Context::mainnet().with_db(state.overlay());
        let context = context.with_block(block.env()).with_cfg(block.rules());
        let (limits, evm) = (BlobLimits::of(block), context.build_mainnet_with_inspector(inspector));
        Self { block, gas_used: 0, limits, blobs: 0, evm }
    }

    /// Runs a transaction without the inspector; nothing changes until its changes are committed.
    pub(crate) fn run(&mut self, index: usize) -> Result<(ExecutionResult, EvmState), ReplayError> {
        let transaction = self.admit(index)?;
        let executed = self.evm.transact(transaction);
        self.conclude(index, executed.map(|it| (it.result, it.state)))
    }

    /// Runs a transaction with the inspector, and hands it out with what it saw; nothing changes until the changes are
    /// committed.
    pub(crate) fn inspect(&mut self, index: usize) -> Result<(ExecutionResult, EvmState), ReplayError> {
        let transaction = self.admit(index)?;
        let executed = self.evm.inspect_tx(transaction);
        self.conclude(index, executed.map(|it| (it.result, it.state)))
    }

    /// The inspector.
    pub(crate) fn inspector(&mut self) -> &mut I {
        &mut self.evm.inspector
    }

    /// Makes the changes of a transaction the state that the next one sees.
    pub(crate) fn commit(&mut self, mut changes: EvmState) {
        self.settle(&mut changes);
        self.evm.ctx.db_mut().commit(changes);
    }

    /// Marks the accounts that are gone once a transaction with these changes has ended.
    #[expect(clippy::iter_over_hash_type, reason = "each account is marked on its own, in any order")]
    pub(crate) fn settle(&self, changes: &mut EvmState) {
        if self.block.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            // An account that is touched and empty is gone by EIP-161. The cache would keep it, and whoever delegates it
            // later in the block would be refunded for an account that exists.
            for account in changes.values_mut() {
                if account.is_touched() && account.is_empty() && !account.is_created() {
                    account.mark_selfdestruct();
                }
            }
        }
    }

    /// The transaction, if the block can hold it and has enough gas and room for blobs left for it.
    fn admit(&self, index: usize) -> Result<TxEnv, ReplayError> {
        let transaction = &self.block.transactions[index];
        let problem = check_form(transaction, self.block.spec, self.limits)
            .and_then(|()| self.limits.add(self.blobs, transaction))
            .err();
        if let Some(problem) = problem {
            return Err(form_error(self.block, index, &problem));
        }
        let gas_limit = transaction.env.gas_limit;
        let left = self.block.header.gas_limit.saturating_sub(self.gas_used);
        if gas_limit > left {
            let (block, hash) = (self.block.number, transaction.hash);
            return Err(ReplayError::BlockGas { block, index, hash, gas_limit, left });
        }
        Ok(transaction.env.clone())
    }

    fn conclude(
        &mut self,
        index: usize,
        executed: Result<(ExecutionResult, EvmState), EVMError<StateError>>,
    ) -> Result<(ExecutionResult, EvmState), ReplayError> {
        let transaction = &self.block.transactions[index];
        let (block, hash) = (self.block.number, transaction.hash);
        let error = match executed {
            Ok((result, changes)) => {
                self.gas_used += result.tx_gas_used();
                self.blobs += transaction.env.blob_hashes.len() as u64;
                return Ok((result, changes));
            }
            Err(error) => error,
        };
        Err(match error {
            EVMError::Transaction(reason) => {
                let sender = transaction.env.caller;
                ReplayError::InvalidTransaction { block, index, hash, sender, reason }
            }
            EVMError::Database(source) => ReplayError::State { block, index, hash, source },
            other => ReplayError::Engine { block, index, hash, reason: other.to_string() },
        })
    }
}
