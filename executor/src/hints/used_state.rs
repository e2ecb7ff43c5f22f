//! `used-state`: the shape of rbuilder's `UsedStateTrace`, which it finds conflicts between orders by.
//!
//! In: hints. Out: JSON, one trace a transaction. Values are null: they are not known before the transaction runs, and
//! which keys two transactions share is enough to group them.

use alloy_primitives::{Address, B256};
use serde::Serialize;
use serde_json::Value;

use super::{BlockHints, TransactionHint, json::line};
use crate::access_set::AccountAccess;

#[derive(Serialize)]
struct Trace {
    hash: Option<B256>,
    complete: bool,
    read_slot_values: Vec<SlotValue>,
    written_slot_values: Vec<SlotValue>,
    read_balances: Vec<AccountValue>,
    received_amount: Vec<AccountValue>,
    sent_amount: Vec<AccountValue>,
    created_contracts: Vec<Address>,
    destructed_contracts: Vec<Address>,
}

#[derive(Serialize)]
struct SlotValue {
    address: Address,
    key: B256,
    /// Always null.
    value: Value,
}

#[derive(Serialize)]
struct AccountValue {
    address: Address,
    /// Always null.
    value: Value,
}

pub(super) fn render(hints: &BlockHints) -> Vec<u8> {
    line(&hints.transactions.iter().map(trace).collect::<Vec<_>>())
}

fn trace(hint: &TransactionHint) -> Trace {
    let accounts = |wanted: fn(&AccountAccess) -> Option<Address>| -> Vec<Address> {
        hint.set.accounts.iter().filter_map(wanted).collect()
    };
    let values = |addresses: Vec<Address>| -> Vec<AccountValue> {
        addresses.into_iter().map(|address| AccountValue { address, value: Value::Null }).collect()
    };
    let slots = |list: &[(Address, _)]| -> Vec<SlotValue> {
        let slot = |(address, slot): &(Address, alloy_primitives::U256)| SlotValue {
            address: *address,
            key: (*slot).into(),
            value: Value::Null,
        };
        list.iter().map(slot).collect()
    };
    let set = &hint.set;
    Trace {
        hash: hint.hash,
        complete: hint.is_complete(),
        read_slot_values: slots(&set.reads),
        written_slot_values: slots(&set.writes),
        read_balances: values(accounts(|it| match it {
            AccountAccess::BalanceRead(address) => Some(*address),
            _ => None,
        })),
        received_amount: values(accounts(|it| match it {
            AccountAccess::BalanceCredit(address) => Some(*address),
            _ => None,
        })),
        sent_amount: values(accounts(|it| match it {
            AccountAccess::BalanceDebit(address) => Some(*address),
            _ => None,
        })),
        created_contracts: accounts(|it| match it {
            AccountAccess::CodeWrite(address) => Some(*address),
            _ => None,
        }),
        // Since Cancun only what was created in the same transaction is destroyed, and that was not there before.
        destructed_contracts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{super::interning::tests::sample, render};

    #[test]
    fn keys_are_there_and_values_are_null() {
        let hints = sample();
        let traces: Vec<Value> = serde_json::from_slice(&render(&hints)).expect("JSON");
        assert_eq!(traces.len(), hints.transactions.len());
        for (trace, hint) in traces.iter().zip(&hints.transactions) {
            let list = |name: &str| trace[name].as_array().expect("a list").clone();
            assert_eq!(list("read_slot_values").len(), hint.set.reads.len());
            assert_eq!(list("written_slot_values").len(), hint.set.writes.len());
            assert!(list("read_slot_values").iter().all(|it| it["value"].is_null()));
            assert!(!list("sent_amount").is_empty());
        }
    }
}
