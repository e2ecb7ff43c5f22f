//! Suppressions over findings made by hand.

use std::sync::Arc;

use super::*;
use crate::source_map::Lines;

const TEXT: &str = "\
contract A {
    // deconflict: allow(global-counter) reason=\"few calls\"
    uint256 total;
    uint256 other; // deconflict: allow(C)
    function f() external {
        total += 1;
        other += 1; // deconflict: allow(global-conter)
    }
}
";

fn project(text: &str) -> Project {
    let id = SourceId(0);
    let source = Source {
        id,
        path: "src/A.sol".to_owned(),
        absolute: None,
        text: Arc::from(text),
        lines: Lines::new(text),
        origin: Origin::Project,
    };
    Project { sources: vec![source], ..Project::default() }
}

fn span(text: &str, part: &str) -> SourceSpan {
    let start = text.find(part).expect("the part is in the text") as u32;
    SourceSpan { source: SourceId(0), start, end: start + part.len() as u32 }
}

fn finding(project: &Project, rule: &str, at: SourceSpan) -> Diagnostic {
    let rule = crate::config::find_rule(rule).expect("a rule");
    let mut diagnostic = remark(project, &project.sources[0], rule, at, "found", "do it");
    diagnostic.variable = project.text(at).to_owned();
    diagnostic
}

fn outcome(text: &str, rules: &[(&str, &str)], require_reason: bool) -> (Vec<String>, Vec<String>) {
    let project = project(text);
    let diagnostics = rules.iter().map(|(rule, part)| finding(&project, rule, span(text, part))).collect();
    let mut report = Report { diagnostics, ..Report::default() };
    let contract = Contract {
        name: "A".to_owned(),
        source_path: "src/A.sol".to_owned(),
        source: Some(SourceId(0)),
        origin: Origin::Project,
        kind: crate::ContractKind::Contract,
        runtime: alloy_primitives::Bytes::new(),
        creation: None,
        immutables: Vec::new(),
        unlinked: Vec::new(),
        abi: None,
        method_identifiers: std::collections::BTreeMap::new(),
        storage_layout: None,
        source_map: None,
        generated_sources: Vec::new(),
        compiler: None,
        artifact: None,
    };
    apply(&project, [&contract], &mut report, &Levels::default(), require_reason);
    let kept = report.diagnostics.iter().map(|it| format!("{}: {}", it.rule, it.message)).collect();
    let suppressed = report
        .suppressed
        .iter()
        .map(|it| format!("{} ({})", it.diagnostic.variable, it.reason.as_deref().unwrap_or("-")));
    (kept, suppressed.collect())
}

#[test]
fn a_comment_takes_out_what_it_covers_and_nothing_else() {
    let (kept, suppressed) =
        outcome(TEXT, &[("global-counter", "uint256 total;"), ("global-counter", "other += 1")], false);
    assert_eq!(suppressed, ["uint256 total; (few calls)"]);
    assert_eq!(
        kept,
        [
            "unused-suppression: this suppression of `C` suppresses nothing",
            "global-counter: found",
            "malformed-suppression: this suppression names `global-conter`, which is no rule",
        ]
    );
    let (kept, suppressed) = outcome(TEXT, &[("false-sharing", "uint256 total;")], false);
    assert_eq!((kept.len(), suppressed.len()), (4, 0), "another rule is not covered");
}

#[test]
fn a_reason_may_be_asked_for() {
    let (kept, suppressed) = outcome(TEXT, &[("global-counter", "uint256 other;")], true);
    assert_eq!(suppressed, ["uint256 other; (-)"], "it still counts");
    assert!(
        kept.contains(&"malformed-suppression: this suppression does not say why".to_owned()),
        "{kept:?}"
    );
}

#[test]
fn written_comments_are_read_again() {
    for break_ in ["\n", "\r\n"] {
        let text = TEXT.lines().filter(|line| !line.contains("//")).collect::<Vec<_>>().join(break_) + break_;
        let project = project(&text);
        let found = |rule| finding(&project, rule, span(&text, "total += 1"));
        let diagnostics = vec![found("sequential-id"), found("global-counter")];
        let report = Report { diagnostics, ..Report::default() };
        let comments = allow_comments(&project, &report, Some("it is so"));
        let source = &project.sources[0];
        let written = insert_comments(source, &text, &comments).expect("the text is the same");
        let comment = format!(
            "        // deconflict: allow(global-counter, sequential-id) reason=\"it is so\"{break_}        total += 1;"
        );
        assert!(written.contains(&comment), "{written}");
        let marked =
            insert_comments(source, &format!("\u{feff}{text}"), &comments).expect("only a mark is new");
        assert_eq!(marked, format!("\u{feff}{written}"));
        assert_eq!(insert_comments(source, "other", &comments), None);
        let [bare, commented] = [&text, &written].map(|text| text.replace("\r\n", "\n"));
        assert_eq!(insert_comments(source, &bare, &comments), Some(commented), "lines end as they did");
        let (kept, suppressed) =
            outcome(&written, &[("sequential-id", "total += 1"), ("global-counter", "total += 1")], true);
        assert_eq!((kept.len(), suppressed.len()), (0, 2), "{kept:?}");
    }
}
