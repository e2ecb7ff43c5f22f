//! `deconflict hints`: what transactions will touch, for those who build or execute blocks.

use std::{
    fs,
    io::{IsTerminal as _, Read as _, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use deconflict_executor::{
    Block, BlockReader, BlockState, Predictor, SliceCache,
    hints::{Basis, export_slices, hint_block, import_slices, parse_lines},
};

use revm::bytecode::Bytecode;

use crate::{
    arguments::{Hints, Tier},
    console::Console,
};

/// Writes the hints for a block or for a list of transactions.
pub(crate) fn run(options: &Hints, console: &Console) -> anyhow::Result<ExitCode> {
    let format = console.hints;
    if options.tier == Tier::Transaction && format.needs_plan {
        bail!("`--format {}` is about the plan of a block: leave out `--tier transaction`", format.name);
    }
    if !format.is_text && options.output.is_none() && std::io::stdout().is_terminal() {
        bail!("`--format {}` is not text: name a file with `--output`, or redirect the output", format.name);
    }
    let block = BlockReader::new(options.codes.as_deref())?.read(&options.block)?;
    if let Some(path) = &options.export_templates {
        return export(&block, path, console);
    }
    let given = options.transactions.as_deref().map(|path| read_lines(path, block.chain_id)).transpose()?;
    let transactions = given.as_ref().unwrap_or(&block.transactions);
    // Each transaction is predicted once: learning from it costs more than following its code, and what is learnt first,
    // which depends on the threads, shows in the estimates of gas.
    let predictor = predictor(options.templates.as_deref(), options.no_cache, console)?.without_templates();
    let lanes = (options.tier == Tier::Plan).then_some(options.lanes);
    let state = BlockState::new(&block);
    let mut hints = hint_block(&block, transactions, &predictor, &state, Basis::StaticAndState, lanes);
    if given.is_some() {
        // These are transactions for some block after the parent, not those of this one.
        hints.hash = None;
    }
    if let Some(Err(error)) = predictor.cache().map(SliceCache::flush) {
        console.warn(&format!("analysed codes are not kept for the next time: {error}"));
    }
    let bytes = format.render(&hints)?;
    match &options.output {
        Some(path) => write(path, &bytes)?,
        None => console.bytes(&bytes)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Analyses the codes of a block and writes them to a file.
fn export(block: &Block, path: &Path, console: &Console) -> anyhow::Result<ExitCode> {
    let codes: Vec<_> = block.codes.values().map(Bytecode::original_bytes).collect();
    let (bytes, hash) = export_slices(&codes);
    write(path, &bytes)?;
    console.note(&format!("wrote {} analysed codes to {}, content {hash}", codes.len(), path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Raw transactions from a file or from standard input.
fn read_lines(path: &Path, chain_id: u64) -> anyhow::Result<Vec<deconflict_executor::Transaction>> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map(drop)
    } else {
        fs::read_to_string(path).map(|content| text = content)
    };
    let name = path.display();
    read.with_context(|| format!("cannot read {name}"))?;
    parse_lines(&text, chain_id).with_context(|| format!("{name}"))
}

/// A predictor that knows the codes which earlier runs have analysed, and those of a file.
pub(crate) fn predictor(
    templates: Option<&Path>,
    no_cache: bool,
    console: &Console,
) -> anyhow::Result<Predictor> {
    if no_cache {
        return Ok(Predictor::new());
    }
    let cache = match SliceCache::open() {
        Ok(cache) => cache,
        Err(error) if templates.is_none() => {
            console.warn(&format!("codes are analysed anew: {error}"));
            return Ok(Predictor::new());
        }
        Err(error) => return Err(error).context("there is nowhere to put the analysed codes"),
    };
    if let Some(path) = templates {
        let name = path.display();
        let bytes = fs::read(path).with_context(|| format!("cannot read {name}"))?;
        let count = import_slices(&bytes, &cache).with_context(|| format!("{name}"))?;
        console.note(&format!("{name}: {count} analysed codes"));
    }
    Ok(Predictor::with_cache(cache))
}

/// Writes a file whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = || format!("cannot write {name}");
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(())
}
