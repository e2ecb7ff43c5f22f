//! Creation code is told from runtime code: the compilers' own outputs and real codes as the measure.
//!
//! `DECONFLICT_CODES` names a file with one `["0x<hash>","0x<code>"]` a line, compressed by zstd, whose runtime codes are
//! tried as well.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::{Bytes, hex};
use deconflict_analyzer::{Deployment, deployed};
use serde_json::Value;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

/// Code as a compiler writes it, with zeros for libraries.
fn code(value: &Value) -> Bytes {
    let text = value["object"].as_str().unwrap_or_default();
    let mut digits = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("__") {
        digits.push_str(&rest[..at]);
        digits.push_str(&"0".repeat(40));
        rest = &rest[at + 40..];
    }
    digits.push_str(rest);
    hex::decode(digits).unwrap().into()
}

/// Name, creation code, runtime code, and the offsets and lengths of its immutables.
type Compiled = (String, Bytes, Bytes, Vec<(usize, usize)>);

/// Name, creation code, runtime code and where that has immutables, of every contract of the fixtures.
fn contracts() -> Vec<Compiled> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let mut found = Vec::new();
    for folder in ["artifacts", "via-ir"] {
        let mut paths = Vec::new();
        files(&fixtures.join(folder), &mut paths);
        paths.sort();
        for path in paths {
            let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            for contracts in document["output"]["contracts"].as_object().into_iter().flatten() {
                for (name, contract) in contracts.1.as_object().unwrap() {
                    let runtime = &contract["evm"]["deployedBytecode"];
                    let places = runtime["immutableReferences"].as_object().into_iter().flatten();
                    let places = places.flat_map(|(_, places)| places.as_array().unwrap().clone());
                    let number = |it: &Value| it.as_u64().unwrap() as usize;
                    let places = places.map(|it| (number(&it["start"]), number(&it["length"])));
                    let codes = (code(&contract["evm"]["bytecode"]), code(runtime));
                    if !codes.1.is_empty() {
                        let name = format!("{}: {name}", path.display());
                        found.push((name, codes.0, codes.1, places.collect()));
                    }
                }
            }
        }
    }
    assert!(found.len() > 200, "the fixtures are there");
    found
}

#[test]
fn runtime_code_is_never_taken_for_creation_code() {
    for (name, _, runtime, _) in contracts() {
        assert_eq!(deployed(&runtime), None, "{name}");
    }
    let Some(file) = std::env::var_os("DECONFLICT_CODES") else { return };
    let text = zstd::decode_all(fs::File::open(file).unwrap()).unwrap();
    let (mut tried, mut taken) = (0, Vec::new());
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (hash, code): (String, String) = serde_json::from_slice(line).unwrap();
        let code = Bytes::from(hex::decode(code).unwrap());
        tried += 1;
        if let Some(found) = deployed(&code) {
            taken.push((hash, found));
        }
    }
    assert!(taken.is_empty(), "{} of {tried} runtime codes: {taken:?}", taken.len());
    assert!(tried > 1_000, "only {tried} codes");
}

#[test]
fn every_creation_code_deploys_the_runtime_code() {
    for (name, creation, runtime, immutables) in contracts() {
        if creation.is_empty() {
            continue;
        }
        let Some(Deployment::Runtime(found)) = deployed(&creation) else {
            panic!("{name}: it deploys something")
        };
        assert_eq!(found.code.len(), runtime.len(), "{name}");
        // What the compiler leaves open is open here, or a constant that every deployment writes.
        let is_open =
            |at: usize| immutables.iter().any(|(start, length)| (*start..start + length).contains(&at));
        let is_unknown = |at: usize| found.unknown.iter().any(|it| it.range.contains(&(at as u32)));
        // A library's own address stands behind its first instruction.
        let is_library = runtime.starts_with(&[0x73]) && runtime[1..21].iter().all(|byte| *byte == 0);
        for at in 0..runtime.len() {
            let may_differ = is_open(at) || (is_library && (1..21).contains(&at));
            assert!(may_differ || !is_unknown(at), "{name}: byte {at} is the compiler's");
            assert!(may_differ || found.code[at] == runtime[at], "{name}: byte {at}");
        }
        // The same with arguments behind it, as in a transaction that deploys: those that the constructor accepts.
        let deploys = |word: u8| {
            let argument = [&[0; 31][..], &[word]].concat();
            let code: Bytes = [&creation[..], &argument.repeat(8)].concat().into();
            matches!(deployed(&code), Some(Deployment::Runtime(it)) if it.code.len() == runtime.len())
        };
        assert!([0, 1, 32].into_iter().any(deploys), "{name} with arguments");
    }
}
