//! Foundry projects.
//!
//! In: a folder with `foundry.toml`. Out: the contracts whose artifacts are in the profile's output folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    FolderKind, LoadOptions,
    assembly::Assembly,
    document::{Content, Document, classify},
    folder,
    foundry_artifact::{self, Surroundings},
    read_file, read_text,
    source_store::{Folders, SourceStore},
    toolchain,
};
use crate::{
    error::Error,
    unit::{Notice, Project},
};

/// A folder with `foundry.toml`.
pub(super) const KIND: FolderKind = FolderKind { accepts: |path| path.join("foundry.toml").is_file(), read };

/// The part of a profile that says where things are.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Profile {
    out: Option<PathBuf>,
    libs: Option<Vec<String>>,
    test: Option<String>,
    script: Option<String>,
    cache_path: Option<PathBuf>,
    build_info_path: Option<PathBuf>,
}

impl Profile {
    /// This profile, with what it leaves out taken from `base`.
    fn over(self, base: Self) -> Self {
        Self {
            out: self.out.or(base.out),
            libs: self.libs.or(base.libs),
            test: self.test.or(base.test),
            script: self.script.or(base.script),
            cache_path: self.cache_path.or(base.cache_path),
            build_info_path: self.build_info_path.or(base.build_info_path),
        }
    }
}

fn read(path: &Path, options: LoadOptions) -> Result<Project, Error> {
    let root = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let profile = read_profile(&root)?;
    let folders = folders(&profile);
    let out = root.join(profile.out.unwrap_or_else(|| "out".into()));
    let build_infos = profile.build_info_path.map_or_else(|| out.join("build-info"), |it| root.join(it));
    let cache =
        root.join(profile.cache_path.unwrap_or_else(|| "cache".into())).join("solidity-files-cache.json");
    let surroundings = Surroundings { build_infos, out, cache: Some(cache).filter(|cache| cache.is_file()) };
    let fresh = || Assembly::new(SourceStore::new(root.clone(), folders.clone()));

    let mut assembly = fresh();
    let mut missing = files_in(&surroundings).is_empty();
    let mut left_by_lint = false;
    if !missing {
        read_artifacts(&surroundings, &mut assembly)?;
        // `forge lint` writes artifacts without bytecode over those of an earlier build.
        left_by_lint = assembly.is_empty() && assembly.lacks_bytecode();
        missing = left_by_lint;
    }
    if missing {
        toolchain::build(&toolchain::FORGE, &root, options.no_build).map_err(|error| match error {
            Error::NotBuilt { root, command } if left_by_lint => Error::NoBytecode { root, command },
            error => error,
        })?;
        assembly = fresh();
        assembly.notice(Notice::Built { root: root.clone(), command: toolchain::FORGE.command.to_owned() });
        read_artifacts(&surroundings, &mut assembly)?;
    }
    if assembly.is_empty() {
        return Err(Error::NothingFound { path: path.to_owned() });
    }
    Ok(assembly.finish())
}

/// Which folders of the project at `root` hold what; the usual ones where no `foundry.toml` says so.
pub(super) fn folders_of(root: &Path) -> Folders {
    match read_profile(root) {
        Ok(profile) => folders(&profile),
        Err(_) => Folders::default(),
    }
}

fn folders(profile: &Profile) -> Folders {
    let or = |folder: &Option<String>, usual: &str| vec![folder.clone().unwrap_or_else(|| usual.to_owned())];
    Folders {
        libraries: profile.libs.clone().unwrap_or_else(|| Folders::default().libraries),
        tests: or(&profile.test, "test"),
        scripts: or(&profile.script, "script"),
    }
}

/// Reads artifacts from a folder that is not the profile's.
pub(super) fn read_output(root: &Path, out: &Path) -> Result<Project, Error> {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let surroundings = Surroundings { build_infos: out.join("build-info"), out: out.to_owned(), cache: None };
    let mut assembly = Assembly::new(SourceStore::new(root.clone(), folders_of(&root)));
    read_artifacts(&surroundings, &mut assembly)?;
    if assembly.is_empty() {
        return Err(Error::NothingFound { path: out.to_owned() });
    }
    Ok(assembly.finish())
}

fn read_artifacts(surroundings: &Surroundings, assembly: &mut Assembly) -> Result<(), Error> {
    let mut texts = Vec::new();
    for file in files_in(surroundings) {
        let bytes = read_file(&file)?;
        texts.push((file.display().to_string(), file, bytes));
    }
    let mut documents: Vec<Document<'_>> = Vec::new();
    for (name, file, bytes) in &texts {
        match classify(name, Some(file), bytes) {
            Ok(Content::Json(document)) if (foundry_artifact::FORMAT.accepts)(&document) => {
                documents.push(document);
            }
            Ok(_) => {}
            Err(error) => {
                assembly.notice(Notice::Unreadable { path: file.clone(), message: error.to_string() });
            }
        }
    }
    let documents: Vec<&Document<'_>> = documents.iter().collect();
    foundry_artifact::read(&documents, surroundings, assembly)
}

/// Artifacts, without build-infos.
fn files_in(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut files = folder::list(&surroundings.out, false).files;
    files.retain(|path| !path.starts_with(&surroundings.build_infos));
    files
}

fn read_profile(root: &Path) -> Result<Profile, Error> {
    let path = root.join("foundry.toml");
    let text = read_text(&path)?;
    let wrong = |message: String| Error::Configuration { path: path.clone(), message };
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let mut profiles = match table.remove("profile") {
        Some(toml::Value::Table(profiles)) => profiles,
        Some(_) => return Err(wrong("`profile` is no table".to_owned())),
        None => toml::Table::new(),
    };
    let mut take = |name: &str| match profiles.remove(name) {
        Some(profile) => profile.try_into().map_err(|error: toml::de::Error| wrong(error.to_string())),
        None => Ok(Profile::default()),
    };
    let default: Profile = take("default")?;
    match env::var("FOUNDRY_PROFILE") {
        Ok(name) if name != "default" => Ok(take(&name)?.over(default)),
        _ => Ok(default),
    }
}
