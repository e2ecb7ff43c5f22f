//! The commands, one file each.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod inspect;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod simulate;

use std::{io::Read as _, path::Path};

use anyhow::Context;
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
