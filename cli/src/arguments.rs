//! The arguments, in one table; the help text is their documentation.

use std::path::PathBuf;

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser},
};
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
    /// The format of the output: `human` or `json`; `check` has more.
    #[arg(long, global = true, default_value = "human", value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: String,
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

/// The names of all formats, from their registry.
fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(
        FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.summary)),
    )
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
