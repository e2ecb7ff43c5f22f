//! A node's database between alloy-evm and Deconflict: read by several threads, and told what a block has changed.
//!
//! In: a database that one thread at a time can read. Out: one that all can read, and the changes of a block in the form
//! in which revm commits them. What is read goes through the database itself, so that it knows each account it is told of.

use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, B256, U256, map::AddressSet};
use deconflict_executor::FinalWrites;
use revm::{
    Database, DatabaseRef,
    bytecode::Bytecode,
    state::{Account, AccountInfo, EvmState, EvmStorageSlot, TransactionId},
};

/// A database that threads read in turns.
#[derive(Debug)]
pub(crate) struct Shared<'a, DB>(Mutex<&'a mut DB>);

impl<'a, DB: Database> Shared<'a, DB> {
    pub(crate) fn new(database: &'a mut DB) -> Self {
        Self(Mutex::new(database))
    }

    fn read<T>(&self, read: impl FnOnce(&mut DB) -> T) -> T {
        // A database that has panicked says so to whoever asks it next, or goes on.
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<DB: Database> DatabaseRef for Shared<'_, DB> {
    type Error = DB::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, DB::Error> {
        self.read(|database| database.basic(address))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, DB::Error> {
        self.read(|database| database.code_by_hash(hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, DB::Error> {
        self.read(|database| database.storage(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, DB::Error> {
        self.read(|database| database.block_hash(number))
    }
}

/// What a block has written, as revm would leave it behind: first the storage that is gone, then what is there now.
pub(crate) fn changes<DB: Database>(
    writes: FinalWrites,
    database: &mut DB,
) -> Result<[EvmState; 2], DB::Error> {
    let mut gone = EvmState::default();
    let mut now = EvmState::default();
    let wiped: AddressSet = writes.wiped.iter().copied().collect();
    for address in &writes.wiped {
        let account = load(*address, database)?;
        // Where there was no code, there was no storage to lose either.
        if account.info.is_empty_code_hash() {
            continue;
        }
        gone.insert(*address, account.with_touched_mark().with_selfdestruct_mark());
    }
    for (address, info) in writes.accounts {
        let mut account = load(address, database)?.with_touched_mark();
        match info {
            Some(info) => account.info = info,
            None => account.mark_selfdestruct(),
        }
        // An account that is there although it is empty has to be told from one that was merely touched.
        let is_new = account.is_loaded_as_not_existing() && account.is_empty();
        if (wiped.contains(&address) || is_new) && !account.is_selfdestructed() {
            account.mark_created();
        }
        now.insert(address, account);
    }
    for ((address, slot), word) in writes.slots {
        let before = if wiped.contains(&address) { U256::ZERO } else { database.storage(address, slot)? };
        let account = match now.entry(address) {
            std::collections::hash_map::Entry::Occupied(account) => account.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(load(address, database)?.with_touched_mark())
            }
        };
        let slot_now = EvmStorageSlot::new_changed(before, word, TransactionId::default());
        account.storage.insert(slot, slot_now);
    }
    Ok([gone, now])
}

fn load<DB: Database>(address: Address, database: &mut DB) -> Result<Account, DB::Error> {
    Ok(match database.basic(address)? {
        Some(info) => Account::from(info),
        None => Account::new_not_existing(TransactionId::default()),
    })
}
