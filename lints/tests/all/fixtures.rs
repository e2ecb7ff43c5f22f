//! Findings over the committed fixtures: exactly what the `//~ rule-name` comments expect, and how the reports read.
//!
//! Both code generators have to give the same findings.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use deconflict_lints::{
    Levels, LoadOptions, Origin, Profile, Project, Report, Settings, check_contract, inspect, is_checked,
    load, merge,
    report::{Section, human, inspect_human, inspect_json, json},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").join("fixtures")
}

/// All artifacts below a folder, by their path relative to it.
fn artifacts(folder: &str) -> BTreeMap<String, PathBuf> {
    let root = fixtures().join(folder);
    let mut found = BTreeMap::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("below the root").with_extension("");
                found.insert(name.to_string_lossy().into_owned(), path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn check(path: &Path) -> (Project, Report) {
    let project = load(path, LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let contracts = project.contracts.iter().filter(|contract| is_checked(contract));
    let checked: Vec<_> =
        contracts.map(|contract| check_contract(&project, contract, &Settings::default())).collect();
    let report = merge(&project, checked, &Levels::default());
    (project, report)
}

/// What the comments expect: `file:line rule`, sorted.
fn expected(project: &Project) -> Vec<String> {
    let mut lines = Vec::new();
    for source in project.sources.iter().filter(|source| source.origin == Origin::Project) {
        for (number, line) in source.text.lines().enumerate() {
            let rules = line.split_once("//~ ").map(|(_, rules)| rules).unwrap_or_default();
            // What pedantic rules find stands behind a mark of its own.
            let rules = rules.split("//").next().unwrap_or_default();
            let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
            lines.extend(rules.map(|rule| format!("{}:{} {rule}", source.path, number + 1)));
        }
    }
    lines.sort();
    lines
}

fn found(project: &Project, report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = report
        .diagnostics
        .iter()
        .map(|diagnostic| match &diagnostic.primary {
            Some(label) => {
                let source = project.source(label.span.source);
                format!("{}:{} {}", source.path, source.position(label.span.start).line, diagnostic.rule)
            }
            None => format!("{} at {} {}", diagnostic.contract, diagnostic.pc, diagnostic.rule),
        })
        .collect();
    lines.sort();
    lines
}

/// Compares the findings of every artifact with its comments, both as `shown` shows them, and says all differences at
/// once.
fn compare(folder: &str, shown: impl Fn(String) -> String) {
    let mut differences = Vec::new();
    for (name, path) in artifacts(folder) {
        let (project, report) = check(&path);
        let mut missing: Vec<String> = expected(&project).into_iter().map(&shown).collect();
        let mut unexpected: Vec<String> = found(&project, &report).into_iter().map(&shown).collect();
        unexpected
            .retain(|line| missing.iter().position(|it| it == line).map(|at| missing.remove(at)).is_none());
        differences.extend(missing.iter().map(|line| format!("{name}: not found: {line}")));
        differences.extend(unexpected.iter().map(|line| format!("{name}: not expected: {line}")));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn findings_of_the_legacy_code_generator_are_the_annotated_ones() {
    compare("artifacts", |line| line);
}

/// This generator maps most stores to the whole contract, so that only the file and the rule can be expected.
#[test]
fn findings_of_the_ir_code_generator_are_the_annotated_ones() {
    compare("via-ir", |line| {
        let (place, rule) = line.split_once(' ').expect("a place and a rule");
        let file = place.split_once(':').map_or(place, |(file, _)| file);
        format!("{file} {rule}")
    });
}

#[test]
fn reports_read_well() {
    for (name, path) in artifacts("artifacts") {
        let (project, report) = check(&path);
        if !report.diagnostics.is_empty() {
            let section = Section { project: &project, report: &report };
            insta::assert_snapshot!(name.replace('/', "__"), human::render(&[section], false));
        }
    }
}

#[test]
fn colour_is_in_the_text_only_when_it_is_on() {
    let (project, report) = check(&artifacts("artifacts")["global-counter/Ticketing"]);
    let sections = [Section { project: &project, report: &report }];
    let plain = human::render(&sections, false);
    let colored = human::render(&sections, true);
    assert!(!plain.contains('\u{1b}') && colored.contains('\u{1b}'));
    assert!(plain.lines().all(|line| line.trim_end() == line), "no trailing blanks");
}

#[test]
fn json_has_the_promised_fields() {
    let (project, report) = check(&artifacts("artifacts")["global-counter/Ticketing"]);
    let text = json::render(&[Section { project: &project, report: &report }]);
    insta::assert_snapshot!("json", text);
    let document: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    assert_eq!(document["schema"], "deconflict/check/1");
    let diagnostic = &document["diagnostics"][0];
    for field in [
        "code",
        "rule",
        "severity",
        "confidence",
        "contract",
        "functions",
        "slot",
        "variable",
        "message",
        "help",
        "fingerprint",
        "primary",
        "related",
        "notes",
    ] {
        assert!(!diagnostic[field].is_null(), "{field}");
    }
    for field in ["file", "start_line", "start_column", "end_line", "end_column"] {
        assert!(!diagnostic["primary"][field].is_null(), "{field}");
    }
}

#[test]
fn inspections_read_well() {
    for name in ["global-counter/Ticketing", "global-accumulator/Staking", "sequential-id/OrderBook"] {
        let path = &artifacts("artifacts")[name];
        let (project, _) = check(path);
        let contracts = project.contracts.iter().filter(|contract| is_checked(contract));
        let inspections: Vec<_> = contracts.map(|contract| inspect(&project, contract)).collect();
        let name = name.replace('/', "__");
        insta::assert_snapshot!(format!("inspect__{name}"), inspect_human::render(&inspections));
        insta::assert_snapshot!(format!("inspect_json__{name}"), inspect_json::render(&inspections));
    }
}

#[test]
fn a_guard_costs_waves_only_where_stored_keys_count() {
    let path = fixtures().join("artifacts/storage-reentrancy-guard/Bank.json");
    let project = load(&path, LoadOptions::default()).expect("an artifact");
    let told = |profile| {
        let settings = Settings { profile, ..Settings::default() };
        let checked = project.contracts.iter().map(|contract| check_contract(&project, contract, &settings));
        let mut found = merge(&project, checked, &Levels::default()).diagnostics;
        found.retain(|diagnostic| diagnostic.rule == "storage-reentrancy-guard");
        assert_eq!(found.len(), 1);
        (
            found[0].effects.iter().map(|it| (it.before, it.after)).collect::<Vec<_>>(),
            found[0].notes.join("\n"),
        )
    };
    let (effects, notes) = told(Profile::NetChange);
    assert_eq!(effects, []);
    assert!(notes.contains("run such calls side by side") && !notes.contains("conflict on"), "{notes}");
    let (effects, notes) = told(Profile::WriteKey);
    assert!(!effects.is_empty() && effects.iter().all(|&it| it == (1, 100)), "{effects:?}");
    assert!(notes.contains("one after the other") && notes.contains("conflict on `_status`"), "{notes}");
}

#[test]
fn what_several_contracts_inherit_is_reported_once() {
    let path = &artifacts("artifacts")["global-counter/InheritedCounter"];
    let mut artifact: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).expect("a readable artifact")).expect("valid JSON");
    let contracts = &mut artifact["output"]["contracts"]["contracts/global-counter/InheritedCounter.sol"];
    contracts["Second"] = contracts["InheritedCounter"].clone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("Twice.json");
    fs::write(&path, artifact.to_string()).expect("a writable file");
    let (_, report) = check(&path);
    assert_eq!(report.contracts, 2);
    assert_eq!(report.diagnostics.len(), 1, "{:?}", report.diagnostics);
    assert_eq!(report.diagnostics[0].contract, "InheritedCounter");
    assert!(report.diagnostics[0].notes.iter().any(|note| note.contains("`Second`")));
}

#[test]
fn a_finding_keeps_its_fingerprint_when_lines_move() {
    let path = &artifacts("artifacts")["global-counter/Ticketing"];
    let text = fs::read_to_string(path).expect("a readable artifact");
    let (_, before) = check(path);
    let mut artifact: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    let shift = |map: &str| -> String {
        let mut entries = map.split(';').map(|entry| {
            let mut fields: Vec<String> = entry.split(':').map(str::to_owned).collect();
            if let Some(start) = fields[0]
                .parse::<i64>()
                .ok()
                .filter(|_| fields.get(2).is_none_or(|it| it == "0" || it.is_empty()))
            {
                fields[0] = (start + 3).to_string();
            }
            fields.join(":")
        });
        entries.by_ref().collect::<Vec<_>>().join(";")
    };
    let file = "contracts/global-counter/Ticketing.sol";
    let content =
        format!("\n\n\n{}", artifact["input"]["sources"][file]["content"].as_str().expect("the source"));
    artifact["input"]["sources"][file]["content"] = content.into();
    let map = &mut artifact["output"]["contracts"][file]["Ticketing"]["evm"]["deployedBytecode"]["sourceMap"];
    *map = shift(map.as_str().expect("a source map")).into();
    let moved = tempfile::tempdir().expect("a temporary folder");
    let moved_path = moved.path().join("Ticketing.json");
    fs::write(&moved_path, artifact.to_string()).expect("a writable file");
    let (_, after) = check(&moved_path);
    let fingerprints =
        |report: &Report| report.diagnostics.iter().map(|it| it.fingerprint.clone()).collect::<Vec<_>>();
    assert_eq!(fingerprints(&before), fingerprints(&after));
    assert!(!before.diagnostics.is_empty());
    assert_ne!(before.diagnostics[0].primary, after.diagnostics[0].primary);
}
