//! What git knows: where a repository begins, and which files have changed.
//!
//! In: a folder and a revision. Out: real paths. The git of the machine is asked, so that every kind of repository,
//! worktree and revision is understood.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::error::Error;

/// The folder of the repository around `folder`, if there is one.
pub fn repository_of(folder: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(folder).ok()?;
    folder.ancestors().find(|it| it.join(".git").exists()).map(Path::to_path_buf)
}

/// The files that differ from `revision`, those that git does not know yet included.
pub fn changed_files(folder: &Path, revision: &str) -> Result<BTreeSet<PathBuf>, Error> {
    let wrong = |message: String| Error::Git { revision: revision.to_owned(), message };
    let root = repository_of(folder)
        .ok_or_else(|| wrong(format!("{} lies in no git repository", folder.display())))?;
    let run = |arguments: &[&str]| -> Result<Vec<String>, Error> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(arguments)
            .output()
            .map_err(|error| wrong(format!("git cannot be run ({error})")))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let first = message.lines().next().unwrap_or("git failed").trim_start_matches("fatal: ");
            return Err(wrong(format!("{first}; a shallow clone may lack the revision: fetch it first")));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
    };
    // A revision that starts with a dash would be taken for an option.
    if revision.starts_with('-') || revision.is_empty() {
        return Err(wrong("this is no revision".to_owned()));
    }
    let mut names = run(&["diff", "--name-only", "--no-renames", "-z", revision, "--"])?;
    names.extend(run(&["ls-files", "--others", "--exclude-standard", "-z"])?);
    Ok(names.into_iter().map(|name| root.join(name)).collect())
}
