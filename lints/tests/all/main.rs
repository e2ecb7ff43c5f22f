//! All tests of the crate from outside, in one binary: they link the same libraries, and linking is what takes the time.
//!
//! `cargo test -p deconflict-lints --test all fixtures::` runs those of one module.

mod architecture;
mod editor_rewrites;
mod fixtures;
mod formats;
mod inputs;
mod lists;
mod precision;
mod rewrites;
mod rules;
mod stored;
mod suppressions;
mod unknown;
mod vyper;
