//! Workflow commands of GitHub Actions, which become annotations on the lines of a pull request.
//!
//! In: what was checked. Out: one `::warning …::…` command a finding. GitHub shows ten of each severity a step; all are
//! written, since the log keeps the others.

use std::fmt::Write as _;

use super::{Format, Rendering, region};
use crate::diagnostic::Severity;

/// The format's entry in the registry.
pub(super) const FORMAT: Format = Format { name: "github", summary: "annotations of GitHub Actions", render };

fn render(rendering: &Rendering<'_>) -> String {
    let mut text = String::new();
    for (project, diagnostic) in rendering.diagnostics() {
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut properties = String::new();
        if let Some(region) = region::primary(project, diagnostic, rendering.repository) {
            let (start, end) = (region.start.line, region.end.line);
            let _ = write!(properties, "file={},line={start},endLine={end},", property(&region.file));
            // Columns of a stretch of several lines are refused.
            if start == end {
                let (from, to) = (region.start_utf16, region.end_utf16);
                let _ = write!(properties, "col={from},endColumn={to},");
            }
        } else {
            let input = region::artifact(project, diagnostic, rendering.repository);
            let _ = write!(properties, "file={},", property(&input));
        }
        let title = property(&format!("{} {}", diagnostic.code, diagnostic.rule));
        let mut message = diagnostic.message.clone();
        for note in &diagnostic.notes {
            let _ = write!(message, "\nnote: {note}");
        }
        let _ = write!(message, "\nhelp: {}", diagnostic.help);
        let _ = writeln!(text, "::{command} {properties}title={title}::{}", data(&message));
    }
    text
}

/// A message on one line, as the runner reads it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property ends at a comma, a command at two colons.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(data("100%\r\na::b"), "100%25%0D%0Aa::b");
        assert_eq!(property("a,b:c"), "a%2Cb%3Ac");
    }
}
