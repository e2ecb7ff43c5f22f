//! The built binary: exit codes, formats, and where output goes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .args(arguments)
        .current_dir(workspace())
        .env("DECONFLICT_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the binary runs")
}

/// Runs, expects the exit code, and gives standard output and standard error.
fn expect(code: i32, arguments: &[&str]) -> (String, String) {
    let output = run(arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    (out, err)
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&expect(0, arguments).0).expect("standard output holds JSON alone")
}

const TICKETING: &str = "fixtures/artifacts/global-counter/Ticketing.json";
const SHARDED: &str = "fixtures/artifacts/global-counter/TicketingSharded.json";

#[test]
fn findings_fail_the_run_only_when_they_are_denied() {
    let (out, _) = expect(0, &["check", TICKETING]);
    assert!(out.contains("warning[C101]") && out.contains("totalSold"), "{out}");
    let (out, _) = expect(1, &["check", TICKETING, "--deny", "warnings"]);
    assert!(out.contains("error[C101]"), "{out}");
    expect(1, &["check", TICKETING, "--deny", "C"]);
    expect(1, &["check", TICKETING, "--deny", "global-counter"]);
    expect(0, &["check", TICKETING, "--deny", "warnings", "--exit-zero"]);
    expect(0, &["check", TICKETING, "--deny", "C101", "--warn", "C101"]);
    expect(1, &["check", TICKETING, "--warn", "C101", "--deny", "C101"]);
    let (out, _) = expect(0, &["check", TICKETING, "--allow", "C101", "--deny", "warnings"]);
    assert!(out.starts_with("nothing found"), "{out}");
    expect(0, &["check", SHARDED, "--deny", "all"]);
}

#[test]
fn wrong_usage_and_unreadable_input_exit_with_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["check", "no/such/path"], "no/such/path does not exist"),
        (&["check", TICKETING, "--deny", "global-conter"], "did you mean `global-counter`?"),
        (&["explain", "array-posh"], "did you mean `array-push`?"),
        (&["inspect", "fixtures/artifacts/global-counter/Ticketing.json:Nothing"], "there is Ticketing"),
        (&["inspect", TICKETING, "--function", "sell"], "there is no function called `sell`"),
        (&["check", "--colour"], "unexpected argument"),
        (&["check", "README.md.missing", "-q"], "error: "),
    ];
    for (arguments, message) in cases {
        let (out, err) = expect(2, arguments);
        assert!(out.is_empty(), "{arguments:?}: {out}");
        assert!(err.contains(message), "{arguments:?}: {err}");
    }
}

#[test]
fn bad_files_are_errors_and_never_panics() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| -> String {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a writable file");
        path.to_string_lossy().into_owned()
    };
    let artifact = fs::read(workspace().join(TICKETING)).expect("a readable fixture");
    for path in [
        write("empty.json", b""),
        write("cut.json", &artifact[..artifact.len() / 2]),
        write("list.json", b"[1, 2"),
        write("odd.hex", b"0x123"),
        write("text.hex", b"not hex at all"),
    ] {
        for command in ["check", "inspect"] {
            let (_, err) = expect(2, &[command, &path]);
            assert!(err.contains("error: ") && !err.contains("panicked"), "{path}: {err}");
        }
    }
    let loops = write("loop.hex", b"0x5b600056");
    let (out, _) = expect(0, &["check", &loops]);
    assert!(out.contains("1 contract"), "{out}");
}

#[test]
fn check_prints_json_alone_on_standard_output() {
    let document = json(&["check", TICKETING, "--json"]);
    assert_eq!(document["schema"], "deconflict/check/1");
    assert_eq!(document["diagnostics"][0]["rule"], "global-counter");
    assert_eq!(document["summary"]["warnings"], 1);
    assert_eq!(document, json(&["--format", "json", "check", TICKETING]));
    let denied = run(&["check", TICKETING, "--json", "--deny", "all"]);
    assert_eq!(denied.status.code(), Some(1));
    let denied: Value = serde_json::from_slice(&denied.stdout).expect("JSON");
    assert_eq!(denied["diagnostics"][0]["severity"], "error");
}

#[test]
fn several_inputs_make_one_report() {
    let document = json(&["check", TICKETING, SHARDED, "--json"]);
    assert_eq!(document["summary"]["contracts"], 2);
    let (out, _) = expect(0, &["check", TICKETING, SHARDED, "--statistics"]);
    assert_eq!(out, "     1  C101   global-counter\n1 warning in 2 contracts (profile net-change)\n");
}

#[test]
fn inspect_shows_functions_and_the_matrix() {
    let document = json(&["inspect", &format!("{TICKETING}:Ticketing"), "--json"]);
    assert_eq!(document["schema"], "deconflict/inspect/1");
    let contract = &document["contracts"][0];
    assert_eq!(contract["name"], "Ticketing");
    let functions = contract["functions"].as_array().expect("a list");
    let buy = functions.iter().find(|it| it["name"] == "buy(uint256)").expect("the function is found");
    assert_eq!(buy["selector"], "0xd96a094a");
    assert_eq!(buy["complete"], true);
    let writes: Vec<&Value> =
        buy["writes"].as_array().expect("a list").iter().map(|it| &it["variable"]).collect();
    assert_eq!(writes, ["holderOf[seat]", "totalSold"]);
    let (out, _) = expect(0, &["inspect", TICKETING, "--function", "buy"]);
    assert!(out.contains("totalSold") && !out.contains("\n  handOver("), "{out}");
    let by_selector = expect(0, &["inspect", TICKETING, "--function", "0xd96a094a"]).0;
    assert_eq!(out, by_selector);
}

#[test]
fn rules_are_listed_and_explained() {
    let rules = deconflict_lints::all_rules().count();
    let document = json(&["rules", "--json"]);
    assert_eq!(document["rules"].as_array().map(Vec::len), Some(rules));
    let (out, _) = expect(0, &["rules"]);
    assert_eq!(out.lines().count(), rules);
    let (by_code, _) = expect(0, &["explain", "c101"]);
    let (by_name, _) = expect(0, &["explain", "global-counter"]);
    assert_eq!(by_code, by_name);
    assert!(by_code.starts_with("global-counter (C101)\n"));
    assert_eq!(json(&["explain", "C101", "--json"])["name"], "global-counter");
}

#[test]
fn colour_can_be_forced_and_is_off_in_a_pipe() {
    assert!(!expect(0, &["check", TICKETING]).0.contains('\u{1b}'));
    assert!(!expect(0, &["check", TICKETING, "--color", "never"]).0.contains('\u{1b}'));
    assert!(expect(0, &["check", TICKETING, "--color", "always"]).0.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .args(["check", "fixtures/artifacts", "--json"])
        .current_dir(workspace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn whoever_asks_for_json_gets_json() {
    for arguments in [
        &["check", "no/such/path", "--json"][..],
        &["check", "--json", "--no-such-option"],
        &["check", "--format", "json", "--deny", "no-such-rule"],
        &["inspect", "no/such/path", "--format=json"],
        &["explain", "no-such-rule", "--json"],
    ] {
        let (out, err) = expect(2, arguments);
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
        assert_eq!(document["schema"], "deconflict/error/1");
        assert!(!err.is_empty(), "people are told as well");
    }
    let (out, _) = expect(0, &["check", "--help", "--json"]);
    assert!(out.contains("--write-baseline"), "help is no error");
}

#[test]
fn a_thousand_contracts_are_one_whole_document() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for number in 0..1000_u32 {
        // Each adds one to the slot of its number.
        let code = format!("61{number:04x}805460010190550000");
        fs::write(folder.path().join(format!("C{number:04}.hex")), code).expect("a writable file");
    }
    let path = folder.path().to_string_lossy();
    let document = json(&["check", &path, "--json"]);
    assert_eq!(document["summary"]["contracts"], 1000);
    assert_eq!(document["diagnostics"].as_array().map(Vec::len), Some(1000));
    let (lines, _) = expect(0, &["check", &path, "--format", "concise"]);
    let mut names: Vec<&str> = lines.lines().filter_map(|line| line.split(".hex:").next()).collect();
    assert!(names.is_sorted(), "in order, whatever order they were analysed in");
    names.dedup();
    assert_eq!(names.len(), 1000);
}
