//! `reth`: what reth's `StateAccessHint` holds, which its state root task reads ahead by.
//!
//! In: hints. Out: JSON with hashed accounts, and for each hashed account the hashed slots; sorted, each once.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{BlockHints, TransactionHint, by_account, json::line};

#[derive(Serialize)]
struct Hint {
    accounts: Vec<B256>,
    storages: BTreeMap<B256, Vec<B256>>,
}

pub(super) fn render(hints: &BlockHints) -> Vec<u8> {
    line(&hint(hints))
}

fn hint(hints: &BlockHints) -> Hint {
    let mut addresses: Vec<Address> =
        hints.transactions.iter().flat_map(TransactionHint::addresses).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let hashed: FxHashMap<Address, B256> =
        addresses.iter().map(|address| (*address, keccak256(address))).collect();
    let mut slots: Vec<_> = hints.transactions.iter().flat_map(TransactionHint::slots).collect();
    slots.sort_unstable();
    slots.dedup();
    let storages = by_account(&slots).into_iter().map(|(address, slots)| {
        let mut slots: Vec<B256> = slots.into_iter().map(|slot| keccak256(B256::from(slot))).collect();
        slots.sort_unstable();
        (hashed[&address], slots)
    });
    let mut accounts: Vec<B256> = addresses.iter().map(|address| hashed[address]).collect();
    accounts.sort_unstable();
    Hint { accounts, storages: storages.collect() }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, keccak256};

    use super::{super::interning::tests::sample, hint};

    #[test]
    fn every_key_is_there_by_its_hash() {
        let hints = sample();
        let hashed = hint(&hints);
        assert!(hashed.accounts.is_sorted() && !hashed.accounts.is_empty());
        for transaction in &hints.transactions {
            assert!(hashed.accounts.contains(&keccak256(transaction.from)));
            for (address, slot) in transaction.slots() {
                assert!(hashed.storages[&keccak256(address)].contains(&keccak256(B256::from(slot))));
            }
        }
    }
}
