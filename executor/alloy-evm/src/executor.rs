//! The block executor itself: alloy-evm's around the block, Deconflict's inside of it.
//!
//! In: an `EthBlockExecutor` and what Deconflict keeps between blocks. Out: what the former would come to. Transactions
//! that a caller executes one by one go to alloy-evm as they are; that is what builders of blocks do.

use std::fmt;

use alloy_consensus::{Transaction, TransactionEnvelope, TxReceipt};
use alloy_eips::Encodable2718;
use alloy_evm::{
    Evm, FromRecoveredTx, FromTxWithEncoded, RecoveredTx,
    block::{BlockExecutionError, BlockExecutionResult, BlockExecutor, ExecutableTx, GasOutput, StateDB},
    eth::{
        EthBlockExecutor, EthTxResult,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
        spec::EthExecutorSpec,
    },
};
use alloy_primitives::Log;
use deconflict_executor::{Execution, Executor, Predictor};
use revm::{
    DatabaseCommit as _,
    context::{BlockEnv, TxEnv},
    context_interface::result::HaltReason,
    primitives::hardfork::SpecId,
    state::EvmState,
};

use crate::{
    database::{Shared, changes},
    error::translate,
};

/// Executes Ethereum's blocks by alloy-evm's interface, and whole blocks on several threads.
pub struct ParallelBlockExecutor<'a, E, Spec, R: ReceiptBuilder> {
    inner: EthBlockExecutor<'a, E, Spec, R>,
    executor: &'a Executor,
    predictor: &'a Predictor,
}

impl<E, Spec, R: ReceiptBuilder> fmt::Debug for ParallelBlockExecutor<'_, E, Spec, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParallelBlockExecutor").field("executor", self.executor).finish_non_exhaustive()
    }
}

impl<'a, E, Spec, R: ReceiptBuilder> ParallelBlockExecutor<'a, E, Spec, R> {
    /// An executor that does everything but transactions by `inner`. `executor` and `predictor` live as long as the node:
    /// the one keeps its memory, the other what it knows of codes.
    pub fn new(
        inner: EthBlockExecutor<'a, E, Spec, R>,
        executor: &'a Executor,
        predictor: &'a Predictor,
    ) -> Self {
        Self { inner, executor, predictor }
    }
}

/// A transaction of the block: what receipts and errors need of it.
struct Included<T> {
    kind: T,
    hash: alloy_primitives::B256,
    blob_gas: u64,
}

impl<E, Spec, R> ParallelBlockExecutor<'_, E, Spec, R>
where
    E: Evm<DB: StateDB + Send, Spec = SpecId, BlockEnv = BlockEnv, Tx = TxEnv, HaltReason = HaltReason>,
    TxEnv: FromRecoveredTx<R::Transaction> + FromTxWithEncoded<R::Transaction>,
    Spec: EthExecutorSpec,
    R: ReceiptBuilder<Transaction: Transaction + Encodable2718, Receipt: TxReceipt<Log = Log>>,
    <R::Transaction as TransactionEnvelope>::TxType: Send + 'static,
{
    /// Executes all transactions and commits what they change.
    fn execute_transactions(
        &mut self,
        transactions: impl IntoIterator<Item = impl ExecutableTx<Self>>,
    ) -> Result<(), BlockExecutionError> {
        let mut included = Vec::new();
        let mut all = Vec::new();
        for transaction in transactions {
            let (env, recovered) = transaction.into_parts();
            let transaction = recovered.tx();
            included.push(Included {
                kind: transaction.tx_type(),
                hash: transaction.trie_hash(),
                blob_gas: transaction.blob_gas_used().unwrap_or_default(),
            });
            all.push(deconflict_executor::Transaction { hash: None, env });
        }
        let (block, rules) = (self.inner.evm.block().clone(), self.inner.evm.cfg_env().clone());
        let database = self.inner.evm.db_mut();
        let executed = {
            let shared = Shared::new(database);
            self.executor.execute_predicting(block, rules, &all, &shared, self.predictor)
        };
        let Execution { outcome, writes, .. } =
            executed.map_err(|error| translate(error, |index| included[index].hash))?;
        let [gone, now] = changes(writes, database).map_err(BlockExecutionError::other)?;
        if !gone.is_empty() {
            database.commit(gone);
        }
        database.commit(now);
        let timestamp = self.inner.evm.block().timestamp.saturating_to();
        let counts_blobs = self.inner.spec.is_cancun_active_at_timestamp(timestamp);
        // What single transactions changed is not kept; builders of receipts that ask for it have to execute one by one.
        let state = EvmState::default();
        for (transaction, result) in included.into_iter().zip(outcome.results) {
            let inner = &mut self.inner;
            inner.block_regular_gas_used += result.gas().block_regular_gas_used();
            inner.block_state_gas_used += result.gas().block_state_gas_used();
            inner.cumulative_tx_gas_used += result.gas().tx_gas_used();
            if counts_blobs {
                inner.blob_gas_used = inner.blob_gas_used.saturating_add(transaction.blob_gas);
            }
            let receipt = inner.receipt_builder.build_receipt(ReceiptBuilderCtx {
                tx_type: transaction.kind,
                evm: &inner.evm,
                result,
                state: &state,
                cumulative_gas_used: inner.cumulative_tx_gas_used,
            });
            inner.receipts.push(receipt);
        }
        Ok(())
    }
}

impl<E, Spec, R> BlockExecutor for ParallelBlockExecutor<'_, E, Spec, R>
where
    E: Evm<DB: StateDB + Send, Spec = SpecId, BlockEnv = BlockEnv, Tx = TxEnv, HaltReason = HaltReason>,
    TxEnv: FromRecoveredTx<R::Transaction> + FromTxWithEncoded<R::Transaction>,
    Spec: EthExecutorSpec,
    R: ReceiptBuilder<Transaction: Transaction + Encodable2718, Receipt: TxReceipt<Log = Log>>,
    <R::Transaction as TransactionEnvelope>::TxType: Send + 'static,
{
    type Transaction = R::Transaction;
    type Receipt = R::Receipt;
    type Evm = E;
    type Result = EthTxResult<HaltReason, <R::Transaction as TransactionEnvelope>::TxType>;

    fn apply_pre_execution_changes(&mut self) -> Result<(), BlockExecutionError> {
        self.inner.apply_pre_execution_changes()
    }

    fn execute_transaction_without_commit(
        &mut self,
        transaction: impl ExecutableTx<Self>,
    ) -> Result<Self::Result, BlockExecutionError> {
        self.inner.execute_transaction_without_commit(transaction.into_parts())
    }

    fn commit_transaction(&mut self, output: Self::Result) -> GasOutput {
        self.inner.commit_transaction(output)
    }

    fn finish(self) -> Result<(E, BlockExecutionResult<R::Receipt>), BlockExecutionError> {
        self.inner.finish()
    }

    fn evm_mut(&mut self) -> &mut E {
        self.inner.evm_mut()
    }

    fn evm(&self) -> &E {
        self.inner.evm()
    }

    fn receipts(&self) -> &[R::Receipt] {
        self.inner.receipts()
    }

    fn execute_block(
        mut self,
        transactions: impl IntoIterator<Item = impl ExecutableTx<Self>>,
    ) -> Result<BlockExecutionResult<R::Receipt>, BlockExecutionError> {
        // Rules by which a block's gas has two dimensions are alloy-evm's to apply.
        if self.inner.evm.cfg_env().enable_amsterdam_eip8037 {
            self.apply_pre_execution_changes()?;
            for transaction in transactions {
                self.execute_transaction(transaction)?;
            }
            return self.apply_post_execution_changes();
        }
        self.apply_pre_execution_changes()?;
        self.execute_transactions(transactions)?;
        self.apply_post_execution_changes()
    }
}
