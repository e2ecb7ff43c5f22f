//! `--watch`: check again whenever something has changed.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context, bail};
use deconflict_lints::Level;
use notify::{RecursiveMode, Watcher};

use crate::{arguments::Check, console::Console};

/// How long nothing may change before a check starts: compilers write many files, one after the other.
const QUIET: Duration = Duration::from_millis(200);

/// Checks until the process is ended. An input that cannot be read is an error to be shown, not one to stop at: it is
/// being worked on.
pub(super) fn run(
    options: &Check,
    settings: &[(String, Level)],
    console: &Console,
) -> anyhow::Result<ExitCode> {
    if options.paths.iter().any(|path| path == Path::new("-")) {
        bail!("standard input cannot be watched: give a path");
    }
    let (sender, receiver) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !event.kind.is_access() && event.paths.iter().any(|path| matters(path)) {
            // The other end is gone when the process ends.
            let _ = sender.send(());
        }
    })
    .context("cannot watch files")?;
    for path in &options.paths {
        let whole: PathBuf =
            path.canonicalize().with_context(|| format!("{} does not exist", path.display()))?;
        // Tools replace files instead of writing to them, which only the folder sees.
        let (folder, mode) = match whole.parent() {
            Some(parent) if whole.is_file() => (parent, RecursiveMode::NonRecursive),
            _ => (whole.as_path(), RecursiveMode::Recursive),
        };
        watcher.watch(folder, mode).with_context(|| format!("cannot watch {}", folder.display()))?;
    }
    loop {
        if let Err(error) = super::once(options, settings, console) {
            console.error(&error);
        }
        console.note("watching for changes; end with Ctrl-C");
        if receiver.recv().is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        while receiver.recv_timeout(QUIET).is_ok() {}
    }
}

/// Sources, artifacts and configuration; not what compilers keep for themselves.
fn matters(path: &Path) -> bool {
    let known = ["sol", "vy", "json", "toml", "hex", "bin", "bin-runtime"];
    path.extension().is_some_and(|extension| known.iter().any(|it| extension == *it))
        && !path.components().any(|part| part.as_os_str() == "cache" || part.as_os_str() == ".git")
}
