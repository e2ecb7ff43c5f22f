//! The state tests of ethereum/tests, as blocks.
//!
//! In: one JSON file of them. Out: a block for each case, with what it has to come to.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use deconflict_executor::{Account, Block, Expected, Header, Transaction};
use revm::{
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::{
        block::BlobExcessGasAndPrice,
        transaction::{AccessList, AccessListItem},
    },
    primitives::{eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_CANCUN, hardfork::SpecId},
};
use serde_json::Value;

/// A case: a block with one transaction, and what it comes to.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) block: Block,
    /// The root of the state afterwards.
    pub(crate) root: B256,
    /// The hash of the logs.
    pub(crate) logs: B256,
    /// Whether the transaction must not be part of a block.
    pub(crate) is_invalid: bool,
}

/// All cases of a file; those that the types of this crate cannot even hold, because a number is too large, are counted.
pub(crate) fn cases(file: &str, json: &[u8]) -> (Vec<Case>, usize) {
    let tests: BTreeMap<String, Value> =
        serde_json::from_slice(json).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (mut all, mut unfit) = (Vec::new(), 0);
    for (test, value) in &tests {
        for (fork, posts) in value["post"].as_object().into_iter().flatten() {
            let Some(spec) = spec(fork) else { panic!("{file}: there is no fork called {fork}") };
            for (number, post) in posts.as_array().into_iter().flatten().enumerate() {
                let name = format!("{file} {test} {fork} {number}");
                match case(name, value, post, spec) {
                    Some(case) => all.push(case),
                    None => unfit += 1,
                }
            }
        }
    }
    (all, unfit)
}

fn spec(fork: &str) -> Option<SpecId> {
    Some(match fork {
        "Frontier" => SpecId::FRONTIER,
        "Homestead" => SpecId::HOMESTEAD,
        "EIP150" => SpecId::TANGERINE,
        "EIP158" => SpecId::SPURIOUS_DRAGON,
        "Byzantium" => SpecId::BYZANTIUM,
        "ConstantinopleFix" | "Constantinople" => SpecId::PETERSBURG,
        "Istanbul" => SpecId::ISTANBUL,
        "Berlin" => SpecId::BERLIN,
        "London" => SpecId::LONDON,
        "Merge" | "Paris" => SpecId::MERGE,
        "Shanghai" => SpecId::SHANGHAI,
        "Cancun" => SpecId::CANCUN,
        _ => return None,
    })
}

fn case(name: String, test: &Value, post: &Value, spec: SpecId) -> Option<Case> {
    let env = &test["env"];
    let since = |fork: SpecId| spec.is_enabled_in(fork);
    let number = u64_of(&env["currentNumber"])?;
    let excess_blob_gas = since(SpecId::CANCUN).then(|| u64_of(&env["currentExcessBlobGas"]).unwrap_or(0));
    let header = Header {
        coinbase: address_of(&env["currentCoinbase"])?,
        timestamp: u64_of(&env["currentTimestamp"])?,
        gas_limit: u64_of(&env["currentGasLimit"])?,
        base_fee: if since(SpecId::LONDON) { u64_of(&env["currentBaseFee"]).unwrap_or(10) } else { 0 },
        difficulty: if since(SpecId::MERGE) {
            U256::ZERO
        } else {
            word_of(&env["currentDifficulty"]).unwrap_or_default()
        },
        prev_randao: since(SpecId::MERGE)
            .then(|| B256::from(word_of(&env["currentRandom"]).unwrap_or_default())),
        excess_blob_gas,
        blob_base_fee: excess_blob_gas.map(|excess| {
            BlobExcessGasAndPrice::new(excess, BLOB_BASE_FEE_UPDATE_FRACTION_CANCUN).blob_gasprice
        }),
        ..Header::default()
    };
    let mut codes = BTreeMap::new();
    let mut pre_state = BTreeMap::new();
    for (address, account) in test["pre"].as_object()? {
        let code = bytes_of(&account["code"])?;
        let hash = keccak256(&code);
        if !code.is_empty() {
            codes.insert(hash, Bytecode::new_raw(code));
        }
        let storage = account["storage"].as_object()?.iter();
        let storage =
            storage.map(|(slot, word)| Some((word_of(&Value::from(slot.as_str()))?, word_of(word)?)));
        let storage: Option<BTreeMap<U256, U256>> = storage.collect();
        let stored = Account {
            balance: word_of(&account["balance"])?,
            nonce: u64_of(&account["nonce"])?,
            code_hash: hash,
            storage: storage?,
        };
        pre_state.insert(address.parse().ok()?, stored);
    }
    let block = Block {
        number,
        chain_id: 1,
        spec,
        // Tests take these for the hashes of earlier blocks.
        block_hashes: (number.saturating_sub(256)..number)
            .map(|number| (number, keccak256(number.to_string())))
            .collect(),
        header,
        expected: Expected::default(),
        transactions: vec![Transaction { hash: None, env: transaction(&test["transaction"], post)? }],
        pre_state,
        codes,
        code_absent: BTreeSet::new(),
    };
    Some(Case {
        name,
        block,
        root: hash_of(&post["hash"])?,
        logs: hash_of(&post["logs"])?,
        is_invalid: post.get("expectException").is_some_and(|it| !it.is_null()),
    })
}

fn transaction(transaction: &Value, post: &Value) -> Option<TxEnv> {
    let index = |name: &str| usize::try_from(post["indexes"][name].as_u64()?).ok();
    let is_there = |name: &str| transaction.get(name).is_some_and(|it| !it.is_null());
    let access_list = transaction.get("accessLists").and_then(|lists| lists.get(index("data")?));
    let access_list = access_list.filter(|list| !list.is_null());
    let tx_type = if is_there("blobVersionedHashes") || is_there("maxFeePerBlobGas") {
        3
    } else if is_there("maxFeePerGas") {
        2
    } else {
        u8::from(access_list.is_some())
    };
    let price = if tx_type >= 2 { "maxFeePerGas" } else { "gasPrice" };
    let to = transaction["to"].as_str().unwrap_or_default();
    let items = access_list.and_then(Value::as_array).into_iter().flatten();
    let items = items.map(|item| {
        let keys = item["storageKeys"].as_array()?.iter().map(|key| word_of(key).map(B256::from));
        Some(AccessListItem {
            address: address_of(&item["address"])?,
            storage_keys: keys.collect::<Option<_>>()?,
        })
    });
    let hashes = transaction["blobVersionedHashes"].as_array().into_iter().flatten();
    Some(TxEnv {
        tx_type,
        caller: address_of(&transaction["sender"])?,
        gas_limit: u64_of(&transaction["gasLimit"][index("gas")?])?,
        gas_price: u128_of(&transaction[price])?,
        kind: if to.is_empty() { TxKind::Create } else { TxKind::Call(to.parse().ok()?) },
        value: word_of(&transaction["value"][index("value")?])?,
        data: bytes_of(&transaction["data"][index("data")?])?,
        nonce: u64_of(&transaction["nonce"])?,
        chain_id: Some(1),
        access_list: AccessList(items.collect::<Option<_>>()?),
        gas_priority_fee: match transaction.get("maxPriorityFeePerGas") {
            Some(tip) => Some(u128_of(tip)?),
            None => None,
        },
        blob_hashes: hashes.map(hash_of).collect::<Option<_>>()?,
        max_fee_per_blob_gas: u128_of(&transaction["maxFeePerBlobGas"]).unwrap_or(0),
        ..TxEnv::default()
    })
}

fn word_of(value: &Value) -> Option<U256> {
    let text = value.as_str()?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() { Some(U256::ZERO) } else { U256::from_str_radix(digits, 16).ok() }
}

fn u64_of(value: &Value) -> Option<u64> {
    word_of(value)?.try_into().ok()
}

fn u128_of(value: &Value) -> Option<u128> {
    word_of(value)?.try_into().ok()
}

fn address_of(value: &Value) -> Option<Address> {
    value.as_str()?.parse().ok()
}

fn hash_of(value: &Value) -> Option<B256> {
    value.as_str()?.parse().ok()
}

fn bytes_of(value: &Value) -> Option<Bytes> {
    hex::decode(value.as_str()?).ok().map(Bytes::from)
}
