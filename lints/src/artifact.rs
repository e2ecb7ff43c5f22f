//! What every input format comes down to before it becomes a [`crate::Project`].
//!
//! In: pieces of JSON that a format found, still borrowed from the file. Out: a [`Compilation`]: one run of a compiler
//! with its files and contracts. Pieces that are read only later stay text, so that one malformed piece costs that piece
//! and not the file.

mod bytecode;
mod creation;
mod syntax;
mod declared_layout;
mod kind;
mod metadata;
mod vyper;

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use alloy_primitives::B256;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use bytecode::{DecodedCode, HexError, decode_code, decode_hex, is_hex_text};
pub(crate) use creation::{Created, created};
pub(crate) use declared_layout::declared_layout;
pub(crate) use kind::{definition_in_text, is_library_code};
pub(crate) use metadata::{CompilerSettings, Metadata, compiler_version};
pub(crate) use syntax::{Declared, SyntaxTrees, parse_selector};
pub(crate) use vyper::{Characters, VyperModule, place_span, vyper_positions, with_vyper_immutables};

use crate::unit::{CompilerInfo, GeneratedSource, ImmutablePlace};

/// One run of a compiler.
#[derive(Default)]
pub(crate) struct Compilation<'a> {
    /// The input's name, for messages.
    pub(crate) name: String,
    /// What it was compiled with.
    pub(crate) compiler: Option<CompilerInfo>,
    /// The sources' names by the compiler's file index.
    pub(crate) files: BTreeMap<u32, String>,
    /// The texts that were compiled, where the build keeps them.
    pub(crate) texts: BTreeMap<String, Cow<'a, str>>,
    /// The hashes of the texts that were compiled, where the build keeps those.
    pub(crate) hashes: BTreeMap<String, B256>,
    /// The project's paths of sources that the compiler knew by another name.
    pub(crate) user_names: BTreeMap<String, String>,
    /// The syntax trees.
    pub(crate) syntax: BTreeMap<String, &'a RawValue>,
    /// The contracts.
    pub(crate) contracts: Vec<RawContract<'a>>,
    /// The command that compiles it again.
    pub(crate) command: String,
}

/// One contract's outputs.
#[derive(Default)]
pub(crate) struct RawContract<'a> {
    /// Its name.
    pub(crate) name: String,
    /// The source as the compiler names it.
    pub(crate) source_path: String,
    /// The file it was read from.
    pub(crate) artifact: Option<PathBuf>,
    /// The interface as JSON.
    pub(crate) abi: Option<Cow<'a, str>>,
    /// The creation code.
    pub(crate) creation: Option<RawCode<'a>>,
    /// The runtime code; `None` where the build has no bytecode at all.
    pub(crate) runtime: Option<RawCode<'a>>,
    /// Selectors as hex by signature.
    pub(crate) method_identifiers: BTreeMap<String, String>,
    /// solc's storage layout.
    pub(crate) storage_layout: Option<Cow<'a, str>>,
    /// solc's transient storage layout.
    pub(crate) transient_layout: Option<Cow<'a, str>>,
    /// Vyper's layout.
    pub(crate) vyper_layout: Option<&'a RawValue>,
    /// solc's metadata.
    pub(crate) metadata: Option<Metadata>,
    /// What to do to get what this artifact lacks.
    pub(crate) advice: &'static str,
}

/// Code as the compiler writes it.
#[derive(Clone, Default)]
pub(crate) struct RawCode<'a> {
    /// Hex, with placeholders for libraries.
    pub(crate) object: Cow<'a, str>,
    /// The source map.
    pub(crate) source_map: Option<RawMap<'a>>,
    /// Names of the libraries to be linked, by byte offset.
    pub(crate) links: BTreeMap<u32, String>,
    /// Where immutables stand.
    pub(crate) immutables: Vec<ImmutablePlace>,
    /// What the compiler added to the sources.
    pub(crate) generated: Vec<GeneratedSource>,
}

/// A source map as the compiler writes it.
#[derive(Clone)]
pub(crate) enum RawMap<'a> {
    /// solc's compressed map.
    Instructions(Cow<'a, str>),
    /// Vyper's object.
    Positions(&'a RawValue),
}

/// `evm.bytecode` and `evm.deployedBytecode` of standard JSON; Foundry's artifacts have the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CodeOutput<'a> {
    #[serde(default)]
    object: Option<String>,
    #[serde(borrow, default)]
    source_map: Option<&'a RawValue>,
    #[serde(borrow, default)]
    link_references: Option<&'a RawValue>,
    #[serde(borrow, default)]
    immutable_references: Option<&'a RawValue>,
    #[serde(borrow, default)]
    generated_sources: Option<&'a RawValue>,
}

/// `{file: {library: [{start, length}]}}`.
type LinkReferences = BTreeMap<String, BTreeMap<String, Vec<Stretch>>>;
/// `{id: [{start, length}]}`.
type ImmutableReferences = BTreeMap<String, Vec<Stretch>>;

#[derive(Deserialize)]
struct Stretch {
    start: u32,
    length: u32,
}

#[derive(Deserialize)]
struct GeneratedOutput {
    id: u32,
    name: String,
    contents: String,
}

impl<'a> CodeOutput<'a> {
    /// The code, with what is malformed left out and reported to `problem`; `None` where there is no bytecode output.
    pub(crate) fn into_code(self, problem: &mut dyn FnMut(&str, String)) -> Option<RawCode<'a>> {
        let mut code = RawCode { object: Cow::Owned(self.object?), ..RawCode::default() };
        if let Some(raw) = self.source_map {
            code.source_map = match raw.get().as_bytes().first() {
                Some(b'"') => {
                    parse_part(raw, "sourceMap", problem).map(|it: String| RawMap::Instructions(it.into()))
                }
                Some(b'{') => Some(RawMap::Positions(raw)),
                _ => None,
            };
        }
        if let Some(raw) = self.link_references {
            code.links = parse_part(raw, "linkReferences", problem).map(link_offsets).unwrap_or_default();
        }
        if let Some(raw) = self.immutable_references {
            code.immutables =
                parse_part(raw, "immutableReferences", problem).map(immutable_places).unwrap_or_default();
        }
        if let Some(raw) = self.generated_sources {
            let sources: Vec<GeneratedOutput> =
                parse_part(raw, "generatedSources", problem).unwrap_or_default();
            code.generated = sources.into_iter().map(GeneratedOutput::into_source).collect();
        }
        Some(code)
    }
}

impl GeneratedOutput {
    fn into_source(self) -> GeneratedSource {
        GeneratedSource { id: self.id, name: self.name, text: self.contents.into() }
    }
}

/// Reads `[{id, name, contents}]`.
pub(crate) fn generated_sources(
    raw: &RawValue,
    problem: &mut dyn FnMut(&str, String),
) -> Vec<GeneratedSource> {
    let sources: Vec<GeneratedOutput> = parse_part(raw, "generatedSources", problem).unwrap_or_default();
    sources.into_iter().map(GeneratedOutput::into_source).collect()
}

/// Reads link references in the form that artifacts of every tool share.
pub(crate) fn links(raw: &RawValue, problem: &mut dyn FnMut(&str, String)) -> BTreeMap<u32, String> {
    parse_part(raw, "linkReferences", problem).map(link_offsets).unwrap_or_default()
}

/// Reads immutable references.
pub(crate) fn immutables(raw: &RawValue, problem: &mut dyn FnMut(&str, String)) -> Vec<ImmutablePlace> {
    parse_part(raw, "immutableReferences", problem).map(immutable_places).unwrap_or_default()
}

fn link_offsets(references: LinkReferences) -> BTreeMap<u32, String> {
    let mut offsets = BTreeMap::new();
    for (file, libraries) in references {
        for (library, places) in libraries {
            let name = if file.is_empty() { library } else { format!("{file}:{library}") };
            offsets.extend(places.iter().map(|place| (place.start, name.clone())));
        }
    }
    offsets
}

fn immutable_places(references: ImmutableReferences) -> Vec<ImmutablePlace> {
    let places = references.into_values().enumerate().flat_map(|(id, places)| {
        let range = |it: Stretch| it.start..it.start.saturating_add(it.length);
        places.into_iter().map(move |place| ImmutablePlace { id: id as u32, range: range(place) })
    });
    let mut places: Vec<_> = places.collect();
    places.sort_by_key(|place| place.range.start);
    places
}

/// Parses one piece; one that does not parse, or is `null`, is reported and left out.
pub(crate) fn parse_part<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    part: &str,
    problem: &mut dyn FnMut(&str, String),
) -> Option<T> {
    if raw.get() == "null" {
        return None;
    }
    match serde_json::from_str(raw.get()) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            problem(part, error.to_string());
            None
        }
    }
}
