//! Typing, positions, settings and what is shown meanwhile.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::client::{Client, capabilities, copy, position, uri};

fn start_lines(found: &[Value]) -> Vec<u64> {
    found.iter().map(|it| it["range"]["start"]["line"].as_u64().expect("a line")).collect()
}

#[test]
fn ranges_follow_what_is_typed_between_saves() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    let before = client.diagnostics(&file);
    client.open(&file);
    let top = json!({ "start": { "line": 2, "character": 0 }, "end": { "line": 2, "character": 0 } });
    client.change(&file, 2, top, "// one\n// two\n");
    let after = client.diagnostics(&file);
    let moved: Vec<u64> = start_lines(&before).iter().map(|line| line + 2).collect();
    assert_eq!(start_lines(&after), moved);
    // A finding goes when nothing of its text is left, and only that one.
    let line = moved[0];
    let gone =
        json!({ "start": { "line": line, "character": 0 }, "end": { "line": line + 1, "character": 0 } });
    client.change(&file, 3, gone, "");
    let after = client.diagnostics(&file);
    assert_eq!(start_lines(&after), [moved[1] - 1]);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn positions_are_counted_as_agreed() {
    for (offered, chosen) in
        [(json!(["utf-8", "utf-16"]), "utf-8"), (json!(["utf-16"]), "utf-16"), (Value::Null, "utf-16")]
    {
        let project = copy("demo/counter");
        let file = project.root.join("src/Token.sol");
        let mut capabilities = capabilities();
        if !offered.is_null() {
            capabilities["general"] = json!({ "positionEncodings": offered });
        }
        let mut client = Client::start(&[]);
        let answer = client.initialize(&[&project.root], &capabilities, &Value::Null);
        assert_eq!(answer["capabilities"]["positionEncoding"], chosen);
        let before = client.diagnostics(&file);
        client.open(&file);
        // `ü` takes two bytes and one unit, the smiling face four bytes and two units.
        let range = &before[0]["range"];
        let line = range["start"]["line"].clone();
        let start = json!({ "line": line, "character": 0 });
        client.change(&file, 2, json!({ "start": start, "end": start }), "/*ü😀*/");
        let after = client.diagnostics(&file);
        let width = if chosen == "utf-8" { 10 } else { 7 };
        for end in ["start", "end"] {
            let before = range[end]["character"].as_u64().expect("a column");
            assert_eq!(after[0]["range"][end]["character"], before + width, "{chosen} {end}");
        }
        assert_eq!(client.shut_down(), 0);
    }
}

#[test]
fn settings_and_configuration_decide_what_is_shown() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    fs::write(project.root.join("deconflict.toml"), "version = 1\n[rules]\nglobal-accumulator = \"deny\"\n")
        .expect("a file can be written");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &json!({ "codeLens": false }));
    let found = client.diagnostics(&file);
    let severities: Vec<_> = found.iter().map(|it| it["severity"].as_u64()).collect();
    assert_eq!(severities, [Some(2), Some(1)]);
    client.open(&file);
    let document = json!({ "textDocument": { "uri": uri(&file) } });
    assert_eq!(client.result("textDocument/codeLens", document.clone()), json!([]));
    let settings = json!({ "settings": { "deconflict": { "rules": { "C101": "allow" } } } });
    client.notify("workspace/didChangeConfiguration", settings);
    let found = client.until(&file, |found| found.len() == 1);
    assert_eq!(found[0]["code"], "C102");
    assert_ne!(client.result("textDocument/codeLens", document), json!([]));
    fs::write(project.root.join("deconflict.toml"), "version = 1\nexclude = [\"src/**\"]\n")
        .expect("written");
    let change = json!({ "uri": uri(&project.root.join("deconflict.toml")), "type": 2 });
    client.notify("workspace/didChangeWatchedFiles", json!({ "changes": [change] }));
    client.until(&file, <[Value]>::is_empty);
    // A typing error is said, and nothing breaks.
    fs::write(project.root.join("deconflict.toml"), "versoin = 1\n").expect("written");
    let change = json!({ "uri": uri(&project.root.join("deconflict.toml")), "type": 2 });
    client.notify("workspace/didChangeWatchedFiles", json!({ "changes": [change] }));
    let said = client.wait(|it| it["method"] == "window/showMessage");
    assert!(said["params"]["message"].as_str().is_some_and(|it| it.contains("deconflict.toml")), "{said}");
    client.until(&file, |found| found.len() == 1);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn clients_that_ask_are_not_sent_anything() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut capabilities = capabilities();
    capabilities["textDocument"]["diagnostic"] = json!({ "dynamicRegistration": false });
    capabilities["workspace"]["diagnostics"] = json!({ "refreshSupport": true });
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities, &Value::Null);
    client.wait(|it| it["method"] == "workspace/diagnostic/refresh");
    let document = json!({ "textDocument": { "uri": uri(&file) } });
    let pulled = client.result("textDocument/diagnostic", document);
    assert_eq!(pulled["items"].as_array().map(Vec::len), Some(2));
    let said = client.listen(Duration::from_millis(300));
    assert!(
        said.iter()
            .chain(client.transcript.iter().map(|(_, it)| it))
            .all(|it| it["method"] != "textDocument/publishDiagnostics")
    );
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn pages_are_written_where_a_client_can_open_them() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    let found = client.diagnostics(&file);
    let href = found[0]["codeDescription"]["href"].as_str().expect("a link").to_owned();
    let page = fs::read_to_string(href.trim_start_matches("file://")).expect("a page");
    assert!(page.starts_with("# global-counter (C101)"));
    let text = client.open(&file);
    let command = json!({ "command": "deconflict.server.showMatrix", "arguments": [{ "uri": uri(&file) }] });
    let matrix = client.result("workspace/executeCommand", command);
    assert!(matrix["text"].as_str().is_some_and(|it| it.contains("| `buy()` |")), "{matrix}");
    let place = position(&text, "totalVolume +=");
    let hover = client
        .result("textDocument/hover", json!({ "textDocument": { "uri": uri(&file) }, "position": place }));
    assert!(hover["contents"]["value"].as_str().is_some_and(|it| it.contains("slot 2")), "{hover}");
    assert_eq!(client.shut_down(), 0);
    assert!(
        fs::read_to_string(href.trim_start_matches("file://")).is_err(),
        "the server leaves nothing behind"
    );
}
