//! Every rule is registered, documented and shown by fixtures; the pages in `docs/rules/` are current.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use deconflict_lints::{Group, all_rules, report::rule_page, rules::RULES};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn names_in(folder: &Path, extension: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    let files = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn every_rule_file_is_registered_under_its_own_name() {
    let mut files = names_in(&workspace().join("lints/src/rules"), "rs");
    files.remove("mod");
    let registered: BTreeSet<String> = RULES.iter().map(|rule| rule.name.replace('-', "_")).collect();
    assert_eq!(files, registered);
    assert_eq!(registered.len(), RULES.len(), "names are unique");
    let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(codes.len(), RULES.len(), "codes are unique");
}

#[test]
fn every_rule_has_a_complete_page() {
    let sections =
        ["What it does", "Why it serialises", "Example", "Rewrite", "When to ignore", "Known gaps"];
    for rule in RULES {
        let page = rule.documentation();
        let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, sections, "{}", rule.name);
        for (heading, text) in page.split("## ").skip(1).zip(sections) {
            assert!(heading.trim().len() > text.len() + 20, "{}: `{text}` says something", rule.name);
        }
        assert_eq!(
            page.matches("```solidity").count(),
            2,
            "{}: the pattern and its rewrite are shown",
            rule.name
        );
        // Shown with an indent of four in a terminal of 80 columns, where code is not wrapped.
        for code in page.split("```").skip(1).step_by(2) {
            assert!(code.lines().all(|line| line.chars().count() <= 76), "{}: {code}", rule.name);
        }
        assert!(!rule.summary.ends_with('.'), "{}", rule.name);
        assert!(rule.code.starts_with(rule.letter()) && rule.letter().len() == 1, "{}", rule.name);
    }
}

#[test]
fn every_rule_has_a_fixture_that_fires_and_one_that_does_not() {
    for rule in RULES {
        let folder = workspace().join("fixtures/contracts").join(rule.name);
        let texts: Vec<String> = names_in(&folder, "sol")
            .iter()
            .map(|name| {
                fs::read_to_string(folder.join(name).with_extension("sol")).expect("a readable fixture")
            })
            .collect();
        // What a pedantic rule finds is marked apart, since nobody sees it by default.
        let mark = if rule.group == Group::Pedantic { "//~? " } else { "//~ " };
        let marked = |line: &str| {
            line.split_once(mark).is_some_and(|(_, rules)| rules.split(", ").any(|name| name == rule.name))
        };
        let fires = |text: &&String| text.lines().any(marked);
        let silent = |text: &&String| !text.contains("//~");
        assert!(texts.iter().any(|text| fires(&text)), "{} has a fixture that fires", rule.name);
        assert!(texts.iter().any(|text| silent(&text)), "{} has a fixture that stays silent", rule.name);
    }
}

/// The speed-ups that pages quote are those of the benchmarks' table.
#[test]
fn quoted_speed_ups_are_the_measured_ones() {
    let table = fs::read_to_string(workspace().join("docs/benchmarks.md")).expect("the benchmarks");
    let measured = |workload: &str| {
        let row = table.lines().find(|line| line.starts_with(&format!("| {workload} |")));
        let row = row.unwrap_or_else(|| panic!("{workload} is in no table"));
        row.split('|').nth(6).expect("a column of speed-ups").trim()
    };
    let mut quotes = 0;
    for rule in RULES {
        let page = rule.documentation();
        for line in page.lines().filter(|line| line.starts_with("Measured on two threads")) {
            let (workloads, figures) = line.split_once(" in docs/benchmarks.md): ").expect("a source");
            let workloads: Vec<&str> = workloads.split('`').skip(1).step_by(2).collect();
            let [before, after] = workloads[..] else { panic!("{}: {workloads:?}", rule.name) };
            let expected = format!("{} of its speed before, {} after.", measured(before), measured(after));
            assert_eq!(figures, expected, "{}", rule.name);
            quotes += 1;
        }
    }
    assert!(quotes >= 5);
}

#[test]
fn the_pages_in_the_book_are_current() {
    let folder = workspace().join("docs/rules");
    let mut pages: Vec<(String, String)> =
        all_rules().map(|rule| (rule.name.to_owned(), rule_page::markdown(rule))).collect();
    pages.push(("README".to_owned(), rule_page::index()));
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(&folder).expect("a writable folder");
        for (name, page) in &pages {
            fs::write(folder.join(name).with_extension("md"), page).expect("a writable page");
        }
    }
    for (name, page) in &pages {
        let written = fs::read_to_string(folder.join(name).with_extension("md")).unwrap_or_default();
        assert_eq!(written, *page, "docs/rules/{name}.md is out of date: run the tests with UPDATE=1");
    }
    let expected: BTreeSet<String> = pages.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names_in(&folder, "md"), expected, "docs/rules holds a page that belongs to no rule");
}
