//! What operations cost, of those that are kept and of those that are left out.
//!
//! In: costs, and the words that they depend on. Out: the gas that is left on the path and of the frame, at each level, or
//! that a path has none left. No price is set here: `gas` beside this has them.

use alloy_primitives::U256;
use deconflict_analyzer::Operand;
use revm::{DatabaseRef, context_interface::cfg::GasId};

use super::super::gas::{Level, UNBOUNDED, growth_gas};
use super::super::machine::Event;
use super::super::region::MAX_MEMORY;
use super::super::taint::Taint;
use super::super::touched_state::{AccountId, Warmth, Word};
use super::memory::memory_range;
use super::{Done, FrameRun};

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    /// Gas that is sure to be spent. The gas of the whole trace is taken already, also of what comes after this: only
    /// what is more than that and all the rest is out of reach here.
    #[inline]
    pub(super) fn pay(&mut self, cost: u64) -> Done {
        if self.fails_alone
            && cost as i64 > self.frame.left.at(Level::Here).saturating_add(self.frame.trace_gas as i64)
            && !self.gas_sources.is_unknown()
        {
            self.frame.left.spend(cost);
            return Err(Event::Starved);
        }
        if cost > self.gas_left.saturating_add(self.frame.trace_gas) {
            *self.gas_left = 0;
            return Err(Event::OutOfGas);
        }
        self.spend(cost);
        Ok(())
    }

    /// What an instruction costs at the least: the transaction may run out of gas by it, but only after it.
    #[inline]
    pub(super) fn spend(&mut self, cost: u64) {
        *self.gas_left = self.gas_left.saturating_sub(cost);
        self.frame.left.spend(cost);
    }

    /// Gas that depends on words beside the memory that they stand for: none of it touches anything. It is the first
    /// cost on the state at hand, and the second at the most.
    fn spend_by(&mut self, words: &[Word], [here, most]: [u64; 2]) {
        let taint = words.iter().fold(Taint::CLEAN, |taint, word| taint.union(word.taint));
        if taint.is_unknown() {
            *self.gas_sources = self.gas_sources.union(Taint::UNKNOWN);
            self.frame.left.spend_each([most; 4]);
            return;
        }
        *self.gas_sources = self.gas_sources.union(taint);
        let any = if taint.is_clean() { here } else { most };
        // What a path has decided is the same wherever it is gone, whatever state set it.
        let mut others = here;
        for word in words {
            if let Some(trail) = self.pen.trail()
                && !trail.is_constant(word)
            {
                // Without a bound nothing could be said of the gas: the word is decided if that is asked.
                if most < UNBOUNDED || !trail.suppose(word) {
                    others = most;
                }
            }
        }
        self.frame.left.spend_each([here, any, others, others]);
    }

    /// Pays for a touch of the account that a word names: the first costs more than the next.
    pub(super) fn touch(&mut self, account: AccountId, word: &Word) {
        let always = self.pen.is_constant(word);
        let warmth = self.touched.warm(account, always);
        let address = word.address();
        let warm = address.0[..18] == [0; 18] && self.precompiles.contains(&address);
        let warmth = if warm { Warmth { here: true, any: true, elsewhere: always } } else { warmth };
        self.frame.left.spend_each(self.schedule.account(warmth));
    }

    /// Loads of slots and bytes of exponents that were left out.
    pub(super) fn pay_left_out(&mut self, loads: u32, exponent_bytes: u32) {
        let of_a_byte = self.schedule.params.get(GasId::exp_byte_gas());
        self.spend(u64::from(loads) * self.schedule.load + u64::from(exponent_bytes) * of_a_byte);
    }

    /// An exponent.
    pub(super) fn pay_exponent(&mut self, exponent: Operand) {
        let exponent = self.word(exponent);
        let cost = |exponent| self.schedule.params.exp_cost(exponent);
        let costs = [cost(exponent.value), cost(U256::MAX)];
        self.spend_by(&[exponent], costs);
    }

    /// Memory that nothing kept touches, up to so many bytes from an offset.
    pub(super) fn pay_growth(&mut self, base: Operand, end: u32) {
        let base = self.word(base);
        let end = base.value.saturating_add(U256::from(end));
        let end = usize::try_from(end).ok().filter(|end| *end <= MAX_MEMORY);
        let cost = end.map_or(UNBOUNDED, |end| growth_gas(self.frame.paid, end));
        if let Some(end) = end {
            self.frame.paid = self.frame.paid.max(end.next_multiple_of(32));
        } else {
            // An offset may wrap round: what is this large here need not be large.
            *self.gas_sources = self.gas_sources.union(Taint::UNKNOWN);
        }
        self.spend_by(&[base], [cost, UNBOUNDED]);
    }

    /// A range of memory that is only paid for, by its bytes and its words.
    pub(super) fn pay_range(&mut self, [per_byte, per_word]: [u8; 2], offset: Operand, length: Operand) {
        let (offset, length) = (self.word(offset), self.word(length));
        let range = memory_range(&offset.value, &length.value);
        let cost = range.map_or(UNBOUNDED, |(offset, length)| {
            let end = if length > 0 { offset + length } else { 0 };
            let growth = growth_gas(self.frame.paid, end);
            self.frame.paid = self.frame.paid.max(end.next_multiple_of(32));
            growth + u64::from(per_byte) * length as u64 + u64::from(per_word) * length.div_ceil(32) as u64
        });
        self.spend_by(&[offset, length], [cost, UNBOUNDED]);
    }
}
