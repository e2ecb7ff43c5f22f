//! The arguments, in one table; the help text is their documentation.

#[cfg(feature = "execute")]
mod blocks;
#[cfg(feature = "serve")]
mod serve;

use std::path::PathBuf;

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser},
};
#[cfg(feature = "execute")]
use deconflict_executor::hints;
use deconflict_lints::{Level, report::FORMATS};

#[cfg(feature = "execute")]
pub(crate) use self::blocks::{
    Audit, ExecutionMode, Fetch, ForkOptions, Hints, NodeOptions, Run, Simulate, State, Tier,
};
#[cfg(feature = "serve")]
pub(crate) use self::{blocks::MOST_LANES, serve::Serve};

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
    #[cfg(feature = "execute")]
    let of_hints = hints::FORMATS.iter().map(|format| (format.name, format.summary));
    #[cfg(not(feature = "execute"))]
    let of_hints = std::iter::empty();
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
    #[cfg(feature = "execute")]
    Audit(Audit),
    /// Execute real blocks on several threads, beside plain serial execution; exit with 1 if the two differ.
    #[cfg(feature = "execute")]
    Run(Run),
    /// Tell how fast real blocks would be on more processors, by the times that their transactions take.
    #[cfg(feature = "execute")]
    Simulate(Simulate),
    /// Tell what transactions will touch before they run, and which of them can run side by side.
    #[cfg(feature = "execute")]
    Hints(Hints),
    /// Take a snapshot of a block and of the state before it from a node, and make sure that it is right.
    #[cfg(feature = "execute")]
    Fetch(Fetch),
    /// Answer requests for hints: on standard input, over HTTP, or over a Unix socket.
    #[cfg(feature = "serve")]
    Serve(Serve),
    /// Hold every pair of functions to the conflicts that the project has agreed to.
    Budget(Budget),
    /// Write a commented `deconflict.toml`.
    Init(Init),
    /// Serve an editor: the language server protocol on standard input and output.
    #[cfg(feature = "lsp")]
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

/// Whether projects are compiled.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Building {
    /// Take the project's own build as it is: by default a project is compiled into a folder of the cache where that build
    /// is not of the text as it is now, or has no names or lines.
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Fail where the project's own build is not of the text as it is now, instead of compiling.
    #[arg(long, conflicts_with = "no_build")]
    pub(crate) fresh: bool,
}

/// How projects are read.
#[derive(Debug, Default, Args)]
pub(crate) struct Input {
    #[command(flatten)]
    pub(crate) building: Building,
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
    #[command(flatten)]
    pub(crate) building: Building,
    /// Take the code from this node: `PATH` is an address then, and proxies are followed.
    #[arg(long, value_name = "URL")]
    pub(crate) rpc_url: Option<String>,
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
#[cfg(feature = "lsp")]
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

/// The commands that features bring, and the feature of each.
const OF_FEATURES: [(&str, &str, bool); 7] = [
    ("audit", "execute", cfg!(feature = "execute")),
    ("run", "execute", cfg!(feature = "execute")),
    ("simulate", "execute", cfg!(feature = "execute")),
    ("hints", "execute", cfg!(feature = "execute")),
    ("fetch", "execute", cfg!(feature = "execute")),
    ("serve", "serve", cfg!(feature = "serve")),
    ("lsp", "lsp", cfg!(feature = "lsp")),
];

impl Invocation {
    /// What to say where the process is asked for a command that this build was made without.
    pub(crate) fn left_out() -> Option<String> {
        let asked = std::env::args().skip(1).find(|argument| !argument.starts_with('-'))?;
        let (name, feature, _) =
            OF_FEATURES.iter().find(|(name, _, is_there)| *name == asked && !is_there)?;
        Some(format!(
            "this build has no `{name}`: it was made without the feature `{feature}`; install it with `cargo install` and \
             without `--no-default-features`"
        ))
    }

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
