//! `deconflict audit`: compare what transactions of real blocks are predicted to touch with what they touch.

use std::process::ExitCode;

use anyhow::Context as _;
use deconflict_executor::{
    BlockReader, Predictor,
    audit::{Figures, StateMode, audit_block, human, json},
};

use crate::{
    arguments::{Audit, Format, State},
    console::Console,
};

/// Audits blocks, in the order in which they are given.
pub(crate) fn run(options: &Audit, console: &Console) -> anyhow::Result<ExitCode> {
    let mode = match options.state {
        State::Exact => StateMode::Exact,
        State::Block => StateMode::BlockStart,
    };
    let mut reader = BlockReader::new(options.codes.as_deref())?;
    let mut predictor = Predictor::new();
    let mut audits = Vec::with_capacity(options.block.len());
    for file in &options.block {
        let block = reader.read(file)?;
        let audit = audit_block(&block, mode, &mut predictor).with_context(|| file.display().to_string())?;
        audits.push(audit);
    }
    console.result(&match console.format {
        Format::Human => human::render(&audits, mode),
        Format::Json => json::render(&audits, mode),
    })?;
    let sound = Figures::total(&audits).unsound_txs == 0;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
