//! SARIF 2.1.0, which GitHub's code scanning and editors read.
//!
//! In: what was checked. Out: one run with all rules, their pages as help, and one result a finding. Paths are relative
//! to the repository (`%SRCROOT%`), columns count UTF-16 code units, and what identifies a result from run to run is its
//! fingerprint, never a line. The structs here are the format.

use serde::Serialize;

use super::{Format, Rendering, Section, Totals, region, region::Region, rule_page};
use crate::{
    config::Level,
    config::default_level,
    diagnostic::{Diagnostic, Label, Severity},
    rule::{Group, Rule},
    unit::Project,
};

/// The format's entry in the registry.
pub(super) const FORMAT: Format =
    Format { name: "sarif", summary: "SARIF 2.1.0, for code scanning and editors", render };

const ROOT: &str = "%SRCROOT%";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    original_uri_base_ids: Bases,
    column_kind: &'static str,
    results: Vec<Outcome>,
    properties: RunProperties,
}

/// What a log says beside what SARIF has words for.
#[derive(Serialize)]
struct RunProperties {
    profiles: Vec<&'static str>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    short_description: Text,
    rules: Vec<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: &'static str,
    name: String,
    short_description: Text,
    full_description: Text,
    help: Help,
    default_configuration: Configuration,
    properties: DescriptorProperties,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct Configuration {
    enabled: bool,
    level: &'static str,
}

#[derive(Serialize)]
struct DescriptorProperties {
    tags: Vec<&'static str>,
    precision: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
}

#[derive(Serialize)]
struct Bases {
    #[serde(rename = "%SRCROOT%")]
    root: Base,
}

#[derive(Serialize)]
struct Base {
    description: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    partial_fingerprints: Fingerprints,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
    properties: OutcomeProperties,
}

#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "deconflict/v1")]
    finding: String,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeProperties {
    confidence: &'static str,
    functions: Vec<String>,
    variable: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    #[serde(rename = "physicalLocation")]
    physical: Physical,
    #[serde(rename = "logicalLocations", skip_serializing_if = "Vec::is_empty")]
    logical: Vec<Logical>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Stretch>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stretch {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    name: String,
    fully_qualified_name: String,
    kind: &'static str,
}

fn render(rendering: &Rendering<'_>) -> String {
    let rules = rule_page::by_code();
    let mut results = Vec::new();
    let mut notifications = Vec::new();
    for &Section { project, report } in rendering.sections {
        let own = |diagnostic| outcome(rendering, project, diagnostic, &rules);
        results.extend(report.diagnostics.iter().map(own));
        results.extend(report.suppressed.iter().map(|suppressed| {
            let mut outcome = own(&suppressed.diagnostic);
            let justification = suppressed.reason.clone();
            outcome.suppressions.push(Suppression { kind: "inSource", justification });
            outcome
        }));
        let notices = project.notices.iter().filter(|notice| notice.is_warning());
        notifications.extend(
            notices
                .map(|notice| Notification { level: "warning", message: Text { text: notice.to_string() } }),
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let log = Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "Deconflict",
                    version,
                    semantic_version: version,
                    short_description: Text {
                        text: "Tells which lines of a contract keep a parallel EVM in a single lane."
                            .to_owned(),
                    },
                    rules: rules.iter().map(|rule| descriptor(rule)).collect(),
                },
            },
            invocations: [Invocation {
                execution_successful: true,
                tool_execution_notifications: notifications,
            }],
            original_uri_base_ids: Bases {
                root: Base {
                    description: Text {
                        text: "The folder that the repository is checked out in.".to_owned(),
                    },
                },
            },
            column_kind: "utf16CodeUnits",
            results,
            properties: RunProperties { profiles: Totals::of(rendering.sections).profile_names() },
        }],
    };
    let mut text = serde_json::to_string_pretty(&log).expect("the log holds strings and numbers only");
    text.push('\n');
    text
}

fn descriptor(rule: &Rule) -> Descriptor {
    let level = default_level(rule);
    let sentence = format!("Finds {}.", rule.summary);
    Descriptor {
        id: rule.code,
        name: pascal_case(rule.name),
        short_description: Text { text: sentence.clone() },
        full_description: Text { text: sentence },
        help: Help { text: rule_page::plain(rule, usize::MAX), markdown: rule_page::markdown(rule) },
        default_configuration: Configuration {
            enabled: level != Level::Allow,
            level: if rule.group == Group::Pedantic { "note" } else { "warning" },
        },
        properties: DescriptorProperties {
            tags: vec!["performance", "parallelism"],
            precision: if rule.group == Group::Pedantic { "medium" } else { "high" },
        },
    }
}

/// `global-counter` as `GlobalCounter`: rule names in SARIF are identifiers.
fn pascal_case(name: &str) -> String {
    name.split('-')
        .flat_map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            [first.to_uppercase(), rest.to_owned()]
        })
        .collect()
}

fn outcome(
    rendering: &Rendering<'_>,
    project: &Project,
    diagnostic: &Diagnostic,
    rules: &[&'static Rule],
) -> Outcome {
    let base = rendering.repository;
    let logical = vec![Logical {
        name: diagnostic.contract.clone(),
        fully_qualified_name: diagnostic.contract.clone(),
        kind: "type",
    }];
    let location = match region::primary(project, diagnostic, base) {
        Some(region) => physical(&region),
        None => Physical {
            artifact_location: artifact(&region::artifact(project, diagnostic, base)),
            region: None,
        },
    };
    let related = diagnostic.related.iter().enumerate().map(|(id, Label { span, text, .. })| Location {
        id: Some(id),
        physical: physical(&region::region(project, *span, base)),
        logical: Vec::new(),
        message: Some(Text { text: text.clone() }),
    });
    let mut message = sentence(&diagnostic.message);
    for note in &diagnostic.notes {
        message.push(' ');
        message.push_str(&sentence(note));
    }
    Outcome {
        rule_id: diagnostic.code,
        rule_index: rules.iter().position(|rule| rule.name == diagnostic.rule).unwrap_or_default(),
        level: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        message: Text { text: message },
        locations: [Location {
            id: None,
            physical: location,
            logical,
            message: diagnostic.primary.as_ref().map(|label| Text { text: label.text.clone() }),
        }],
        related_locations: related.collect(),
        partial_fingerprints: Fingerprints { finding: diagnostic.fingerprint.clone() },
        suppressions: Vec::new(),
        properties: OutcomeProperties {
            confidence: diagnostic.confidence.name(),
            functions: diagnostic.functions.clone(),
            variable: diagnostic.variable.clone(),
            slot: diagnostic.slot.clone(),
        },
    }
}

/// Viewers show messages as sentences.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let mut sentence: String = first.chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

fn physical(region: &Region) -> Physical {
    Physical {
        artifact_location: artifact(&region.file),
        region: Some(Stretch {
            start_line: region.start.line,
            start_column: region.start_utf16,
            end_line: region.end.line,
            end_column: region.end_utf16,
        }),
    }
}

fn artifact(path: &str) -> Artifact {
    Artifact { uri: encode(path), uri_base_id: ROOT }
}

/// A path as a relative URI.
fn encode(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => {
                let digits = b"0123456789ABCDEF";
                uri.push('%');
                uri.push(char::from(digits[usize::from(byte >> 4)]));
                uri.push(char::from(digits[usize::from(byte & 15)]));
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_relative_references() {
        assert_eq!(encode("src/A b.sol"), "src/A%20b.sol");
        assert_eq!(encode("src/é:x.sol"), "src/%C3%A9%3Ax.sol");
    }

    #[test]
    fn names_become_identifiers_and_messages_sentences() {
        assert_eq!(pascal_case("global-counter"), "GlobalCounter");
        assert_eq!(sentence("every call counts"), "Every call counts.");
        assert_eq!(sentence("`x` is hot"), "`x` is hot.");
    }
}
