//! Hardhat projects, versions 2 and 3.
//!
//! In: a folder with a Hardhat configuration. Out: the contracts whose artifacts are in `artifacts/`. The configuration
//! is a program, so it is not read: folders are the ones that nearly every project uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{
    FolderKind, LoadOptions,
    assembly::Assembly,
    document::{Content, Document, classify},
    folder, hardhat_artifact, read_document, read_file, read_text,
    source_store::{Folders, SourceStore},
    toolchain,
};
use crate::{
    error::Error,
    unit::{Notice, Project},
};

/// A folder with a Hardhat configuration.
pub(super) const KIND: FolderKind = FolderKind { accepts, read };

fn accepts(path: &Path) -> bool {
    ["js", "ts", "cjs", "mjs", "cts", "mts"]
        .iter()
        .any(|it| path.join(format!("hardhat.config.{it}")).is_file())
}

fn read(path: &Path, options: LoadOptions) -> Result<Project, Error> {
    let root = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let artifacts = root.join("artifacts");
    let mut built = None;
    if files_in(&artifacts).is_empty() {
        toolchain::build(&toolchain::HARDHAT, &root, options.no_build)?;
        built = Some(Notice::Built { root: root.clone(), command: toolchain::HARDHAT.command.to_owned() });
    }
    let mut assembly = Assembly::new(SourceStore::new(root.clone(), Folders::default()));
    if let Some(notice) = built {
        assembly.notice(notice);
    }

    // A build-info is large and holds many contracts: find out which artifacts belong to which, then read each once.
    let mut wanted: BTreeMap<PathBuf, BTreeSet<(String, String)>> = BTreeMap::new();
    let mut alone = Vec::new();
    for file in files_in(&artifacts) {
        let name = file.display().to_string();
        let bytes = read_file(&file)?;
        let document = match classify(&name, Some(&file), &bytes) {
            Ok(Content::Json(document)) => document,
            Ok(Content::Code(_)) => continue,
            Err(error) => {
                assembly.notice(Notice::Unreadable { path: file.clone(), message: error.to_string() });
                continue;
            }
        };
        if !(hardhat_artifact::FORMAT.accepts)(&document) {
            continue;
        }
        let key = (document.text("sourceName"), document.text("contractName"));
        match hardhat_artifact::build_info_of(&document) {
            Some(build) => {
                wanted.entry(fs::canonicalize(&build).unwrap_or(build)).or_default().insert(key);
            }
            None => alone.push(file),
        }
    }
    for (path, keys) in wanted {
        let text = read_text(&path)?;
        let name = path.display().to_string();
        let document = Document::parse(&name, Some(&path), &text)?;
        let mut build = Assembly::new(SourceStore::new(root.clone(), Folders::default()));
        read_document(&document, &mut build)?;
        assembly.take(build.finish(), |contract| {
            keys.iter().any(|(path, name)| *path == contract.source_path && *name == contract.name)
        });
    }
    for file in alone {
        let bytes = read_file(&file)?;
        super::read_bytes(&file.display().to_string(), Some(&file), &bytes, &mut assembly)?;
    }
    if assembly.is_empty() {
        return Err(Error::NothingFound { path: path.to_owned() });
    }
    Ok(assembly.finish())
}

/// Artifacts, without build-infos.
fn files_in(artifacts: &Path) -> Vec<PathBuf> {
    let mut files = folder::list(artifacts, false).files;
    files.retain(|path| !path.starts_with(artifacts.join("build-info")));
    files
}
