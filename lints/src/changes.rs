//! Only what a change may have brought: `--changed-since`.
//!
//! In: a report and the files that have changed. Out: the findings that touch one of these files, with the line to blame or
//! with the other side of the conflict. A finding without a source is kept, since nothing tells whose it is.

use std::{collections::BTreeSet, path::PathBuf};

use crate::{check::Report, unit::Project};

/// Leaves out the findings that no changed file takes part in.
pub fn keep_changed(project: &Project, report: &mut Report, changed: &BTreeSet<PathBuf>) {
    let before = report.diagnostics.len();
    report.diagnostics.retain(|diagnostic| {
        let Some(primary) = &diagnostic.primary else { return true };
        let mut spans = std::iter::once(primary).chain(&diagnostic.related).map(|label| label.span);
        spans.any(|span| {
            let source = project.source(span.source);
            source.absolute.as_ref().is_none_or(|path| changed.contains(path))
        })
    });
    report.unchanged += before - report.diagnostics.len();
}
