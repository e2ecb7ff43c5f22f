//! The language server: findings and the facts behind them, in any editor.
//!
//! In: messages of the language server protocol on standard input, and projects on disk. Out: messages on standard
//! output. Three threads share the work: one reads messages, one compiles and analyses, and the one that runs
//! [`Server`] answers every request at once from the last good state. Nothing here words a finding, and nothing is ever
//! written into a project.

mod actions;
mod analysis;
mod client;
mod compiler;
mod diagnostics;
mod document;
mod encoding;
mod features;
mod lookup;
mod notifications;
mod pages;
mod server;
mod settings;
mod snapshot;
mod transport;
mod uri;
mod watch;
mod worker;

use std::process::ExitCode;

use server::Server;

/// What the main thread waits for.
#[derive(Debug)]
enum Event {
    /// Something that the client sent.
    Incoming(transport::Incoming),
    /// Something that the worker has to say.
    Worker(worker::Update),
}

/// Serves on standard input and output.
pub(crate) fn run() -> ExitCode {
    let (sender, events) = crossbeam_channel::unbounded();
    let out = transport::start(sender.clone());
    let code = Server::new(out.sender.clone(), sender).run(&events);
    out.finish();
    ExitCode::from(code)
}
