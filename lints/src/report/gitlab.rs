//! GitLab's code quality report.
//!
//! In: what was checked. Out: a JSON list of issues, whose fingerprints tell GitLab which of them are new in a merge
//! request. No two issues have the same fingerprint, which GitLab would show once.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Format, Rendering, region};
use crate::diagnostic::Severity;

/// The format's entry in the registry.
pub(super) const FORMAT: Format = Format { name: "gitlab", summary: "GitLab's code quality report", render };

#[derive(Serialize)]
struct Issue {
    r#type: &'static str,
    check_name: &'static str,
    description: String,
    content: Content,
    categories: [&'static str; 1],
    severity: &'static str,
    fingerprint: String,
    location: Location,
}

#[derive(Serialize)]
struct Content {
    body: String,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    end: u32,
}

fn render(rendering: &Rendering<'_>) -> String {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut issues = Vec::new();
    for (project, diagnostic) in rendering.diagnostics() {
        let count = seen.entry(&diagnostic.fingerprint).or_default();
        let fingerprint = match *count {
            0 => diagnostic.fingerprint.clone(),
            more => format!("{}-{more}", diagnostic.fingerprint),
        };
        *count += 1;
        let location = match region::primary(project, diagnostic, rendering.repository) {
            Some(region) => Location {
                path: region.file,
                lines: Lines { begin: region.start.line, end: region.end.line },
            },
            None => Location {
                path: region::artifact(project, diagnostic, rendering.repository),
                lines: Lines { begin: 1, end: 1 },
            },
        };
        let mut body = diagnostic.notes.join("\n\n");
        body.push_str("\n\n");
        body.push_str(&diagnostic.help);
        issues.push(Issue {
            r#type: "issue",
            check_name: diagnostic.rule,
            description: format!("{}: {}", diagnostic.code, diagnostic.message),
            content: Content { body: body.trim().to_owned() },
            categories: ["Performance"],
            severity: match diagnostic.severity {
                Severity::Error => "major",
                Severity::Warning => "minor",
                Severity::Note => "info",
            },
            fingerprint,
            location,
        });
    }
    let mut text = serde_json::to_string_pretty(&issues).expect("issues hold strings and numbers only");
    text.push('\n');
    text
}
