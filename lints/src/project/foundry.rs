//! Foundry projects.
//!
//! In: a folder with `foundry.toml`. Out: its contracts as their source declares them now. The project's own output is read
//! where it is complete and of that text; where it is not, `forge` builds into a folder of ours, if it may. The project's
//! own folders are never written to.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Builds, FolderKind, LoadOptions,
    assembly::Assembly,
    document::{Content, Document, classify},
    folder,
    foundry_artifact::{self, Surroundings},
    foundry_profile::FoundryProfile,
    read_file,
    source_store::{Folders, SourceStore},
    toolchain::{self, BuildOutcome},
};
use crate::{
    error::Error,
    unit::{Notice, Project},
};

/// A folder with `foundry.toml`.
pub(super) const KIND: FolderKind = FolderKind { accepts: |path| path.join("foundry.toml").is_file(), read };

/// The file in which `forge` keeps what it has built.
const CACHE: &str = "solidity-files-cache.json";

fn read(path: &Path, options: LoadOptions<'_>) -> Result<Project, Error> {
    let root = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let profile = FoundryProfile::read(&root, options.builds.is_some())?;
    let own = read_own(&root, &profile);
    let lack = match &own {
        Ok(project) => project.lack().or_else(|| uncompiled(&root, &profile)),
        Err(Error::NotBuilt { .. }) => Some("nothing is built".to_owned()),
        Err(Error::NoBytecode { .. }) => Some("its artifacts have no bytecode".to_owned()),
        Err(_) => return own,
    };
    let Some(lack) = lack else { return own };
    if options.fresh {
        let command = toolchain::FORGE.command.to_owned();
        return Err(Error::NotFresh { root, reason: lack, command });
    }
    let Some(builds) = options.builds else { return own };
    let built = build(&root, &profile, builds)?;
    built.or_own(own, &root, &toolchain::FORGE)
}

/// Compiles into a folder that is not the project's own, whatever that holds.
pub(super) fn compile(root: &Path, builds: Builds<'_>) -> Result<Project, Error> {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let profile = FoundryProfile::read(&root, true)?;
    let not_built = Error::NotBuilt { root: root.clone(), command: toolchain::FORGE.command.to_owned() };
    build(&root, &profile, builds)?.or_own(Err(not_built), &root, &toolchain::FORGE)
}

fn build(root: &Path, profile: &FoundryProfile, builds: Builds<'_>) -> Result<BuildOutcome, Error> {
    let folder = builds.of(root);
    let out = folder.join("out");
    let places = ["--out".into(), out.clone().into_os_string(), "--cache-path".into(), folder.clone().into()];
    let infos = ["--build-info-path".into(), out.join("build-info").into_os_string()];
    // Nobody is told of tests and scripts, and they are most of what there is to compile.
    let skip = ["--skip", "test", "--skip", "script"].map(Into::into);
    let offline = builds.offline.then(|| "--offline".into());
    let arguments: Vec<_> = places.into_iter().chain(infos).chain(skip).chain(offline).collect();
    let said = match toolchain::build(&toolchain::FORGE, root, &folder, &arguments, builds.progress)? {
        toolchain::ToolRun::Done(said) => said,
        toolchain::ToolRun::Missing => return Ok(BuildOutcome::Missing),
        toolchain::ToolRun::Unsuitable(reason) => return Ok(BuildOutcome::Unsuitable(reason)),
    };
    let cache = Some(folder.join(CACHE)).filter(|cache| cache.is_file());
    let surroundings = Surroundings { build_infos: out.join("build-info"), out, cache };
    let mut assembly = Assembly::new(SourceStore::new(root.to_owned(), folders(profile)));
    assembly.notice(Notice::Built { root: root.to_owned(), command: toolchain::FORGE.name.to_owned() });
    read_artifacts(&surroundings, &mut assembly)?;
    if assembly.is_empty() {
        // A tool that says that all is well and leaves nothing has said why.
        return Ok(BuildOutcome::Unsuitable(said));
    }
    Ok(BuildOutcome::Built(Box::new(assembly.finish())))
}

/// What the project's own build left, whatever it is of.
fn read_own(root: &Path, profile: &FoundryProfile) -> Result<Project, Error> {
    let surroundings = surroundings(root, profile);
    let not_built =
        || Error::NotBuilt { root: root.to_owned(), command: toolchain::FORGE.command.to_owned() };
    if files_in(&surroundings).is_empty() {
        return Err(not_built());
    }
    let mut assembly = Assembly::new(SourceStore::new(root.to_owned(), folders(profile)));
    read_artifacts(&surroundings, &mut assembly)?;
    if assembly.is_empty() {
        // `forge lint` writes artifacts without bytecode over those of an earlier build.
        return Err(if assembly.lacks_bytecode() {
            Error::NoBytecode { root: root.to_owned(), command: toolchain::FORGE.command.to_owned() }
        } else {
            not_built()
        });
    }
    Ok(assembly.finish())
}

fn surroundings(root: &Path, profile: &FoundryProfile) -> Surroundings {
    let out = root.join(profile.out.as_deref().unwrap_or(Path::new("out")));
    let build_infos = profile.build_info_path.as_ref();
    let build_infos = build_infos.map_or_else(|| out.join("build-info"), |it| root.join(it));
    let cache = root.join(profile.cache_path.as_deref().unwrap_or(Path::new("cache"))).join(CACHE);
    Surroundings { build_infos, out, cache: Some(cache).filter(|cache| cache.is_file()) }
}

/// Says which source of the project no build has seen, if there is one.
fn uncompiled(root: &Path, profile: &FoundryProfile) -> Option<String> {
    let cache = surroundings(root, profile).cache?;
    let known: BTreeSet<PathBuf> =
        foundry_artifact::compiled_files(&cache)?.into_iter().map(|file| root.join(file)).collect();
    let sources = root.join(profile.src.as_deref().unwrap_or("src"));
    let folders = folders(profile);
    let others: Vec<PathBuf> = [&folders.libraries, &folders.tests, &folders.scripts]
        .into_iter()
        .flatten()
        .map(|folder| root.join(folder))
        .filter(|folder| *folder != sources)
        .collect();
    let is_open = |file: &PathBuf| {
        let name = file.to_string_lossy();
        let is_other = name.ends_with(".t.sol") || name.ends_with(".s.sol");
        !is_other && !known.contains(file) && !others.iter().any(|folder| file.starts_with(folder))
    };
    let missing = folder::sources_in(&sources).into_iter().find(is_open)?;
    let name = missing.strip_prefix(root).unwrap_or(&missing).display().to_string();
    Some(format!("{name} was never compiled"))
}

/// Which folders of the project at `root` hold what; the usual ones where no `foundry.toml` says so.
pub(super) fn folders_of(root: &Path) -> Folders {
    match FoundryProfile::read(root, false) {
        Ok(profile) => folders(&profile),
        Err(_) => Folders::default(),
    }
}

fn folders(profile: &FoundryProfile) -> Folders {
    let or = |folder: &Option<String>, usual: &str| vec![folder.clone().unwrap_or_else(|| usual.to_owned())];
    Folders {
        libraries: profile.libs.clone().unwrap_or_else(|| Folders::default().libraries),
        tests: or(&profile.test, "test"),
        scripts: or(&profile.script, "script"),
    }
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

/// Artifacts that are current, without build-infos: what `forge` does not list any more is of contracts that were renamed
/// or deleted, and stays where it is.
fn files_in(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut files = folder::list(&surroundings.out, false).files;
    files.retain(|path| !path.starts_with(&surroundings.build_infos));
    let listed = surroundings.cache.as_deref();
    if let Some(listed) =
        listed.and_then(|cache| foundry_artifact::current_artifacts(cache, &surroundings.out))
    {
        // A list of nothing that is here is of another folder.
        let is_current = |path: &PathBuf| fs::canonicalize(path).is_ok_and(|path| listed.contains(&path));
        if files.iter().any(is_current) {
            files.retain(is_current);
        }
    }
    files
}
