//! `deconflict audit`: compare what transactions of real blocks are predicted to touch with what they touch.

use std::process::ExitCode;

use anyhow::Context as _;
use deconflict_executor::{
    BlockReader, Predictor, SliceCache,
    audit::{Environment, Figures, StateMode, audit_block_in, human, json},
};

use crate::{
    arguments::{Audit, Format, State},
    console::Console,
    forks::warn_of_other_rules,
};

/// Audits blocks, in the order in which they are given.
pub(crate) fn run(options: &Audit, console: &Console) -> anyhow::Result<ExitCode> {
    let mode = match options.state {
        State::Exact => StateMode::Exact,
        State::Block => StateMode::BlockStart,
    };
    let mut reader = BlockReader::new(options.codes.as_deref())?;
    let environment = match &options.environment {
        Some(file) => Some(Environment::of(&reader.read(file)?)),
        None => None,
    };
    let environment = environment.as_ref();
    let mut predictor = predictor(options, console);
    let mut audits = Vec::with_capacity(options.block.len());
    for file in &options.block {
        let block = reader.read(file)?;
        warn_of_other_rules(block.chain_id, console);
        let audit = audit_block_in(&block, mode, environment, &mut predictor);
        audits.push(audit.with_context(|| file.display().to_string())?);
    }
    if let Some(Err(error)) = predictor.cache().map(SliceCache::flush) {
        console.warn(&format!("analysed codes are not kept for the next time: {error}"));
    }
    console.result(&match console.format {
        Format::Human => human::render(&audits, mode, environment),
        Format::Json => json::render(&audits, mode, environment),
    })?;
    let sound = Figures::total(&audits).unsound_txs == 0;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A predictor that knows the codes which earlier runs have analysed, where they can be had.
fn predictor(options: &Audit, console: &Console) -> Predictor {
    if options.no_cache {
        return Predictor::new();
    }
    match SliceCache::open() {
        Ok(cache) => Predictor::with_cache(cache),
        Err(error) => {
            console.warn(&format!("codes are analysed anew: {error}"));
            Predictor::new()
        }
    }
}
