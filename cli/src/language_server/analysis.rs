//! From a project that was read to what is known about its contracts.
//!
//! In: a project and the analyses of earlier times. Out: a [`Layer`]. Code that was analysed before is not analysed
//! again, however often the sources around it change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use deconflict_lints::{
    Analyzed, Checked, ContractFacts, ContractNames, Project, Settings, analysis_key, analyze_contract,
    check_analyzed, facts, is_checked,
};
use rayon::prelude::*;

/// Analyses by what they are the analysis of.
#[derive(Debug, Default)]
pub(super) struct Cache {
    analyses: BTreeMap<[u8; 32], Arc<Analyzed>>,
}

impl Cache {
    /// Forgets what none of the layers has.
    pub(super) fn keep<'a>(&mut self, layers: impl Iterator<Item = &'a Layer>) {
        let used: BTreeSet<[u8; 32]> =
            layers.flat_map(|layer| layer.contracts.iter().map(|contract| contract.key)).collect();
        self.analyses.retain(|key, _| used.contains(key));
    }
}

/// One reading of a project, or one run of a compiler over a part of it.
#[derive(Debug)]
pub(super) struct Layer {
    /// What was read.
    pub(super) project: Arc<Project>,
    /// The contracts that are checked.
    pub(super) contracts: Vec<Arc<Known>>,
}

/// What is known about one contract.
#[derive(Debug)]
pub(super) struct Known {
    /// Its place among the project's contracts.
    pub(super) index: usize,
    /// Its findings, at whatever level.
    pub(super) checked: Checked,
    /// Who reads and writes what.
    pub(super) facts: ContractFacts,
    key: [u8; 32],
}

impl Known {
    /// What an earlier process has found; the facts are still to come.
    pub(super) fn remembered(project: &Project, index: usize, checked: Checked) -> Self {
        let facts = ContractFacts { name: project.contracts[index].name.clone(), ..ContractFacts::default() };
        Self { index, checked, facts, key: [0; 32] }
    }
}

/// How much of the work was new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AnalysisWork {
    /// Contracts that were looked at.
    pub(super) contracts: usize,
    /// Contracts whose code had to be analysed.
    pub(super) analysed: usize,
}

/// The contracts of a project that are checked, by their places.
pub(super) fn checked(project: &Project) -> Vec<usize> {
    let own = project.contracts.iter().enumerate().filter(|(_, contract)| is_checked(contract));
    own.map(|(index, _)| index).collect()
}

/// Analyses what is new among some contracts of a project and runs the rules over all of them. `step` is called after
/// each contract.
pub(super) fn analyse(
    project: &Project,
    own: &[usize],
    cache: &mut Cache,
    settings: &Settings,
    step: &(dyn Fn() + Sync),
) -> (Vec<Arc<Known>>, AnalysisWork) {
    let results: Vec<(Known, Option<Arc<Analyzed>>)> = own
        .par_iter()
        .map(|&index| {
            let contract = &project.contracts[index];
            let names = ContractNames::new(project, contract);
            let key = analysis_key(contract, &names);
            let known = cache.analyses.get(&key);
            let fresh = known.is_none().then(|| Arc::new(analyze_contract(contract, &names)));
            let analyzed = known.or(fresh.as_ref()).expect("what is not known is new");
            let checked = check_analyzed(project, contract, &names, analyzed, settings);
            let facts = facts(project, contract, &names, analyzed);
            step();
            (Known { index, checked, facts, key }, fresh)
        })
        .collect();
    let mut work = AnalysisWork { contracts: results.len(), analysed: 0 };
    let mut contracts = Vec::with_capacity(results.len());
    for (known, fresh) in results {
        if let Some(analyzed) = fresh {
            work.analysed += 1;
            cache.analyses.insert(known.key, analyzed);
        }
        contracts.push(Arc::new(known));
    }
    (contracts, work)
}
