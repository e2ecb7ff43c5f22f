//! Build-info files: a compilation's input and output together.
//!
//! In: Hardhat 2's and Foundry's `{"input": …, "output": …}`, or Hardhat 3's pair of files. Out: a [`crate::artifact::Compilation`].

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::{
    Format,
    assembly::Assembly,
    document::Document,
    read_text,
    standard_json::{Context, StandardInput, StandardOutput, compilation},
};
use crate::{
    artifact::{CompilerSettings, compiler_version},
    error::Error,
    unit::{Compiler, CompilerInfo},
};

/// Input and output in one file.
pub(super) const FORMAT: Format =
    Format { accepts: |document| document.has_object("input") && document.has_object("output"), read };

/// Input or output alone, the other half in a file beside it.
pub(super) const SPLIT_FORMAT: Format = Format {
    accepts: |document| {
        document.text("_format").starts_with("hh3-sol-build-info")
            && (document.has_object("input") || document.has_object("output"))
    },
    read: read_split,
};

fn read(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    read_halves(document, document, assembly)
}

/// Reads a compilation whose input is in one document and whose output is in another.
pub(super) fn read_halves(
    input: &Document<'_>,
    output: &Document<'_>,
    assembly: &mut Assembly,
) -> Result<(), Error> {
    let standard_input: Option<StandardInput<'_>> = input.read("input")?;
    let standard_output: StandardOutput<'_> = output.read("output")?.ok_or_else(|| missing(output))?;
    let user_names: BTreeMap<String, String> = input.read("userSourceNameMap")?.unwrap_or_default();
    let context = Context {
        compiler: compiler(input)?,
        command: command(input).to_owned(),
        user_names: user_names.into_iter().map(|(user, compiled)| (compiled, user)).collect(),
        advice: "add `storageLayout` to the compiler's output selection",
    };
    let compilation = compilation(output, standard_output, standard_input, context, assembly)?;
    assembly.add(compilation)
}

fn read_split(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    let other = document.path.and_then(|path| {
        let name = path.file_name()?.to_str()?;
        let other = match name.strip_suffix(".output.json") {
            Some(stem) => format!("{stem}.json"),
            None => format!("{}.output.json", name.strip_suffix(".json")?),
        };
        Some(path.with_file_name(other))
    });
    let text = other.as_ref().and_then(|path| read_text(path).ok());
    let (Some(path), Some(text)) = (other, text) else {
        if document.has_object("output") {
            return read_halves(document, document, assembly);
        }
        return Err(missing(document));
    };
    let name = path.display().to_string();
    let other = Document::parse(&name, Some(&path), &text)?;
    if document.has_object("output") {
        read_halves(&other, document, assembly)
    } else {
        read_halves(document, &other, assembly)
    }
}

fn missing(document: &Document<'_>) -> Error {
    Error::WrongKind {
        name: document.name.to_owned(),
        what: "the input half of a build-info".to_owned(),
        advice: "its `.output.json` is missing: compile again with `npx hardhat compile --force`".to_owned(),
    }
}

fn command(document: &Document<'_>) -> &'static str {
    let format = document.text("_format");
    if format.starts_with("hh") {
        "npx hardhat compile"
    } else if format.starts_with("ethers") || document.has("source_id_to_path") {
        "forge build"
    } else {
        "solc --standard-json"
    }
}

/// The compiler, as the file around the output says; the settings are in the input.
pub(super) fn compiler(document: &Document<'_>) -> Result<Option<CompilerInfo>, Error> {
    #[derive(serde::Deserialize)]
    struct Input {
        #[serde(default)]
        version: Option<String>,
        #[serde(default)]
        language: Option<String>,
        #[serde(default)]
        settings: Option<CompilerSettings>,
    }
    let Some(input) = document.read::<Input>("input")? else { return Ok(None) };
    let long = document.text("solcLongVersion");
    let version = [long, document.text("solcVersion"), input.version.unwrap_or_default()];
    let Some(version) = version.into_iter().find(|version| !version.is_empty()) else { return Ok(None) };
    let compiler = if input.language.as_deref() == Some("Vyper") { Compiler::Vyper } else { Compiler::Solc };
    Ok(Some(compiler_version(compiler, &version, input.settings.unwrap_or_default())))
}

/// The files of a folder with build-infos, in order of their names.
pub(super) fn files_in(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    files
}
