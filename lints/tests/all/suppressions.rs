//! Suppressions in every place that they can stand in, over what a compiler makes of them.

use std::path::Path;

use deconflict_lints::{Levels, LoadOptions, Settings, apply_suppressions, check_contract, load, merge};

#[test]
fn each_comment_covers_its_own_finding_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/standard-json/suppressions.json");
    let project = load(&path, LoadOptions::default()).expect("compiled sources");
    let settings = Settings::default();
    let checked = project.contracts.iter().map(|contract| check_contract(&project, contract, &settings));
    let levels = Levels::default();
    let mut report = merge(&project, checked, &levels);
    apply_suppressions(&project, &project.contracts, &mut report, &levels, true);
    let mut suppressed: Vec<String> = (report.suppressed.iter())
        .map(|it| {
            format!(
                "{} {}: {}",
                it.diagnostic.contract,
                it.diagnostic.variable,
                it.reason.as_deref().unwrap_or("-")
            )
        })
        .collect();
    suppressed.sort();
    assert_eq!(
        suppressed,
        [
            "Counters byTag: by a tag",
            "Counters declared: at the declaration",
            "Counters nextLine: on the line above",
            "Counters sameLine: on its line",
            "Counters wholeFunction: at the function",
            "First total: at the file",
            "Known total: at the contract",
            "Second total: at the file",
        ]
    );
    let kept: Vec<(&str, u32)> = (report.diagnostics.iter())
        .map(|it| {
            let label = it.primary.as_ref().expect("a line");
            (it.rule, project.source(label.span.source).position(label.span.start).line)
        })
        .collect();
    assert_eq!(kept, [("global-counter", 34), ("unused-suppression", 41), ("malformed-suppression", 41)]);
}
