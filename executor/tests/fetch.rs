//! Snapshots are right or there are none: from a node that tells the truth, and from nodes that lie, fail or stall.
//!
//! The node is made of a block of signed transactions, whose header comes from executing it. It answers as clients do, key
//! by key, and can be told what to answer wrong.

use std::{collections::BTreeMap, sync::Mutex};

use alloy_consensus::{
    Header, SignableTransaction as _, TxEip1559, TxEnvelope, proofs::calculate_transaction_root,
};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use deconflict_executor::{
    Account, Block, BlockState, EnvironmentWord, Predictor, execute,
    fetch::{FetchError, FetchFigures, FetchOptions, Node, NodeError, code_of, fetch_block, next_block},
    hints::recover,
    replay,
};
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};
use serde_json::{Value, json};

/// Adds one to the slot that the address of the caller names, and calls the account whose address is in slot 0.
const CODE: [u8; 25] = hex!("33546001013355 5f5f5f5f5f 5f54 61ffff f1 50 5f5450 00 00 00");

/// Asks for the hash of the block before.
const CALLEE: [u8; 7] = hex!("60014303 40 50 00");

/// Loads the hash of the block before from the account's own storage, and reverts where there is none.
const HISTORY: [u8; 18] = hex!("60014303 611fff 90 06 54 6010 57 5f5ffd 5b 00");

const NUMBER: u64 = 500;

struct Answers {
    block: Block,
    header: Header,
    parent: Header,
    transactions: Vec<TxEnvelope>,
    /// What to answer instead, by method and the first parameters as text.
    instead: BTreeMap<String, Result<Value, NodeError>>,
    asked: Mutex<Vec<String>>,
}

fn account(code: &[u8], storage: &[(u64, U256)], balance: u64) -> (Account, Option<(B256, Bytecode)>) {
    let code_hash = keccak256(code);
    let account = Account {
        balance: U256::from(balance),
        nonce: u64::from(!code.is_empty()),
        code_hash,
        storage: storage.iter().map(|(slot, word)| (U256::from(*slot), *word)).collect(),
    };
    let code = (!code.is_empty()).then(|| (code_hash, Bytecode::new_legacy(Bytes::copy_from_slice(code))));
    (account, code)
}

/// Signs with a key of a small number.
fn sign(key: u8, transaction: TxEip1559) -> (TxEnvelope, Address) {
    let mut bytes = [0; 32];
    bytes[31] = key;
    let key = k256::ecdsa::SigningKey::from_slice(&bytes).expect("a key");
    let digest = transaction.signature_hash();
    let (signature, parity) = key.sign_prehash_recoverable(digest.as_slice()).expect("a digest");
    let signature = Signature::from((signature, parity));
    (TxEnvelope::from(transaction.into_signed(signature)), Address::from_public_key(key.verifying_key()))
}

impl Answers {
    fn new() -> Self {
        Self::of(SpecId::SHANGHAI, Address::repeat_byte(0xc0), &CODE)
    }

    /// A block whose transactions call this contract.
    fn of(spec: SpecId, contract: Address, code: &[u8]) -> Self {
        let callee = Address::repeat_byte(0xca);
        let is_prague = spec.is_enabled_in(SpecId::PRAGUE);
        let signed: Vec<(TxEnvelope, Address)> = (1..=6)
            .map(|key| {
                let to = if key % 3 == 0 { Address::repeat_byte(key) } else { contract };
                let transaction = TxEip1559 {
                    chain_id: 7,
                    gas_limit: 200_000,
                    max_fee_per_gas: 100,
                    to: TxKind::Call(to),
                    value: U256::from(key % 3 / 2),
                    ..TxEip1559::default()
                };
                sign(key, transaction)
            })
            .collect();
        let mut block = Block {
            number: NUMBER,
            chain_id: 7,
            spec,
            header: deconflict_executor::Header {
                coinbase: Address::repeat_byte(0xfe),
                timestamp: 1_000_000,
                gas_limit: 30_000_000,
                base_fee: 10,
                prev_randao: Some(B256::repeat_byte(1)),
                excess_blob_gas: is_prague.then_some(0),
                blob_base_fee: is_prague.then_some(1),
                parent_beacon_block_root: is_prague.then_some(B256::repeat_byte(3)),
                ..deconflict_executor::Header::default()
            },
            expected: deconflict_executor::Expected::default(),
            block_hashes: BTreeMap::new(),
            transactions: signed.iter().map(|(it, _)| recover(it).expect("it is signed")).collect(),
            pre_state: BTreeMap::new(),
            codes: BTreeMap::new(),
            code_absent: std::collections::BTreeSet::new(),
        };
        let mut put = |address: Address, (account, code): (Account, Option<(B256, Bytecode)>)| {
            block.pre_state.insert(address, account);
            block.codes.extend(code);
        };
        put(contract, account(code, &[(0, U256::from_be_slice(callee.as_slice()))], 0));
        put(callee, account(&CALLEE, &[], 0));
        for (_, sender) in &signed {
            put(*sender, account(&[], &[], 1_000_000_000));
        }
        let parent = Header { number: NUMBER - 1, timestamp: 999_000, ..Header::default() };
        block.block_hashes.insert(NUMBER - 1, parent.hash_slow());
        // What the client writes first is part of the execution, and not of the state after the parent.
        let mut begun = block.clone();
        if let Some(history) = begun.pre_state.get_mut(&HISTORY_STORAGE_ADDRESS) {
            history.storage.insert(U256::from(NUMBER - 1), parent.hash_slow().into());
        }
        let outcome = execute(&begun, &BlockState::new(&begun)).expect("it is valid");
        let transactions: Vec<TxEnvelope> = signed.into_iter().map(|(it, _)| it).collect();
        let header = Header {
            parent_hash: parent.hash_slow(),
            number: NUMBER,
            beneficiary: block.header.coinbase,
            timestamp: block.header.timestamp,
            gas_limit: block.header.gas_limit,
            base_fee_per_gas: Some(block.header.base_fee),
            mix_hash: B256::repeat_byte(1),
            gas_used: outcome.gas_used,
            receipts_root: outcome.receipts_root.expect("there is one since Byzantium"),
            logs_bloom: outcome.logs_bloom,
            transactions_root: calculate_transaction_root(&transactions),
            withdrawals_root: Some(B256::repeat_byte(2)),
            excess_blob_gas: is_prague.then_some(0),
            blob_gas_used: is_prague.then_some(0),
            parent_beacon_block_root: block.header.parent_beacon_block_root,
            requests_hash: is_prague.then_some(B256::repeat_byte(4)),
            ..Header::default()
        };
        Self { block, header, parent, transactions, instead: BTreeMap::new(), asked: Mutex::default() }
    }

    fn instead(mut self, of: &str, answer: Result<Value, NodeError>) -> Self {
        self.instead.insert(of.to_owned(), answer);
        self
    }

    fn block(&self, header: &Header, full: bool) -> Value {
        let mut answer = serde_json::to_value(header).expect("plain data");
        answer["hash"] = json!(header.hash_slow());
        let all = self.transactions.iter().zip(&self.block.transactions).map(|(envelope, transaction)| {
            let mut answer = serde_json::to_value(envelope).expect("plain data");
            answer["from"] = json!(transaction.env.caller);
            answer
        });
        answer["transactions"] = if full { all.collect() } else { json!([]) };
        answer
    }
}

impl Node for Answers {
    fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let first = params[0].as_str().unwrap_or_default().to_owned();
        let of = format!("{method} {first}");
        self.asked.lock().expect("nobody panics").push(of.clone());
        if let Some(answer) = self.instead.get(&of).or_else(|| self.instead.get(method)) {
            return answer.clone();
        }
        let account = || first.parse().ok().and_then(|it: Address| self.block.pre_state.get(&it));
        let refused = NodeError::Refused { code: -32601, message: "there is no such method".to_owned() };
        Ok(match method {
            "eth_chainId" => json!("0x7"),
            "eth_getBlockByNumber" if first == "0x1f4" || first == "latest" => {
                self.block(&self.header, params[1] == true)
            }
            "eth_getBlockByNumber" if first == "0x1f3" => self.block(&self.parent, false),
            "eth_getBlockByNumber" => Value::Null,
            "eth_getBalance" => json!(account().map_or(U256::ZERO, |it| it.balance)),
            "eth_getTransactionCount" => json!(U256::from(account().map_or(0, |it| it.nonce))),
            "eth_getCode" => {
                let code = account().and_then(|it| self.block.codes.get(&it.code_hash));
                json!(code.map(Bytecode::original_bytes).unwrap_or_default())
            }
            "eth_getStorageAt" => {
                let slot: U256 = params[1].as_str().and_then(|it| it.parse().ok()).expect("a slot");
                let word = account().and_then(|it| it.storage.get(&slot)).copied().unwrap_or_default();
                json!(B256::from(word))
            }
            _ => return Err(refused),
        })
    }
}

fn fetch(node: &Answers) -> Result<(Block, FetchFigures), FetchError> {
    fetch_block(node, "500", FetchOptions::default(), &Predictor::new(), &mut |_, _| {})
}

#[test]
fn a_node_that_tells_the_truth_gives_the_block() {
    let node = Answers::new();
    let (block, figures) = fetch(&node).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(block.transactions, node.block.transactions);
    replay(&block, &BlockState::new(&block)).expect("it was verified");
    for (address, account) in &node.block.pre_state {
        assert_eq!(block.pre_state.get(address).map(|it| it.balance), Some(account.balance), "{address}");
    }
    assert!(!figures.traced && figures.proved == 0 && figures.rounds >= 1);
    assert!(figures.predicted > 0, "predictions name slots before anything runs: {figures:?}");
    let mut asked = node.asked.lock().expect("nobody panics").clone();
    asked.retain(|it| it.starts_with("eth_getBalance"));
    let count = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), count, "nothing is asked for twice");
}

#[test]
fn what_the_client_writes_first_is_there() {
    let node = Answers::of(SpecId::PRAGUE, HISTORY_STORAGE_ADDRESS, &HISTORY);
    let (block, _) = fetch(&node).unwrap_or_else(|error| panic!("{error}"));
    let history = &block.pre_state[&HISTORY_STORAGE_ADDRESS];
    assert_eq!(B256::from(history.storage[&U256::from(NUMBER - 1)]), node.parent.hash_slow());
    // Where the contract has no code there is nothing to write it to.
    let node = Answers::of(SpecId::PRAGUE, Address::repeat_byte(0xc0), &CODE);
    let (block, _) = fetch(&node).unwrap_or_else(|error| panic!("{error}"));
    assert!(!block.pre_state.contains_key(&HISTORY_STORAGE_ADDRESS));
}

#[test]
fn the_next_block_follows_the_head() {
    let node = Answers::new();
    let next = next_block(&node, FetchOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((next.head, next.hash, next.block.number), (NUMBER, node.header.hash_slow(), NUMBER + 1));
    assert_eq!(next.block.header.parent_hash, Some(next.hash));
    assert_eq!((next.block.spec, next.block.chain_id), (SpecId::SHANGHAI, 7));
    assert!(next.block.header.timestamp > node.header.timestamp && next.block.header.hash.is_none());
    assert_eq!(next.assumed.computed, [EnvironmentWord::BaseFee]);
    let guessed = ["timestamp", "prev_randao", "coinbase", "gas_limit"];
    assert_eq!(next.assumed.guessed.iter().map(|word| word.name()).collect::<Vec<_>>(), guessed);
    let later = next_block(&node, FetchOptions { spec: Some(SpecId::PRAGUE), ..FetchOptions::default() })
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(later.assumed.computed, [EnvironmentWord::BaseFee, EnvironmentWord::BlobBaseFee]);
    // A block that used less than half of its gas makes the next one cheaper, by an eighth at most.
    assert!((9..=10).contains(&next.block.header.base_fee));
    let node = Answers::new().instead("eth_getBlockByNumber", Ok(Value::Null));
    assert!(matches!(next_block(&node, FetchOptions::default()), Err(FetchError::NoBlock(_))));
}

#[test]
fn lies_are_noticed() {
    let contract = Address::repeat_byte(0xc0);
    let honest = Answers::new();
    let code = format!("eth_getCode {contract:?}");
    let slot = format!("eth_getStorageAt {contract:?}");
    let lies: [(&str, Value); 4] = [
        (&code, json!("0x600160005500")),
        (&slot, json!(B256::repeat_byte(5))),
        ("eth_getCode", json!("0x")),
        ("eth_getBalance", json!("0x0")),
    ];
    for (of, lie) in lies {
        let node = Answers::new().instead(of, Ok(lie));
        let error = fetch(&node).expect_err(of);
        assert!(matches!(error, FetchError::Differs(_)), "{of}: {error}");
    }
    let other = |change: fn(&mut Value)| {
        let mut answer = honest.block(&honest.header, true);
        change(&mut answer);
        Answers::new().instead("eth_getBlockByNumber 0x1f4", Ok(answer))
    };
    let error = fetch(&other(|it| it["gasLimit"] = json!("0x5"))).expect_err("the hash is of something else");
    assert!(matches!(error, FetchError::Contradiction { .. }), "{error}");
    let parent = honest.block(&honest.parent, true);
    let error =
        fetch(&Answers::new().instead("eth_getBlockByNumber 0x1f4", Ok(parent))).expect_err("another block");
    assert!(matches!(error, FetchError::Contradiction { .. }), "{error}");
    let error = fetch(&other(|it| it["transactions"] = json!([]))).expect_err("there are transactions");
    assert!(matches!(error, FetchError::Contradiction { .. }), "{error}");
    let error = fetch(&other(|it| it["transactions"][0]["from"] = json!(Address::ZERO))).expect_err("no");
    assert!(matches!(error, FetchError::Transaction { index: 0, .. }), "{error}");
}

#[test]
fn proofs_that_prove_nothing_are_noticed() {
    let proof = json!({
        "balance": "0x5", "nonce": "0x1", "codeHash": B256::ZERO, "storageHash": B256::ZERO,
        "accountProof": ["0x01"], "storageProof": []
    });
    let error = fetch(&Answers::new().instead("eth_getProof", Ok(proof))).expect_err("it is no proof");
    assert!(matches!(error, FetchError::NotProved { .. }), "{error}");
}

#[test]
fn nodes_that_fail_are_said_to() {
    for error in [NodeError::TimedOut, NodeError::Unreachable("gone".to_owned())] {
        for method in ["eth_chainId", "eth_getBlockByNumber", "eth_getStorageAt", "debug_traceBlockByNumber"]
        {
            let node = Answers::new().instead(method, Err(error.clone()));
            let found = fetch(&node).expect_err(method);
            assert!(
                matches!(&found, FetchError::Node { problem, .. } if *problem == error),
                "{method}: {found}"
            );
        }
    }
    let node = Answers::new().instead("eth_getBlockByNumber 0x1f4", Ok(json!({ "number": 5 })));
    let error = fetch(&node).expect_err("it is no block");
    assert!(matches!(error, FetchError::Node { problem: NodeError::Malformed(_), .. }), "{error}");
    let node = Answers::new().instead("eth_getBlockByNumber 0x1f4", Ok(Value::Null));
    assert!(matches!(fetch(&node), Err(FetchError::NoBlock(_))));
}

#[test]
fn codes_are_found_behind_proxies() {
    let node = Answers::new();
    let contract = Address::repeat_byte(0xc0);
    let found = code_of(&node, contract).expect("it answers");
    assert_eq!((found.path, found.code), (vec![contract], Bytes::from_static(&CODE)));
    let minimal = hex::encode_prefixed(
        [&hex!("363d3d373d3d3d363d73")[..], contract.as_slice(), &hex!("5af43d82803e903d91602b57fd5bf3")]
            .concat(),
    );
    let proxy = Address::repeat_byte(0xab);
    let node = Answers::new().instead(&format!("eth_getCode {proxy:?}"), Ok(json!(minimal)));
    let found = code_of(&node, proxy).expect("it answers");
    assert_eq!((found.path, found.code), (vec![proxy, contract], Bytes::from_static(&CODE)));
    let slot = B256::left_padding_from(contract.as_slice());
    let node = Answers::new()
        .instead(&format!("eth_getCode {proxy:?}"), Ok(json!("0x5f5f5f5f5f5af4")))
        .instead(&format!("eth_getStorageAt {proxy:?}"), Ok(json!(slot)));
    assert_eq!(code_of(&node, proxy).expect("it answers").path, [proxy, contract]);
}
