//! A block executor for nodes that are built on alloy-evm: Ethereum's own, with the transactions run on several threads.
//!
//! In: alloy-evm's `EthBlockExecutor`, with its EVM and database. Out: the same receipts, requests, gas and state, by the
//! same trait. System calls, withdrawals and rewards stay alloy-evm's work, as do transactions that are executed one by
//! one; a whole block handed to [`BlockExecutor::execute_block`] is run by Deconflict.

mod database;
mod error;
mod executor;

pub use executor::ParallelBlockExecutor;

#[cfg(doc)]
use alloy_evm::block::BlockExecutor;
