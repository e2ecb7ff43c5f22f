//! `solc --combined-json` and `vyper -f combined_json`.
//!
//! In: the output. Out: a [`Compilation`]. Parts are objects in new compilers and texts with JSON in them in old ones.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, assembly::Assembly, document::Document, standard_json::read_metadata};
use crate::{
    artifact::{
        Compilation, CompilerSettings, RawCode, RawContract, RawMap, compiler_version, generated_sources,
        parse_part,
    },
    error::Error,
    unit::{Compiler, Notice},
};

/// solc's: contracts by `file:Name`.
pub(super) const FORMAT: Format = Format { accepts: |document| document.has_object("contracts"), read };

/// Vyper's: contracts by file, beside the version.
pub(super) const VYPER_FORMAT: Format =
    Format { accepts: |document| !modules(document).is_empty(), read: read_vyper };

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ContractOutput<'a> {
    #[serde(borrow, default)]
    abi: Option<&'a RawValue>,
    #[serde(default)]
    bin: Option<String>,
    #[serde(default)]
    bin_runtime: Option<String>,
    #[serde(default)]
    srcmap_runtime: Option<String>,
    #[serde(default)]
    hashes: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    storage_layout: Option<&'a RawValue>,
    #[serde(borrow, default)]
    transient_storage_layout: Option<&'a RawValue>,
    #[serde(borrow, default)]
    generated_sources_runtime: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SourceOutput<'a> {
    #[serde(borrow, default, rename = "AST")]
    ast: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct VyperOutput<'a> {
    #[serde(borrow, default)]
    abi: Option<&'a RawValue>,
    #[serde(default)]
    bytecode: Option<String>,
    bytecode_runtime: String,
    #[serde(borrow, default)]
    layout: Option<&'a RawValue>,
    #[serde(default)]
    method_identifiers: Option<BTreeMap<String, String>>,
    #[serde(borrow, default)]
    source_map_runtime: Option<&'a RawValue>,
}

fn read(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    let contracts: BTreeMap<String, ContractOutput<'_>> = document.read("contracts")?.unwrap_or_default();
    let names: Vec<String> = document.read("sourceList")?.unwrap_or_default();
    let sources: BTreeMap<String, SourceOutput<'_>> = document.read("sources")?.unwrap_or_default();
    let mut compilation = Compilation {
        name: document.name.to_owned(),
        compiler: Some(compiler_version(
            Compiler::Solc,
            &document.text("version"),
            CompilerSettings::default(),
        )),
        files: (0..).zip(names).collect(),
        syntax: sources.into_iter().filter_map(|(name, source)| Some((name, source.ast?))).collect(),
        command: "solc --combined-json abi,bin,bin-runtime,srcmap-runtime,storage-layout,ast".to_owned(),
        ..Compilation::default()
    };
    for (qualified, contract) in contracts {
        let mut problem = |part: &str, message: String| {
            let (artifact, part) = (document.name.to_owned(), format!("{part} of {qualified}"));
            assembly.notice(Notice::Malformed { artifact, part, message });
        };
        let (source_path, name) = qualified.rsplit_once(':').unwrap_or(("", &qualified));
        let runtime = contract.bin_runtime.map(|object| RawCode {
            object: object.into(),
            source_map: contract.srcmap_runtime.map(|map| RawMap::Instructions(map.into())),
            generated: contract
                .generated_sources_runtime
                .map(|raw| generated_sources(raw, &mut problem))
                .unwrap_or_default(),
            ..RawCode::default()
        });
        compilation.contracts.push(RawContract {
            name: name.to_owned(),
            source_path: source_path.to_owned(),
            artifact: document.path.map(Path::to_path_buf),
            abi: json_text(contract.abi, "abi", &mut problem),
            creation: contract.bin.map(|object| RawCode { object: object.into(), ..RawCode::default() }),
            runtime,
            method_identifiers: contract.hashes.unwrap_or_default(),
            storage_layout: json_text(contract.storage_layout, "storage-layout", &mut problem),
            transient_layout: json_text(
                contract.transient_storage_layout,
                "transient-storage-layout",
                &mut problem,
            ),
            metadata: contract.metadata.and_then(|raw| read_metadata(raw, &mut problem)),
            advice: "add `storage-layout` or `ast` to what `--combined-json` lists",
            ..RawContract::default()
        });
    }
    assembly.add(compilation)
}

fn read_vyper(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    let modules = modules(document);
    let mut compilation = Compilation {
        name: document.name.to_owned(),
        compiler: Some(compiler_version(
            Compiler::Vyper,
            &document.text("version"),
            CompilerSettings::default(),
        )),
        files: (0..).zip(modules.keys().map(|name| (*name).clone())).collect(),
        command: "vyper -f combined_json".to_owned(),
        ..Compilation::default()
    };
    for (name, raw) in modules {
        let output: VyperOutput<'_> = serde_json::from_str(raw.get()).map_err(|error| Error::Malformed {
            name: document.name.to_owned(),
            part: name.clone(),
            message: error.to_string(),
        })?;
        compilation.contracts.push(RawContract {
            name: super::assembly::stem(name),
            source_path: name.clone(),
            artifact: document.path.map(Path::to_path_buf),
            abi: output.abi.map(|raw| Cow::Borrowed(raw.get())),
            creation: output.bytecode.map(|object| RawCode { object: object.into(), ..RawCode::default() }),
            runtime: Some(RawCode {
                object: output.bytecode_runtime.into(),
                source_map: output.source_map_runtime.map(RawMap::Positions),
                ..RawCode::default()
            }),
            method_identifiers: output.method_identifiers.unwrap_or_default(),
            vyper_layout: output.layout,
            advice: "ask the compiler for `layout`",
            ..RawContract::default()
        });
    }
    assembly.add(compilation)
}

/// The entries that are a Vyper module's output.
fn modules<'d, 'a>(document: &'d Document<'a>) -> BTreeMap<&'d String, &'a RawValue> {
    let entries = document.keys.iter().filter(|(_, raw)| raw.get().contains("\"bytecode_runtime\""));
    entries.map(|(name, raw)| (name, *raw)).collect()
}

/// A part that is JSON, or a text with JSON in it.
fn json_text<'a>(
    raw: Option<&'a RawValue>,
    part: &str,
    problem: &mut dyn FnMut(&str, String),
) -> Option<Cow<'a, str>> {
    let raw = raw?;
    if raw.get().starts_with('"') {
        return parse_part::<String>(raw, part, problem).map(Cow::Owned);
    }
    (raw.get() != "null").then_some(Cow::Borrowed(raw.get()))
}
