//! The state as the transaction under prediction has changed it so far.
//!
//! In: a read-only view of the state before the transaction. Out: words, balances, nonces and codes with their
//! sources, and the record of what was touched. Changes are journalled, so that a frame that fails takes its changes
//! back; what was touched stays touched. The view is asked once for each thing.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use hashbrown::{HashMap, HashSet};
use revm::DatabaseRef;
use rustc_hash::FxBuildHasher;

use super::codes::designator;
use super::node::{Definition, NodeId};
use super::taint::{Sources, Taint};
use crate::access_set::StateKey;

/// An account that the transaction came across, by index.
pub(super) type AccountId = u32;

/// A word and where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word {
    pub value: U256,
    pub taint: Taint,
    /// How the word follows from the transaction and the state, while a path is recorded.
    pub node: NodeId,
}

// Words are copied by every operation.
const _: () = assert!(size_of::<Word>() == 64, "a word has grown");

impl Word {
    /// A word that follows from the transaction alone.
    #[inline]
    pub(super) fn clean(value: U256) -> Self {
        Self { value, taint: Taint::CLEAN, node: NodeId::CONSTANT }
    }

    /// A word of a path that is not recorded.
    #[inline]
    pub(super) fn new(value: U256, taint: Taint) -> Self {
        Self { value, taint, node: NodeId::CONSTANT }
    }

    /// The word as an address.
    pub(super) fn address(&self) -> Address {
        Address::from_word(B256::from(self.value))
    }
}

/// The code of an account.
#[derive(Clone, Debug)]
pub(super) enum AccountCode {
    /// The state has it, by its hash.
    Stored(B256),
    /// The transaction put it there.
    New(Bytes, B256),
    /// The transaction delegated the account to another, as EIP-7702 has it.
    Delegated(Address),
}

impl AccountCode {
    /// The hash of the code.
    pub(super) fn hash(&self) -> U256 {
        match self {
            Self::Stored(hash) | Self::New(_, hash) => (*hash).into(),
            Self::Delegated(address) => keccak256(designator(*address)).into(),
        }
    }

    /// Whether there is no code.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Stored(hash) | Self::New(_, hash) => *hash == KECCAK256_EMPTY,
            Self::Delegated(_) => false,
        }
    }

    /// The bytes of the code, or none where the state does not give them.
    pub(super) fn bytes<D: DatabaseRef>(&self, state: &D) -> Option<Bytes> {
        match self {
            Self::New(bytes, _) => Some(bytes.clone()),
            Self::Delegated(address) => Some(designator(*address)),
            Self::Stored(hash) if *hash == KECCAK256_EMPTY => Some(Bytes::new()),
            Self::Stored(hash) => state.code_by_hash_ref(*hash).ok().map(|code| code.original_bytes()),
        }
    }
}

#[derive(Clone, Debug)]
struct Account {
    address: Address,
    /// What the state says; none before it was asked.
    info: Option<Info>,
    /// What the transaction added to the balance, modulo 2^256.
    adjustment: U256,
    adjustment_taint: Taint,
    /// What the transaction added to the nonce.
    nonce_increments: u64,
    /// The code, where the transaction changed it.
    code: Option<AccountCode>,
    /// Whether the transaction created the account: its storage is empty.
    created: bool,
    warmth: Warmth,
}

/// Whether something was touched before, so that touching it again costs less, by EIP-2929.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Warmth {
    /// In this transaction and this block.
    pub here: bool,
    /// In this transaction, whatever block it is in: all but the account that receives the fees.
    pub any: bool,
    /// In every transaction that goes the same way.
    pub elsewhere: bool,
}

/// What a store found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub warmth: Warmth,
    /// The word before the transaction.
    pub original: Word,
    /// The word before the store.
    pub present: Word,
}

#[derive(Clone, Copy, Debug)]
struct Info {
    balance: U256,
    nonce: u64,
    code_hash: B256,
    /// Whether the state has the account, empty or not.
    exists: bool,
    /// Of the balance and the nonce; unknown where the state could not be read.
    balance_taint: Taint,
    nonce_taint: Taint,
    code_taint: Taint,
}

/// How a storage slot was touched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Touch {
    /// It was loaded.
    pub read: bool,
    /// It was stored to.
    pub written: bool,
    /// It was touched otherwise than by an update that commutes.
    pub beyond_delta: bool,
}

#[derive(Clone, Debug)]
struct Slot {
    account: AccountId,
    key: U256,
    word: Word,
    loaded: bool,
    touch: Touch,
    warmth: Warmth,
    /// What it held before the transaction, if that was asked.
    original: Option<Word>,
    /// What gave the slot its word, while a path is recorded.
    definition: Definition,
}

#[derive(Clone)]
enum Undo {
    Slot(u32, Word, bool, Definition),
    Transient(AccountId, U256, Word),
    Adjustment(AccountId, U256, Taint),
    Nonce(AccountId),
    Code(AccountId, Option<AccountCode>),
    Created(AccountId),
    Warmth(AccountId, Warmth),
    SlotWarmth(u32, Warmth),
}

/// The state under a transaction.
#[derive(Clone, Default)]
pub(super) struct TouchedState {
    accounts: Vec<Account>,
    by_address: HashMap<Address, AccountId, FxBuildHasher>,
    slots: Vec<Slot>,
    by_key: HashMap<(AccountId, U256), u32, FxBuildHasher>,
    transient: HashMap<(AccountId, U256), Word, FxBuildHasher>,
    journal: Vec<Undo>,
    /// The slots that the transaction's access list warms.
    listed: HashSet<(AccountId, U256), FxBuildHasher>,
}

/// A point to take changes back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint(usize);

impl TouchedState {
    /// Forgets everything but the room for it.
    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.by_address.clear();
        self.slots.clear();
        self.by_key.clear();
        self.transient.clear();
        self.journal.clear();
        self.listed.clear();
    }

    /// The index of an account.
    pub(super) fn account(&mut self, address: Address) -> AccountId {
        let accounts = &mut self.accounts;
        *self.by_address.entry(address).or_insert_with(|| {
            accounts.push(Account {
                address,
                info: None,
                adjustment: U256::ZERO,
                adjustment_taint: Taint::CLEAN,
                nonce_increments: 0,
                code: None,
                created: false,
                warmth: Warmth::default(),
            });
            accounts.len() as AccountId - 1
        })
    }

    /// The address of an account.
    pub(super) fn address(&self, account: AccountId) -> Address {
        self.accounts[account as usize].address
    }

    fn info<D: DatabaseRef>(&mut self, id: AccountId, state: &D, sources: &mut Sources) -> Info {
        let account = &mut self.accounts[id as usize];
        if let Some(info) = account.info {
            return info;
        }
        let address = account.address;
        let info = match state.basic_ref(address) {
            Ok(found) => {
                let exists = found.is_some();
                let found = found.unwrap_or_default();
                let code_hash = if found.code_hash.is_zero() { KECCAK256_EMPTY } else { found.code_hash };
                Info {
                    balance: found.balance,
                    nonce: found.nonce,
                    code_hash,
                    exists,
                    balance_taint: sources.add(StateKey::Balance(address)),
                    nonce_taint: sources.add(StateKey::Nonce(address)),
                    code_taint: sources.add(StateKey::Code(address)),
                }
            }
            Err(_) => Info {
                balance: U256::ZERO,
                nonce: 0,
                code_hash: KECCAK256_EMPTY,
                exists: false,
                balance_taint: Taint::UNAVAILABLE,
                nonce_taint: Taint::UNAVAILABLE,
                code_taint: Taint::UNAVAILABLE,
            },
        };
        account.info = Some(info);
        info
    }

    /// The balance of an account.
    pub(super) fn balance<D: DatabaseRef>(
        &mut self,
        id: AccountId,
        state: &D,
        sources: &mut Sources,
    ) -> Word {
        let info = self.info(id, state, sources);
        let account = &self.accounts[id as usize];
        let taint = info.balance_taint.union(account.adjustment_taint);
        Word::new(info.balance.wrapping_add(account.adjustment), taint)
    }

    /// Adds to a balance, or takes from it, modulo 2^256.
    pub(super) fn adjust_balance(&mut self, id: AccountId, amount: U256, taint: Taint) {
        let account = &mut self.accounts[id as usize];
        self.journal.push(Undo::Adjustment(id, account.adjustment, account.adjustment_taint));
        account.adjustment = account.adjustment.wrapping_add(amount);
        account.adjustment_taint = account.adjustment_taint.union(taint);
    }

    /// The nonce of an account.
    pub(super) fn nonce<D: DatabaseRef>(
        &mut self,
        id: AccountId,
        state: &D,
        sources: &mut Sources,
    ) -> (u64, Taint) {
        let info = self.info(id, state, sources);
        let account = &self.accounts[id as usize];
        let base = if account.created { 0 } else { info.nonce };
        (base.wrapping_add(account.nonce_increments), info.nonce_taint)
    }

    /// Adds one to a nonce.
    pub(super) fn increment_nonce(&mut self, id: AccountId) {
        self.accounts[id as usize].nonce_increments += 1;
        self.journal.push(Undo::Nonce(id));
    }

    /// The code of an account.
    pub(super) fn code<D: DatabaseRef>(
        &mut self,
        id: AccountId,
        state: &D,
        sources: &mut Sources,
    ) -> (AccountCode, Taint) {
        if let Some(code) = &self.accounts[id as usize].code {
            return (code.clone(), Taint::CLEAN);
        }
        let info = self.info(id, state, sources);
        (AccountCode::Stored(info.code_hash), info.code_taint)
    }

    /// Puts code into an account.
    pub(super) fn set_code(&mut self, id: AccountId, code: AccountCode) {
        let before = self.accounts[id as usize].code.replace(code);
        self.journal.push(Undo::Code(id, before));
    }

    /// Whether an account has no code, nonce and balance, so that it does not count as there.
    pub(super) fn is_empty<D: DatabaseRef>(
        &mut self,
        id: AccountId,
        state: &D,
        sources: &mut Sources,
    ) -> (bool, Taint) {
        let info = self.info(id, state, sources);
        let balance = self.balance(id, state, sources);
        let (nonce, _) = self.nonce(id, state, sources);
        let account = &self.accounts[id as usize];
        let code = account.code.is_some() || info.code_hash != KECCAK256_EMPTY;
        let nothing = balance.value.is_zero() && nonce == 0 && !code;
        let taint = balance.taint.union(info.nonce_taint).union(info.code_taint);
        (nothing, taint)
    }

    /// Whether the state has the account, be it empty.
    pub(super) fn exists<D: DatabaseRef>(&mut self, id: AccountId, state: &D, sources: &mut Sources) -> bool {
        let exists = self.info(id, state, sources).exists;
        let account = &self.accounts[id as usize];
        exists || account.created || account.code.is_some()
    }

    /// Notes that an account is touched. `always` says that every transaction that goes this way touches the same one.
    /// Says how warm it was.
    pub(super) fn warm(&mut self, id: AccountId, always: bool) -> Warmth {
        let account = &mut self.accounts[id as usize];
        let before = account.warmth;
        let after = Warmth { here: true, any: true, elsewhere: before.elsewhere || always };
        if after != before {
            account.warmth = after;
            self.journal.push(Undo::Warmth(id, before));
        }
        before
    }

    /// Warms the account that receives the fees, which is another one in another block.
    pub(super) fn warm_in_block(&mut self, id: AccountId) {
        self.accounts[id as usize].warmth.here = true;
    }

    /// Warms a slot that the transaction's access list names.
    pub(super) fn list(&mut self, id: AccountId, key: U256) {
        self.listed.insert((id, key));
    }

    /// Makes an account one that this transaction created.
    pub(super) fn create(&mut self, id: AccountId) {
        self.journal.push(Undo::Created(id));
        self.accounts[id as usize].created = true;
    }

    fn slot<D: DatabaseRef>(
        &mut self,
        account: AccountId,
        key: U256,
        load: bool,
        state: &D,
        sources: &mut Sources,
    ) -> usize {
        let (slots, listed) = (&mut self.slots, &self.listed);
        let is_listed = !listed.is_empty() && listed.contains(&(account, key));
        let warmth = Warmth { here: is_listed, any: is_listed, elsewhere: false };
        let index = *self.by_key.entry((account, key)).or_insert_with(|| {
            slots.push(Slot {
                account,
                key,
                word: Word::default(),
                loaded: false,
                touch: Touch::default(),
                warmth,
                original: None,
                definition: Definition::default(),
            });
            slots.len() as u32 - 1
        }) as usize;
        if load && !self.slots[index].loaded {
            let holder = &self.accounts[account as usize];
            let word = if holder.created {
                Word::default()
            } else if let Some(word) = self.slots[index].original {
                word
            } else {
                match state.storage_ref(holder.address, key) {
                    Ok(value) => Word::new(value, sources.add(StateKey::Storage(holder.address, key))),
                    Err(_) => Word::new(U256::ZERO, Taint::UNAVAILABLE),
                }
            };
            self.slots[index].word = word;
            self.slots[index].original = Some(word);
            self.slots[index].loaded = true;
        }
        index
    }

    /// Notes that a slot is touched, and says how warm it was.
    fn warm_slot(&mut self, index: usize) -> Warmth {
        let before = self.slots[index].warmth;
        if !before.elsewhere {
            self.slots[index].warmth = Warmth { here: true, any: true, elsewhere: true };
            self.journal.push(Undo::SlotWarmth(index as u32, before));
        }
        before
    }

    /// Loads a slot. Also says how warm it was.
    pub(super) fn load<D: DatabaseRef>(
        &mut self,
        account: AccountId,
        key: U256,
        delta: bool,
        state: &D,
        sources: &mut Sources,
    ) -> (Word, Warmth) {
        let index = self.slot(account, key, true, state, sources);
        let warmth = self.warm_slot(index);
        let slot = &mut self.slots[index];
        slot.touch.read = true;
        slot.touch.beyond_delta |= !delta;
        (slot.word, warmth)
    }

    /// What gave a slot that was loaded its word, and the word; `fresh` if nothing did before.
    pub(super) fn define(
        &mut self,
        account: AccountId,
        key: U256,
        fresh: impl FnOnce() -> (Definition, NodeId),
    ) -> Option<Definition> {
        let index = *self.by_key.get(&(account, key))?;
        let slot = &mut self.slots[index as usize];
        if slot.definition != Definition::default() {
            return Some(slot.definition);
        }
        let (definition, node) = fresh();
        slot.definition = definition;
        slot.word.node = node;
        None
    }

    /// Notes that a store to a slot was tried and refused.
    pub(super) fn attempt<D: DatabaseRef>(
        &mut self,
        account: AccountId,
        key: U256,
        state: &D,
        sources: &mut Sources,
    ) {
        let index = self.slot(account, key, false, state, sources);
        self.slots[index].touch.written = true;
        self.slots[index].touch.beyond_delta = true;
    }

    /// Stores to a slot. Says what was there, which is what the store costs.
    pub(super) fn store<D: DatabaseRef>(
        &mut self,
        account: AccountId,
        key: U256,
        word: Word,
        (delta, definition): (bool, Definition),
        state: &D,
        sources: &mut Sources,
    ) -> Stored {
        let index = self.slot(account, key, true, state, sources);
        let warmth = self.warm_slot(index);
        let slot = &mut self.slots[index];
        let stored = Stored { warmth, original: slot.original.unwrap_or_default(), present: slot.word };
        self.journal.push(Undo::Slot(index as u32, slot.word, slot.loaded, slot.definition));
        slot.word = word;
        slot.definition = definition;
        slot.touch.written = true;
        slot.touch.beyond_delta |= !delta;
        stored
    }

    /// Loads a transient slot.
    pub(super) fn load_transient(&self, account: AccountId, key: U256) -> Word {
        self.transient.get(&(account, key)).copied().unwrap_or_default()
    }

    /// Stores to a transient slot.
    pub(super) fn store_transient(&mut self, account: AccountId, key: U256, word: Word) {
        let before = self.transient.insert((account, key), word).unwrap_or_default();
        self.journal.push(Undo::Transient(account, key, before));
    }

    /// A point to come back to.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.journal.len())
    }

    /// Takes back every change since a point.
    pub(super) fn revert(&mut self, to: Checkpoint) {
        while self.journal.len() > to.0 {
            match self.journal.pop() {
                Some(Undo::Slot(slot, word, loaded, definition)) => {
                    let slot = &mut self.slots[slot as usize];
                    slot.definition = definition;
                    slot.word = word;
                    slot.loaded = loaded;
                }
                Some(Undo::Transient(account, key, word)) => {
                    self.transient.insert((account, key), word);
                }
                Some(Undo::Adjustment(account, amount, taint)) => {
                    let account = &mut self.accounts[account as usize];
                    account.adjustment = amount;
                    account.adjustment_taint = taint;
                }
                Some(Undo::Nonce(account)) => self.accounts[account as usize].nonce_increments -= 1,
                Some(Undo::Code(account, code)) => self.accounts[account as usize].code = code,
                Some(Undo::Warmth(account, warmth)) => self.accounts[account as usize].warmth = warmth,
                Some(Undo::SlotWarmth(slot, warmth)) => self.slots[slot as usize].warmth = warmth,
                Some(Undo::Created(account)) => self.accounts[account as usize].created = false,
                None => break,
            }
        }
    }

    /// Every slot that was touched, and how.
    pub(super) fn touched(&self) -> impl Iterator<Item = (Address, U256, Touch)> + '_ {
        self.slots
            .iter()
            .filter(|slot| slot.touch.read || slot.touch.written)
            .map(|slot| (self.accounts[slot.account as usize].address, slot.key, slot.touch))
    }
}
