//! `hints` as users run it: formats on standard output, files, and what is said of input that is no good.

#![cfg(feature = "execute")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The transaction that EIP-155 signs as its example.
const RAW: &str = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc\
                   2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1\
                   966a3b6d83";

fn block() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/blocks/2-tokens.json")
}

/// Runs the command on the block of tokens, with a cache of its own.
fn hints(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .args(["hints", "--block"])
        .arg(block())
        .args(arguments)
        .current_dir(folder)
        .env("DECONFLICT_CACHE_DIR", folder.join("cache"))
        .output()
        .expect("the binary runs")
}

fn good(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = hints(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn bad(folder: &Path, arguments: &[&str]) -> String {
    let output = hints(folder, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn json_is_what_comes_without_a_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = good(folder.path(), &[]);
    assert_eq!(plain, good(folder.path(), &["--json"]));
    assert_eq!(plain, good(folder.path(), &["--format", "json"]));
    let document: serde_json::Value = serde_json::from_slice(&plain).expect("JSON");
    assert_eq!(document["schema"], "deconflict/hints/1");
    assert!(document["plan"].is_object());
    let bare: serde_json::Value =
        serde_json::from_slice(&good(folder.path(), &["--tier", "transaction"])).expect("JSON");
    assert!(bare["plan"].is_null());
    assert_eq!(bare["txs"], document["txs"]);
    let alone: serde_json::Value =
        serde_json::from_slice(&good(folder.path(), &["--lanes", "1"])).expect("JSON");
    assert_eq!(alone["plan"]["lanes"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_file_holds_what_standard_output_would() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = good(folder.path(), &["--format", "bin"]);
    assert!(printed.starts_with(b"DCFH"));
    assert!(good(folder.path(), &["--format", "bin", "-o", "hints.bin"]).is_empty());
    assert_eq!(fs::read(folder.path().join("hints.bin")).expect("it was written"), printed);
}

#[test]
fn analysed_codes_make_the_same_hints() {
    let folder = tempfile::tempdir().expect("a folder");
    let anew = good(folder.path(), &["--no-cache"]);
    good(folder.path(), &["--export-templates", "codes.bin"]);
    assert_eq!(good(folder.path(), &["--templates", "codes.bin"]), anew);
    let path = folder.path().join("codes.bin");
    let mut bytes = fs::read(&path).expect("it was written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("room");
    assert!(bad(folder.path(), &["--templates", "codes.bin"]).contains("damaged"));
}

#[test]
fn raw_transactions_take_the_place_of_those_of_the_block() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("raw.txt"), format!("# mempool\n{RAW}\n")).expect("room");
    let text = good(folder.path(), &["--transactions", "raw.txt", "--format", "jsonl"]);
    let line: serde_json::Value = serde_json::from_slice(&text).expect("one line");
    assert_eq!(line["from"], "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");
    fs::write(folder.path().join("raw.txt"), format!("{RAW}\n0x1234\n")).expect("room");
    let error = bad(folder.path(), &["--transactions", "raw.txt"]);
    assert!(error.contains("raw.txt") && error.contains("line 2"), "{error}");
    assert!(bad(folder.path(), &["--transactions", "nothing.txt"]).contains("nothing.txt"));
}

#[test]
fn hints_are_held_against_a_block_access_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |text: &str| fs::write(folder.path().join("list"), text).expect("room");
    write("[]");
    assert!(good(folder.path(), &["--access-list", "list"]).starts_with(b"0 accounts in the list"));
    // Nobody in the block touches this account.
    let address = format!("0x{}", "77".repeat(20));
    let change = r#"{"slot":"0x1","slotChanges":[{"blockAccessIndex":"0x1","postValue":"0x5"}]}"#;
    write(&format!(
        r#"[{{"address":"{address}","storageChanges":[{change}],"storageReads":[],"balanceChanges":[],"nonceChanges":[],"codeChanges":[]}}]"#
    ));
    let output = hints(folder.path(), &["--access-list", "list"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("slot 0x1: transaction 0"), "{text}");
    write("0xc1");
    assert!(bad(folder.path(), &["--access-list", "list"]).contains("RLP"));
}

#[test]
fn a_node_takes_the_place_of_a_block() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("raw.txt"), RAW).expect("room");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_deconflict"))
            .args(["hints", "--retries", "0", "--timeout", "1"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let nobody = "http://127.0.0.1:1";
    assert!(run(&[]).contains("--block"));
    assert!(run(&["--rpc-url", nobody]).contains("--transactions"));
    assert!(run(&["--rpc-url", nobody, "--transactions", "raw.txt"]).contains("cannot be reached"));
    assert!(run(&["--rpc-url", "nowhere", "--transactions", "raw.txt"]).contains("nowhere"));
}

#[test]
fn what_does_not_go_together_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = bad(folder.path(), &["--tier", "transaction", "--format", "txdag"]);
    assert!(error.contains("txdag"), "{error}");
    assert!(bad(folder.path(), &["--format", "sarif"]).contains("check"));
    bad(folder.path(), &["--lanes", "0"]);
    let rules = Command::new(env!("CARGO_BIN_EXE_deconflict")).args(["rules", "--format", "txdag"]).output();
    let error = String::from_utf8_lossy(&rules.expect("the binary runs").stderr).into_owned();
    assert!(error.contains("hints"), "{error}");
}

#[test]
fn transactions_that_no_block_like_it_holds_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(block()).expect("a fixture");
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut document = document.clone();
        change(&mut document);
        let file = folder.path().join("changed.json");
        fs::write(&file, document.to_string()).expect("room");
        let mut errors = Vec::new();
        for command in ["hints", "run", "audit"] {
            let output = Command::new(env!("CARGO_BIN_EXE_deconflict"))
                .args([command, "--block"])
                .arg(&file)
                .env("DECONFLICT_CACHE_DIR", folder.path().join("cache"))
                .output()
                .expect("the binary runs");
            assert_eq!(output.status.code(), Some(2), "{command}");
            errors.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        errors
    };
    // Of another chain, which is known to be another.
    for error in refused(&|it| it["chain_id"] = 137.into()) {
        assert!(error.contains("chain 137 is Polygon"), "{error}");
        assert!(error.contains("transactions[0]"), "{error}");
    }
    for error in refused(&|it| {
        it["transactions"][1]["type"] = 3.into();
        it["transactions"][1]["to"] = serde_json::Value::Null;
        it["transactions"][1]["max_fee_per_blob_gas"] = "0x1".into();
        it["transactions"][1]["max_fee_per_gas"] = "0x64".into();
        it["transactions"][1]["max_priority_fee_per_gas"] = "0x0".into();
    }) {
        assert!(error.contains("transactions[1]"), "{error}");
    }
    for error in refused(&|it| it["transactions"][0]["type"] = 0x7e.into()) {
        assert!(error.contains("0x7e") && error.contains("OP-stack"), "{error}");
    }
    for error in refused(&|it| it["spec"] = "osakka".into()) {
        assert!(error.contains("did you mean `Osaka`?"), "{error}");
    }
}

#[test]
fn access_lists_can_be_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let lists = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let arguments = [&["--format", "eip2930"], arguments].concat();
        serde_json::from_slice(&good(folder.path(), &arguments)).expect("JSON")
    };
    let count = |list: &serde_json::Value| -> usize {
        let items = list["accessList"].as_array().expect("a list").iter();
        items.map(|it| 1 + it["storageKeys"].as_array().map_or(0, Vec::len)).sum()
    };
    let (whole, cut) = (lists(&[]), lists(&["--max-keys", "2"]));
    assert!(whole.iter().any(|list| count(list) > 2));
    for (whole, cut) in whole.iter().zip(&cut) {
        assert_eq!(count(cut), count(whole).min(2));
        assert_eq!(cut["complete"], whole["complete"] == true && count(whole) <= 2);
    }
    assert!(bad(folder.path(), &["--max-keys", "2"]).contains("eip2930"));
}
