//! The tables of the binary layout: each account, slot and code once.
//!
//! In: hints. Out: sorted tables, and the index of whatever is in them. Because tables are sorted, a sorted list of slots
//! is a rising list of indices, which takes a byte or two an element.

use alloy_primitives::{Address, B256, U256};

use super::BlockHints;
use crate::access_set::StateKey;

/// The tables, each sorted and without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    pub(super) addresses: Vec<Address>,
    pub(super) slots: Vec<(Address, U256)>,
    pub(super) codes: Vec<B256>,
}

impl Tables {
    /// The tables for these hints.
    pub(super) fn of(hints: &BlockHints) -> Self {
        let mut tables = Self::default();
        for hint in &hints.transactions {
            let set = &hint.set;
            tables.addresses.push(hint.from);
            tables.addresses.extend(hint.to);
            tables.addresses.extend(set.accounts.iter().map(crate::AccountAccess::address));
            tables.addresses.extend(set.depends_on.iter().map(StateKey::address));
            tables.addresses.extend(hint.places.iter().flatten());
            for list in [&set.reads, &set.writes, &set.deltas] {
                tables.slots.extend(list);
            }
            tables.slots.extend(set.depends_on.iter().filter_map(|key| match *key {
                StateKey::Storage(address, slot) => Some((address, slot)),
                _ => None,
            }));
            tables.codes.extend(set.incomplete.iter().map(|shortfall| shortfall.code_hash));
        }
        for (address, slots) in hints.plan.iter().flat_map(|plan| &plan.prefetch) {
            tables.addresses.push(*address);
            tables.slots.extend(slots.iter().map(|slot| (*address, *slot)));
        }
        tables.addresses.extend(tables.slots.iter().map(|(address, _)| *address));
        tables.addresses.sort_unstable();
        tables.addresses.dedup();
        tables.slots.sort_unstable();
        tables.slots.dedup();
        tables.codes.sort_unstable();
        tables.codes.dedup();
        tables
    }

    pub(super) fn address(&self, address: Address) -> u64 {
        self.addresses.binary_search(&address).expect("every address was put in") as u64
    }

    pub(super) fn slot(&self, slot: (Address, U256)) -> u64 {
        self.slots.binary_search(&slot).expect("every slot was put in") as u64
    }

    pub(super) fn code(&self, hash: B256) -> u64 {
        self.codes.binary_search(&hash).expect("every code was put in") as u64
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloy_primitives::{Address, B256, Selector, U256};
    use revm::primitives::hardfork::SpecId;

    use super::super::{Basis, BlockHints, TransactionHint, plan};
    use crate::access_set::{AccessSet, AccountAccess, Shortfall, ShortfallReason, StateKey};
    use crate::environment::{Assumed, EnvironmentWord};

    fn account(number: u8) -> Address {
        Address::with_last_byte(number)
    }

    /// A payment, calls that share a slot, and a call of which something is not known.
    pub(crate) fn sample() -> BlockHints {
        let slot = |address, slot: u64| (account(address), U256::from(slot));
        let call = |from: u8, to: u8, reads: &[u64], writes: &[u64]| {
            let set = AccessSet {
                reads: reads.iter().map(|it| slot(to, *it)).collect(),
                writes: writes.iter().map(|it| slot(to, *it)).collect(),
                deltas: writes.first().map(|it| slot(to, *it)).into_iter().collect(),
                accounts: vec![
                    AccountAccess::BalanceDebit(account(from)),
                    AccountAccess::NonceWrite(account(from)),
                    AccountAccess::CodeRead(account(to)),
                ],
                depends_on: vec![
                    StateKey::Storage(account(to), U256::MAX),
                    StateKey::Nonce(account(to)),
                    StateKey::Code(account(to)),
                ],
                depends_on_environment: vec![EnvironmentWord::Timestamp, EnvironmentWord::Number],
                incomplete: Vec::new(),
                possible: Vec::new(),
                gas: 50_000 + u64::from(from),
            };
            TransactionHint {
                hash: Some(B256::repeat_byte(from)),
                from: account(from),
                to: Some(account(to)),
                nonce: 300 * u64::from(from),
                gas_limit: 100_000,
                set,
                places: Vec::new(),
                warm: Vec::new(),
                pending: false,
                needs_funds: false,
            }
        };
        let mut vague = call(4, 21, &[7], &[]);
        vague.hash = None;
        vague.to = None;
        vague.needs_funds = true;
        let hashes = [122_000, 123_455].map(EnvironmentWord::BlockHash);
        vague.set.depends_on_environment = [&[EnvironmentWord::Number][..], &hashes].concat();
        vague.set.incomplete = vec![Shortfall {
            reason: ShortfallReason::UnknownKey,
            code_hash: B256::repeat_byte(9),
            selector: Selector::from([1, 2, 3, 4]),
            pc: 300,
        }];
        vague.places = vec![Some(account(21))];
        let mut pending = call(5, 22, &[], &[]);
        pending.pending = true;
        let transactions = vec![
            call(1, 20, &[1, 2], &[1]),
            call(2, 20, &[1, 300], &[1, 5]),
            call(3, 21, &[], &[7]),
            vague,
            pending,
        ];
        BlockHints {
            chain_id: 1,
            number: Some(123_456),
            hash: None,
            spec: SpecId::PRAGUE,
            spec_origin: None,
            analyzer: "0.1.0".to_owned(),
            basis: Basis::StaticAndState,
            parent: Some(B256::repeat_byte(7)),
            assumed: Assumed {
                guessed: vec![EnvironmentWord::Timestamp, EnvironmentWord::Coinbase],
                computed: vec![EnvironmentWord::BaseFee],
            },
            beneficiary: None,
            plan: Some(plan(&transactions, Address::ZERO, 4)),
            transactions,
        }
    }
}
