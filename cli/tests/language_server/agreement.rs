//! The editor, the command line and the budget judge the same contracts and find the same in them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::client::{Client, capabilities, copy, many, uri};

/// A finding: its file, its line from 1, its code, and what it is to the reader.
type Found = (PathBuf, u64, String, String);

fn deconflict(root: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deconflict"));
    let cache = tempfile::tempdir().expect("a folder can be made");
    command.current_dir(root).env("PATH", "").env("DECONFLICT_CACHE_DIR", cache.path()).args(arguments);
    let output = command.output().expect("it starts");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn checked(root: &Path) -> (BTreeSet<Found>, Value) {
    let report = deconflict(root, &["check", ".", "--format", "json"]);
    let found = report["diagnostics"].as_array().expect("a list").iter().map(|it| {
        let text = |key: &str| it[key].as_str().expect("a word").to_owned();
        let file = it["primary"]["file"].as_str().expect("every finding here has a line");
        let line = it["primary"]["start_line"].as_u64().expect("a number");
        (root.join(file), line, text("code"), text("severity"))
    });
    (found.collect(), report["summary"].clone())
}

fn shown(root: &Path, sources: &[PathBuf]) -> BTreeSet<Found> {
    let mut client = Client::start(&[]);
    let mut capabilities = capabilities();
    capabilities["textDocument"]["diagnostic"] = json!({ "dynamicRegistration": false });
    capabilities["workspace"]["diagnostics"] = json!({ "refreshSupport": true });
    client.initialize(&[root], &capabilities, &Value::Null);
    client.wait(|it| it["method"] == "workspace/diagnostic/refresh");
    let mut found = BTreeSet::new();
    for file in sources {
        let document = json!({ "textDocument": { "uri": uri(file) } });
        let pulled = client.result("textDocument/diagnostic", document);
        for item in pulled["items"].as_array().expect("a list") {
            let line = item["range"]["start"]["line"].as_u64().expect("a number") + 1;
            let severity = match item["severity"].as_u64() {
                Some(1) => "error",
                Some(2) => "warning",
                _ => "note",
            };
            found.insert((
                file.clone(),
                line,
                item["code"].as_str().unwrap_or("?").to_owned(),
                severity.into(),
            ));
        }
    }
    assert_eq!(client.shut_down(), 0);
    found
}

/// The contracts of the budget.
fn held(root: &Path) -> usize {
    deconflict(root, &["budget", ".", "--write"]);
    let text = fs::read_to_string(root.join("deconflict-budget.json")).expect("it was written");
    let budget: Value = serde_json::from_str(&text).expect("JSON");
    budget["contracts"].as_array().expect("a list of contracts").len()
}

#[test]
fn editor_command_line_and_budget_agree() {
    let levels = "version = 1\nexclude = [\"src/Token1.sol\"]\n[rules]\nglobal-accumulator = \"deny\"\n";
    let projects = [
        (copy("demo/counter"), None),
        (copy("demo/start"), None),
        (copy("demo/suppressed"), None),
        (copy("demo/counter"), Some(levels)),
        (many(4), Some(levels)),
    ];
    let mut seen = 0;
    for (project, configuration) in projects {
        if let Some(text) = configuration {
            fs::write(project.root.join("deconflict.toml"), text).expect("a file can be written");
        }
        let sources = fs::read_dir(project.root.join("src")).expect("a readable folder");
        let sources: Vec<PathBuf> = sources.map(|it| it.expect("a readable entry").path()).collect();
        let (checked, summary) = checked(&project.root);
        assert_eq!(shown(&project.root, &sources), checked, "{summary}");
        assert_eq!(json!(held(&project.root)), summary["contracts"]);
        seen += checked.len();
    }
    assert!(seen >= 10, "only {seen} findings were compared");
}
