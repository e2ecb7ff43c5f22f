//! Block access lists: what execution comes to is what clients would read, in every encoding, and the hint of its first
//! transaction lacks nothing of it.

mod corpus;

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use deconflict_executor::{
    BlockReader, BlockState, Predictor,
    block_access_list::{AccessListError, BlockAccessList, Lack, compare, execute, read, to_json, to_rlp},
    hints::{Basis, hint_block},
    record,
};
use revm::state::bal::Bal;
use serde_json::{Value, json};

use corpus::{blocks, real_blocks, workspace};

#[test]
fn lists_of_blocks_hold_what_executions_touch() {
    let mut reader = BlockReader::new(None).expect("no code file is named");
    let mut files = blocks(&workspace().join("fixtures/blocks"));
    files.extend(real_blocks());
    let predictor = Predictor::new();
    let (mut held, mut outdated) = (0, 0);
    for file in files {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let state = BlockState::new(&block);
        let count = block.transactions.len();
        let list = execute(&block, &state).unwrap_or_else(|error| panic!("{error}"));
        let bytes = to_rlp(&list);
        assert_eq!(read(&bytes, count).as_ref(), Ok(&list));
        assert_eq!(read(&to_json(&list), count).as_ref(), Ok(&list));
        // revm takes it for what it would execute on.
        assert!(Bal::try_from_alloy(list.clone()).is_ok());
        check_against_record(&block, &state, &list);
        let hints = hint_block(&block, &block.transactions, &predictor, &state, Basis::StaticAndState, None);
        let compared = compare(&list, &hints.transactions, block.header.coinbase);
        assert_eq!(compared.lacks, [], "block {}", block.number);
        // What the first transaction rests on, nobody has changed; and most rest on nothing that others change.
        assert_ne!(compared.outdated.first(), Some(&0), "block {}", block.number);
        held += hints.transactions.len() - compared.outdated.len();
        outdated += compared.outdated.len();
    }
    assert!(4 * outdated < held, "{held} hints were held against lists, and {outdated} were not");
}

/// What the recorder, which listens to instructions, says that each transaction has changed is what the list says.
fn check_against_record(block: &deconflict_executor::Block, state: &BlockState, list: &BlockAccessList) {
    let mut expected: Vec<(Address, U256, u64, U256)> = Vec::new();
    // Of an account that is gone the recorder tells what was stored before, and the list what is left.
    let mut gone = BTreeSet::new();
    record(block, state, |index, _, _, changes| {
        let at = index as u64 + 1;
        gone.extend(changes.destroyed.iter().map(|address| (*address, at)));
        expected.extend(changes.storage.iter().map(|change| (change.key.0, change.key.1, at, change.new)));
    })
    .unwrap_or_else(|error| panic!("{error}"));
    let mut found: Vec<(Address, U256, u64, U256)> = Vec::new();
    for account in list {
        for slot in &account.storage_changes {
            let changes = slot.changes.iter();
            found.extend(
                changes.map(|it| (account.address, slot.slot, it.block_access_index.0, it.new_value)),
            );
        }
    }
    for list in [&mut expected, &mut found] {
        list.retain(|(address, _, at, _)| !gone.contains(&(*address, *at)));
        list.sort_unstable();
    }
    assert_eq!(found, expected, "block {}", block.number);
}

/// A list in the names of one set of clients.
fn of_clients(names: [&str; 7], number: impl Fn(u64) -> Value) -> Value {
    let [slot, changes, index, value, balance, nonce, code] = names;
    json!([{
        "address": Address::repeat_byte(7),
        "storageChanges": [{ slot: "0x1", changes: [{ index: number(1), value: "0x5" }, { index: number(3), value: "0x0" }] }],
        "storageReads": ["0x2"],
        "balanceChanges": [{ index: number(1), balance: "0x64" }],
        "nonceChanges": [{ index: number(2), nonce: "0x9" }],
        "codeChanges": [{ index: number(2), code: "0x6001" }],
    }])
}

#[test]
fn both_sets_of_names_are_read() {
    let short = of_clients(["key", "changes", "index", "value", "value", "value", "code"], |it| {
        json!(format!("{it:#x}"))
    });
    let long = of_clients(
        ["slot", "slotChanges", "blockAccessIndex", "postValue", "postBalance", "newNonce", "newCode"],
        |it| json!(format!("{it:#x}")),
    );
    let one = read(short.to_string().as_bytes(), 3).unwrap_or_else(|error| panic!("{error}"));
    let other = read(long.to_string().as_bytes(), 3).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(one, other);
    assert_eq!(one[0].storage_changes[0].changes[1].block_access_index.0, 3);
    let digits = alloy_primitives::hex::encode_prefixed(to_rlp(&one));
    assert_eq!(read(format!("{digits}\n").as_bytes(), 3), Ok(one));
}

#[test]
fn what_is_no_list_is_said() {
    let read = |bytes: &[u8]| read(bytes, 3).expect_err("it is no list");
    assert!(matches!(read(b"[{}]"), AccessListError::Json(_)));
    assert!(matches!(read(b""), AccessListError::Rlp(_)));
    assert!(matches!(read(b"{}"), AccessListError::Hexadecimal(_)));
    assert!(matches!(read(b"0xc1"), AccessListError::Rlp(_)));
    assert!(matches!(read(&[0xc0, 0x00]), AccessListError::Rlp(_)));
    let twice = of_clients(["key", "changes", "index", "value", "value", "value", "code"], |_| json!("0x2"));
    assert!(matches!(read(twice.to_string().as_bytes()), AccessListError::Rules(_)));
}

#[test]
fn what_hints_lack_is_found() {
    let mut reader = BlockReader::new(None).expect("no code file is named");
    let block = reader.read(&workspace().join("fixtures/blocks/2-tokens.json")).expect("it is committed");
    let state = BlockState::new(&block);
    let list = execute(&block, &state).expect("it is valid");
    let hints =
        hint_block(&block, &block.transactions, &Predictor::new(), &state, Basis::StaticAndState, None);
    let coinbase = block.header.coinbase;
    let outdated = compare(&list, &hints.transactions, coinbase).outdated;
    assert!(outdated.len() < hints.transactions.len() / 2, "most claim something");
    for (index, hint) in hints.transactions.iter().enumerate() {
        for at in 0..hint.set.writes.len() {
            let mut less = hints.transactions.clone();
            let (address, slot) = less[index].set.writes.remove(at);
            let lacks = compare(&list, &less, coinbase).lacks;
            let changed = list.iter().filter(|it| it.address == address).flat_map(|it| &it.storage_changes);
            let mut changes = changed.filter(|it| it.slot == slot).flat_map(|it| &it.changes);
            // Those that rest on what others have changed before claim nothing.
            let expected =
                !outdated.contains(&index) && changes.any(|it| it.block_access_index.0 == index as u64 + 1);
            let lack = Lack { transaction: Some(index), address, slot: Some(slot) };
            assert_eq!(lacks, if expected { vec![lack] } else { Vec::new() });
        }
    }
}
