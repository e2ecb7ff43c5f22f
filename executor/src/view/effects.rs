//! What an execution depended on and what it changes, as the store takes it and the commit checks it.
//!
//! Plain data. Nothing here publishes or validates.

use alloy_primitives::{Address, U256};

use super::log::{AccountRead, Check, SlotRead, WordDelta};
use crate::store::AccountWrite;

/// What an execution depended on, and what it changes. The lists are used again and again.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) reads: Reads,
    pub(crate) writes: Writes,
}

impl Effects {
    pub(crate) fn clear(&mut self) {
        self.reads.accounts.clear();
        self.reads.slots.clear();
        self.reads.deltas.clear();
        self.reads.checks.clear();
        self.writes.accounts.clear();
        self.writes.slots.clear();
        self.writes.deltas.clear();
        self.writes.resets.clear();
        self.writes.fee = U256::ZERO;
        self.writes.keeps_fees = true;
    }
}

/// What an execution depended on.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) accounts: Vec<AccountRead>,
    pub(crate) slots: Vec<SlotRead>,
    /// Words that were only added to as far as they do not say otherwise, and the comparisons that they decided.
    pub(crate) deltas: Vec<WordDelta>,
    pub(crate) checks: Vec<Check>,
}

/// What an execution changes.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) accounts: Vec<(Address, AccountWrite)>,
    pub(crate) slots: Vec<(Address, U256, U256)>,
    /// What is added to words, whatever they were.
    pub(crate) deltas: Vec<(Address, U256, U256)>,
    /// Accounts that lose the storage that they had.
    pub(crate) resets: Vec<Address>,
    /// What the beneficiary is paid.
    pub(crate) fee: U256,
    /// Whether what the beneficiary has earned before stays apart from its account.
    pub(crate) keeps_fees: bool,
}
