//! Blocks that are broken, incomplete or hostile end in an error that says where, and never in a panic or in silence.

mod corpus;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, TxKind, U256, keccak256};
use deconflict_executor::{
    Block, BlockError, BlockReader, BlockState, Config, ExecuteError, Executor, FormError, Mode, Predictor,
    ReplayError, check_forms, replay,
    report::{RunOptions, run_block},
    write_block,
};
use revm::{context_interface::result::InvalidTransaction, primitives::hardfork::SpecId};
use serde_json::{Value, json};

use corpus::{real_blocks, workspace};

fn generated(name: &str) -> PathBuf {
    workspace().join("fixtures/blocks").join(name)
}

fn document(name: &str) -> Value {
    serde_json::from_slice(&fs::read(generated(name)).expect("a fixture")).expect("it is JSON")
}

/// The error that a document ends in, with the causes.
fn rejected(document: &Value) -> String {
    let bytes = serde_json::to_vec(document).expect("values can be written");
    rejected_bytes(&bytes)
}

fn rejected_bytes(bytes: &[u8]) -> String {
    match BlockReader::default().parse(Path::new("case.json"), bytes) {
        Ok(_) => panic!("it was taken for a block"),
        Err(error) => error.to_string(),
    }
}

/// A change to a document, and what the error must name.
type Case = (fn(&mut Value), &'static [&'static str]);

fn remove(value: &mut Value, field: &str) {
    value.as_object_mut().expect("an object").remove(field).expect("the field is there");
}

#[test]
fn a_field_that_is_missing_or_wrong_is_named() {
    let cases: &[Case] = &[
        (|it| remove(it, "pre_state"), &["pre_state"]),
        (|it| remove(it, "transactions"), &["transactions"]),
        (|it| remove(it, "header"), &["header"]),
        (|it| remove(&mut it["header"], "coinbase"), &["header", "coinbase"]),
        (|it| it["header"]["coinbase"] = json!("0x12"), &["header.coinbase"]),
        (|it| it["header"]["timestamp"] = json!(-1), &["header.timestamp"]),
        (|it| it["header"]["prev_randao"] = Value::Null, &["header.prev_randao", "since MERGE"]),
        (|it| it["header"]["excess_blob_gas"] = Value::Null, &["header.excess_blob_gas", "since CANCUN"]),
        (|it| it["header"]["blob_base_fee"] = Value::Null, &["header.blob_base_fee"]),
        (|it| it["header"]["blob_base_fee"] = json!(U256::MAX), &["header.blob_base_fee", "128 bits"]),
        (|it| it["format"] = json!(2), &["format: it is 2"]),
        (
            |it| it["spec"] = json!("Serenity"),
            &["spec: there is no fork called `Serenity`", "Frontier", "Osaka"],
        ),
        (|it| it["transactions"][3]["type"] = json!(9), &["transactions[3]", "`type` 9"]),
        (
            |it| remove(&mut it["transactions"][3], "max_fee_per_gas"),
            &["transactions[3]", "`max_fee_per_gas`", "type 2"],
        ),
        (|it| remove(&mut it["transactions"][3], "nonce"), &["transactions[3]", "`nonce`"]),
        (|it| it["transactions"][3]["gas_limit"] = json!("0x5208"), &["transactions[3]", "invalid type"]),
        (|it| it["transactions"][3]["input"] = json!("0x123"), &["transactions[3].input", "hex string"]),
        (
            |it| it["transactions"][3]["max_fee_per_gas"] = json!(U256::MAX),
            &["transactions[3]", "`max_fee_per_gas` does not fit 128 bits"],
        ),
        (|it| it["expected"]["logs_bloom"] = json!("0x00"), &["expected.logs_bloom"]),
        (|it| it["block_hashes"] = json!({"one": B256::ZERO}), &["block_hashes"]),
    ];
    for (change, words) in cases {
        let mut document = document("4-exchange.json");
        change(&mut document);
        let message = rejected(&document);
        for word in words.iter().chain(&["case.json"]) {
            assert!(message.contains(word), "`{word}` is not in: {message}");
        }
    }
}

#[test]
fn an_account_without_a_field_is_named() {
    let mut document = document("2-tokens.json");
    let accounts = document["pre_state"].as_object_mut().expect("accounts");
    let address = accounts.keys().next().expect("at least one").clone();
    remove(&mut accounts[&address], "balance");
    let message = rejected(&document);
    assert!(message.contains(&format!("pre_state.{address}")) && message.contains("balance"), "{message}");
}

#[test]
fn what_is_listed_twice_is_refused() {
    let text = fs::read_to_string(generated("1-transfers.json")).expect("a fixture");
    let twice = text.replacen("\"pre_state\": {", "\"pre_state\": {\"0x1010101010101010101010101010101010101010\": {\"balance\": \"0x0\", \"nonce\": 0},", 1);
    assert_ne!(twice, text);
    let message = rejected_bytes(twice.as_bytes());
    assert!(message.contains("listed twice") && message.contains("0x1010"), "{message}");
}

#[test]
fn text_that_is_no_block_is_refused() {
    let whole = fs::read(generated("1-transfers.json")).expect("a fixture");
    for bytes in [&b""[..], b"{}", b"[]", b"null", b"\xff\xfe", b"0x6080", &whole[..whole.len() / 2]] {
        rejected_bytes(bytes);
    }
    let message = rejected_bytes(&[whole.as_slice(), b"{}"].concat());
    assert!(message.contains("trailing characters"), "{message}");
}

/// A block of tokens without codes of its own, in a folder with these codes.
fn with_codes(lines: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("blocks")).expect("a folder");
    let mut document = document("2-tokens.json");
    remove(&mut document, "codes");
    let file = folder.path().join("blocks/2.json");
    fs::write(&file, document.to_string()).expect("a writable file");
    fs::write(
        folder.path().join("codes.jsonl.zst"),
        zstd::encode_all(lines.as_bytes(), 1).expect("in memory"),
    )
    .expect("a writable file");
    (folder, file)
}

fn code_lines() -> String {
    let document = document("2-tokens.json");
    let codes = document["codes"].as_object().expect("codes");
    let unused = (keccak256([0]).to_string(), json!("0x00"));
    let mut lines = String::new();
    for (hash, code) in codes.iter().chain([(&unused.0, &unused.1)]) {
        lines += &json!([hash, code]).to_string();
        lines.push('\n');
    }
    lines
}

#[test]
fn codes_come_from_the_folder_above_or_from_the_file_that_is_named() {
    let own = BlockReader::default().read(&generated("2-tokens.json")).expect("a block");
    let (_folder, file) = with_codes(&code_lines());
    assert_eq!(BlockReader::default().read(&file).expect("a block"), own);

    let (_folder, file) = with_codes("");
    let elsewhere = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(elsewhere.path(), code_lines()).expect("a writable file");
    assert_eq!(BlockReader::new(Some(elsewhere.path())).expect("codes").read(&file).expect("a block"), own);
}

#[test]
fn a_code_that_is_missing_is_named_with_where_it_was_looked_for() {
    let (_folder, file) = with_codes("");
    match BlockReader::default().read(&file) {
        Err(error @ BlockError::CodeMissing { .. }) => {
            let message = error.to_string();
            for word in ["pre_state.0x", "code_hash", "codes.jsonl.zst", "--codes", "code_absent"] {
                assert!(message.contains(word), "`{word}` is not in: {message}");
            }
        }
        other => panic!("{other:?}"),
    }
    // Nothing beside the file either.
    let mut document = document("2-tokens.json");
    remove(&mut document, "codes");
    assert!(rejected(&document).contains("there is no code with the hash"));
}

#[test]
fn a_code_under_a_wrong_hash_is_found() {
    let mut in_block = document("2-tokens.json");
    let codes = in_block["codes"].as_object_mut().expect("codes");
    *codes.values_mut().next().expect("at least one") = json!("0x6001");
    let message = rejected(&in_block);
    assert!(message.contains("codes.0x") && message.contains("has the hash"), "{message}");

    let document = document("2-tokens.json");
    let hash = document["codes"].as_object().and_then(|it| it.keys().next()).expect("a code").clone();
    for (code, word) in [("0x6001", "has the hash"), ("0x60zz", "not hexadecimal")] {
        let (_folder, file) = with_codes(&format!("\n{}\n", json!([hash, code])));
        let message = BlockReader::default().read(&file).expect_err("a wrong code").to_string();
        assert!(message.contains("line 2") && message.contains(word), "{message}");
    }
    let (_folder, file) = with_codes("[1, 2]\n");
    let message = BlockReader::default().read(&file).expect_err("no codes").to_string();
    assert!(message.contains("line 1"), "{message}");
}

#[test]
fn a_code_that_is_absent_is_missed_only_when_it_runs() {
    let mut document = document("2-tokens.json");
    let codes = document["codes"].take();
    let hashes: Vec<&String> = codes.as_object().expect("codes").keys().collect();
    document["code_absent"] = json!(hashes);
    document["codes"] = json!({});
    let bytes = serde_json::to_vec(&document).expect("values can be written");
    let block = BlockReader::default().parse(Path::new("case.json"), &bytes).expect("a block");
    match replay(&block, &BlockState::new(&block)) {
        Err(error @ ReplayError::State { index: 0, .. }) => {
            assert!(error.to_string().contains("transactions[0]"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_zstd_frame_that_is_cut_short_or_damaged_is_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("block.json.zst");
    let whole = zstd::encode_all(fs::read(generated("4-exchange.json")).expect("a fixture").as_slice(), 3)
        .expect("in memory");
    fs::write(&file, &whole).expect("a writable file");
    BlockReader::default().read(&file).expect("a whole frame");

    for length in [4, 5, 20, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).expect("a writable file");
        let error = BlockReader::default().read(&file).expect_err("a frame that ends early");
        assert!(matches!(error, BlockError::CutShort { .. }), "{length}: {error:?}");
        assert!(error.to_string().contains("block.json.zst"), "{error}");
    }
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 40].fill(0xff);
    fs::write(&file, &damaged).expect("a writable file");
    BlockReader::default().read(&file).expect_err("a damaged frame");
    fs::write(&file, [&whole[..], b"rest"].concat()).expect("a writable file");
    BlockReader::default().read(&file).expect_err("something after the frame");
}

fn tokens() -> Block {
    BlockReader::default().read(&generated("2-tokens.json")).expect("a block")
}

fn invalid(block: &Block) -> (usize, InvalidTransaction) {
    match replay(block, &BlockState::new(block)) {
        Err(ReplayError::InvalidTransaction { index, reason, .. }) => (index, reason),
        other => panic!("it was not found: {other:?}"),
    }
}

#[test]
fn transactions_that_may_not_be_in_the_block_are_named() {
    let mut gap = tokens();
    gap.transactions[4].env.nonce += 1;
    assert!(
        matches!(invalid(&gap), (4, InvalidTransaction::NonceTooHigh { tx: 3, state: 2 })),
        "{:?}",
        invalid(&gap)
    );

    let mut again = tokens();
    again.transactions[4].env.nonce -= 1;
    assert!(matches!(invalid(&again), (4, InvalidTransaction::NonceTooLow { .. })));

    let mut poor = tokens();
    poor.transactions[2].env.value = U256::from(10).pow(U256::from(30));
    assert!(matches!(invalid(&poor), (2, InvalidTransaction::LackOfFundForMaxFee { .. })));

    let mut stranger = tokens();
    stranger.transactions[5].env.caller = Address::repeat_byte(0xa0);
    stranger.transactions[5].env.nonce = 0;
    assert!(matches!(invalid(&stranger), (5, InvalidTransaction::LackOfFundForMaxFee { .. })));

    let mut missing = tokens();
    missing.pre_state.remove(&missing.transactions[3].env.caller);
    assert_eq!(invalid(&missing).0, 3, "the account of the sender is missing");

    let mut cheap = tokens();
    cheap.transactions[1].env.gas_price = 1;
    cheap.transactions[1].env.gas_priority_fee = Some(1);
    assert!(matches!(invalid(&cheap), (1, InvalidTransaction::GasPriceLessThanBasefee)));

    let mut early = tokens();
    early.transactions[0].env.tx_type = 3;
    assert_eq!(invalid(&early).0, 0, "no blobs before Cancun");

    let mut foreign = tokens();
    foreign.chain_id = 2;
    assert!(matches!(invalid(&foreign), (0, InvalidTransaction::InvalidChainId)));

    let mut full = tokens();
    full.header.gas_limit = 400_000;
    match replay(&full, &BlockState::new(&full)) {
        Err(error @ ReplayError::BlockGas { index: 1, .. }) => {
            assert!(error.to_string().contains("transactions[1]"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_block_hash_that_is_missing_is_not_made_up() {
    let mut block = tokens();
    // BLOCKHASH of the block before, as the code that a creation runs.
    let code = [0x60, 0x01, 0x43, 0x03, 0x40, 0x00];
    let env = &mut block.transactions[0].env;
    env.kind = TxKind::Create;
    env.data = code.to_vec().into();
    block.block_hashes.clear();
    match replay(&block, &BlockState::new(&block)) {
        Err(ReplayError::State { index: 0, source, .. }) => {
            assert!(source.to_string().contains("hash of block 1 "), "{source}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_block_without_transactions_is_a_block() {
    let mut block = tokens();
    block.transactions.clear();
    block.expected = deconflict_executor::Expected::default();
    let text = write_block(&block).expect("the fork has a name");
    let block = BlockReader::default().parse(Path::new("case.json"), text.as_bytes()).expect("a block");
    let outcome = replay(&block, &BlockState::new(&block)).expect("nothing can go wrong");
    assert_eq!((outcome.gas_used, outcome.results.len()), (0, 0));
    assert_eq!(outcome.receipts_root, Some(keccak256([0x80])), "the root of an empty trie");
}

#[test]
fn a_million_transactions_are_read_and_executed() {
    const COUNT: u64 = 1_000_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("large.json.zst");
    let mut out =
        zstd::Encoder::new(fs::File::create(&file).expect("a writable file"), 1).expect("in memory");
    let address = |number: u64| Address::left_padding_from(&(0x1000_0000 + number).to_be_bytes());
    write!(
        out,
        r#"{{"format":1,"chain_id":1,"number":1,"spec":"Frontier","header":{{"coinbase":"{}","timestamp":1,"gas_limit":{},"hash":null}},"expected":{{"gas_used":{}}},"pre_state":{{"{}":{{"balance":"0xffffffffffffffff","nonce":0}}}},"transactions":["#,
        address(0),
        COUNT * 21_000,
        COUNT * 21_000,
        address(1)
    )
    .expect("in memory");
    for nonce in 0..COUNT {
        let comma = if nonce == 0 { "" } else { "," };
        write!(
            out,
            r#"{comma}{{"type":0,"from":"{}","to":"{}","nonce":{nonce},"value":"0x1","gas_limit":21000,"input":"0x","gas_price":"0x0"}}"#,
            address(1),
            address(2 + nonce % 1000)
        )
        .expect("in memory");
    }
    out.write_all(b"]}").and_then(|()| out.finish().map(drop)).expect("a writable file");

    let block = BlockReader::default().read(&file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(block.transactions.len() as u64, COUNT);
    let outcome = replay(&block, &BlockState::new(&block)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.gas_used, COUNT * 21_000);
}

#[test]
fn real_blocks_that_are_cut_anywhere_are_refused() {
    let Some(file) = real_blocks().into_iter().next() else { return };
    let bytes = zstd::decode_all(fs::File::open(&file).expect("a readable file")).expect("a whole frame");
    for part in 1..20 {
        rejected_bytes(&bytes[..bytes.len() * part / 20]);
    }
}

/// A block under these rules whose transactions have so many blobs each.
fn with_blobs(spec: SpecId, chain_id: u64, timestamp: u64, counts: &[usize]) -> Block {
    let mut block = Block { spec, chain_id, ..tokens() };
    block.header.timestamp = timestamp;
    block.header.excess_blob_gas = Some(0);
    block.header.blob_base_fee = Some(1);
    block.header.prev_randao = Some(B256::ZERO);
    let mut first = block.transactions[0].clone();
    first.env.tx_type = 3;
    first.env.chain_id = Some(chain_id);
    let mut hash = B256::ZERO;
    hash.0[0] = 1;
    let all = counts.iter().map(|count| {
        let mut transaction = first.clone();
        transaction.env.blob_hashes = vec![hash; *count];
        transaction
    });
    block.transactions = all.collect();
    block
}

/// Fork, chain and time of a block, the blobs of its transactions, and which is refused with what words.
type BlobCase = (SpecId, u64, u64, &'static [usize], Option<(usize, &'static str)>);

#[test]
fn more_blobs_than_there_is_room_for_are_refused() {
    // Main net: Cancun, Prague, Osaka, and the two changes of limits after it; Sepolia has its own dates.
    let cases: [BlobCase; 13] = [
        (SpecId::CANCUN, 1, 1_720_000_000, &[6], None),
        (SpecId::CANCUN, 1, 1_720_000_000, &[7], Some((0, "at most 6"))),
        (SpecId::CANCUN, 1, 1_720_000_000, &[3, 3, 1], Some((2, "at most 6"))),
        (SpecId::PRAGUE, 1, 1_750_000_000, &[9], None),
        (SpecId::PRAGUE, 1, 1_750_000_000, &[10], Some((0, "at most 9"))),
        (SpecId::OSAKA, 1, 1_764_800_000, &[6, 3], None),
        (SpecId::OSAKA, 1, 1_764_800_000, &[6, 4], Some((1, "at most 9"))),
        (SpecId::OSAKA, 1, 1_770_000_000, &[7], Some((0, "at most 6"))),
        (SpecId::OSAKA, 1, 1_766_000_000, &[6, 6, 3, 1], Some((3, "at most 15"))),
        (SpecId::OSAKA, 11_155_111, 1_770_000_000, &[6, 6, 6, 3], None),
        (SpecId::OSAKA, 11_155_111, 1_770_000_000, &[6, 6, 6, 6], Some((3, "at most 21"))),
        // Nobody knows how many blobs another chain allows in a block.
        (SpecId::OSAKA, 31_337, 1_770_000_000, &[6, 6, 6, 6, 6], None),
        (SpecId::OSAKA, 31_337, 1_770_000_000, &[6, 7], Some((1, "EIP-7594"))),
    ];
    for (spec, chain, timestamp, counts, expected) in cases {
        let block = with_blobs(spec, chain, timestamp, counts);
        let found = check_forms(&block).map_err(|(index, problem)| (index, problem.to_string())).err();
        let place = format!("{spec:?} of {chain} with {counts:?}");
        assert_eq!(found.as_ref().map(|it| it.0), expected.map(|it| it.0), "{place}: {found:?}");
        let (Some((index, message)), Some((_, words))) = (found, expected) else { continue };
        assert!(message.contains(words), "{place}: {message}");
        let options = RunOptions {
            config: Config { threads: 2, ..Config::default() },
            verify: false,
            latency: std::time::Duration::ZERO,
            repeat: 1,
        };
        let error = run_block(&block, &options, &Predictor::new()).expect_err("it is refused").to_string();
        assert!(
            error.contains(&format!("transactions[{index}]")) && error.contains(words),
            "{place}: {error}"
        );
    }
    let mut own = with_blobs(SpecId::OSAKA, 31_337, 1_770_000_000, &[6, 6]);
    own.header.max_blobs = Some(11);
    assert!(matches!(check_forms(&own), Err((1, FormError::FullOfBlobs { have: 6, all: 12, most: 11 }))));
    let text = write_block(&own).expect("the fork has a name");
    let read = BlockReader::default().parse(Path::new("case.json"), text.as_bytes()).expect("a block");
    assert_eq!(read.header.max_blobs, Some(11));
}

#[test]
fn kinds_that_cannot_create_do_not() {
    for (kind, eip) in [(3, "EIP-4844"), (4, "EIP-7702")] {
        let mut block = with_blobs(SpecId::OSAKA, 1, 1_770_000_000, &[1]);
        block.transactions[0].env.tx_type = kind;
        block.transactions[0].env.kind = TxKind::Create;
        let serial = replay(&block, &BlockState::new(&block)).expect_err("it is refused").to_string();
        assert!(serial.contains("transactions[0]") && serial.contains(eip), "{serial}");
        for mode in [Mode::Scheduled, Mode::Optimistic, Mode::Serial] {
            let executor = Executor::new(Config { threads: 2, mode, ..Config::default() });
            let (env, rules) = (block.env(), block.rules());
            let state = BlockState::new(&block);
            let error = executor.execute(env, rules, &block.transactions, &state, &[]);
            assert!(
                matches!(&error, Err(ExecuteError::InvalidTransaction { index: 0, .. })),
                "{mode:?}: {error:?}"
            );
        }
    }
}
