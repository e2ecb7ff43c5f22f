//! Exactness: what the analyzer finds in every case of `fixtures/idioms` is what its author wrote down by hand.
//!
//! A location that is missing is unsound, one too many is imprecise; both fail, unless `idioms/gaps.rs` lists just that
//! failure, and a listed failure that no longer happens fails as well.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "idioms/gaps.rs"]
mod gaps;
#[path = "idioms/text.rs"]
mod text;

use alloy_primitives::{U256, hex};
use deconflict_analyzer::{
    Access, Analysis, CallKind, Effect, Entry, Node, Options, Selector, Summary, WriteForm, analyze,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use gaps::known_gaps;
use text::{Text, canonical};

/// Bytes of a word, as a set of bits.
type Bytes = u32;

fn bytes(from: u8, to: u8) -> Bytes {
    (from..to).fold(0, |set, byte| set | 1 << byte)
}

/// Splits `slot 0{0..20}` into the location and its bytes.
fn expected_location(text: &str) -> (String, Bytes) {
    let text = canonical(text);
    let Some((location, range)) = text.split_once('{') else { return (text, Bytes::MAX) };
    let range = range.trim_end_matches('}');
    // A byte range that depends on the input is the whole word to a summary.
    if range == "?" {
        return (location.to_owned(), Bytes::MAX);
    }
    let (from, to) = range.split_once("..").unwrap();
    (location.to_owned(), bytes(from.parse().unwrap(), to.parse().unwrap()))
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|entry| entry.as_str().unwrap()).collect()
}

fn locations(list: &Value) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    for entry in strings(list) {
        let (location, bytes) = expected_location(entry);
        *found.entry(location).or_insert(0) |= bytes;
    }
    found
}

fn ranges(bytes: Bytes) -> String {
    if bytes == Bytes::MAX {
        return String::new();
    }
    let mut text = Vec::new();
    let mut byte = 0;
    while byte < 32 {
        if bytes & 1 << byte == 0 {
            byte += 1;
            continue;
        }
        let from = byte;
        while byte < 32 && bytes & 1 << byte != 0 {
            byte += 1;
        }
        text.push(format!("{{{from}..{byte}}}"));
    }
    text.concat()
}

/// Whether the loaded word only keeps the bytes that a store to the slot leaves alone.
fn is_carrier(analysis: &Analysis, summary: &Summary, read: &Access) -> bool {
    let Effect::Read { value, escapes } = read.effect else { return false };
    // Of a word that is no load the summary does not say where it goes.
    escapes.0 == 0
        && matches!(analysis.expressions.node(value), Node::Load { .. })
        && summary.accesses.iter().any(|access| {
            matches!(access.effect, Effect::Write { .. }) && access.expression == read.expression
        })
}

/// The location with every constant index of an array in it replaced by `*`.
fn any_element(location: &str) -> String {
    let mut text = location.to_owned();
    let mut from = 0;
    while let Some(open) = text[from..].find(")[") {
        let start = from + open + 2;
        let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && text[start + digits..].starts_with(']') {
            text.replace_range(start..start + digits, "*");
        }
        from = start;
    }
    text
}

fn compare(
    kind: &str,
    expected: &BTreeMap<String, Bytes>,
    found: &BTreeMap<String, Bytes>,
    ignore_bytes: bool,
    failures: &mut Vec<String>,
) {
    for (location, wanted) in expected {
        let missing = match found.get(location) {
            None => *wanted,
            Some(_) if ignore_bytes => 0,
            Some(bytes) => wanted & !bytes,
        };
        if missing != 0 {
            failures.push(format!("missing {kind} {location}{}", ranges(missing)));
        }
    }
    for (location, bytes) in found {
        // The first turns of a loop, kept apart, are some of its elements.
        if expected.contains_key(&any_element(location)) && found.contains_key(&any_element(location)) {
            continue;
        }
        let extra = match expected.get(location) {
            None => *bytes,
            Some(_) if ignore_bytes => 0,
            Some(wanted) => bytes & !wanted,
        };
        if extra != 0 {
            failures.push(format!("extra {kind} {location}{}", ranges(extra)));
        }
    }
}

fn compare_sets(kind: &str, expected: &[&str], found: &BTreeSet<String>, failures: &mut Vec<String>) {
    let expected: BTreeSet<String> = expected.iter().map(|entry| canonical(entry)).collect();
    failures.extend(expected.difference(found).map(|entry| format!("missing {kind} {entry}")));
    failures.extend(found.difference(&expected).map(|entry| format!("extra {kind} {entry}")));
}

/// Everything that the summary of one function gets wrong.
fn failures(analysis: &Analysis, summary: &Summary, expected: &Value, ignore_bytes: bool) -> Vec<String> {
    let mut failures = Vec::new();
    let complete = expected["complete"].as_bool().unwrap();
    if complete != summary.is_complete() {
        failures.push(format!("complete is {}: {:?}", summary.is_complete(), summary.incomplete));
    }
    if !complete {
        return failures;
    }
    let text = Text::new(&analysis.expressions, summary);
    let (mut reads, mut writes) = (BTreeMap::new(), BTreeMap::new());
    let mut forms: BTreeMap<String, Vec<&WriteForm>> = BTreeMap::new();
    for access in &summary.accesses {
        let location = text.access(access);
        match &access.effect {
            Effect::Read { .. } if is_carrier(analysis, summary, access) => {}
            Effect::Read { .. } => {
                *reads.entry(location).or_insert(0) |= bytes(access.bytes.from, access.bytes.to);
            }
            Effect::Write { .. } if access.circumstance.reverts => {}
            Effect::Write { form, .. } => {
                forms.entry(location.clone()).or_default().push(form);
                *writes.entry(location).or_insert(0) |= bytes(access.bytes.from, access.bytes.to);
            }
        }
    }
    compare("read", &locations(&expected["reads"]), &reads, ignore_bytes, &mut failures);
    compare("write", &locations(&expected["writes"]), &writes, ignore_bytes, &mut failures);
    for (clause, is_form) in [
        ("delta", (|form| matches!(form, WriteForm::Delta { .. })) as fn(&WriteForm) -> bool),
        ("net_zero", |form| matches!(form, WriteForm::NetZero(_))),
    ] {
        for entry in strings(&expected[clause]) {
            let found = forms.get(&canonical(entry));
            if found.is_none_or(|forms| !forms.iter().all(|form| is_form(form))) {
                failures.push(format!("missing {clause} {entry}"));
            }
        }
    }
    let mut calls = BTreeSet::new();
    for call in &summary.calls {
        let is_precompile = analysis
            .expressions
            .constant(call.target)
            .is_some_and(|target| !target.is_zero() && target <= U256::from(0x11));
        if is_precompile {
            continue;
        }
        let kind = match call.kind {
            CallKind::Call => "call",
            CallKind::CallCode => "callcode",
            CallKind::DelegateCall => "delegatecall",
            CallKind::StaticCall => "staticcall",
        };
        calls.insert(format!("{kind} {}", text.word(call.target)));
    }
    // Expectations of real packages list calls only where they matter.
    if !ignore_bytes || expected.get("calls").is_some() {
        compare_sets("call", &strings(&expected["calls"]), &calls, &mut failures);
        let expected_accounts = strings(&expected["accounts"]);
        compare_sets(
            "account",
            &expected_accounts,
            &accounts(analysis, summary, &text, &expected_accounts),
            &mut failures,
        );
    }
    failures.sort();
    failures
}

fn accounts(analysis: &Analysis, summary: &Summary, text: &Text<'_>, expected: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    found.extend(summary.balance_reads.iter().map(|read| format!("balance {}", text.word(read.address))));
    found.extend(
        summary.self_destructs.iter().map(|end| format!("selfdestruct {}", text.word(end.beneficiary))),
    );
    for creation in &summary.creations {
        found.insert(if creation.salt.is_some() { "create2" } else { "create" }.to_owned());
    }
    // Code size and hash are words, not events: they show where they are returned or decide something. What is not
    // expected is a check before a call.
    let conditions = summary.requires.iter().map(|condition| condition.expression);
    let all = summary
        .accesses
        .iter()
        .map(|access| &access.circumstance)
        .chain(summary.calls.iter().map(|call| &call.circumstance))
        .flat_map(|circumstance| circumstance.when.iter().chain(&circumstance.requires))
        .map(|condition| condition.expression);
    for root in summary.returned.iter().copied().chain(conditions).chain(all) {
        analysis.expressions.any(root, |part| {
            let entry = match analysis.expressions.node(part) {
                Node::CodeSize(account) => format!("codesize {}", text.word(account)),
                Node::CodeHash(account) => format!("codehash {}", text.word(account)),
                _ => return false,
            };
            if expected.iter().any(|wanted| canonical(wanted) == entry) {
                found.insert(entry);
            }
            false
        });
    }
    found
}

fn entry(case: &Value, function: &str) -> Entry {
    if let Some(selector) = case["method_identifiers"][function].as_str() {
        return Entry::Function(Selector(hex::decode(selector).unwrap().try_into().unwrap()));
    }
    match function {
        "receive()" => Entry::Receive,
        "fallback()" => Entry::Fallback,
        _ => panic!("no selector for {function}"),
    }
}

/// The failures of every function of every case of one file, as (case, function, failure).
fn examine(path: &Path) -> Vec<(String, String, String)> {
    let stem = path.file_stem().unwrap().to_string_lossy();
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut result = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let name =
            format!("{stem}: {} {}", case["compiler"].as_str().unwrap(), case["contract"].as_str().unwrap());
        let runtime = hex::decode(case["runtime"].as_str().unwrap()).unwrap();
        let selectors = case["method_identifiers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, selector)| {
                Selector(hex::decode(selector.as_str().unwrap()).unwrap().try_into().unwrap())
            })
            .collect();
        let analysis = analyze(runtime.into(), &Options { selectors, ..Options::default() });
        let ignore_bytes = case["ignore_bytes"].as_bool().unwrap_or(false);
        for expected in case["expect"].as_array().unwrap() {
            let function = expected["function"].as_str().unwrap();
            let entry = entry(case, function);
            let found = match analysis.summaries.iter().find(|summary| summary.entry == entry) {
                Some(summary) => failures(&analysis, summary, expected, ignore_bytes),
                None => vec!["missing entry".to_owned()],
            };
            result.extend(found.into_iter().map(|failure| (name.clone(), function.to_owned(), failure)));
        }
    }
    result
}

#[test]
fn idioms_are_exact() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/idioms");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 30, "the fixtures are there");
    let found: BTreeSet<(String, String, String)> = paths.iter().flat_map(|path| examine(path)).collect();
    let known = known_gaps();
    let new: Vec<String> = found.difference(&known).map(|(a, b, c)| format!("{a} | {b} | {c}")).collect();
    let gone: Vec<String> = known.difference(&found).map(|(a, b, c)| format!("{a} | {b} | {c}")).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "{} new failures:\n{}\n{} gaps that are closed and must leave the list:\n{}",
        new.len(),
        new.join("\n"),
        gone.len(),
        gone.join("\n")
    );
}
