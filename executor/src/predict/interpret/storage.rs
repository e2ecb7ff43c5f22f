//! Loads and stores of slots, those that last and those that last for the transaction.
//!
//! In: keys and words. Out: what is touched, in the state under the transaction, and what it costs. A key that is not
//! known is announced, and nothing is touched by it.

use alloy_primitives::U256;
use deconflict_analyzer::Operand;
use revm::DatabaseRef;

use super::super::gas::{Level, UNBOUNDED};
use super::super::machine::Event;
use super::super::node::{Definition, NodeId};
use super::super::recipe::Effect;
use super::super::taint::Taint;
use super::super::touched_state::Word;
use super::{Done, FrameRun, address_word};
use crate::access_set::ShortfallReason;

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    pub(super) fn storage_load(&mut self, to: u16, key: Operand, pc: u32, delta: bool) {
        let key = self.word(key);
        let word = if self.ledger.need(key.taint) {
            self.load_slot(&key, delta)
        } else {
            self.miss_key(&key, pc);
            Word { node: NodeId::UNKNOWN, ..Word::new(U256::ZERO, Taint::UNKNOWN.union(key.taint)) }
        };
        if word.taint.is_unavailable() {
            self.ledger.fall_short(ShortfallReason::StateUnavailable, self.frame.place(pc));
        }
        self.put(to, word);
    }

    #[inline]
    fn load_slot(&mut self, key: &Word, delta: bool) -> Word {
        let account = self.frame.account;
        let sources = &mut self.ledger.sources;
        let (mut word, warmth) = self.touched.load(account, key.value, delta, self.state, sources);
        *self.gas_left = self.gas_left.saturating_sub(self.schedule.load);
        self.frame.left.spend_each(self.schedule.load(warmth));
        if let Some(trail) = self.pen.trail() {
            let place = [self.frame.address_node, trail.operand(key)];
            trail.effect(Effect::Read { address: place[0], key: place[1], delta });
            let mut fresh = NodeId::CONSTANT;
            let defined = self.touched.define(account, key.value, || {
                let (definition, node) = trail.load(place);
                fresh = node;
                (definition, node)
            });
            word.node = defined.map_or(fresh, |definition| trail.forward(definition, place));
        }
        word
    }

    pub(super) fn storage_store(
        &mut self,
        key: Operand,
        word: Operand,
        pc: u32,
        delta: bool,
        ahead: u16,
    ) -> Done {
        let (key, word) = (self.word(key), self.word(word));
        if !self.ledger.need(key.taint) {
            self.miss_key(&key, pc);
        } else if self.frame.is_static {
            // The attempt counts, though it only ends the frame.
            if let Some(trail) = self.pen.trail() {
                let (address, key) = (self.frame.address_node, trail.operand(&key));
                trail.effect(Effect::Attempt { address, key });
            }
            let sources = &mut self.ledger.sources;
            self.touched.attempt(self.frame.account, key.value, self.state, sources);
        } else {
            self.store_slot(&key, word, delta, ahead);
        }
        if self.frame.is_static { Err(Event::Halt) } else { Ok(()) }
    }

    #[inline]
    fn store_slot(&mut self, key: &Word, word: Word, delta: bool, ahead: u16) {
        let mut definition = Definition::default();
        if let Some(trail) = self.pen.trail() {
            let place = [self.frame.address_node, trail.operand(key)];
            definition = trail.store(place, &word, delta);
        }
        let (account, sources) = (self.frame.account, &mut self.ledger.sources);
        let stored = self.touched.store(account, key.value, word, (delta, definition), self.state, sources);
        let (costs, sources) = self.schedule.store(&stored, &word);
        let (needs, ahead) = (self.schedule.store_needs(), i64::from(ahead));
        // With less a store fails, whatever it costs.
        let dear = |level, cost| {
            if self.frame.left.at(level) + ahead <= needs { UNBOUNDED } else { cost }
        };
        let least = u64::try_from(needs + 1).unwrap_or_default();
        let [here, any, alike, other] = costs;
        let costs = [
            dear(Level::Here, here),
            dear(Level::Any, any),
            // What another transaction needs is asked of its gas: as much as the store does not spend.
            alike.max(least),
            other.max(least),
        ];
        self.frame.left.spend_each(costs);
        *self.gas_left = self.gas_left.saturating_sub(self.schedule.params.sstore_static_gas());
        *self.gas_sources = self.gas_sources.union(sources);
        if ahead == i64::from(u16::MAX) || costs[0] == UNBOUNDED && costs[1] != UNBOUNDED {
            *self.gas_sources = self.gas_sources.union(Taint::UNKNOWN);
        }
        if let Some(trail) = self.pen.trail() {
            trail.stored(stored.original.value.is_zero());
        }
    }

    #[cold]
    fn miss_key(&mut self, key: &Word, pc: u32) {
        self.ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, self.frame.place(pc));
    }

    pub(super) fn transient_load(&mut self, to: u16, key: Operand) -> Done {
        let key = self.word(key);
        self.fix_transient(&key)?;
        self.put(to, self.touched.load_transient(self.frame.account, key.value));
        Ok(())
    }

    pub(super) fn transient_store(&mut self, key: Operand, word: Operand) -> Done {
        let (key, word) = (self.word(key), self.word(word));
        if self.frame.is_static {
            return Err(Event::Halt);
        }
        self.fix_transient(&key)?;
        self.touched.store_transient(self.frame.account, key.value, word);
        Ok(())
    }

    /// A transient slot has to be known, and a recipe holds for this one alone.
    fn fix_transient(&mut self, key: &Word) -> Done {
        self.require(key.taint, ShortfallReason::UnknownKey, self.trace_pc)?;
        if let Some(trail) = self.pen.trail() {
            trail.fix(key);
            trail.require(self.frame.address_node, address_word(self.frame.address).value);
        }
        Ok(())
    }
}
