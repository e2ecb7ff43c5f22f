//! `deconflict hints`: what transactions will touch, for those who build or execute blocks.

use std::{
    fs,
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use deconflict_executor::{
    Block, BlockReader, BlockState, Predictor, SliceCache, Transaction,
    block_access_list::{self, Comparison, Lack},
    check_forms,
    fetch::next_block,
    hints::{
        Basis, BlockHints, Which, check_kinds, export_slices, export_templates, hint_block, import_slices,
        parse_lines, render_access_lists,
    },
};
use revm::{DatabaseRef, bytecode::Bytecode};

use crate::{
    arguments::{Hints, Tier},
    console::Console,
    files::{keep_apart, write},
    forks::{Forks, warn_of_other_rules},
    node::{
        ALONE, connect,
        state::{NodeState, View},
        upstream::Upstream,
    },
    text,
};

/// What a file with the codes of many blocks is called, which is read where it stands beside one of them.
const CODES: &str = "codes.jsonl.zst";

/// Writes the hints for a block or for a list of transactions.
pub(crate) fn run(options: &Hints, console: &Console) -> anyhow::Result<ExitCode> {
    let format = console.hints;
    if options.tier == Tier::Transaction && format.needs_plan {
        bail!("`--format {}` is about the plan of a block: leave out `--tier transaction`", format.name);
    }
    if !format.is_text && options.output.is_none() && std::io::stdout().is_terminal() {
        bail!("`--format {}` is not text: name a file with `--output`, or redirect the output", format.name);
    }
    if let Some(output) = options.output.as_deref().or(options.export_templates.as_deref()) {
        keep_apart(output, inputs(options).iter().map(PathBuf::as_path))?;
    }
    if options.max_keys.is_some() && format.name != "eip2930" {
        bail!("`--max-keys` is about access lists: add `--format eip2930`");
    }
    let lanes = (options.tier == Tier::Plan).then_some(options.lanes);
    let hints = if let Some(url) = &options.rpc_url {
        of_node(options, url, lanes, console)?
    } else {
        let path = options.block.as_deref().context("name a block file, or a node by `--rpc-url`")?;
        let block = BlockReader::new(options.codes.as_deref())?.read(path)?;
        warn_of_other_rules(block.chain_id, console);
        if let Some(path) = &options.export_templates {
            return export(&block, path, console);
        }
        let hints = of_file(options, &block, lanes, console)?;
        if let Some(path) = &options.access_list {
            return compare(&block, &hints, path, console);
        }
        hints
    };
    let bytes = match options.max_keys {
        Some(most) => render_access_lists(&hints, Some(most)),
        None => format.render(&hints)?,
    };
    match &options.output {
        Some(path) => write(path, &bytes)?,
        None => console.bytes(&bytes)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// All files that are read, the codes beside a block file among them.
fn inputs(options: &Hints) -> Vec<PathBuf> {
    let named =
        [&options.block, &options.transactions, &options.codes, &options.templates, &options.access_list];
    let folder = options.block.iter().map(|block| block.parent().unwrap_or(Path::new("")));
    let codes = folder.flat_map(|folder| [folder.join(CODES), folder.join("..").join(CODES)]);
    named.into_iter().flatten().cloned().chain(codes).collect()
}

/// Hints on the state before a block.
fn of_file(
    options: &Hints,
    block: &Block,
    lanes: Option<usize>,
    console: &Console,
) -> anyhow::Result<BlockHints> {
    let given = if let Some(path) = &options.transactions {
        Some(read_lines(path, block)?)
    } else {
        // What no block of the chain and fork holds has no hint.
        check_kinds(&block.transactions, block, Which::Index)?;
        check_forms(block).map_err(|(index, problem)| anyhow!("{}: {problem}", Which::Index(index)))?;
        None
    };
    let transactions = given.as_ref().unwrap_or(&block.transactions);
    let mut hints = hint(options, block, transactions, &BlockState::new(block), lanes, console)?;
    if given.is_some() {
        // These are transactions for some block after the parent, not those of this one.
        hints.hash = None;
    }
    Ok(hints)
}

/// Hints on the state at the head of a node's chain, for the block that comes next.
fn of_node(
    options: &Hints,
    url: &str,
    lanes: Option<usize>,
    console: &Console,
) -> anyhow::Result<BlockHints> {
    let forks = Forks::new(&options.forks)?;
    let node = Arc::new(Upstream::new(Box::new(connect(url, &options.node, ALONE)?), None));
    let next = next_block(&*node, forks.options()).with_context(|| url.to_owned())?;
    let path = options.transactions.as_deref().context("name the transactions by `--transactions`")?;
    warn_of_other_rules(next.block.chain_id, console);
    console.note(&format!("block {} by the rules of {}", next.block.number, next.rules));
    let transactions = read_lines(path, &next.block)?;
    let view = View::Node(Arc::new(NodeState::new(Arc::clone(&node), next.head)));
    let mut hints = hint(options, &next.block, &transactions, &view, lanes, console)?;
    hints.assumed = next.assumed;
    hints.spec_origin = Some(next.rules.origin.name());
    if let Some((count, problem)) = node.unanswered() {
        console.warn(&format!(
            "the node has not answered {count} questions, and the hints that need them say so: {problem}"
        ));
    }
    Ok(hints)
}

fn hint<D: DatabaseRef + Sync>(
    options: &Hints,
    block: &Block,
    transactions: &[Transaction],
    state: &D,
    lanes: Option<usize>,
    console: &Console,
) -> anyhow::Result<BlockHints> {
    // Each transaction is predicted once: learning from it costs more than following its code, and what is learnt first,
    // which depends on the threads, shows in the estimates of gas.
    let predictor = predictor(options.templates.as_deref(), options.no_cache, console)?.without_recipes();
    let hints = hint_block(block, transactions, &predictor, state, Basis::StaticAndState, lanes);
    if let Some(Err(error)) = predictor.cache().map(SliceCache::flush) {
        console.warn(&format!("analysed codes are not kept for the next time: {error}"));
    }
    Ok(hints)
}

/// Says what hints lack of what a block access list has.
fn compare(block: &Block, hints: &BlockHints, path: &Path, console: &Console) -> anyhow::Result<ExitCode> {
    let name = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let list =
        block_access_list::read(&bytes, block.transactions.len()).with_context(|| format!("{name}"))?;
    let Comparison { lacks, outdated } =
        block_access_list::compare(&list, &hints.transactions, block.header.coinbase);
    let complete = hints.transactions.iter().filter(|hint| hint.is_complete()).count();
    let head = format!(
        "{} accounts in the list; {complete} of {} hints claim to be complete, and lack {} of its entries",
        list.len(),
        hints.transactions.len(),
        lacks.len()
    );
    let line = |Lack { transaction, address, slot }: &Lack| {
        let what = slot.map_or_else(|| format!("{address}"), |slot| format!("{address} slot {slot:#x}"));
        match transaction {
            Some(index) => format!("{what}: transaction {index}"),
            None => format!("{what}: read by some transaction"),
        }
    };
    let rest = (!outdated.is_empty()).then(|| {
        let numbers: Vec<String> = outdated.iter().map(ToString::to_string).collect();
        format!(
            "{} of them claim nothing here, because transactions before them have changed what they rest on: {}",
            outdated.len(),
            numbers.join(", ")
        )
    });
    let lines: Vec<String> = std::iter::once(head).chain(rest).chain(lacks.iter().map(line)).collect();
    let text = lines.join("\n") + "\n";
    console.bytes(text.as_bytes())?;
    Ok(if lacks.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Analyses the codes of a block and writes them to a file.
fn export(block: &Block, path: &Path, console: &Console) -> anyhow::Result<ExitCode> {
    let codes: Vec<_> = block.codes.values().map(Bytecode::original_bytes).collect();
    let is_text = path.extension().is_some_and(|extension| extension == "json");
    let (bytes, hash) = if is_text { export_templates(&codes) } else { export_slices(&codes) };
    write(path, &bytes)?;
    console.note(&format!("wrote {} analysed codes to {}, content {hash}", codes.len(), path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Raw transactions from a file or from standard input.
fn read_lines(path: &Path, block: &Block) -> anyhow::Result<Vec<Transaction>> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).and_then(|_| text::decode(&bytes))
    } else {
        text::read(path)
    };
    let name = path.display();
    let lines = read.with_context(|| format!("cannot read {name}"))?;
    parse_lines(&lines, block).with_context(|| format!("{name}"))
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
