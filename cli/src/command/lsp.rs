//! `deconflict lsp`: the language server on standard input and output.

use std::process::ExitCode;

use crate::language_server;

/// Serves until the client says to stop or goes away.
pub(crate) fn run() -> ExitCode {
    language_server::run()
}
