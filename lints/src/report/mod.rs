//! What a report looks like, one module a format.
//!
//! In: what was checked or inspected. Out: text. Every format says the same; none of them decides anything.

pub mod human;
pub mod inspect_human;
pub mod inspect_json;
pub mod json;
pub mod rule_page;

use std::collections::BTreeMap;

use crate::{check::Report, diagnostic::Severity, unit::Project};

/// One checked input.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// What was read.
    pub project: &'a Project,
    /// What was found in it.
    pub report: &'a Report,
}

/// Counts over all inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Denied findings.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
    /// Contracts that were checked.
    pub contracts: usize,
    /// Their entry points.
    pub functions: usize,
    /// Entry points that the analysis does not cover in full.
    pub incomplete: usize,
    /// Findings by rule: code and name.
    pub rules: BTreeMap<(&'static str, &'static str), usize>,
}

impl Totals {
    /// Adds up all sections.
    pub fn of(sections: &[Section<'_>]) -> Self {
        let mut totals = Self::default();
        for Section { report, .. } in sections {
            totals.errors += report.count(Severity::Error);
            totals.warnings += report.count(Severity::Warning);
            totals.notes += report.count(Severity::Note);
            totals.contracts += report.contracts;
            totals.functions += report.functions;
            totals.incomplete += report.incomplete;
            for diagnostic in &report.diagnostics {
                *totals.rules.entry((diagnostic.code, diagnostic.rule)).or_default() += 1;
            }
        }
        totals
    }
}
