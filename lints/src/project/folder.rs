//! A folder with artifacts, bytecode or whole projects anywhere below it.
//!
//! In: a folder that is no project itself. Out: everything below it that can be read. A file that cannot be read is a
//! notice as long as another one can.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    FOLDERS, LoadOptions,
    assembly::Assembly,
    read_bytes,
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
pub(super) fn read(path: &Path, options: LoadOptions) -> Result<Project, Error> {
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
        let read = fs::read(&file).map_err(|source| Error::Read { path: file.clone(), source });
        let name = file.display().to_string();
        match read.and_then(|bytes| read_bytes(&name, Some(&file), &bytes, &mut assembly)) {
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

/// Lists the files below a folder that may hold code. Hidden folders, packages and links to folders are left out;
/// with `stop_at_projects`, so is what lies inside a project, which is listed itself.
pub(super) fn list(path: &Path, stop_at_projects: bool) -> Listing {
    let mut listing = Listing::default();
    walk(path, stop_at_projects, 0, &mut listing);
    listing
}

fn walk(folder: &Path, stop_at_projects: bool, depth: usize, listing: &mut Listing) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return listing.failures.push((folder.to_owned(), error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if kind.is_dir() {
            if hidden || name == "node_modules" || depth >= MAX_DEPTH {
                continue;
            }
            if stop_at_projects && FOLDERS.iter().any(|kind| (kind.accepts)(&path)) {
                listing.projects.push(path);
            } else {
                walk(&path, stop_at_projects, depth + 1, listing);
            }
        } else if path.extension().is_some_and(|it| EXTENSIONS.iter().any(|known| it == *known))
            && path.is_file()
        {
            listing.files.push(path);
        }
    }
}
