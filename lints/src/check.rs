//! From a project to its diagnostics.
//!
//! In: a [`Project`] and the levels. Out: a [`Report`], sorted by file, place and rule, the same whatever the order in
//! which contracts were analysed: [`check_contract`] is a function of one contract, so that the caller may run it on as
//! many threads as it likes, and [`merge`] puts the results together. Nothing here starts a thread.

mod links;
mod cross_contract;
mod cache_form;

pub use cache_form::ProjectKey;

use std::collections::{BTreeMap, btree_map::Entry};

use alloy_primitives::keccak256;
use deconflict_analyzer::{Analysis, Conflict, Immutable, Options, analyze, conflicts};

use crate::{
    config::Levels,
    diagnostic::{Diagnostic, Severity, fingerprint},
    naming::ContractNames,
    place::Places,
    rule::Finding,
    rules,
    settings::{Profile, Settings},
    source_map::SourceSpan,
    unit::{Contract, ContractKind, Origin, Project},
    view::ContractView,
};

/// What is known about the code of one contract.
#[derive(Clone, Debug)]
pub struct Analyzed {
    /// Summaries and expressions.
    pub analysis: Analysis,
    /// The conflict matrix.
    pub conflicts: Vec<Conflict>,
}

/// What one contract adds to the report.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What was found, at whatever level.
    pub(crate) findings: Vec<Finding>,
    /// How many entry points the contract has.
    pub functions: usize,
    /// How many of them the analysis does not cover in full.
    pub incomplete: usize,
    /// What the contract calls and writes, to be compared with the other contracts of the project.
    pub(crate) links: links::Links,
}

/// What is reported.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In order of file, place and rule.
    pub diagnostics: Vec<Diagnostic>,
    /// What a comment suppresses.
    pub suppressed: Vec<Suppressed>,
    /// How many findings a baseline knows.
    pub known: usize,
    /// How many findings lie in files that have not changed, where only changes were asked for.
    pub unchanged: usize,
    /// How many contracts were checked.
    pub contracts: usize,
    /// How many entry points they have.
    pub functions: usize,
    /// How many entry points the analysis does not cover in full.
    pub incomplete: usize,
    /// What counts as a write on the engine that the findings are for.
    pub profile: Profile,
}

/// A finding that a comment covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// The finding.
    pub diagnostic: Diagnostic,
    /// What the comment says why.
    pub reason: Option<String>,
}

impl Report {
    /// Brings the diagnostics into the order of file, line and rule; those without a line come last.
    pub(crate) fn sort(&mut self, project: &Project) {
        self.diagnostics.sort_by_cached_key(|diagnostic| {
            let place = diagnostic.primary.as_ref().map(|label| line(project, label.span));
            let without_line = place.is_none().then(|| (diagnostic.contract.clone(), diagnostic.pc));
            (place.is_none(), place, without_line, diagnostic.code, diagnostic.variable.clone())
        });
    }

    /// How many diagnostics have that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }
}

/// Whether a contract is checked at all: dependencies, tests and scripts are not, nor are libraries, which run in the
/// storage of the contracts that call them.
pub fn is_checked(contract: &Contract) -> bool {
    contract.origin == Origin::Project && contract.kind != ContractKind::Library
}

/// Tells analyses apart: two contracts with the same key have the same analysis. The metadata at the end of the code,
/// which changes with every comment, has no part in it.
pub fn analysis_key(contract: &Contract, names: &ContractNames<'_>) -> [u8; 32] {
    let code = without_metadata(&contract.runtime);
    let mut bytes = code.to_vec();
    bytes.extend((code.len() as u64).to_be_bytes());
    bytes.extend(names.selectors().iter().flat_map(|selector| selector.0));
    for place in &contract.immutables {
        bytes.extend([place.id, place.range.start, place.range.end].iter().flat_map(|it| it.to_be_bytes()));
    }
    keccak256(&bytes).0
}

/// The code before what the Solidity compiler says of itself at its end: a CBOR map and its length in two bytes.
fn without_metadata(code: &[u8]) -> &[u8] {
    let Some((rest, length)) = code.split_last_chunk::<2>() else { return code };
    let start = rest.len().checked_sub(usize::from(u16::from_be_bytes(*length)));
    match start {
        Some(start) if rest.get(start).is_some_and(|byte| (0xa1..=0xa7).contains(byte)) => &rest[..start],
        _ => code,
    }
}

/// Analyses the code of a contract.
pub fn analyze_contract(contract: &Contract, names: &ContractNames<'_>) -> Analyzed {
    let places = contract.immutables.iter();
    let immutables = places
        .map(|place| Immutable {
            id: place.id,
            offset: place.range.start,
            length: place.range.end - place.range.start,
        })
        .collect();
    let options = Options {
        selectors: names.selectors(),
        immutables,
        slots: names.slots(),
        one_default: names.has_one_default(),
    };
    let analysis = analyze(contract.runtime.clone(), &options);
    let conflicts = conflicts(&analysis);
    Analyzed { analysis, conflicts }
}

/// Runs all rules over one contract.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_lints::{Levels, LoadOptions, Settings, check_contract, load, merge};
///
/// let artifact = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/artifacts/global-counter/Ticketing.json");
/// let project = load(Path::new(artifact), LoadOptions::default())?;
/// let checked = check_contract(&project, &project.contracts[0], &Settings::default());
/// let report = merge(&project, [checked], &Levels::default());
/// assert!(report.diagnostics.iter().any(|diagnostic| diagnostic.rule == "global-counter"));
/// # Ok::<(), deconflict_lints::Error>(())
/// ```
pub fn check_contract(project: &Project, contract: &Contract, settings: &Settings) -> Checked {
    let names = ContractNames::new(project, contract);
    let analyzed = analyze_contract(contract, &names);
    check_analyzed(project, contract, &names, &analyzed, settings)
}

/// Runs all rules over one contract whose code has been analysed before.
pub fn check_analyzed(
    project: &Project,
    contract: &Contract,
    names: &ContractNames<'_>,
    analyzed: &Analyzed,
    settings: &Settings,
) -> Checked {
    let Analyzed { analysis, conflicts } = analyzed;
    let places = Places { project, contract };
    let view = ContractView::new(&contract.name, analysis, conflicts, names, &places, settings);
    let incomplete = analysis.summaries.iter().filter(|summary| !summary.is_complete()).count();
    Checked {
        findings: rules::run(&view),
        functions: analysis.summaries.len(),
        incomplete,
        links: links::links(&view, contract.qualified_name()),
    }
}

/// Puts the contracts' findings together, and adds what shows only where one contract calls another: one for each
/// variable and line, however many contracts inherit it, without those whose rule is allowed.
pub fn merge(project: &Project, checked: impl IntoIterator<Item = Checked>, levels: &Levels) -> Report {
    let mut report = Report::default();
    let mut checked: Vec<Checked> = checked.into_iter().collect();
    cross_contract::add(project, &mut checked);
    let mut by_place: BTreeMap<Key, Finding> = BTreeMap::new();
    for contract in checked {
        report.contracts += 1;
        report.functions += contract.functions;
        report.incomplete += contract.incomplete;
        for mut finding in contract.findings {
            let Some(severity) = levels.severity_of(project, &finding.diagnostic) else { continue };
            finding.diagnostic.severity = severity;
            match by_place.entry(Key::of(project, &finding)) {
                Entry::Vacant(entry) => {
                    entry.insert(finding);
                }
                Entry::Occupied(mut entry) => join(project, entry.get_mut(), finding),
            }
        }
    }
    report.diagnostics = by_place.into_values().map(|finding| finding.diagnostic).collect();
    report
}

/// What makes two findings one, in the order in which findings are reported: those without a line come last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    line: Option<(String, u32)>,
    without_line: Option<(String, u32)>,
    code: &'static str,
    variable: String,
    owner: String,
}

impl Key {
    fn of(project: &Project, finding: &Finding) -> Self {
        let diagnostic = &finding.diagnostic;
        let line = diagnostic.primary.as_ref().map(|label| line(project, label.span));
        // `None` sorts first, so that what has a line needs a placeholder to stay ahead of what has none.
        let without_line = line.is_none().then(|| (diagnostic.contract.clone(), diagnostic.pc.0));
        let line = Some(line.unwrap_or_else(|| ("\u{10ffff}".to_owned(), u32::MAX)));
        Self {
            line,
            without_line,
            code: diagnostic.code,
            variable: diagnostic.variable.clone(),
            owner: finding.owner.clone(),
        }
    }
}

fn line(project: &Project, span: SourceSpan) -> (String, u32) {
    let source = project.source(span.source);
    (source.path.clone(), source.position(span.start).line)
}

/// Adds what another contract says of the same line to the finding.
fn join(project: &Project, finding: &mut Finding, other: Finding) {
    let (into, from) = (&mut finding.diagnostic, other.diagnostic);
    into.functions.extend(from.functions);
    into.functions.sort();
    into.functions.dedup();
    into.confidence = into.confidence.min(from.confidence);
    into.effects.extend(from.effects);
    into.effects.sort();
    into.effects.dedup_by(|later, first| later.function == first.function);
    if from.contract != into.contract {
        let note = format!("found in `{}` as well, which shares this code", from.contract);
        if !into.notes.contains(&note) {
            into.notes.push(note);
        }
    }
    for label in from.related {
        let place = line(project, label.span);
        if !into.related.iter().any(|known| line(project, known.span) == place) {
            into.related.push(label);
        }
    }
    into.related.sort();
    into.fingerprint = fingerprint(into.rule, &finding.owner, &into.functions, &into.variable);
}
