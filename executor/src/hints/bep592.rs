//! `bep592`: the block access list of BEP-592, as BNB Smart Chain passes it on beside blocks.
//!
//! In: hints. Out: RLP of version, number, hash, signature and accounts, in hexadecimal. The signature is 65 zero bytes:
//! whoever passes the list on has to sign it. Each account and slot is named with the first transaction that touches it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{Encodable, RlpDecodable, RlpEncodable};

use super::{
    BlockHints,
    format::{FormatError, hexadecimal},
};

/// The most that clients accept, in bytes.
const LIMIT: usize = 1 << 20;

/// The version of the list.
const VERSION: u32 = 1;

#[derive(Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct List {
    version: u32,
    number: u64,
    hash: B256,
    sign_data: alloy_primitives::Bytes,
    accounts: Vec<Account>,
}

#[derive(Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Account {
    transaction: u32,
    address: Address,
    slots: Vec<Slot>,
}

#[derive(Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Slot {
    transaction: u32,
    dirty: bool,
    key: B256,
}

pub(super) fn render(hints: &BlockHints) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    list(hints).encode(&mut bytes);
    if bytes.len() > LIMIT {
        return Err(FormatError::TooLarge { format: "bep592", size: bytes.len(), limit: LIMIT });
    }
    Ok(hexadecimal(&bytes))
}

fn list(hints: &BlockHints) -> List {
    /// The first transaction that touches a slot, and whether any writes it.
    type Slots = BTreeMap<U256, (u32, bool)>;
    let mut accounts: BTreeMap<Address, (u32, Slots)> = BTreeMap::new();
    for (index, hint) in hints.transactions.iter().enumerate() {
        let index = index as u32;
        for address in hint.addresses() {
            accounts.entry(address).or_insert((index, BTreeMap::new()));
        }
        for (address, slot) in hint.slots() {
            let written = hint.set.writes.binary_search(&(address, slot)).is_ok();
            let account = accounts.entry(address).or_insert((index, BTreeMap::new()));
            account.1.entry(slot).or_insert((index, false)).1 |= written;
        }
    }
    let accounts = accounts.into_iter().map(|(address, (transaction, slots))| {
        let slot = |(key, (transaction, dirty)): (U256, _)| Slot { transaction, dirty, key: key.into() };
        Account { transaction, address, slots: slots.into_iter().map(slot).collect() }
    });
    List {
        version: VERSION,
        number: hints.number.unwrap_or_default(),
        hash: hints.hash.unwrap_or_default(),
        sign_data: vec![0; 65].into(),
        accounts: accounts.collect(),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use alloy_rlp::Decodable as _;

    use super::{super::interning::tests::sample, LIMIT, List, list, render};

    #[test]
    fn others_read_the_list() {
        let hints = sample();
        let text = render(&hints).expect("it is small");
        let bytes = hex::decode(text.trim_ascii()).expect("digits");
        let read = List::decode(&mut bytes.as_slice()).expect("a list");
        assert_eq!(read, list(&hints));
        assert_eq!(read.sign_data.len(), 65);
        let dirty: usize =
            read.accounts.iter().flat_map(|account| &account.slots).filter(|slot| slot.dirty).count();
        assert!(dirty > 0);
        assert!(bytes.len() < LIMIT);
    }

    #[test]
    fn too_much_is_said() {
        let mut hints = sample();
        let address = hints.transactions[0].from;
        hints.transactions[0].set.reads =
            (0..40_000_u32).map(|slot| (address, alloy_primitives::U256::from(slot))).collect();
        let error = render(&hints).expect_err("40,000 slots are too many");
        assert!(error.to_string().contains("1048576"), "{error}");
    }
}
