//! `serve` as clients meet it over HTTP: what is answered with which status, whatever is asked, and a node that stalls.

#![cfg(feature = "serve")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// A server that ends with its test.
struct Server {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    _cache: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let cache = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_deconflict"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("DECONFLICT_CACHE_DIR", cache.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stderr.take().expect("it was asked for")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it has ended: {log:?}")).expect("text");
            log.lock().expect("nobody panics").push_str(&line);
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.trim_end_matches('"').to_owned();
            }
        };
        let rest = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                rest.lock().expect("nobody panics").push_str(&line);
            }
        });
        Self { child, address, log, _cache: cache }
    }

    /// Sends a request with these header lines, and reads the answer to its end.
    fn ask(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let headers: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
        let length = body.len();
        let text = format!(
            "{line} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &["host: localhost"], "")
    }

    fn post(&self, body: &str) -> Answer {
        self.ask("POST /", &["host: localhost", "content-type: application/json"], body)
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.post(&body.to_string()).json()
    }

    /// A counter of `/metrics`.
    fn count(&self, name: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect("it is counted");
        line.rsplit(' ').next().and_then(|it| it.parse().ok()).expect("a number")
    }

    /// Asks for `/health` until it is as wanted.
    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let health = self.get("/health").json();
            if wanted(&health) {
                return health;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn block() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/blocks/2-tokens.json")
}

#[test]
fn an_id_comes_back_as_it_was_written_and_notifications_have_no_answer() {
    let server = Server::start(&[]);
    for id in ["1", "-3", "1.50", "1e2", "18446744073709551616", "null", "\"\"", "\"a\\u00e9b\""] {
        let ask =
            |method: &str| server.post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#));
        for answer in [ask("deconflict_health"), ask("deconflict_nothing")] {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},""#)), "{answer:?}");
        }
    }
    let note = r#"{"jsonrpc":"2.0","method":"deconflict_health"}"#;
    let lost = r#"{"jsonrpc":"2.0","method":"deconflict_nothing","params":[1]}"#;
    for body in [note, lost, &format!("[{note},{lost}]")] {
        let answer = server.post(body);
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{body}");
        assert!(!answer.head.contains("content-type"), "{answer:?}");
    }
    let call = r#"{"jsonrpc":"2.0","id":"x","method":"deconflict_cache"}"#;
    let answers = server.post(&format!("[{note},{call},7,{lost},{call}]")).json();
    let ids: Vec<&Value> = answers.as_array().expect("a list").iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&json!("x"), &Value::Null, &json!("x")]);
    assert_eq!(answers[1]["error"]["code"], -32600);
    assert_eq!(server.post("[]").json()["error"]["code"], -32600);
}

#[test]
fn only_the_right_paths_methods_and_hosts_are_answered() {
    let server = Server::start(&["--allow-host", "Hints.Example"]);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"deconflict_health"}"#;
    let (host, kind) = ("host: localhost:1", "content-type: application/json");
    let port = server.address.rsplit(':').next().expect("a port");
    let own = format!("host: 127.0.0.1:{port}");
    let cases: &[(&str, &[&str], u16)] = &[
        ("POST /", &[host, kind], 200),
        ("POST /", &[&own, "content-type: Application/JSON; charset=utf-8"], 200),
        ("POST /", &["host: [::1]", kind], 200),
        ("POST /?x", &["host: hints.example:8547", kind], 200),
        ("POST /", &["host: evil.example", kind], 403),
        ("POST /", &["host: localhost.evil.example", kind], 403),
        ("POST /", &["host: localhost", "host: evil.example", kind], 403),
        ("GET /metrics", &["host: evil.example"], 403),
        ("GET /health", &["host: evil.example"], 403),
        ("POST /", &[host, "content-type: text/plain"], 415),
        ("POST /", &[host], 415),
        ("GET /", &[host], 405),
        ("PUT /", &[host, kind], 405),
        ("POST /health", &[host, kind], 405),
        ("OPTIONS /", &[host], 405),
        ("POST /foo", &[host, kind], 404),
        ("GET /foo", &[host], 404),
        ("GET /metrics/", &[host], 404),
        ("GET /favicon.ico", &[host], 404),
    ];
    let (before, failed) =
        (server.count("deconflict_requests_total"), server.count("deconflict_errors_total"));
    for (line, headers, status) in cases {
        let answer = server.ask(line, headers, call);
        assert_eq!(answer.status, *status, "{line} {headers:?}: {answer:?}");
    }
    let wrong = cases.iter().filter(|(_, _, status)| *status >= 300).count() as u64;
    // Looking at the metrics twice counts as well.
    assert_eq!(server.count("deconflict_requests_total") - before, cases.len() as u64 + 2);
    assert_eq!(server.count("deconflict_errors_total") - failed, wrong);
    let before = server.count("deconflict_requests_total");
    for body in
        ["nonsense", r#"{"jsonrpc":"2.0","method":"deconflict_cache"}"#, call, &format!("[{call},{call}]")]
    {
        server.post(body);
    }
    server.call("deconflict_nothing", &json!({}));
    assert_eq!(server.count("deconflict_requests_total") - before, 7);
}

#[test]
fn a_token_is_borne_in_any_case_of_the_scheme() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "a-token-of-some-length\n").expect("room");
    let warned = |mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).expect("it is ours");
        let server = Server::start(&["--token-file", &token.to_string_lossy()]);
        for (given, status) in [
            ("authorization: Bearer a-token-of-some-length", 200),
            ("authorization: bearer a-token-of-some-length", 200),
            ("Authorization: BEARER a-token-of-some-length", 200),
            ("authorization: bearer A-token-of-some-length", 401),
            ("authorization: a-token-of-some-length", 401),
            ("x: y", 401),
        ] {
            for path in ["/health", "/metrics", "/foo"] {
                let answer = server.ask(&format!("GET {path}"), &["host: localhost", given], "");
                let wanted = if path == "/foo" && status == 200 { 404 } else { status };
                assert_eq!(answer.status, wanted, "{given} {path}");
            }
        }
        let log = server.log.lock().expect("nobody panics").clone();
        log.contains("can read or write the token")
    };
    assert!(warned(0o644));
    assert!(!warned(0o600));
}

#[test]
fn what_is_wrong_with_parameters_is_said_in_their_own_words() {
    let server = Server::start(&["--block", &block().to_string_lossy()]);
    let wrong = |params: Value| {
        let answer = server.call("deconflict_plan", &params);
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        answer["error"]["message"].as_str().expect("text").to_owned()
    };
    let account = format!("0x{}", "aa".repeat(20));
    let cases = [
        (json!({}), "transactions"),
        (json!([]), "params"),
        (json!([[]]), "params"),
        (json!({ "transactions": 1 }), "transactions"),
        (json!({ "transactions": [], "environment": { "number": "24" } }), "environment.number: "),
        (json!({ "transactions": [], "environment": { "number": -1 } }), "environment.number: "),
        (json!({ "transactions": [], "environment": { "coinbase": 5 } }), "environment.coinbase: "),
        (json!({ "transactions": [], "environment": 7 }), "environment: "),
        (json!({ "transactions": [], "environment": { "nmber": 1 } }), "environment.nmber: "),
        (json!({ "transactions": [], "state": { account.clone(): { "nonce": "x" } } }), "nonce: "),
        (json!({ "transactions": [], "state": { account: 1 } }), "state."),
        (json!({ "transactions": [], "lanes": 100_000 }), "lanes: 100000 is not from 1 to 1024"),
        (json!({ "transactions": [], "lanes": 0 }), "lanes: "),
        (json!({ "transactions": [], "lanes": "many" }), "lanes: "),
    ];
    for (params, words) in cases {
        let message = wrong(params.clone());
        assert!(message.contains(words), "{params}: {message}");
        for foreign in ["struct", "u64", "usize", "Params", " at line ", "Quantity"] {
            assert!(!message.contains(foreign), "{params}: {message}");
        }
    }
    let plan = |lanes: Value, number: Value| {
        let params = json!({ "transactions": [], "lanes": lanes, "environment": { "number": number } });
        server.call("deconflict_plan", &params)["result"].clone()
    };
    let number = 1_000_000;
    assert_eq!(plan(json!(1_024), json!(number)), plan(json!("0x400"), json!(format!("{number:#x}"))));
    assert_eq!(plan(json!(8), json!(number))["number"], number);
}

#[test]
fn all_states_that_can_be_asked_about_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(block()).expect("a fixture");
    let file = |name: &str, parent: Value| {
        let mut document: Value = serde_json::from_str(&text).expect("JSON");
        document["header"]["parent_hash"] = parent;
        let path = folder.path().join(name);
        fs::write(&path, document.to_string()).expect("room");
        path.to_string_lossy().into_owned()
    };
    let hash = |byte: &str| json!(format!("0x{}", byte.repeat(32)));
    let files = [file("1.json", hash("11")), file("2.json", hash("22")), file("3.json", Value::Null)];
    let all: Vec<&str> = files.iter().flat_map(|file| ["--block", file]).collect();
    assert_eq!(Server::start(&all).call("deconflict_cache", &json!({}))["result"]["states"], 3);
    assert_eq!(Server::start(&all[..4]).call("deconflict_cache", &json!({}))["result"]["states"], 2);
    assert_eq!(Server::start(&[]).call("deconflict_cache", &json!({}))["result"]["states"], 0);
}

/// A node with one head, which answers until it is stalled, and then not before it goes on.
struct Node {
    address: String,
    stalled: Arc<(Mutex<bool>, Condvar)>,
    asked: Arc<AtomicBool>,
}

impl Node {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let node = Self { address, stalled: Arc::default(), asked: Arc::default() };
        let (stalled, asked) = (Arc::clone(&node.stalled), Arc::clone(&node.asked));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (stalled, asked) = (Arc::clone(&stalled), Arc::clone(&asked));
                thread::spawn(move || converse(stream, &stalled, &asked));
            }
        });
        node
    }

    fn stall(&self, stalled: bool) {
        *self.stalled.0.lock().expect("nobody panics") = stalled;
        self.stalled.1.notify_all();
    }
}

fn converse(mut stream: TcpStream, stalled: &(Mutex<bool>, Condvar), asked: &AtomicBool) {
    let mut input = BufReader::new(stream.try_clone().expect("a socket"));
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        if input.read_exact(&mut body).is_err() {
            return;
        }
        let request: Value = serde_json::from_slice(&body).expect("JSON");
        let mut waits = stalled.0.lock().expect("nobody panics");
        while *waits {
            asked.store(true, Ordering::SeqCst);
            waits = stalled.1.wait(waits).expect("nobody panics");
        }
        drop(waits);
        let result = match request["method"].as_str().expect("a method") {
            "eth_chainId" | "eth_getTransactionCount" => json!("0x1"),
            "eth_getBalance" => json!("0xffffffffffffff"),
            // Loads the slot that calldata names.
            "eth_getCode" => json!("0x5f355450"),
            "eth_getStorageAt" => json!(format!("0x{}", "00".repeat(32))),
            "eth_getBlockByNumber" => head(),
            other => panic!("{other}"),
        };
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

/// The head of the node's chain, as nodes say it.
fn head() -> Value {
    let header = alloy_consensus::Header {
        number: 100,
        gas_limit: 30_000_000,
        timestamp: 1_700_000_000,
        base_fee_per_gas: Some(7),
        ..alloy_consensus::Header::default()
    };
    let mut answer = serde_json::to_value(&header).expect("JSON");
    answer["hash"] = json!(header.hash_slow());
    answer
}

#[test]
fn a_node_that_stalls_stalls_nobody() {
    let node = Node::start();
    // It would be waited for until the test is given up.
    let server = Server::start(&["--rpc-url", &node.address, "--timeout", "3600", "--analysis-ms", "100"]);
    let health = server.until(|health| health["node"]["head"] == 100);
    assert_eq!((&health["status"], &health["node"]["stale"]), (&json!("ok"), &json!(false)), "{health}");
    let hint = |to: &str, slot: u8| {
        let transaction = json!({
            "type": 0, "from": format!("0x{}", "11".repeat(20)), "to": format!("0x{}", to.repeat(20)), "nonce": 1,
            "value": "0x0", "gas_limit": 100_000, "gas_price": "0x10", "input": format!("0x{slot:064x}"),
        });
        let answer = server.call("deconflict_hints", &json!({ "transactions": [transaction] }));
        assert!(answer["error"].is_null(), "{answer}");
        (answer["result"]["number"].clone(), answer["result"]["txs"][0].clone())
    };
    // Known once it was asked for, however long that takes.
    while hint("aa", 5).1["complete"] != true {}

    node.stall(true);
    while !node.asked.load(Ordering::SeqCst) {
        server.get("/health");
        thread::sleep(Duration::from_millis(20));
    }
    let health = server.until(|health| health["status"] == "stale");
    assert_eq!((&health["node"]["stale"], &health["node"]["head"]), (&json!(true), &json!(100)), "{health}");
    assert!(health["node"]["head_age_ms"].is_u64() && health["node"]["problem"].is_string(), "{health}");
    for _ in 0..3 {
        let (number, known) = hint("aa", 5);
        assert_eq!((&number, &known["complete"]), (&json!(101), &json!(true)), "{known}");
    }
    // What is not known is not waited for either, and is said; after a while it is not even asked for.
    for account in ["bb", "cc"] {
        assert_eq!(hint(account, 5).1["complete"], false);
    }
    while hint("dd", 5).1["incomplete"] == "analysis pending" {}
    assert_eq!(hint("ee", 5).1["incomplete"], "code-unavailable");

    node.stall(false);
    server.until(|health| health["status"] == "ok");
    while hint("bb", 5).1["complete"] != true {}
}
