//! Vyper, as each of its versions writes it: lists whose elements stand behind their length, tables of selectors, the one
//! function without a selector, and places in the source (the data and its versions: `tests/data/README.md`).

use std::{collections::BTreeSet, path::Path};

use alloy_json_abi::JsonAbi;
use alloy_primitives::U256;
use deconflict_analyzer::{Entry, Options, Summary, Verdict, analyze};
use deconflict_lints::{
    Cell, Levels, LoadOptions, Project, Settings, check_contract, inspect, is_checked, load, merge,
};

fn read(name: &str) -> Project {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/standard-json");
    load(&data.join(name), LoadOptions::default()).expect("the data is readable")
}

/// The rules that find something in each variable, in order.
fn found(version: &str) -> Vec<(String, &'static str)> {
    let project = read(&format!("vyper-lists-{version}.json"));
    let contracts = project.contracts.iter().filter(|contract| is_checked(contract));
    let checked: Vec<_> = contracts.map(|it| check_contract(&project, it, &Settings::default())).collect();
    let report = merge(&project, checked, &Levels::default());
    let mut found: Vec<(String, &str)> =
        report.diagnostics.into_iter().map(|it| (it.functions.join(" "), it.rule)).collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    expected.iter().map(|&(functions, rule)| (functions.to_owned(), rule)).collect()
}

const EXPECTED: [(&str, &str); 3] =
    [("distribute()", "push-payments"), ("drop(uint256)", "swap-and-pop"), ("join()", "array-push")];

#[test]
fn lists_of_a_known_layout() {
    assert_eq!(found("0.4.1"), pairs(&EXPECTED));
}

/// Without a layout the lists are told by what is done with them.
#[test]
fn lists_without_a_layout() {
    assert_eq!(found("0.3.10"), pairs(&EXPECTED));
}

/// A contract with functions enough for a table of selectors, as each version lays it out, with a function that answers
/// all other calldata and without.
#[test]
fn tables_of_selectors_hide_nothing() {
    for version in ["0.3.10", "0.4.0", "0.4.3"] {
        let project = read(&format!("vyper-tables-{version}.json"));
        assert_eq!(project.contracts.len(), 5);
        for contract in &project.contracts {
            let place = format!("{version} {}", contract.name);
            let found = inspect(&project, contract);
            let names: Vec<&str> = found.functions.iter().map(|it| it.name.as_str()).collect();
            let open: Vec<_> = found.functions.iter().filter(|it| !it.incomplete.is_empty()).collect();
            assert!(open.is_empty(), "{place}: {open:?}");
            // Six functions and four getters of public variables with one slot or key each, one more for the owners.
            let has_default = !contract.name.ends_with("Alone");
            assert_eq!(names.len(), 11 + usize::from(has_default), "{place}: {names:?}");
            let nameless = names.iter().filter(|name| name.starts_with("__default__"));
            assert_eq!(nameless.count(), usize::from(has_default), "{place}: {names:?}");
            assert!(!names.iter().any(|name| name.starts_with("fallback") || name.starts_with("receive")));
            let gifts = U256::ZERO;
            for function in &found.functions {
                let touches = function.reads.iter().chain(&function.writes).any(|it| it.slot == Some(gifts));
                let expected = ["__default__()", "gifts()"].contains(&function.name.as_str());
                assert_eq!(touches, expected, "{place}: {}", function.name);
                let asked = function.reads.iter().chain(&function.writes).flat_map(|it| &it.when);
                assert!(
                    !asked.into_iter().any(|it| it.contains("calldatasize")),
                    "{place}: {}",
                    function.name
                );
            }
            let verdict = |a: &str, b: &str| {
                let is_pair = |cell: &&Cell| {
                    (cell.a.starts_with(a) && cell.b.starts_with(b))
                        || (cell.a.starts_with(b) && cell.b.starts_with(a))
                };
                found.conflicts.iter().find(is_pair).map(|cell| cell.verdict)
            };
            assert_eq!(verdict("set_fee", "set_limit"), Some(Verdict::Never), "{place}");
            assert_eq!(verdict("set_fee", "set_fee"), Some(Verdict::Always), "{place}");
            assert_eq!(verdict("call_me", "call_me"), Some(Verdict::When), "{place}");
        }
    }
}

/// The code alone names the functions of its tables.
#[test]
fn tables_of_selectors_are_read_without_names() {
    for version in ["0.3.10", "0.4.0", "0.4.3"] {
        for contract in &read(&format!("vyper-tables-{version}.json")).contracts {
            let analysis = analyze(contract.runtime.clone(), &Options::default());
            let selectors: BTreeSet<[u8; 4]> = analysis
                .summaries
                .iter()
                .filter_map(|it| match it.entry {
                    Entry::Function(selector) => Some(selector.0),
                    Entry::Receive | Entry::Fallback => None,
                })
                .collect();
            let named = contract.abi.iter().flat_map(JsonAbi::functions);
            let named: BTreeSet<[u8; 4]> = named.map(|function| function.selector().0).collect();
            assert_eq!(selectors, named, "{version} {}", contract.name);
            assert!(analysis.summaries.iter().all(Summary::is_complete), "{version} {}", contract.name);
        }
    }
}

/// Places in the source are right whatever letters stand before them, in every form of source map.
#[test]
fn letters_of_more_than_one_byte_move_no_line() {
    for version in ["0.2.4", "0.2.16", "0.3.7", "0.4.3"] {
        let project = read(&format!("vyper-letters-{version}.json"));
        let contract = project.contracts.first().expect("there is one");
        let checked = check_contract(&project, contract, &Settings::default());
        let report = merge(&project, vec![checked], &Levels::default());
        let mut shown: Vec<(&str, String)> = report
            .diagnostics
            .iter()
            .map(|it| {
                let span = it.primary.as_ref().expect("it has a place").span;
                let text = &project.source(span.source).text;
                let line = text[span.start as usize..].lines().next().unwrap_or_default();
                (it.rule, line.trim().to_owned())
            })
            .collect();
        shown.sort();
        let expected = [("global-accumulator", "self.total += x"), ("global-counter", "self.hits += 1")];
        assert_eq!(shown, expected.map(|(rule, line)| (rule, line.to_owned())), "{version}");
    }
}
