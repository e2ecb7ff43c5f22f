//! The arguments of the commands that read blocks and ask nodes: `audit`, `run`, `simulate`, `hints`, `fetch`.
//!
//! In: nothing. Out: types that clap fills. Nothing here is done, and nothing is read but numbers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The arguments of `audit`.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Block files: JSON, plain or compressed by zstd.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) block: Vec<PathBuf>,
    /// Where to find codes that a block file does not hold; without it, `codes.jsonl.zst` in the folder of the block
    /// file or the one above.
    #[arg(long, value_name = "FILE")]
    pub(crate) codes: Option<PathBuf>,
    /// The state that predictions are made on.
    #[arg(long, value_enum, default_value_t = State::Exact, value_name = "STATE")]
    pub(crate) state: State,
    /// Predict in the environment of the block in this file (its time, number, fees and so on) instead of that of each
    /// block: what depends on a word in which the two differ is announced stale.
    #[arg(long, value_name = "FILE")]
    pub(crate) environment: Option<PathBuf>,
    /// Analyse every code anew, and leave the user's cache of analysed codes alone.
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// The arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Block files: JSON, plain or compressed by zstd.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) block: Vec<PathBuf>,
    /// Where to find codes that a block file does not hold; without it, `codes.jsonl.zst` in the folder of the block
    /// file or the one above.
    #[arg(long, value_name = "FILE")]
    pub(crate) codes: Option<PathBuf>,
    /// The number of threads; without it, as many as there are processors.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// The order in which transactions are run.
    #[arg(long, value_enum, default_value_t = ExecutionMode::Scheduled, value_name = "MODE")]
    pub(crate) mode: ExecutionMode,
    /// Compare results, receipts and state with serial execution and with the block's header.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Let each reading of the state take so many microseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) db_latency_us: u64,
    /// Execute so often, and show the times of the fastest.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) repeat: usize,
    /// Use all threads even where one is likely to be faster.
    #[arg(long)]
    pub(crate) always_parallel: bool,
}

/// An order in which transactions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecutionMode {
    /// By predicted dependencies.
    Scheduled,
    /// In the order of the block, without predictions.
    Optimistic,
    /// One after the other, on one thread.
    Serial,
}

/// The arguments of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// Block files: JSON, plain or compressed by zstd.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) block: Vec<PathBuf>,
    /// Where to find codes that a block file does not hold; without it, `codes.jsonl.zst` in the folder of the block
    /// file or the one above.
    #[arg(long, value_name = "FILE")]
    pub(crate) codes: Option<PathBuf>,
    /// The numbers of processors, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16, 32, 64], value_name = "N,…",
          value_parser = processors)]
    pub(crate) cores: Vec<usize>,
}

fn processors(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("there is at least one processor".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

/// The most lanes of a plan: each transaction looks at all of them.
pub(crate) const MOST_LANES: usize = 1_024;

pub(super) fn lanes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("there is at least one lane".to_owned()),
        Ok(number @ 1..=MOST_LANES) => Ok(number),
        Ok(_) => Err(format!("there are {MOST_LANES} lanes at most")),
        Err(error) => Err(format!("{error}; give a number from 1 to {MOST_LANES}")),
    }
}

/// The arguments of `hints`.
#[derive(Debug, Args)]
pub(crate) struct Hints {
    /// A block file: its environment, the state before it, and the transactions unless others are given.
    #[arg(long, required_unless_present = "rpc_url", conflicts_with = "rpc_url", value_name = "FILE")]
    pub(crate) block: Option<PathBuf>,
    /// Raw signed transactions instead of those of the block: one in hexadecimal a line, or `-` for standard input.
    #[arg(long, required_unless_present = "block", value_name = "FILE")]
    pub(crate) transactions: Option<PathBuf>,
    /// A node whose state at the head of its chain is the one before the transactions, instead of a block file.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc_url: Option<String>,
    /// Where to find codes that a block file does not hold; without it, `codes.jsonl.zst` in the folder of the block
    /// file or the one above.
    #[arg(long, value_name = "FILE")]
    pub(crate) codes: Option<PathBuf>,
    /// What to tell: what each transaction touches, or that and a plan for the block.
    #[arg(long, value_enum, default_value_t = Tier::Plan, value_name = "TIER")]
    pub(crate) tier: Tier,
    /// The number of lanes of the plan, 1024 at most.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = lanes)]
    pub(crate) lanes: usize,
    /// With `--format eip2930`: the most accounts and slots that a list names; what every way of the transaction touches comes
    /// first.
    #[arg(long, value_name = "N")]
    pub(crate) max_keys: Option<usize>,
    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Take analysed codes from this file, so that they need not be analysed.
    #[arg(long, value_name = "FILE", conflicts_with = "no_cache")]
    pub(crate) templates: Option<PathBuf>,
    /// Analyse the codes of the block and write them to this file, for `--templates`, instead of giving hints; where its name
    /// ends in `.json`, only what each function reads and writes, as expressions, to be read.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["templates", "transactions", "output", "rpc_url"])]
    pub(crate) export_templates: Option<PathBuf>,
    /// Instead of giving hints, hold them against the block access list of EIP-7928 in this file, as RLP or JSON: what they
    /// lack is said, and ends with 1.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["transactions", "export_templates", "output"])]
    pub(crate) access_list: Option<PathBuf>,
    /// Analyse every code anew, and leave the user's cache of analysed codes alone.
    #[arg(long)]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) forks: ForkOptions,
    #[command(flatten)]
    pub(crate) node: NodeOptions,
}

/// Which rules hold on the chain of a node.
#[derive(Debug, Default, Args)]
pub(crate) struct ForkOptions {
    /// The rules of the block, whatever the chain's schedule or its header says, such as `Prague`.
    #[arg(long, requires = "rpc_url", value_name = "FORK")]
    pub(crate) spec: Option<String>,
    /// When which rules hold on the chain: a genesis file as geth takes it, or its `config` alone. The main net, Sepolia, Holesky
    /// and Hoodi are known.
    #[arg(long, requires = "rpc_url", value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
    /// The same as a list of forks in JSON.
    #[arg(long, requires = "rpc_url", conflicts_with = "genesis", value_name = "FILE")]
    pub(crate) fork_schedule: Option<PathBuf>,
}

/// How to reach a node.
#[derive(Debug, Default, Args)]
pub(crate) struct NodeOptions {
    /// The seconds that an answer may take [default: 60; `serve`: 5].
    #[arg(long, value_name = "N")]
    pub(crate) timeout: Option<u64>,
    /// How often to ask again where the node does not answer [default: 5; `serve`: 1].
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// The most requests a second.
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<u32>,
}

/// The arguments of `fetch`.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// The block: a number, or `latest`, `safe` or `finalized`.
    #[arg(value_name = "BLOCK", required_unless_present = "range", conflicts_with = "range")]
    pub(crate) block: Option<String>,
    /// The address of the node's JSON-RPC.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc_url: String,
    /// The file to write, compressed if its name ends in `.zst`; with `--range`, the folder to write `NUMBER.json.zst` to.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Blocks from A to B, both included; those that the folder has already are left alone.
    #[arg(long, value_name = "A..B", value_parser = range)]
    pub(crate) range: Option<(u64, u64)>,
    /// Write the block access list of EIP-7928 that executing the block comes to into this file: JSON if its name ends in
    /// `.json`, else RLP.
    #[arg(long, value_name = "FILE", conflicts_with = "range")]
    pub(crate) access_list: Option<PathBuf>,
    /// Ask for state key by key, as predictions and executions name it, also where the node can trace.
    #[arg(long)]
    pub(crate) no_tracer: bool,
    #[command(flatten)]
    pub(crate) forks: ForkOptions,
    #[command(flatten)]
    pub(crate) node: NodeOptions,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parsed.filter(|(from, to)| from <= to).ok_or_else(|| "give two numbers, such as 100..110".to_owned())
}

/// How much hints tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// What each transaction touches.
    Transaction,
    /// That, and a plan for the block.
    Plan,
}

/// A state that predictions are made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Just before each transaction.
    Exact,
    /// At the start of the block, as for someone who builds it.
    Block,
}
