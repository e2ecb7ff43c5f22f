//! Foundry artifacts: one file a contract, `out/<file>.sol/<Contract>.json`.
//!
//! In: artifacts, with the build-infos and the cache beside them. Out: one [`Compilation`] for each build that the
//! artifacts come from. File indices of source maps differ from build to build, so an artifact is never read with the
//! index of another build.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Format,
    assembly::Assembly,
    build_info,
    document::Document,
    read_text,
    standard_json::{StandardInput, read_metadata},
    toolchain,
};
use crate::{
    artifact::{CodeOutput, Compilation, RawContract, parse_part},
    error::Error,
    unit::Notice,
};

/// One artifact: the bytecodes are objects.
pub(super) const FORMAT: Format = Format {
    accepts: |document| {
        let code = document.has_object("bytecode") || document.has_object("deployedBytecode");
        let lint = document.has("abi")
            && document.has("id")
            && !document.has("bytecode")
            && !document.has("_format");
        code || lint
    },
    read: read_one,
};

/// The one command that brings names, lines and the text as it is now, whatever was built before.
const ADVICE: &str = "compile with `forge build --force --build-info --ast --extra-output storageLayout`";

/// What a Foundry build left beside its artifacts.
#[derive(Default)]
pub(super) struct Surroundings {
    /// The artifacts' folder.
    pub(super) out: PathBuf,
    /// The folder with build-infos.
    pub(super) build_infos: PathBuf,
    /// The cache file.
    pub(super) cache: Option<PathBuf>,
}

/// A build-info, as far as artifacts need it.
struct Build<'a> {
    id: String,
    files: BTreeMap<u32, String>,
    input: Option<StandardInput<'a>>,
    compiler: Option<crate::unit::CompilerInfo>,
    outputs: Option<Outputs<'a>>,
}

#[derive(Deserialize)]
struct Outputs<'a> {
    #[serde(borrow, default)]
    contracts: BTreeMap<String, BTreeMap<String, Extra<'a>>>,
    #[serde(borrow, default)]
    sources: BTreeMap<String, OutputSource<'a>>,
}

#[derive(Deserialize)]
struct OutputSource<'a> {
    #[serde(borrow, default)]
    ast: Option<&'a RawValue>,
}

/// What the full output may have and the artifact not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extra<'a> {
    #[serde(borrow, default)]
    storage_layout: Option<&'a RawValue>,
    #[serde(borrow, default)]
    transient_storage_layout: Option<&'a RawValue>,
}

/// `cache/solidity-files-cache.json`, as far as it says which build an artifact is from.
#[derive(Deserialize)]
struct Cache {
    #[serde(default)]
    files: BTreeMap<String, CachedFile>,
}

#[derive(Deserialize)]
struct CachedFile {
    #[serde(default)]
    artifacts: BTreeMap<String, BTreeMap<String, BTreeMap<String, CachedArtifact>>>,
}

#[derive(Deserialize)]
struct CachedArtifact {
    path: PathBuf,
    build_id: String,
}

#[derive(Deserialize)]
struct Tree {
    #[serde(default, rename = "absolutePath")]
    absolute_path: Option<String>,
}

fn read_one(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    let Some(path) = document.path else { return read(&[document], &Surroundings::default(), assembly) };
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // `out/<file>.sol/<Contract>.json`, though a file of that name in a deeper folder lies deeper.
    let out = absolute.ancestors().skip(1).take(4).find(|folder| folder.join("build-info").is_dir());
    let out = out.or(absolute.parent()).unwrap_or(Path::new("")).to_owned();
    let cache =
        out.parent().map(|root| root.join("cache/solidity-files-cache.json")).filter(|it| it.is_file());
    let surroundings = Surroundings { build_infos: out.join("build-info"), out, cache };
    read(&[document], &surroundings, assembly)
}

/// Reads artifacts of one output folder.
pub(super) fn read(
    documents: &[&Document<'_>],
    surroundings: &Surroundings,
    assembly: &mut Assembly,
) -> Result<(), Error> {
    let mut texts = Vec::new();
    for path in build_info::files_in(&surroundings.build_infos) {
        match read_text(&path) {
            Ok(text) => texts.push((path, text)),
            Err(error) => assembly.notice(Notice::Unreadable { path, message: error.to_string() }),
        }
    }
    // The newest build first: where the cache does not say, an artifact is most likely of the last one that fits.
    texts.sort_by_key(|(path, _)| std::cmp::Reverse(super::source_store::modified(path)));
    let mut builds = Vec::new();
    for (path, text) in &texts {
        match read_build(path, text) {
            Ok(build) => builds.push(build),
            Err(error) => {
                assembly.notice(Notice::Unreadable { path: path.clone(), message: error.to_string() });
            }
        }
    }
    let build_of = surroundings.cache.as_deref().and_then(|path| read_cache(path, &surroundings.out));
    let build_of = build_of.unwrap_or_default();

    let mut groups: BTreeMap<usize, Vec<RawContract<'_>>> = BTreeMap::new();
    let mut trees: BTreeMap<usize, BTreeMap<String, &RawValue>> = BTreeMap::new();
    let mut indices: BTreeMap<u32, String> = BTreeMap::new();
    for document in documents {
        let artifact = read_artifact(document, assembly)?;
        let recorded = artifact.contract.artifact.as_deref().and_then(|path| {
            let path = fs::canonicalize(path).ok()?;
            let id = build_of.get(&path)?;
            builds.iter().position(|build| build.id == *id)
        });
        let fits = |build: &Build<'_>| {
            artifact.index.is_some_and(|index| match build.files.get(&index) {
                Some(file) if artifact.contract.source_path.is_empty() => {
                    document.path.is_some_and(|path| lies_below(path, file))
                }
                Some(file) => *file == artifact.contract.source_path,
                None => false,
            })
        };
        let group = recorded.or_else(|| builds.iter().position(fits)).unwrap_or(usize::MAX);
        let mut contract = artifact.contract;
        if let (true, Some(build), Some(index)) =
            (contract.source_path.is_empty(), builds.get(group), artifact.index)
        {
            contract.source_path = build.files.get(&index).cloned().unwrap_or_default();
        }
        if group == usize::MAX {
            indices.extend(artifact.index.map(|index| (index, contract.source_path.clone())));
        }
        if let Some(tree) = artifact.tree {
            trees.entry(group).or_default().insert(contract.source_path.clone(), tree);
        }
        groups.entry(group).or_default().push(contract);
    }
    for (group, contracts) in groups {
        let mut compilation = Compilation {
            name: surroundings.out.display().to_string(),
            command: toolchain::FORGE.command.to_owned(),
            contracts,
            syntax: trees.remove(&group).unwrap_or_default(),
            ..Compilation::default()
        };
        match builds.get_mut(group) {
            Some(build) => complete(&mut compilation, build),
            None => compilation.files.clone_from(&indices),
        }
        assembly.add(compilation)?;
    }
    Ok(())
}

/// Fills in what the build-info knows and the artifacts do not.
fn complete<'a>(compilation: &mut Compilation<'a>, build: &mut Build<'a>) {
    compilation.files = std::mem::take(&mut build.files);
    compilation.compiler = build.compiler.take();
    if let Some(input) = build.input.take() {
        let texts = input.sources.into_iter();
        compilation.texts = texts.filter_map(|(name, source)| Some((name, source.content?.0))).collect();
    }
    let Some(outputs) = build.outputs.take() else { return };
    for (name, source) in outputs.sources {
        if let Some(tree) = source.ast {
            compilation.syntax.entry(name).or_insert(tree);
        }
    }
    for contract in &mut compilation.contracts {
        let extra = outputs.contracts.get(&contract.source_path).and_then(|it| it.get(&contract.name));
        let text = |raw: Option<&'a RawValue>| raw.map(|raw| Cow::Borrowed(raw.get()));
        if let (None, Some(extra)) = (&contract.storage_layout, extra) {
            contract.storage_layout = text(extra.storage_layout);
            contract.transient_layout = text(extra.transient_storage_layout);
        }
    }
}

struct Artifact<'a> {
    contract: RawContract<'a>,
    index: Option<u32>,
    tree: Option<&'a RawValue>,
}

fn read_artifact<'a>(document: &Document<'a>, assembly: &mut Assembly) -> Result<Artifact<'a>, Error> {
    let mut problem = |part: &str, message: String| {
        let (artifact, part) = (document.name.to_owned(), part.to_owned());
        assembly.notice(Notice::Malformed { artifact, part, message });
    };
    let raw = |key: &str| document.keys.get(key).copied().filter(|raw| raw.get() != "null");
    let text = |key: &str| raw(key).map(|raw| Cow::Borrowed(raw.get()));
    let creation: Option<CodeOutput<'_>> = document.read("bytecode")?;
    let runtime: Option<CodeOutput<'_>> = document.read("deployedBytecode")?;
    let metadata = raw("rawMetadata").or_else(|| raw("metadata"));
    let metadata = metadata.and_then(|raw| read_metadata(raw, &mut problem));
    let tree = raw("ast");
    let target = metadata.as_ref().and_then(|it| it.target.clone());
    let tree_path = || parse_part::<Tree>(tree?, "ast", &mut |_, _| {})?.absolute_path;
    let (source_path, name) = match target {
        Some((path, name)) => (path, name),
        None => (tree_path().unwrap_or_default(), super::raw::contract_name(document.name)),
    };
    let contract = RawContract {
        // A contract compiled by two compilers has `<Name>.<version>.json`; the name is what metadata says.
        name,
        source_path,
        artifact: document.path.map(Path::to_path_buf),
        abi: text("abi"),
        creation: creation.and_then(|code| code.into_code(&mut problem)),
        runtime: runtime.and_then(|code| code.into_code(&mut problem)),
        method_identifiers: document.read("methodIdentifiers")?.unwrap_or_default(),
        storage_layout: text("storageLayout"),
        transient_layout: text("transientStorageLayout"),
        metadata,
        advice: ADVICE,
        ..RawContract::default()
    };
    Ok(Artifact { contract, index: document.read("id").ok().flatten(), tree })
}

fn read_build<'a>(path: &'a Path, text: &'a str) -> Result<Build<'a>, Error> {
    let document = Document::parse("build-info", Some(path), text)?;
    Ok(Build {
        id: document.text("id"),
        files: document.read("source_id_to_path")?.unwrap_or_default(),
        compiler: build_info::compiler(&document)?,
        input: document.read("input")?,
        outputs: document.read("output")?,
    })
}

/// The sources that the build has compiled, as its cache has them: relative to the project.
pub(super) fn compiled_files(cache: &Path) -> Option<Vec<String>> {
    let cache: Cache = serde_json::from_str(&read_text(cache).ok()?).ok()?;
    Some(cache.files.into_keys().collect())
}

/// The artifacts that the build counts among its own.
pub(super) fn current_artifacts(cache: &Path, out: &Path) -> Option<BTreeSet<PathBuf>> {
    Some(read_cache(cache, out)?.into_keys().collect())
}

fn read_cache(path: &Path, out: &Path) -> Option<BTreeMap<PathBuf, String>> {
    let cache: Cache = serde_json::from_str(&read_text(path).ok()?).ok()?;
    let files = cache.files.into_values();
    let artifacts = files.flat_map(|file| file.artifacts.into_values()).flat_map(BTreeMap::into_values);
    let recorded = artifacts.flat_map(BTreeMap::into_values).filter_map(|artifact| {
        let path = fs::canonicalize(out.join(&artifact.path)).ok()?;
        Some((path, artifact.build_id))
    });
    Some(recorded.collect())
}

/// Whether an artifact lies in the folder named after the source `file`.
fn lies_below(artifact: &Path, file: &str) -> bool {
    let folder = artifact.parent().and_then(Path::file_name);
    folder.is_some() && folder == Path::new(file).file_name()
}
