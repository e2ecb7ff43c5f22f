//! Hints of whole blocks: what every format says is what was predicted, and others can read it.

mod corpus;

use std::{collections::BTreeSet, fs};

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, Signature, TxKind, U256, address, hex, keccak256};
use deconflict_executor::{
    Block, BlockReader, BlockState, Predictor,
    hints::{
        Basis, BlockHints, FORMATS, Format, RawError, Senders, Which, export_templates, hint_block,
        parse_lines, read_binary,
    },
};
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};
use serde_json::Value;

use corpus::{blocks, real_blocks, workspace};

fn all_blocks() -> Vec<Block> {
    let mut reader = BlockReader::new(None).expect("no code file is named");
    let mut files = blocks(&workspace().join("fixtures/blocks"));
    files.extend(real_blocks());
    files.iter().map(|file| reader.read(file).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn hints(block: &Block, predictor: &Predictor) -> BlockHints {
    let state = BlockState::new(block);
    hint_block(block, &block.transactions, predictor, &state, Basis::StaticAndState, Some(8))
}

/// Hints as the binary layout has them: without what only access lists need.
fn without_what_lists_need(hints: &BlockHints) -> BlockHints {
    let mut hints = BlockHints { beneficiary: None, ..hints.clone() };
    for hint in &mut hints.transactions {
        hint.warm.clear();
        hint.set.possible.clear();
    }
    hints
}

fn render(hints: &BlockHints, name: &str) -> Vec<u8> {
    let format = Format::named(name).expect("it is in the list");
    format.render(hints).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn templates_fit_their_schema_and_are_what_their_hashes_name() {
    let schema = fs::read_to_string(workspace().join("docs/schemas/templates.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("it is committed")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut reader = BlockReader::new(None).expect("no code file is named");
    let mut files = blocks(&workspace().join("fixtures/blocks"));
    // Some of the real blocks: their codes take long where nothing is optimised.
    files.extend(real_blocks().into_iter().step_by(15));
    for file in files {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let codes: Vec<_> = block.codes.values().map(Bytecode::original_bytes).collect();
        let (bytes, hash) = export_templates(&codes);
        assert_eq!(hash, keccak256(&bytes));
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        if let Err(error) = validator.validate(&document) {
            panic!("block {}: {error} at {}", block.number, error.instance_path());
        }
        // The text of a template is what its hash is of, which needs no reader of ours to be seen.
        let text = String::from_utf8(bytes).expect("text");
        let mut rest = text.as_str();
        let mut named = BTreeSet::new();
        while let Some((_, after)) = rest.split_once(r#"{"content":"0x"#) {
            let (content, after) = after.split_once(r#"","template":"#).expect("a template follows");
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
            let template = values.next().expect("there is one").expect("JSON");
            let length = values.byte_offset();
            assert_eq!(hex::encode(keccak256(&after[..length])), content);
            named.insert(template["code_hash"].as_str().map(ToOwned::to_owned));
            rest = &after[length..];
        }
        let expected = codes.iter().filter(|code| !code.is_empty());
        let expected: BTreeSet<_> = expected.map(|code| Some(keccak256(code).to_string())).collect();
        assert_eq!(named, expected);
    }
}

#[test]
fn a_transfer_is_there_as_an_expression() {
    let mut reader = BlockReader::new(None).expect("no code file is named");
    let block = reader.read(&workspace().join("fixtures/blocks/2-tokens.json")).expect("it is committed");
    let codes: Vec<_> = block.codes.values().map(Bytecode::original_bytes).collect();
    let document: Value = serde_json::from_slice(&export_templates(&codes).0).expect("JSON");
    let all = document["templates"].as_array().expect("a list");
    let mut transfers = all.iter().map(|it| &it["template"]).filter(|it| it["selector"] == "0xa9059cbb");
    let transfer = transfers.next().expect("a token has a transfer");
    let written = transfer["writes"].as_array().expect("a list").iter();
    let written: Vec<&str> = written.filter_map(|write| write["expression"].as_str()).collect();
    assert!(transfer["complete"] == true && written.iter().any(|slot| slot.contains("caller")), "{transfer}");
    assert!(written.iter().any(|slot| slot.contains("arg0")), "{written:?}");
}

#[test]
fn every_document_fits_the_schema_and_says_what_the_binary_says() {
    let schema =
        fs::read_to_string(workspace().join("docs/schemas/hints.schema.json")).expect("it is committed");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let predictor = Predictor::new();
    for block in all_blocks() {
        let hints = hints(&block, &predictor);
        let text = render(&hints, "json");
        let document: Value = serde_json::from_slice(&text).expect("JSON");
        if let Err(error) = validator.validate(&document) {
            panic!("block {}: {error} at {}", block.number, error.instance_path());
        }
        let txs = document["txs"].as_array().expect("a list");
        assert_eq!(txs.len(), block.transactions.len());
        let lines: Vec<Value> = String::from_utf8(render(&hints, "jsonl"))
            .expect("text")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(&lines, txs);
        let bytes = render(&hints, "bin");
        assert_eq!(read_binary(&bytes), Ok(without_what_lists_need(&hints)), "block {}", block.number);
        assert!(bytes.len() < text.len() / 3, "{} bytes against {} of JSON", bytes.len(), text.len());
        let accesses: usize = hints.transactions.iter().map(|hint| hint.slots().len()).sum();
        let allowed = hints.transactions.len() * 250 + accesses * 45 + 2_000;
        assert!(bytes.len() < allowed, "block {}: {} bytes for {accesses} slots", block.number, bytes.len());
        for format in &FORMATS {
            assert!(!render(&hints, format.name).is_empty(), "{}", format.name);
        }
        check_plan(&hints);
    }
}

/// A plan orders what it says that it orders: whoever reads a slot waits for all who write it.
fn check_plan(hints: &BlockHints) {
    let plan = hints.plan.as_ref().expect("it was asked for");
    let mut earlier: Vec<BTreeSet<u32>> = Vec::new();
    for (index, hint) in hints.transactions.iter().enumerate() {
        let direct = &plan.dependencies[index];
        let all = direct.iter().flat_map(|other| &earlier[*other as usize]).chain(direct);
        let all: BTreeSet<u32> = all.copied().collect();
        let read: BTreeSet<_> = hint.slots().into_iter().collect();
        for (other, before) in hints.transactions[..index].iter().enumerate() {
            let meets = before.set.writes.iter().any(|slot| read.contains(slot));
            if meets {
                assert!(all.contains(&(other as u32)), "{index} of {other}");
            }
        }
        earlier.push(all);
    }
    let mut listed: Vec<u32> = plan.lanes.iter().flatten().copied().collect();
    listed.sort_unstable();
    assert_eq!(listed, (0..hints.transactions.len() as u32).collect::<Vec<_>>());
    assert!(plan.critical_path_gas <= plan.gas);
}

#[test]
fn hints_are_the_same_by_any_number_of_threads() {
    let block = all_blocks().remove(3);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| hints(&block, &Predictor::new()))
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn formats_about_a_plan_say_that_there_is_none() {
    let block = all_blocks().remove(0);
    let mut hints = hints(&block, &Predictor::new());
    hints.plan = None;
    for format in &FORMATS {
        let rendered = format.render(&hints);
        assert_eq!(rendered.is_err(), format.needs_plan, "{}", format.name);
    }
}

/// Signs a digest with a key of small numbers.
fn sign(key: u8, digest: &[u8; 32]) -> (Signature, Address) {
    let mut bytes = [0; 32];
    bytes[31] = key;
    let key = k256::ecdsa::SigningKey::from_slice(&bytes).expect("a key");
    let (signature, parity) = key.sign_prehash_recoverable(digest).expect("a digest");
    (Signature::from((signature, parity)), Address::from_public_key(key.verifying_key()))
}

/// The order of the group that signatures are made in.
const SECP256K1_ORDER: U256 = U256::from_limbs([
    0xbfd2_5e8c_d036_4141,
    0xbaae_dce6_af48_a03b,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
]);

fn raw(key: u8, nonce: u64, chain_id: u64) -> (String, Address) {
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(1)),
        value: U256::from(7),
        ..TxEip1559::default()
    };
    let (signature, sender) = sign(key, &transaction.signature_hash());
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    (hex::encode_prefixed(envelope.encoded_2718()), sender)
}

/// A block of the main net under these rules.
fn block_of(spec: SpecId) -> Block {
    let file = workspace().join("fixtures/blocks/1-transfers.json");
    let block = BlockReader::default().read(&file).unwrap_or_else(|error| panic!("{error}"));
    Block { chain_id: 1, spec, ..block }
}

#[test]
fn senders_are_recovered() {
    let lines: Vec<(String, Address)> = (1..60).map(|key| raw(key, u64::from(key), 1)).collect();
    let text: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
    let transactions =
        parse_lines(&format!("# a comment\n\n{}\n", text.join("\n")), &block_of(SpecId::OSAKA))
            .expect("all are right");
    assert_eq!(transactions.len(), lines.len());
    for ((text, sender), transaction) in lines.iter().zip(&transactions) {
        assert_eq!(transaction.env.caller, *sender);
        let bytes = hex::decode(text).expect("digits");
        assert_eq!(transaction.hash, Some(keccak256(&bytes)));
        assert_eq!((transaction.env.gas_price, transaction.env.gas_priority_fee), (10, Some(1)));
    }
}

#[test]
fn the_example_of_eip_155_has_its_sender() {
    let text = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc\
                2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1\
                966a3b6d83";
    let transactions = parse_lines(text, &block_of(SpecId::OSAKA)).expect("it is right");
    let env = &transactions[0].env;
    assert_eq!(env.caller, address!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"));
    assert_eq!((env.nonce, env.gas_limit, env.gas_price), (9, 21_000, 20_000_000_000));
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let (good, sender) = raw(1, 0, 1);
    let error = |text: &str| parse_lines(text, &block_of(SpecId::SHANGHAI)).expect_err("something is wrong");
    let in_second = |line: &str| error(&format!("{good}\n{line}"));
    assert!(matches!(in_second("0xzz"), RawError::NotHexadecimal { at: Which::Line(2), .. }));
    assert!(matches!(in_second("0x02c0"), RawError::Malformed { at: Which::Line(2), .. }));
    assert!(matches!(in_second(&format!("{good}00")), RawError::Malformed { at: Which::Line(2), .. }));
    assert!(matches!(in_second(&good[..60]), RawError::Malformed { at: Which::Line(2), .. }));
    assert!(matches!(
        in_second(&raw(2, 0, 5).0),
        RawError::OtherChain { at: Which::Line(2), found: 5, expected: 1 }
    ));
    assert!(matches!(
        in_second(&raw(1, 0, 1).0),
        RawError::SameNonce { at: Which::Line(2), other: Which::Line(1), sender: found, nonce: 0 } if found == sender
    ));
    let legacy = TxLegacy { gas_limit: 21_000, ..TxLegacy::default() };
    let unsigned = legacy.into_signed(Signature::new(U256::ZERO, U256::ZERO, false));
    let bytes = hex::encode(TxEnvelope::from(unsigned).encoded_2718());
    assert_eq!(in_second(&bytes), RawError::BadSignature { at: Which::Line(2) });
    assert!(in_second(&bytes).to_string().starts_with("line 2: "));
    // The other signature that the curve has for every one is not valid by the rules of Ethereum.
    let legacy = TxLegacy { gas_limit: 21_000, chain_id: Some(1), ..TxLegacy::default() };
    let (low, _) = sign(3, &legacy.signature_hash());
    let high = Signature::new(low.r(), SECP256K1_ORDER - low.s(), !low.v());
    let bytes =
        |signature| hex::encode(TxEnvelope::from(legacy.clone().into_signed(signature)).encoded_2718());
    assert!(parse_lines(&bytes(low), &block_of(SpecId::OSAKA)).is_ok());
    assert_eq!(in_second(&bytes(high)), RawError::BadSignature { at: Which::Line(2) });
    let early = parse_lines(&good, &block_of(SpecId::BERLIN)).expect_err("there is no such type yet");
    assert!(matches!(early, RawError::OtherFork { at: Which::Line(1), kind: 2, .. }), "{early}");
}

#[test]
fn senders_that_are_remembered_are_those_that_signed() {
    let senders = Senders::new(100);
    for key in (1..20).chain(1..20) {
        let (text, sender) = raw(key, 3, 1);
        let mut bytes = hex::decode(text).expect("digits");
        let transaction = senders.parse(&bytes).expect("it is signed");
        assert_eq!((transaction.env.caller, transaction.hash), (sender, Some(keccak256(&bytes))));
        // Another signature is another transaction, whoever came before.
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(senders.parse(&bytes).map_or(true, |other| other.env.caller != sender));
    }
}
