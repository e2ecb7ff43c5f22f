//! Reports of one line a finding, as editors and `grep` read them.
//!
//! In: what was checked. Out: `path:line:column: severity[code] message`, and nothing where nothing was found.

use std::fmt::Write as _;

use super::{Format, Rendering, region};

/// The format's entry in the registry.
pub(super) const FORMAT: Format =
    Format { name: "concise", summary: "one line a finding: path, line, column, what happens", render };

fn render(rendering: &Rendering<'_>) -> String {
    let mut text = String::new();
    for (project, diagnostic) in rendering.diagnostics() {
        let place = if let Some(label) = &diagnostic.primary {
            let source = project.source(label.span.source);
            let start = source.position(label.span.start);
            let file = region::from_here(source, rendering.folder);
            format!("{file}:{}:{}", start.line, start.column)
        } else {
            let input = region::artifact(project, diagnostic, rendering.folder);
            format!("{input}:{}:{}", diagnostic.contract, diagnostic.pc)
        };
        let (severity, code) = (diagnostic.severity.name(), diagnostic.code);
        let _ = writeln!(text, "{place}: {severity}[{code}] {} ({})", diagnostic.message, diagnostic.rule);
    }
    text
}
