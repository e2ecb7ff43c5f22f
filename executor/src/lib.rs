//! Access sets of transactions before they run, and execution of blocks on revm.

mod text;
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
