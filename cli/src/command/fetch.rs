//! `deconflict fetch`: snapshots of blocks from a node.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use deconflict_executor::{
    Block, BlockReader, BlockState, Predictor, block_access_list,
    chain::Origin,
    fetch::{FetchOptions, Node, chain_id, fetch_block},
    write_block,
};

use crate::{
    arguments::Fetch,
    console::Console,
    files::{keep_apart, write},
    forks::{Forks, warn_of_other_rules},
    node::{ALONE, connect},
};

/// How hard files are compressed.
const LEVEL: i32 = 12;

/// Takes snapshots and writes those that turn out to be right.
pub(crate) fn run(options: &Fetch, console: &Console) -> anyhow::Result<ExitCode> {
    let forks = Forks::new(&options.forks)?;
    let node = connect(&options.rpc_url, &options.node, ALONE)?;
    // Before anything goes wrong because of it.
    warn_of_other_rules(chain_id(&node)?, console);
    let fetch = FetchOptions { without_tracer: options.no_tracer, ..forks.options() };
    let predictor = Predictor::new();
    let Some((from, to)) = options.range else {
        if options.access_list.as_ref() == Some(&options.output) {
            bail!("`--access-list` and `--output` are the same file: name two");
        }
        if let Some(list) = &options.access_list {
            keep_apart(list, [options.output.as_path()])?;
        }
        let number = options.block.as_deref().context("name a block")?;
        let block = one(&node, number, &options.output, fetch, &predictor, console)?;
        if let Some(path) = &options.access_list {
            let list =
                block_access_list::execute(&block, &BlockState::new(&block)).context("the access list")?;
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            let render = if is_json { block_access_list::to_json } else { block_access_list::to_rlp };
            write(path, &render(&list))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(&options.output)
        .with_context(|| format!("cannot make {}", options.output.display()))?;
    for number in from..=to {
        let path: PathBuf = options.output.join(format!("{number}.json.zst"));
        if path.symlink_metadata().is_err() {
            one(&node, &number.to_string(), &path, fetch, &predictor, console)?;
            continue;
        }
        // A snapshot is only there if it was whole and right; all else is not ours, and nobody has named it.
        let read = BlockReader::new(None)?.read(&path);
        if !read.is_ok_and(|block| block.number == number) {
            bail!(
                "{} is there, and is no snapshot of block {number} that can be read: move it away, or name another folder",
                path.display()
            );
        }
        console.note(&format!("{} is there already", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn one(
    node: &dyn Node,
    number: &str,
    path: &Path,
    options: FetchOptions<'_>,
    predictor: &Predictor,
    console: &Console,
) -> anyhow::Result<Block> {
    let bar = console.activity(&format!("block {number}"));
    let fetched = fetch_block(node, number, options, predictor, &mut |doing, done| bar.show(doing, done));
    bar.finish();
    let (block, figures) = fetched.with_context(|| format!("block {number}"))?;
    let Some(text) = write_block(&block) else { bail!("there is no name for the fork of block {number}") };
    let compressed = path.extension().is_some_and(|extension| extension == "zst");
    let bytes = if compressed {
        zstd::encode_all(text.as_bytes(), LEVEL).context("cannot compress the block")?
    } else {
        text.into_bytes()
    };
    write(path, &bytes)?;
    let way = if figures.traced { "by the node's tracer" } else { "key by key" };
    console.note(&format!(
        "wrote {}: block {}, {} transactions, {} accounts, {way}; executed, and it comes to what the header says",
        path.display(),
        block.number,
        block.transactions.len(),
        block.pre_state.len(),
    ));
    if let Some(rules) = &figures.rules {
        console.note(&format!("block {} by the rules of {rules}", block.number));
        if rules.origin == Origin::Guessed {
            console.note(
                "name the fork by `--spec`, or the chain's schedule by `--genesis` or `--fork-schedule`",
            );
        }
    }
    if !figures.traced {
        console.note(&format!(
            "asked for {} accounts and slots, {} of them as predicted; {} came with a proof; {} executions",
            figures.asked, figures.predicted, figures.proved, figures.rounds
        ));
    }
    Ok(block)
}
