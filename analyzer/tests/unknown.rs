//! What is not known in full is never said to be apart from anything.
//!
//! The summaries are those of compiled fixtures and of random programs, each of which is made to fall short in turn.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "oracle/random.rs"]
mod random;

use alloy_primitives::{Bytes, hex};
use deconflict_analyzer::{
    Alias, Analysis, ConflictKind, Incomplete, Options, Pc, Reason, Verdict, analyze, conflicts,
};
use revm::bytecode::opcode as op;
use serde_json::Value;
use std::path::{Path, PathBuf};

use random::Random;

/// The runtime codes of all fixtures.
fn codes() -> Vec<Bytes> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/idioms"), artifacts()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let mut entries: Vec<PathBuf> =
                std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
            entries.sort();
            open.extend(entries);
        } else if path.extension().is_some_and(|it| it == "json") {
            let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let cases = file["cases"].as_array().into_iter().flatten().map(|case| &case["runtime"]);
            let files = file["output"]["contracts"].as_object().into_iter().flatten();
            let contracts = files.flat_map(|(_, it)| it.as_object().into_iter().flatten());
            let objects = contracts.map(|(_, it)| &it["evm"]["deployedBytecode"]["object"]);
            let codes = cases.chain(objects).filter_map(|it| hex::decode(it.as_str()?).ok());
            found.extend(codes.filter(|code| !code.is_empty()).map(Bytes::from));
        }
    }
    found
}

fn artifacts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/artifacts")
}

/// Holds the matrix against what is known.
fn check(analysis: &Analysis) {
    for cell in conflicts(analysis) {
        let sides = [cell.a, cell.b].map(|side| &analysis.summaries[side]);
        let is_known = sides.iter().all(|side| side.is_complete());
        if is_known {
            assert_ne!(cell.verdict, Verdict::Unknown, "what is known is decided");
        } else {
            assert!(matches!(cell.verdict, Verdict::Unknown | Verdict::Always), "{:?}", cell.verdict);
            assert!(
                cell.causes.iter().all(|it| it.kind != ConflictKind::Mergeable),
                "who knows what else reads it"
            );
        }
        let certain = cell.causes.iter().any(|cause| cause.alias == Alias::Always);
        assert_eq!(certain, cell.verdict == Verdict::Always);
    }
}

/// Makes each entry fall short in turn.
fn cut(mut analysis: Analysis) {
    check(&analysis);
    for index in 0..analysis.summaries.len() {
        let summary = &mut analysis.summaries[index];
        if !summary.is_complete() {
            continue;
        }
        summary.incomplete.push(Incomplete { reason: Reason::StepBudget, pc: Pc(0) });
        check(&analysis);
        analysis.summaries[index].incomplete.clear();
    }
}

#[test]
fn no_fixture_is_apart_from_what_is_not_known() {
    let codes = codes();
    assert!(codes.len() > 200, "the fixtures are there: {}", codes.len());
    for code in codes {
        cut(analyze(code, &Options::default()));
    }
}

/// Functions of random stores and loads, some of which go on where nobody knows.
#[test]
fn no_random_function_is_apart_from_what_is_not_known() {
    let mut random = Random(11);
    for _ in 0..200 {
        let mut code = vec![op::PUSH0, op::CALLDATALOAD, op::PUSH1, 224, op::SHR];
        let functions = 1 + random.below(5);
        let mut places = Vec::new();
        for selector in 0..functions as u32 {
            code.extend_from_slice(&[op::DUP1, op::PUSH4]);
            code.extend_from_slice(&(selector + 1).to_be_bytes());
            code.extend_from_slice(&[op::EQ, op::PUSH2]);
            places.push(code.len());
            code.extend_from_slice(&[0, 0, op::JUMPI]);
        }
        code.extend_from_slice(&[op::PUSH0, op::PUSH0, op::REVERT]);
        let mut cut_functions = 0;
        for place in places {
            let label = (code.len() as u16).to_be_bytes();
            code[place..place + 2].copy_from_slice(&label);
            code.push(op::JUMPDEST);
            for _ in 0..random.below(3) {
                let slot = random.below(3) as u8;
                match random.below(3) {
                    0 => code.extend_from_slice(&[op::PUSH1, slot, op::SLOAD, op::POP]),
                    1 => code.extend_from_slice(&[op::PUSH1, 1, op::PUSH1, slot, op::SSTORE]),
                    _ => code.extend_from_slice(&[op::CALLER, op::PUSH1, 4, op::CALLDATALOAD, op::SSTORE]),
                }
            }
            if random.below(2) == 0 {
                cut_functions += 1;
                code.extend_from_slice(&[op::PUSH1, 4, op::CALLDATALOAD, op::JUMP]);
            } else {
                code.push(op::STOP);
            }
        }
        let analysis = analyze(code.into(), &Options::default());
        let open = analysis.summaries.iter().filter(|it| !it.is_complete()).count();
        assert_eq!(open, cut_functions);
        cut(analysis);
    }
}
