//! One document, however its URI is spelled.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Client, capabilities, copy, uri};

/// A path with some of its letters escaped, in small and in large letters.
fn escaped(path: &str) -> String {
    path.replace('T', "%54").replace('o', "%6f").replace("/src/", "/%2E/src//").replace('k', "%6B")
}

#[test]
fn a_document_has_its_findings_under_the_name_that_the_client_uses() {
    let project = copy("demo/counter");
    let file = project.root.join("src/Token.sol");
    let (path, text) = (file.to_string_lossy(), fs::read_to_string(&file).expect("a readable file"));
    let plain = uri(&file);
    let spellings = [
        format!("file:{path}"),
        format!("FILE://{path}"),
        format!("File:{path}"),
        format!("file://localhost{path}"),
        format!("file://LOCALHOST{}", escaped(&path)),
        format!("file://{}", escaped(&path)),
        format!("file://{}", path.replace("/src/", "/src/../src/./")),
    ];
    let mut client = Client::start(&[]);
    client.initialize(&[&project.root], &capabilities(), &Value::Null);
    let published = |client: &mut Client, name: &str| {
        let message = client
            .wait(|it| it["method"] == "textDocument/publishDiagnostics" && it["params"]["uri"] == name);
        message["params"]["diagnostics"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(published(&mut client, &plain), 2, "before anybody opens it, it has the usual name");
    for name in &spellings {
        let item = json!({ "uri": name, "languageId": "solidity", "version": 1, "text": text });
        client.notify("textDocument/didOpen", json!({ "textDocument": item }));
        assert_eq!(published(&mut client, &plain), 0, "it has its findings once: {name}");
        assert_eq!(published(&mut client, name), 2, "{name}");
        let document = json!({ "textDocument": { "uri": name } });
        let lenses = client.result("textDocument/codeLens", document.clone());
        assert!(lenses.as_array().is_some_and(|lenses| !lenses.is_empty()), "{name}");
        client.notify("textDocument/didClose", document);
        assert_eq!(published(&mut client, name), 0, "{name}");
        assert_eq!(published(&mut client, &plain), 2, "{name}");
    }
    // Another machine's file of the same path is another file.
    let item =
        json!({ "uri": format!("file://host{path}"), "languageId": "solidity", "version": 1, "text": text });
    client.notify("textDocument/didOpen", json!({ "textDocument": item }));
    let said = client.wait(|it| {
        it["method"] == "window/logMessage"
            && it["params"]["message"].as_str().is_some_and(|it| it.contains("file://host"))
    });
    assert!(said["params"]["message"].as_str().is_some_and(|it| it.contains("another machine")), "{said}");
    assert_eq!(client.shut_down(), 0);
}
