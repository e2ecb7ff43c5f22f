//! The state as the transaction under prediction has changed it so far.
//!
//! In: a read-only view of the state before the transaction. Out: words, balances, nonces and codes with their
//! sources, and the record of what was touched. Changes are journalled, so that a frame that fails takes its changes
//! back; what was touched stays touched. The view is asked once for each thing.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use hashbrown::HashMap;
use revm::DatabaseRef;
use rustc_hash::FxBuildHasher;

use super::taint::{Sources, Taint};
use super::template::{Definition, NodeId};
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
}

#[derive(Clone, Copy, Debug)]
struct Info {
    balance: U256,
    nonce: u64,
    code_hash: B256,
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
}

/// The state under a transaction.
#[derive(Clone, Default)]
pub(super) struct World {
    accounts: Vec<Account>,
    by_address: HashMap<Address, AccountId, FxBuildHasher>,
    slots: Vec<Slot>,
    by_key: HashMap<(AccountId, U256), u32, FxBuildHasher>,
    transient: HashMap<(AccountId, U256), Word, FxBuildHasher>,
    journal: Vec<Undo>,
}

/// A point to take changes back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint(usize);

impl World {
    /// Forgets everything but the room for it.
    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.by_address.clear();
        self.slots.clear();
        self.by_key.clear();
        self.transient.clear();
        self.journal.clear();
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
                let found = found.unwrap_or_default();
                let code_hash = if found.code_hash.is_zero() { KECCAK256_EMPTY } else { found.code_hash };
                Info {
                    balance: found.balance,
                    nonce: found.nonce,
                    code_hash,
                    balance_taint: sources.add(StateKey::Balance(address)),
                    nonce_taint: sources.add(StateKey::Nonce(address)),
                    code_taint: sources.add(StateKey::Code(address)),
                }
            }
            Err(_) => Info {
                balance: U256::ZERO,
                nonce: 0,
                code_hash: KECCAK256_EMPTY,
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
        let slots = &mut self.slots;
        let index = *self.by_key.entry((account, key)).or_insert_with(|| {
            slots.push(Slot {
                account,
                key,
                word: Word::default(),
                loaded: false,
                touch: Touch::default(),
                definition: Definition::default(),
            });
            slots.len() as u32 - 1
        }) as usize;
        if load && !self.slots[index].loaded {
            let holder = &self.accounts[account as usize];
            let word = if holder.created {
                Word::default()
            } else {
                match state.storage_ref(holder.address, key) {
                    Ok(value) => Word::new(value, sources.add(StateKey::Storage(holder.address, key))),
                    Err(_) => Word::new(U256::ZERO, Taint::UNAVAILABLE),
                }
            };
            self.slots[index].word = word;
            self.slots[index].loaded = true;
        }
        index
    }

    /// Loads a slot. Also says whether it was cold.
    pub(super) fn load<D: DatabaseRef>(
        &mut self,
        account: AccountId,
        key: U256,
        delta: bool,
        state: &D,
        sources: &mut Sources,
    ) -> (Word, bool) {
        let index = self.slot(account, key, true, state, sources);
        let slot = &mut self.slots[index];
        let cold = !slot.touch.read && !slot.touch.written;
        slot.touch.read = true;
        slot.touch.beyond_delta |= !delta;
        (slot.word, cold)
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

    /// Stores to a slot. Says whether it was cold, and whether a zero is known to become something else.
    pub(super) fn store<D: DatabaseRef>(
        &mut self,
        account: AccountId,
        key: U256,
        word: Word,
        (delta, definition): (bool, Definition),
        state: &D,
        sources: &mut Sources,
    ) -> (bool, bool) {
        // What was there matters only to whoever loads it after this frame has failed: it is asked for then.
        let index = self.slot(account, key, false, state, sources);
        let holder = &self.accounts[account as usize];
        let slot = &mut self.slots[index];
        let cold = !slot.touch.read && !slot.touch.written;
        // What was there also makes the store dear or cheap, but that decides nothing.
        let was_zero = if slot.loaded {
            slot.word.value.is_zero()
        } else {
            holder.created || state.storage_ref(holder.address, key).is_ok_and(|word| word.is_zero())
        };
        let sets = was_zero && !word.value.is_zero();
        self.journal.push(Undo::Slot(index as u32, slot.word, slot.loaded, slot.definition));
        slot.word = word;
        slot.definition = definition;
        slot.loaded = true;
        slot.touch.written = true;
        slot.touch.beyond_delta |= !delta;
        (cold, sets)
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
