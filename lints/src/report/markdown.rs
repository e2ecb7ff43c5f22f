//! A comment on a pull request.
//!
//! In: what was checked. Out: Markdown as GitHub and GitLab draw it: a table with a line a finding, then the evidence of
//! each, folded. Text of the source can neither end a cell nor a tag.

use std::fmt::Write as _;

use super::{Format, Rendering, Totals, human, region};
use crate::diagnostic::Confidence;

/// The format's entry in the registry.
pub(super) const FORMAT: Format = Format { name: "markdown", summary: "a comment on a pull request", render };

fn render(rendering: &Rendering<'_>) -> String {
    let totals = Totals::of(rendering.sections);
    let mut text = format!("### Deconflict: {}", human::summary(&totals));
    if rendering.diagnostics().next().is_none() {
        return text;
    }
    text.push_str("\n| | Rule | Where | What happens |\n| --- | --- | --- | --- |\n");
    let mut details = String::new();
    for (project, diagnostic) in rendering.diagnostics() {
        let place = match region::primary(project, diagnostic, rendering.repository) {
            Some(region) => format!("{}:{}", region.file, region.start.line),
            None => format!("{} at {}", diagnostic.contract, diagnostic.pc),
        };
        let _ = writeln!(
            text,
            "| {} | `{}` {} | {} | {} |",
            diagnostic.severity.name(),
            diagnostic.code,
            diagnostic.rule,
            code(&place),
            inline(&diagnostic.message)
        );
        let likely = if diagnostic.confidence == Confidence::Likely { " (likely)" } else { "" };
        let (summary, code) = (html(&diagnostic.message), diagnostic.code);
        let _ = writeln!(
            details,
            "\n<details><summary>{code}{likely}: {summary} (<code>{}</code>)</summary>\n",
            html(&place)
        );
        for note in &diagnostic.notes {
            let _ = writeln!(details, "- {}", inline(note));
        }
        let _ = writeln!(details, "- **Rewrite:** {}\n\n</details>", inline(&diagnostic.help));
    }
    text + &details
}

/// Text in a cell: a bar ends it even inside code.
fn inline(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|").replace('`', "'"))
}

/// Text in a tag, where backquotes mean nothing.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "")
}
