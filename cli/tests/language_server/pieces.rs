//! Findings that are shown before everything is known: those of the first contracts, and those of an earlier process.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::client::{Client, capabilities, many};

/// So many contracts that they are not analysed in one go.
const CONTRACTS: usize = 24;

/// The findings by file, as they are after each state that the server shows.
fn states(root: &Path, cache: &Path) -> Vec<BTreeMap<String, usize>> {
    let mut client = Client::start(&[("DECONFLICT_CACHE_DIR", cache.to_str().expect("a plain path"))]);
    let mut capabilities = capabilities();
    // Each state ends with a request to ask for lenses again.
    capabilities["workspace"]["codeLens"] = json!({ "refreshSupport": true });
    capabilities["window"] = json!({ "workDoneProgress": true });
    client.initialize(&[root], &capabilities, &json!({ "compile": false }));
    client.wait(|it| it["method"] == "$/progress" && it["params"]["value"]["kind"] == "end");
    let (mut states, mut now) = (Vec::new(), BTreeMap::new());
    for (direction, message) in &client.transcript {
        if *direction == '<' && message["method"] == "textDocument/publishDiagnostics" {
            let uri = message["params"]["uri"].as_str().expect("a file").to_owned();
            now.insert(uri, message["params"]["diagnostics"].as_array().map_or(0, Vec::len));
        } else if message["method"] == "workspace/codeLens/refresh" {
            states.push(now.clone());
        }
    }
    assert_eq!(client.shut_down(), 0);
    states
}

fn all(state: &BTreeMap<String, usize>) -> usize {
    state.values().sum()
}

#[test]
fn findings_of_the_first_contracts_are_sent_ahead_and_stay() {
    let (project, cache) = (many(CONTRACTS), tempfile::tempdir().expect("a folder can be made"));
    let states = states(&project.root, cache.path());
    let counts: Vec<usize> = states.iter().map(all).collect();
    assert!(counts.len() > 2, "there are several states: {counts:?}");
    assert!(counts[0] > 0 && counts[0] < 12, "the first one shows a few: {counts:?}");
    assert_eq!(counts.last(), Some(&(2 * CONTRACTS)), "the last one shows all: {counts:?}");
    assert!(counts.is_sorted(), "nothing that is shown goes again: {counts:?}");
}

#[test]
fn findings_of_an_earlier_process_are_shown_at_once_and_nothing_flickers() {
    let (project, cache) = (many(CONTRACTS), tempfile::tempdir().expect("a folder can be made"));
    let cold = states(&project.root, cache.path());
    let last = cold.last().expect("a state");
    let warm = states(&project.root, cache.path());
    assert!(warm.len() > 1, "facts come later");
    assert!(warm.iter().all(|state| state == last), "{warm:?}");

    // What has changed since is not taken from there: this contract has no code to speak of any more.
    let artifact = project.root.join("out/Token3.sol/Token.json");
    let mut built: Value =
        serde_json::from_str(&fs::read_to_string(&artifact).expect("an artifact")).expect("JSON");
    built["deployedBytecode"]["object"] = json!("0x00");
    built["deployedBytecode"]["sourceMap"] = json!("");
    fs::write(&artifact, built.to_string()).expect("written");
    let changed = states(&project.root, cache.path());
    assert_eq!(changed.last().map(all), Some(all(last) - 2), "{changed:?}");
    assert!(changed.iter().all(|state| all(state) <= all(last) - 2), "{changed:?}");

    // A file that is damaged is none.
    for file in fs::read_dir(cache.path().join("check")).expect("results are kept") {
        fs::write(file.expect("an entry").path(), b"rubbish").expect("written");
    }
    let damaged = states(&project.root, cache.path());
    assert!(all(&damaged[0]) < all(last) - 2);
    assert_eq!(damaged.last(), changed.last());
}
