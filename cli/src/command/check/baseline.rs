//! `--baseline` and `--write-baseline`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use deconflict_lints::Baseline;

use super::Checkup;
use crate::{arguments::Check, command::replace, console::Console, text};

/// The file that is used where none is named.
const DEFAULT: &str = "deconflict-baseline.json";

/// Writes the baseline if asked to, then takes what it knows out of the reports.
pub(super) fn apply(options: &Check, checkups: &mut [Checkup], console: &Console) -> anyhow::Result<()> {
    if options.no_baseline {
        return Ok(());
    }
    if options.write_baseline.is_some() && options.changed_since.is_some() {
        bail!(
            "a baseline holds all findings, and `--changed-since` leaves some out: the others would be new the next time. \
             Leave out one of the two"
        );
    }
    let configured = || checkups.iter().find_map(|it| it.configuration.baseline.clone());
    let named = options.baseline.clone().or_else(configured);
    let path = match &options.write_baseline {
        Some(Some(file)) => file.clone(),
        Some(None) => named.unwrap_or_else(|| PathBuf::from(DEFAULT)),
        None => match named {
            Some(path) => path,
            None if Path::new(DEFAULT).is_file() => PathBuf::from(DEFAULT),
            None => return Ok(()),
        },
    };
    if options.write_baseline.is_some() {
        let text = Baseline::render(checkups.iter().map(|it| (&it.project, &it.report)));
        let count: usize = checkups.iter().map(|it| it.report.diagnostics.len()).sum();
        replace(&path, "deconflict/baseline/", &text)?;
        let findings = if count == 1 { "finding" } else { "findings" };
        console.note(&format!("wrote {count} {findings} to {}", path.display()));
    }
    let text = text::read(&path).with_context(|| {
        let path = path.display();
        format!("cannot read the baseline {path}: write it with `deconflict check --write-baseline={path}`")
    })?;
    let mut baseline = Baseline::parse(&path.display().to_string(), &text)?;
    for checkup in checkups {
        baseline.apply(&mut checkup.report);
    }
    // With only a part of the project at hand nobody knows what is gone.
    if baseline.left() > 0 && options.changed_since.is_none() {
        let (left, path) = (baseline.left(), path.display());
        console.note(&format!(
            "note: {left} of the findings in {path} were not found again: write it anew if they are gone for good"
        ));
    }
    Ok(())
}
