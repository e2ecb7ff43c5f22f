//! `prefetch`: what to read ahead for all transactions together.
//!
//! In: hints. Out: JSON, each account once with its slots, sorted; the same as `plan.prefetch` of `json`, made without a
//! plan. It needs no correctness argument: reading something that nobody needs costs a reading.

use alloy_primitives::Address;

use super::{
    BlockHints, TransactionHint, by_account,
    json::{self, line},
};

pub(super) fn render(hints: &BlockHints) -> Vec<u8> {
    let mut slots: Vec<_> = hints.transactions.iter().flat_map(TransactionHint::slots).collect();
    slots.sort_unstable();
    slots.dedup();
    let mut list = by_account(&slots);
    let mut addresses: Vec<Address> =
        hints.transactions.iter().flat_map(TransactionHint::addresses).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.retain(|address| list.binary_search_by_key(address, |(other, _)| *other).is_err());
    list.extend(addresses.into_iter().map(|address| (address, Vec::new())));
    list.sort_unstable_by_key(|(address, _)| *address);
    line(&json::prefetch(&list))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{super::interning::tests::sample, render};

    #[test]
    fn each_account_is_there_once() {
        let hints = sample();
        let list: Vec<Value> = serde_json::from_slice(&render(&hints)).expect("JSON");
        let addresses: Vec<&str> = list.iter().filter_map(|it| it["address"].as_str()).collect();
        assert!(addresses.is_sorted() && !addresses.is_empty());
        let slots: usize = list.iter().filter_map(|it| it["slots"].as_array()).map(Vec::len).sum();
        let mut expected: Vec<_> =
            hints.transactions.iter().flat_map(super::super::TransactionHint::slots).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(slots, expected.len());
    }
}
