//! `eip2930`: an access list for each transaction.
//!
//! In: hints. Out: JSON, one element a transaction in the shape of `eth_createAccessList`'s answer; [`access_list`] is the
//! list itself. Keys only: reads and writes are not told apart. What is loaded anyway when a transaction begins is left out,
//! as nodes leave it out, and what every way of the transaction touches comes before what only some do. Meant to be used off
//! the chain, for reading ahead.

use std::collections::BTreeSet;

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, U64, U256};
use revm::{
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};
use serde::Serialize;

use super::{BlockHints, TransactionHint, by_account, json::line};
use crate::access_set::AccountAccess;

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
    render_at_most(hints, None)
}

/// The same with at most so many accounts and slots in each list, those first that are touched for certain.
pub fn render_at_most(hints: &BlockHints, most: Option<usize>) -> Vec<u8> {
    let entries: Vec<Entry> = hints.transactions.iter().map(|hint| entry(hint, hints, most)).collect();
    line(&entries)
}

fn entry(hint: &TransactionHint, hints: &BlockHints, most: Option<usize>) -> Entry {
    let mut list = access_list(hint, hints);
    let is_whole = most.is_none_or(|most| cut(&mut list, most));
    let items = list.0.into_iter();
    let items = items.map(|item| Item { address: item.address, storage_keys: item.storage_keys });
    Entry {
        hash: hint.hash,
        complete: hint.is_complete() && is_whole,
        access_list: items.collect(),
        gas_used: U64::from(hint.set.gas),
    }
}

/// The access list of a transaction: accounts with slots, and those that instructions look at and that were not loaded before
/// the first, by address. Where there is more than one way, accounts whose slots are touched on all of them come first, each
/// with those slots first; then accounts without slots; then the rest.
pub(super) fn access_list(hint: &TransactionHint, hints: &BlockHints) -> AccessList {
    let possible: BTreeSet<_> = hint.set.possible.iter().copied().collect();
    let (possible, certain): (Vec<_>, Vec<_>) =
        hint.slots().into_iter().partition(|slot| possible.contains(slot));
    let mut items = by_account(&certain);
    let with_slots: BTreeSet<Address> =
        certain.iter().chain(&possible).map(|(address, _)| *address).collect();
    let bare = bare(hint, hints).into_iter().filter(|address| !with_slots.contains(address));
    items.extend(bare.map(|address| (address, Vec::new())));
    if possible.is_empty() {
        items.sort_unstable_by_key(|(address, _)| *address);
    }
    for (address, slots) in by_account(&possible) {
        match items.iter_mut().find(|(known, _)| *known == address) {
            Some((_, first)) => first.extend(slots),
            None => items.push((address, slots)),
        }
    }
    let item = |(address, slots): (Address, Vec<U256>)| AccessListItem {
        address,
        storage_keys: slots.into_iter().map(B256::from).collect(),
    };
    AccessList(items.into_iter().map(item).collect())
}

/// The accounts that instructions look at, without those that every transaction finds loaded: by EIP-2929 its sender, the one
/// that it calls and the precompiles, by EIP-3651 whom the block pays, by EIP-7702 who has signed and whose code is borrowed.
/// What it makes itself nobody has to load.
fn bare(hint: &TransactionHint, hints: &BlockHints) -> BTreeSet<Address> {
    let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(hints.spec));
    let pays = hints.beneficiary.filter(|_| hints.spec.is_enabled_in(SpecId::SHANGHAI));
    let is_warm = |address: &Address| {
        Some(*address) == hint.to
            || *address == hint.from
            || Some(*address) == pays
            || precompiles.contains(address)
            || hint.warm.binary_search(address).is_ok()
    };
    let accesses = || hint.set.accounts.iter();
    let looked_at: BTreeSet<Address> = accesses()
        .filter(|access| matches!(access, AccountAccess::BalanceRead(_) | AccountAccess::CodeRead(_)))
        .map(AccountAccess::address)
        .collect();
    let made: BTreeSet<Address> = accesses()
        .filter(|access| matches!(access, AccountAccess::CodeWrite(_)))
        .map(AccountAccess::address)
        .filter(|address| !looked_at.contains(address))
        .collect();
    accesses().map(AccountAccess::address).filter(|it| !is_warm(it) && !made.contains(it)).collect()
}

/// Leaves so many accounts and slots. False if something was left out.
fn cut(list: &mut AccessList, most: usize) -> bool {
    let mut left = most;
    let mut is_whole = true;
    for item in &mut list.0 {
        if left == 0 {
            is_whole = false;
            break;
        }
        left -= 1;
        if item.storage_keys.len() > left {
            item.storage_keys.truncate(left);
            is_whole = false;
        }
        left -= item.storage_keys.len();
    }
    let mut room = most;
    list.0.retain(|item| {
        let stays = room > 0;
        room = room.saturating_sub(1 + item.storage_keys.len());
        stays
    });
    is_whole
}

#[cfg(test)]
mod tests {
    use alloy_eips::eip2930::AccessList;
    use alloy_primitives::{Address, U256};
    use alloy_rlp::Decodable as _;
    use revm::primitives::hardfork::SpecId;

    use super::{super::interning::tests::sample, access_list, cut};
    use crate::access_set::AccountAccess;

    #[test]
    fn others_read_the_list() {
        let hints = sample();
        for hint in &hints.transactions {
            let list = access_list(hint, &hints);
            let bytes = alloy_rlp::encode(&list);
            assert_eq!(AccessList::decode(&mut bytes.as_slice()).expect("a list"), list);
            let slots: usize = list.iter().map(|item| item.storage_keys.len()).sum();
            assert_eq!(slots, hint.slots().len());
        }
    }

    /// A hint that touches accounts of every kind, and the block's hints around it.
    fn touching(spec: SpecId) -> Vec<Address> {
        let account = Address::with_last_byte;
        let mut hints = sample();
        hints.spec = spec;
        hints.beneficiary = Some(account(0xcb));
        let mut hint = hints.transactions[0].clone();
        hint.warm = vec![account(0xa1), account(0xa2)];
        hint.set.accounts = vec![
            AccountAccess::BalanceRead(account(0x44)),
            AccountAccess::BalanceRead(account(0xcb)),
            AccountAccess::BalanceCredit(account(0x45)),
            AccountAccess::NonceWrite(account(0xa1)),
            AccountAccess::CodeRead(account(0x04)),
            AccountAccess::CodeRead(Address::left_padding_from(&[1, 0])),
            AccountAccess::CodeRead(account(0xa2)),
            AccountAccess::CodeRead(account(0x46)),
            AccountAccess::CodeWrite(account(0xa1)),
            // Made by the transaction.
            AccountAccess::CodeWrite(account(0x47)),
        ];
        access_list(&hint, &hints)
            .0
            .into_iter()
            .filter(|it| it.storage_keys.is_empty())
            .map(|it| it.address)
            .collect()
    }

    #[test]
    fn what_is_loaded_anyway_is_left_out() {
        let account = Address::with_last_byte;
        let expected = [account(0x44), account(0x45), account(0x46)];
        assert_eq!(touching(SpecId::OSAKA), expected);
        // P256VERIFY is a precompile since Osaka, whom the block pays is loaded since Shanghai.
        let verify = Address::left_padding_from(&[1, 0]);
        assert_eq!(touching(SpecId::PRAGUE), [&expected[..], &[verify]].concat());
        let berlin = touching(SpecId::BERLIN);
        assert!(berlin.contains(&account(0xcb)) && !berlin.contains(&account(0x04)), "{berlin:?}");
    }

    #[test]
    fn what_is_certain_comes_first_and_stays() {
        let mut hints = sample();
        let account = |number: u8| Address::with_last_byte(number);
        let set = &mut hints.transactions[0].set;
        set.reads = vec![
            (account(20), U256::from(1)),
            (account(20), U256::from(2)),
            (account(30), U256::from(1)),
            (account(31), U256::from(1)),
        ];
        set.writes.clear();
        set.possible = vec![(account(20), U256::from(1)), (account(30), U256::from(1))];
        set.accounts.push(AccountAccess::CodeRead(account(0x99)));
        let whole = access_list(&hints.transactions[0], &hints);
        let shape = |list: &AccessList| -> Vec<(u8, Vec<u8>)> {
            let keys = |it: &alloy_eips::eip2930::AccessListItem| {
                it.storage_keys.iter().map(|key| key.0[31]).collect()
            };
            list.iter().map(|it| (it.address.0[19], keys(it))).collect()
        };
        let all = [(20, vec![2, 1]), (31, vec![1]), (0x99, vec![]), (30, vec![1])];
        assert_eq!(shape(&whole), all);
        let at_most = |most| {
            let mut list = whole.clone();
            let is_whole = cut(&mut list, most);
            (shape(&list), is_whole)
        };
        assert_eq!(at_most(8), (all.to_vec(), true));
        assert_eq!(at_most(7), ([&all[..3], &[(30, vec![])]].concat(), false));
        assert_eq!(at_most(2), (vec![(20, vec![2])], false));
        assert_eq!(at_most(0), (vec![], false));
    }
}
