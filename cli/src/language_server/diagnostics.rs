//! Findings as diagnostics of the protocol, sent and asked for.
//!
//! In: snapshots and open documents. Out: diagnostics at the places where their lines are now. A client that asks is not
//! sent anything, so that nothing is shown twice.

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

use deconflict_lints::{Diagnostic, Project, Severity, SourceSpan, UNUSED_SUPPRESSION};
use gen_lsp_types::{DocumentDiagnosticParams, Range, WorkspaceDiagnosticParams};
use serde_json::{Value, json};

use super::{
    document::Shift,
    encoding::LineStarts,
    server::{Pending, Server},
    snapshot::{Freshness, Snapshot},
    uri,
};

/// Where the lines of a file are now.
pub(super) enum Now<'a> {
    /// In an open document.
    Open(&'a str, &'a LineStarts, &'a Shift),
    /// On disk.
    Closed(Arc<str>, LineStarts, Shift),
}

impl Now<'_> {
    fn parts(&self) -> (&str, &LineStarts, &Shift) {
        match self {
            Now::Open(text, lines, shift) => (text, lines, shift),
            Now::Closed(text, lines, shift) => (text, lines, shift),
        }
    }
}

impl Server {
    /// The project that has something to say about a file: the deepest one.
    pub(super) fn snapshot_of(&self, path: &Path) -> Option<&Arc<Snapshot>> {
        let known =
            self.snapshots.iter().filter(|(_, it)| it.files.contains_key(path) || it.text(path).is_some());
        known.max_by_key(|(root, _)| root.components().count()).map(|(_, snapshot)| snapshot)
    }

    /// Where the lines of `text`, which was compiled, are now.
    pub(super) fn now(&self, path: &Path, text: &Arc<str>) -> Now<'_> {
        if let Some(document) = self.documents.get(path)
            && let Some(shift) = document.shift_of(text)
        {
            return Now::Open(&document.text, &document.lines, shift);
        }
        let open = self.documents.get(path).map(|it| it.text.clone());
        let disk = open.or_else(|| fs::read_to_string(path).ok());
        let shift =
            disk.as_deref().map_or_else(|| Shift::identity(text.len()), |disk| Shift::between(text, disk));
        let now: Arc<str> = disk.map_or_else(|| Arc::clone(text), Arc::from);
        let lines = LineStarts::new(&now);
        Now::Closed(now, lines, shift)
    }

    /// The range of a span now; `None` where nothing is left of it.
    pub(super) fn range_now(&self, now: &Now<'_>, span: SourceSpan) -> Option<Range> {
        let (text, lines, shift) = now.parts();
        let bytes = shift.range(span.start as usize, span.end as usize)?;
        Some(lines.range(text, bytes, self.client.encoding))
    }

    /// The range of a span now, if `compiled` is what stands there still.
    pub(super) fn range_of_same_text(
        &self,
        now: &Now<'_>,
        compiled: &str,
        span: SourceSpan,
    ) -> Option<Range> {
        let (text, lines, shift) = now.parts();
        let (start, end) = shift.range(span.start as usize, span.end as usize)?;
        (text.get(start..end) == Some(compiled))
            .then(|| lines.range(text, (start, end), self.client.encoding))
    }

    /// The diagnostics of a file.
    fn diagnostics(&self, path: &Path) -> Vec<Value> {
        let Some(snapshot) = self.snapshot_of(path) else { return Vec::new() };
        let Some(file) = snapshot.files.get(path) else { return Vec::new() };
        let now = self.now(path, &file.text);
        let found = file.findings.iter().filter_map(|(layer, diagnostic)| {
            let project = &snapshot.layers[*layer].layer.project;
            self.diagnostic(&now, project, diagnostic, snapshot.freshness == Freshness::Stale)
        });
        found.collect()
    }

    /// One finding.
    pub(super) fn diagnostic(
        &self,
        now: &Now<'_>,
        project: &Project,
        diagnostic: &Diagnostic,
        stale: bool,
    ) -> Option<Value> {
        let range = self.range_now(now, diagnostic.primary.as_ref()?.span)?;
        let mut message = format!("{} [{}]", diagnostic.message, diagnostic.rule);
        for note in &diagnostic.notes {
            message.push_str("\nnote: ");
            message.push_str(note);
        }
        if !diagnostic.help.is_empty() {
            message.push_str("\nhelp: ");
            message.push_str(&diagnostic.help);
        }
        let mut value = json!({
            "range": range,
            "severity": match diagnostic.severity {
                Severity::Error => 1,
                Severity::Warning => 2,
                Severity::Note => 3,
            },
            "code": diagnostic.code,
            "source": if stale { "deconflict (stale)" } else { "deconflict" },
            "message": message,
            "data": {
                "rule": diagnostic.rule,
                "fingerprint": diagnostic.fingerprint,
                "contract": diagnostic.contract,
                "stale": stale,
            },
        });
        if (self.client.can("/textDocument/publishDiagnostics/codeDescriptionSupport")
            || self.client.can("/textDocument/diagnostic"))
            && let Some(page) = self.pages.rule(diagnostic.rule)
        {
            value["codeDescription"] = json!({ "href": page });
        }
        if UNUSED_SUPPRESSION.has_found(diagnostic) {
            value["tags"] = json!([1]);
        }
        if self.client.can("/textDocument/publishDiagnostics/relatedInformation")
            || self.client.can("/textDocument/diagnostic")
        {
            let related: Vec<Value> = diagnostic
                .related
                .iter()
                .filter_map(|label| {
                    let source = project.source(label.span.source);
                    let path = source.absolute.as_ref()?;
                    let range = self.range_now(&self.now(path, &source.text), label.span)?;
                    Some(json!({ "location": { "uri": self.uri_of(path), "range": range }, "message": label.text }))
                })
                .collect();
            if !related.is_empty() {
                value["relatedInformation"] = json!(related);
            }
        }
        Some(value)
    }

    /// What the client calls a file.
    pub(super) fn uri_of(&self, path: &Path) -> gen_lsp_types::Uri {
        self.documents.get(path).map_or_else(|| uri::from_path(path), |document| document.uri.clone())
    }

    /// Sends the diagnostics of one file.
    pub(super) fn publish(&mut self, path: &Path) {
        if !self.client.pulls() {
            self.send(path);
        }
    }

    /// Sends the diagnostics of all files that have some or had some.
    pub(super) fn publish_all(&mut self) {
        if self.client.pulls() {
            if self.client.can("/workspace/diagnostics/refreshSupport")
                || self.client.can("/workspace/diagnostic/refreshSupport")
            {
                self.ask("workspace/diagnostic/refresh", Value::Null, Pending::Other);
            }
            return;
        }
        let mut paths: BTreeSet<PathBuf> =
            self.snapshots.values().flat_map(|it| it.files.keys().cloned()).collect();
        paths.extend(self.published.keys().cloned());
        for path in paths {
            self.send(&path);
        }
    }

    /// Sends what has moved in open documents.
    pub(super) fn publish_open(&mut self) {
        if !self.client.pulls() {
            let paths: Vec<PathBuf> = self.documents.keys().cloned().collect();
            for path in paths {
                self.send(&path);
            }
        }
    }

    fn send(&mut self, path: &Path) {
        let uri = self.uri_of(path);
        let items = Value::Array(self.diagnostics(path));
        let nothing = Value::Array(Vec::new());
        let before = self.published.get(path);
        if before.map_or(items == nothing, |(name, before)| *name == uri && *before == items) {
            return;
        }
        // A file that is called otherwise than before has its findings once.
        if let Some((name, _)) = before.filter(|(name, _)| *name != uri) {
            let parameters = json!({ "uri": name, "diagnostics": [] });
            self.client.notify("textDocument/publishDiagnostics", parameters);
        }
        let mut parameters = json!({ "uri": uri, "diagnostics": items });
        if let Some(document) = self.documents.get(path) {
            parameters["version"] = json!(document.version);
        }
        self.client.notify("textDocument/publishDiagnostics", parameters);
        if items == nothing {
            self.published.remove(path);
        } else {
            self.published.insert(path.to_owned(), (uri, items));
        }
    }

    /// `textDocument/diagnostic`.
    pub(super) fn pull(&self, parameters: &DocumentDiagnosticParams) -> Value {
        let items = match uri::to_path(&parameters.text_document.uri) {
            Some(path) => self.diagnostics(&path),
            None => Vec::new(),
        };
        report(items, parameters.previous_result_id.as_deref())
    }

    /// `workspace/diagnostic`.
    pub(super) fn pull_all(&self, parameters: &WorkspaceDiagnosticParams) -> Value {
        let known = |path: &Path| {
            let previous = parameters.previous_result_ids.iter();
            let mut previous = previous.filter(|it| uri::to_path(&it.uri).as_deref() == Some(path));
            previous.next().map(|it| it.value.clone())
        };
        let mut paths: BTreeSet<PathBuf> =
            self.snapshots.values().flat_map(|it| it.files.keys().cloned()).collect();
        paths.extend(parameters.previous_result_ids.iter().filter_map(|it| uri::to_path(&it.uri)));
        let items: Vec<Value> = paths
            .iter()
            .map(|path| {
                let mut item = report(self.diagnostics(path), known(path).as_deref());
                item["uri"] = json!(self.uri_of(path));
                item["version"] = json!(self.documents.get(path).map(|it| it.version));
                item
            })
            .collect();
        json!({ "items": items })
    }
}

/// A full report, or word that nothing has changed.
fn report(items: Vec<Value>, previous: Option<&str>) -> Value {
    let items = Value::Array(items);
    let mut hasher = DefaultHasher::new();
    items.to_string().hash(&mut hasher);
    let id = format!("{:016x}", hasher.finish());
    if previous == Some(id.as_str()) {
        json!({ "kind": "unchanged", "resultId": id })
    } else {
        json!({ "kind": "full", "resultId": id, "items": items })
    }
}
