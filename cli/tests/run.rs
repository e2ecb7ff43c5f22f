//! `deconflict run` and `deconflict simulate` as a user runs them: exit codes, formats, and what they say of bad input.

#![cfg(feature = "execute")]

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn deconflict(arguments: &[&str]) -> Output {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .args(arguments)
        .current_dir(workspace)
        .output()
        .expect("the binary runs")
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("standard output holds JSON alone")
}

const TOKENS: &str = "fixtures/blocks/2-tokens.json";
const EXCHANGE: &str = "fixtures/blocks/4-exchange.json";
const HYBRID: &str = "fixtures/workloads/blocks/hybrid.json";

#[test]
fn every_mode_comes_to_the_same() {
    let mut digests = Vec::new();
    for mode in ["serial", "optimistic", "scheduled"] {
        for more in [&[][..], &["--always-parallel", "--threads", "4"]] {
            let arguments =
                ["run", "--json", "--verify", "--repeat", "1", "--mode", mode, "--block", TOKENS, HYBRID];
            let document = json(&deconflict(&[&arguments[..], more].concat()));
            assert_eq!(document["schema"], "deconflict/run/1");
            let blocks = document["blocks"].as_array().expect("a list");
            assert_eq!(blocks.len(), 2);
            for block in blocks {
                assert_eq!(block["mode"], mode);
                assert_eq!(block["verified"], true);
                let fields = ["txs", "gas_used", "execute_ns", "total_ns", "serial_ns", "reexecutions"];
                assert!(fields.iter().all(|field| block[field].is_u64()), "{block}");
                assert!(block["receipts_root"].is_string());
            }
            assert_eq!(document["total"]["verified"], true);
            digests.push(blocks.iter().map(|block| block["state_digest"].clone()).collect::<Vec<_>>());
        }
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

#[test]
fn the_table_has_a_row_for_each_block_and_the_total() {
    let output = deconflict(&["run", "--verify", "--repeat", "1", "--block", TOKENS, EXCHANGE]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("output is UTF-8");
    for column in ["speed-up", "again", "path", "checked"] {
        assert!(text.contains(column), "{text}");
    }
    assert_eq!(text.matches(" same\n").count(), 2, "{text}");
    assert!(text.contains("\n    total"), "{text}");
}

#[test]
fn nobody_can_execute_on_no_thread() {
    let output = deconflict(&["run", "--threads", "0", "--block", TOKENS]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--threads is 0"), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn what_differs_from_the_header_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let text = std::fs::read_to_string(workspace.join(TOKENS)).expect("the block is there");
    let mut block: Value = serde_json::from_str(&text).expect("the block is JSON");
    let gas = block["expected"]["gas_used"].as_u64().expect("a number");
    block["expected"]["gas_used"] = (gas + 1).into();
    let file = folder.path().join("block.json");
    std::fs::write(&file, block.to_string()).expect("the folder can be written to");
    let file = file.to_str().expect("a path in UTF-8");
    assert_eq!(deconflict(&["run", "--repeat", "1", "--block", file]).status.code(), Some(0));
    let output = deconflict(&["run", "--verify", "--repeat", "1", "--block", file]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("DIFFERENT"), "{output:?}");
}

#[test]
fn reading_ahead_hides_a_slow_state() {
    let run = |mode: &str| {
        let slow = ["run", "--json", "--verify", "--repeat", "1", "--db-latency-us", "2000", "--mode", mode];
        let document = json(&deconflict(&[&slow[..], &["--block", HYBRID]].concat()));
        assert_eq!(document["total"]["verified"], true);
        let time = |field: &str| document["total"][field].as_f64().expect("a number");
        time("serial_ns") / time("total_ns")
    };
    let (ahead, behind) = (run("scheduled"), run("serial"));
    assert!(ahead > 1.5 && ahead > 1.5 * behind, "{ahead} with reading ahead, {behind} without");
}

#[test]
fn more_processors_are_never_slower_when_nothing_is_mispredicted() {
    let document = json(&deconflict(&["simulate", "--json", "--cores", "1,2,8", "--block", TOKENS, HYBRID]));
    assert_eq!(document["schema"], "deconflict/simulate/1");
    for block in document["blocks"].as_array().expect("a list") {
        let cores = block["cores"].as_array().expect("a list");
        let figures = |field: &str| -> Vec<f64> {
            cores.iter().map(|it| it[field].as_f64().expect("a number")).collect()
        };
        assert_eq!(figures("n"), [1.0, 2.0, 8.0]);
        let ideal = figures("ideal");
        assert!((ideal[0] - 1.0).abs() < 1e-9 && ideal.is_sorted() && ideal[2] <= 8.0, "{ideal:?}");
        for field in ["predicted", "optimistic"] {
            assert!(figures(field).iter().all(|it| *it > 0.0 && *it <= 8.0), "{block}");
        }
    }
}

#[test]
fn what_cannot_be_used_is_told() {
    for command in ["run", "simulate"] {
        let output = deconflict(&[command, "--block", "fixtures/blocks/none.json"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("none.json"), "{output:?}");
        assert_eq!(deconflict(&[command]).status.code(), Some(2));
    }
    assert_eq!(deconflict(&["simulate", "--cores", "0", "--block", TOKENS]).status.code(), Some(2));
}
