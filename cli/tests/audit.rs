//! `deconflict audit` as a user runs it: exit codes, formats, and what it says of files that it cannot use.

#![cfg(feature = "execute")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    let cache = tempfile::tempdir().expect("a temporary folder");
    run_with_cache(cache.path(), arguments)
}

fn run_with_cache(cache: &Path, arguments: &[&str]) -> Output {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .arg("audit")
        .args(arguments)
        .current_dir(workspace)
        .env("DECONFLICT_CACHE_DIR", cache)
        .output()
        .expect("the binary runs")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("output is UTF-8")
}

const TRANSFERS: &str = "fixtures/blocks/1-transfers.json";
const TOKENS: &str = "fixtures/blocks/2-tokens.json";

#[test]
fn generated_blocks_are_sound_in_both_modes() {
    for state in ["exact", "block"] {
        let output = run(&["--json", "--state", state, "--block", TRANSFERS, TOKENS]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let document: Value =
            serde_json::from_slice(&output.stdout).expect("standard output holds JSON alone");
        assert_eq!(document["schema"], "deconflict/audit/1");
        assert_eq!(document["state"], state);
        let numbers: Vec<_> =
            document["blocks"].as_array().expect("a list").iter().map(|it| &it["number"]).collect();
        assert_eq!(numbers, [1, 2], "blocks come in the order of the arguments");
        assert_eq!(document["total"]["txs"], 26);
        assert_eq!(document["total"]["unsound_txs"], 0);
        let sum: u64 = document["blocks"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["accesses"].as_u64())
            .sum();
        assert_eq!(document["total"]["accesses"], sum);
    }
    let human = text(run(&["--block", TOKENS]).stdout);
    assert!(human.contains("19 transactions complete, 0 unsound"), "{human}");
}

#[test]
fn predictions_can_be_made_in_the_environment_of_another_block() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let block = folder.path().join("block.json");
    let other = folder.path().join("other.json");
    let (block, other) = (block.to_str().expect("a plain path"), other.to_str().expect("a plain path"));
    // Any transaction of the block calls code that stores where the time says.
    let mut document: Value =
        serde_json::from_str(&fs::read_to_string(TRANSFERS_FROM_HERE).expect("a fixture")).expect("JSON");
    let called = document["transactions"][0]["to"].as_str().expect("a call").to_owned();
    let code = "0x6001425500";
    let hash = alloy_primitives::keccak256(alloy_primitives::hex::decode(code).expect("hexadecimal"));
    document["expected"] = serde_json::json!({});
    document["transactions"].as_array_mut().expect("a list").truncate(1);
    document["transactions"][0]["gas_limit"] = 200_000.into();
    document["codes"] = serde_json::json!({ hash.to_string(): code });
    document["pre_state"][&called] =
        serde_json::json!({"balance": "0x0", "nonce": 1, "code_hash": hash.to_string()});
    fs::write(block, document.to_string()).expect("room");
    let time = document["header"]["timestamp"].as_u64().expect("a time");
    document["header"]["timestamp"] = (time + 12).into();
    document["number"] = 4_321.into();
    fs::write(other, document.to_string()).expect("room");
    for state in ["exact", "block"] {
        for (environment, stale) in [(block, 0), (other, 1)] {
            let output = run(&["--json", "--state", state, "--environment", environment, "--block", block]);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let total = &document["total"];
            assert_eq!(total["depends_on_environment"]["timestamp"], 1, "{document}");
            assert_eq!(
                (&total["stale_environment_txs"], &total["stale_txs"]),
                (&stale.into(), &stale.into())
            );
            assert_eq!(total["complete_txs"], 1);
        }
    }
    let human = text(run(&["--environment", other, "--block", block]).stdout);
    assert!(human.contains("in the environment of block 4321"), "{human}");
    let output = run(&["--environment", "no/such.json", "--block", block]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(output.stderr).contains("no/such.json"));
}

#[test]
fn a_file_that_is_no_block_exits_with_2_and_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = fs::read_to_string(TRANSFERS_FROM_HERE).expect("a fixture");
    let broken = folder.path().join("broken.json");
    let broken = broken.to_str().expect("a plain path");
    let cases = [
        (whole.replace("Frontier", "Serenity"), "spec: there is no fork called `Serenity`"),
        (whole[..whole.len() / 2].to_owned(), "EOF while parsing"),
        (whole.replacen("\"nonce\": 0", "\"nonce\": 9", 1), "transactions[0] from 0x1010"),
        (whole.replacen("\"gas_used\": ", "\"gas_used\": 1", 1), "expected.gas_used is"),
    ];
    for (content, message) in cases {
        assert_ne!(content, whole, "{message}");
        fs::write(broken, content).expect("a writable file");
        let output = run(&["--block", TOKENS, broken]);
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(2), "{out}\n{err}");
        assert!(out.is_empty(), "nothing is reported of a run that failed: {out}");
        assert!(err.contains("broken.json") && err.contains(message), "{err}");
    }
    for (arguments, message) in [
        (&["--block", "no/such.json"][..], "cannot read no/such.json"),
        (&["--block", TOKENS, "--codes", "no/such.jsonl"], "cannot read no/such.jsonl"),
        (&["--json"], "--block"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(output.stderr).contains(message), "{arguments:?}");
    }
}

/// The tests of a crate run in its folder.
const TRANSFERS_FROM_HERE: &str = "../fixtures/blocks/1-transfers.json";

#[test]
fn analysed_codes_are_kept_unless_that_is_not_wanted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = folder.path().join("cache");
    let audit = |more: &[&str]| {
        let output = run_with_cache(&cache, &[&["--json", "--block", TOKENS], more].concat());
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        ["txs", "complete_txs", "accesses", "missed", "predicted", "extra"]
            .map(|name| document["total"][name].clone())
    };
    let anew = audit(&["--no-cache"]);
    assert!(!cache.exists(), "nothing is kept");
    assert_eq!(audit(&[]), anew);
    let file = cache.join("slices.redb");
    let kept = fs::metadata(&file).expect("the codes are kept").modified().expect("a time");
    assert_eq!(audit(&[]), anew);
    assert_eq!(
        fs::metadata(&file).expect("a file").modified().expect("a time"),
        kept,
        "there was nothing to add"
    );
    fs::write(&file, "something else").expect("room");
    assert_eq!(audit(&[]), anew);
    assert!(fs::metadata(&file).expect("it is built anew").len() > 1_000);
}

#[test]
fn a_cache_that_cannot_be_used_is_said_and_done_without() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "in the way").expect("room");
    let output = run_with_cache(&file, &["--block", TOKENS]);
    assert_eq!(output.status.code(), Some(0));
    let notes = text(output.stderr);
    assert!(notes.contains("warning: ") && notes.contains("file"), "{notes}");
}
