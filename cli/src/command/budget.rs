//! `deconflict budget`: hold every pair of functions to the conflicts that the project has agreed to.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use deconflict_lints::{budget, judged, report::budget as report};
use rayon::prelude::*;

use super::read;
use crate::{arguments, configuration, console::Console, text};

/// The file that is used where none is named.
const DEFAULT: &str = "deconflict-budget.json";

/// Writes the budget, or compares the project with it.
pub(crate) fn run(options: &arguments::Budget, console: &Console) -> anyhow::Result<ExitCode> {
    let mut actual = budget::Budget::default();
    let mut file = options.file.clone();
    for path in &options.paths {
        let project = read(path, options.input.building, console)?;
        let configuration = configuration::find(&options.input, &project)?;
        file = file.or_else(|| configuration.budget.clone());
        let contracts = judged(&project, &configuration);
        let progress = console.progress(contracts.len());
        let budgets: Vec<_> = contracts
            .par_iter()
            .filter_map(|contract| {
                let budget = budget::contract_budget(&project, contract, &configuration.settings);
                progress.step();
                budget
            })
            .collect();
        progress.finish();
        actual.contracts.extend(budgets);
    }
    let file = file.unwrap_or_else(|| PathBuf::from(DEFAULT));
    let name = file.display();
    if options.write {
        super::replace(&file, "deconflict/budget/", &budget::render(&actual))?;
        let functions: usize = actual.contracts.values().map(|it| it.functions.len()).sum();
        console.note(&format!("wrote the budget of {functions} functions to {name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let text = text::read(&file).with_context(|| {
        format!("cannot read the budget {name}: write it with `deconflict budget --write`")
    })?;
    let agreed = budget::parse(&name.to_string(), &text)?;
    let comparison = budget::compare(&agreed, &actual);
    console.result(&match console.report.name {
        "json" => report::json(&comparison),
        "markdown" => report::markdown(&comparison),
        _ => report::human(&comparison),
    })?;
    Ok(if comparison.worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
