//! What the server hears: from the client about documents and files, from the worker about projects.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use deconflict_lints::{FILE_NAME, projects_below, root_of};
use gen_lsp_types::{DidChangeTextDocumentParams, DidOpenTextDocumentParams, TextDocumentContentChangeEvent};
use lsp_server::Notification;
use serde_json::{Value, json};

use super::{
    client::Urgency,
    document::Document,
    server::{Pending, Server},
    settings::Settings,
    snapshot::Freshness,
    uri,
    worker::{Job, Update},
};

/// How long nothing may change before a compilation starts.
const SAVE_QUIET: Duration = Duration::from_millis(60);
/// The same for files that build tools write, many of them one after the other.
const BUILD_QUIET: Duration = Duration::from_millis(400);
/// How long moved diagnostics may wait.
const MOVE_QUIET: Duration = Duration::from_millis(150);

impl Server {
    /// Takes note of a notification; an unknown one is for somebody else.
    pub(super) fn hear(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        let uri = params.pointer("/textDocument/uri").and_then(Value::as_str).map(|it| it.to_owned().into());
        let path = uri.as_ref().and_then(uri::to_path);
        if let ("textDocument/didOpen", Some(uri), None) = (method.as_str(), &uri, &path)
            && uri::is_of_another_host(uri)
        {
            let text = format!("{} lies on another machine: there are no findings for it", uri.0);
            self.client.say(Urgency::Log, &text);
        }
        match (method.as_str(), path) {
            ("initialized", _) => self.initialized(),
            ("textDocument/didOpen", Some(path)) => {
                if let Ok(opened) = serde_json::from_value::<DidOpenTextDocumentParams>(params) {
                    let item = opened.text_document;
                    self.open(&path, Document::new(item.uri, item.version, item.text));
                }
            }
            ("textDocument/didChange", Some(path)) => {
                if let Ok(changed) = serde_json::from_value::<DidChangeTextDocumentParams>(params) {
                    self.change(&path, changed);
                }
            }
            ("textDocument/didSave", Some(path)) => self.is_changed(&path),
            ("textDocument/didClose", Some(path)) => {
                self.documents.remove(&path);
                self.publish(&path);
            }
            ("workspace/didChangeConfiguration", _) => {
                if self.client.can("/workspace/configuration") {
                    self.ask_for_settings();
                } else {
                    self.configure(params.get("settings").unwrap_or(&Value::Null));
                }
            }
            ("workspace/didChangeWorkspaceFolders", _) => {
                let uris = |key: &str| -> Vec<String> {
                    let folders = params.pointer(key).and_then(Value::as_array).into_iter().flatten();
                    folders.filter_map(|it| it["uri"].as_str().map(str::to_owned)).collect()
                };
                for folder in uris("/event/removed") {
                    self.remove_folder(&folder);
                }
                for folder in uris("/event/added") {
                    self.add_folder(&folder);
                }
            }
            ("workspace/didChangeWatchedFiles", _) => {
                let changes = params["changes"].as_array().into_iter().flatten();
                let paths: BTreeSet<PathBuf> =
                    changes.filter_map(|it| uri::to_path(&it["uri"].as_str()?.to_owned().into())).collect();
                for path in paths {
                    self.is_changed(&path);
                }
            }
            _ => {}
        }
    }

    /// Adds the projects in a folder that the user has opened.
    pub(super) fn add_folder(&mut self, folder: &str) {
        let Some(folder) = uri::to_path(&folder.to_owned().into()) else { return };
        let mut roots: BTreeSet<PathBuf> =
            projects_below(&folder).iter().map(|it| uri::canonical(it)).collect();
        if roots.is_empty() {
            // The folder may lie in a project, or be full of artifacts.
            roots.insert(root_of(&folder).unwrap_or_else(|| folder.clone()));
        }
        for root in &roots {
            self.job(Job::Open(root.clone()));
        }
        self.folders.insert(folder, roots);
    }

    fn remove_folder(&mut self, folder: &str) {
        let Some(folder) = uri::to_path(&folder.to_owned().into()) else { return };
        for root in self.folders.remove(&folder).unwrap_or_default() {
            if !self.folders.values().any(|roots| roots.contains(&root)) {
                self.job(Job::Close(root.clone()));
                self.snapshots.remove(&root);
            }
        }
        self.publish_all();
    }

    fn initialized(&mut self) {
        if self.client.can("/workspace/didChangeConfiguration/dynamicRegistration") {
            let registration = json!({ "id": "configuration", "method": "workspace/didChangeConfiguration", "registerOptions": { "section": "deconflict" } });
            self.ask("client/registerCapability", json!({ "registrations": [registration] }), Pending::Other);
        }
        if self.client.can("/workspace/didChangeWatchedFiles/dynamicRegistration") {
            let patterns = [
                "**/*.sol",
                "**/*.vy",
                "**/deconflict.toml",
                "**/deconflict-baseline.json",
                "**/foundry.toml",
                "**/remappings.txt",
                "**/out/**/*.json",
                "**/artifacts/**/*.json",
            ];
            let watchers: Vec<Value> = patterns.iter().map(|it| json!({ "globPattern": it })).collect();
            let registration = json!({ "id": "files", "method": "workspace/didChangeWatchedFiles", "registerOptions": { "watchers": watchers } });
            self.ask("client/registerCapability", json!({ "registrations": [registration] }), Pending::Other);
        }
        if self.client.can("/workspace/configuration") {
            self.ask_for_settings();
        }
    }

    fn ask_for_settings(&mut self) {
        let items = json!({ "items": [{ "section": "deconflict" }] });
        self.ask("workspace/configuration", items, Pending::Configuration);
    }

    /// Takes over the user's settings. A client that has none leaves those of the start as they are.
    pub(super) fn configure(&mut self, value: &Value) {
        let empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        if value.is_null() || empty {
            return;
        }
        match Settings::read(value) {
            Ok(settings) if settings != self.settings => {
                let shown = |it: &Settings| (it.inlay_hints, it.code_lens);
                let redraw = shown(&settings) != shown(&self.settings);
                self.settings = settings;
                self.job(Job::Configure(Box::new(self.settings.clone())));
                if redraw {
                    self.refresh_views();
                }
            }
            Ok(_) => {}
            Err(error) => {
                self.client
                    .say(Urgency::Warning, &format!("the settings of deconflict cannot be read: {error}"));
            }
        }
    }

    fn open(&mut self, path: &Path, mut document: Document) {
        if self.root_of(path).is_none() {
            // A file outside all folders that are open: its project, else its folder with nothing but this file.
            let root = root_of(path).or_else(|| path.parent().map(Path::to_path_buf));
            if let Some(root) = root {
                self.folders.entry(root.clone()).or_default().insert(root.clone());
                self.job(if root_of(path).is_some() {
                    Job::Open(root)
                } else {
                    Job::Saved(root, BTreeSet::from([path.to_owned()]))
                });
            }
        } else if path.extension().is_some_and(|it| it == "sol" || it == "vy") && self.differs(path) {
            self.is_changed(path);
        }
        if let Some(text) = self.snapshot_of(path).and_then(|it| it.text(path)) {
            document.follow(text);
        }
        self.documents.insert(path.to_owned(), document);
        self.publish(path);
    }

    /// Whether the disk has another text than what is known of a file.
    fn differs(&self, path: &Path) -> bool {
        let Some(snapshot) = self.snapshot_of(path) else { return false };
        let Ok(text) = std::fs::read_to_string(path) else { return false };
        let unmarked = |it: &str| it.trim_start_matches('\u{feff}').to_owned();
        snapshot.text(path).is_some_and(|known| unmarked(known) != unmarked(&text))
    }

    fn change(&mut self, path: &Path, changed: DidChangeTextDocumentParams) {
        let Some(document) = self.documents.get_mut(path) else { return };
        document.version = changed.text_document.version;
        for change in changed.content_changes {
            let encoding = self.client.encoding;
            match change {
                TextDocumentContentChangeEvent::TextDocumentContentChangePartial(it) => {
                    document.change(Some(it.range), &it.text, encoding);
                }
                TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(it) => {
                    document.change(None, &it.text, encoding);
                }
            }
        }
        self.moved.get_or_insert_with(|| Instant::now() + MOVE_QUIET);
    }

    /// A file is another than before.
    fn is_changed(&mut self, path: &Path) {
        let Some(root) = self.root_of(path).cloned() else { return };
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        let ends_with = |wanted: &str| path.extension().is_some_and(|it| it == wanted);
        let is_configuration = [FILE_NAME, "foundry.toml", "remappings.txt", "deconflict-baseline.json"]
            .contains(&name.as_str());
        if is_configuration || ends_with("json") {
            // A configuration above several projects is one for all of them.
            let folder = path.parent().unwrap_or(path);
            let below: Vec<PathBuf> =
                self.snapshots.keys().filter(|it| it.starts_with(folder)).cloned().collect();
            for root in below.into_iter().chain([root]) {
                self.rebuilt.insert(root, Instant::now() + BUILD_QUIET);
            }
        } else if ends_with("sol") || ends_with("vy") {
            let entry = self.saved.entry(root).or_insert_with(|| (Instant::now(), BTreeSet::new()));
            entry.0 = Instant::now() + SAVE_QUIET;
            entry.1.insert(path.to_owned());
        }
    }

    /// Takes note of what the worker says.
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Snapshot(snapshot) => {
                let open = self.folders.values().any(|roots| roots.contains(&snapshot.root));
                if !open {
                    return;
                }
                let stale = snapshot.freshness == Freshness::Stale;
                let root = snapshot.root.clone();
                self.snapshots.insert(root.clone(), snapshot);
                self.follow(&root);
                self.publish_all();
                self.refresh_views();
                self.status(&root, false, if stale { "stale" } else { "ready" });
            }
            Update::Begin(root, title) => {
                self.status(&root, true, &title);
                if self.client.can("/window/workDoneProgress") {
                    self.next_token += 1;
                    let token = format!("deconflict/{}", self.next_token);
                    self.ask("window/workDoneProgress/create", json!({ "token": token }), Pending::Other);
                    let value = json!({ "kind": "begin", "title": title, "cancellable": false });
                    self.client.notify("$/progress", json!({ "token": token, "value": value }));
                    self.progress.insert(root, token);
                }
            }
            Update::Step(root, done, all) => {
                if let Some(token) = self.progress.get(&root) {
                    let message = format!("{done} of {all} contracts");
                    let percentage = 100 * done / all.max(1);
                    let value = json!({ "kind": "report", "message": message, "percentage": percentage });
                    self.client.notify("$/progress", json!({ "token": token, "value": value }));
                }
            }
            Update::End(root, message) => {
                let stale = self.snapshots.get(&root).is_some_and(|it| it.freshness == Freshness::Stale);
                self.status(&root, false, if stale { "stale" } else { "ready" });
                if let Some(token) = self.progress.remove(&root) {
                    let value = json!({ "kind": "end", "message": message });
                    self.client.notify("$/progress", json!({ "token": token, "value": value }));
                }
            }
            Update::Say(urgency, text) => self.client.say(urgency, &text),
        }
    }

    /// Tells open documents which text the findings are about now.
    fn follow(&mut self, root: &Path) {
        let Some(snapshot) = self.snapshots.get(root) else { return };
        for (path, document) in &mut self.documents {
            if path.starts_with(root)
                && let Some(text) = snapshot.text(path)
            {
                document.follow(text);
            }
        }
    }

    /// Asks the client to draw anew what it has asked for before.
    fn refresh_views(&mut self) {
        for (capability, method) in [
            ("/workspace/codeLens/refreshSupport", "workspace/codeLens/refresh"),
            ("/workspace/inlayHint/refreshSupport", "workspace/inlayHint/refresh"),
        ] {
            if self.client.can(capability) {
                self.ask(method, Value::Null, Pending::Other);
            }
        }
    }

    /// For a status bar, if the client says that it has one.
    fn status(&mut self, root: &Path, busy: bool, text: &str) {
        if !self.client.can("/experimental/deconflictStatus") {
            return;
        }
        let findings: usize =
            self.snapshots.values().flat_map(|it| it.files.values()).map(|it| it.findings.len()).sum();
        self.client.notify(
            "deconflict/status",
            json!({ "root": uri::from_path(root), "busy": busy, "text": text, "findings": findings }),
        );
    }
}
