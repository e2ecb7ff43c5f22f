//! The compiler's input: standard JSON with every source in it.
//!
//! In: the sources to compile and how the project compiles. Out: the JSON. Syntax trees are asked for everywhere, since
//! declarations may be anywhere; code only for what has changed, since making it is what takes time.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{build::Build, imports::Imports};

/// Everything that a finding, a hover or a lens needs.
const OUTPUTS: [&str; 6] = [
    "abi",
    "evm.bytecode.object",
    "evm.deployedBytecode",
    "evm.methodIdentifiers",
    "storageLayout",
    "metadata",
];

/// Writes the input. A source that is imported and not there is left out: the compiler will say so.
pub(super) fn standard_json(
    root: &Path,
    build: &Build,
    imports: &mut Imports,
    targets: &BTreeSet<PathBuf>,
) -> String {
    let mut open: Vec<_> = targets.iter().map(|path| imports.unit(path)).collect();
    let mut selection = Map::new();
    selection.insert("*".to_owned(), json!({ "": ["ast"] }));
    for unit in &open {
        selection.insert(unit.name.clone(), json!({ "*": OUTPUTS, "": ["ast"] }));
    }
    let mut sources = Map::new();
    while let Some(unit) = open.pop() {
        if sources.contains_key(&unit.name) {
            continue;
        }
        let Some(text) = imports.text(&unit.path) else { continue };
        sources.insert(unit.name.clone(), json!({ "content": text }));
        open.extend(imports.of(&unit));
    }
    debug_assert!(root.is_absolute(), "names are relative to a folder that is known");
    let mut settings = build.settings.clone();
    settings.insert("outputSelection".to_owned(), Value::Object(selection));
    let remappings: Vec<String> = build.remappings.iter().map(ToString::to_string).collect();
    settings.insert("remappings".to_owned(), json!(remappings));
    json!({ "language": "Solidity", "sources": sources, "settings": settings }).to_string()
}
