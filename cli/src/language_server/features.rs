//! Hovers, lenses, hints and symbols.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, sync::Arc};

use deconflict_lints::{FunctionFacts, Meaning, SourceSpan, meaning, report::editor};
use gen_lsp_types::{
    CodeLensParams, DocumentSymbolParams, HoverParams, InlayHintParams, Uri, WorkspaceSymbolParams,
};
use serde_json::{Value, json};

use super::{
    diagnostics::Now,
    lookup::{Here, layers_with, word_at},
    server::Server,
    snapshot::Snapshot,
    uri,
};

/// A file that something is known about.
struct Subject<'a> {
    path: PathBuf,
    text: &'a Arc<str>,
    here: Vec<Here<'a>>,
    now: Now<'a>,
}

impl Server {
    fn subject(&self, uri: &Uri) -> Option<Subject<'_>> {
        let path = uri::to_path(uri)?;
        let snapshot: &Snapshot = self.snapshot_of(&path)?;
        let text = snapshot.text(&path)?;
        let (here, now) = (layers_with(snapshot, &path, text), self.now(&path, text));
        Some(Subject { path, text, here, now })
    }

    /// `textDocument/hover`.
    pub(super) fn hover(&self, parameters: &HoverParams) -> Value {
        let place = &parameters.text_document_position_params;
        let Some(subject) = self.subject(&place.text_document.uri) else { return Value::Null };
        let Some(document) = self.documents.get(&subject.path) else { return Value::Null };
        let offset = document.lines.offset(&document.text, place.position, self.client.encoding);
        let Some((start, word)) = word_at(&document.text, offset) else { return Value::Null };
        let before = document.shift_of(subject.text).and_then(|it| it.back(start)).unwrap_or(start);
        let found = subject.here.iter().find_map(|here| describe(here, before, word));
        found.map_or(Value::Null, |text| {
            let range =
                document.lines.range(&document.text, (start, start + word.len()), self.client.encoding);
            json!({ "contents": { "kind": "markdown", "value": text }, "range": range })
        })
    }

    /// `textDocument/codeLens`.
    pub(super) fn code_lens(&self, parameters: &CodeLensParams) -> Value {
        let Some(subject) = self.subject(&parameters.text_document.uri).filter(|_| self.settings.code_lens)
        else {
            return json!([]);
        };
        // One lens a function, about the contract that it is written in if that has code of its own.
        let mut best: BTreeMap<u32, (Here<'_>, SourceSpan, &str, &FunctionFacts, bool)> = BTreeMap::new();
        for here in &subject.here {
            for (known, function, span) in here.functions() {
                let own = here.enclosing(span) == Some(known.facts.name.as_str());
                let entry = best.entry(span.start);
                let worse = |old: &FunctionFacts| old.with_others.len() < function.with_others.len();
                entry
                    .and_modify(|it| {
                        if (own && !it.4) || (own == it.4 && worse(it.3)) {
                            *it = (*here, span, &known.facts.name, function, own);
                        }
                    })
                    .or_insert((*here, span, &known.facts.name, function, own));
            }
        }
        let lenses = best.into_values().filter_map(|(here, span, contract, function, own)| {
            let range = self.range_now(&subject.now, here.first_line(span))?;
            let title = editor::lens(function);
            let title = if own { title } else { format!("in {contract}: {title}") };
            let uri = self.uri_of(&subject.path);
            let arguments = json!([{ "uri": uri, "contract": contract }]);
            Some(json!({
                "range": range,
                "command": { "title": title, "command": super::commands::SHOW_MATRIX, "arguments": arguments },
            }))
        });
        Value::Array(lenses.collect())
    }

    /// `textDocument/inlayHint`.
    pub(super) fn inlay_hints(&self, parameters: &InlayHintParams) -> Value {
        let Some(subject) = self.subject(&parameters.text_document.uri).filter(|_| self.settings.inlay_hints)
        else {
            return json!([]);
        };
        let mut found: BTreeMap<u32, Value> = BTreeMap::new();
        for here in &subject.here {
            for (known, variable, span) in here.variables() {
                let own = here.enclosing(span) == Some(known.facts.name.as_str());
                let Some(range) = self.range_now(&subject.now, span) else { continue };
                if range.end < parameters.range.start || parameters.range.end < range.end {
                    continue;
                }
                let hint = json!({
                    "position": range.end,
                    "label": editor::place(variable),
                    "tooltip": format!("storage of {}", known.facts.name),
                    "paddingLeft": true,
                });
                if own {
                    found.insert(span.start, hint);
                } else {
                    found.entry(span.start).or_insert(hint);
                }
            }
        }
        Value::Array(found.into_values().collect())
    }

    /// `textDocument/documentSymbol`: the storage that keeps transactions in one lane.
    pub(super) fn document_symbols(&self, parameters: &DocumentSymbolParams) -> Value {
        let Some(subject) = self.subject(&parameters.text_document.uri) else { return json!([]) };
        let mut found: BTreeMap<u32, Value> = BTreeMap::new();
        for here in &subject.here {
            for (_, variable, span) in here.variables().filter(|(_, it, _)| it.is_hot()) {
                if let Some(range) = self.range_now(&subject.now, span) {
                    let detail = format!("hot: {}", editor::place(variable));
                    found.entry(span.start).or_insert_with(|| {
                        json!({ "name": variable.name, "detail": detail, "kind": 8, "range": range, "selectionRange": range })
                    });
                }
            }
        }
        Value::Array(found.into_values().collect())
    }

    /// `workspace/symbol`: the same, in all projects.
    pub(super) fn workspace_symbols(&self, parameters: &WorkspaceSymbolParams) -> Value {
        const MOST: usize = 500;
        let query = parameters.query.to_lowercase();
        let mut found: BTreeMap<(PathBuf, u32), Value> = BTreeMap::new();
        for snapshot in self.snapshots.values() {
            for (project, facts) in snapshot.facts() {
                let hot = facts.variables.iter().filter(|it| it.is_hot());
                for variable in hot.filter(|it| it.name.to_lowercase().contains(&query)) {
                    let Some(span) = variable.span else { continue };
                    let source = project.source(span.source);
                    let Some(path) = &source.absolute else { continue };
                    if found.len() >= MOST || found.contains_key(&(path.clone(), span.start)) {
                        continue;
                    }
                    let Some(range) = self.range_now(&self.now(path, &source.text), span) else { continue };
                    let location = json!({ "uri": self.uri_of(path), "range": range });
                    let symbol = json!({
                        "name": variable.name, "kind": 8, "containerName": facts.name, "location": location,
                    });
                    found.insert((path.clone(), span.start), symbol);
                }
            }
        }
        Value::Array(found.into_values().collect())
    }
}

/// What there is to say about a word: a function where it is defined or called, or a state variable.
fn describe(here: &Here<'_>, offset: usize, word: &str) -> Option<String> {
    let at = SourceSpan { source: here.source, start: offset as u32, end: (offset + word.len()) as u32 };
    // Between saves, a word may reach beyond what was compiled.
    let is_compiled =
        here.live.layer.project.source(at.source).text.get(offset..at.end as usize) == Some(word);
    if is_compiled && meaning(&here.live.layer.project, at) != Meaning::OfTheContract {
        return None;
    }
    let seeing = here.seeing(offset);
    let short = |function: &FunctionFacts| function.name.split('(').next() == Some(word);
    let inside = |function: &FunctionFacts| {
        function.span.is_some_and(|span| {
            let header = here.first_line(span);
            span.source == here.source && (header.start as usize..=header.end as usize).contains(&offset)
        })
    };
    let functions =
        || seeing.iter().flat_map(|known| known.facts.functions.iter().map(move |it| (known, it)));
    let defined = functions().find(|(_, it)| inside(it) && (short(it) || word == "function"));
    if let Some((known, function)) = defined {
        return Some(editor::function(&known.facts.name, function));
    }
    let variables = seeing.iter().flat_map(|known| known.facts.variables.iter().map(move |it| (known, it)));
    let variables: Vec<_> = variables.filter(|(_, it)| it.name == word).collect();
    if let Some((known, variable)) = variables.first() {
        let mut text = editor::variable(&known.facts.name, variable);
        if variables.len() > 1 {
            let _ = writeln!(text, "\nInherited by {} more contracts.", variables.len() - 1);
        }
        return Some(text);
    }
    functions().find(|(_, it)| short(it)).map(|(known, it)| editor::function(&known.facts.name, it))
}
