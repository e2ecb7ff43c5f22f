//! The commands, one file each.

pub(crate) mod audit;
pub(crate) mod budget;
pub(crate) mod check;
pub(crate) mod inspect;
pub(crate) mod lsp;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod setup;
pub(crate) mod simulate;

use std::{fs, io::Read as _, path::Path};

use anyhow::{Context, bail};
use deconflict_lints::{LoadOptions, Project, load, load_bytes};

use crate::console::Console;

/// Reads one input and says how that went.
fn read(path: &Path, no_build: bool, console: &Console) -> anyhow::Result<Project> {
    let project = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        load_bytes("standard input", &bytes)?
    } else {
        load(path, LoadOptions { no_build })?
    };
    console.notices(&project.notices);
    Ok(project)
}

/// Writes a file of ours, and never over JSON that is not: a slip on the command line must not cost an artifact.
fn replace(path: &Path, schema: &str, text: &str) -> anyhow::Result<()> {
    let old = fs::read(path).unwrap_or_default();
    if let Ok(old) = serde_json::from_slice::<serde_json::Value>(&old)
        && !old["schema"].as_str().is_some_and(|found| found.starts_with(schema))
    {
        bail!("{} is another kind of file and is not written over: name a new file", path.display());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
