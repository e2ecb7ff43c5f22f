//! Blocks as chains have them today: accounts that execution reaches by ways of their own, answers in every form that nodes
//! write, rules by the chain's schedule, and what is none of Ethereum's.
//!
//! The node is made of a scene: accounts, signed transactions, a chain. What it says of them is what executing them comes to.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::{
    Header, SignableTransaction, TxEip1559, TxEip4844, TxEip7702, TxEnvelope,
    proofs::calculate_transaction_root,
};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use deconflict_executor::{
    Account, AccountAccess, Block, BlockState, Expected, NetChanges, Predictor, Record,
    audit::{Figures, StateMode, audit_block},
    chain::{Origin, Schedule},
    execute,
    fetch::{FetchError, FetchFigures, FetchOptions, Node, NodeError, fetch_block, next_block},
    hints::recover,
    record, replay,
};
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};
use serde_json::{Value, json};

const SEPOLIA: u64 = 11_155_111;
const NUMBER: u64 = 9_000_000;
/// After the second change of blob limits on Sepolia.
const TIME: u64 = 1_770_000_000;

const CONTRACT: Address = Address::repeat_byte(0xc0);
const DELEGATE: Address = Address::repeat_byte(0xde);
const WALLET: Address = Address::repeat_byte(0x3a);
const SECOND: Address = Address::repeat_byte(0x3b);

/// Loads slot 2.
const LOADS: &[u8] = &[0x60, 0x02, 0x54, 0x50, 0x00];

struct Scene {
    block: Block,
    header: Header,
    parent: Header,
    transactions: Vec<TxEnvelope>,
    /// What the node is changed to answer.
    form: fn(&str, Value) -> Value,
}

fn key(number: u8) -> k256::ecdsa::SigningKey {
    let mut bytes = [0; 32];
    bytes[31] = number;
    k256::ecdsa::SigningKey::from_slice(&bytes).expect("a key")
}

fn who(number: u8) -> Address {
    Address::from_public_key(key(number).verifying_key())
}

fn signature(number: u8, digest: B256) -> Signature {
    let (signature, parity) = key(number).sign_prehash_recoverable(digest.as_slice()).expect("a digest");
    Signature::from((signature, parity))
}

fn sign<T: SignableTransaction<Signature>>(number: u8, transaction: T) -> TxEnvelope
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let digest = transaction.signature_hash();
    TxEnvelope::from(transaction.into_signed(signature(number, digest)))
}

/// A call without value by the account of a key.
fn call(number: u8, to: Address) -> TxEnvelope {
    sign(
        number,
        TxEip1559 {
            chain_id: SEPOLIA,
            gas_limit: 300_000,
            max_fee_per_gas: 1_000,
            to: TxKind::Call(to),
            ..TxEip1559::default()
        },
    )
}

fn authorize(number: u8, address: Address, nonce: u64) -> SignedAuthorization {
    let inner = Authorization { chain_id: U256::from(SEPOLIA), address, nonce };
    let digest = inner.signature_hash();
    inner.into_signed(signature(number, digest))
}

fn delegate(number: u8, to: Address, authorization_list: Vec<SignedAuthorization>) -> TxEnvelope {
    sign(
        number,
        TxEip7702 {
            chain_id: SEPOLIA,
            gas_limit: 300_000,
            max_fee_per_gas: 1_000,
            to,
            authorization_list,
            ..TxEip7702::default()
        },
    )
}

fn blobs(number: u8, to: Address, count: usize, most: u128) -> TxEnvelope {
    let mut hash = B256::repeat_byte(7);
    hash.0[0] = 1;
    sign(
        number,
        TxEip4844 {
            chain_id: SEPOLIA,
            gas_limit: 300_000,
            max_fee_per_gas: 1_000,
            to,
            blob_versioned_hashes: vec![hash; count],
            max_fee_per_blob_gas: most,
            ..TxEip4844::default()
        },
    )
}

fn designator(to: Address) -> Vec<u8> {
    [&[0xef, 0x01, 0x00][..], to.as_slice()].concat()
}

/// Calls an account by this instruction with nothing, and ends. Calls that can carry value carry none.
fn calls(opcode: u8, to: Address) -> Vec<u8> {
    let zeros: &[u8] = if matches!(opcode, 0xf1 | 0xf2) { &[0x5f; 5] } else { &[0x5f; 4] };
    [zeros, &[0x73], to.as_slice(), &[0x5a, opcode, 0x50, 0x00]].concat()
}

/// Applies an instruction to an address, and ends.
fn asks(opcode: u8, of: Address) -> Vec<u8> {
    [&[0x73][..], of.as_slice(), &[opcode, 0x50, 0x00]].concat()
}

impl Scene {
    /// Accounts by code and nonce; the senders have what they need.
    fn new(accounts: &[(Address, &[u8], u64)], transactions: Vec<TxEnvelope>) -> Self {
        Self::with_excess(accounts, transactions, 0)
    }

    fn with_excess(accounts: &[(Address, &[u8], u64)], transactions: Vec<TxEnvelope>, excess: u64) -> Self {
        let params = alloy_eips::eip7840::BlobParams::bpo2();
        let mut block = Block {
            number: NUMBER,
            chain_id: SEPOLIA,
            spec: SpecId::OSAKA,
            header: deconflict_executor::Header {
                coinbase: Address::repeat_byte(0xfe),
                timestamp: TIME,
                gas_limit: 30_000_000,
                base_fee: 10,
                prev_randao: Some(B256::repeat_byte(1)),
                excess_blob_gas: Some(excess),
                blob_base_fee: Some(params.calc_blob_fee(excess)),
                parent_beacon_block_root: Some(B256::repeat_byte(3)),
                ..deconflict_executor::Header::default()
            },
            expected: Expected::default(),
            block_hashes: BTreeMap::new(),
            transactions: transactions.iter().map(|it| recover(it).expect("it is signed")).collect(),
            pre_state: BTreeMap::new(),
            codes: BTreeMap::new(),
            code_absent: BTreeSet::new(),
        };
        let rich = U256::from(10).pow(U256::from(18));
        for number in 1..=9 {
            let account =
                Account { balance: rich, nonce: 0, code_hash: keccak256([]), storage: BTreeMap::new() };
            block.pre_state.insert(who(number), account);
        }
        for (address, code, nonce) in accounts {
            let code_hash = keccak256(code);
            let balance = if code.is_empty() || code.first() == Some(&0xef) { rich } else { U256::ZERO };
            let storage = BTreeMap::from([(U256::from(1), U256::from(5))]);
            block.pre_state.insert(*address, Account { balance, nonce: *nonce, code_hash, storage });
            if !code.is_empty() {
                let code = Bytecode::new_raw_checked(Bytes::copy_from_slice(code)).expect("a code");
                block.codes.insert(code_hash, code);
            }
        }
        let parent = Header { number: NUMBER - 1, timestamp: TIME - 12, ..Header::default() };
        let outcome = execute(&block, &BlockState::new(&block)).unwrap_or_else(|error| panic!("{error}"));
        let blobs: usize = block.transactions.iter().map(|it| it.env.blob_hashes.len()).sum();
        let header = Header {
            parent_hash: parent.hash_slow(),
            number: NUMBER,
            beneficiary: block.header.coinbase,
            timestamp: TIME,
            gas_limit: block.header.gas_limit,
            base_fee_per_gas: Some(block.header.base_fee),
            mix_hash: B256::repeat_byte(1),
            gas_used: outcome.gas_used,
            receipts_root: outcome.receipts_root.expect("there is one since Byzantium"),
            logs_bloom: outcome.logs_bloom,
            transactions_root: calculate_transaction_root(&transactions),
            withdrawals_root: Some(B256::repeat_byte(2)),
            excess_blob_gas: Some(excess),
            blob_gas_used: Some(blobs as u64 * 131_072),
            parent_beacon_block_root: block.header.parent_beacon_block_root,
            requests_hash: Some(B256::repeat_byte(4)),
            ..Header::default()
        };
        Self { block, header, parent, transactions, form: |_, answer| answer }
    }

    fn answer(&self, header: &Header, full: bool) -> Value {
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

    fn fetch(&self, options: FetchOptions<'_>) -> Result<(Block, FetchFigures), FetchError> {
        fetch_block(self, &NUMBER.to_string(), options, &Predictor::new(), &mut |_, _| {})
    }

    /// A snapshot, which has been executed again, and audited.
    fn right(&self) -> Block {
        let (block, figures) =
            self.fetch(FetchOptions::default()).unwrap_or_else(|error| panic!("{error:?}"));
        let rules = figures.rules.expect("it is executed by some");
        assert_eq!(rules.origin, Origin::Schedule("Sepolia".to_owned()));
        let outcome = replay(&block, &BlockState::new(&block)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(outcome.gas_used, self.header.gas_used);
        for mode in [StateMode::Exact, StateMode::BlockStart] {
            let audit = audit_block(&block, mode, &mut Predictor::new());
            let audit = audit.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(Figures::total([&audit]).unsound_txs, 0, "{:?}", audit.unsound);
        }
        block
    }

    /// What each transaction touches.
    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let take = |_, _, seen: Record, _: NetChanges| records.push(seen);
        record(&self.block, &BlockState::new(&self.block), take).unwrap_or_else(|error| panic!("{error}"));
        records
    }
}

impl Node for Scene {
    fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let first = params[0].as_str().unwrap_or_default();
        let account = first.parse().ok().and_then(|it: Address| self.block.pre_state.get(&it));
        let number = format!("{NUMBER:#x}");
        let answer = match method {
            "eth_chainId" => json!(format!("{:#x}", self.block.chain_id)),
            "eth_getBlockByNumber" if first == number || first == "latest" => {
                self.answer(&self.header, params[1] == true)
            }
            "eth_getBlockByNumber" => self.answer(&self.parent, false),
            "eth_getBalance" => json!(account.map_or(U256::ZERO, |it| it.balance)),
            "eth_getTransactionCount" => json!(U256::from(account.map_or(0, |it| it.nonce))),
            "eth_getCode" => {
                let code = account.and_then(|it| self.block.codes.get(&it.code_hash));
                json!(code.map(Bytecode::original_bytes).unwrap_or_default())
            }
            "eth_getStorageAt" => {
                let slot: U256 = params[1].as_str().and_then(|it| it.parse().ok()).expect("a slot");
                json!(B256::from(account.and_then(|it| it.storage.get(&slot)).copied().unwrap_or_default()))
            }
            _ => return Err(NodeError::Refused { code: -32601, message: "no such method".to_owned() }),
        };
        Ok((self.form)(method, answer))
    }
}

#[test]
fn whom_a_called_account_is_delegated_to_is_in_the_snapshot() {
    let code = designator(DELEGATE);
    let accounts = |contract: Vec<u8>| {
        let contract: &'static [u8] = contract.leak();
        Scene::new(
            &[(CONTRACT, contract, 1), (WALLET, designator(DELEGATE).leak(), 1), (DELEGATE, LOADS, 1)],
            vec![call(1, CONTRACT)],
        )
    };
    // CALL, CALLCODE, DELEGATECALL, STATICCALL, and by a transaction itself.
    let mut scenes: Vec<Scene> = [0xf1, 0xf2, 0xf4, 0xfa].map(|it| accounts(calls(it, WALLET))).into();
    scenes.push(Scene::new(&[(WALLET, &code, 1), (DELEGATE, LOADS, 1)], vec![call(1, WALLET)]));
    for scene in &scenes {
        let block = scene.right();
        assert_eq!(block.pre_state.get(&DELEGATE), scene_account(scene, DELEGATE), "without its storage");
        assert!(block.codes.contains_key(&keccak256(LOADS)));
        let seen = &scene.records()[0];
        assert!(seen.accounts.contains(&AccountAccess::CodeRead(DELEGATE)), "{:?}", seen.accounts);
        assert!(seen.accounts.contains(&AccountAccess::CodeRead(WALLET)));
    }
    // What is asked of a delegated account itself is no question of the other.
    for opcode in [0x3b, 0x3f, 0x31] {
        let scene = accounts(asks(opcode, WALLET));
        scene.right();
        assert!(!scene.records()[0].accounts.contains(&AccountAccess::CodeRead(DELEGATE)));
    }
}

/// The account as a snapshot has it where none of its storage is touched.
fn scene_account(scene: &Scene, address: Address) -> Option<&'static Account> {
    let account = scene.block.pre_state.get(&address)?.clone();
    Some(Box::leak(Box::new(Account { storage: BTreeMap::new(), ..account })))
}

#[test]
fn delegations_are_followed_once() {
    let accounts: &[(Address, &[u8], u64)] = &[
        (CONTRACT, calls(0xf1, WALLET).leak(), 1),
        (WALLET, designator(SECOND).leak(), 1),
        (SECOND, designator(DELEGATE).leak(), 1),
        (DELEGATE, LOADS, 1),
    ];
    let block = Scene::new(accounts, vec![call(1, CONTRACT)]).right();
    assert!(block.pre_state.contains_key(&SECOND) && !block.pre_state.contains_key(&DELEGATE));
    // A precompile, the account itself, nobody.
    for to in [Address::with_last_byte(2), WALLET, Address::repeat_byte(0x99)] {
        let accounts: &[(Address, &[u8], u64)] =
            &[(CONTRACT, calls(0xf1, WALLET).leak(), 1), (WALLET, designator(to).leak(), 1)];
        Scene::new(accounts, vec![call(1, CONTRACT), call(2, WALLET)]).right();
    }
}

#[test]
fn who_signed_an_authorization_is_in_the_snapshot() {
    // Of an account that has a nonce, so that it is refunded for; with a nonce that is not its own; of a contract.
    let counts: &[(Address, &[u8], u64)] = &[(who(7), &[], 3), (DELEGATE, LOADS, 1), (CONTRACT, LOADS, 1)];
    for (accounts, nonce) in [(counts, 3), (counts, 4), (&[(who(7), LOADS, 3), (CONTRACT, LOADS, 1)], 3)] {
        let scene = Scene::new(accounts, vec![delegate(1, CONTRACT, vec![authorize(7, DELEGATE, nonce)])]);
        let block = scene.right();
        assert_eq!(block.pre_state.get(&who(7)).map(|it| it.nonce), Some(3), "nonce {nonce}");
        assert!(scene.records()[0].accounts.contains(&AccountAccess::CodeRead(who(7))));
    }
    // Set in the block, called later, by another and by itself; and set again, and taken back.
    let accounts: &[(Address, &[u8], u64)] = &[(DELEGATE, LOADS, 1), (CONTRACT, LOADS, 1)];
    let transactions = vec![
        delegate(1, CONTRACT, vec![authorize(7, DELEGATE, 0), authorize(8, DELEGATE, 0)]),
        call(2, who(7)),
        delegate(3, who(8), vec![authorize(7, Address::ZERO, 1), authorize(8, CONTRACT, 1)]),
        call(4, who(7)),
        call(5, who(8)),
    ];
    let block = Scene::new(accounts, transactions).right();
    assert!(block.pre_state.contains_key(&DELEGATE));
}

#[test]
fn what_a_creation_meets_is_in_the_snapshot() {
    // CREATE and CREATE2 of nothing, and a load after it.
    let create: &[u8] = &[0x5f, 0x5f, 0x5f, 0xf0, 0x50, 0x60, 0x01, 0x54, 0x50, 0x00];
    let create2: &[u8] = &[0x5f, 0x5f, 0x5f, 0x5f, 0xf5, 0x50, 0x60, 0x01, 0x54, 0x50, 0x00];
    let places = [(create, CONTRACT.create(1)), (create2, CONTRACT.create2(B256::ZERO, keccak256([])))];
    for (code, place) in places {
        let delegated = designator(DELEGATE);
        let taken: [(&[u8], u64); 3] = [(&[], 1), (LOADS, 0), (&delegated, 1)];
        for (present, nonce) in taken {
            let accounts: &[(Address, &[u8], u64)] = &[(CONTRACT, code, 1), (place, present, nonce)];
            let scene = Scene::new(accounts, vec![call(1, CONTRACT)]);
            let block = scene.right();
            assert!(block.pre_state.contains_key(&place), "{nonce}");
            assert!(scene.records()[0].accounts.contains(&AccountAccess::CodeRead(place)));
        }
        let free = Scene::new(&[(CONTRACT, code, 1)], vec![call(1, CONTRACT)]);
        assert!(free.records()[0].accounts.contains(&AccountAccess::CodeWrite(place)));
        free.right();
    }
}

#[test]
fn every_form_that_nodes_write_is_read() {
    let accounts: &[(Address, &[u8], u64)] =
        &[(CONTRACT, LOADS, 1), (WALLET, designator(DELEGATE).leak(), 1)];
    let transactions = || {
        vec![call(1, CONTRACT), delegate(2, WALLET, vec![authorize(7, CONTRACT, 0)]), blobs(3, WALLET, 2, 9)]
    };
    let expected = Scene::new(accounts, transactions()).right();
    let forms: [fn(&str, Value) -> Value; 6] = [
        // Words without zeros in front, zero as nothing.
        |method, answer| match method {
            "eth_getStorageAt" => json!(format!(
                "{:#x}",
                answer.as_str().and_then(|it| it.parse::<U256>().ok()).unwrap_or_default()
            )),
            _ if answer == json!("0x0") => json!("0x"),
            _ => answer,
        },
        // Null for nothing.
        |_, answer| {
            let zero = json!(B256::ZERO);
            if answer == json!("0x0") || answer == json!("0x") || answer == zero {
                Value::Null
            } else {
                answer
            }
        },
        // Zeros in front of numbers.
        |method, answer| match (method, answer.as_str()) {
            ("eth_getBalance" | "eth_getTransactionCount", Some(text)) => {
                json!(format!("0x00{}", &text[2..]))
            }
            _ => answer,
        },
        // No code as the number zero.
        |method, answer| if method == "eth_getCode" && answer == json!("0x") { json!("0x0") } else { answer },
        // Nothing optional in a block, and nulls for what the fork does not have.
        |method, mut answer| {
            if method == "eth_getBlockByNumber" {
                for name in ["difficulty", "mixHash", "nonce", "extraData"] {
                    let is_default = answer[name]
                        .as_str()
                        .is_some_and(|it| it.trim_start_matches("0x").trim_matches('0').is_empty());
                    if is_default {
                        answer[name] = Value::Null;
                    }
                }
                answer["slotNumber"] = Value::Null;
                for transaction in answer["transactions"].as_array_mut().into_iter().flatten() {
                    let fields = transaction.as_object_mut().expect("an object");
                    fields.retain(|name, value| {
                        *value != json!([]) && !matches!(name.as_str(), "type" | "hash" | "chainId" | "v")
                    });
                    fields.insert("gasPrice".to_owned(), Value::Null);
                    let input = fields.remove("input").expect("there is one");
                    fields.insert("data".to_owned(), input);
                }
            }
            answer
        },
        // Numbers as JSON has them.
        |method, mut answer| {
            if method == "eth_getBlockByNumber" {
                answer["timestamp"] = json!(
                    u64::from_str_radix(
                        answer["timestamp"].as_str().expect("text").trim_start_matches("0x"),
                        16
                    )
                    .expect("a number")
                );
                answer["baseFeePerGas"] = answer["baseFeePerGas"]
                    .as_str()
                    .map_or(Value::Null, |it| json!(format!("0x00{}", &it[2..])));
            }
            answer
        },
    ];
    for (index, form) in forms.into_iter().enumerate() {
        let scene = Scene { form, ..Scene::new(accounts, transactions()) };
        assert_eq!(scene.right(), expected, "form {index}");
    }
    let lies: fn(&str, Value) -> Value = |method, mut answer| {
        if method == "eth_getBlockByNumber" && answer["transactions"][0].is_object() {
            answer["transactions"][0]["hash"] = json!(B256::repeat_byte(9));
        }
        answer
    };
    let error = Scene { form: lies, ..Scene::new(accounts, transactions()) }.fetch(FetchOptions::default());
    assert!(
        matches!(error, Err(FetchError::Contradiction { .. })),
        "the root does not hold hashes: {error:?}"
    );
}

#[test]
fn blob_fees_are_those_of_the_chain_and_the_time() {
    // By EIP-4844 with the fraction of the second change: 1 * e ** (excess / 11684671).
    for (excess, fee) in [(0, 1), (50_000_000, 72), (100_000_000, 5_209)] {
        let accounts: &[(Address, &[u8], u64)] = &[(CONTRACT, LOADS, 1)];
        let scene = Scene::with_excess(accounts, vec![blobs(1, CONTRACT, 1, 1_000_000)], excess);
        let block = scene.right();
        assert_eq!(block.header.blob_base_fee, Some(fee));
        assert_eq!(block.header.max_blobs, Some(21));
    }
}

#[test]
fn the_next_block_has_the_blob_fee_that_follows() {
    let next = |excess: u64, count: usize, base_fee: u64| {
        let accounts: &[(Address, &[u8], u64)] = &[(CONTRACT, LOADS, 1)];
        let transactions = if count == 0 { vec![] } else { vec![blobs(1, CONTRACT, count, 1_000_000)] };
        let mut scene = Scene::new(accounts, transactions);
        scene.header.excess_blob_gas = Some(excess);
        scene.header.base_fee_per_gas = Some(base_fee);
        let next = next_block(&scene, FetchOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(next.rules.to_string(), "Osaka with the blobs of BPO2, by the schedule of Sepolia");
        next.block.header.excess_blob_gas
    };
    let blob = 131_072;
    assert_eq!(next(0, 0, 10), Some(0));
    // Below the target of 14 it falls by what is missing.
    assert_eq!(next(20 * blob, 6, 10), Some(12 * blob));
    // Where execution is dear, EIP-7918 lets it rise by a third of what was used.
    assert_eq!(next(20 * blob, 6, 1_000_000_000), Some(22 * blob));
    // Whatever a node says.
    assert!(next(u64::MAX, 6, u64::MAX).is_some());
}

#[test]
fn rules_that_are_not_known_are_never_others() {
    let accounts: &[(Address, &[u8], u64)] = &[(CONTRACT, LOADS, 1)];
    let scene = || Scene::new(accounts, vec![call(1, CONTRACT)]);
    let later = |change: fn(&mut Header)| {
        let mut scene = scene();
        change(&mut scene.header);
        let named = FetchOptions { spec: Some(SpecId::OSAKA), ..FetchOptions::default() };
        for options in [FetchOptions::default(), named] {
            let fetched =
                scene.fetch(options).expect_err("it is one of a fork that is not known").to_string();
            let next = next_block(&scene, options).expect_err("likewise").to_string();
            assert!(fetched.contains("Amsterdam") && next.contains("Amsterdam"), "{fetched} {next}");
        }
        scene.fetch(FetchOptions::default()).expect_err("as above").to_string()
    };
    let both = later(|it| {
        it.block_access_list_hash = Some(B256::repeat_byte(5));
        it.slot_number = Some(16);
    });
    assert!(both.contains("`blockAccessListHash`") && both.contains("`slotNumber`"), "{both}");
    assert!(later(|it| it.slot_number = Some(16)).contains("`slotNumber`"));
    // By the date alone, too, but where somebody says what it is.
    let mut dated = scene();
    dated.header.timestamp = 1_791_294_816;
    let error = dated.fetch(FetchOptions::default()).expect_err("it is after Amsterdam").to_string();
    assert!(error.contains("Sepolia") && error.contains("Amsterdam"), "{error}");
    let strange: fn(&str, Value) -> Value = |method, mut answer| {
        if method == "eth_getBlockByNumber" {
            answer["inclusionListHash"] = json!(B256::repeat_byte(8));
            answer["hash"] = json!(B256::repeat_byte(6));
        }
        answer
    };
    let error = Scene { form: strange, ..scene() }.fetch(FetchOptions::default()).expect_err("no");
    assert!(error.to_string().contains("`inclusionListHash`"), "{error}");
}

#[test]
fn schedules_of_files_are_followed() {
    let list = |forks: Value| {
        let list = json!({ "chain_id": SEPOLIA, "name": "ours", "forks": forks });
        Schedule::from_list(list.to_string().as_bytes(), "file").unwrap_or_else(|error| panic!("{error}"))
    };
    let accounts: &[(Address, &[u8], u64)] = &[(CONTRACT, LOADS, 1)];
    let scene = Scene::new(accounts, vec![call(1, CONTRACT)]);
    let schedule = list(json!([{ "fork": "prague", "timestamp": 0 }]));
    let options = FetchOptions { schedule: Some(&schedule), ..FetchOptions::default() };
    let (block, figures) = scene.fetch(options).unwrap_or_else(|error| panic!("{error}"));
    let rules = figures.rules.expect("it is executed by some");
    assert_eq!((block.spec, rules.to_string().as_str()), (SpecId::PRAGUE, "Prague, by the schedule of ours"));
    let next = next_block(&scene, options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(next.block.spec, SpecId::PRAGUE);
    let mut other = schedule.clone();
    other.chain_id = 5;
    let options = FetchOptions { schedule: Some(&other), ..FetchOptions::default() };
    assert!(matches!(scene.fetch(options), Err(FetchError::OtherSchedule { of: 5, chain_id: SEPOLIA, .. })));
    // Without any, it is a guess and called one.
    let mut unknown = Scene::new(accounts, vec![]);
    unknown.block.chain_id = 77_777;
    let (_, figures) = unknown.fetch(FetchOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    assert!(figures.rules.expect("some").to_string().contains("a guess"));
}

#[test]
fn transactions_of_other_chains_are_named() {
    let accounts: &[(Address, &[u8], u64)] = &[(CONTRACT, LOADS, 1)];
    let message = |form: fn(&str, Value) -> Value| {
        let scene = Scene { form, ..Scene::new(accounts, vec![call(1, CONTRACT)]) };
        scene.fetch(FetchOptions::default()).expect_err("it is none of Ethereum's").to_string()
    };
    let error = message(|method, mut answer| {
        if method == "eth_getBlockByNumber" {
            answer["transactions"][0]["type"] = json!("0x7e");
        }
        answer
    });
    assert!(
        error.contains("transaction 0") && error.contains("OP-stack") && error.contains("types 0 to 4"),
        "{error}"
    );
    let error = message(|method, mut answer| {
        if method == "eth_chainId" {
            return json!("0xa4b1");
        }
        if method == "eth_getBlockByNumber" {
            answer["transactions"][0]["type"] = json!("0x6a");
        }
        answer
    });
    assert!(error.contains("Arbitrum"), "{error}");
    let error = message(|method, mut answer| {
        if method == "eth_getBlockByNumber" {
            answer["transactions"][0]["type"] = json!("0x3");
            answer["transactions"][0]["to"] = Value::Null;
        }
        answer
    });
    assert!(error.contains("EIP-4844"), "{error}");
}
