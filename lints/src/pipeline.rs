//! From a project and its configuration to what is reported: the one way, whoever asks.
//!
//! In: a [`Project`], its [`Configuration`], the [`Levels`], and what contracts came to before. Out: the [`Report`] that
//! `check` prints, that an editor shows and that a library's user gets: which contracts are judged, what comments
//! suppress and what lies in excluded files is decided here and nowhere else. Contracts are judged in whatever order and on
//! whatever threads the caller likes, which the report does not depend on. Nothing here starts a thread, reads or writes a
//! file: threads and the [`ResultCache`] are the caller's.

use std::{collections::BTreeMap, sync::OnceLock};

use crate::{
    check::{Checked, ProjectKey, Report, check_contract, is_checked, merge},
    config::{Configuration, Levels},
    suppress::apply as apply_suppressions,
    unit::{Contract, Project},
};

/// What contracts came to before, as bytes by keys that hold all that a result is made from.
pub trait ResultCache: Sync {
    /// The result that is known by the key.
    fn get(&self, key: u128) -> Option<Checked>;

    /// What is to be known from now on: the result of each contract of the project, or none where it is known already.
    fn replace(&self, found: BTreeMap<u128, Option<Vec<u8>>>);
}

/// Knows nothing, and forgets what it hears.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl ResultCache for NoCache {
    fn get(&self, _: u128) -> Option<Checked> {
        None
    }

    fn replace(&self, _: BTreeMap<u128, Option<Vec<u8>>>) {}
}

/// The contracts that are judged: the project's own, without libraries and without those in files that the configuration
/// excludes.
pub fn judged<'p>(project: &'p Project, configuration: &Configuration) -> Vec<&'p Contract> {
    let is_judged = |contract: &&Contract| {
        is_checked(contract) && !contract.source.is_some_and(|source| configuration.excludes(project, source))
    };
    project.contracts.iter().filter(is_judged).collect()
}

/// Calls a function once with each number below a count, and comes back when all calls have.
pub type Each<'a> = &'a dyn Fn(usize, &(dyn Fn(usize) + Sync));

/// One after the other, on the thread that calls.
///
/// ```
/// let sum = std::sync::atomic::AtomicUsize::new(0);
/// deconflict_lints::in_turn(4, &|number| {
///     sum.fetch_add(number, std::sync::atomic::Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 6);
/// ```
pub fn in_turn(count: usize, one: &(dyn Fn(usize) + Sync)) {
    (0..count).for_each(one);
}

/// Judges every contract of a project; `each` says on which threads.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_lints::{Configuration, Levels, LoadOptions, NoCache, check_project, in_turn, load};
///
/// let artifact = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/artifacts/global-counter/Ticketing.json");
/// let project = load(Path::new(artifact), LoadOptions::default())?;
/// let report = check_project(&project, &Configuration::default(), &Levels::default(), &NoCache, &in_turn);
/// assert!(report.diagnostics.iter().any(|diagnostic| diagnostic.rule == "global-counter"));
/// # Ok::<(), deconflict_lints::Error>(())
/// ```
pub fn check_project(
    project: &Project,
    configuration: &Configuration,
    levels: &Levels,
    cache: &dyn ResultCache,
    each: Each<'_>,
) -> Report {
    let contracts = judged(project, configuration);
    let project_key = ProjectKey::new(project, &configuration.settings);
    let judge = |contract: &Contract| {
        let key = project_key.of(contract);
        let known = cache.get(key);
        let is_known = known.is_some();
        let checked = known.unwrap_or_else(|| check_contract(project, contract, &configuration.settings));
        (key, is_known, checked)
    };
    let places: Vec<OnceLock<(u128, bool, Checked)>> = contracts.iter().map(|_| OnceLock::new()).collect();
    each(contracts.len(), &|index| {
        places[index].get_or_init(|| judge(contracts[index]));
    });
    // Whoever was to call may have left one out.
    let results: Vec<_> = places
        .into_iter()
        .zip(&contracts)
        .map(|(place, contract)| place.into_inner().unwrap_or_else(|| judge(contract)))
        .collect();
    let entry =
        |(key, is_known, checked): &(u128, bool, Checked)| (*key, (!is_known).then(|| checked.to_bytes()));
    cache.replace(results.iter().map(entry).collect());
    report_of(project, configuration, levels, contracts, results.into_iter().map(|it| it.2))
}

/// The report of contracts that have been judged before, each with its [`Checked`]: as [`check_project`] has it, for whoever
/// keeps what contracts come to.
pub fn report_of<'p>(
    project: &Project,
    configuration: &Configuration,
    levels: &Levels,
    contracts: impl IntoIterator<Item = &'p Contract>,
    checked: impl IntoIterator<Item = Checked>,
) -> Report {
    let mut report = merge(project, checked, levels);
    report.diagnostics.retain(|diagnostic| {
        !diagnostic.primary.as_ref().is_some_and(|label| configuration.excludes(project, label.span.source))
    });
    report.profile = configuration.settings.profile;
    apply_suppressions(project, contracts, &mut report, levels, configuration.require_reason);
    report
}
