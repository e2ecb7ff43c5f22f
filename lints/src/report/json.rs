//! Reports for machines: `deconflict/check/1`.
//!
//! In: what was checked. Out: one JSON document. The structs here are the format: their fields may be
//! added to, never renamed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Format, Section, Totals,
    inspect_json::{Hop, hops},
};
use crate::{
    diagnostic::{self, Diagnostic, Label},
    source_map::SourceSpan,
    unit::Project,
};

/// The format's entry in the registry.
pub const FORMAT: Format = Format {
    name: "json",
    summary: "for programs: everything that is known of each finding",
    render: |rendering| render(rendering.sections),
};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    diagnostics: Vec<Entry<'a>>,
    summary: Summary<'a>,
    notices: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    followed: Vec<Hop<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    rule: &'a str,
    severity: &'a str,
    confidence: &'a str,
    contract: &'a str,
    functions: &'a [String],
    slot: Option<&'a str>,
    variable: &'a str,
    message: &'a str,
    help: &'a str,
    notes: &'a [String],
    fingerprint: &'a str,
    primary: Option<Span>,
    label: Option<&'a str>,
    pc: u32,
    related: Vec<Related<'a>>,
    effects: Vec<Effect<'a>>,
}

#[derive(Serialize)]
struct Effect<'a> {
    function: &'a str,
    calls: u32,
    at_once_before: u32,
    at_once_after: u32,
    waves_before: u32,
    waves_after: u32,
    score_before: u32,
    score_after: u32,
    complete: bool,
}

#[derive(Serialize)]
struct Span {
    file: String,
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
struct Related<'a> {
    span: Span,
    label: &'a str,
}

#[derive(Serialize)]
struct Summary<'a> {
    errors: usize,
    warnings: usize,
    notes: usize,
    contracts: usize,
    functions: usize,
    incomplete_functions: usize,
    suppressed: usize,
    known: usize,
    unchanged: usize,
    profiles: Vec<&'a str>,
    rules: BTreeMap<&'a str, usize>,
}

/// The whole report, with a line break at its end.
pub fn render(sections: &[Section<'_>]) -> String {
    let totals = Totals::of(sections);
    let entries = sections.iter().flat_map(|&Section { project, report }| {
        report.diagnostics.iter().map(|diagnostic| entry(project, diagnostic))
    });
    let notices = sections.iter().flat_map(|it| &it.project.notices);
    let document = Document {
        schema: "deconflict/check/1",
        diagnostics: entries.collect(),
        summary: Summary {
            errors: totals.errors,
            warnings: totals.warnings,
            notes: totals.notes,
            contracts: totals.contracts,
            functions: totals.functions,
            incomplete_functions: totals.incomplete,
            suppressed: totals.suppressed,
            known: totals.known,
            unchanged: totals.unchanged,
            profiles: totals.profile_names(),
            rules: totals.rules.iter().map(|(&(_, rule), &count)| (rule, count)).collect(),
        },
        notices: notices
            .filter(|notice| notice.is_warning() || notice.is_note())
            .map(ToString::to_string)
            .collect(),
        followed: sections.iter().flat_map(|it| hops(it.project)).collect(),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("the document holds strings and numbers only");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Failure<'a> {
    schema: &'static str,
    error: &'a str,
}

/// What stands in for a document where there is nothing to report on: `deconflict/error/1`.
pub fn failure(error: &str) -> String {
    let failure = Failure { schema: "deconflict/error/1", error };
    let mut text = serde_json::to_string_pretty(&failure).expect("the document holds strings only");
    text.push('\n');
    text
}

fn entry<'a>(project: &Project, diagnostic: &'a Diagnostic) -> Entry<'a> {
    let related = diagnostic.related.iter();
    Entry {
        code: diagnostic.code,
        rule: diagnostic.rule,
        severity: diagnostic.severity.name(),
        confidence: diagnostic.confidence.name(),
        contract: &diagnostic.contract,
        functions: &diagnostic.functions,
        slot: diagnostic.slot.as_deref(),
        variable: &diagnostic.variable,
        message: &diagnostic.message,
        help: &diagnostic.help,
        notes: &diagnostic.notes,
        fingerprint: &diagnostic.fingerprint,
        primary: diagnostic.primary.as_ref().map(|label| span(project, label.span)),
        label: diagnostic.primary.as_ref().map(|label| label.text.as_str()),
        pc: diagnostic.pc.0,
        related: related
            .map(|Label { span: at, text, .. }| Related { span: span(project, *at), label: text })
            .collect(),
        effects: diagnostic.effects.iter().map(effect).collect(),
    }
}

fn effect(effect: &diagnostic::Effect) -> Effect<'_> {
    let (before, after) = (effect.before, effect.after);
    Effect {
        function: &effect.function,
        calls: effect.calls,
        at_once_before: before,
        at_once_after: after,
        waves_before: effect.waves(before),
        waves_after: effect.waves(after),
        score_before: effect.score(before),
        score_after: effect.score(after),
        complete: effect.complete,
    }
}

fn span(project: &Project, span: SourceSpan) -> Span {
    let source = project.source(span.source);
    let (start, end) = (source.position(span.start), source.position(span.end));
    Span {
        file: source.path.clone(),
        start_line: start.line,
        start_column: start.column,
        end_line: end.line,
        end_column: end.column,
    }
}
