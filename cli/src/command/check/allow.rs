//! `--add-allow`: write suppressions into the sources.

use std::{collections::BTreeSet, fs, process::ExitCode};

use anyhow::{Context, bail};
use deconflict_lints::{allow_comments, insert_comments, report::human::plural};

use super::Checkup;
use crate::{console::Console, files::Prepared};

/// Writes a comment above every reported line. All new texts are made before the first file is written.
pub(super) fn write(checkups: &[Checkup], reason: &str, console: &Console) -> anyhow::Result<ExitCode> {
    if reason.contains(['"', '\n', '\r']) {
        bail!("a reason is one line without quotation marks: {reason:?}");
    }
    let reason = Some(reason.trim()).filter(|reason| !reason.is_empty());
    let mut files = Vec::new();
    let mut count = 0;
    for Checkup { project, report, .. } in checkups {
        let comments = allow_comments(project, report, reason);
        let sources: BTreeSet<_> = comments.iter().map(|comment| comment.source).collect();
        for source in sources.into_iter().map(|id| project.source(id)) {
            let Some(path) = &source.absolute else {
                bail!("{} is not on this machine, so that nothing can be written to it", source.path);
            };
            let file = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let Some(text) = insert_comments(source, &file, &comments) else {
                bail!("{} has changed since it was compiled: compile it again first", source.path);
            };
            files.push((path, text));
        }
        count += comments.len();
    }
    if count == 0 && checkups.iter().any(|it| !it.report.diagnostics.is_empty()) {
        bail!("no finding has a line that a comment could be written to: compile the project again first");
    }
    // All of them stand beside the old ones before the first takes a place.
    let prepared = files.iter().map(|(path, text)| Prepared::new(path, text.as_bytes()));
    for file in prepared.collect::<anyhow::Result<Vec<_>>>()? {
        file.put()?;
    }
    let (comments, files) = (plural(count, "comment"), plural(files.len(), "file"));
    console.note(&format!("wrote {comments} to {files}: compile the project again"));
    Ok(ExitCode::SUCCESS)
}
