//! Deconflict's errors in alloy-evm's words.

use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use alloy_primitives::B256;
use deconflict_executor::ExecuteError;

/// What alloy-evm says when a block cannot be executed; `hash` gives the hash of a transaction by its index.
pub(crate) fn translate<E>(error: ExecuteError<E>, hash: impl Fn(usize) -> B256) -> BlockExecutionError
where
    E: std::error::Error + Send + Sync + 'static,
{
    match error {
        ExecuteError::InvalidTransaction { index, reason, .. } => {
            BlockValidationError::InvalidTx { hash: hash(index), error: Box::new(reason) }.into()
        }
        ExecuteError::BlockGas { gas_limit, left, .. } => {
            BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas {
                transaction_gas_limit: gas_limit,
                block_available_gas: left,
            }
            .into()
        }
        other => BlockExecutionError::other(other),
    }
}
