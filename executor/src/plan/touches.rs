//! What a transaction touches, as far as it orders transactions.
//!
//! In: an access set, and which accesses commute for whoever executes the block. Out: keys that are read, written, or
//! only added to. What is left out here is taken not to order anything.

use alloy_primitives::Address;
use revm::context::TxEnv;

use super::uses::Kind;
use crate::access_set::{AccessSet, AccountAccess, ShortfallReason, StateKey};

/// What a transaction touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touches {
    /// What it reads. Repetitions do no harm, here and below.
    pub reads: Vec<StateKey>,
    /// What it reads and writes.
    pub writes: Vec<StateKey>,
    /// What it adds to, whatever was there: additions commute with each other.
    pub deltas: Vec<StateKey>,
    /// What it may touch beside all this.
    pub reach: Reach,
    /// The gas that it is likely to use.
    pub gas: u64,
}

/// What a transaction may touch beside what is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Nothing.
    #[default]
    Known,
    /// Slots of these accounts; sorted.
    StorageOf(Vec<Address>),
    /// Whatever there is.
    Anything,
}

/// What orders transactions for whoever executes the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether a sender's transactions have to wait for each other.
    pub nonces: bool,
    /// Whether payments to an account commute, so that only who looks at a balance waits for who changes it.
    pub credits_commute: bool,
    /// Whether `slot += e` commutes with its like, as the executor has to provide for.
    pub deltas_commute: bool,
    /// The account that receives the fees, whose balance orders nothing: everybody adds to it.
    pub beneficiary: Address,
}

impl Rules {
    /// What orders transactions in a client that executes them speculatively by the usual rules: nonces and slots do,
    /// payments do not.
    pub fn usual(beneficiary: Address) -> Self {
        Self { nonces: true, credits_commute: true, deltas_commute: false, beneficiary }
    }
}

impl Touches {
    /// What a transaction touches by its prediction. With `needs_funds`, its sender cannot pay for it yet, and has to be
    /// paid before.
    pub fn new(transaction: &TxEnv, set: &AccessSet, rules: &Rules, needs_funds: bool) -> Self {
        Self::of_sender(transaction.caller, set, rules, needs_funds)
    }

    /// Everything with what is done to it; the same piece may come several times.
    pub(super) fn by_kind(&self) -> impl Iterator<Item = (&StateKey, Kind)> {
        let reads = self.reads.iter().map(|key| (key, Kind::Read));
        let writes = self.writes.iter().map(|key| (key, Kind::Write));
        reads.chain(writes).chain(self.deltas.iter().map(|key| (key, Kind::Delta)))
    }

    /// The same, where no more is known of the transaction than who sent it.
    pub fn of_sender(sender: Address, set: &AccessSet, rules: &Rules, needs_funds: bool) -> Self {
        let mut touches = Self { gas: set.gas, reach: reach(set), ..Self::default() };
        let slot = |&(address, slot): &(Address, _)| StateKey::Storage(address, slot);
        let commutes = |place: &_| rules.deltas_commute && set.deltas.binary_search(place).is_ok();
        touches.reads.extend(set.reads.iter().filter(|place| !commutes(place)).map(slot));
        for place in &set.writes {
            // What a store costs depends on the word that was there, so that it reads as well.
            let list = if commutes(place) { &mut touches.deltas } else { &mut touches.writes };
            list.push(slot(place));
        }
        let debited = |address: Address| set.accounts.contains(&AccountAccess::BalanceDebit(address));
        for access in &set.accounts {
            match *access {
                // Paying commutes as long as there is enough; who looks at a balance needs all of it.
                AccountAccess::BalanceRead(address) => {
                    if !debited(address) || !rules.credits_commute {
                        touches.reads.push(StateKey::Balance(address));
                    }
                }
                AccountAccess::BalanceCredit(address) | AccountAccess::BalanceDebit(address) => {
                    let key = StateKey::Balance(address);
                    if address == rules.beneficiary {
                        // Everybody pays it, and nobody waits for that.
                    } else if rules.credits_commute {
                        touches.deltas.push(key);
                    } else {
                        touches.writes.push(key);
                    }
                }
                AccountAccess::NonceWrite(address) => {
                    if address != sender || rules.nonces {
                        touches.writes.push(StateKey::Nonce(address));
                    }
                }
                AccountAccess::CodeRead(address) => touches.reads.push(StateKey::Code(address)),
                AccountAccess::CodeWrite(address) => touches.writes.push(StateKey::Code(address)),
            }
        }
        if needs_funds {
            touches.reads.push(StateKey::Balance(sender));
        }
        touches
    }
}

/// What a prediction may have missed.
fn reach(set: &AccessSet) -> Reach {
    if set.incomplete.is_empty() {
        return Reach::Known;
    }
    // An unknown key is one of an account whose code runs in this transaction, and all of those are known.
    let only_keys = set.incomplete.iter().all(|it| it.reason == ShortfallReason::UnknownKey);
    if !only_keys {
        return Reach::Anything;
    }
    let running = set.accounts.iter().filter_map(|access| match access {
        AccountAccess::CodeRead(address) | AccountAccess::CodeWrite(address) => Some(*address),
        _ => None,
    });
    let mut accounts: Vec<Address> = running.collect();
    accounts.sort_unstable();
    accounts.dedup();
    Reach::StorageOf(accounts)
}
