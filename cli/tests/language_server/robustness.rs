//! What must not stop the server, and what must.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::client::{Client, capabilities, copy, many, uri};

#[test]
fn malformed_messages_are_answered_and_survived() {
    let project = copy("demo/counter");
    let mut client = Client::start(&[]);
    assert_eq!(client.request("textDocument/hover", json!({}))["error"]["code"], -32002);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    // What is asked at the end is known then.
    client.diagnostics(&project.root.join("src/Token.sol"));
    client.raw("Content-Length: 5\r\n\r\n{oops");
    assert_eq!(client.wait(|it| it["id"].is_null() && it.get("error").is_some())["error"]["code"], -32700);
    client.raw("Content-Length: 4\r\n\r\n[42]");
    assert_eq!(client.wait(|it| it["id"].is_null() && it.get("error").is_some())["error"]["code"], -32600);
    client.raw("rubbish\r\nContent-Length: -3\r\n\r\n");
    assert_eq!(client.wait(|it| it["id"].is_null() && it.get("error").is_some())["error"]["code"], -32700);
    assert_eq!(client.request("textDocument/hover", json!({ "textDocument": 3 }))["error"]["code"], -32602);
    client.notify("textDocument/didChange", json!({ "nonsense": true }));
    client.notify("$/unknown", json!({}));
    client.notify("textDocument/didOpen", json!({ "textDocument": { "uri": "untitled:1" } }));
    assert_eq!(client.result("workspace/symbol", json!({ "query": "" })).as_array().map(Vec::len), Some(2));
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_cancelled_request_is_answered_as_such() {
    let project = copy("demo/counter");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    client.diagnostics(&project.root.join("src/Token.sol"));
    // Both arrive at once, so that the request is still waiting when it is cancelled.
    let mut both = String::new();
    for message in [
        json!({ "jsonrpc": "2.0", "id": 77, "method": "workspace/symbol", "params": { "query": "" } }),
        json!({ "jsonrpc": "2.0", "method": "$/cancelRequest", "params": { "id": 77 } }),
    ] {
        let text = message.to_string();
        both.extend(["Content-Length: ", &text.len().to_string(), "\r\n\r\n", &text]);
    }
    client.raw(&both);
    let answer = client.wait(|it| it["id"] == 77);
    // One that was faster than its cancellation has its result, as the protocol allows.
    assert!(answer["error"]["code"] == -32800 || answer["result"].is_array(), "{answer}");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn the_server_ends_with_its_input_and_with_its_parent() {
    let mut client = Client::start(&[]);
    client.hang_up();
    assert_eq!(client.exit_code(), 1);

    // A parent that is gone before the server looks for it.
    let mut gone = Command::new(env!("CARGO_BIN_EXE_deconflict"));
    let mut gone = gone.arg("rules").stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let parent = gone.id();
    gone.wait().expect("it ends");
    let mut client = Client::start(&[]);
    let parameters = json!({ "processId": parent, "rootUri": null, "capabilities": {} });
    client.result("initialize", parameters);
    assert_eq!(client.exit_code(), 1);

    let mut client = Client::start(&[]);
    client.notify("exit", Value::Null);
    assert_eq!(client.exit_code(), 1, "`exit` without `shutdown` is a failure");
}

#[test]
fn rapid_typing_is_kept_up_with() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    let before = client.diagnostics(&file).len();
    client.open(&file);
    let started = Instant::now();
    for version in 2..1002 {
        let at = json!({ "line": 4, "character": 0 });
        let text = if version % 10 == 0 { "\n" } else { "x" };
        client.change(&file, version, json!({ "start": at, "end": at }), text);
    }
    let asked = Instant::now();
    let lens = client.result("textDocument/codeLens", json!({ "textDocument": { "uri": uri(&file) } }));
    assert_eq!(lens.as_array().map(Vec::len), Some(2));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(5));
    let after = client.until(&file, |found| found[0]["range"]["start"]["line"].as_u64() > Some(100));
    assert_eq!(after.len(), before);
    let published =
        client.transcript.iter().filter(|(_, it)| it["method"] == "textDocument/publishDiagnostics").count();
    assert!(published < 100, "{published} times for a thousand changes");
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_megabyte_of_source_is_edited() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    client.diagnostics(&file);
    let text = client.open(&file);
    let big = format!("{}{text}", "// nothing to see here\n".repeat(50_000));
    client.change(&file, 2, Value::Null, &big);
    let found = client.diagnostics(&file);
    assert!(found[0]["range"]["start"]["line"].as_u64() > Some(50_000));
    let at = json!({ "line": 3, "character": 0 });
    client.change(&file, 3, json!({ "start": at, "end": at }), "\n");
    let asked = Instant::now();
    client.result("textDocument/codeLens", json!({ "textDocument": { "uri": uri(&file) } }));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_thousand_contracts_are_read_and_answered_for() {
    let project = many(1000);
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    // Requests are answered while all of it is read and analysed.
    let asked = Instant::now();
    assert_eq!(client.result("workspace/symbol", json!({ "query": "x" })), json!([]));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let last = project.root.join("src/Token999.sol");
    assert_eq!(client.diagnostics(&last).len(), 2);
    let symbols = client.result("workspace/symbol", json!({ "query": "volume" }));
    assert_eq!(symbols.as_array().map(Vec::len), Some(500), "as many as anybody looks at");
    client.open(&last);
    let asked = Instant::now();
    let lens = client.result("textDocument/codeLens", json!({ "textDocument": { "uri": uri(&last) } }));
    assert_eq!(lens.as_array().map(Vec::len), Some(2));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_document_may_be_closed_while_its_project_is_analysed() {
    let project = many(100);
    let file = project.root.join("src/Token99.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    for round in 0..20 {
        let text = client.open(&file);
        client.change(&file, 2, Value::Null, &format!("// {round}\n{text}"));
        let document = json!({ "textDocument": { "uri": uri(&file) } });
        client.notify("textDocument/didClose", document.clone());
        // Nobody may be answered for a document that is not open, and nothing may break.
        client.result("textDocument/codeLens", document);
    }
    let found = client.until(&file, |found| found.len() == 2);
    // What is on the disk counts, not what was typed.
    assert_eq!(found[0]["range"]["start"]["line"], 13);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn builds_are_noticed_for_clients_that_cannot_watch() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    assert_eq!(client.diagnostics(&file).len(), 2);
    // Once the server has looked, a change is one.
    client.listen(Duration::from_millis(2500));
    fs::write(project.root.join("deconflict.toml"), "version = 1\nexclude = [\"src/**\"]\n")
        .expect("written");
    client.until(&file, <[Value]>::is_empty);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn two_roots_may_have_the_same_contracts() {
    let (one, two) = (copy("demo/counter"), copy("demo/start"));
    let files = [one.root.join("src/Token.sol"), two.root.join("src/Token.sol")];
    let mut client = Client::start(&[]);
    client.initialize(&[&one.root, &two.root], &capabilities(), &Value::Null);
    client.diagnostics(&files[0]);
    let symbols = client.result("workspace/symbol", json!({ "query": "" }));
    let uris: Vec<_> = symbols.as_array().expect("a list").iter().map(|it| &it["location"]["uri"]).collect();
    assert!(uris.iter().all(|it| **it == uri(&files[0]).as_str() || **it == uri(&files[1]).as_str()));
    let removed = json!({ "event": { "added": [], "removed": [{ "uri": uri(&one.root), "name": "one" }] } });
    client.notify("workspace/didChangeWorkspaceFolders", removed);
    client.until(&files[0], <[Value]>::is_empty);
    assert_eq!(client.shut_down(), 0);
}

#[test]
fn a_missing_compiler_is_mentioned_once() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    client.diagnostics(&file);
    let text = client.open(&file);
    for round in 0..3 {
        client.save(&file, &format!("{text}// {round}\n"));
        if round == 0 {
            client.until(&file, |found| found[0]["source"] == "deconflict (stale)");
        }
        client.listen(Duration::from_millis(300));
    }
    let said: Vec<_> =
        client.transcript.iter().filter(|(_, it)| it["method"] == "window/showMessage").collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1["params"]["message"].as_str().is_some_and(|it| it.contains("no compiler")), "{said:?}");
    fs::remove_file(&file).expect("it is there");
    let change = json!({ "uri": uri(&file), "type": 3 });
    client.notify("workspace/didChangeWatchedFiles", json!({ "changes": [change] }));
    client.until(&file, <[Value]>::is_empty);
    assert_eq!(client.shut_down(), 0);
}
