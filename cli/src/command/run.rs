//! `deconflict run`: execute blocks on several threads, beside plain serial execution.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use deconflict_executor::{
    BlockReader, Config, Mode, Predictor,
    report::{RunOptions, human, json, run_block},
};

use crate::{
    arguments::{ExecutionMode, Format, Run},
    console::Console,
    forks::warn_of_other_rules,
};

/// Executes blocks, in the order in which they are given.
pub(crate) fn run(options: &Run, console: &Console) -> anyhow::Result<ExitCode> {
    let mode = match options.mode {
        ExecutionMode::Scheduled => Mode::Scheduled,
        ExecutionMode::Optimistic => Mode::Optimistic,
        ExecutionMode::Serial => Mode::Serial,
    };
    if options.threads == Some(0) {
        anyhow::bail!(
            "--threads is 0, and somebody has to execute: give 1 or more, or leave it out to use all processors"
        );
    }
    let threads = options.threads.unwrap_or_else(|| Config::default().threads);
    let options_of_run = RunOptions {
        config: Config { threads, mode, may_fall_back: !options.always_parallel, ..Config::default() },
        verify: options.verify,
        latency: Duration::from_micros(options.db_latency_us),
        repeat: options.repeat,
    };
    let mut reader = BlockReader::new(options.codes.as_deref())?;
    let predictor = Predictor::new();
    let mut runs = Vec::with_capacity(options.block.len());
    for file in &options.block {
        let block = reader.read(file)?;
        warn_of_other_rules(block.chain_id, console);
        let run = run_block(&block, &options_of_run, &predictor);
        runs.push(run.with_context(|| file.display().to_string())?);
    }
    console.result(&match console.format {
        Format::Human => human::render(&runs),
        Format::Json => json::render(&runs),
    })?;
    let same = runs.iter().all(|run| !matches!(run.verified, Some(Err(_))));
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
