//! What a node's `prestateTracer` answers.
//!
//! In: the traces of a block. Out: for each transaction the accounts as it found them, in whatever form numbers are written;
//! nothing where the answer has another shape, as that of a tracer that is called the same.

use alloy_primitives::{Address, Bytes, U256};
use serde_json::Value;

use super::forms;

pub(super) struct TracedAccount {
    pub(super) address: Address,
    pub(super) balance: U256,
    pub(super) nonce: u64,
    pub(super) code: Bytes,
    pub(super) storage: Vec<(U256, U256)>,
}

/// The accounts of each transaction, in the order of their addresses.
pub(super) fn read(answer: &Value) -> Option<Vec<Vec<TracedAccount>>> {
    answer.as_array()?.iter().map(|trace| accounts(&trace["result"])).collect()
}

fn accounts(answer: &Value) -> Option<Vec<TracedAccount>> {
    let mut accounts: Vec<TracedAccount> =
        answer.as_object()?.iter().map(|(address, account)| one(address, account)).collect::<Option<_>>()?;
    accounts.sort_unstable_by_key(|account| account.address);
    Some(accounts)
}

fn one(address: &str, account: &Value) -> Option<TracedAccount> {
    account.as_object()?;
    let slot = |(slot, word): (&String, &Value)| {
        Some((forms::word(&Value::from(slot.as_str())).ok()?, forms::word(word).ok()?))
    };
    let storage = match &account["storage"] {
        Value::Null => Vec::new(),
        storage => storage.as_object()?.iter().map(slot).collect::<Option<_>>()?,
    };
    Some(TracedAccount {
        address: address.parse().ok()?,
        balance: forms::word(&account["balance"]).ok()?,
        nonce: forms::short(&account["nonce"]).ok()?,
        code: forms::bytes(&account["code"]).ok()?,
        storage,
    })
}
