//! `deconflict check`: lint projects.

use std::process::ExitCode;

use deconflict_lints::{
    Level, Levels, Project, Report, Settings, check_contract, is_checked, merge,
    report::{Section, Totals, human, json},
};
use rayon::prelude::*;

use super::read;
use crate::{
    arguments::{Check, Format},
    console::Console,
};

/// Checks every input and prints one report.
pub(crate) fn run(
    options: &Check,
    settings: &[(String, Level)],
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let mut levels = Levels::default();
    for (selector, level) in settings {
        levels.set(selector, *level)?;
    }
    let mut projects = Vec::new();
    for path in &options.paths {
        projects.push(read(path, options.no_build, console)?);
    }
    let reports: Vec<Report> = projects.iter().map(|project| check(project, &levels, console)).collect();
    let sections: Vec<Section<'_>> =
        projects.iter().zip(&reports).map(|(project, report)| Section { project, report }).collect();
    let totals = Totals::of(&sections);
    let text = match console.format {
        Format::Json => json::render(&sections),
        Format::Human if options.statistics => human::statistics(&totals) + &human::summary(&totals),
        Format::Human => human::render(&sections, console.color),
    };
    console.result(&text)?;
    let failed = totals.errors > 0 && !options.exit_zero;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check(project: &Project, levels: &Levels, console: &Console) -> Report {
    let contracts: Vec<_> = project.contracts.iter().filter(|contract| is_checked(contract)).collect();
    if contracts.is_empty() && !project.contracts.is_empty() {
        console.warn("every contract here belongs to a dependency, a test or a script, so none was checked");
    }
    let settings = Settings::default();
    let progress = console.progress(contracts.len());
    let checked: Vec<_> = contracts
        .par_iter()
        .map(|contract| {
            let checked = check_contract(project, contract, &settings);
            progress.step();
            checked
        })
        .collect();
    progress.finish();
    merge(project, checked, levels)
}
