//! What a block has changed of the state, ready for a node to commit, and the digest by which two executions are
//! compared.
//!
//! In: the final state of each account and slot that was written, or the changes of each transaction as revm leaves
//! them. Out: [`StateChanges`], where what came out as it was is left out, so that two executions that come to the same
//! state have equal changes, whatever they wrote in between.

use std::collections::{BTreeMap, btree_map::Entry};

use alloy_primitives::{Address, B256, Keccak256, U256};
use revm::{
    DatabaseRef,
    primitives::hardfork::SpecId,
    state::{AccountInfo, EvmState},
};

use crate::{
    block::Block,
    serial::{Outcome, ReplayError, SerialMachine, conclude},
    state::BlockState,
};

/// The last writes of a block, in no particular order; some of them may write what was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalWrites {
    /// Accounts outside their storage; none if the account does not exist any more.
    pub accounts: Vec<(Address, Option<AccountInfo>)>,
    /// Words of slots.
    pub slots: Vec<((Address, U256), U256)>,
    /// Accounts that lost the storage that they had before the block; what `slots` says of them comes after that.
    pub wiped: Vec<Address>,
}

impl FinalWrites {
    /// What the writes change of the state `before` the block.
    pub fn changes<D: DatabaseRef>(self, before: &D) -> Result<StateChanges, D::Error> {
        let mut changes = StateChanges::default();
        for (address, info) in self.accounts {
            changes.accounts.entry(address).or_default().info = info;
        }
        for ((address, slot), word) in self.slots {
            let change = match changes.accounts.entry(address) {
                Entry::Occupied(change) => change.into_mut(),
                Entry::Vacant(change) => change
                    .insert(AccountChange { info: before.basic_ref(address)?, ..AccountChange::default() }),
            };
            if change.info.is_some() {
                change.storage.insert(slot, word);
            }
        }
        for address in self.wiped {
            changes.accounts.entry(address).or_default().wiped = true;
        }
        changes.settle(before)?;
        Ok(changes)
    }
}

/// The difference between the state after a block and the state before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// What has changed, by account. Accounts without any change are not listed.
    pub accounts: BTreeMap<Address, AccountChange>,
}

/// The difference in one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The account afterwards; none if it does not exist.
    pub info: Option<AccountInfo>,
    /// Whether all storage that the account had before is gone; `storage` is then all that it has.
    pub wiped: bool,
    /// Slots that are not what they were, with their words afterwards.
    pub storage: BTreeMap<U256, U256>,
}

/// Executes a block on unmodified revm, one transaction after the other, and tells what has changed in the end. This is
/// what every other execution is compared with.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, BlockState, execute_settled};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let (outcome, changes) = execute_settled(&block, &BlockState::new(&block))?;
/// let (again, same) = execute_settled(&block, &BlockState::new(&block))?;
/// assert_eq!((outcome.gas_used, changes.digest()), (again.gas_used, same.digest()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn execute_settled(block: &Block, state: &BlockState) -> Result<(Outcome, StateChanges), ReplayError> {
    let mut machine = SerialMachine::new(block, state, revm::inspector::NoOpInspector {});
    let mut results = Vec::with_capacity(block.transactions.len());
    let mut changes = StateChanges::default();
    for index in 0..block.transactions.len() {
        let (result, after) = machine.run(index)?;
        changes.apply(block.spec, &after);
        machine.commit(after);
        results.push(result);
    }
    let settled = changes.settle(state);
    settled.map_err(|source| ReplayError::State {
        block: block.number,
        index: block.transactions.len(),
        hash: None,
        source,
    })?;
    Ok((conclude(block, results), changes))
}

impl StateChanges {
    /// Adds what a transaction has changed, as revm leaves it behind.
    pub fn apply(&mut self, spec: SpecId, after: &EvmState) {
        let mut touched: Vec<_> = after.iter().filter(|(_, account)| account.is_touched()).collect();
        touched.sort_unstable_by_key(|(address, _)| **address);
        for (&address, account) in touched {
            let change = self.accounts.entry(address).or_default();
            if account.is_selfdestructed() || account.is_created() {
                change.wiped = true;
                change.storage.clear();
            }
            let empty = spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) && account.is_empty();
            if account.is_selfdestructed() || (empty && !account.is_created()) {
                change.info = None;
                continue;
            }
            change.info = Some(account.info.clone());
            let mut slots: Vec<_> = account.changed_storage_slots().collect();
            slots.sort_unstable_by_key(|(slot, _)| **slot);
            change.storage.extend(slots.into_iter().map(|(slot, word)| (*slot, word.present_value)));
        }
    }

    /// Leaves out what came out as it was before the block.
    pub fn settle<D: DatabaseRef>(&mut self, before: &D) -> Result<(), D::Error> {
        let mut unchanged = Vec::new();
        for (&address, change) in &mut self.accounts {
            let old = before.basic_ref(address)?;
            change.wiped &= old.is_some();
            if change.wiped || old.is_none() {
                change.storage.retain(|_, word| !word.is_zero());
            } else {
                let mut same = Vec::new();
                for (&slot, &word) in &change.storage {
                    if before.storage_ref(address, slot)? == word {
                        same.push(slot);
                    }
                }
                for slot in same {
                    change.storage.remove(&slot);
                }
            }
            if old.as_ref().map(fields) == change.info.as_ref().map(fields)
                && !change.wiped
                && change.storage.is_empty()
            {
                unchanged.push(address);
            }
        }
        for address in unchanged {
            self.accounts.remove(&address);
        }
        Ok(())
    }

    /// The digest of the changes: keccak-256 over the changed accounts in ascending order.
    ///
    /// An account is its address, one byte, and where the byte's lowest bit says that the account exists, its balance
    /// (32 bytes), nonce (8) and code hash (32); the second bit says that the storage from before the block is gone.
    /// Then come the number of changed slots (8 bytes) and each of them with its word (32 bytes each), in ascending
    /// order. All numbers are big-endian.
    pub fn digest(&self) -> B256 {
        let mut hasher = Keccak256::new();
        for (address, change) in &self.accounts {
            hasher.update(address);
            hasher.update([u8::from(change.info.is_some()) | u8::from(change.wiped) << 1]);
            if let Some(info) = &change.info {
                hasher.update(info.balance.to_be_bytes::<32>());
                hasher.update(info.nonce.to_be_bytes());
                hasher.update(info.code_hash);
            }
            hasher.update((change.storage.len() as u64).to_be_bytes());
            for (slot, word) in &change.storage {
                hasher.update(slot.to_be_bytes::<32>());
                hasher.update(word.to_be_bytes::<32>());
            }
        }
        hasher.finalize()
    }

    /// The first piece of state, in ascending order, that differs from `other`, in words.
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        let mut addresses: Vec<_> = self.accounts.keys().chain(other.accounts.keys()).copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.into_iter().find_map(|address| {
            let (one, two) = (self.accounts.get(&address), other.accounts.get(&address));
            match (one, two) {
                (Some(one), Some(two)) => one.difference(two).map(|what| format!("{what} of {address}")),
                _ => Some(format!("account {address}, which only one of them changes")),
            }
        })
    }
}

impl AccountChange {
    fn difference(&self, other: &Self) -> Option<String> {
        let (one, two) = (self.info.as_ref().map(fields), other.info.as_ref().map(fields));
        if one != two {
            return Some(format!("balance, nonce or code ({one:?} and {two:?})"));
        }
        if self.wiped != other.wiped {
            return Some("whether the earlier storage is gone".to_owned());
        }
        let slots = self.storage.keys().chain(other.storage.keys());
        let differs = |slot: &&U256| self.storage.get(*slot) != other.storage.get(*slot);
        slots.copied().collect::<std::collections::BTreeSet<_>>().iter().find(differs).map(|slot| {
            format!("slot {slot:#x} ({:?} and {:?})", self.storage.get(slot), other.storage.get(slot))
        })
    }
}

fn fields(info: &AccountInfo) -> (U256, u64, B256) {
    let code = if info.code_hash.is_zero() { alloy_primitives::KECCAK256_EMPTY } else { info.code_hash };
    (info.balance, info.nonce, code)
}
