//! The thread that reads, compiles and analyses.
//!
//! In: [`Job`]s. Out: [`Update`]s, above all a new [`Snapshot`] whenever one is known. Jobs that have gathered while
//! another was under way are done together, so that a user who saves faster than the compiler compiles waits for one
//! more run and not for all of them. A project that does not compile keeps its last good snapshot. A panic ends a job,
//! not the thread.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender};
use deconflict_lints::{Error, LoadOptions, Notice, Project, ProjectKey, ResultCache as _, load};

use super::{
    Event,
    analysis::{self, Cache, Known, Layer},
    client::Urgency,
    compiler::{Compiler, Outcome},
    settings::Settings,
    snapshot::{Freshness, Live, Rules, Snapshot},
};
use crate::{arguments::Input, configuration, results::Results};

/// What there is to do.
#[derive(Debug)]
pub(super) enum Job {
    /// The user's settings are these now.
    Configure(Box<Settings>),
    /// Read a project.
    Open(PathBuf),
    /// Forget a project.
    Close(PathBuf),
    /// Sources of a project are others than before.
    Saved(PathBuf, BTreeSet<PathBuf>),
    /// The configuration of a project, or the output of its build, is another than before.
    Rebuilt(PathBuf),
}

/// What there is to say.
#[derive(Debug)]
pub(super) enum Update {
    /// This is known about a project now.
    Snapshot(Arc<Snapshot>),
    /// Something that takes its time has begun.
    Begin(PathBuf, String),
    /// So much of it is done.
    Step(PathBuf, usize, usize),
    /// It has ended, and how.
    End(PathBuf, String),
    /// Something that the user may want to know.
    Say(Urgency, String),
}

/// Starts the thread. It ends when nobody can send it jobs any more.
pub(super) fn start(events: Sender<Event>, folder: PathBuf) -> (Sender<Job>, JoinHandle<()>) {
    let (sender, jobs) = crossbeam_channel::unbounded();
    let thread = thread::spawn(move || {
        let compiler = Compiler::new(folder);
        let settings = Settings::default();
        Worker { events, settings, compiler, cache: Cache::default(), projects: BTreeMap::new() }.run(&jobs);
    });
    (sender, thread)
}

struct Worker {
    events: Sender<Event>,
    settings: Settings,
    compiler: Compiler,
    cache: Cache,
    projects: BTreeMap<PathBuf, State>,
}

/// One project.
struct State {
    layers: Vec<Live>,
    rules: Rules,
    freshness: Freshness,
    /// What was said already.
    said: BTreeSet<String>,
}

/// What can be shown of a project before all of it is known.
struct Early {
    freshness: Freshness,
    /// The findings that an earlier process has had, by the contracts' places.
    remembered: BTreeMap<usize, Arc<Known>>,
}

/// What is to be done about one project.
#[derive(Debug, Default)]
struct Task {
    read: bool,
    saved: BTreeSet<PathBuf>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        for first in jobs {
            let mut tasks: BTreeMap<PathBuf, Task> = BTreeMap::new();
            for job in std::iter::once(first).chain(jobs.try_iter().collect::<Vec<_>>()) {
                match job {
                    Job::Configure(settings) => {
                        if *settings != self.settings {
                            self.settings = *settings;
                            for root in self.projects.keys() {
                                tasks.entry(root.clone()).or_default().read = true;
                            }
                        }
                    }
                    Job::Open(root) | Job::Rebuilt(root) => tasks.entry(root).or_default().read = true,
                    Job::Close(root) => {
                        tasks.remove(&root);
                        self.projects.remove(&root);
                    }
                    Job::Saved(root, files) => tasks.entry(root).or_default().saved.extend(files),
                }
            }
            for (root, task) in tasks {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(&root, task))) {
                    let what = panic_text(panic.as_ref());
                    let name = root.display();
                    self.tell(Update::End(root.clone(), "failed".to_owned()));
                    self.tell(Update::Say(
                        Urgency::Warning,
                        format!("deconflict failed on {name} ({what}); the last good findings stay. Please report it"),
                    ));
                }
            }
        }
    }

    fn work(&mut self, root: &Path, task: Task) {
        let mut wanted = Some(task.saved);
        if task.read || !self.projects.contains_key(root) {
            // Nobody knows which sources are not compiled yet; reading the project tells.
            let missing = self.read(root);
            wanted = missing.zip(wanted).map(|(missing, mut saved)| {
                saved.extend(missing);
                saved
            });
        }
        match wanted {
            Some(saved) if saved.is_empty() => {}
            wanted => self.compile(root, wanted.as_ref()),
        }
    }

    /// Reads what was built. Returns the sources that have changed since, or `None` where nothing was built.
    fn read(&mut self, root: &Path) -> Option<BTreeSet<PathBuf>> {
        let name = root
            .file_name()
            .map_or_else(|| root.display().to_string(), |it| it.to_string_lossy().into_owned());
        self.tell(Update::Begin(root.to_owned(), format!("Analysing {name}")));
        let read = load(root, LoadOptions::default());
        let rules = self.rules(root);
        let mut state = self.projects.remove(root).unwrap_or_else(|| State {
            layers: Vec::new(),
            rules: Rules::default(),
            freshness: Freshness::Empty,
            said: BTreeSet::new(),
        });
        state.rules = rules;
        let mut found = None;
        let (missing, end) = match read {
            Ok(project) => {
                let stale = stale_sources(&project);
                let notices: Vec<String> =
                    project.notices.iter().filter(|it| it.is_warning()).map(ToString::to_string).collect();
                for notice in notices {
                    if state.said.insert(notice.clone()) {
                        self.tell(Update::Say(Urgency::Log, notice));
                    }
                }
                state.freshness = if stale.is_empty() { Freshness::Current } else { Freshness::Stale };
                // Whoever has nothing yet is shown something soon; whoever has something keeps it until all is known.
                let settings = &state.rules.configuration.settings;
                let results = Results::open(&project, root);
                let keys = keys(&project, settings);
                let early = state.layers.is_empty().then(|| Early {
                    freshness: state.freshness,
                    remembered: remembered(&project, &keys, &results),
                });
                let (layer, end) = self.analyse(root, project, &state.rules, early.as_ref());
                found = Some((results, keys));
                state.layers = vec![all_of(layer)];
                (Some(stale), end)
            }
            Err(Error::NotBuilt { .. } | Error::NothingFound { .. } | Error::NoBytecode { .. }) => {
                (None, "no build output yet".to_owned())
            }
            Err(error) => {
                let text = error.to_string();
                if state.said.insert(text.clone()) {
                    self.tell(Update::Say(Urgency::Warning, text));
                }
                (Some(BTreeSet::new()), "could not be read".to_owned())
            }
        };
        self.projects.insert(root.to_owned(), state);
        self.publish(root);
        if let Some((results, keys)) = found
            && let Some(live) = self.projects.get(root).and_then(|state| state.layers.first())
        {
            // Findings are out already; once the work is said to be done, the process may end at any time.
            remember(&results, &keys, &live.layer);
        }
        self.tell(Update::End(root.to_owned(), end));
        missing
    }

    /// Compiles sources and what depends on them, or everything, and puts the result on top of what is known.
    fn compile(&mut self, root: &Path, saved: Option<&BTreeSet<PathBuf>>) {
        let Some(mut state) = self.projects.remove(root) else { return };
        if saved.is_none() {
            state.layers.clear();
        }
        forget_deleted(&mut state.layers);
        if !self.settings.compile {
            if saved.is_some() {
                state.freshness = Freshness::Stale;
            }
            self.projects.insert(root.to_owned(), state);
            return self.publish(root);
        }
        let name = root
            .file_name()
            .map_or_else(|| root.display().to_string(), |it| it.to_string_lossy().into_owned());
        self.tell(Update::Begin(root.to_owned(), format!("Compiling {name}")));
        let projects: Vec<&Project> = state.layers.iter().map(|live| &*live.layer.project).collect();
        let checked: BTreeSet<PathBuf> = live_sources(&state.layers);
        let started = Instant::now();
        let outcome = self.compiler.compile(root, saved, &checked, &projects, self.settings.solc.as_deref());
        let took = started.elapsed();
        let end = match outcome {
            Outcome::Compiled { project, targets, by } => {
                let (layer, end) = self.analyse(root, project, &state.rules, None);
                replace(&mut state.layers, layer, &targets);
                state.freshness = Freshness::Current;
                let text = format!(
                    "{by}: {} ms, then {} ms",
                    took.as_millis(),
                    started.elapsed().saturating_sub(took).as_millis()
                );
                self.tell(Update::Say(Urgency::Log, text));
                end
            }
            Outcome::Nothing => "nothing to compile".to_owned(),
            Outcome::Broken { by } => {
                let was_known = state.freshness == Freshness::Stale;
                state.freshness = if state.layers.is_empty() { Freshness::Empty } else { Freshness::Stale };
                if !was_known {
                    self.tell(Update::Say(
                        Urgency::Log,
                        format!(
                            "{by}: the sources do not compile; findings are those of the last build that did"
                        ),
                    ));
                }
                "does not compile, showing the last good findings".to_owned()
            }
            Outcome::NoCompiler { advice } => {
                state.freshness = if state.layers.is_empty() { Freshness::Empty } else { Freshness::Stale };
                if state.said.insert(advice.clone()) {
                    self.tell(Update::Say(Urgency::Warning, advice));
                }
                "no compiler".to_owned()
            }
        };
        self.projects.insert(root.to_owned(), state);
        self.publish(root);
        self.tell(Update::End(root.to_owned(), end));
    }

    /// Analyses a project, a few contracts first and then more and more at a time. With `early`, what is known so far is
    /// published now and then.
    fn analyse(
        &mut self,
        root: &Path,
        project: Project,
        rules: &Rules,
        early: Option<&Early>,
    ) -> (Layer, String) {
        const FIRST: usize = 4;
        let project = Arc::new(project);
        let own = analysis::checked(&project);
        let (events, done, all) = (self.events.clone(), AtomicUsize::new(0), own.len());
        let step = || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            // A client needs to see that something moves, not every contract.
            if done.is_multiple_of(16) {
                let _ = events.send(Event::Worker(Update::Step(root.to_owned(), done, all)));
            }
        };
        let show = |early: &Early, contracts: &[Arc<Known>], rest: &[usize]| {
            let others = rest.iter().filter_map(|index| early.remembered.get(index));
            let contracts: Vec<_> = contracts.iter().chain(others).cloned().collect();
            let is_part = contracts.len() < all;
            let layer = Layer { project: Arc::clone(&project), contracts };
            let live = vec![all_of(layer)];
            let snapshot = Snapshot::new(root.to_owned(), live, rules, early.freshness, is_part);
            let _ = events.send(Event::Worker(Update::Snapshot(Arc::new(snapshot))));
        };
        if let Some(early) = early.filter(|it| !it.remembered.is_empty()) {
            show(early, &[], &own);
        }
        let (mut contracts, mut analysed) = (Vec::with_capacity(all), 0);
        let mut rest = own.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(FIRST.max(contracts.len())));
            let settings = &rules.configuration.settings;
            let (known, work) = analysis::analyse(&project, part, &mut self.cache, settings, &step);
            contracts.extend(known);
            analysed += work.analysed;
            rest = after;
            if let Some(early) = early.filter(|_| !rest.is_empty()) {
                show(early, &contracts, rest);
            }
        }
        let noun = if contracts.len() == 1 { "contract" } else { "contracts" };
        let end = format!("{} {noun}, {analysed} of them new code", contracts.len());
        (Layer { project, contracts }, end)
    }

    fn rules(&self, root: &Path) -> Rules {
        let input = Input::default();
        let project = Project { root: root.to_owned(), ..Project::default() };
        let complain = |text: String| self.tell(Update::Say(Urgency::Warning, text));
        let configuration = configuration::find(&input, &project).unwrap_or_else(|error| {
            complain(format!("{error:#}; until then the defaults hold"));
            deconflict_lints::Configuration::default()
        });
        let settings: Vec<_> =
            self.settings.rules.iter().map(|(name, level)| (name.clone(), level.level())).collect();
        let levels = configuration::levels(&configuration, &settings)
            .or_else(|error| {
                complain(format!("{error:#}; the editor's levels are not used"));
                configuration::levels(&configuration, &[])
            })
            .unwrap_or_default();
        Rules { configuration, levels }
    }

    fn publish(&mut self, root: &Path) {
        let Some(state) = self.projects.get(root) else { return };
        let snapshot =
            Snapshot::new(root.to_owned(), state.layers.clone(), &state.rules, state.freshness, false);
        self.tell(Update::Snapshot(Arc::new(snapshot)));
        let layers = self.projects.values().flat_map(|state| &state.layers);
        self.cache.keep(layers.map(|live| &*live.layer));
    }

    fn tell(&self, update: Update) {
        // Nobody listens once the server has stopped.
        let _ = self.events.send(Event::Worker(update));
    }
}

/// What a panic says of itself.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("unknown cause").to_owned()
}

/// The keys of the contracts that are checked, with their places.
fn keys(project: &Project, settings: &deconflict_lints::Settings) -> Vec<(usize, u128)> {
    let key = ProjectKey::new(project, settings);
    let own = analysis::checked(project);
    own.into_iter().map(|index| (index, key.of(&project.contracts[index]))).collect()
}

/// What an earlier process has found of contracts that have not changed since.
fn remembered(project: &Project, keys: &[(usize, u128)], results: &Results) -> BTreeMap<usize, Arc<Known>> {
    let known = keys.iter().filter_map(|&(index, key)| {
        let checked = results.get(key)?;
        Some((index, Arc::new(Known::remembered(project, index, checked))))
    });
    known.collect()
}

/// Keeps what was found for a later process.
fn remember(results: &Results, keys: &[(usize, u128)], layer: &Layer) {
    let keys: BTreeMap<usize, u128> = keys.iter().copied().collect();
    let found = layer.contracts.iter().filter_map(|known| {
        let key = *keys.get(&known.index)?;
        Some((key, results.get(key).is_none().then(|| known.checked.to_bytes())))
    });
    results.replace(found.collect());
}

fn all_of(layer: Layer) -> Live {
    let contracts = (0..layer.contracts.len()).collect();
    Live { layer: Arc::new(layer), contracts }
}

/// The sources of which the build has another text than the disk.
fn stale_sources(project: &Project) -> BTreeSet<PathBuf> {
    let stale = project.notices.iter().filter_map(|notice| match notice {
        Notice::Stale { source_path, .. } | Notice::PerhapsStale { source_path, .. } => Some(source_path),
        _ => None,
    });
    stale.map(|path| project.root.join(path)).filter(|path| path.is_file()).collect()
}

/// The files that live contracts are written in.
fn live_sources(layers: &[Live]) -> BTreeSet<PathBuf> {
    let contracts = layers.iter().flat_map(|live| live.contracts().map(move |it| (live, it)));
    let sources =
        contracts.filter_map(|(live, contract)| live.layer.project.source(contract.source?).absolute.clone());
    sources.collect()
}

fn retain(layers: &mut Vec<Live>, keep: impl Fn(&Path) -> bool) {
    for live in layers.iter_mut() {
        let layer = Arc::clone(&live.layer);
        live.contracts.retain(|&index| {
            let contract = &layer.project.contracts[layer.contracts[index].index];
            let path = contract.source.and_then(|id| layer.project.source(id).absolute.as_deref());
            path.is_none_or(&keep)
        });
    }
    layers.retain(|live| !live.contracts.is_empty());
}

fn forget_deleted(layers: &mut Vec<Live>) {
    retain(layers, Path::is_file);
}

/// A newer layer has the say about all contracts of the files that were compiled for it.
fn replace(layers: &mut Vec<Live>, layer: Layer, targets: &BTreeSet<PathBuf>) {
    retain(layers, |path| !targets.contains(path));
    layers.push(all_of(layer));
}
