//! A client that speaks to a real server over its standard input and output.

#![expect(clippy::needless_pass_by_value, reason = "messages are written where they are sent")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server and what it has said.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    next: i64,
    /// Where it keeps results, unless a test says otherwise.
    _cache: tempfile::TempDir,
    /// Everything that was sent (`>`) and received (`<`), in order.
    pub(crate) transcript: Vec<(char, Value)>,
}

impl Client {
    /// Starts a server. `environment` is set on top of an environment without compilers.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deconflict"));
        command.arg("lsp").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let cache = tempfile::tempdir().expect("a folder can be made");
        command.env("PATH", "").env("HOME", "/nonexistent").env("DECONFLICT_CACHE_DIR", cache.path());
        command.envs(environment.iter().copied());
        let mut child = command.spawn().expect("the server starts");
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("it was asked for"));
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { child, input, messages, next: 0, _cache: cache, transcript: Vec::new() }
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, text: &str) {
        let input = self.input.as_mut().expect("it is open");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("the server reads");
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: Value) {
        let text = message.to_string();
        self.raw(&format!("Content-Length: {}\r\n\r\n{text}", text.len()));
        self.transcript.push(('>', message));
    }

    /// Sends a notification.
    pub(crate) fn notify(&mut self, method: &str, parameters: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": parameters }));
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn request(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }));
        self.wait(|it| it["id"] == id && it.get("method").is_none())
    }

    /// The result of a request.
    pub(crate) fn result(&mut self, method: &str, parameters: Value) -> Value {
        let answer = self.request(method, parameters);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Waits for a message. Requests of the server's are answered on the way.
    pub(crate) fn wait(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).unwrap_or_else(|error| {
                panic!("the server said nothing more ({error}) after {:#?}", self.transcript.last())
            });
            self.transcript.push(('<', message.clone()));
            if message.get("method").is_some() && message.get("id").is_some() {
                self.send(json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }));
            }
            if wanted(&message) {
                return message;
            }
        }
    }

    /// Takes what has arrived within `time`.
    pub(crate) fn listen(&mut self, time: Duration) -> Vec<Value> {
        let end = Instant::now() + time;
        let mut found = Vec::new();
        while let Ok(message) = self.messages.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.transcript.push(('<', message.clone()));
            found.push(message);
        }
        found
    }

    /// Waits for diagnostics of a file.
    pub(crate) fn diagnostics(&mut self, path: &Path) -> Vec<Value> {
        let uri = uri(path);
        let message = self.wait(|it| {
            it["method"] == "textDocument/publishDiagnostics" && it["params"]["uri"] == uri.as_str()
        });
        message["params"]["diagnostics"].as_array().cloned().expect("a list")
    }

    /// Waits until the diagnostics of a file are as `wanted`.
    pub(crate) fn until(&mut self, path: &Path, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        loop {
            let found = self.diagnostics(path);
            if wanted(&found) {
                return found;
            }
        }
    }

    /// Begins a conversation about folders.
    pub(crate) fn initialize(&mut self, folders: &[&Path], capabilities: &Value, options: &Value) -> Value {
        let folders: Vec<Value> =
            folders.iter().map(|it| json!({ "uri": uri(it), "name": "folder" })).collect();
        let answer = self.result(
            "initialize",
            json!({
                "processId": std::process::id(),
                "rootUri": null,
                "workspaceFolders": folders,
                "capabilities": capabilities,
                "initializationOptions": options,
            }),
        );
        self.notify("initialized", json!({}));
        answer
    }

    /// Opens a file of the disk.
    pub(crate) fn open(&mut self, path: &Path) -> String {
        let text = fs::read_to_string(path).expect("a readable file");
        let item = json!({ "uri": uri(path), "languageId": "solidity", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": item }));
        text
    }

    /// Replaces a range of an open file.
    pub(crate) fn change(&mut self, path: &Path, version: i32, range: Value, text: &str) {
        let change =
            if range.is_null() { json!({ "text": text }) } else { json!({ "range": range, "text": text }) };
        let document = json!({ "uri": uri(path), "version": version });
        self.notify(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [change] }),
        );
    }

    /// Writes a file and says that it was saved.
    pub(crate) fn save(&mut self, path: &Path, text: &str) {
        fs::write(path, text).expect("a writable file");
        self.notify("textDocument/didSave", json!({ "textDocument": { "uri": uri(path) } }));
    }

    /// Closes the server's input.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    /// Ends the conversation and returns the server's exit code.
    pub(crate) fn shut_down(mut self) -> i32 {
        assert!(self.result("shutdown", Value::Null).is_null());
        self.notify("exit", Value::Null);
        self.exit_code()
    }

    /// Waits for the server to end.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                return status.code().expect("it was not killed");
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended already unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            Some((_, value)) => length = value.trim().parse().expect("a length"),
            None => break,
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("the server writes JSON"))
}

/// The URI of a path without characters that need to be escaped.
pub(crate) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// What most editors can do.
pub(crate) fn capabilities() -> Value {
    json!({
        "textDocument": {
            "publishDiagnostics": { "relatedInformation": true, "codeDescriptionSupport": true },
        },
        "workspace": { "workspaceEdit": { "documentChanges": true } },
    })
}

/// A copy of a project in a folder of its own.
pub(crate) struct Copy {
    _folder: tempfile::TempDir,
    /// Where it is.
    pub(crate) root: PathBuf,
}

/// Copies a project of the fixtures.
pub(crate) fn copy(project: &str) -> Copy {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = folder.path().canonicalize().expect("it is there").join("project");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    copy_folder(&fixtures.join(project), &root);
    Copy { _folder: folder, root }
}

/// A project of so many contracts, each in a file of its own, `src/Token0.sol` and so on, with two findings.
pub(crate) fn many(contracts: usize) -> Copy {
    let project = copy("demo/counter");
    let (source, folder) = (project.root.join("src/Token.sol"), project.root.join("out/Token.sol"));
    let text = fs::read_to_string(&source).expect("a source");
    let artifact = fs::read_to_string(folder.join("Token.json")).expect("an artifact");
    fs::remove_file(source).and_then(|()| fs::remove_dir_all(folder)).expect("they can be removed");
    for number in 0..contracts {
        let name = format!("Token{number}.sol");
        let mut built: Value = serde_json::from_str(&artifact.replace("Token.sol", &name)).expect("JSON");
        number_source(&mut built, &number.to_string());
        number_nodes(&mut built["ast"], 10_000 * number as u64);
        built["id"] = json!(number);
        let folder = project.root.join("out").join(&name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::write(folder.join("Token.json"), built.to_string()).expect("written");
        fs::write(project.root.join("src").join(&name), &text).expect("written");
    }
    project
}

/// Gives the one source of an artifact, which has the number 0 there, another number.
fn number_source(value: &mut Value, number: &str) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value.as_str()) {
                    ("src" | "nameLocation", Some(place)) => {
                        *value =
                            json!(format!("{}{number}", place.strip_suffix('0').expect("the only source")));
                    }
                    ("sourceMap", Some(map)) => {
                        let entries = map.split(';').map(|entry| {
                            let mut fields: Vec<&str> = entry.split(':').collect();
                            if let Some(file) = fields.get_mut(2).filter(|it| **it == "0") {
                                *file = number;
                            }
                            fields.join(":")
                        });
                        *value = json!(entries.collect::<Vec<_>>().join(";"));
                    }
                    _ => number_source(value, number),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|it| number_source(it, number)),
        _ => {}
    }
}

/// Gives the nodes of a syntax tree other numbers, as the trees of one compilation have.
fn number_nodes(tree: &mut Value, offset: u64) {
    match tree {
        Value::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), &mut *value) {
                    ("id" | "scope" | "referencedDeclaration", Value::Number(id)) => {
                        *value = id.as_u64().map_or_else(|| json!(id), |id| json!(id + offset));
                    }
                    ("linearizedBaseContracts", Value::Array(bases)) => {
                        for base in bases {
                            *base = json!(base.as_u64().expect("a number") + offset);
                        }
                    }
                    _ => number_nodes(value, offset),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|it| number_nodes(it, offset)),
        _ => {}
    }
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// The position just inside the first occurrence of `needle`, in UTF-16.
pub(crate) fn position(text: &str, needle: &str) -> Value {
    let at = text.find(needle).expect("it is there");
    let before = &text[..at];
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    json!({ "line": line, "character": text[start..at].encode_utf16().count() })
}
