//! A build without features is a linter: what it lacks it says in words, and it checks as any other does.

#![cfg(not(any(feature = "execute", feature = "lsp")))]

use std::{
    path::Path,
    process::{Command, Output},
};

fn run(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let mut command = Command::new(env!("CARGO_BIN_EXE_deconflict"));
    command.args(arguments).current_dir(folder).output().expect("the binary runs")
}

#[test]
fn commands_that_are_left_out_are_named() {
    for (name, feature) in [("run", "execute"), ("hints", "execute"), ("serve", "serve"), ("lsp", "lsp")] {
        let output = run(&[name, "--block", "b.json"]);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("no `{name}`")) && said.contains(feature), "{said}");
        assert!(output.stdout.is_empty());
        let json: serde_json::Value =
            serde_json::from_slice(&run(&["--json", name]).stdout).expect("it is a document");
        assert!(json.to_string().contains(feature), "{json}");
    }
    let help = run(&["--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(help.contains("check") && !help.contains("\n  serve") && !help.contains("\n  hints"), "{help}");
}

#[test]
fn it_checks() {
    let output = run(&["check", "fixtures/artifacts/global-counter/Ticketing.json", "--format", "concise"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("global-counter"));
}
