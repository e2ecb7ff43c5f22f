//! How every format reads, over the demo project.

use std::path::Path;

use deconflict_lints::{
    Configuration, Level, LoadOptions, Settings, all_rules, apply_suppressions, check_contract, is_checked,
    load, merge,
    report::{FORMATS, Rendering, Section},
    template,
};
use serde_json::Value;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn rendered(moment: &str, format: &str) -> String {
    let folder = workspace().join("fixtures/demo").join(moment);
    let project = load(&folder, LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut levels = Configuration::default().levels().expect("no levels");
    levels.set("C102", Level::Deny).expect("a rule");
    let contracts = || project.contracts.iter().filter(|contract| is_checked(contract));
    let settings = Settings::default();
    let checked: Vec<_> = contracts().map(|contract| check_contract(&project, contract, &settings)).collect();
    let mut report = merge(&project, checked, &levels);
    apply_suppressions(&project, contracts(), &mut report, &levels, false);
    let format = FORMATS.iter().find(|it| it.name == format).expect("a format");
    let sections = [Section { project: &project, report: &report }];
    let folder = folder.canonicalize().expect("a folder");
    (format.render)(&Rendering { sections: &sections, repository: &folder, folder: &folder, color: false })
}

#[test]
fn every_format_reads_as_it_should() {
    for format in FORMATS {
        let mut text = rendered("counter", format.name);
        if format.name == "sarif" {
            // The pages of the rules have snapshots of their own in the book.
            let mut log: Value = serde_json::from_str(&text).expect("JSON");
            let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array_mut().expect("a list of rules");
            assert_eq!(rules.len(), all_rules().count());
            assert!(
                rules.iter().all(|rule| rule["help"]["markdown"].as_str().is_some_and(|it| it.len() > 100))
            );
            rules.retain(|rule| rule["id"] == "S001");
            for result in log["runs"][0]["results"].as_array_mut().expect("a list of results") {
                // The index moves with every new rule.
                let rule = result["ruleIndex"].take();
                assert!(rule.is_u64());
            }
            text = serde_json::to_string_pretty(&log).expect("JSON");
        }
        insta::assert_snapshot!(format!("format__{}", format.name), text);
    }
}

#[test]
fn nothing_found_is_a_document_as_well() {
    for format in FORMATS {
        let text = rendered("suppressed", format.name);
        match format.name {
            "json" | "sarif" | "gitlab" => {
                serde_json::from_str::<Value>(&text).expect("JSON");
            }
            "junit" => assert!(text.contains("failures=\"0\""), "{text}"),
            _ => assert!(!text.contains("totalVolume"), "{text}"),
        }
    }
}

#[test]
fn the_schema_of_the_configuration_is_current() {
    let path = workspace().join("docs/guide/deconflict.schema.json");
    let text = std::fs::read_to_string(path).expect("a readable schema");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let table: toml::Table = template().parse().expect("TOML");
    assert!(validator.is_valid(&serde_json::to_value(table).expect("JSON")));
    // Whatever the reader takes the schema takes, and the other way round.
    for (text, good) in [
        ("calls = 2\nhot = [\"f\"]\nadmin = []\nexclude = [\"a\"]\nbaseline = \"b\"\nbudget = \"c\"", true),
        ("require-reason = true\nprofile = \"write-key\"\nversion = 1", true),
        ("[rules]\nall = \"deny\"\nC = \"warn\"\nC101 = \"allow\"\nglobal-counter = \"warn\"", true),
        ("[[override]]\npaths = [\"a\"]\nrules = { C101 = \"allow\" }", true),
        ("[[override]]\nrules = { C101 = \"allow\" }", false),
        ("[[override]]\npaths = [\"a\"]\nlevels = { C101 = \"allow\" }", false),
        ("profile = \"fast\"", false),
        ("calls = 1", false),
        ("hott = []", false),
        ("hot = \"f\"", false),
        ("version = 2", false),
        ("[rules]\nC101 = \"error\"", false),
    ] {
        let read = Configuration::parse(Path::new("deconflict.toml"), text);
        assert_eq!(read.is_ok(), good, "{text}: {read:?}");
        let table: toml::Table = text.parse().expect("TOML");
        let value = serde_json::to_value(table).expect("JSON");
        assert_eq!(validator.is_valid(&value), good, "{text}");
    }
    for rule in all_rules() {
        let table: toml::Table = format!("rules = {{ {} = \"warn\" }}", rule.name).parse().expect("TOML");
        assert!(validator.is_valid(&serde_json::to_value(table).expect("JSON")), "{}", rule.name);
    }
}
