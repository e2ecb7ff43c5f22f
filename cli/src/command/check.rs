//! `deconflict check`: lint projects.

mod allow;
mod baseline;
mod watch;

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use rayon::prelude::*;

use super::read_or_ask;
use crate::{arguments::Check, configuration, console::Console, results::Results};
use deconflict_lints::{
    Configuration, Level, Levels, Project, Report, changed_files, check_project, effective, is_checked,
    judged, keep_changed,
    report::{Rendering, Section, Totals, human},
    repository_of,
};

/// One input with what is to be done about it.
struct Checkup {
    project: Project,
    configuration: Configuration,
    levels: Levels,
    report: Report,
}

/// Checks every input and prints one report; with `--watch`, again and again.
pub(crate) fn run(
    options: &Check,
    settings: &[(String, Level)],
    console: &Console,
) -> anyhow::Result<ExitCode> {
    if options.watch { watch::run(options, settings, console) } else { once(options, settings, console) }
}

fn once(options: &Check, settings: &[(String, Level)], console: &Console) -> anyhow::Result<ExitCode> {
    let changed = match &options.changed_since {
        Some(revision) => Some(changed_files(&env::current_dir()?, revision)?),
        None => None,
    };
    let mut checkups = Vec::new();
    for path in &options.paths {
        let project = read_or_ask(path, options.rpc_url.as_deref(), options.input.building, console)?;
        let mut configuration = configuration::find(&options.input, &project)?;
        if let Some(calls) = options.scenario {
            configuration.settings.calls = calls;
        }
        let levels = configuration::levels(&configuration, settings)?;
        checkups.push(Checkup { project, configuration, levels, report: Report::default() });
    }
    if options.show_config {
        for checkup in &checkups {
            console.result(&effective(&checkup.configuration, &checkup.levels))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    for (checkup, path) in checkups.iter_mut().zip(&options.paths) {
        let from_file = path.as_path() != Path::new("-");
        let results = if from_file && !options.no_cache {
            Results::open(&checkup.project, path)
        } else {
            Results::none()
        };
        checkup.report = check(checkup, &results, changed.as_ref(), console);
    }
    if let Some(reason) = &options.add_allow {
        return allow::write(&checkups, reason, console);
    }
    baseline::apply(options, &mut checkups, console)?;
    let sections: Vec<Section<'_>> =
        checkups.iter().map(|it| Section { project: &it.project, report: &it.report }).collect();
    let totals = Totals::of(&sections);
    let folder = env::current_dir().and_then(|folder| folder.canonicalize()).unwrap_or_default();
    let repository = repository_of(&folder).unwrap_or_else(|| folder.clone());
    let rendering =
        Rendering { sections: &sections, repository: &repository, folder: &folder, color: console.color };
    let mut text = if options.statistics && console.report.name == human::FORMAT.name {
        human::statistics(&totals) + &human::summary(&totals)
    } else {
        (console.report.render)(&rendering)
    };
    if let Some(calls) = options.scenario
        && console.report.name == human::FORMAT.name
    {
        text.push('\n');
        text.push_str(&human::scenario(&sections, calls));
    }
    console.result(&text)?;
    let denies = settings.iter().any(|(_, level)| *level == Level::Deny);
    let unjudged: BTreeSet<String> = checkups.iter().flat_map(|it| it.project.unjudged()).collect();
    if denies && !unjudged.is_empty() {
        let what: Vec<String> = unjudged.into_iter().collect();
        bail!("what is denied may be in what could not be judged as it is now: {}", what.join("; "));
    }
    let failed = totals.errors > 0 && !options.exit_zero;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check(
    checkup: &Checkup,
    results: &Results,
    changed: Option<&BTreeSet<PathBuf>>,
    console: &Console,
) -> Report {
    let Checkup { project, configuration, levels, .. } = checkup;
    if !project.contracts.iter().any(is_checked) && !project.contracts.is_empty() {
        console.warn(
            "nothing here is checked: dependencies, tests and scripts are not the project's own, and libraries run in the \
             storage of whoever calls them",
        );
    }
    let progress = console.progress(judged(project, configuration).len());
    let each = |count: usize, one: &(dyn Fn(usize) + Sync)| {
        (0..count).into_par_iter().for_each(|index| {
            one(index);
            progress.step();
        });
    };
    let mut report = check_project(project, configuration, levels, results, &each);
    progress.finish();
    if let Some(changed) = changed {
        keep_changed(project, &mut report, changed);
    }
    report
}
