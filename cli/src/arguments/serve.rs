//! The arguments of `serve`.
//!
//! In: nothing. Out: a type that clap fills. Nothing here is done.

use std::path::PathBuf;

use clap::Args;

use super::blocks::{ForkOptions, NodeOptions, lanes};

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
