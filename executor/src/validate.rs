//! Whether an execution that ran ahead of its turn would be the same if it ran now.
//!
//! In: what the execution depended on, and the view of its transaction when all that stand before it are final. Out: yes
//! or no, and if no, which loads are to blame. Values are compared, not versions: a word that was written again with the same value is not stale.

use revm::DatabaseRef;

use crate::view::{AccountRead, BalanceNeed, LoadSite, Presence, Reads, View, code_hash};

/// Whether an execution would be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    /// It would.
    Holds,
    /// It would not, because of what these loads found. If there are none, there are other reasons.
    Stale(Vec<LoadSite>),
}

/// Whether everything that the execution depended on still holds.
pub(crate) fn holds<D: DatabaseRef>(reads: &Reads, view: &View<'_, D>) -> Result<Validity, D::Error> {
    for read in &reads.accounts {
        if read.from_base && view.writer(&read.address).is_none() {
            continue;
        }
        if !account_holds(read, view)? {
            return Ok(Validity::Stale(Vec::new()));
        }
    }
    let mut stale = Vec::new();
    for read in &reads.slots {
        if !view.still_holds(read)? {
            stale.push(read.site);
        }
    }
    for (number, delta) in reads.deltas.iter().enumerate() {
        if view.still_holds(&delta.read)? {
            continue;
        }
        if delta.exact {
            stale.push(delta.read.site);
            continue;
        }
        let (word, _) = view.word(delta.read.address, delta.read.slot)?;
        let mut checks = reads.checks.iter().filter(|check| check.delta as usize == number);
        if !checks.all(|check| check.is_same(word)) {
            return Ok(Validity::Stale(Vec::new()));
        }
    }
    Ok(if stale.is_empty() { Validity::Holds } else { Validity::Stale(stale) })
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
