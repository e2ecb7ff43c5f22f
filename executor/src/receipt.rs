//! What a block's transactions leave behind for others to check: gas, logs and status, their bloom filter and root.

use alloy_consensus::{EthereumReceipt, TxReceipt as _, TxType};
use alloy_primitives::{B256, Bloom};
use revm::context_interface::result::ExecutionResult;

use crate::block::Transaction;

/// The receipts of transactions that were executed in this order.
pub(crate) fn receipts(transactions: &[Transaction], results: &[ExecutionResult]) -> Vec<EthereumReceipt> {
    let mut cumulative_gas_used = 0;
    let receipt = |(transaction, result): (&Transaction, &ExecutionResult)| {
        cumulative_gas_used += result.tx_gas_used();
        EthereumReceipt {
            tx_type: TxType::try_from(transaction.env.tx_type).unwrap_or_default(),
            success: result.is_success(),
            cumulative_gas_used,
            // A transaction that fails logs nothing.
            logs: if result.is_success() { result.logs().to_vec() } else { Vec::new() },
        }
    };
    transactions.iter().zip(results).map(receipt).collect()
}

/// The bloom filter over the logs of a receipt.
pub(crate) fn bloom(receipt: &EthereumReceipt) -> Bloom {
    receipt.bloom()
}

/// The root of the receipts in the form that they have from Byzantium on.
pub(crate) fn root(receipts: &[EthereumReceipt]) -> B256 {
    EthereumReceipt::calculate_receipt_root_no_memo(receipts)
}
