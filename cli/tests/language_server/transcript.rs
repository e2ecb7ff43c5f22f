//! A conversation from its first message to its last.

use serde_json::{Value, json};

use crate::client::{Client, capabilities, copy, position, uri};

#[test]
fn a_conversation_from_initialize_to_exit() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &json!({ "inlayHints": true }));
    let found = client.diagnostics(&file);
    assert_eq!(found.len(), 2);
    let text = client.open(&file);
    let document = json!({ "uri": uri(&file) });
    for word in ["purchases;", "transfer(", "balances[msg"] {
        let place = position(&text, word);
        client.result("textDocument/hover", json!({ "textDocument": document, "position": place }));
    }
    client.result("textDocument/codeLens", json!({ "textDocument": document }));
    let all = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    client.result("textDocument/inlayHint", json!({ "textDocument": document, "range": all }));
    client.result(
        "textDocument/codeAction",
        json!({ "textDocument": document, "range": found[0]["range"], "context": { "diagnostics": [found[0]] } }),
    );
    client.result("textDocument/documentSymbol", json!({ "textDocument": document }));
    client.result("workspace/symbol", json!({ "query": "pur" }));
    let pulled = client.result("textDocument/diagnostic", json!({ "textDocument": document }));
    let again = json!({ "textDocument": document, "previousResultId": pulled["resultId"] });
    assert_eq!(client.result("textDocument/diagnostic", again)["kind"], "unchanged");
    let all = client.result("workspace/diagnostic", json!({ "previousResultIds": [] }));
    assert_eq!(all["items"][0]["items"], pulled["items"]);
    assert_eq!(client.request("workspace/unknown", json!({}))["error"]["code"], -32601);
    client.notify("textDocument/didClose", json!({ "textDocument": document }));
    let transcript = std::mem::take(&mut client.transcript);
    assert_eq!(client.shut_down(), 0);
    let root = project.root.display().to_string();
    let text: Vec<String> = transcript.iter().map(|message| show(message, &root)).collect();
    // Results are told apart by what they hold, folders included.
    let id = pulled["resultId"].as_str().expect("a result has an identifier");
    insta::assert_snapshot!(text.join("\n").replace(id, "first result"));
}

/// One message, without what differs from run to run.
fn show((direction, message): &(char, Value), root: &str) -> String {
    let mut message = message.clone();
    if let Some(process) = message.pointer_mut("/params/processId") {
        *process = json!(0);
    }
    let text = serde_json::to_string_pretty(&message).expect("JSON");
    let mut text = text.replace(root, "/project");
    // Pages are in a folder of the server's own.
    while let Some(start) = text.find("file:///").filter(|_| text.contains("deconflict-lsp-")) {
        let Some(folder) = text.find("deconflict-lsp-") else { break };
        let start = text[..folder].rfind("file://").unwrap_or(start);
        let end = folder + text[folder..].find('/').unwrap_or(0);
        text.replace_range(start..end, "file:///pages");
    }
    format!("{direction} {text}")
}
