//! Findings that are known and do not count: `--baseline`.
//!
//! In: a report, or the text of a baseline. Out: the report without what the baseline knows, or the text of a new one. A
//! finding is known by its fingerprint, so that it stays known while lines move. The structs here are the format; the
//! file is read and written by whoever calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{check::Report, unit::Project};

const SCHEMA: &str = "deconflict/baseline/1";

/// Known findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// How often each fingerprint is known.
    known: BTreeMap<String, usize>,
}

/// Why a file is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// It is not what this program writes.
    #[error("{file} is no baseline ({message}): write it again with `deconflict check --write-baseline`")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong and where.
        message: String,
    },
    /// A newer version wrote it.
    #[error(
        "{file} has the format `{schema}`, and this version of Deconflict reads `{SCHEMA}`: install a newer one, or write it again with `deconflict check --write-baseline`"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        schema: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: String,
    findings: Vec<Entry>,
}

/// All but the fingerprint is for those who read the file.
#[derive(Serialize, Deserialize)]
struct Entry {
    fingerprint: String,
    rule: String,
    contract: String,
    #[serde(default)]
    file: Option<String>,
    message: String,
}

#[derive(Deserialize)]
struct Heading {
    schema: String,
}

impl Baseline {
    /// Reads the text of a baseline; `file` is how messages call it.
    ///
    /// ```
    /// use deconflict_lints::{Baseline, BaselineError, Project, Report};
    ///
    /// let text = Baseline::render(std::iter::empty::<(&Project, &Report)>());
    /// assert_eq!(Baseline::parse("baseline.json", &text)?.left(), 0);
    /// assert!(Baseline::parse("baseline.json", "{}").is_err());
    /// # Ok::<(), BaselineError>(())
    /// ```
    pub fn parse(file: &str, text: &str) -> Result<Self, BaselineError> {
        let malformed = |error: serde_json::Error| BaselineError::Malformed {
            file: file.to_owned(),
            message: error.to_string(),
        };
        let Heading { schema } = serde_json::from_str(text).map_err(malformed)?;
        if schema != SCHEMA {
            let newer = schema.starts_with("deconflict/baseline/");
            let file = file.to_owned();
            let message = format!("its schema is `{schema}`");
            return Err(if newer {
                BaselineError::Newer { file, schema }
            } else {
                BaselineError::Malformed { file, message }
            });
        }
        let document: Document = serde_json::from_str(text).map_err(malformed)?;
        let mut known = BTreeMap::new();
        for entry in document.findings {
            *known.entry(entry.fingerprint).or_default() += 1;
        }
        Ok(Self { known })
    }

    /// The text of a baseline that knows everything in the reports.
    pub fn render<'a>(reports: impl IntoIterator<Item = (&'a Project, &'a Report)>) -> String {
        let entries = reports.into_iter().flat_map(|(project, report)| {
            report.diagnostics.iter().map(|diagnostic| Entry {
                fingerprint: diagnostic.fingerprint.clone(),
                rule: diagnostic.rule.to_owned(),
                contract: diagnostic.contract.clone(),
                file: diagnostic.primary.as_ref().map(|label| project.source(label.span.source).path.clone()),
                message: diagnostic.message.clone(),
            })
        });
        let mut findings: Vec<Entry> = entries.collect();
        // By what does not move, so that a difference between two versions of the file is a difference between findings.
        findings.sort_by(|a, b| {
            (&a.file, &a.contract, &a.rule, &a.fingerprint).cmp(&(
                &b.file,
                &b.contract,
                &b.rule,
                &b.fingerprint,
            ))
        });
        let document = Document { schema: SCHEMA.to_owned(), findings };
        let mut text = serde_json::to_string_pretty(&document).expect("the document holds strings only");
        text.push('\n');
        text
    }

    /// Takes out of the report what is known. Each entry accounts for one finding, whichever project it is in.
    pub fn apply(&mut self, report: &mut Report) {
        let before = report.diagnostics.len();
        report.diagnostics.retain(|diagnostic| match self.known.get_mut(&diagnostic.fingerprint) {
            Some(left @ 1..) => {
                *left -= 1;
                false
            }
            _ => true,
        });
        report.known += before - report.diagnostics.len();
    }

    /// How many entries no report has accounted for: findings that are gone.
    pub fn left(&self) -> usize {
        self.known.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_baseline_is_told() {
        let wrong = |text: &str| Baseline::parse("known.json", text).expect_err(text).to_string();
        assert!(wrong("").starts_with("known.json is no baseline (EOF"));
        assert!(wrong("[]").contains("is no baseline"));
        assert!(wrong("{\"schema\": \"deconflict/baseline/2\"}").contains("install a newer one"));
        assert!(wrong("{\"schema\": \"other/1\", \"findings\": []}").contains("its schema is `other/1`"));
        assert!(wrong("{\"schema\": \"deconflict/baseline/1\"}").contains("missing field `findings`"));
        let empty = Baseline::parse("known.json", &Baseline::render([])).expect("what it writes, it reads");
        assert_eq!(empty, Baseline::default());
    }
}
