//! What a report looks like, one module a format.
//!
//! In: what was checked or inspected. Out: text. Every format says the same; none of them decides anything.

pub mod budget;
mod region;
mod concise;
pub mod editor;
mod github;
mod gitlab;
pub mod human;
pub mod inspect_json;
pub mod inspect_human;
pub mod json;
mod junit;
mod markdown;
pub mod rule_page;
mod sarif;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    check::Report,
    diagnostic::{Diagnostic, Severity},
    settings::Profile,
    unit::Project,
};

/// The formats of `check`. A new one is a file here and a line in this list.
pub const FORMATS: &[Format] = &[
    human::FORMAT,
    concise::FORMAT,
    json::FORMAT,
    sarif::FORMAT,
    github::FORMAT,
    gitlab::FORMAT,
    markdown::FORMAT,
    junit::FORMAT,
];

/// A format of output.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is for, in one line.
    pub summary: &'static str,
    /// Writes a report in it, with a line break at its end.
    pub render: fn(&Rendering<'_>) -> String,
}

/// What a format writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// What was checked.
    pub sections: &'a [Section<'a>],
    /// The folder of the repository, to which build servers take paths to be relative.
    pub repository: &'a Path,
    /// The folder that the command runs in, to which a terminal takes paths to be relative.
    pub folder: &'a Path,
    /// Whether escape sequences are wanted.
    pub color: bool,
}

impl<'a> Rendering<'a> {
    /// All diagnostics, each with the project that it is about.
    fn diagnostics(&self) -> impl Iterator<Item = (&'a Project, &'a Diagnostic)> {
        self.sections.iter().flat_map(|&Section { project, report }| {
            report.diagnostics.iter().map(move |diagnostic| (project, diagnostic))
        })
    }
}

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
    /// Findings that a comment suppresses.
    pub suppressed: usize,
    /// Findings that a baseline knows.
    pub known: usize,
    /// Findings in files that have not changed.
    pub unchanged: usize,
    /// What counts as a write, by the settings of the inputs.
    pub profiles: BTreeSet<Profile>,
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
            totals.suppressed += report.suppressed.len();
            totals.known += report.known;
            totals.unchanged += report.unchanged;
            totals.profiles.insert(report.profile);
            for diagnostic in &report.diagnostics {
                *totals.rules.entry((diagnostic.code, diagnostic.rule)).or_default() += 1;
            }
        }
        totals
    }

    /// The names of the profiles: one, unless inputs are set differently.
    pub fn profile_names(&self) -> Vec<&'static str> {
        self.profiles.iter().map(|profile| profile.name()).collect()
    }
}
