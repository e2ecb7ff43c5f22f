//! What several transactions that one thread runs one after the other leave to each other, before it is published.
//!
//! In: what a transaction reads and writes. Out: what the next one finds, and at the end all of it as if one transaction
//! had done it. A batch that runs in its turn keeps final values; one that runs ahead keeps additions apart from what they
//! were added to, since that may still change.

use std::collections::hash_map::Entry;

use alloy_primitives::{Address, U256};
use revm::{primitives::hardfork::SpecId, state::AccountInfo};
use rustc_hash::FxHashMap;

use super::{
    effects::{Effects, Reads, Writes},
    log::{AccountRead, BalanceNeed, Check, WordDelta},
};
use crate::store::{AccountDelta, AccountWrite};

/// What transactions one after the other leave to each other.
#[derive(Debug, Default)]
pub(crate) struct BatchState {
    accounts: FxHashMap<Address, Known>,
    slots: FxHashMap<(Address, U256), KnownWord>,
    /// More about accounts, of batches that run ahead.
    unsure: Vec<Unsure>,
    /// Words of batches that run ahead that may only have been added to, and the comparisons that they decided.
    deltas: Vec<WordDelta>,
    checks: Vec<Check>,
}

/// An account.
#[derive(Debug)]
struct Known {
    info: Option<AccountInfo>,
    written: bool,
    /// Where there is more about it, if there is.
    unsure: u32,
}

/// An account in its place, while a batch runs in its turn.
#[derive(Debug)]
pub(crate) struct AccountInPlace<'o>(&'o mut Known);

impl AccountInPlace<'_> {
    /// The account.
    pub(crate) fn info(&self) -> Option<&AccountInfo> {
        self.0.info.as_ref()
    }

    /// Changes the account, which comes into being if there is none.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut AccountInfo)) {
        change(self.0.info.get_or_insert_default());
        self.0.written = true;
    }
}

/// An account that may still change before the batch counts.
#[derive(Debug)]
struct Unsure {
    /// How it was found at first.
    read: AccountRead,
    /// Whether the batch depends on that.
    counts: bool,
    /// What was added to it since.
    added: AccountDelta,
}

/// A word of storage.
#[derive(Clone, Copy, Debug)]
struct KnownWord {
    word: U256,
    written: bool,
    /// Where there is more about it, if it may only have been added to.
    delta: u32,
}

/// There is nothing more to know.
const NOTHING: u32 = u32::MAX;

impl Known {
    fn new(info: Option<AccountInfo>) -> Self {
        Self { info, written: false, unsure: NOTHING }
    }
}

impl BatchState {
    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.unsure.clear();
        self.deltas.clear();
        self.checks.clear();
    }

    /// The memory that it has, in bytes, near enough.
    pub(crate) fn bytes(&self) -> usize {
        self.accounts.capacity() * size_of::<(Address, Known)>()
            + self.slots.capacity() * size_of::<((Address, U256), KnownWord)>()
            + self.unsure.capacity() * size_of::<Unsure>()
    }

    /// The numbers of accounts and slots that are known.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.accounts.len(), self.slots.len())
    }

    /// An account that is known.
    pub(super) fn account(&self, address: &Address) -> Option<&Option<AccountInfo>> {
        self.accounts.get(address).map(|known| &known.info)
    }

    /// Makes sure that an account is known; `read` says what it is if it is not yet.
    pub(super) fn find_account<E>(
        &mut self,
        address: Address,
        read: impl FnOnce() -> Result<Option<AccountInfo>, E>,
    ) -> Result<(), E> {
        if let Entry::Vacant(vacant) = self.accounts.entry(address) {
            vacant.insert(Known::new(read()?));
        }
        Ok(())
    }

    /// Two different accounts that are known, to be changed in their place.
    pub(super) fn places(&mut self, addresses: [&Address; 2]) -> Option<[AccountInPlace<'_>; 2]> {
        match self.accounts.get_disjoint_mut(addresses) {
            [Some(first), Some(second)] => Some([AccountInPlace(first), AccountInPlace(second)]),
            _ => None,
        }
    }

    /// A word that is known, and whether it may only have been added to.
    pub(super) fn word(&self, key: &(Address, U256)) -> Option<(U256, bool)> {
        self.slots.get(key).map(|known| (known.word, known.delta != NOTHING))
    }

    /// Keeps an account as it was found; `read` says how, if that has to be checked later.
    pub(super) fn keep_account(
        &mut self,
        address: Address,
        info: Option<AccountInfo>,
        read: Option<AccountRead>,
    ) {
        let mut known = Known::new(info);
        if let Some(read) = read {
            known.unsure = self.unsure.len() as u32;
            self.unsure.push(Unsure { read, counts: false, added: AccountDelta::default() });
        }
        self.accounts.insert(address, known);
    }

    /// Keeps a word as it was found.
    pub(super) fn keep_word(&mut self, key: (Address, U256), word: U256) {
        self.slots.insert(key, KnownWord { word, written: false, delta: NOTHING });
    }

    /// Takes in what a transaction writes that ran in its turn. False if that cannot be held here.
    pub(crate) fn settle(&mut self, writes: &Writes) -> bool {
        let is_plain = writes.resets.is_empty() && writes.keeps_fees;
        if !is_plain || writes.accounts.iter().any(|(_, write)| matches!(write, AccountWrite::Add(_))) {
            return false;
        }
        for (address, write) in &writes.accounts {
            if let AccountWrite::Set(info) = write {
                let known = self.accounts.entry(*address).or_insert_with(|| Known::new(None));
                known.info.clone_from(info);
                known.written = true;
            }
        }
        for (address, slot, word) in &writes.slots {
            let known = KnownWord { word: *word, written: true, delta: NOTHING };
            self.slots.insert((*address, *slot), known);
        }
        true
    }

    /// Takes in what a transaction did that ran ahead of its turn, and adds what it depended on to `reads`. False if that
    /// cannot be held here; what was added to `reads` by then does no harm.
    pub(crate) fn absorb(&mut self, effects: &Effects, reads: &mut Reads, spec: SpecId) -> bool {
        let writes = &effects.writes;
        if !writes.resets.is_empty() || !writes.keeps_fees {
            return false;
        }
        for (address, write) in &writes.accounts {
            let AccountWrite::Add(addition) = write else { return false };
            let Some(known) = self.accounts.get(address) else { return false };
            if addition.apply(known.info.clone()).is_none() {
                return false;
            }
        }
        for read in &effects.reads.accounts {
            let Some(known) = self.accounts.get(&read.address) else { return false };
            let Some(unsure) = self.unsure.get_mut(known.unsure as usize) else { return false };
            let Unsure { read: first, counts, added } = unsure;
            *counts = true;
            first.needs_nonce |= read.needs_nonce;
            first.needs_presence |= read.needs_presence;
            first.needs = match (first.needs, read.needs) {
                (BalanceNeed::Same, _) | (_, BalanceNeed::Same) => BalanceNeed::Same,
                (BalanceNeed::AtLeast(least), BalanceNeed::AtLeast(now)) => {
                    // What was added since has to be there no matter what it was added to.
                    let before = now.saturating_add(added.debit).saturating_sub(added.credit);
                    BalanceNeed::AtLeast(least.max(before))
                }
            };
        }
        if !self.absorb_words(&effects.reads, reads) {
            return false;
        }
        let clears_empty = spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
        for (address, write) in &writes.accounts {
            if let (Some(known), AccountWrite::Add(addition)) = (self.accounts.get_mut(address), write) {
                let after = addition.apply(known.info.take());
                known.info = after.filter(|info| !clears_empty || !info.is_empty());
                if let Some(unsure) = self.unsure.get_mut(known.unsure as usize) {
                    unsure.added = unsure.added.and(*addition);
                }
            }
        }
        for (address, slot, word) in &writes.slots {
            let entry = self.slots.entry((*address, *slot));
            let known = entry.or_insert(KnownWord { word: *word, written: true, delta: NOTHING });
            (known.word, known.written) = (*word, true);
        }
        true
    }

    /// Takes in what words a transaction found that ran ahead of its turn.
    fn absorb_words(&mut self, found: &Reads, reads: &mut Reads) -> bool {
        for read in &found.slots {
            let known = self.slots.get(&(read.address, read.slot));
            match known.and_then(|known| self.deltas.get_mut(known.delta as usize)) {
                Some(delta) => delta.exact = true,
                None => reads.slots.push(*read),
            }
        }
        for (number, delta) in found.deltas.iter().enumerate() {
            let Some(known) = self.slots.get_mut(&(delta.read.address, delta.read.slot)) else {
                return false;
            };
            if known.delta == NOTHING {
                known.delta = self.deltas.len() as u32;
                self.deltas.push(delta.clone());
            }
            let place = known.delta;
            let first = &mut self.deltas[place as usize];
            first.exact |= delta.exact;
            // What the batch has added since it found the word.
            let shift = delta.read.word.wrapping_sub(first.read.word);
            let own = found.checks.iter().filter(|check| check.delta as usize == number);
            self.checks.extend(own.map(|check| Check {
                delta: place,
                left: check.left.shifted(shift),
                right: check.right.shifted(shift),
                ..*check
            }));
        }
        true
    }

    /// Hands over what the transactions of a batch that ran ahead did together.
    #[expect(clippy::iter_over_hash_type, reason = "each slot is published on its own")]
    pub(crate) fn hand_over(&mut self, effects: &mut Effects) {
        for Unsure { read, counts, added } in self.unsure.drain(..) {
            if added != AccountDelta::default() {
                effects.writes.accounts.push((read.address, AccountWrite::Add(added)));
            }
            effects.reads.accounts.extend(Some(read).filter(|_| counts));
        }
        self.accounts.clear();
        for ((address, slot), known) in self.slots.drain() {
            if known.written {
                match self.deltas.get(known.delta as usize).filter(|delta| !delta.exact) {
                    Some(delta) => {
                        let addition = known.word.wrapping_sub(delta.read.word);
                        effects.writes.deltas.push((address, slot, addition));
                    }
                    None => effects.writes.slots.push((address, slot, known.word)),
                }
            }
        }
        effects.reads.deltas.append(&mut self.deltas);
        effects.reads.checks.append(&mut self.checks);
    }

    /// Whether a batch in its turn has written an account.
    pub(crate) fn writes_account(&self, address: &Address) -> bool {
        self.accounts.get(address).is_some_and(|known| known.written)
    }

    /// Whether a batch in its turn has written a slot.
    pub(crate) fn writes_slot(&self, key: &(Address, U256)) -> bool {
        self.slots.get(key).is_some_and(|known| known.written)
    }

    /// Takes out the accounts that a batch in its turn has written, in no particular order.
    pub(crate) fn take_accounts(&mut self) -> impl Iterator<Item = (Address, Option<AccountInfo>)> {
        let written = self.accounts.drain().filter(|(_, known)| known.written);
        written.map(|(address, known)| (address, known.info))
    }

    /// Takes out the slots that a batch in its turn has written, in no particular order.
    pub(crate) fn take_slots(&mut self) -> impl Iterator<Item = ((Address, U256), U256)> {
        let written = self.slots.drain().filter(|(_, known)| known.written);
        written.map(|(key, known)| (key, known.word))
    }
}
