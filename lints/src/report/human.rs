//! Reports for people: the source with the lines to blame, drawn by ariadne.
//!
//! In: what was checked. Out: text, with escape sequences only if colour is on. Nothing may parse it.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range};

use ariadne::{Color, Config, IndexType, Label, ReportKind};

use super::{Format, Section, Totals};
use crate::{
    diagnostic::{Confidence, Diagnostic, Severity},
    source_map::SourceSpan,
    unit::Project,
};

/// The format's entry in the registry.
pub const FORMAT: Format = Format {
    name: "human",
    summary: "for people: the source with the lines to blame",
    render: |rendering| render(rendering.sections, rendering.color),
};

/// The whole report: each diagnostic, then a line that counts them.
pub fn render(sections: &[Section<'_>], color: bool) -> String {
    let mut text = String::new();
    for Section { project, report } in sections {
        for diagnostic in &report.diagnostics {
            text.push_str(&render_one(project, diagnostic, color));
            text.push('\n');
        }
    }
    text.push_str(&summary(&Totals::of(sections)));
    text
}

/// One diagnostic.
pub fn render_one(project: &Project, diagnostic: &Diagnostic, color: bool) -> String {
    let drawn = match &diagnostic.primary {
        Some(primary) => excerpt(project, diagnostic, primary.span, &primary.text),
        None => bare(diagnostic),
    };
    let drawn = if color { drawn } else { anstream::adapter::strip_str(&drawn).to_string() };
    // ariadne pads its margin; trailing blanks would make output depend on nothing that can be seen.
    drawn.lines().fold(String::with_capacity(drawn.len()), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}

fn title(severity: Severity) -> (&'static str, Color) {
    match severity {
        Severity::Error => ("error", Color::Red),
        Severity::Warning => ("warning", Color::Yellow),
        Severity::Note => ("note", Color::Cyan),
    }
}

fn notes(diagnostic: &Diagnostic) -> Vec<String> {
    let mut notes = diagnostic.notes.clone();
    notes.push(match diagnostic.confidence {
        Confidence::Proved => {
            format!("`{}` ({}) in contract `{}`", diagnostic.rule, diagnostic.code, diagnostic.contract)
        }
        Confidence::Likely => {
            format!(
                "`{}` ({}) in contract `{}`, likely but not proved",
                diagnostic.rule, diagnostic.code, diagnostic.contract
            )
        }
    });
    notes
}

fn excerpt(project: &Project, diagnostic: &Diagnostic, primary: SourceSpan, text: &str) -> String {
    let (name, color) = title(diagnostic.severity);
    let place = |span: SourceSpan| -> (String, Range<usize>) {
        (project.source(span.source).path.clone(), span.start as usize..span.end as usize)
    };
    let config = Config::new().with_index_type(IndexType::Byte).with_tab_width(4);
    let heading = format!("{name}[{}]", diagnostic.code);
    let mut report = ariadne::Report::build(ReportKind::Custom(&heading, color), place(primary))
        .with_config(config)
        .with_message(&diagnostic.message);
    let main = (primary, text, color);
    let mut labels: Vec<(SourceSpan, &str, Color)> = vec![main];
    labels.extend(diagnostic.related.iter().map(|label| (label.span, label.text.as_str(), Color::Blue)));
    // The file of the primary label first, then in source order, as ariadne draws them best.
    labels.sort_by_key(|&(span, ..)| (span.source != primary.source, span));
    for (order, (span, text, color)) in labels.into_iter().enumerate() {
        report = report.with_label(
            Label::new(place(span)).with_message(text).with_color(color).with_order(order as i32),
        );
    }
    for note in notes(diagnostic) {
        report = report.with_note(note);
    }
    report = report.with_help(&diagnostic.help);
    let spans = std::iter::once(primary).chain(diagnostic.related.iter().map(|label| label.span));
    let sources: BTreeMap<String, &str> = spans
        .map(|span| project.source(span.source))
        .map(|source| (source.path.clone(), &*source.text))
        .collect();
    let mut drawn = Vec::new();
    let written = report.finish().write(ariadne::sources(sources), &mut drawn);
    written.expect("writing to memory does not fail");
    String::from_utf8_lossy(&drawn).into_owned()
}

fn bare(diagnostic: &Diagnostic) -> String {
    let (name, _) = title(diagnostic.severity);
    let mut text = format!(
        "{name}[{}]: {}\n   at {} in {}\n",
        diagnostic.code, diagnostic.message, diagnostic.pc, diagnostic.contract
    );
    for note in notes(diagnostic) {
        let _ = writeln!(text, "   note: {note}");
    }
    let _ = writeln!(text, "   help: {}", diagnostic.help);
    text
}

/// The line that ends a report.
pub fn summary(totals: &Totals) -> String {
    let counts = [(totals.errors, "error"), (totals.warnings, "warning"), (totals.notes, "note")];
    let parts: Vec<String> =
        counts.iter().filter(|&&(count, _)| count > 0).map(|&(count, name)| plural(count, name)).collect();
    let found = if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") };
    let mut text = format!("{found} in {}", plural(totals.contracts, "contract"));
    let _ = write!(text, " (profile {})", totals.profile_names().join(" and "));
    if totals.incomplete > 0 {
        let functions = plural(totals.functions, "function");
        let _ = write!(text, "; {} of {functions} could not be analysed in full", totals.incomplete);
    }
    let aside = [
        (totals.suppressed, "suppressed by comments"),
        (totals.known, "known to the baseline"),
        (totals.unchanged, "in files that have not changed"),
    ];
    for (count, what) in aside.into_iter().filter(|&(count, _)| count > 0) {
        let _ = write!(text, "; {count} {what}");
    }
    text.push('\n');
    text
}

/// What many calls of one function come to, now and without each thing that is reported.
pub fn scenario(sections: &[Section<'_>], calls: u32) -> String {
    let diagnostics = sections.iter().flat_map(|section| &section.report.diagnostics);
    let rows: Vec<[String; 4]> = diagnostics
        .flat_map(|diagnostic| {
            diagnostic.effects.iter().map(move |effect| {
                let part = |at_once| {
                    if !effect.complete {
                        return "not known".to_owned();
                    }
                    let waves = plural(effect.waves(at_once) as usize, "wave");
                    format!("{waves} (score {})", effect.score(at_once))
                };
                [
                    format!("{}.{}", diagnostic.contract, effect.function),
                    part(effect.before),
                    part(effect.after),
                    format!("`{}` ({})", diagnostic.variable, diagnostic.code),
                ]
            })
        })
        .collect();
    let mut text =
        format!("{calls} calls of one function, by distinct callers with distinct arguments, take\n");
    if rows.is_empty() {
        text.push_str("  no more waves for anything that is reported\n");
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2)];
    for [function, before, after, variable] in &rows {
        let [a, b, c] = widths;
        let _ = writeln!(text, "  {function:<a$}  {before:<b$}  {after:<c$}  without {variable}");
    }
    text
}

/// How often each rule fired, most often first.
pub fn statistics(totals: &Totals) -> String {
    let mut counts: Vec<_> = totals.rules.iter().collect();
    counts.sort_by_key(|&(rule, count)| (std::cmp::Reverse(count), rule));
    let mut text = String::new();
    for ((code, rule), count) in counts {
        let _ = writeln!(text, "{count:>6}  {code:<6} {rule}");
    }
    text
}

/// How many of something, in words.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
