//! Which forms of transactions a block of a fork can hold, beside what revm checks of each.
//!
//! In: a block. Out: nothing, or the first transaction that no block like it has, and why: creations of kinds that cannot
//! create, and more blobs than there is room for.

use revm::primitives::hardfork::SpecId;
use thiserror::Error;

use super::{Block, Transaction};
use crate::chain::{Moment, Schedule, blobs_of};

/// The most blobs that transactions may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobLimits {
    /// One of them; none where it is not known, or there are no blobs.
    pub per_transaction: Option<u64>,
    /// All of a block together, likewise.
    pub per_block: Option<u64>,
}

/// Why no block of the fork holds a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormError {
    /// It creates, and its kind always calls.
    #[error("it has no `to`, and a transaction of type {kind} creates no contract (EIP-{eip})")]
    Creates {
        /// Its type.
        kind: u8,
        /// The proposal that says so.
        eip: u16,
    },
    /// It has more blobs than a transaction may have.
    #[error("it has {have} blobs, and a transaction of its block has at most {most} ({})", rule(*fork))]
    TooManyBlobs {
        /// How many.
        have: u64,
        /// How many it may have.
        most: u64,
        /// The fork.
        fork: SpecId,
    },
    /// With those before it, it has more blobs than a block may have.
    #[error("with its {have} blobs the block has {all}, and it has at most {most}")]
    FullOfBlobs {
        /// How many it has.
        have: u64,
        /// How many it and those before it have.
        all: u64,
        /// How many a block may have.
        most: u64,
    },
}

/// What sets the limit of a transaction.
fn rule(fork: SpecId) -> &'static str {
    if fork.is_enabled_in(SpecId::OSAKA) {
        "EIP-7594"
    } else if fork.is_enabled_in(SpecId::PRAGUE) {
        "EIP-7691"
    } else {
        "EIP-4844"
    }
}

impl BlobLimits {
    /// The limits of a block: as it says itself, by the schedule of its chain, or as its fork began. From Osaka on chains change
    /// them without a fork, so that nothing is known of the blocks of others.
    pub fn of(block: &Block) -> Self {
        let Some(began) = blobs_of(block.spec) else { return Self::default() };
        let header = &block.header;
        let moment = Moment { number: block.number, timestamp: header.timestamp, merged: true };
        let scheduled = Schedule::known(block.chain_id).and_then(|schedule| schedule.at(moment).ok());
        let scheduled = scheduled.filter(|rules| rules.spec == block.spec).and_then(|rules| rules.blobs);
        let is_osaka = block.spec.is_enabled_in(SpecId::OSAKA);
        let by_fork = (!is_osaka).then_some(began.max_blob_count);
        let per_block = header.max_blobs.or(scheduled.map(|blobs| blobs.max_blob_count)).or(by_fork);
        let per_transaction = if is_osaka {
            Some(began.max_blobs_per_tx.min(per_block.unwrap_or(u64::MAX)))
        } else {
            per_block
        };
        Self { per_transaction, per_block }
    }

    /// Whether a block with so many blobs has room for those of the transaction.
    pub fn add(&self, blobs: u64, transaction: &Transaction) -> Result<(), FormError> {
        let have = transaction.env.blob_hashes.len() as u64;
        let all = blobs.saturating_add(have);
        match self.per_block.filter(|most| have > 0 && all > *most) {
            Some(most) => Err(FormError::FullOfBlobs { have, all, most }),
            None => Ok(()),
        }
    }
}

/// Whether a block of this fork can hold the transaction.
pub fn check_form(transaction: &Transaction, spec: SpecId, limits: BlobLimits) -> Result<(), FormError> {
    let env = &transaction.env;
    if env.kind.is_create() && matches!(env.tx_type, 3 | 4) {
        let eip = if env.tx_type == 3 { 4844 } else { 7702 };
        return Err(FormError::Creates { kind: env.tx_type, eip });
    }
    let have = env.blob_hashes.len() as u64;
    match limits.per_transaction.filter(|most| have > *most) {
        Some(most) => Err(FormError::TooManyBlobs { have, most, fork: spec }),
        None => Ok(()),
    }
}

/// Whether the block can hold its transactions, or the index of the first that it cannot.
pub fn check_forms(block: &Block) -> Result<(), (usize, FormError)> {
    let limits = BlobLimits::of(block);
    let mut blobs = 0;
    for (index, transaction) in block.transactions.iter().enumerate() {
        check_form(transaction, block.spec, limits)
            .and_then(|()| limits.add(blobs, transaction))
            .map_err(|problem| (index, problem))?;
        blobs += transaction.env.blob_hashes.len() as u64;
    }
    Ok(())
}
