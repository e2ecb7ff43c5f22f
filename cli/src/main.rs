//! The command line of Deconflict: arguments in, calls out.
//!
//! Everything that is found, worded or drawn comes from the libraries. Results go to standard output, everything else
//! to standard error. Exit codes: 0 nothing denied, 1 a denied finding, 2 it could not be told.

mod arguments;
mod text;
mod configuration;
mod console;
mod files;
#[cfg(feature = "execute")]
mod forks;
#[cfg(feature = "execute")]
mod node;
#[cfg(feature = "serve")]
mod hint_server;
mod results;
#[cfg(feature = "lsp")]
mod language_server;
mod command;

use std::process::ExitCode;

use arguments::{Command, Invocation};
#[cfg(feature = "execute")]
use mimalloc::MiMalloc;

/// Predictions are many small lists: with this allocator they take less time than with the system's.
#[cfg(feature = "execute")]
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let invocation = match Invocation::parse() {
        Ok(invocation) => invocation,
        Err(error) => {
            if let Some(reason) = Invocation::left_out() {
                console::left_out(&reason);
                return ExitCode::from(2);
            }
            if error.use_stderr() && Invocation::wants_json() {
                console::failure(error.to_string().trim());
            }
            error.exit();
        }
    };
    let console = console::Console::new(&invocation.arguments);
    if let Err(error) = console.fits(&invocation.arguments.command) {
        console.error(&error);
        return ExitCode::from(2);
    }
    let outcome = match &invocation.arguments.command {
        Command::Check(options) => command::check::run(options, &invocation.settings, &console),
        Command::Inspect(options) => command::inspect::run(options, &console),
        #[cfg(feature = "execute")]
        Command::Audit(options) => command::audit::run(options, &console),
        #[cfg(feature = "execute")]
        Command::Run(options) => command::run::run(options, &console),
        #[cfg(feature = "execute")]
        Command::Simulate(options) => command::simulate::run(options, &console),
        #[cfg(feature = "execute")]
        Command::Hints(options) => command::hints::run(options, &console),
        #[cfg(feature = "execute")]
        Command::Fetch(options) => command::fetch::run(options, &console),
        #[cfg(feature = "serve")]
        Command::Serve(options) => command::serve::run(options, &console),
        Command::Budget(options) => command::budget::run(options, &console),
        Command::Init(options) => command::setup::init(options, &console),
        Command::Completions(options) => command::setup::completions(options, &console),
        Command::Man => command::setup::manual(&console),
        Command::Explain(options) => command::rules::explain(options, &console),
        #[cfg(feature = "lsp")]
        Command::Lsp(_) => Ok(command::lsp::run()),
        Command::Rules => command::rules::list(&console),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            console.error(&error);
            ExitCode::from(2)
        }
    }
}
