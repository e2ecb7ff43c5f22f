//! The last good state of one project, as requests are answered from.
//!
//! In: layers with what is known about their contracts, and the configuration. Out: a [`Snapshot`] that never changes:
//! the findings by file, and the facts. A newer layer replaces the contracts that it has; of what several layers say of
//! the same line, one is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use deconflict_lints::{
    Baseline, Configuration, Contract, ContractFacts, Diagnostic, Levels, Project, Report, Source, SourceId,
    UNUSED_SUPPRESSION, report_of,
};

use super::analysis::{Known, Layer};
use crate::text;

/// A layer and those of its contracts that no newer layer has.
#[derive(Clone, Debug)]
pub(super) struct Live {
    /// The layer.
    pub(super) layer: Arc<Layer>,
    /// Indexes into its contracts.
    pub(super) contracts: Vec<usize>,
}

impl Live {
    /// What is known about the contracts.
    pub(super) fn known(&self) -> impl Iterator<Item = &Known> {
        self.contracts.iter().map(|&index| &*self.layer.contracts[index])
    }

    /// The contracts.
    pub(super) fn contracts(&self) -> impl Iterator<Item = &Contract> {
        self.known().map(|known| &self.layer.project.contracts[known.index])
    }
}

/// How well a snapshot fits the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It is about the sources as they were saved.
    Current,
    /// The sources have changed and do not compile; it is about an earlier text.
    Stale,
    /// There is nothing to show yet.
    Empty,
}

/// The findings in one file.
#[derive(Clone, Debug)]
pub(super) struct FileFindings {
    /// The text that the findings are about.
    pub(super) text: Arc<str>,
    /// The findings, each with the layer that it comes from, in order of place and rule.
    pub(super) findings: Vec<(usize, Diagnostic)>,
}

/// One project.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// Its folder.
    pub(super) root: PathBuf,
    /// What was read, older readings first.
    pub(super) layers: Vec<Live>,
    /// The findings.
    pub(super) files: BTreeMap<PathBuf, FileFindings>,
    /// How well it fits the sources.
    pub(super) freshness: Freshness,
}

/// What findings are reported by.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The project's configuration.
    pub(super) configuration: Configuration,
    /// The levels, with the client's on top.
    pub(super) levels: Levels,
}

impl Snapshot {
    /// Gathers the findings of all layers. Where these are but a part of what there is, no comment is called useless.
    pub(super) fn new(
        root: PathBuf,
        layers: Vec<Live>,
        rules: &Rules,
        freshness: Freshness,
        is_part: bool,
    ) -> Self {
        let files = gather(&root, &layers, rules, is_part);
        Self { root, layers, files, freshness }
    }

    /// The newest layer that has live contracts from a file, and the file in it.
    pub(super) fn source(&self, path: &Path) -> Option<(&Live, &Source)> {
        let mut other = None;
        for live in self.layers.iter().rev() {
            let sources = &live.layer.project.sources;
            let Some(source) = sources.iter().find(|it| it.absolute.as_deref() == Some(path)) else {
                continue;
            };
            if live.contracts().any(|contract| contract.source == Some(source.id)) {
                return Some((live, source));
            }
            other = other.or(Some((live, source)));
        }
        other
    }

    /// The text that is known of a file.
    pub(super) fn text(&self, path: &Path) -> Option<&Arc<str>> {
        self.source(path).map(|(_, source)| &source.text)
    }

    /// All facts, each with the project that its spans belong to.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&Project, &ContractFacts)> {
        let layers = self.layers.iter().rev();
        layers.flat_map(|live| live.known().map(|known| (&*live.layer.project, &known.facts)))
    }
}

fn gather(root: &Path, layers: &[Live], rules: &Rules, is_part: bool) -> BTreeMap<PathBuf, FileFindings> {
    let mut baseline = read_baseline(root, &rules.configuration);
    let mut files: BTreeMap<PathBuf, FileFindings> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // A comment is of use if it is to any of the layers that look at its file.
    let mut useless: BTreeMap<(PathBuf, u32), Vec<(usize, Diagnostic)>> = BTreeMap::new();
    let mut lookers: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (index, live) in layers.iter().enumerate().rev() {
        let project = &live.layer.project;
        let mut report = report(live, rules);
        if let Some(baseline) = &mut baseline {
            baseline.apply(&mut report);
        }
        for source in looked_at(live) {
            if let Some(path) = &project.source(source).absolute {
                *lookers.entry(path.clone()).or_default() += 1;
            }
        }
        for diagnostic in report.diagnostics {
            let Some(label) = &diagnostic.primary else { continue };
            let source = project.source(label.span.source);
            let Some(path) = source.absolute.clone() else { continue };
            if UNUSED_SUPPRESSION.has_found(&diagnostic) {
                useless.entry((path, label.span.start)).or_default().push((index, diagnostic));
                continue;
            }
            let place = source.position(label.span.start);
            if seen.insert((path.clone(), place, diagnostic.code, diagnostic.variable.clone())) {
                add(&mut files, path, source, index, diagnostic);
            }
        }
    }
    for ((path, _), mut found) in useless {
        if !is_part && found.len() >= lookers.get(&path).copied().unwrap_or_default() {
            let (index, diagnostic) = found.swap_remove(0);
            let label = diagnostic.primary.as_ref().expect("a comment has a place");
            let source = layers[index].layer.project.source(label.span.source);
            add(&mut files, path, source, index, diagnostic);
        }
    }
    for file in files.values_mut() {
        let start = |it: &Diagnostic| it.primary.as_ref().map(|label| label.span.start);
        file.findings.sort_by_key(|(_, it)| (start(it), it.code, it.variable.clone()));
    }
    files
}

fn add(
    files: &mut BTreeMap<PathBuf, FileFindings>,
    path: PathBuf,
    source: &Source,
    layer: usize,
    diagnostic: Diagnostic,
) {
    let new = || FileFindings { text: Arc::clone(&source.text), findings: Vec::new() };
    let file = files.entry(path).or_insert_with(new);
    // Offsets mean nothing in another text; a layer that old is about to be replaced.
    if file.text == source.text {
        file.findings.push((layer, diagnostic));
    }
}

fn report(live: &Live, rules: &Rules) -> Report {
    let Rules { configuration, levels } = rules;
    let project = &*live.layer.project;
    let excluded =
        |contract: &Contract| contract.source.is_some_and(|source| configuration.excludes(project, source));
    let inside = live.known().filter(|known| !excluded(&project.contracts[known.index]));
    let (contracts, checked): (Vec<_>, Vec<_>) =
        inside.map(|known| (&project.contracts[known.index], known.checked.clone())).unzip();
    report_of(project, configuration, levels, contracts, checked)
}

/// The files that the contracts are written in, inherited ones included.
fn looked_at(live: &Live) -> BTreeSet<SourceId> {
    let project = &live.layer.project;
    let mut sources = BTreeSet::new();
    for contract in live.contracts() {
        sources.extend(contract.source);
        let bases = project.definition_of(contract).map(|it| it.bases.as_slice()).unwrap_or_default();
        sources.extend(bases.iter().map(|base| base.source));
    }
    sources
}

/// What `check` would leave out. A file that cannot be read is something for `check` to complain about.
fn read_baseline(root: &Path, configuration: &Configuration) -> Option<Baseline> {
    let usual = || Some(root.join("deconflict-baseline.json")).filter(|path| path.is_file());
    let path = configuration.baseline.clone().or_else(usual)?;
    let text = text::read(&path).ok()?;
    Baseline::parse(&path.display().to_string(), &text).ok()
}
