//! What a prediction writes down as it goes: which sources decided it, where it fell short, what it touched.
//!
//! Shared by all paths of a transaction; nothing in here is ever taken back.

use alloy_primitives::{B256, Selector};

use super::memo::ResultMemo;
use super::taint::{Marks, Sources, Taint};
use crate::access_set::{AccessSet, AccountAccess, Shortfall, ShortfallReason};

/// How many shortfalls of one transaction are told apart.
const MAX_SHORTFALLS: usize = 64;

/// The notes of one prediction.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// The words of the state that were asked for.
    pub sources: Sources,
    /// The sets of sources that are in memory.
    pub marks: Marks,
    /// The sources that decided something.
    pub needed: Taint,
    /// Where something may be missing.
    pub shortfalls: Vec<Shortfall>,
    /// What was touched of accounts.
    pub accounts: Vec<AccountAccess>,
    /// Whether a signer that was not recovered turned out to decide something.
    pub wants_signers: bool,
    /// The estimate of the gas used.
    pub gas: u64,
    /// Remembered hashes and results of precompiles: the one thing that outlives a prediction.
    pub results: ResultMemo,
}

/// The place in code that is being followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LedgerPlace {
    pub code_hash: B256,
    pub selector: [u8; 4],
    pub pc: u32,
}

impl Ledger {
    /// Starts the notes of another prediction.
    pub(super) fn clear(&mut self) {
        self.sources.clear();
        self.marks.clear();
        self.needed = Taint::CLEAN;
        self.shortfalls.clear();
        self.accounts.clear();
        self.wants_signers = false;
        self.gas = 0;
    }

    /// Adds what was written down to what is said of a transaction.
    pub(super) fn hand_over(&mut self, set: &mut AccessSet) {
        set.accounts.append(&mut self.accounts);
        set.depends_on.extend(self.sources.of(self.needed));
        set.depends_on_environment.extend(self.sources.environment_of(self.needed));
        set.incomplete.append(&mut self.shortfalls);
    }

    /// Notes that the word with these sources decides something. False if it is not known.
    #[inline]
    pub(super) fn need(&mut self, taint: Taint) -> bool {
        if taint.is_clean() {
            return true;
        }
        self.needed = self.needed.union(taint.sources());
        if taint.is_unknown() {
            self.wants_signers |= taint.awaits_signer();
            return false;
        }
        true
    }

    /// Notes that the word with these sources decides something, known or not.
    #[inline]
    pub(super) fn decide(&mut self, taint: Taint) {
        self.needed = self.needed.union(taint.sources());
    }

    /// Notes that something may be missing.
    pub(super) fn fall_short(&mut self, reason: ShortfallReason, place: LedgerPlace) {
        let LedgerPlace { code_hash, selector, pc } = place;
        let shortfall = Shortfall { reason, code_hash, selector: Selector::from(selector), pc };
        if self.shortfalls.len() < MAX_SHORTFALLS && !self.shortfalls.contains(&shortfall) {
            self.shortfalls.push(shortfall);
        }
    }

    /// Notes that something may be missing because a word with these sources is not known.
    pub(super) fn fall_short_of(&mut self, taint: Taint, reason: ShortfallReason, place: LedgerPlace) {
        let reason = if taint.is_unavailable() { ShortfallReason::StateUnavailable } else { reason };
        self.fall_short(reason, place);
    }
}
