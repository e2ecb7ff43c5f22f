//! The oracle: whatever an execution does is covered by the summary of its entry, or the summary says it is incomplete.
//!
//! revm executes real contracts and random programs with random input, and every claim of the summary that can be
//! evaluated for that input is compared with what happened. `DECONFLICT_SEED` and `DECONFLICT_CASES` choose other input
//! and more of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "oracle/check.rs"]
mod check;
#[path = "oracle/cross.rs"]
mod cross;
#[path = "oracle/evaluate.rs"]
mod evaluate;
#[path = "oracle/follow.rs"]
mod follow;
#[path = "oracle/known.rs"]
mod known;
#[path = "oracle/locate.rs"]
mod locate;
#[path = "oracle/program.rs"]
mod program;
#[path = "oracle/random.rs"]
mod random;
#[path = "oracle/reach.rs"]
mod reach;
#[path = "oracle/words.rs"]
mod words;
#[path = "oracle/world.rs"]
mod world;

use alloy_primitives::{Bytes, U256, hex};
use deconflict_analyzer::{Analysis, Entry, Immutable, Options, Selector, analyze};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use revm::bytecode::opcode as op;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use check::check;
use program::SELECTORS;
use random::Random;
use world::{CALLER, CONTRACT, Message, World, likely_word};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    setting("DECONFLICT_SEED", 20_261)
}

/// A runtime code with the words of its immutables.
struct Subject {
    name: String,
    code: Bytes,
    options: Options,
    immutables: BTreeMap<u32, U256>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn selectors(identifiers: &Value) -> Vec<Selector> {
    let identifiers = identifiers.as_object().into_iter().flatten();
    identifiers
        .map(|(_, selector)| Selector(hex::decode(selector.as_str().unwrap()).unwrap().try_into().unwrap()))
        .collect()
}

/// The cases of the idiom files.
fn idioms() -> Vec<Subject> {
    let mut paths = Vec::new();
    files(&fixtures().join("idioms"), &mut paths);
    let mut subjects = Vec::new();
    for path in paths {
        let file = read(&path);
        for case in file["cases"].as_array().into_iter().flatten() {
            let stem = path.file_stem().unwrap().to_string_lossy();
            let name = format!(
                "{stem} {} {}",
                case["compiler"].as_str().unwrap(),
                case["contract"].as_str().unwrap()
            );
            subjects.push(Subject {
                name,
                code: hex::decode(case["runtime"].as_str().unwrap()).unwrap().into(),
                options: Options { selectors: selectors(&case["method_identifiers"]), ..Options::default() },
                immutables: BTreeMap::new(),
            });
        }
    }
    subjects
}

/// The contracts of compiled artifacts, with words put in for their immutables.
fn artifacts(folder: &str) -> Vec<Subject> {
    let mut paths = Vec::new();
    files(&fixtures().join(folder), &mut paths);
    let mut subjects = Vec::new();
    for path in paths {
        let file = read(&path);
        for contracts in file["output"]["contracts"].as_object().into_iter().flatten() {
            for (name, contract) in contracts.1.as_object().into_iter().flatten() {
                let runtime = &contract["evm"]["deployedBytecode"];
                let Ok(mut code) = hex::decode(runtime["object"].as_str().unwrap_or_default()) else {
                    continue;
                };
                if code.is_empty() {
                    continue;
                }
                let mut options = Options {
                    selectors: selectors(&contract["evm"]["methodIdentifiers"]),
                    ..Options::default()
                };
                let mut immutables = BTreeMap::new();
                for (id, places) in runtime["immutableReferences"].as_object().into_iter().flatten() {
                    let id: u32 = id.parse().unwrap();
                    let word = if id.is_multiple_of(2) { CALLER.into_word() } else { CONTRACT.into_word() };
                    immutables.insert(id, word.into());
                    for place in places.as_array().unwrap() {
                        let offset = place["start"].as_u64().unwrap() as usize;
                        assert_eq!(place["length"], 32, "immutables are words");
                        code[offset..offset + 32].copy_from_slice(word.as_slice());
                        options.immutables.push(Immutable { id, offset: offset as u32, length: 32 });
                    }
                }
                let name = format!("{folder} {name}");
                subjects.push(Subject { name, code: code.into(), options, immutables });
            }
        }
    }
    subjects
}

/// Constants of the code, which its comparisons and keys are made of.
fn palette(analysis: &Analysis) -> Vec<U256> {
    let pushed =
        analysis.code.instructions.iter().filter(|found| (op::PUSH2..=op::PUSH32).contains(&found.opcode));
    let mut words: Vec<U256> = pushed.map(|found| found.immediate).collect();
    words.extend((0..6).map(U256::from));
    words.push(CONTRACT.into_word().into());
    words.sort_unstable();
    words.dedup();
    words
}

/// A message to the function: words, and at times the tail of a dynamic parameter that one of them points to.
fn message(random: &mut Random, selector: [u8; 4], palette: &[U256]) -> Message {
    let mut words: Vec<U256> = (0..random.below(7)).map(|_| likely_word(random, palette)).collect();
    // Most parameters are addresses, small numbers and flags: a wrong high byte makes the call revert at once.
    for word in &mut words {
        match random.below(4) {
            0 => *word &= U256::MAX >> 96,
            1 => *word &= U256::from(0xff),
            _ => {}
        }
    }
    if !words.is_empty() && random.below(3) == 0 {
        let pointer = random.below(words.len());
        words[pointer] = U256::from(32 * words.len());
        let length = random.below(4);
        words.push(U256::from([length, 32 * length, 5][random.below(3)]));
        words.extend((0..length).map(|_| likely_word(random, palette) & (U256::MAX >> 96)));
    }
    let mut calldata = selector.to_vec();
    calldata.extend(words.iter().flat_map(U256::to_be_bytes::<32>));
    if random.below(12) == 0 {
        let length = random.below(calldata.len() + 1);
        calldata.truncate(length);
    }
    let value = match random.below(8) {
        0 => U256::from(1),
        1 => U256::from(1000),
        _ => U256::ZERO,
    };
    Message { calldata, value }
}

/// What executing a contract showed.
#[derive(Default)]
struct Findings {
    refuted: BTreeSet<String>,
    /// Accesses of summaries, by instruction.
    predicted: usize,
    /// Those of them that some execution made.
    reached: usize,
}

/// Executes `cases` messages to each function of the contract.
fn examine(subject: &Subject, cases: u64) -> Findings {
    let analysis = analyze(subject.code.clone(), &subject.options);
    let palette = palette(&analysis);
    let mut entries: BTreeSet<[u8; 4]> =
        subject.options.selectors.iter().map(|selector| selector.0).collect();
    entries.extend(analysis.summaries.iter().filter_map(|summary| match summary.entry {
        Entry::Function(selector) => Some(selector.0),
        Entry::Receive | Entry::Fallback => None,
    }));
    entries.insert([0x12, 0x34, 0x56, 0x78]);
    let mut findings = Findings::default();
    let mut random = Random(seed());
    for selector in entries {
        let mut touched: BTreeSet<u32> = BTreeSet::new();
        for case in 0..cases {
            let world = World { code: subject.code.clone(), seed: random.bits(), palette: palette.clone() };
            let message = message(&mut random, selector, &palette);
            let trace = world.run(&message);
            if message.calldata.starts_with(&selector) {
                touched.extend(trace.touches.iter().map(|touch| touch.pc));
            }
            for line in check(&analysis, &world, &message, &trace, &subject.immutables).refuted {
                findings.refuted.insert(format!(
                    "{} 0x{}: {line} (seed {}, case {case}, calldata 0x{})",
                    subject.name,
                    hex::encode(selector),
                    seed(),
                    hex::encode(&message.calldata)
                ));
            }
        }
        let entry = Entry::Function(Selector(selector));
        for summary in analysis.summaries.iter().filter(|summary| summary.entry == entry) {
            let predicted: BTreeSet<u32> =
                summary.accesses.iter().map(|access| access.position.pc.0).collect();
            findings.predicted += predicted.len();
            findings.reached += predicted.intersection(&touched).count();
        }
    }
    findings
}

/// Examines the contracts; `least` is the percentage of predicted accesses that executions must reach, since an oracle
/// that reaches nothing proves nothing.
fn hold(subjects: &[Subject], least: usize) {
    let cases = setting("DECONFLICT_CASES", 100);
    let mut all = Findings::default();
    for subject in subjects {
        let findings = examine(subject, cases);
        all.refuted.extend(findings.refuted);
        all.predicted += findings.predicted;
        all.reached += findings.reached;
    }
    let lines: Vec<String> = all.refuted.into_iter().collect();
    assert!(lines.is_empty(), "{} claims refuted:\n{}", lines.len(), lines.join("\n"));
    let Findings { predicted, reached, .. } = all;
    assert!(100 * reached >= least * predicted, "only {reached} of {predicted} accesses were reached");
}

#[test]
fn idioms_are_covered() {
    hold(&idioms(), 90);
}

#[test]
fn legacy_artifacts_are_covered() {
    hold(&artifacts("artifacts"), 78);
}

#[test]
fn via_ir_artifacts_are_covered() {
    hold(&artifacts("via-ir"), 78);
}

#[test]
fn recursions_are_covered() {
    let subjects = artifacts("recursion");
    for subject in &subjects {
        let analysis = analyze(subject.code.clone(), &subject.options);
        let cut = analysis.summaries.iter().find(|summary| !summary.is_complete());
        assert!(cut.is_none(), "{}: {:?}", subject.name, cut.map(|summary| &summary.incomplete));
    }
    // Few random trees are deep, and few random lists are as long as each other.
    hold(&subjects, 60);
}

/// Programs whose summaries were once refuted, with what was wrong.
const ONCE_REFUTED: [(&str, &str); 8] = [
    (
        "a word that is read in two variants of one context has one value in each",
        "610004565b610015600435602435604435610017565b005b5f5d60043560243561001757610028565b5f515f5500",
    ),
    (
        "a returned word is put together from the bytes of memory",
        "610004565b610015600435602435604435610017565b005b6020535f5260405ff35b5f515f5500",
    ),
    (
        "storing what an earlier store left does not restore the slot",
        "5f3560e01c8063010203041461002557610014565b610036600435602435604435610038565b610036600435602435604435610064565b005b61003d565b01015f1660043560243561004c565b6001555f5d6001540160015560043560243560443592565b5f515f5500",
    ),
    (
        "a precompile takes what it is sent, so that the balance is another one",
        "475f5f5f5f600160025af15047146017576001600155005b60015f5500",
    ),
    (
        "a call that cannot pay what it sends copies nothing",
        "5f355f526020602060205f5f1960045af15060016020515500",
    ),
    ("a call without gas copies nothing", "5f355f526020602060205f5f60045ff15060016020515500"),
    (
        "a call with any gas at all may copy nothing",
        "5f355f526020602060205f5f600460203560ff16f15060016020515500",
    ),
    (
        "bits that are kept inside a changed byte are part of what is stored",
        "610004565b610015600435602435604435610017565b005b600254600116600255600190038061002e5761002e565b5f515f5500",
    ),
];

/// Programs whose summaries are still refuted: defects that are known and not mended yet.
const STILL_REFUTED: [(&str, &str); 1] = [(
    "calls with different selectors are different calls",
    "610004565b610015600435602435604435610017565b005b6044355f600060405f5f5f855af1505061006357610030565b610035565b600160011661004857610043565b610048565b60805360006040602060805f855af160043561001757610063565b610068565b5f515f5500",
)];

/// What executing the program with many messages refutes.
fn refuted(claim: &str, code: &str) -> BTreeSet<String> {
    let subject = Subject {
        name: claim.to_owned(),
        code: hex::decode(code).unwrap().into(),
        options: Options::default(),
        immutables: BTreeMap::new(),
    };
    examine(&subject, 500).refuted
}

#[test]
fn programs_that_were_refuted_are_covered() {
    for (claim, code) in ONCE_REFUTED {
        let lines: Vec<String> = refuted(claim, code).into_iter().take(5).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }
}

#[test]
fn known_defects_are_still_there() {
    for (claim, code) in STILL_REFUTED {
        assert!(!refuted(claim, code).is_empty(), "mended, and belongs to ONCE_REFUTED: {claim}");
    }
}

#[test]
fn random_programs_are_covered() {
    let cases = setting("DECONFLICT_CASES", 100) as u32 * 10;
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let compared = std::cell::Cell::new(0usize);
    let result = TestRunner::new(config).run(&program::program(), |program| {
        let code = Bytes::from(program.code());
        let analysis = analyze(code.clone(), &Options::default());
        let palette = palette(&analysis);
        let mut random = Random(seed());
        for _ in 0..8 {
            let world = World { code: code.clone(), seed: random.bits(), palette: palette.clone() };
            let selector = match random.below(3) {
                0 => random.bits() as u32,
                chosen => SELECTORS[chosen - 1],
            };
            let message = message(&mut random, selector.to_be_bytes(), &palette);
            let trace = world.run(&message);
            let verdict = check(&analysis, &world, &message, &trace, &BTreeMap::new());
            compared.set(compared.get() + verdict.compared);
            if !verdict.refuted.is_empty() {
                return Err(TestCaseError::fail(format!(
                    "seed {}\ncode {}\ncalldata 0x{} value {} world {}\n{}",
                    seed(),
                    hex::encode(&code),
                    hex::encode(&message.calldata),
                    message.value,
                    world.seed,
                    verdict.refuted.join("\n")
                )));
            }
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    assert!(compared.get() >= cases as usize, "only {} accesses were compared", compared.get());
}
