//! The schema of block files says what the reader takes, and the page about them shows one that is read.

use std::{fs, path::Path};

use deconflict_executor::{BlockReader, BlockState, replay};
use serde_json::{Value, json};

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn validator() -> jsonschema::Validator {
    let text =
        fs::read_to_string(workspace().join("docs/schemas/block.schema.json")).expect("it is committed");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
}

/// The block on the page about block files.
fn example() -> Value {
    let page = fs::read_to_string(workspace().join("docs/blocks.md")).expect("it is committed");
    let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    serde_json::from_str(example.expect("the page shows a block")).expect("JSON")
}

fn read(document: &Value) -> Result<deconflict_executor::Block, String> {
    let text = document.to_string();
    BlockReader::default().parse(Path::new("block.json"), text.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn every_block_of_the_fixtures_fits_the_schema() {
    let validator = validator();
    let mut seen = 0;
    for folder in ["fixtures/blocks", "fixtures/workloads"] {
        for entry in fs::read_dir(workspace().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let bytes = match path.extension().and_then(|it| it.to_str()) {
                Some("json") => fs::read(&path).expect("readable"),
                Some("zst") => {
                    zstd::decode_all(fs::File::open(&path).expect("readable")).expect("a frame of zstd")
                }
                _ => continue,
            };
            let document: Value = serde_json::from_slice(&bytes).expect("JSON");
            if document.get("pre_state").is_none() {
                continue;
            }
            if let Err(error) = validator.validate(&document) {
                panic!("{}: {error} at {}", path.display(), error.instance_path());
            }
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} blocks");
}

#[test]
fn the_block_of_the_page_is_read_and_executes() {
    let document = example();
    assert!(validator().is_valid(&document));
    let block = read(&document).expect("it is a block");
    replay(&block, &BlockState::new(&block)).expect("it comes to what it says");
}

/// What the reader and the schema make of a block with one thing wrong: they must agree.
#[test]
fn what_the_schema_asks_for_the_reader_asks_for() {
    let validator = validator();
    for path in [
        "/format",
        "/chain_id",
        "/number",
        "/spec",
        "/header",
        "/transactions",
        "/pre_state",
        "/header/coinbase",
        "/header/timestamp",
        "/header/gas_limit",
        "/transactions/0/type",
        "/transactions/0/from",
        "/transactions/0/nonce",
        "/transactions/0/value",
        "/transactions/0/gas_limit",
        "/transactions/0/input",
        "/transactions/0/max_fee_per_gas",
        "/transactions/0/max_priority_fee_per_gas",
    ] {
        let mut document = example();
        let (parent, key) = path.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        parent.remove(key).expect("the page has it");
        assert!(!validator.is_valid(&document), "the schema needs {path}");
        let error = read(&document).expect_err(path);
        assert!(error.contains(key), "{path}: {error}");
    }
    let mut document = example();
    document["header"]["base_fee"] = json!("0x7");
    assert!(
        !validator.is_valid(&document) && read(&document).is_err(),
        "numbers that fit 64 bits are numbers"
    );
}

#[test]
fn other_formats_are_named() {
    for (document, name) in [
        (json!({ "add": { "env": {}, "pre": {}, "transaction": {}, "post": {} } }), "state test"),
        (json!({ "add": { "genesisBlockHeader": {}, "blocks": [], "pre": {} } }), "blockchain test"),
        (json!({ "currentCoinbase": "0x00", "currentNumber": "0x1" }), "t8n"),
        (json!({ "jsonrpc": "2.0", "id": 1, "result": {} }), "JSON-RPC"),
    ] {
        let error = read(&document).expect_err(name);
        assert!(error.contains(name) && error.contains("block.schema.json"), "{error}");
    }
}
