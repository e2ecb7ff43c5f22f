//! Access sets of transactions before they run, and execution of blocks on revm.

mod access_set;

pub use access_set::{AccessSet, AccountAccess, Shortfall, ShortfallReason, StateKey};
