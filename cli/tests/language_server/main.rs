//! The language server as a client sees it.

#![cfg(feature = "lsp")]

mod agreement;
mod client;
mod editing;
mod pieces;
mod robustness;
mod transcript;
mod uris;
