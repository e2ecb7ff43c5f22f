//! Access sets of transactions before they run, and execution of blocks on revm.
//!
//! What there is, in the order of the modules below:
//!
//! 1. [`BlockReader`] reads a [`Block`] with the state before it ([`BlockState`]); [`fetch`] makes one of what a node says.
//! 2. [`replay`] and [`execute_settled`] execute it on plain revm, one transaction after the other: what everything else
//!    is compared with. [`record()`](record::record) notes what each transaction really touches.
//! 3. [`Predictor`] says before a transaction runs what it will touch ([`AccessSet`]), by the slices that
//!    `deconflict-analyzer` makes of codes; [`audit`] holds that against executions.
//! 4. [`Executor`] executes a block on several threads: transactions are speculated ahead of their turn, validated by
//!    value when all before them are committed, and executed again where that fails. `store` and `view` are the versions
//!    that threads see, `worker` is one thread's engine, `run` decides who does what.
//! 5. [`plan`] and [`hints`] say it to others: dependencies, lanes, what to read ahead, in the formats of builders and
//!    clients; [`simulate`] does so for processors that are not there.
//!
//! What always holds: a prediction is never trusted with a result; no number of threads, clock or order of a hash table
//! reaches one; a prediction that is not sure of itself says so and why. This crate does not know `deconflict-lints`.
//! The words are those of `docs/glossary.md`, the map is `docs/architecture.md`.

mod text;
mod tuning;
mod environment;
mod access_set;
pub mod chain;
mod block;
mod state;
mod receipt;
mod serial;
mod record;
mod cache;
mod predict;
pub mod audit;
mod changes;
mod store;
mod view;
mod worker;
mod validate;
mod dag;
mod schedule;
mod prefetch;
mod run;
pub mod report;
pub mod simulate;
pub mod plan;
pub mod hints;
pub mod block_access_list;
pub mod fetch;

pub use access_set::{AccessSet, AccountAccess, Shortfall, ShortfallReason, StateKey};
pub use block::{
    Account, BlobLimits, Block, BlockError, BlockReader, CodeStore, Expected, FormError, Header, Transaction,
    check_form, check_forms, transaction_from_json, write_block,
};
pub use cache::{CacheError, SliceCache};
pub use chain::{fork, fork_name};
pub use changes::{AccountChange, FinalWrites, StateChanges, execute_settled};
pub use environment::{Assumed, EnvironmentWord};
pub use predict::{BlockContext, Limits, Predictor, Scratch};
pub use prefetch::{CachedState, SlowState};
pub use record::{Change, NetChanges, Record, Recorder, Site, record};
pub use run::{Config, ExecuteError, Execution, Executor, Listener, Mode, Predictions, RunFigures, Watch};
pub use serial::{Outcome, ReplayError, conclude, execute, replay, verify};
pub use state::{BlockState, Overlay, StateError};
pub use text::NotText;

/// The page of the crate, whose example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Page;
