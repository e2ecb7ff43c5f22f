//! `forge build` into a folder of the server's own.

use std::path::Path;

use deconflict_lints::{Builds, Error, Project, compile_by_forge};

/// What became of it.
pub(super) enum Forged {
    /// It is done.
    Project(Box<Project>),
    /// The sources do not compile.
    Broken,
    /// It cannot run here.
    Unsuitable(String),
}

/// Builds the project at `root`; outputs and cache go below `folder`.
pub(super) fn compile(root: &Path, folder: &Path) -> Forged {
    match compile_by_forge(root, Builds { folder: &folder.join("forge"), offline: true, progress: &|_| {} }) {
        Ok(project) => Forged::Project(Box::new(project)),
        Err(Error::BuildFailed { output, .. }) if output.contains("Compiler run failed") => Forged::Broken,
        Err(Error::BuildFailed { output, .. }) => {
            let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
            Forged::Unsuitable(last.trim().to_owned())
        }
        Err(error) => Forged::Unsuitable(error.to_string()),
    }
}
