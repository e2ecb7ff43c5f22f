//! Predictions name the words of the block that decide them, neither more nor fewer, and the audit notices where one is
//! left out.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use deconflict_executor::{
    AccessSet, Account, Block, BlockContext, BlockReader, BlockState, EnvironmentWord, Expected, Predictor,
    Scratch, Transaction,
    audit::{BlockAudit, Environment, Predict, StateMode, audit_block_in, human, json},
};
use revm::{
    DatabaseRef,
    bytecode::{Bytecode, opcode as op},
    context::TxEnv,
    primitives::hardfork::SpecId,
};
use serde_json::Value;

const SENDER: Address = Address::repeat_byte(0x5e);
const FIRST: Address = Address::repeat_byte(0xa1);
const SECOND: Address = Address::repeat_byte(0xb2);

const TIMESTAMP: &str = "timestamp";
const NUMBER: &str = "number";
const COINBASE: &str = "coinbase";
const BASE_FEE: &str = "base_fee";

/// A block after the merge in which the first of two accounts with these codes is called once.
fn block(first: &[u8], second: &[u8]) -> Block {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/blocks/2-tokens.json");
    let mut block = BlockReader::default().read(&file).expect("it is committed");
    block.number = 1_000;
    block.spec = SpecId::OSAKA;
    block.header.base_fee = 7;
    block.header.gas_limit = 30_000_000;
    block.header.timestamp = 1_700_000_000;
    block.header.coinbase = Address::repeat_byte(0xcb);
    block.header.prev_randao = Some(B256::repeat_byte(0x77));
    block.header.excess_blob_gas = Some(0);
    block.header.blob_base_fee = Some(1);
    block.expected = Expected::default();
    block.block_hashes = (700..1_000).map(|number| (number, hash(number))).collect();
    block.codes.clear();
    block.pre_state.clear();
    for (address, code) in [(FIRST, first), (SECOND, second)] {
        let code = Bytecode::new_legacy(Bytes::copy_from_slice(code));
        let account =
            Account { balance: U256::ZERO, nonce: 1, code_hash: code.hash_slow(), storage: BTreeMap::new() };
        block.codes.insert(account.code_hash, code);
        block.pre_state.insert(address, account);
    }
    let balance = U256::from(10).pow(U256::from(20));
    let nothing = keccak256([]);
    block
        .pre_state
        .insert(SENDER, Account { balance, nonce: 0, code_hash: nothing, storage: BTreeMap::new() });
    let env = TxEnv {
        caller: SENDER,
        kind: TxKind::Call(FIRST),
        gas_limit: 600_000,
        gas_price: 10,
        chain_id: Some(block.chain_id),
        ..TxEnv::default()
    };
    block.transactions = vec![Transaction { hash: None, env }];
    block
}

fn hash(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

fn names(set: &AccessSet) -> Vec<&'static str> {
    set.depends_on_environment.iter().map(|word| word.name()).collect()
}

/// What the block's transaction is predicted to touch: by following its code, and by what was learnt from one before.
fn predictions(block: &Block) -> [AccessSet; 2] {
    let state = BlockState::new(block);
    let env = block.env();
    let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
    let tx = &block.transactions[0].env;
    let following = Predictor::new().without_recipes().predict(tx, context, &state);
    let (predictor, mut scratch) = (Predictor::new(), Scratch::default());
    // What is learnt in one block answers in another.
    let mut before = env.clone();
    before.timestamp -= U256::from(12);
    before.basefee += 1;
    before.beneficiary = Address::repeat_byte(0x33);
    before.prevrandao = Some(B256::repeat_byte(0x66));
    predictor.predict_with(&mut scratch, tx, BlockContext { env: &before, ..context }, &state);
    let learnt = predictor.predict_with(&mut scratch, tx, context, &state);
    [following, learnt]
}

/// Checks what the prediction for a block says that it depends on.
fn depends(claim: &str, block: &Block, expected: &[&str]) {
    for (set, how) in predictions(block).iter().zip(["followed", "after learning"]) {
        assert!(set.is_complete(), "{claim}, {how}: {:?}", set.incomplete);
        assert_eq!(names(set), expected, "{claim}, {how}");
    }
}

/// Stores to the slot that this code pushes.
fn stores_at(slot: &[u8]) -> Vec<u8> {
    [&[op::PUSH1, 1][..], slot, &[op::SSTORE, op::STOP]].concat()
}

const WORDS: [(u8, EnvironmentWord); 7] = [
    (op::TIMESTAMP, EnvironmentWord::Timestamp),
    (op::NUMBER, EnvironmentWord::Number),
    (op::DIFFICULTY, EnvironmentWord::PrevRandao),
    (op::COINBASE, EnvironmentWord::Coinbase),
    (op::BASEFEE, EnvironmentWord::BaseFee),
    (op::GASLIMIT, EnvironmentWord::GasLimit),
    (op::BLOBBASEFEE, EnvironmentWord::BlobBaseFee),
];

#[test]
fn each_word_that_decides_a_key_is_named() {
    for (opcode, word) in WORDS {
        depends(word.name(), &block(&stores_at(&[opcode]), &[]), &[word.name()]);
        // Also through memory, a hash and a loaded word.
        let hashed = [opcode, op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::KECCAK256];
        depends(word.name(), &block(&stores_at(&hashed), &[]), &[word.name()]);
        let byte = [opcode, op::PUSH1, 5, op::MSTORE8, op::PUSH0, op::MLOAD];
        depends(word.name(), &block(&stores_at(&byte), &[]), &[word.name()]);
        let loaded = [opcode, op::PUSH1, 3, op::SSTORE, op::PUSH1, 3, op::SLOAD];
        depends(word.name(), &block(&stores_at(&loaded), &[]), &[word.name()]);
        let transient = [opcode, op::PUSH1, 3, op::TSTORE, op::PUSH1, 3, op::TLOAD];
        depends(word.name(), &block(&stores_at(&transient), &[]), &[word.name()]);
    }
    depends("the chain", &block(&stores_at(&[op::CHAINID]), &[]), &[]);
}

#[test]
fn what_decides_no_access_is_not_named() {
    for (opcode, word) in WORDS {
        // What is stored, logged or returned decides nothing.
        let stored = [opcode, op::PUSH0, op::SSTORE, op::STOP];
        depends(word.name(), &block(&stored, &[]), &[]);
        // A guard that only reverts, as deadlines are: after it fails less is touched, never more.
        let guard = [op::PUSH0, op::CALLDATALOAD, opcode, op::LT, op::ISZERO, op::PUSH1, 10, op::JUMPI];
        let guarded =
            [&guard[..], &[op::PUSH0, op::PUSH0, op::JUMPDEST, op::PUSH1, 1, op::PUSH0, op::SSTORE]];
        let mut code = guarded.concat();
        code[8..10].copy_from_slice(&[op::PUSH0, op::PUSH0]);
        code.splice(10..10, [op::REVERT]);
        code[6] = 11;
        let block = block(&[&code[..], &[op::STOP]].concat(), &[]);
        for set in predictions(&block) {
            assert_eq!(names(&set), Vec::<&str>::new(), "{}", word.name());
            assert_eq!(set.writes, [(FIRST, U256::ZERO)], "{}", word.name());
        }
    }
}

#[test]
fn a_branch_that_decides_what_is_touched_names_its_word() {
    for (opcode, word) in WORDS {
        let code = [
            opcode,
            op::PUSH0,
            op::CALLDATALOAD,
            op::GT,
            op::PUSH1,
            10,
            op::JUMPI,
            op::PUSH0,
            op::SLOAD,
            op::STOP,
            op::JUMPDEST,
            op::PUSH1,
            9,
            op::SLOAD,
            op::STOP,
        ];
        depends(word.name(), &block(&code, &[]), &[word.name()]);
    }
}

#[test]
fn hashes_of_blocks_are_named_with_their_numbers() {
    let asked = |push: &[u8]| stores_at(&[push, &[op::BLOCKHASH]].concat());
    let parent = block(&asked(&[op::PUSH1, 1, op::NUMBER, op::SUB]), &[]);
    depends("the parent", &parent, &[NUMBER, "block_hash"]);
    for set in predictions(&parent) {
        let expected = [EnvironmentWord::Number, EnvironmentWord::BlockHash(999)];
        assert_eq!(set.depends_on_environment, expected);
        assert_eq!(set.writes, [(FIRST, hash(999).into())]);
    }
    for (number, expected) in [
        (999_u16, &[NUMBER, "block_hash"][..]),
        (744, &[NUMBER, "block_hash"]),
        // The block itself, one to come, and one that is too old: zero now, and not always.
        (1_000, &[NUMBER]),
        (1_001, &[NUMBER]),
        (743, &[NUMBER]),
    ] {
        let code = asked(&[&[op::PUSH2][..], &number.to_be_bytes()].concat());
        depends(&format!("block {number}"), &block(&code, &[]), expected);
    }
    depends("no block at all", &block(&asked(&[op::PUSH0, op::NOT]), &[]), &[]);
}

#[test]
fn prices_follow_the_base_fee_where_the_transaction_lets_them() {
    let price = stores_at(&[op::GASPRICE]);
    let balance = stores_at(&[op::CALLER, op::BALANCE]);
    let mut blobs = block(&balance, &[]);
    for code in [&price, &balance] {
        depends("a price that the transaction names", &block(code, &[]), &[]);
        let mut dynamic = block(code, &[]);
        let env = &mut dynamic.transactions[0].env;
        (env.tx_type, env.gas_priority_fee) = (2, Some(1));
        depends("a price beyond the base fee", &dynamic, &[BASE_FEE]);
        env_with_blob(&mut dynamic);
        let names = if code == &balance { &[BASE_FEE, "blob_base_fee"][..] } else { &[BASE_FEE] };
        depends("a transaction with a blob", &dynamic, names);
        blobs = dynamic;
    }
    // Whether the sender can pay what a callee asks of it: its balance is what it is less what it pays in advance.
    let pays = [&[op::PUSH0; 4][..], &[op::CALLER, op::BALANCE], &[op::PUSH1, 4, op::GAS, op::CALL]].concat();
    blobs = Block {
        transactions: blobs.transactions,
        ..block(&[&pays[..], &[op::PUSH0, op::SSTORE]].concat(), &[])
    };
    for set in predictions(&blobs) {
        assert_eq!(names(&set), [BASE_FEE, "blob_base_fee"]);
    }
    // The balance of somebody else does not.
    let other = stores_at(&[op::ADDRESS, op::BALANCE]);
    let mut block = block(&other, &[]);
    env_with_blob(&mut block);
    depends("the balance of the contract", &block, &[]);
}

fn env_with_blob(block: &mut Block) {
    let mut blob = B256::repeat_byte(0xb1);
    blob[0] = 1;
    let env = &mut block.transactions[0].env;
    (env.tx_type, env.gas_priority_fee) = (3, Some(1));
    (env.max_fee_per_blob_gas, env.blob_hashes) = (1_000, vec![blob]);
}

/// A call without value, with the word on the stack as its only input.
fn passes_on(word: u8, kind: u8) -> Vec<u8> {
    let input = [word, op::PUSH0, op::MSTORE];
    let value: &[u8] = if kind == op::CALL { &[op::PUSH0] } else { &[] };
    let call =
        [&[op::PUSH0, op::PUSH0, op::PUSH1, 32, op::PUSH0][..], value, &[op::PUSH20], SECOND.as_slice()];
    [&input[..], &call.concat(), &[op::GAS, kind, op::POP, op::STOP]].concat()
}

#[test]
fn words_go_with_calls_and_creations() {
    let callee = stores_at(&[op::PUSH0, op::CALLDATALOAD]);
    for kind in [op::CALL, op::DELEGATECALL] {
        depends("an argument", &block(&passes_on(op::TIMESTAMP, kind), &callee), &[TIMESTAMP]);
    }
    let loads = [op::PUSH0, op::CALLDATALOAD, op::SLOAD, op::STOP];
    depends("an argument", &block(&passes_on(op::TIMESTAMP, op::STATICCALL), &loads), &[TIMESTAMP]);
    // What a callee returns.
    let answers = [op::NUMBER, op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::RETURN];
    let call =
        [&[op::PUSH1, 32, op::PUSH0, op::PUSH0, op::PUSH0, op::PUSH0, op::PUSH20][..], SECOND.as_slice()];
    let asks = [&call.concat()[..], &[op::GAS, op::CALL, op::POP, op::PUSH0, op::MLOAD, op::SLOAD]].concat();
    depends("an answer", &block(&asks, &answers), &[NUMBER]);
    // The fee recipient as the one that is called, that inherits, or whose balance decides.
    let pays = [&[op::PUSH0; 5][..], &[op::COINBASE, op::GAS, op::CALL, op::POP, op::STOP]].concat();
    depends("a call of the fee recipient", &block(&pays, &[]), &[COINBASE]);
    depends("an heir", &block(&[op::COINBASE, op::SELFDESTRUCT], &[]), &[COINBASE]);
    let rich = stores_at(&[op::COINBASE, op::BALANCE]);
    depends("a balance of the fee recipient", &block(&rich, &[]), &[COINBASE]);
    // Where a contract is made, and what its code is.
    let salted = [op::TIMESTAMP, op::PUSH0, op::PUSH0, op::PUSH0, op::CREATE2, op::SLOAD];
    depends("a salt", &block(&salted, &[]), &[TIMESTAMP]);
    let made =
        [op::TIMESTAMP, op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::PUSH0, op::CREATE, op::POP];
    depends("creation code", &block(&made, &[]), &[TIMESTAMP]);
    // How much is copied, and from where.
    let copied = [op::NUMBER, op::CALLDATALOAD, op::SLOAD];
    depends("an offset", &block(&copied, &[]), &[NUMBER]);
}

#[test]
fn a_slot_number_is_named_where_the_fork_has_it() {
    let mut block = block(&stores_at(&[op::SLOTNUM]), &[]);
    block.spec = SpecId::AMSTERDAM;
    depends("the slot", &block, &["slot_number"]);
}

/// Predicts, and leaves one word of the block out of what it says that it depends on.
struct Forgets(Predictor, Option<usize>);

impl Predict for Forgets {
    fn predict<S: DatabaseRef>(&mut self, tx: &TxEnv, block: BlockContext<'_>, state: &S) -> AccessSet {
        let mut set = self.0.predict(tx, block, state);
        let forgotten = self.1.map(|number| EnvironmentWord::NAMES[number]);
        set.depends_on_environment.retain(|word| Some(word.name()) != forgotten);
        set
    }
}

fn audit(block: &Block, mode: StateMode, other: &Environment, forgotten: Option<usize>) -> BlockAudit {
    let audit = audit_block_in(block, mode, Some(other), &mut Forgets(Predictor::new(), forgotten));
    audit.unwrap_or_else(|error| panic!("{error}"))
}

/// The environment of the block, but for one word, whose number is given too.
fn others(own: &Block) -> Vec<(usize, Environment)> {
    let mut others = Vec::new();
    for number in 0..EnvironmentWord::NAMES.len() {
        let mut other = Environment::of(own);
        let env = &mut other.env;
        match EnvironmentWord::NAMES[number] {
            "timestamp" => env.timestamp += U256::from(12),
            "number" => env.number += U256::from(1),
            "prev_randao" => env.prevrandao = Some(B256::repeat_byte(0x78)),
            "coinbase" => env.beneficiary = Address::repeat_byte(0xcc),
            "base_fee" => env.basefee = 8,
            "gas_limit" => env.gas_limit += 1,
            "blob_base_fee" => {
                let blob = env.blob_excess_gas_and_price.as_mut().expect("the block has blobs");
                blob.blob_gasprice = 2;
            }
            "slot_number" => env.slot_num += 1,
            "block_hash" => {
                other.block_hashes.insert(999, B256::repeat_byte(0x99));
            }
            name => panic!("{name} is changed by nobody"),
        }
        others.push((number, other));
    }
    others
}

#[test]
fn the_audit_notices_each_word_that_is_left_out() {
    let parent = [op::PUSH2, 0x03, 0xe7, op::BLOCKHASH];
    for mode in [StateMode::Exact, StateMode::BlockStart] {
        for (opcode, word) in WORDS
            .map(|(opcode, word)| (vec![opcode], word))
            .into_iter()
            .chain([(parent.to_vec(), EnvironmentWord::BlockHash(999))])
        {
            let own = block(&stores_at(&opcode), &[]);
            for (number, other) in others(&own) {
                let names = EnvironmentWord::NAMES[number];
                let decides = names == word.name() || names == NUMBER && word.name() == "block_hash";
                let figures = audit(&own, mode, &other, None).figures;
                let expected = (0, u64::from(decides), u64::from(decides), 1);
                let found = (
                    figures.unsound_txs,
                    figures.stale_txs,
                    figures.stale_environment_txs,
                    figures.environment_txs,
                );
                assert_eq!(found, expected, "{} where {names} differs", word.name());
                if names == word.name() {
                    let forgetful = audit(&own, mode, &other, Some(number)).figures;
                    assert_eq!((forgetful.unsound_txs, forgetful.stale_txs), (1, 0), "{names}");
                }
            }
        }
    }
}

#[test]
fn reports_say_which_environment_and_how_much_depends_on_it() {
    let own = block(&stores_at(&[op::TIMESTAMP]), &[]);
    let mut other = Environment::of(&own);
    other.number = 1_234;
    other.env.timestamp += U256::from(12);
    let audit = audit(&own, StateMode::Exact, &other, None);
    let text = json::render(std::slice::from_ref(&audit), StateMode::Exact, Some(&other));
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(document["environment"], 1_234);
    assert_eq!(document["total"]["depends_on_environment"]["timestamp"], 1);
    assert_eq!(document["total"]["stale_environment_txs"], 1);
    let text = human::render(&[audit], StateMode::Exact, Some(&other));
    for line in [
        "predicted on the state just before each transaction, in the environment of block 1234",
        "1 transactions announced stale, 1 of the 1 that run code",
        "1 of them because they depend on a word in which the environment differs",
        "1 transactions depend on their environment: timestamp 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
