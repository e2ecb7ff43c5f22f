//! `deconflict inspect`: show summaries and the conflict matrix.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use deconflict_lints::{
    Contract, Inspection, Project, inspect, is_called, is_checked,
    report::{inspect_human, inspect_json},
};
use rayon::prelude::*;

use super::read_or_ask;
use crate::{
    arguments::{Format, Inspect},
    console::Console,
};

/// Describes the contracts of one input.
pub(crate) fn run(options: &Inspect, console: &Console) -> anyhow::Result<ExitCode> {
    let (path, name) = split(&options.path);
    let project = read_or_ask(&path, options.rpc_url.as_deref(), options.building, console)?;
    let contracts = select(&project, name.as_deref(), &path)?;
    let progress = console.progress(contracts.len());
    let mut inspections: Vec<Inspection> = contracts
        .par_iter()
        .map(|contract| {
            let inspection = inspect(&project, contract);
            progress.step();
            inspection
        })
        .collect();
    progress.finish();
    if let Some(function) = &options.function {
        narrow(&mut inspections, function)?;
    }
    console.result(&match console.format {
        Format::Human => inspect_human::render(&inspections),
        Format::Json => inspect_json::render_of(&project, &inspections),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Splits `PATH:Contract`; a path that exists as it stands has no contract.
fn split(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_string_lossy();
    match text.rsplit_once(':') {
        Some((file, name)) if !path.exists() && !file.is_empty() && !name.contains('/') => {
            (PathBuf::from(file), Some(name.to_owned()))
        }
        _ => (path.to_owned(), None),
    }
}

fn select<'a>(project: &'a Project, name: Option<&str>, path: &Path) -> anyhow::Result<Vec<&'a Contract>> {
    let Some(name) = name else {
        let own: Vec<&Contract> = project.contracts.iter().filter(|contract| is_checked(contract)).collect();
        return Ok(if own.is_empty() { project.contracts.iter().collect() } else { own });
    };
    let found: Vec<&Contract> = project.contracts.iter().filter(|contract| contract.name == name).collect();
    if found.is_empty() {
        let names: Vec<&str> = project.contracts.iter().map(|contract| contract.name.as_str()).collect();
        bail!("{} has no contract called `{name}`: there is {}", path.display(), names.join(", "));
    }
    Ok(found)
}

/// Keeps one function of each contract that has it, and the conflicts it takes part in.
fn narrow(inspections: &mut Vec<Inspection>, function: &str) -> anyhow::Result<()> {
    let all: Vec<String> =
        inspections.iter().flat_map(|it| it.functions.iter().map(|function| function.name.clone())).collect();
    for inspection in inspections.iter_mut() {
        inspection.functions.retain(|it| is_called(it, function));
        let kept: Vec<&str> = inspection.functions.iter().map(|it| it.name.as_str()).collect();
        inspection
            .conflicts
            .retain(|cell| kept.contains(&cell.a.as_str()) || kept.contains(&cell.b.as_str()));
    }
    inspections.retain(|inspection| !inspection.functions.is_empty());
    if inspections.is_empty() {
        bail!("there is no function called `{function}`: there is {}", all.join(", "));
    }
    Ok(())
}
