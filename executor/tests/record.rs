//! The recorder sees what an independent recording of the same blocks saw.

mod corpus;

use std::{collections::BTreeSet, io::Read as _, path::Path};

use alloy_primitives::{Address, U256};
use deconflict_executor::{BlockReader, BlockState, Change, record};
use serde::Deserialize;
use serde_json::Value;

use corpus::{data, real_blocks};

#[derive(Deserialize)]
struct Truth {
    addresses: Vec<Address>,
    slots: Vec<U256>,
    txs: Vec<TrueTransaction>,
}

#[derive(Deserialize)]
struct TrueTransaction {
    gas: u64,
    ok: u8,
    /// The sixth element is the storage's owner.
    frames: Vec<Vec<Value>>,
    /// Frame, program counter, kind, slot, count, value.
    storage: Vec<(usize, u32, u8, usize, u64, U256)>,
    net: TrueChanges,
}

#[derive(Deserialize)]
struct TrueChanges {
    storage: Vec<(usize, usize, U256, U256)>,
    balance: Vec<(usize, U256, U256)>,
    nonce: Vec<(usize, u64, u64)>,
    created: Vec<usize>,
    destroyed: Vec<usize>,
}

fn truth(number: u64) -> Truth {
    let path = data().join(format!("truth/{number}.json.zst"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = Vec::new();
    zstd::Decoder::new(file).and_then(|mut decoder| decoder.read_to_end(&mut text)).expect("a whole frame");
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compare(file: &Path, reader: &mut BlockReader) {
    let block = reader.read(file).unwrap_or_else(|error| panic!("{error}"));
    let state = BlockState::new(&block);
    let truth = truth(block.number);
    assert_eq!(truth.txs.len(), block.transactions.len());
    record(&block, &state, |index, result, record, changes| {
        let expected = &truth.txs[index];
        let place = format!("block {}, transaction {index}", block.number);
        assert_eq!((result.tx_gas_used(), result.is_success()), (expected.gas, expected.ok == 1), "{place}");

        let accesses = |kinds: [u8; 2]| -> BTreeSet<(Address, U256)> {
            let of_kind = expected.storage.iter().filter(|it| kinds.contains(&it.2));
            let owner = |frame: usize| expected.frames[frame][5].as_u64().expect("an index") as usize;
            of_kind.map(|it| (truth.addresses[owner(it.0)], truth.slots[it.3])).collect()
        };
        assert_eq!(
            record.reads.keys().copied().collect::<BTreeSet<_>>(),
            accesses([0, 2]),
            "reads of {place}"
        );
        assert_eq!(
            record.writes.keys().copied().collect::<BTreeSet<_>>(),
            accesses([1, 3]),
            "writes of {place}"
        );

        let net = &expected.net;
        let address = |index: &usize| truth.addresses[*index];
        let storage = net.storage.iter().map(|(owner, slot, old, new)| Change {
            key: (address(owner), truth.slots[*slot]),
            old: *old,
            new: *new,
        });
        assert_eq!(changes.storage, storage.collect::<Vec<_>>(), "storage after {place}");
        let nonces =
            net.nonce.iter().map(|(owner, old, new)| Change { key: address(owner), old: *old, new: *new });
        let of_living: Vec<_> =
            changes.nonces.iter().filter(|it| !changes.destroyed.contains(&it.key)).copied().collect();
        let nonces: Vec<_> = nonces.filter(|it| !changes.destroyed.contains(&it.key)).collect();
        assert_eq!(of_living, nonces, "nonces after {place}");
        let balances =
            net.balance.iter().map(|(owner, old, new)| Change { key: address(owner), old: *old, new: *new });
        let of_living: Vec<_> =
            changes.balances.iter().filter(|it| !changes.destroyed.contains(&it.key)).copied().collect();
        assert_eq!(of_living, balances.collect::<Vec<_>>(), "balances after {place}");
        assert_eq!(changes.created, net.created.iter().map(address).collect::<Vec<_>>(), "{place}");
        assert_eq!(changes.destroyed, net.destroyed.iter().map(address).collect::<Vec<_>>(), "{place}");
    })
    .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn accesses_and_changes_are_those_of_an_independent_recording() {
    let mut reader = BlockReader::default();
    for file in real_blocks() {
        compare(&file, &mut reader);
    }
}
