//! A folder with artifacts, bytecode or whole projects anywhere below it.
//!
//! In: a folder that is no project itself. Out: everything below it that can be read. A file that cannot be read is a
//! notice as long as another one can.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ignore::{WalkBuilder, gitignore::Gitignore};

use super::{
    FOLDERS, LoadOptions,
    assembly::Assembly,
    read_bytes, read_file,
    source_store::{Folders, SourceStore},
};
use crate::{
    error::Error,
    unit::{Notice, Project},
};

/// Folders below this depth are not looked into.
const MAX_DEPTH: usize = 24;

/// Files that may be an artifact or bytecode. In a folder of many files only these are opened; a file given by name
/// may be called anything.
const EXTENSIONS: &[&str] = &["json", "hex", "bin", "bin-runtime"];

/// What a folder holds.
#[derive(Default)]
pub(super) struct Listing {
    /// Files in order.
    pub(super) files: Vec<PathBuf>,
    /// Project folders in order.
    pub(super) projects: Vec<PathBuf>,
    /// What could not be listed.
    pub(super) failures: Vec<(PathBuf, io::Error)>,
}

/// Reads everything below a folder.
pub(super) fn read(path: &Path, options: LoadOptions<'_>) -> Result<Project, Error> {
    let mut listing = list(path, true);
    if let Some(at) = listing.failures.iter().position(|(folder, _)| folder == path) {
        let (path, source) = listing.failures.swap_remove(at);
        return Err(Error::Read { path, source });
    }
    let root = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut store = SourceStore::new(root.clone(), Folders::default());
    store.search = root.ancestors().skip(1).take(2).map(Path::to_path_buf).collect();
    let mut assembly = Assembly::new(store);
    let mut first_error = None;
    for (path, error) in listing.failures {
        assembly.notice(Notice::Unreadable { path, message: error.to_string() });
    }
    for file in listing.files {
        let name = file.display().to_string();
        match read_file(&file).and_then(|bytes| read_bytes(&name, Some(&file), &bytes, &mut assembly)) {
            // Other JSON files are everywhere; they are nothing to mention.
            Ok(()) | Err(Error::WrongKind { .. }) => {}
            Err(error) => {
                assembly.notice(Notice::Unreadable { path: file, message: error.to_string() });
                first_error = first_error.or(Some(error));
            }
        }
    }
    for folder in listing.projects {
        let Some(kind) = FOLDERS.iter().find(|kind| (kind.accepts)(&folder)) else { continue };
        match (kind.read)(&folder, options) {
            Ok(project) => assembly.take(project, |_| true),
            Err(error) => {
                assembly.notice(Notice::Unreadable { path: folder, message: error.to_string() });
                first_error = first_error.or(Some(error));
            }
        }
    }
    if assembly.is_empty() {
        return Err(first_error.unwrap_or_else(|| Error::NothingFound { path: path.to_owned() }));
    }
    Ok(assembly.finish())
}

/// Lists the files below a folder that may hold code. Hidden folders, packages, links to folders and what an `.ignore`
/// file names are left out; with `stop_at_projects`, so is what lies inside a project, which is listed itself. What git
/// ignores is looked into: build outputs usually are.
pub(super) fn list(path: &Path, stop_at_projects: bool) -> Listing {
    let mut listing = Listing::default();
    walk(path, stop_at_projects, &mut Vec::new(), &mut listing);
    listing
}

/// The Solidity files below a folder, but for hidden ones and packages.
pub(super) fn sources_in(folder: &Path) -> Vec<PathBuf> {
    let mut walk = WalkBuilder::new(folder);
    walk.standard_filters(false).hidden(true).max_depth(Some(MAX_DEPTH));
    walk.filter_entry(|entry| entry.file_name() != "node_modules");
    let files = walk.build().filter_map(Result::ok).map(ignore::DirEntry::into_path);
    let mut found: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|it| it == "sol") && path.is_file()).collect();
    found.sort();
    found
}

/// Whether an `.ignore` file of a folder above, the nearest first, leaves the path out.
fn is_ignored(rules: &[Gitignore], path: &Path, is_dir: bool) -> bool {
    rules
        .iter()
        .rev()
        .map(|rules| rules.matched(path, is_dir))
        .find(|found| !found.is_none())
        .is_some_and(|found| found.is_ignore())
}

/// `rules` holds the rules of every folder from the start down to `folder`, so its length is the depth.
fn walk(folder: &Path, stop_at_projects: bool, rules: &mut Vec<Gitignore>, listing: &mut Listing) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return listing.failures.push((folder.to_owned(), error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    // A line that is no pattern leaves nothing out; the other lines count.
    rules.push(Gitignore::new(folder.join(".ignore")).0);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if is_ignored(rules, &path, kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            if hidden || name == "node_modules" || rules.len() > MAX_DEPTH {
                continue;
            }
            if stop_at_projects && FOLDERS.iter().any(|kind| (kind.accepts)(&path)) {
                listing.projects.push(path);
            } else {
                walk(&path, stop_at_projects, rules, listing);
            }
        } else if path.extension().is_some_and(|it| EXTENSIONS.iter().any(|known| it == *known))
            && path.is_file()
        {
            listing.files.push(path);
        }
    }
    rules.pop();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_ignore_file_names_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        for file in ["a.json", "real/b.json", "real/kept.json", "deep/real/c.json"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it has a parent")).expect("a folder can be made");
            fs::write(path, "{}").expect("a file can be written");
        }
        fs::write(folder.path().join(".ignore"), "/real/b.json\n/deep/\n").expect("a file can be written");
        let found = list(folder.path(), false).files;
        let names: Vec<_> = found.iter().filter_map(|file| file.strip_prefix(folder.path()).ok()).collect();
        assert_eq!(names, [Path::new("a.json"), Path::new("real/kept.json")]);
        assert_eq!(list(&folder.path().join("deep"), false).files.len(), 1, "a folder that is named is read");
    }
}
