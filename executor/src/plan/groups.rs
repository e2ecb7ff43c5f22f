//! Groups of transactions that can influence each other, by union-find.
//!
//! In: the uses of each piece of state. Out: a representative of each transaction's group. Transactions that come are
//! joined at once; when one goes, groups are found anew the next time that somebody asks.

use rustc_hash::FxHashMap;

use super::{TransactionId, uses::Uses};

/// The groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    /// The next member on the way to the representative; whoever has none is one.
    parents: FxHashMap<u32, u32>,
    /// Keys whose users are to be joined.
    pending: Vec<u32>,
    /// Whether something has gone since groups were found.
    stale: bool,
}

impl Groups {
    /// Nothing of what was found holds any more.
    pub(super) fn forget(&mut self) {
        self.stale = true;
        self.pending.clear();
        self.parents.clear();
    }

    /// A piece of state has got another user.
    pub(super) fn touched(&mut self, key: u32, uses: &Uses) {
        if !self.stale && uses.joins() {
            self.pending.push(key);
        }
    }

    /// Finds the groups.
    pub(super) fn refresh(&mut self, uses: &[Uses], in_order: usize) {
        if std::mem::take(&mut self.stale) {
            if in_order > 0 {
                for uses in uses.iter().filter(|uses| uses.joins()) {
                    self.join(uses);
                }
            }
        } else {
            let mut pending = std::mem::take(&mut self.pending);
            pending.sort_unstable();
            pending.dedup();
            for key in pending {
                self.join(&uses[key as usize]);
            }
        }
    }

    /// The representative of a transaction's group: its smallest member that was ever joined to it.
    pub(super) fn find(&mut self, mut at: u32) -> u32 {
        while let Some(&parent) = self.parents.get(&at) {
            let Some(&above) = self.parents.get(&parent) else { return parent };
            self.parents.insert(at, above);
            at = above;
        }
        at
    }

    fn join(&mut self, uses: &Uses) {
        let mut users = uses.users();
        let Some(TransactionId(first)) = users.next() else { return };
        for TransactionId(other) in users {
            let (one, two) = (self.find(first), self.find(other));
            // The smaller becomes the representative, so that it does not depend on the order of joining.
            if one != two {
                self.parents.insert(one.max(two), one.min(two));
            }
        }
    }

    /// How much is held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parents.len() + self.pending.len()
    }
}
