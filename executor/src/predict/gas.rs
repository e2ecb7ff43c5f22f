//! What instructions cost on the fork of the block, and how much gas a frame has left.
//!
//! In: revm's own tables. Out: costs, and in [`Left`] what is left of a frame's gas under several suppositions. A frame
//! that is followed in the strict form may run out of gas while its caller goes on, so that what it has left decides
//! what happens next: it is counted exactly on the state at hand, and bounded from below for any other.

use std::sync::OnceLock;

use revm::{
    context::TxEnv,
    context_interface::{cfg::GasParams, context::SStoreResult},
    interpreter::instructions::{GasTable, gas_table_spec},
    primitives::hardfork::SpecId,
};
use revm_bytecode::opcode;

use super::taint::Taint;
use super::touched_state::{Stored, Warmth, Word};

/// Gas that nobody has: what is spent where there is no bound.
pub(super) const UNBOUNDED: u64 = 1 << 40;

/// Less than the negative of this does not come to more than nothing again.
const NEVER: i64 = 1 << 50;

/// What is supposed of the state and the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// The state is the one at hand: exact, or a lower bound where something is unknown.
    Here,
    /// The state differs in nothing that the prediction depends on: a lower bound.
    Any,
    /// As `Other`, but stores find a zero only where they did here.
    Alike,
    /// Another transaction goes the same way: a lower bound if it has as much gas.
    Other,
}

impl Level {
    pub(super) const ALL: [Self; 4] = [Self::Here, Self::Any, Self::Alike, Self::Other];
}

/// The gas that is left, at each level; negative where it was not enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left([i64; 4]);

impl Left {
    /// So much at every level.
    pub(super) fn new(gas: u64) -> Self {
        Self([i64::try_from(gas).unwrap_or(i64::MAX).min(i64::MAX / 4); 4])
    }

    /// What is left at a level.
    #[inline]
    pub(super) fn at(&self, level: Level) -> i64 {
        self.0[level as usize]
    }

    /// Spends the same at every level.
    #[inline]
    pub(super) fn spend(&mut self, gas: u64) {
        for left in &mut self.0 {
            *left -= gas as i64;
        }
    }

    /// Gives back the same at every level.
    #[inline]
    pub(super) fn restore(&mut self, gas: u64) {
        for left in &mut self.0 {
            *left += gas as i64;
        }
    }

    /// Spends so much at each level, in their order.
    #[inline]
    pub(super) fn spend_each(&mut self, gas: [u64; 4]) {
        for (left, gas) in self.0.iter_mut().zip(gas) {
            *left -= gas as i64;
        }
    }

    /// Takes what another frame was given.
    pub(super) fn take(&mut self, given: &Self) {
        for (left, given) in self.0.iter_mut().zip(given.0) {
            *left -= given;
        }
    }

    /// Takes back what another frame has left.
    pub(super) fn return_from(&mut self, other: &Self) {
        for (left, other) in self.0.iter_mut().zip(other.0) {
            *left += other.max(0);
        }
    }

    /// Supposes nothing but the state at hand of what any other state may be.
    pub(super) fn rebase(&mut self) {
        self.0[Level::Any as usize] = self.0[Level::Here as usize];
    }
}

/// The gas that a caller names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    /// All that can be had.
    #[default]
    All,
    /// This number.
    Number(u64),
    /// A number that was computed from the gas that was left; it is this one on the state at hand.
    Derived(u64),
    /// A number that is not known.
    Unknown,
}

/// What a call is given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given {
    pub asked: Asked,
    /// What the caller is short of.
    pub taken: Left,
    /// What the callee starts with.
    pub left: Left,
    pub stipend: u64,
}

/// What instructions cost on one fork.
#[derive(Debug)]
pub(super) struct GasSchedule {
    spec: SpecId,
    table: GasTable,
    /// The costs that depend on more than the instruction.
    pub params: GasParams,
    /// A load of a slot, without what a cold one costs more.
    pub load: u64,
    /// What the first touch of an account costs more.
    pub cold_account: u64,
    /// What the first load of a slot costs more.
    pub cold_slot: u64,
}

/// The costs on a fork.
pub(super) fn schedule(spec: SpecId) -> &'static GasSchedule {
    static ALL: [OnceLock<GasSchedule>; 32] = [const { OnceLock::new() }; 32];
    ALL[spec as usize % ALL.len()].get_or_init(|| {
        let (table, params) = (gas_table_spec(spec), GasParams::new_spec(spec));
        GasSchedule {
            load: table[usize::from(opcode::SLOAD)].into(),
            cold_account: params.cold_account_additional_cost(),
            cold_slot: params.cold_storage_additional_cost(),
            spec,
            table,
            params,
        }
    })
}

impl GasSchedule {
    /// Whether gas is counted to the unit. From Amsterdam on there is gas for growth of the state beside it
    /// (EIP-8037), of which only an upper bound is taken.
    pub(super) fn is_exact(&self) -> bool {
        !self.spec.is_enabled_in(SpecId::AMSTERDAM)
    }

    /// What an instruction costs whatever its operands are.
    #[inline]
    pub(super) fn instruction(&self, op: u8) -> u64 {
        self.table[usize::from(op)].into()
    }

    /// What a touch of an account costs beyond the instruction, at each level.
    #[inline]
    pub(super) fn account(&self, warmth: Warmth) -> [u64; 4] {
        let cost = |warm: bool| if warm { 0 } else { self.cold_account };
        let others = cost(warmth.elsewhere);
        [cost(warmth.here), cost(warmth.any), others, others]
    }

    /// What a load costs, at each level.
    #[inline]
    pub(super) fn load(&self, warmth: Warmth) -> [u64; 4] {
        let cost = |warm: bool| if warm { self.load } else { self.load + self.cold_slot };
        let (here, others) = (cost(warmth.here), cost(warmth.elsewhere));
        [here, here, others, others]
    }

    /// What a store costs, at each level, and what decides it.
    pub(super) fn store(&self, stored: &Stored, word: &Word) -> ([u64; 4], Taint) {
        let is_istanbul = self.spec.is_enabled_in(SpecId::ISTANBUL);
        let with = |original, present, new, cold| {
            let words = SStoreResult { original_value: original, present_value: present, new_value: new };
            self.params.sstore_static_gas()
                + self.params.sstore_dynamic_gas(is_istanbul, &words, cold)
                + self.params.sstore_state_gas(&words)
        };
        let (zero, one, two) =
            (alloy_primitives::U256::ZERO, alloy_primitives::U256::from(1), alloy_primitives::U256::from(2));
        let cold = !stored.warmth.here;
        let (original, present) = (stored.original.value, stored.present.value);
        let most = with(zero, zero, one, cold);
        let taint = word.taint.union(stored.original.taint).union(stored.present.taint);
        let here = if taint.is_unknown() { most } else { with(original, present, word.value, cold) };
        let any = if taint.is_clean() { here } else { most };
        let other = with(zero, zero, one, true);
        // Before EIP-2200 what the slot holds at the time decides, which may be zero wherever it was not.
        let alike = if is_istanbul && !original.is_zero() { with(one, one, two, true) } else { other };
        ([here, any, alike, other], taint)
    }

    /// Whether a store needs more gas to be left than this, by EIP-2200.
    pub(super) fn store_needs(&self) -> i64 {
        if self.spec.is_enabled_in(SpecId::ISTANBUL) { self.params.call_stipend() as i64 } else { -1 }
    }

    /// Whether all but one 64th is given on, by EIP-150; else a caller that names more than it has is out of gas.
    pub(super) fn keeps_a_part(&self) -> bool {
        self.spec.is_enabled_in(SpecId::TANGERINE)
    }

    /// What a frame gives to a call.
    pub(super) fn give(&self, left: &Left, asked: Asked, stipend: u64) -> Given {
        let (mut taken, mut given) = ([0; 4], [0; 4]);
        for level in Level::ALL {
            let at = level as usize;
            let all = left.at(level).max(0);
            // What has run out stays so, whatever comes back of a stipend.
            let out = if left.at(level) < 0 && left.at(level) > -NEVER { 2 * UNBOUNDED as i64 } else { 0 };
            let most = if self.keeps_a_part() { all - all / 64 } else { all };
            let named = |number: u64| {
                let number = i64::try_from(number).unwrap_or(UNBOUNDED as i64).min(UNBOUNDED as i64);
                if self.keeps_a_part() {
                    (number.min(most), number.min(most))
                } else if number > most {
                    // The caller is out of gas, whatever comes back to it.
                    (number + 2 * UNBOUNDED as i64, number)
                } else {
                    (number, number)
                }
            };
            (taken[at], given[at]) = match asked {
                Asked::All => (most, most),
                Asked::Number(number) => named(number),
                Asked::Derived(number) if level == Level::Here => named(number),
                // It may be more than there is.
                Asked::Derived(_) | Asked::Unknown if !self.keeps_a_part() => {
                    (most + 2 * UNBOUNDED as i64, 0)
                }
                Asked::Derived(_) | Asked::Unknown => (most, 0),
            };
            taken[at] += out;
            given[at] += stipend as i64;
        }
        Given { asked, taken: Left(taken), left: Left(given), stipend }
    }

    /// The least gas of which so much can be given on.
    pub(super) fn least_for(&self, given: i64) -> i64 {
        // Some hundred calls deep a number that nobody has would come to one that is less than nothing.
        if self.keeps_a_part() { given.saturating_add(given / 63).saturating_add(1) } else { given }
    }
}

/// What memory costs that grows from so many bytes to so many, on any fork.
#[inline]
pub(super) fn growth_gas(from: usize, to: usize) -> u64 {
    if to <= from {
        return 0;
    }
    let cost = |bytes: usize| {
        let words = bytes.div_ceil(32) as u64;
        3 * words + words * words / 512
    };
    cost(to) - cost(from)
}

/// The gas that a transaction costs before its first instruction.
pub(super) fn intrinsic_gas(tx: &TxEnv, spec: SpecId) -> u64 {
    let schedule = schedule(spec);
    let params = &schedule.params;
    // Counted in bytes, many at once, as long as a byte can hold the count.
    let zeros_of = |bytes: &[u8]| u64::from(bytes.iter().map(|byte| u8::from(*byte == 0)).sum::<u8>());
    let zeros = tx.data.chunks(255).map(zeros_of).sum::<u64>();
    let others = tx.data.len() as u64 - zeros;
    let data = params.tx_token_cost() * (zeros + others * params.tx_token_non_zero_byte_multiplier());
    let creation = if tx.kind.is_create() {
        params.tx_create_cost() + params.tx_initcode_cost(tx.data.len())
    } else {
        0
    };
    let keys: usize = tx.access_list.iter().map(|item| item.storage_keys.len()).sum();
    let listed = params.tx_access_list_cost(tx.access_list.len() as u64, keys as u64);
    let authorizations = tx.authorization_list.len() as u64;
    let signed = params.tx_eip7702_per_empty_account_cost() * authorizations;
    // Under EIP-2780 a part is paid while the transaction runs: this is more than that comes to.
    let unmetered = if schedule.is_exact() { 0 } else { 50_000 + 300_000 * authorizations };
    params.tx_base_stipend() + data + creation + listed + signed + unmetered
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256, TxKind};
    use revm::context_interface::transaction::{AccessList, AccessListItem};

    #[test]
    fn transactions_cost_what_revm_says() {
        let item = AccessListItem { address: Address::ZERO, storage_keys: vec![B256::ZERO; 2] };
        let data: Vec<u8> = (0..700_u32).map(|byte| (byte % 3) as u8).collect();
        for spec in [SpecId::FRONTIER, SpecId::HOMESTEAD, SpecId::ISTANBUL, SpecId::BERLIN, SpecId::OSAKA] {
            for kind in [TxKind::Create, TxKind::Call(Address::ZERO)] {
                for tx_type in 0..=u8::from(spec.is_enabled_in(SpecId::BERLIN)) {
                    let list = if tx_type > 0 { vec![item.clone()] } else { Vec::new() };
                    let (data, access_list) = (data.clone().into(), AccessList(list));
                    let tx = TxEnv { kind, data, tx_type, access_list, ..TxEnv::default() };
                    let expected = schedule(spec).params.initial_tx_gas_for_tx(&tx, None);
                    assert_eq!(intrinsic_gas(&tx, spec), expected.initial_total_gas(), "{spec:?} {kind:?}");
                }
            }
        }
    }

    #[test]
    fn what_can_be_given_on_is_the_least() {
        let schedule = schedule(SpecId::OSAKA);
        for given in (0..5_000).chain([64 * 63, 1 << 30]) {
            let least = schedule.least_for(given);
            let most = |gas: i64| schedule.give(&Left::new(gas as u64), Asked::All, 0).left.at(Level::Here);
            assert!(most(least) >= given);
            assert!(most((least - 2).max(0)) <= given);
        }
    }

    #[test]
    fn what_nobody_has_is_not_less_however_deep_calls_go() {
        let schedule = schedule(SpecId::OSAKA);
        let need = (0..1_024).fold(UNBOUNDED as i64, |given, _| schedule.least_for(given));
        assert!(need >= UNBOUNDED as i64);
    }

    #[test]
    fn what_has_run_out_stays_so() {
        let schedule = schedule(SpecId::OSAKA);
        let mut left = Left::new(9_000);
        left.spend(9_001);
        for asked in [Asked::All, Asked::Number(0), Asked::Derived(7), Asked::Unknown] {
            let given = schedule.give(&left, asked, 2_300);
            left.take(&given.taken);
            left.return_from(&given.left);
            assert!(Level::ALL.iter().all(|level| left.at(*level) < 0));
        }
    }

    #[test]
    fn a_caller_never_gives_more_than_it_has() {
        for spec in [SpecId::FRONTIER, SpecId::TANGERINE, SpecId::OSAKA] {
            let given = schedule(spec).give(&Left::new(6_400), Asked::Number(10_000), 2_300);
            let expected = if spec == SpecId::FRONTIER { 10_000 } else { 6_300 };
            assert_eq!(given.taken.at(Level::Here) > 6_400, spec == SpecId::FRONTIER);
            assert_eq!(given.left.at(Level::Other), expected + 2_300);
        }
    }

    #[test]
    fn memory_costs_what_revm_says() {
        let params = &schedule(SpecId::OSAKA).params;
        for bytes in [0, 1, 32, 33, 1_000, 100_000, 1 << 24] {
            assert_eq!(growth_gas(0, bytes), params.memory_cost(bytes.div_ceil(32)));
        }
    }
}
