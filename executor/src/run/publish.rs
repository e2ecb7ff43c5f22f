//! What transactions write, published for those that stand behind them, and collected when the block ends.
//!
//! In: writes, and whether they are final. Out: versions in the store; at the end what was written last. Nothing here
//! decides whether an execution counts.

use alloy_primitives::map::AddressMap;
use revm::{DatabaseRef, primitives::hardfork::SpecId};

use crate::{
    changes::FinalWrites,
    store::{AccountWrite, Fees, Index, SlotWrite, Store},
    view::{BatchState, Writes},
};

/// Publishes what a transaction writes that ran ahead of its turn.
pub(super) fn publish(index: Index, writes: &Writes, store: &Store) {
    for address in &writes.resets {
        store.resets.change(*address, |resets| resets.push(index));
    }
    for (address, write) in &writes.accounts {
        store.accounts.change(*address, |versions| versions.insert(index, write.clone()));
    }
    for (address, slot, word) in &writes.slots {
        store.slots.change((*address, *slot), |versions| versions.insert(index, SlotWrite::Set(*word)));
    }
    for (address, slot, addition) in &writes.deltas {
        store.slots.change((*address, *slot), |versions| versions.insert(index, SlotWrite::Add(*addition)));
    }
}

/// Publishes what a transaction writes in its turn: nobody will ask for what stood before it again.
pub(super) fn publish_final(index: Index, writes: &Writes, store: &Store) {
    for address in &writes.resets {
        store.resets.change(*address, |resets| resets.push(index));
    }
    for (address, write) in &writes.accounts {
        store.accounts.change(*address, |versions| match write {
            AccountWrite::Set(info) => versions.settle(index, info.clone()),
            AccountWrite::Add(_) => versions.insert(index, write.clone()),
        });
    }
    for (address, slot, word) in &writes.slots {
        store.slots.change((*address, *slot), |versions| versions.settle(index, *word));
    }
}

/// Publishes what a batch in its turn has come to, as of its last transaction.
pub(super) fn tell(last: Index, batch_state: &mut BatchState, store: &Store) {
    for (address, info) in batch_state.take_accounts() {
        store.accounts.change(address, |versions| versions.settle(last, info));
    }
    for (key, word) in batch_state.take_slots() {
        store.slots.change(key, |versions| versions.settle(last, word));
    }
}

/// Takes back what was published of an execution that does not count.
pub(super) fn retract(index: Index, writes: &Writes, store: &Store) {
    for address in &writes.resets {
        store.resets.change(*address, |resets| resets.retain(|reset| *reset != index));
    }
    for (address, _) in &writes.accounts {
        store.accounts.change(*address, |versions| versions.remove(index));
    }
    for (address, slot, _) in writes.slots.iter().chain(&writes.deltas) {
        store.slots.change((*address, *slot), |versions| versions.remove(index));
    }
}

/// What was written last, when everything is final: `left` by the end of the block, and before that by what is stored.
pub(super) fn collect<D: DatabaseRef>(
    store: &mut Store,
    left: &mut BatchState,
    fees: &Fees,
    spec: SpecId,
    state: &D,
) -> Result<FinalWrites, D::Error> {
    let mut writes = FinalWrites::default();
    let beneficiary = fees.beneficiary;
    let mut earner = None;
    for (address, versions) in store.accounts.drain() {
        if let Some(AccountWrite::Set(info)) = versions.last()
            && !left.writes_account(&address)
        {
            if address == beneficiary {
                earner = Some(info);
            } else {
                writes.accounts.push((address, info));
            }
        }
    }
    let (accounts, slots) = left.sizes();
    writes.accounts.reserve(accounts + 1);
    writes.accounts.extend(left.take_accounts());
    let before = match &earner {
        Some(info) => info.clone(),
        None => state.basic_ref(beneficiary)?,
    };
    let after = fees.add_to(beneficiary, before.clone(), spec);
    if earner.is_some() || after != before {
        writes.accounts.push((beneficiary, after));
    }
    let resets: AddressMap<Index> = (store.resets.drain())
        .filter_map(|(address, resets)| Some((address, resets.into_iter().max()?)))
        .collect();
    for (key, versions) in store.slots.drain() {
        if let Some((writer, word)) = versions.last()
            && resets.get(&key.0).is_none_or(|reset| *reset <= writer)
            && !left.writes_slot(&key)
        {
            writes.slots.push((key, word));
        }
    }
    writes.slots.reserve(slots);
    writes.slots.extend(left.take_slots());
    writes.wiped = resets.into_keys().collect();
    Ok(writes)
}
