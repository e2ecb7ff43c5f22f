//! What `check` says of real contracts, finding by finding, against the committed judgements.
//!
//! In: `fixtures/real/build`, which `install.sh` makes and which is not committed, and the table of judgements. Where
//! the contracts are not installed only the table itself is held against its promises. All code counts as the project's
//! own, as it does for whoever maintains it. `UPDATE=1` adds the findings that are not judged yet, to be judged by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use deconflict_lints::{
    Levels, LoadOptions, Origin, Settings, Severity, check_contract, is_checked, load, merge,
};

fn real() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    root.join("fixtures/real")
}

/// A finding, as it is written in the table: file, rule, contract, variable or functions, confidence.
type Finding = [String; 5];

struct Judgement {
    verdict: String,
    reason: String,
}

fn table() -> BTreeMap<Finding, Judgement> {
    let path = real().join("expectations/findings.tsv");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut judged = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let [file, rule, contract, what, confidence, verdict, reason] =
            <[String; 7]>::try_from(fields).unwrap_or_else(|_| panic!("seven columns: {line}"));
        judged.insert([file, rule, contract, what, confidence], Judgement { verdict, reason });
    }
    judged
}

fn findings(path: &Path) -> BTreeSet<Finding> {
    let mut project = load(path, LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    for source in &mut project.sources {
        source.origin = Origin::Project;
    }
    for contract in &mut project.contracts {
        contract.origin = Origin::Project;
    }
    let contracts = project.contracts.iter().filter(|contract| is_checked(contract));
    let checked: Vec<_> = contracts.map(|it| check_contract(&project, it, &Settings::default())).collect();
    let report = merge(&project, checked, &Levels::default());
    let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let warnings = report.diagnostics.into_iter().filter(|it| it.severity == Severity::Warning);
    let described = warnings.map(|it| {
        let what = if it.variable.is_empty() { it.functions.join(" ") } else { it.variable };
        [file.clone(), it.rule.to_owned(), it.contract, what, it.confidence.name().to_owned()]
    });
    described.collect()
}

#[test]
#[ignore = "analyses every real contract, which takes a while: run with --ignored"]
fn every_finding_in_real_contracts_is_judged() {
    let build = real().join("build");
    let entries = fs::read_dir(&build).expect("fixtures/real/install.sh has compiled the real contracts");
    let mut found = BTreeSet::new();
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.file_name().is_some_and(|name| name != "index.json") {
            found.extend(findings(&path));
        }
    }
    let judged = table();
    if std::env::var_os("UPDATE").is_some() {
        let mut text = "file\trule\tcontract\twhat\tconfidence\tverdict\twhy\n".to_owned();
        for finding in &found {
            let (verdict, reason) = judged.get(finding).map_or(("", ""), |it| (&it.verdict, &it.reason));
            let _ = writeln!(text, "{}\t{verdict}\t{reason}", finding.join("\t"));
        }
        fs::write(real().join("expectations/findings.tsv"), text).expect("a writable table");
        return;
    }
    let known: BTreeSet<Finding> = judged.keys().cloned().collect();
    let open: Vec<_> = found.difference(&known).collect();
    assert!(open.is_empty(), "not judged: {open:#?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "judged but no longer found: {gone:#?}");
    let own = found.iter().filter(|it| it[0] == "openzeppelin-contracts").count();
    assert!(own <= 40, "{own} findings in OpenZeppelin's own contracts");
}

#[test]
fn the_judgements_are_as_good_as_promised() {
    let judged = table();
    assert!(!judged.is_empty());
    for (finding, judgement) in &judged {
        assert!(["true", "arguable", "false"].contains(&judgement.verdict.as_str()), "{finding:?}");
        assert!(judgement.reason.len() > 10, "{finding:?} has a reason");
    }
    let count = |verdict: &str| judged.values().filter(|it| it.verdict == verdict).count();
    let (right, wrong) = (count("true"), count("false"));
    let percent = 100 * right / judged.len();
    assert!(percent >= 95, "{right} true, {} arguable, {wrong} false: {percent} %", count("arguable"));
    let proved = judged.iter().filter(|(finding, it)| finding[4] == "proved" && it.verdict == "false");
    assert_eq!(proved.count(), 0, "no finding that is said to be proved is false");
}
