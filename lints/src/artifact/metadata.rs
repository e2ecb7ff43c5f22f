//! solc's metadata: compiler, settings, and the hashes of the sources.
//!
//! In: the metadata as JSON, either as a text or as an object. Out: [`Metadata`].

use std::collections::BTreeMap;

use alloy_primitives::B256;
use serde::Deserialize;

use crate::unit::{Compiler, CompilerInfo};

/// What metadata says about a compilation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) compiler: Option<CompilerInfo>,
    /// The contract that the metadata belongs to: source and name.
    pub(crate) target: Option<(String, String)>,
    /// The hash of each source's text.
    pub(crate) hashes: BTreeMap<String, B256>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    compiler: Option<CompilerPart>,
    #[serde(default)]
    settings: Option<CompilerSettings>,
    #[serde(default)]
    sources: BTreeMap<String, SourcePart>,
}

#[derive(Deserialize)]
struct CompilerPart {
    version: String,
}

#[derive(Deserialize)]
struct SourcePart {
    #[serde(default)]
    keccak256: Option<B256>,
}

/// The settings that change the shape of code; standard-JSON input has the same.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CompilerSettings {
    #[serde(default)]
    compilation_target: BTreeMap<String, String>,
    #[serde(default, rename = "viaIR")]
    via_ir: Option<bool>,
    #[serde(default)]
    optimizer: Option<Optimizer>,
    #[serde(default)]
    evm_version: Option<String>,
}

#[derive(Deserialize)]
struct Optimizer {
    #[serde(default)]
    enabled: Option<bool>,
}

impl Metadata {
    /// Parses metadata that is a JSON object.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut settings = document.settings.unwrap_or_default();
        let target = std::mem::take(&mut settings.compilation_target).into_iter().next();
        let compiler = document.compiler.map(|it| compiler_version(Compiler::Solc, &it.version, settings));
        let hashes = document.sources.into_iter();
        let hashes = hashes.filter_map(|(name, source)| Some((name, source.keccak256?))).collect();
        Ok(Self { compiler, target, hashes })
    }
}

/// A compiler from the version it prints (`0.8.30+commit.73712a01`, `vyper-0.4.3`) and its settings.
pub(crate) fn compiler_version(
    compiler: Compiler,
    version: &str,
    settings: CompilerSettings,
) -> CompilerInfo {
    let version = version.trim_start_matches("vyper-").trim_start_matches('v');
    CompilerInfo {
        compiler,
        version: version.split('+').next().unwrap_or(version).to_owned(),
        via_ir: settings.via_ir.unwrap_or(false),
        optimized: settings.optimizer.and_then(|it| it.enabled),
        evm_version: settings.evm_version,
    }
}
