//! The language server as a client sees it.

mod client;
mod editing;
mod robustness;
mod transcript;
