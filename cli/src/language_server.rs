//! The language server: findings and the facts behind them, in any editor.
//!
//! In: messages of the language server protocol on standard input, and projects on disk. Out: messages on standard
//! output. Three threads share the work: one reads messages, one compiles and analyses, and the one that runs
//! [`Server`] answers every request at once from the last good state. Nothing here words a finding, and nothing is ever
//! written into a project.

mod commands;
mod analysis;
mod encoding;
mod transport;
mod client;
mod compiler;
mod settings;
mod snapshot;
mod worker;
mod uri;
mod pages;
mod document;
mod watch;
mod server;
mod actions;
mod diagnostics;
mod lookup;
mod features;
mod notifications;

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
