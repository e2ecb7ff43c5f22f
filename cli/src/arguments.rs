//! The arguments, in one table; the help text is their documentation.

use std::path::PathBuf;

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser},
};
use deconflict_executor::hints;
use deconflict_lints::{Level, report::FORMATS};

/// Tells which lines of a contract keep a parallel EVM in a single lane.
#[derive(Debug, Parser)]
#[command(name = "deconflict", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// How results are shown.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// The format of the output: `human` or `json`; `check` and `hints` have more. [default: human; of `hints`: json]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Option<String>,
    /// Short for `--format json`.
    #[arg(long, global = true, conflicts_with = "format")]
    pub(crate) json: bool,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Print results and errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more about how inputs were read.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// A format that every command has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For machines.
    Json,
}

/// The names of all formats, from their registries.
fn formats() -> PossibleValuesParser {
    let of_reports = FORMATS.iter().map(|format| (format.name, format.summary));
    let of_hints = hints::FORMATS.iter().map(|format| (format.name, format.summary));
    let mut names: Vec<(&str, &str)> = of_reports.collect();
    let more: Vec<_> = of_hints.filter(|(name, _)| names.iter().all(|(known, _)| known != name)).collect();
    names.extend(more);
    PossibleValuesParser::new(names.into_iter().map(|(name, summary)| PossibleValue::new(name).help(summary)))
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless the environment says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find what serialises execution in Solidity projects, artifacts or bytecode.
    Check(Check),
    /// Show what each function reads and writes, and which calls conflict when.
    Inspect(Inspect),
    /// Compare what transactions of real blocks are predicted to touch with what they touch; exit with 1 if a
    /// prediction misses something without saying so.
    Audit(Audit),
    /// Execute real blocks on several threads, beside plain serial execution; exit with 1 if the two differ.
    Run(Run),
    /// Tell how fast real blocks would be on more processors, by the times that their transactions take.
    Simulate(Simulate),
    /// Tell what transactions will touch before they run, and which of them can run side by side.
    Hints(Hints),
    /// Take a snapshot of a block and of the state before it from a node, and make sure that it is right.
    Fetch(Fetch),
    /// Answer requests for hints: on standard input, over HTTP, or over a Unix socket.
    Serve(Serve),
    /// Hold every pair of functions to the conflicts that the project has agreed to.
    Budget(Budget),
    /// Write a commented `deconflict.toml`.
    Init(Init),
    /// Serve an editor: the language server protocol on standard input and output.
    Lsp(Lsp),
    /// Print the page of a rule.
    Explain(Explain),
    /// List the rules.
    Rules,
    /// Print what a shell needs to complete commands and options.
    Completions(Completions),
    /// Print the manual page.
    Man,
}

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Foundry or Hardhat projects, artifacts, build-infos, solc standard-JSON output, bytecode in hex or binary, folders
    /// with any of these, or `-` for standard input.
    #[arg(default_value = ".", value_name = "PATHS")]
    pub(crate) paths: Vec<PathBuf>,
    /// Report the findings of a rule, code, group letter or group as errors; `warnings` is everything that warns.
    #[arg(short = 'D', long, value_name = "RULE")]
    deny: Vec<String>,
    /// Report the findings of a rule, code, group letter or group as warnings.
    #[arg(short = 'W', long, value_name = "RULE")]
    warn: Vec<String>,
    /// Do not report the findings of a rule, code, group letter or group.
    #[arg(short = 'A', long, value_name = "RULE")]
    allow: Vec<String>,
    /// Exit with 0 even if a denied rule has fired.
    #[arg(long)]
    pub(crate) exit_zero: bool,
    /// Leave out the findings that this file knows; without it, those of `deconflict-baseline.json` if there is one.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Report what a baseline knows as well.
    #[arg(long, conflicts_with_all = ["baseline", "write_baseline"])]
    pub(crate) no_baseline: bool,
    /// Write all findings to the baseline, so that only new ones are reported from now on.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "the option is given or not, and with a file or not")]
    pub(crate) write_baseline: Option<Option<PathBuf>>,
    /// Report only findings that a file has part in which differs from this revision of the git repository.
    #[arg(long, value_name = "REV")]
    pub(crate) changed_since: Option<String>,
    /// Write a comment above each reported line that suppresses its findings, with this reason.
    #[arg(long, value_name = "REASON", num_args = 0..=1, default_missing_value = "", require_equals = true,
          conflicts_with = "write_baseline")]
    pub(crate) add_allow: Option<String>,
    /// Check again whenever a file changes.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Neither use nor keep the results of contracts that have not changed.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Take the code of `0x…` addresses that are given instead of paths from this node; proxies are followed.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc_url: Option<String>,
    #[command(flatten)]
    pub(crate) input: Input,
    /// Print the configuration that is in force, and check nothing.
    #[arg(long)]
    pub(crate) show_config: bool,
    /// Show what N calls of each function come to, now and after each rewrite; N is 100 unless it is given.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "100", require_equals = true,
          value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) scenario: Option<u32>,
    /// Count the findings by rule instead of listing them.
    #[arg(long)]
    pub(crate) statistics: bool,
}

/// How projects are read.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// Never run the project's own build.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// The configuration to use; without it, the nearest `deconflict.toml` at or above each project.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Use no configuration file.
    #[arg(long, conflicts_with = "config")]
    pub(crate) no_config: bool,
}

/// The arguments of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// What to read, as for `check`; `PATH:Contract` shows one contract.
    #[arg(value_name = "PATH[:CONTRACT]")]
    pub(crate) path: PathBuf,
    /// Show one function: its name, signature or selector.
    #[arg(long, value_name = "NAME|SELECTOR")]
    pub(crate) function: Option<String>,
    /// Never run the project's own build.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Take the code from this node: `PATH` is an address then, and proxies are followed.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc_url: Option<String>,
}

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

fn lanes(text: &str) -> Result<usize, String> {
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

/// The arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Answer HTTP at this address; without this and `--ipc`, answer lines on standard input.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8547")]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// Answer HTTP on a Unix socket with this name.
    #[arg(long, value_name = "PATH")]
    pub(crate) ipc: Option<PathBuf>,
    /// Block files whose state is the one to predict on, by their parent's hash; the last is the one without a name.
    #[arg(long, value_name = "FILE")]
    pub(crate) block: Vec<PathBuf>,
    /// Where to find codes that a block file does not hold; without it, `codes.jsonl.zst` in the folder of the block
    /// file or the one above.
    #[arg(long, value_name = "FILE")]
    pub(crate) codes: Option<PathBuf>,
    /// A node to take state from where a request does not bring it, at the head of its chain.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc_url: Option<String>,
    /// A file with the token that requests have to bear; needed beyond the loopback addresses.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A host that requests may name beside this machine's, where it is asked through another server; else those at a
    /// loopback address have to name that, or `localhost`.
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// The most bytes of a request.
    #[arg(long, default_value_t = 4 << 20, value_name = "N")]
    pub(crate) max_body: u32,
    /// The most requests in a batch, and transactions in a request.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub(crate) max_batch: u32,
    /// The most connections at a time.
    #[arg(long, default_value_t = 1_024, value_name = "N")]
    pub(crate) max_connections: u32,
    /// Milliseconds that a request waits for the analysis of codes that were never seen; it goes on in the background.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) analysis_ms: u64,
    /// The number of lanes of plans, 1024 at most.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = lanes)]
    pub(crate) lanes: usize,
    /// Take analysed codes from this file, so that they need not be analysed.
    #[arg(long, value_name = "FILE", conflicts_with = "no_cache")]
    pub(crate) templates: Option<PathBuf>,
    /// Analyse every code anew, and leave the user's cache of analysed codes alone.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Write the log as JSON.
    #[arg(long)]
    pub(crate) log_json: bool,
    #[command(flatten)]
    pub(crate) forks: ForkOptions,
    #[command(flatten)]
    pub(crate) node: NodeOptions,
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

/// The arguments of `budget`.
#[derive(Debug, Args)]
pub(crate) struct Budget {
    /// Projects or artifacts, as for `check`.
    #[arg(default_value = ".", value_name = "PATHS")]
    pub(crate) paths: Vec<PathBuf>,
    /// Write which functions conflict, and when, as what is agreed to.
    #[arg(long, conflicts_with = "check")]
    pub(crate) write: bool,
    /// Exit with 1 if a pair of functions conflicts more than what is agreed to; this is what happens without `--write`.
    #[arg(long)]
    pub(crate) check: bool,
    /// The file with what is agreed to; without it, `deconflict-budget.json`.
    #[arg(long = "budget", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) input: Input,
}

/// The arguments of `lsp`.
#[derive(Debug, Args)]
pub(crate) struct Lsp {
    /// What editors say by habit; there is no other way.
    #[arg(long, hide = true)]
    stdio: bool,
}

/// The arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to write it to.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The rule's name or code.
    #[arg(value_name = "RULE")]
    pub(crate) rule: String,
}

/// The parsed arguments, with what their types cannot hold.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The arguments.
    pub(crate) arguments: Arguments,
    /// The levels that were set, in the order in which they were given.
    pub(crate) settings: Vec<(String, Level)>,
}

impl Invocation {
    /// Parses the process's arguments. Help that was asked for comes as an error, too.
    pub(crate) fn parse() -> Result<Self, clap::Error> {
        let matches = Arguments::command().try_get_matches()?;
        let arguments = Arguments::from_arg_matches(&matches)?;
        let mut settings = Vec::new();
        if let Some(("check", check)) = matches.subcommand() {
            for (name, level) in [("deny", Level::Deny), ("warn", Level::Warn), ("allow", Level::Allow)] {
                let values = check.get_many::<String>(name).into_iter().flatten();
                settings
                    .extend(check.indices_of(name).into_iter().flatten().zip(values).map(|it| (it, level)));
            }
        }
        settings.sort_by_key(|&((index, _), _)| index);
        let settings = settings.into_iter().map(|((_, value), level)| (value.clone(), level)).collect();
        Ok(Self { arguments, settings })
    }

    /// Whether JSON was asked for, as far as that can be told of arguments that do not parse.
    pub(crate) fn wants_json() -> bool {
        let arguments: Vec<_> = std::env::args_os().collect();
        let pair = arguments.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
        pair || arguments.iter().any(|it| it == "--json" || it == "--format=json")
    }
}
