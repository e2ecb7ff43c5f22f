//! The state as one transaction finds it, and what it learnt of that state.
//!
//! In: the versions of everything that was written, over the state before the block. Out: what revm asks for, and a log
//! from which it can be told later whether another state would have led to the same execution. The log must hold
//! everything that the execution depended on; what it depended on less closely than by value it may say so.

mod log;
mod effects;
mod following;
mod hashes;
mod batch_state;

pub(crate) use self::{
    batch_state::BatchState,
    effects::{Effects, Reads, Writes},
    following::Term,
    hashes::BYTES as HASHED_BYTES,
    log::{AccountRead, BalanceNeed, Check, LoadSite, Presence, Side, SlotRead, WordDelta, code_hash},
};

use std::sync::atomic::AtomicBool;

use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{Database, DatabaseRef, bytecode::Bytecode, primitives::hardfork::SpecId, state::AccountInfo};
use rustc_hash::FxHashMap;

use self::{following::Following, hashes::Hashes, log::ReadLog};
use crate::{
    store::{Fees, Found, Index, Store},
    tuning::OWN_CODE,
};

/// The state as one transaction finds it.
#[derive(Debug)]
pub(crate) struct View<'a, D> {
    pub(crate) state: &'a D,
    pub(crate) store: &'a Store,
    pub(crate) fees: &'a Fees,
    pub(crate) spec: SpecId,
    /// The transaction.
    pub(crate) reader: Index,
    /// The transaction's sender and nonce, if it is taken for granted that they fit each other.
    pub(crate) assumed: Option<(Address, u64)>,
    /// Whether to keep a log: what runs in its turn needs none.
    pub(crate) logs: bool,
    pub(crate) log: ReadLog,
    /// Whether the transactions that this thread runs find what the last ones left in `batch_state`.
    pub(crate) in_batch: bool,
    pub(crate) batch_state: BatchState,
    /// Codes that this thread has run.
    codes: FxHashMap<B256, Code>,
    /// Hashes that this thread has computed.
    pub(crate) hashes: Hashes,
    /// Where words are that may only be added to.
    pub(crate) following: Following,
    /// Ends the transaction that runs when it is set.
    pub(crate) stop: &'a AtomicBool,
}

/// What ends nothing.
static NEVER: AtomicBool = AtomicBool::new(false);

/// A code that a thread has run, and how often.
#[derive(Debug)]
struct Code {
    code: Bytecode,
    runs: u32,
}

/// The state as a transaction finds it, without what a batch leaves to it.
struct Published<'a, D> {
    state: &'a D,
    store: &'a Store,
    fees: &'a Fees,
    spec: SpecId,
    reader: Index,
}

impl<D: DatabaseRef> Published<'_, D> {
    /// The account as the transaction finds it, and who wrote it last.
    fn account(&self, address: Address) -> Result<(Option<AccountInfo>, Option<Index>), D::Error> {
        // What is settled needs no look at the state below.
        let settled = self.store.accounts.with(&address, |versions| {
            versions.settled(self.reader).map(|(info, writer)| (info.clone(), writer))
        });
        let (info, writer) = match settled {
            Some(Some((info, writer))) => (info, Some(writer)),
            Some(None) => {
                let base = self.state.basic_ref(address)?;
                let found =
                    self.store.accounts.with(&address, |versions| versions.read(self.reader, base.clone()));
                found.unwrap_or((base, None))
            }
            None => (self.state.basic_ref(address)?, None),
        };
        Ok((self.fees.add_to(address, info, self.spec), writer))
    }
}

impl<'a, D: DatabaseRef> View<'a, D> {
    /// The view of nobody yet.
    pub(crate) fn new(state: &'a D, store: &'a Store, fees: &'a Fees, spec: SpecId) -> Self {
        Self {
            state,
            store,
            fees,
            spec,
            reader: 0,
            assumed: None,
            logs: false,
            log: ReadLog::default(),
            in_batch: false,
            batch_state: BatchState::default(),
            codes: FxHashMap::default(),
            hashes: Hashes::default(),
            following: Following::default(),
            stop: &NEVER,
        }
    }

    /// Makes ready for a transaction. With `assumed`, its sender's nonce is taken to be the right one.
    pub(crate) fn begin(&mut self, reader: Index, assumed: Option<(Address, u64)>) {
        self.reader = reader;
        self.assumed = assumed;
        self.logs = assumed.is_some();
        self.log.clear();
    }

    /// The account as the transaction finds it, and who wrote it last.
    pub(crate) fn account(&self, address: Address) -> Result<(Option<AccountInfo>, Option<Index>), D::Error> {
        self.published().account(address)
    }

    /// What is published, for longer than the view is borrowed.
    fn published(&self) -> Published<'a, D> {
        Published {
            state: self.state,
            store: self.store,
            fees: self.fees,
            spec: self.spec,
            reader: self.reader,
        }
    }

    /// The sender of a transaction and whom it calls, to be changed in their place, while transactions run one after the other in
    /// their turn. None if one of them is no account like others: both are the same, or one earns the fees.
    pub(crate) fn pair(
        &mut self,
        sender: Address,
        receiver: Address,
    ) -> Result<Option<[batch_state::AccountInPlace<'_>; 2]>, D::Error> {
        let beneficiary = self.fees.beneficiary;
        if sender == receiver || sender == beneficiary || receiver == beneficiary {
            return Ok(None);
        }
        let published = self.published();
        for address in [sender, receiver] {
            self.batch_state.find_account(address, || Ok(published.account(address)?.0))?;
        }
        Ok(self.batch_state.places([&sender, &receiver]))
    }

    /// Who of the block has written the account before the transaction.
    pub(crate) fn writer(&self, address: &Address) -> Option<Index> {
        self.store.accounts.with(address, |versions| versions.writer(self.reader)).flatten()
    }

    /// What is in a slot as far as earlier transactions of the block decide it.
    fn overwritten(&self, address: Address, slot: U256) -> Option<Found> {
        let resets = &self.store.resets;
        let reset = resets
            .with(&address, |resets| resets.iter().copied().filter(|reset| *reset < self.reader).max())
            .flatten();
        // A transaction takes the storage away before it writes to it anew.
        let written = self.store.slots.with(&(address, slot), |versions| versions.read(self.reader, reset));
        written.flatten().or_else(|| reset.map(|_| Found::Word(U256::ZERO)))
    }

    /// The word in a slot as the transaction finds it, and whether earlier transactions of the block have to do with it.
    pub(crate) fn word(&self, address: Address, slot: U256) -> Result<(U256, bool), D::Error> {
        Ok(match self.overwritten(address, slot) {
            Some(Found::Word(word)) => (word, true),
            Some(Found::Added(delta)) => (self.state.storage_ref(address, slot)?.wrapping_add(delta), true),
            None => (self.state.storage_ref(address, slot)?, false),
        })
    }

    /// Whether a slot still holds a word that was found in it.
    pub(crate) fn still_holds(&self, read: &SlotRead) -> Result<bool, D::Error> {
        Ok(match self.overwritten(read.address, read.slot) {
            Some(Found::Word(word)) => word == read.word,
            None if !read.written => true,
            _ => self.word(read.address, read.slot)?.0 == read.word,
        })
    }

    /// The store, for longer than the view is borrowed.
    pub(crate) fn store(&self) -> &'a Store {
        self.store
    }
}

impl<D: DatabaseRef> Database for View<'_, D> {
    type Error = D::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, D::Error> {
        let is_beneficiary = address == self.fees.beneficiary;
        // What it has earned is part of no overlay.
        let in_batch = self.in_batch && !is_beneficiary;
        if in_batch && let Some(info) = self.batch_state.account(&address) {
            let info = info.clone();
            if self.logs {
                self.log.accounts.push(AccountRead::new(address, info.as_ref()));
            }
            return Ok(info);
        }
        let (mut info, writer) = self.account(address)?;
        let mut taken_for_granted = false;
        if let (Some((sender, nonce)), Some(info)) = (self.assumed, &mut info)
            && sender == address
            && info.nonce != nonce
        {
            info.nonce = nonce;
            taken_for_granted = true;
        }
        if !self.logs {
            if in_batch {
                self.batch_state.keep_account(address, info.clone(), None);
            }
            return Ok(info);
        }
        let read = AccountRead {
            from_base: writer.is_none() && !taken_for_granted && !is_beneficiary,
            ..AccountRead::new(address, info.as_ref())
        };
        if in_batch {
            // What the batch needs of it is what its transactions turn out to need.
            let first = AccountRead { needs_presence: false, ..read.clone() };
            self.batch_state.keep_account(address, info.clone(), Some(first));
        }
        self.log.accounts.push(read);
        Ok(info)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, D::Error> {
        if let Some(Code { code, runs }) = self.codes.get_mut(&hash) {
            *runs += 1;
            if *runs == OWN_CODE && self.logs && code.is_legacy() {
                *code = Bytecode::new_legacy(Bytes::copy_from_slice(code.original_byte_slice()));
            }
            return Ok(code.clone());
        }
        let code = self.state.code_by_hash_ref(hash)?;
        self.codes.insert(hash, Code { code: code.clone(), runs: 1 });
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, D::Error> {
        let site = std::mem::take(&mut self.following.site);
        if self.in_batch
            && let Some((word, is_delta)) = self.batch_state.word(&(address, slot))
        {
            // What has only been added to so far may still become something that counts.
            if is_delta {
                self.log.slots.push(SlotRead { address, slot, word, written: true, site });
            }
            return Ok(word);
        }
        let (word, written) = self.word(address, slot)?;
        if self.in_batch {
            self.batch_state.keep_word((address, slot), word);
        }
        if self.logs {
            self.log.slots.push(SlotRead { address, slot, word, written, site });
        }
        Ok(word)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, D::Error> {
        self.state.block_hash_ref(number)
    }
}
