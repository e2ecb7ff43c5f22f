//! `eip2930`: an access list for each transaction.
//!
//! In: hints. Out: JSON, one element a transaction in the shape of `eth_createAccessList`'s answer; [`access_list`] is the
//! list itself. Keys only: reads and writes are not told apart. Meant to be used off the chain, for reading ahead.

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, U64};
use serde::Serialize;

use super::{BlockHints, TransactionHint, by_account, json::line};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    hash: Option<B256>,
    complete: bool,
    access_list: Vec<Item>,
    gas_used: U64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    address: Address,
    storage_keys: Vec<B256>,
}

pub(super) fn render(hints: &BlockHints) -> Vec<u8> {
    let entries: Vec<Entry> = hints.transactions.iter().map(entry).collect();
    line(&entries)
}

fn entry(hint: &TransactionHint) -> Entry {
    let items = access_list(hint).0.into_iter();
    let items = items.map(|item| Item { address: item.address, storage_keys: item.storage_keys });
    Entry {
        hash: hint.hash,
        complete: hint.is_complete(),
        access_list: items.collect(),
        gas_used: U64::from(hint.set.gas),
    }
}

/// The access list of a transaction: accounts with slots, and those whose code is looked at beside the one that it calls.
pub(super) fn access_list(hint: &TransactionHint) -> AccessList {
    let mut items = by_account(&hint.slots());
    for access in &hint.set.accounts {
        let address = access.address();
        // These two are warm from the start in every transaction.
        if Some(address) == hint.to || address == hint.from {
            continue;
        }
        if let Err(at) = items.binary_search_by_key(&address, |(other, _)| *other) {
            items.insert(at, (address, Vec::new()));
        }
    }
    let item = |(address, slots): (Address, Vec<_>)| AccessListItem {
        address,
        storage_keys: slots.into_iter().map(B256::from).collect(),
    };
    AccessList(items.into_iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use alloy_eips::eip2930::AccessList;
    use alloy_rlp::Decodable as _;

    use super::{super::interning::tests::sample, access_list};

    #[test]
    fn others_read_the_list() {
        let hints = sample();
        for hint in &hints.transactions {
            let list = access_list(hint);
            let bytes = alloy_rlp::encode(&list);
            assert_eq!(AccessList::decode(&mut bytes.as_slice()).expect("a list"), list);
            let slots: usize = list.iter().map(|item| item.storage_keys.len()).sum();
            assert_eq!(slots, hint.slots().len());
        }
    }
}
