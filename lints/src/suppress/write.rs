//! Writing suppressions: `--add-allow`.
//!
//! In: findings. Out: the sources' text with a comment above each line to blame, indented as the line is and ended as its
//! lines end. Text that is no longer what was compiled is never changed, and nothing but the comments is. The files are
//! read and written by whoever calls.

use std::collections::BTreeMap;

use super::lexer::Language;
use crate::{
    check::Report,
    diagnostic::Diagnostic,
    hygiene,
    source_map::SourceId,
    unit::{Origin, Project, Source},
};

/// A comment to be written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Insertion {
    /// The source.
    pub source: SourceId,
    /// The byte that it is written before: the start of a line.
    pub offset: u32,
    /// The comment, indented, with its line break.
    pub text: String,
}

/// The comments that would suppress every finding of the report that has a line in the project's own code. `reason` is
/// what they say why; it may hold no quotation mark.
pub fn allow_comments(project: &Project, report: &Report, reason: Option<&str>) -> Vec<Insertion> {
    let mut rules: BTreeMap<(SourceId, u32), Vec<&str>> = BTreeMap::new();
    let about_code = |it: &&Diagnostic| !hygiene::RULES.iter().any(|rule| rule.has_found(it));
    for diagnostic in report.diagnostics.iter().filter(about_code) {
        let Some(label) = &diagnostic.primary else { continue };
        let source = project.source(label.span.source);
        if source.origin != Origin::Project {
            continue;
        }
        let before = &source.text[..label.span.start as usize];
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let named = rules.entry((source.id, line as u32)).or_default();
        if !named.contains(&diagnostic.rule) {
            named.push(diagnostic.rule);
        }
    }
    let comments = rules.into_iter().map(|((source, offset), mut rules)| {
        rules.sort_unstable();
        let text = &project.source(source).text[offset as usize..];
        let indent = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
        let line = text.split_inclusive('\n').next().unwrap_or_default();
        let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        let mark = match Language::of(&project.source(source).path) {
            Language::Solidity => "//",
            Language::Vyper => "#",
        };
        let reason = reason.map(|reason| format!(" reason=\"{reason}\"")).unwrap_or_default();
        let text = format!("{indent}{mark} deconflict: allow({}){reason}{end}", rules.join(", "));
        Insertion { source, offset, text }
    });
    comments.collect()
}

/// The text of a source's file with the comments in it; `None` where the file is no longer what was compiled. A
/// byte-order mark and other line ends are no change, and stay.
pub fn insert_comments(source: &Source, file: &str, insertions: &[Insertion]) -> Option<String> {
    let compiled = source.text.trim_start_matches('\u{feff}');
    let mark = source.text.len() - compiled.len();
    if !file.trim_start_matches('\u{feff}').lines().eq(compiled.lines()) {
        return None;
    }
    let mut own: BTreeMap<usize, &str> = BTreeMap::new();
    for insertion in insertions.iter().filter(|insertion| insertion.source == source.id) {
        let before = &compiled[(insertion.offset as usize).saturating_sub(mark)..];
        let line = compiled.matches('\n').count() - before.matches('\n').count();
        own.insert(line, insertion.text.trim_end());
    }
    let mut text = String::with_capacity(file.len());
    for (number, line) in file.split_inclusive('\n').enumerate() {
        let Some(comment) = own.get(&number) else {
            text.push_str(line);
            continue;
        };
        // What marks the order of bytes has to stay in front of everything.
        let code = line.trim_start_matches('\u{feff}');
        text.push_str(&line[..line.len() - code.len()]);
        text.push_str(comment);
        text.push_str(if line.ends_with("\r\n") { "\r\n" } else { "\n" });
        text.push_str(code);
    }
    Some(text)
}
