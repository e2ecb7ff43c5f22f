//! Code actions and commands.
//!
//! In: a range, or a command. Out: edits for the client to make and pages for it to show. The server itself never
//! changes a source.

use deconflict_lints::{Report, UNUSED_SUPPRESSION, allow_comments, report::editor};
use gen_lsp_types::{CodeActionParams, ExecuteCommandParams, Range};
use serde_json::{Value, json};

use super::{
    commands::{OPEN_PAGE, RELOAD, SHOW_MATRIX},
    server::{Failure, Pending, Server},
    snapshot::Freshness,
    uri,
    worker::Job,
};

/// What a suppression says until the user has said why.
const REASON: &str = "say why this is meant to stay";

impl Server {
    /// `textDocument/codeAction`.
    pub(super) fn code_actions(&self, parameters: &CodeActionParams) -> Value {
        let mut actions = Vec::new();
        let Some(path) = uri::to_path(&parameters.text_document.uri) else { return json!([]) };
        let Some(snapshot) = self.snapshot_of(&path) else { return json!([]) };
        let Some(file) = snapshot.files.get(&path) else { return json!([]) };
        let now = self.now(&path, &file.text);
        let only: Option<Vec<String>> = parameters.context.only.as_ref().map(|kinds| {
            let kinds = kinds.iter().filter_map(|it| serde_json::to_value(it).ok());
            kinds.filter_map(|it| it.as_str().map(str::to_owned)).collect()
        });
        let wanted = |kind: &str| {
            let under = |it: &String| it.is_empty() || kind == it || kind.starts_with(&format!("{it}."));
            only.as_ref().is_none_or(|only| only.iter().any(under))
        };
        for (layer, finding) in &file.findings {
            let project = &snapshot.layers[*layer].layer.project;
            let stale = snapshot.freshness == Freshness::Stale;
            let Some(diagnostic) = self.diagnostic(&now, project, finding, stale) else { continue };
            let Some(label) = &finding.primary else { continue };
            let Some(range) = self.range_now(&now, label.span) else { continue };
            if !touches(range, parameters.range) {
                continue;
            }
            let edits_of = |edits: &[(deconflict_lints::SourceSpan, String)]| -> Option<Vec<Value>> {
                let mut found = Vec::new();
                for (span, text) in edits {
                    // Where the user has typed since, what is known no longer holds.
                    let range = self.range_of_same_text(&now, project.text(*span), *span)?;
                    found.push(json!({ "range": range, "newText": text }));
                }
                Some(found)
            };
            if wanted("quickfix") {
                let report = Report { diagnostics: vec![finding.clone()], ..Report::default() };
                for insertion in allow_comments(project, &report, Some(REASON)) {
                    let at = insertion.offset;
                    let span = deconflict_lints::SourceSpan { source: insertion.source, start: at, end: at };
                    if let Some(edits) = edits_of(&[(span, insertion.text)]) {
                        let title = format!("Suppress `{}` here, with a reason", finding.rule);
                        actions.push(json!({
                            "title": title, "kind": "quickfix", "diagnostics": [diagnostic],
                            "edit": self.edit(&path, &edits, None),
                        }));
                    }
                }
                let title = format!("Open the page of `{}`", finding.rule);
                actions.push(json!({
                    "title": title, "kind": "quickfix", "diagnostics": [diagnostic],
                    "command": { "title": title, "command": OPEN_PAGE, "arguments": [finding.rule] },
                }));
            }
            // What nothing depends on is mended; everything else is to be looked at first.
            let kind = if UNUSED_SUPPRESSION.has_found(finding) { "quickfix" } else { "refactor.rewrite" };
            if wanted(kind) {
                for rewrite in deconflict_lints::rewrites(project, finding) {
                    let Some(edits) = edits_of(&rewrite.edits) else { continue };
                    actions.push(json!({
                        "title": rewrite.title, "kind": kind, "diagnostics": [diagnostic],
                        "edit": self.edit(&path, &edits, Some(&rewrite.note)),
                    }));
                }
            }
        }
        Value::Array(actions)
    }

    /// Edits of one file; with a note, they are to be looked at before they are made where the client can show them.
    fn edit(&self, path: &std::path::Path, edits: &[Value], note: Option<&str>) -> Value {
        let uri = self.uri_of(path);
        let version = self.documents.get(path).map(|it| it.version);
        let annotated = note.filter(|_| self.client.can("/workspace/workspaceEdit/changeAnnotationSupport"));
        if !self.client.can("/workspace/workspaceEdit/documentChanges") {
            return json!({ "changes": { uri.0: edits } });
        }
        let mut edits = edits.to_vec();
        if annotated.is_some() {
            for edit in &mut edits {
                edit["annotationId"] = json!("rewrite");
            }
        }
        let document = json!({ "uri": uri, "version": version });
        let mut edit = json!({ "documentChanges": [{ "textDocument": document, "edits": edits }] });
        if let Some(note) = annotated {
            edit["changeAnnotations"] = json!({ "rewrite": { "label": "Deconflict", "description": note, "needsConfirmation": true } });
        }
        edit
    }

    /// `workspace/executeCommand`.
    pub(super) fn execute(&mut self, parameters: &ExecuteCommandParams) -> Result<Value, Failure> {
        const INVALID: i32 = -32602;
        let arguments = serde_json::to_value(&parameters.arguments).unwrap_or_default();
        match parameters.command.as_str() {
            OPEN_PAGE => {
                let rule = arguments[0].as_str().unwrap_or_default();
                let page = self.pages.rule(rule);
                let page = page.ok_or_else(|| (INVALID, format!("there is no rule called `{rule}`")))?;
                self.show(&page);
                Ok(json!({ "uri": page }))
            }
            SHOW_MATRIX => {
                let wanted = &arguments[0];
                let path = wanted["uri"].as_str().and_then(|it| uri::to_path(&it.to_owned().into()));
                let text = self.matrix(path.as_deref(), wanted["contract"].as_str());
                let text = text.ok_or_else(|| (INVALID, "no contract is known there yet".to_owned()))?;
                let page = self.pages.write("conflicts", &text);
                // A client may have a better way to show a page.
                if let Some(page) = &page
                    && wanted["show"] != false
                {
                    self.show(page);
                }
                Ok(json!({ "uri": page, "text": text }))
            }
            RELOAD => {
                let roots: Vec<_> = self.folders.values().flatten().cloned().collect();
                for root in roots {
                    self.job(Job::Rebuilt(root));
                }
                Ok(Value::Null)
            }
            other => Err((INVALID, format!("there is no command called `{other}`"))),
        }
    }

    fn show(&mut self, page: &gen_lsp_types::Uri) {
        if self.client.can("/window/showDocument/support") {
            let parameters = json!({ "uri": page, "external": false, "takeFocus": true });
            self.ask("window/showDocument", parameters, Pending::Other);
        }
    }

    /// The page of the contracts of a file, or of one of them.
    fn matrix(&self, path: Option<&std::path::Path>, contract: Option<&str>) -> Option<String> {
        let mut pages = Vec::new();
        let of_file = path.and_then(|path| self.snapshot_of(path));
        let snapshots: Vec<_> = of_file.map_or_else(|| self.snapshots.values().collect(), |it| vec![it]);
        for snapshot in snapshots {
            for live in snapshot.layers.iter().rev() {
                let project = &live.layer.project;
                for known in live.known() {
                    let here = project.contracts[known.index].source.map(|id| project.source(id));
                    let is_here =
                        path.is_none_or(|path| here.is_some_and(|it| it.absolute.as_deref() == Some(path)));
                    let is_named = contract.is_none_or(|name| known.facts.name == name);
                    // A contract that is asked for by name may be written elsewhere than the function that it inherits.
                    if is_named && (is_here || contract.is_some()) {
                        pages.push(editor::matrix(&known.facts));
                    }
                }
            }
        }
        (!pages.is_empty()).then(|| pages.join("\n"))
    }
}

/// Whether two ranges have a place in common; an empty one is a place.
fn touches(a: Range, b: Range) -> bool {
    a.start <= b.end && b.start <= a.end
}
