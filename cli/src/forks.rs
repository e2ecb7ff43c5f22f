//! Which rules hold on the chain of a node, as the command line says.
//!
//! In: a fork by name, or a file with a schedule. Out: what the executor asks for. What a node's chain does otherwise than
//! Ethereum is said here, once for every command.

use std::path::Path;

use anyhow::Context as _;
use deconflict_executor::{
    chain::{Schedule, ScheduleError, other_rules},
    fetch::FetchOptions,
    fork,
};
use revm::primitives::hardfork::SpecId;

use crate::{arguments::ForkOptions, console::Console, text};

/// What was said of forks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forks {
    spec: Option<SpecId>,
    schedule: Option<Schedule>,
}

impl Forks {
    /// Reads the names and files that were given.
    pub(crate) fn new(options: &ForkOptions) -> anyhow::Result<Self> {
        let spec = options.spec.as_deref().map(fork).transpose().map_err(anyhow::Error::msg)?;
        let schedule = match (&options.genesis, &options.fork_schedule) {
            (Some(path), _) => Some(read(path, Schedule::from_genesis)?),
            (None, Some(path)) => Some(read(path, Schedule::from_list)?),
            (None, None) => None,
        };
        Ok(Self { spec, schedule })
    }

    /// The same for the executor.
    pub(crate) fn options(&self) -> FetchOptions<'_> {
        FetchOptions { spec: self.spec, schedule: self.schedule.as_ref(), ..FetchOptions::default() }
    }
}

fn read(
    path: &Path,
    parse: impl Fn(&[u8], &str) -> Result<Schedule, ScheduleError>,
) -> anyhow::Result<Schedule> {
    let name = path.display().to_string();
    let text = text::read(path).with_context(|| format!("cannot read {name}"))?;
    parse(text.as_bytes(), &name).with_context(|| name.clone())
}

/// Warns where a chain is known to have other rules than Ethereum's.
pub(crate) fn warn_of_other_rules(chain_id: u64, console: &Console) {
    if let Some(sentence) = other_rules(chain_id) {
        console.warn(&sentence);
    }
}
