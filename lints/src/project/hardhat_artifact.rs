//! Hardhat artifacts, and those of packages that publish the same form: the bytecodes are texts.
//!
//! In: one artifact, with the build-info that it names. Out: a [`Compilation`] of that contract. The artifact decides
//! which build-info counts: older ones stay behind in the same folder.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::value::RawValue;

use super::{Format, assembly::Assembly, document::Document, read_text};
use crate::{
    artifact::{Compilation, RawCode, RawContract, RawMap, immutables, links},
    error::Error,
    unit::Notice,
};

/// One artifact.
pub(super) const FORMAT: Format = Format {
    accepts: |document| {
        document.has("abi") && (document.has_text("bytecode") || document.has_text("deployedBytecode"))
    },
    read,
};

fn read(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    let mut compilation = Compilation {
        name: document.name.to_owned(),
        command: "npx hardhat compile".to_owned(),
        ..Compilation::default()
    };
    let source_path = document.text("sourceName");
    compilation.contracts.push(read_contract(document, &source_path, assembly));
    if let Some(path) = build_info_of(document) {
        return read_with_build(compilation, document, &path, assembly);
    }
    assembly.add(compilation)
}

/// Reads the contract from the build-info, and the artifact beside it for what that lacks.
fn read_with_build(
    compilation: Compilation<'_>,
    document: &Document<'_>,
    path: &Path,
    assembly: &mut Assembly,
) -> Result<(), Error> {
    let text = read_text(path)?;
    let name = path.display().to_string();
    let build = Document::parse(&name, Some(path), &text)?;
    let wanted = (document.text("sourceName"), document.text("contractName"));
    let mut only =
        Assembly::new(super::SourceStore::new(assembly.store.root.clone(), assembly.store.folders.clone()));
    only.store.search.clone_from(&assembly.store.search);
    super::read_document(&build, &mut only)?;
    only.add(compilation)?;
    assembly.take(only.finish(), |contract| (contract.source_path == wanted.0) && contract.name == wanted.1);
    Ok(())
}

fn read_contract<'a>(document: &Document<'a>, source_path: &str, assembly: &mut Assembly) -> RawContract<'a> {
    let mut problem = |part: &str, message: String| {
        let (artifact, part) = (document.name.to_owned(), part.to_owned());
        assembly.notice(Notice::Malformed { artifact, part, message });
    };
    let raw = |key: &str| document.keys.get(key).copied().filter(|raw: &&RawValue| raw.get() != "null");
    let mut code = |key: &str, link_key: &str, map_key: &str| {
        document.has_text(key).then(|| RawCode {
            object: document.text(key).into(),
            source_map: document
                .has_text(map_key)
                .then(|| RawMap::Instructions(document.text(map_key).into())),
            links: raw(link_key).map(|raw| links(raw, &mut problem)).unwrap_or_default(),
            ..RawCode::default()
        })
    };
    let creation = code("bytecode", "linkReferences", "sourceMap");
    let mut runtime = code("deployedBytecode", "deployedLinkReferences", "deployedSourceMap");
    if let (Some(runtime), Some(raw)) = (&mut runtime, raw("immutableReferences")) {
        runtime.immutables = immutables(raw, &mut problem);
    }
    let name = document.text("contractName");
    RawContract {
        name: if name.is_empty() { super::raw::contract_name(document.name) } else { name },
        source_path: source_path.to_owned(),
        artifact: document.path.map(Path::to_path_buf),
        abi: raw("abi").map(|raw| Cow::Borrowed(raw.get())),
        creation,
        runtime,
        method_identifiers: BTreeMap::new(),
        advice: "keep `artifacts/build-info` beside the artifacts",
        ..RawContract::default()
    }
}

/// The build-info that an artifact belongs to: Hardhat 2 names it in a file beside the artifact, Hardhat 3 inside it.
pub(super) fn build_info_of(document: &Document<'_>) -> Option<PathBuf> {
    let path = fs::canonicalize(document.path?).ok()?;
    let id = document.text("buildInfoId");
    if !id.is_empty() {
        let folder =
            path.ancestors().skip(1).take(16).map(|it| it.join("build-info")).find(|it| it.is_dir())?;
        return Some(folder.join(format!("{id}.json"))).filter(|it| it.is_file());
    }
    let debug = read_text(&path.with_extension("dbg.json")).ok()?;
    let debug: serde_json::Value = serde_json::from_str(&debug).ok()?;
    Some(path.parent()?.join(debug.get("buildInfo")?.as_str()?)).filter(|it| it.is_file())
}
