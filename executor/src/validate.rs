//! Whether an execution that ran ahead of its turn would be the same if it ran now.
//!
//! In: what the execution depended on, and the view of its transaction when all that stand before it are final. Out: yes
//! or no. Values are compared, not versions: a word that was written again with the same value is not stale.

use revm::DatabaseRef;

use crate::{
    view::{AccountRead, BalanceNeed, Presence, View, code_hash},
    worker::Reads,
};

/// Whether everything that the execution depended on still holds.
pub(crate) fn holds<D: DatabaseRef>(reads: &Reads, view: &View<'_, D>) -> Result<bool, D::Error> {
    for read in &reads.accounts {
        if read.from_base && view.writer(&read.address).is_none() {
            continue;
        }
        if !account_holds(read, view)? {
            return Ok(false);
        }
    }
    for read in &reads.slots {
        let holds = match view.overwritten(read.address, read.slot) {
            Some(word) => word == read.word,
            None => !read.written || view.state.storage_ref(read.address, read.slot)? == read.word,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn account_holds<D: DatabaseRef>(read: &AccountRead, view: &View<'_, D>) -> Result<bool, D::Error> {
    let (now, _) = view.account(read.address)?;
    let now = now.as_ref();
    let balance = now.map_or_else(Default::default, |info| info.balance);
    let balance_holds = match read.needs {
        BalanceNeed::Same => balance == read.balance,
        BalanceNeed::AtLeast(least) => balance >= least,
    };
    let nonce = now.map_or(0, |info| info.nonce);
    Ok(balance_holds
        && (!read.needs_nonce || nonce == read.nonce)
        && code_hash(now) == read.code_hash
        && (!read.needs_presence || Presence::of(now).same(read.presence, view.spec)))
}
