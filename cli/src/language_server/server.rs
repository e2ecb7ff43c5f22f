//! The thread that answers.
//!
//! In: events. Out: answers, each from the last good state and at once, so that no request ever waits for a compiler.
//! A request that panics is answered with an error, and the server goes on.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use gen_lsp_types::{InitializeParams, Uri};
use lsp_server::{Message, Request, RequestId, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Event,
    client::{Client, Urgency},
    document::Document,
    pages::Pages,
    settings::Settings,
    snapshot::Snapshot,
    transport::{Incoming, Outgoing},
    watch::{Stamp, stamp},
    worker::{self, Job, panic_text},
};

/// An error as the protocol has it.
pub(super) type Failure = (i32, String);

const NOT_INITIALIZED: i32 = -32002;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
const REQUEST_CANCELLED: i32 = -32800;

/// How often to look whether the parent is still there.
const PARENT_INTERVAL: Duration = Duration::from_secs(2);

/// How far the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    ShutDown,
}

/// What an answer of the client's is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// The user's settings.
    Configuration,
    /// Something that needs no answer.
    Other,
}

/// The server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) documents: BTreeMap<PathBuf, Document>,
    pub(super) snapshots: BTreeMap<PathBuf, Arc<Snapshot>>,
    /// The folders that the user has opened, and the projects in each.
    pub(super) folders: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
    pub(super) settings: Settings,
    pub(super) pages: Pages,
    pub(super) pending: BTreeMap<RequestId, Pending>,
    /// What was last sent for a file, and what the file was called then.
    pub(super) published: BTreeMap<PathBuf, (Uri, Value)>,
    /// What is to be compiled, from when on.
    pub(super) saved: BTreeMap<PathBuf, (Instant, BTreeSet<PathBuf>)>,
    /// What is to be read again, from when on.
    pub(super) rebuilt: BTreeMap<PathBuf, Instant>,
    /// When to send diagnostics that have moved.
    pub(super) moved: Option<Instant>,
    /// What goes on, by project: the token of its progress and whether it was begun.
    pub(super) progress: BTreeMap<PathBuf, String>,
    pub(super) next_token: u32,
    jobs: Option<Sender<Job>>,
    worker: Option<JoinHandle<()>>,
    events: Sender<Event>,
    queue: VecDeque<Incoming>,
    cancelled: BTreeSet<RequestId>,
    phase: Phase,
    parent: Option<i32>,
    parent_seen: Instant,
    stamps: BTreeMap<PathBuf, Stamp>,
}

impl Server {
    /// A server that has not heard of anybody.
    pub(super) fn new(out: Sender<Outgoing>, events: Sender<Event>) -> Self {
        Self {
            client: Client::new(out),
            documents: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            folders: BTreeMap::new(),
            settings: Settings::default(),
            pages: Pages::new(),
            pending: BTreeMap::new(),
            published: BTreeMap::new(),
            saved: BTreeMap::new(),
            rebuilt: BTreeMap::new(),
            moved: None,
            progress: BTreeMap::new(),
            next_token: 0,
            jobs: None,
            worker: None,
            events,
            queue: VecDeque::new(),
            cancelled: BTreeSet::new(),
            phase: Phase::New,
            parent: None,
            parent_seen: Instant::now(),
            stamps: BTreeMap::new(),
        }
    }

    /// Serves until the client says `exit` or goes away. Returns the code to exit with.
    pub(super) fn run(mut self, events: &Receiver<Event>) -> u8 {
        loop {
            match events.recv_timeout(self.patience()) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return 1,
            }
            // What has arrived meanwhile may cancel what is about to be done.
            events.try_iter().for_each(|event| self.take(event));
            while let Some(incoming) = self.queue.pop_front() {
                match incoming {
                    Incoming::Closed => return u8::from(self.phase != Phase::ShutDown),
                    Incoming::Malformed(code, text) => self.client.malformed(code, text),
                    Incoming::Message(Message::Notification(it)) if it.method == "exit" => {
                        return u8::from(self.phase != Phase::ShutDown);
                    }
                    Incoming::Message(message) => self.receive(message),
                }
                events.try_iter().for_each(|event| self.take(event));
            }
            self.do_what_is_due();
            if self.parent_is_gone() {
                return 1;
            }
        }
    }

    /// Gives the worker something to do.
    pub(super) fn job(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The worker ends after the last sender.
            let _ = jobs.send(job);
        }
    }

    /// The deepest project that a file lies in.
    pub(super) fn root_of(&self, path: &Path) -> Option<&PathBuf> {
        let roots = self.snapshots.keys().chain(self.folders.values().flatten());
        roots.filter(|root| path.starts_with(root)).max_by_key(|root| root.components().count())
    }

    /// Sends a request to the client.
    pub(super) fn ask(&mut self, method: &str, parameters: Value, pending: Pending) {
        let id = self.client.request(method, parameters);
        self.pending.insert(id, pending);
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Worker(update) => self.update(update),
            Event::Incoming(incoming) => {
                if let Incoming::Message(Message::Notification(it)) = &incoming
                    && it.method == "$/cancelRequest"
                {
                    let id = it.params.get("id").cloned().unwrap_or_default();
                    if let Ok(id) = serde_json::from_value(id) {
                        self.cancelled.insert(id);
                    }
                    return;
                }
                self.queue.push_back(incoming);
            }
        }
    }

    fn patience(&self) -> Duration {
        let saved = self.saved.values().map(|(due, _)| *due);
        let due = saved.chain(self.rebuilt.values().copied()).chain(self.moved).min();
        let now = Instant::now();
        due.map_or(PARENT_INTERVAL, |due| due.saturating_duration_since(now)).min(PARENT_INTERVAL)
    }

    fn do_what_is_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> =
            self.saved.iter().filter(|(_, (due, _))| *due <= now).map(|(it, _)| it.clone()).collect();
        for root in due {
            if let Some((_, files)) = self.saved.remove(&root) {
                self.job(Job::Saved(root, files));
            }
        }
        let due: Vec<_> =
            self.rebuilt.iter().filter(|(_, due)| **due <= now).map(|(it, _)| it.clone()).collect();
        for root in due {
            self.rebuilt.remove(&root);
            self.job(Job::Rebuilt(root));
        }
        if self.moved.is_some_and(|due| due <= now) {
            self.moved = None;
            self.publish_open();
        }
        if self.queue.is_empty() {
            // What was cancelled has been answered.
            self.cancelled.clear();
        }
    }

    fn parent_is_gone(&mut self) -> bool {
        if self.parent_seen.elapsed() < PARENT_INTERVAL {
            return false;
        }
        self.parent_seen = Instant::now();
        self.look_at_files();
        self.parent.is_some_and(|parent| !is_running(parent))
    }

    /// Notices builds and configurations on behalf of a client that does not.
    fn look_at_files(&mut self) {
        if self.phase != Phase::Running
            || self.client.can("/workspace/didChangeWatchedFiles/dynamicRegistration")
        {
            return;
        }
        for root in self.snapshots.keys() {
            let now = stamp(root);
            if self.stamps.insert(root.clone(), now).is_some_and(|before| before != now) {
                self.rebuilt.insert(root.clone(), Instant::now() + PARENT_INTERVAL / 4);
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Request(request) => {
                let id = request.id.clone();
                let response = match guarded(|| self.answer(request)) {
                    Ok(value) => Response::new_ok(id, value),
                    Err((code, text)) => Response::new_err(id, code, text),
                };
                self.client.send(response);
            }
            Message::Notification(notification) => {
                let method = notification.method.clone();
                let heard = catch_unwind(AssertUnwindSafe(|| self.hear(notification)));
                if let Err(panic) = heard {
                    let text = panic_text(panic.as_ref());
                    self.client.say(Urgency::Log, &format!("{method} failed ({text}); please report it"));
                }
            }
            Message::Response(response) => {
                if self.pending.remove(&response.id) == Some(Pending::Configuration)
                    && let Ok(value) = response.response_result
                {
                    self.configure(value.get(0).unwrap_or(&Value::Null));
                }
            }
        }
    }

    fn answer(&mut self, request: Request) -> Result<Value, Failure> {
        if self.cancelled.remove(&request.id) {
            return Err((REQUEST_CANCELLED, "cancelled".to_owned()));
        }
        match (self.phase, request.method.as_str()) {
            (Phase::New, "initialize") => return Ok(self.initialize(&read(request.params)?)),
            (Phase::New, _) => return Err((NOT_INITIALIZED, "send `initialize` first".to_owned())),
            (Phase::ShutDown, _) => {
                return Err((INVALID_REQUEST, "the server has shut down; only `exit` is left".to_owned()));
            }
            (Phase::Running, "initialize") => {
                return Err((INVALID_REQUEST, "`initialize` was sent already".to_owned()));
            }
            (Phase::Running, "shutdown") => {
                self.phase = Phase::ShutDown;
                self.stop();
                return Ok(Value::Null);
            }
            (Phase::Running, _) => {}
        }
        let parameters = request.params;
        match request.method.as_str() {
            "textDocument/hover" => Ok(self.hover(&read(parameters)?)),
            "textDocument/codeLens" => Ok(self.code_lens(&read(parameters)?)),
            "textDocument/inlayHint" => Ok(self.inlay_hints(&read(parameters)?)),
            "textDocument/codeAction" => Ok(self.code_actions(&read(parameters)?)),
            "textDocument/documentSymbol" => Ok(self.document_symbols(&read(parameters)?)),
            "workspace/symbol" => Ok(self.workspace_symbols(&read(parameters)?)),
            "textDocument/diagnostic" => Ok(self.pull(&read(parameters)?)),
            "workspace/diagnostic" => Ok(self.pull_all(&read(parameters)?)),
            "workspace/executeCommand" => self.execute(&read(parameters)?),
            method => Err((METHOD_NOT_FOUND, format!("`{method}` is not something this server does"))),
        }
    }

    fn initialize(&mut self, parameters: &InitializeParams) -> Value {
        self.client.learn(parameters);
        self.parent = parameters.process_id.filter(|&it| it > 0);
        if let Some(options) = &parameters.initialization_options {
            let options = serde_json::to_value(options).unwrap_or_default();
            self.settings = Settings::read(&options).unwrap_or_default();
        }
        let (jobs, worker) = worker::start(self.events.clone(), self.pages.folder());
        (self.jobs, self.worker) = (Some(jobs), Some(worker));
        self.job(Job::Configure(Box::new(self.settings.clone())));
        let value = serde_json::to_value(parameters).unwrap_or_default();
        let mut folders: Vec<String> = value["workspaceFolders"]
            .as_array()
            .map(|folders| folders.iter().filter_map(|it| it["uri"].as_str().map(str::to_owned)).collect())
            .unwrap_or_default();
        if folders.is_empty() {
            folders.extend(value["rootUri"].as_str().map(str::to_owned));
        }
        for folder in folders {
            self.add_folder(&folder);
        }
        self.phase = Phase::Running;
        // A client that asks but cannot be told to ask again is sent everything, and must not ask as well.
        let asked = json!({
            "identifier": "deconflict", "interFileDependencies": true, "workspaceDiagnostics": true,
        });
        let asks_in_vain = self.client.can("/textDocument/diagnostic") && !self.client.pulls();
        let mut answer = json!({
            "serverInfo": { "name": "deconflict", "version": env!("CARGO_PKG_VERSION") },
            "capabilities": {
                "positionEncoding": self.client.encoding.name(),
                "textDocumentSync": { "openClose": true, "change": 2, "save": { "includeText": false } },
                "hoverProvider": true,
                "codeLensProvider": { "resolveProvider": false },
                "inlayHintProvider": { "resolveProvider": false },
                "codeActionProvider": { "codeActionKinds": ["quickfix", "refactor.rewrite"] },
                "documentSymbolProvider": { "label": "Deconflict" },
                "workspaceSymbolProvider": true,
                "executeCommandProvider": { "commands": super::commands::COMMANDS },
                "workspace": { "workspaceFolders": { "supported": true, "changeNotifications": true } },
            },
        });
        if !asks_in_vain {
            answer["capabilities"]["diagnosticProvider"] = asked;
        }
        answer
    }

    /// Lets the worker end. What it is compiling is left to itself.
    fn stop(&mut self) {
        self.jobs = None;
        self.worker = None;
    }
}

/// Turns a panic into an error of the one request that it met.
fn guarded(work: impl FnOnce() -> Result<Value, Failure>) -> Result<Value, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic_text(panic.as_ref());
        Err((INTERNAL_ERROR, format!("this request failed ({text}); please report it")))
    })
}

/// Reads the parameters of a request.
fn read<T: DeserializeOwned>(parameters: Value) -> Result<T, Failure> {
    serde_json::from_value(parameters).map_err(|error| (INVALID_PARAMS, error.to_string()))
}

#[cfg(unix)]
fn is_running(process: i32) -> bool {
    let Some(process) = rustix::process::Pid::from_raw(process) else { return true };
    // A process of somebody else's is one that runs.
    rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH)
}

/// The end of standard input has to tell elsewhere.
#[cfg(not(unix))]
fn is_running(_: i32) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_error_of_one_request() {
        let failed = guarded(|| panic!("index {} is out of range", 3));
        let (code, text) = failed.expect_err("it has panicked");
        assert_eq!(code, INTERNAL_ERROR);
        assert!(text.contains("index 3 is out of range"), "{text}");
        assert_eq!(guarded(|| Ok(Value::Bool(true))), Ok(Value::Bool(true)));
    }

    #[test]
    fn a_process_that_runs_is_told_from_one_that_does_not() {
        assert!(is_running(std::process::id() as i32));
    }
}
