//! Which rules hold when: forks by name, the schedules of chains, and what is known of chains that have other rules.
//!
//! In: a chain, or a file with its schedule, and a moment. Out: a fork of Ethereum's with limits on blobs, or the name of what
//! holds there instead. Rules that are not known are never taken for the next best: who asks for them is told so.

mod fork;
mod schedule;
mod genesis;
mod foreign;

pub use foreign::{kind_name, other_rules};
pub(crate) use foreign::{other_kind, system_transaction};
pub use fork::{fork, fork_name};
pub use genesis::ScheduleError;
pub use schedule::{ChainRules, LaterFork, Moment, Origin, Schedule, blobs_of};
