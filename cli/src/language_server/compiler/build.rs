//! How a project compiles: with which compiler, settings and remappings.
//!
//! In: `foundry.toml`, `remappings.txt`, Hardhat's build-infos, and what earlier builds say of themselves. Out: a
//! [`Build`]. Nothing is run to find out.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use deconflict_lints::Project;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Candidate, imports::Remapping};
use crate::text;

/// How a project compiles.
#[derive(Clone, Debug, Default)]
pub(super) struct Build {
    /// The compiler's settings, without output selection and remappings.
    pub(super) settings: Map<String, Value>,
    /// What stands for the starts of paths.
    pub(super) remappings: Vec<Remapping>,
    /// Folders with dependencies.
    pub(super) libraries: Vec<String>,
    /// Folders with sources.
    folders: Vec<String>,
    /// The compiler that the project asks for: a path or a version.
    solc: Option<String>,
    is_foundry: bool,
}

/// The part of a Foundry profile that says how to compile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Profile {
    src: Option<String>,
    libs: Option<Vec<String>>,
    remappings: Option<Vec<String>>,
    solc: Option<String>,
    solc_version: Option<String>,
    optimizer: Option<bool>,
    optimizer_runs: Option<u64>,
    via_ir: Option<bool>,
    evm_version: Option<String>,
}

impl Build {
    /// Gathers what is known.
    pub(super) fn read(root: &Path, known: &[&Project]) -> Self {
        let mut build = if root.join("foundry.toml").is_file() {
            Self::foundry(root)
        } else {
            Self::hardhat(root).unwrap_or_else(|| Self::earlier(known))
        };
        if build.libraries.is_empty() {
            build.libraries = vec!["lib".to_owned(), "node_modules".to_owned()];
        }
        build.remappings.extend(remappings_of(root, &build.libraries));
        // The configuration's own stand first, and nothing that is found besides takes their place.
        let mut seen = BTreeSet::new();
        build.remappings.retain(|it| seen.insert((it.context.clone(), it.prefix.clone())));
        build
    }

    fn foundry(root: &Path) -> Self {
        let text = text::read(&root.join("foundry.toml")).unwrap_or_default();
        let table: toml::Table = text.parse().unwrap_or_default();
        let name = env::var("FOUNDRY_PROFILE").unwrap_or_else(|_| "default".to_owned());
        let profile = |name: &str| -> Profile {
            let found = table.get("profile").and_then(|it| it.get(name)).cloned();
            found.and_then(|it| it.try_into().ok()).unwrap_or_default()
        };
        let (base, own) = (profile("default"), profile(&name));
        let mut settings = Map::new();
        let optimizer = own.optimizer.or(base.optimizer).unwrap_or(false);
        let runs = own.optimizer_runs.or(base.optimizer_runs).unwrap_or(200);
        settings.insert("optimizer".to_owned(), json!({ "enabled": optimizer, "runs": runs }));
        if let Some(via_ir) = own.via_ir.or(base.via_ir) {
            settings.insert("viaIR".to_owned(), json!(via_ir));
        }
        if let Some(version) = own.evm_version.or(base.evm_version) {
            settings.insert("evmVersion".to_owned(), json!(version));
        }
        let remappings = own.remappings.or(base.remappings).unwrap_or_default();
        Self {
            settings,
            remappings: remappings.iter().filter_map(|it| Remapping::parse(it)).collect(),
            libraries: own.libs.or(base.libs).unwrap_or_default(),
            folders: vec![own.src.or(base.src).unwrap_or_else(|| "src".to_owned())],
            solc: own.solc.or(own.solc_version).or(base.solc).or(base.solc_version),
            is_foundry: true,
        }
    }

    /// Hardhat's configuration is a program; its newest build says what came of it.
    fn hardhat(root: &Path) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct BuildInfo {
            #[serde(default)]
            solc_version: String,
            input: BuildInput,
        }
        #[derive(Deserialize)]
        struct BuildInput {
            settings: Map<String, Value>,
        }
        let files = fs::read_dir(root.join("artifacts/build-info")).ok()?.filter_map(Result::ok);
        let written = |it: &fs::DirEntry| it.metadata().and_then(|it| it.modified()).ok();
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(|it| std::cmp::Reverse(written(it)));
        let info = files
            .iter()
            .find_map(|it| serde_json::from_str::<BuildInfo>(&text::read(&it.path()).ok()?).ok())?;
        let mut settings = info.input.settings;
        let remappings = settings.remove("remappings").and_then(|it| serde_json::from_value(it).ok());
        let remappings: Vec<String> = remappings.unwrap_or_default();
        settings.remove("outputSelection");
        Some(Self {
            settings,
            remappings: remappings.iter().filter_map(|it| Remapping::parse(it)).collect(),
            folders: vec!["contracts".to_owned()],
            solc: Some(info.solc_version).filter(|it| !it.is_empty()),
            ..Self::default()
        })
    }

    /// The settings that an earlier build says it had.
    fn earlier(known: &[&Project]) -> Self {
        let mut settings = Map::new();
        let mut compilers = known.iter().flat_map(|it| &it.contracts).filter_map(|it| it.compiler.as_ref());
        let Some(compiler) = compilers.next() else {
            return Self {
                folders: vec!["contracts".to_owned(), "src".to_owned(), ".".to_owned()],
                ..Self::default()
            };
        };
        if let Some(enabled) = compiler.optimized {
            settings.insert("optimizer".to_owned(), json!({ "enabled": enabled, "runs": 200 }));
        }
        if compiler.via_ir {
            settings.insert("viaIR".to_owned(), json!(true));
        }
        if let Some(version) = &compiler.evm_version {
            settings.insert("evmVersion".to_owned(), json!(version));
        }
        let solc = Some(compiler.version.clone());
        Self {
            settings,
            folders: vec!["contracts".to_owned(), "src".to_owned(), ".".to_owned()],
            solc,
            ..Self::default()
        }
    }

    /// Every source of the project itself, where nothing was built yet.
    pub(super) fn sources(&self, root: &Path) -> BTreeSet<PathBuf> {
        let folders: &[String] = if self.folders.is_empty() { &[".".to_owned()] } else { &self.folders };
        let mut found = BTreeSet::new();
        for folder in folders {
            if found.is_empty() {
                let folder = if folder == "." { root.to_owned() } else { root.join(folder) };
                list(&folder, &self.libraries, 0, &mut found);
            }
        }
        found
    }

    /// The compilers to try, best first.
    pub(super) fn candidates(&self, root: &Path, preferred: Option<&Path>) -> Vec<Candidate> {
        let mut found = Vec::new();
        let mut add = |candidate| {
            if !found.contains(&candidate) {
                found.push(candidate);
            }
        };
        if let Some(path) = preferred {
            let path = root.join(path);
            add(if path.is_dir() { Candidate::Package(path) } else { Candidate::Program(path) });
        }
        if let Some(path) = self.solc.as_deref().and_then(|solc| configured(root, solc)) {
            add(Candidate::Program(path));
        }
        if self.is_foundry
            && let Some(forge) = program("forge", root)
        {
            add(Candidate::Forge(forge));
        }
        if let Some(solc) = on_path("solc") {
            add(Candidate::Program(solc));
        }
        let mut packages = root.ancestors().map(|folder| folder.join("node_modules/solc"));
        if let Some(package) = packages.find(|it| it.join("package.json").is_file())
            && on_path("node").is_some()
        {
            add(Candidate::Package(package));
        }
        found
    }
}

/// The compiler that a project names by its path, or by a version that some tool has installed.
fn configured(root: &Path, solc: &str) -> Option<PathBuf> {
    let path = root.join(solc);
    if path.is_file() {
        return Some(path);
    }
    let version = solc.trim_start_matches(['=', 'v']);
    let home = PathBuf::from(env::var_os("HOME")?);
    let data = env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
    let name = format!("solc-{version}");
    let foundry = [home.join(".svm"), data.join("svm")].map(|folder| folder.join(version).join(&name));
    let others = [
        home.join(".solc-select/artifacts").join(&name).join(&name),
        home.join(".solcx").join(format!("solc-v{version}")),
    ];
    let hardhat = fs::read_dir(home.join(".cache/hardhat-nodejs/compilers-v2/linux-amd64")).ok();
    let hardhat = hardhat.into_iter().flatten().filter_map(Result::ok).map(|it| it.path());
    let named = |path: &PathBuf| {
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        name.contains(&format!("-v{version}+")) && path.extension().is_none_or(|it| it != "json")
    };
    foundry.into_iter().chain(others).chain(hardhat.filter(named)).find(|path| path.is_file())
}

/// A program of the project's packages, else on the search path.
fn program(name: &str, root: &Path) -> Option<PathBuf> {
    let mut local = root.ancestors().map(|folder| folder.join("node_modules/.bin").join(name));
    local.find(|path| path.is_file()).or_else(|| on_path(name))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// The remappings of `remappings.txt`, and those that Foundry takes from the folders of dependencies.
fn remappings_of(root: &Path, libraries: &[String]) -> Vec<Remapping> {
    let text = text::read(&root.join("remappings.txt")).unwrap_or_default();
    let mut found: Vec<_> = text.lines().filter_map(Remapping::parse).collect();
    for library in libraries.iter().filter(|it| *it != "node_modules") {
        let entries = fs::read_dir(root.join(library)).into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<_> = entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        for name in names {
            let folder = root.join(library).join(&name);
            let inner = ["src", "contracts"].into_iter().find(|inner| folder.join(inner).is_dir());
            let target =
                inner.map_or_else(|| format!("{library}/{name}/"), |it| format!("{library}/{name}/{it}/"));
            found.push(Remapping { context: String::new(), prefix: format!("{name}/"), target });
        }
    }
    found
}

fn list(folder: &Path, libraries: &[String], depth: usize, found: &mut BTreeSet<PathBuf>) {
    const MAX_DEPTH: usize = 16;
    const OTHERS: [&str; 8] =
        ["test", "tests", "script", "scripts", "out", "artifacts", "cache", "node_modules"];
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            let foreign =
                libraries.contains(&name) || OTHERS.contains(&name.as_str()) || name.starts_with('.');
            if depth < MAX_DEPTH && !foreign {
                list(&path, libraries, depth + 1, found);
            }
        } else if path.extension().is_some_and(|it| it == "sol")
            && !name.ends_with(".t.sol")
            && !name.ends_with(".s.sol")
        {
            found.insert(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_says_how_to_compile() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path();
        let toml = "[profile.default]\nsrc = 'contracts'\noptimizer = true\noptimizer_runs = 7\nvia_ir = true\n\
                    evm_version = 'cancun'\nremappings = ['@x/=lib/x/src/', 'lib/old/:@x/=lib/x1/']\nsolc = './solc'\n";
        fs::write(root.join("foundry.toml"), toml).expect("a file can be written");
        fs::write(root.join("solc"), "").expect("a file can be written");
        fs::create_dir_all(root.join("lib/y/src")).expect("a folder can be made");
        fs::create_dir_all(root.join("contracts/lib")).expect("a folder can be made");
        fs::write(root.join("contracts/A.sol"), "").expect("a file can be written");
        fs::write(root.join("contracts/A.t.sol"), "").expect("a file can be written");
        let build = Build::read(root, &[]);
        assert_eq!(build.settings["optimizer"], json!({ "enabled": true, "runs": 7 }));
        assert_eq!(
            (&build.settings["viaIR"], &build.settings["evmVersion"]),
            (&json!(true), &json!("cancun"))
        );
        let remappings: Vec<String> = build.remappings.iter().map(ToString::to_string).collect();
        assert_eq!(remappings, ["@x/=lib/x/src/", "lib/old/:@x/=lib/x1/", "y/=lib/y/src/"]);
        assert_eq!(build.sources(root), BTreeSet::from([root.join("contracts/A.sol")]));
        assert_eq!(build.candidates(root, None)[0], Candidate::Program(root.join("./solc")));
    }
}
