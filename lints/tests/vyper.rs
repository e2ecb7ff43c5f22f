//! Lists of Vyper, whose elements stand behind their length, are lists to the rules, with the compiler's layout and
//! without (the data and its versions: `tests/data/README.md`).

use std::path::Path;

use deconflict_lints::{Levels, LoadOptions, Settings, check_contract, is_checked, load, merge};

/// The rules that find something in each variable, in order.
fn found(version: &str) -> Vec<(String, &'static str)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/standard-json");
    let path = data.join(format!("vyper-lists-{version}.json"));
    let project = load(&path, LoadOptions { no_build: true }).expect("the data is readable");
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
