//! The language server as a client sees it.

mod client;
mod editing;
mod pieces;
mod robustness;
mod transcript;
mod uris;
