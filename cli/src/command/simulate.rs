//! `deconflict simulate`: how fast blocks would be on more processors.

use std::process::ExitCode;

use anyhow::Context as _;
use deconflict_executor::{
    BlockReader, Predictor,
    simulate::{human, json, simulate_block},
};

use crate::{
    arguments::{Format, Simulate},
    console::Console,
};

/// Simulates blocks, in the order in which they are given.
pub(crate) fn run(options: &Simulate, console: &Console) -> anyhow::Result<ExitCode> {
    let mut reader = BlockReader::new(options.codes.as_deref())?;
    let predictor = Predictor::new();
    let mut simulations = Vec::with_capacity(options.block.len());
    for file in &options.block {
        let block = reader.read(file)?;
        let simulation = simulate_block(&block, &options.cores, &predictor);
        simulations.push(simulation.with_context(|| file.display().to_string())?);
    }
    console.result(&match console.format {
        Format::Human => human::render(&simulations),
        Format::Json => json::render(&simulations),
    })?;
    Ok(ExitCode::SUCCESS)
}
