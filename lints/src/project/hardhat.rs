//! Hardhat projects, versions 2 and 3.
//!
//! In: a folder with a Hardhat configuration. Out: its contracts as their source declares them now. What is in `artifacts/`
//! is read where it is complete and of that text; where it is not, Hardhat compiles by the project's own configuration into
//! a folder of ours, if it may. The configuration is a program, so it is not read: folders are the ones that nearly every
//! project uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    Builds, FolderKind, LoadOptions,
    assembly::Assembly,
    document::{Content, Document, classify},
    folder, hardhat_artifact, read_document, read_file, read_text,
    source_store::{Folders, SourceStore},
    toolchain::{self, BuildOutcome},
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

fn read(path: &Path, options: LoadOptions<'_>) -> Result<Project, Error> {
    let root = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let command = || toolchain::HARDHAT.command.to_owned();
    let own = read_artifacts(&root, &root.join("artifacts"));
    let lack = match &own {
        Ok(project) => project.lack().or_else(|| uncompiled(&root, project)),
        Err(error) if error.is_unbuilt() => Some("nothing is built".to_owned()),
        Err(_) => return own,
    };
    let Some(reason) = lack else { return own };
    if options.fresh {
        return Err(Error::NotFresh { root, reason, command: command() });
    }
    let Some(builds) = options.builds else { return own };
    build(&root, builds)?.or_own(own, &root, &toolchain::HARDHAT)
}

/// Compiles by the project's own configuration, but for where the results go.
fn build(root: &Path, builds: Builds<'_>) -> Result<BuildOutcome, Error> {
    let folder = builds.of(root);
    let configuration = match GuestConfiguration::write(root, &folder) {
        Ok(configuration) => configuration,
        Err(reason) => return Ok(BuildOutcome::Unsuitable(reason)),
    };
    let arguments = ["--config".into(), configuration.path.clone().into_os_string()];
    let said = match toolchain::build(&toolchain::HARDHAT, root, &folder, &arguments, builds.progress)? {
        toolchain::ToolRun::Done(said) => said,
        toolchain::ToolRun::Missing => return Ok(BuildOutcome::Missing),
        toolchain::ToolRun::Unsuitable(reason) => return Ok(BuildOutcome::Unsuitable(reason)),
    };
    match read_artifacts(root, &folder.join("artifacts")) {
        Ok(mut project) => {
            let command = toolchain::HARDHAT.name.to_owned();
            project.notices.push(Notice::Built { root: root.to_owned(), command });
            Ok(BuildOutcome::Built(Box::new(project)))
        }
        // A tool that says that all is well and leaves nothing has said why.
        Err(error) if error.is_unbuilt() => Ok(BuildOutcome::Unsuitable(said)),
        Err(error) => Err(error),
    }
}

/// Says which source of the project no build has seen, if there is one.
fn uncompiled(root: &Path, project: &Project) -> Option<String> {
    let known: BTreeSet<&Path> = project.sources.iter().filter_map(|it| it.absolute.as_deref()).collect();
    let missing = folder::sources_in(&root.join("contracts"));
    let missing = missing.into_iter().find(|file| !known.contains(file.as_path()))?;
    let name = missing.strip_prefix(root).unwrap_or(&missing).display().to_string();
    Some(format!("{name} was never compiled"))
}

/// A configuration that says what the project's own says, and has the results go elsewhere.
struct GuestConfiguration {
    path: PathBuf,
    /// It lies where it must not stay.
    is_guest: bool,
}

impl GuestConfiguration {
    /// Writes it; version 3 wants it below the project's `package.json`, so that it goes where packages keep their caches.
    fn write(root: &Path, folder: &Path) -> Result<Self, String> {
        let own = ["ts", "js", "cjs", "mjs", "cts", "mts"].into_iter();
        let own = own.map(|it| (it, root.join(format!("hardhat.config.{it}")))).find(|(_, it)| it.is_file());
        let (extension, own) = own.ok_or("the configuration is not there")?;
        let version = version(root).ok_or("Hardhat is not installed: run `npm install`")?;
        let text = |path: &Path| serde_json::Value::from(path.to_string_lossy().into_owned()).to_string();
        let paths = format!(
            "root: {}, cache: {}, artifacts: {}",
            text(root),
            text(&folder.join("cache")),
            text(&folder.join("artifacts"))
        );
        let (place, name, content) = if version < 3 {
            let content = format!(
                "const own = require({});\nconst user = own.default ?? own;\n\
                 module.exports = {{ ...user, paths: {{ ...user.paths, {paths} }} }};\n",
                text(&own)
            );
            (
                folder.to_owned(),
                format!("hardhat.config.{}", if extension == "ts" { "ts" } else { "cjs" }),
                content,
            )
        } else {
            let paths = paths.split_once(", ").map_or("", |(_, rest)| rest);
            let content = format!(
                "import own from {};\nexport default {{ ...own, paths: {{ ...own.paths, {paths} }} }};\n",
                text(Path::new(&format!("file://{}", own.display())))
            );
            let place = root.join("node_modules/.cache/deconflict");
            (place, format!("hardhat.config.{}.mjs", std::process::id()), content)
        };
        let path = place.join(name);
        let written = fs::create_dir_all(&place).and_then(|()| fs::write(&path, content));
        written.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        Ok(Self { path, is_guest: version >= 3 })
    }
}

impl Drop for GuestConfiguration {
    fn drop(&mut self) {
        if self.is_guest {
            // What cannot be removed is of no use to anybody and does no harm.
            let _ = fs::remove_file(&self.path);
            let _ = self.path.parent().map(fs::remove_dir);
        }
    }
}

/// The first part of the version of the Hardhat that the project has installed.
fn version(root: &Path) -> Option<u32> {
    #[derive(Deserialize)]
    struct Package {
        version: String,
    }
    let mut places = root.ancestors().map(|folder| folder.join("node_modules/hardhat/package.json"));
    let text = places.find_map(|path| read_text(&path).ok())?;
    let package: Package = serde_json::from_str(&text).ok()?;
    package.version.split('.').next()?.parse().ok()
}

/// What a build has left in a folder of artifacts.
fn read_artifacts(root: &Path, artifacts: &Path) -> Result<Project, Error> {
    if files_in(artifacts).is_empty() {
        let (root, command) = (root.to_owned(), toolchain::HARDHAT.command.to_owned());
        return Err(Error::NotBuilt { root, command });
    }
    let mut assembly = Assembly::new(SourceStore::new(root.to_owned(), Folders::default()));

    // A build-info is large and holds many contracts: find out which artifacts belong to which, then read each once.
    let mut wanted: BTreeMap<PathBuf, BTreeSet<(String, String)>> = BTreeMap::new();
    let mut alone = Vec::new();
    for file in files_in(artifacts) {
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
        let store = SourceStore::new(root.to_owned(), Folders::default());
        let mut build = Assembly::of(store, keys.clone());
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
        return Err(Error::NothingFound { path: root.to_owned() });
    }
    Ok(assembly.finish())
}

/// Artifacts, without build-infos.
fn files_in(artifacts: &Path) -> Vec<PathBuf> {
    let mut files = folder::list(artifacts, false).files;
    files.retain(|path| !path.starts_with(artifacts.join("build-info")));
    files
}
