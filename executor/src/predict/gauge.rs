//! Counts the gas of calls: what they cost, what they are given, and whether a frame had enough.
//!
//! In: frames, and what they spent by the schedule of the fork. Out: whether a frame that may fail while its caller
//! goes on has had enough gas. Where it has on any state nothing is said; where only the state at hand decides, the
//! prediction depends on what made the difference; where that is not known, the prediction says that it falls short.

use deconflict_analyzer::CallSite;
use revm::{DatabaseRef, primitives::hardfork::SpecId};
use revm_bytecode::opcode;

use super::environment::clamp_gas;
use super::frame::Frame;
use super::gas::{Asked, GasSchedule, Given, Left, Level, UNBOUNDED, growth_gas};
use super::machine::{Path, PredictionMachine};
use super::taint::Taint;
use super::touched_state::{AccountId, TouchedState, Warmth, Word};
use crate::access_set::ShortfallReason;

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    /// Lets the memory of the frame on top grow to hold so many bytes. Where it has not the gas for that, or no transaction
    /// has: whether something below goes on.
    pub(super) fn grow(&mut self, path: &mut Path, end: usize) -> Option<bool> {
        let cost = growth_gas(path.frame.paid, end);
        // The gas of the trace is taken ahead, and gas that it does not come to may still pay for this.
        let slack = path.frame.trace_gas;
        let is_short = cost as i64 > path.frame.left.at(Level::Here).saturating_add(slack as i64);
        if is_short && path.frame.fails_alone() && path.knows_gas() {
            path.frame.left.spend(cost);
            return Some(self.starve(path));
        }
        if cost > path.gas_left.saturating_add(slack) {
            path.gas_left = 0;
            return Some(self.run_out(path));
        }
        let frame = &mut path.frame;
        path.gas_left = path.gas_left.saturating_sub(cost);
        frame.left.spend(cost);
        frame.paid = frame.paid.max(end.next_multiple_of(32));
        frame.memory.grow(end);
        None
    }

    /// Notes that an account is touched, and says how warm it was. `always` says that every transaction that goes
    /// this way touches the same one.
    pub(super) fn warm(&self, touched: &mut TouchedState, account: AccountId, always: bool) -> Warmth {
        let is_precompile = self.precompile(&touched.address(account)).is_some();
        let warmth = touched.warm(account, always);
        if is_precompile { Warmth { here: true, any: true, elsewhere: always } } else { warmth }
    }

    /// Spends what a call costs, but for memory and delegation.
    pub(super) fn pay_for_call(
        &mut self,
        path: &mut Path,
        site: &CallSite,
        value: Word,
        target: &Word,
        account: AccountId,
    ) {
        let schedule = self.schedule;
        path.frame.left.restore(site.ahead.into());
        let fixed = schedule.instruction(site.opcode);
        path.gas_left = path.gas_left.saturating_sub(fixed);
        path.frame.left.spend(fixed);
        let always = path.trail.as_deref().is_none_or(|trail| trail.is_constant(target));
        let warmth = self.warm(&mut path.touched, account, always);
        path.frame.left.spend_each(schedule.account(warmth));
        let sends = matches!(site.opcode, opcode::CALL | opcode::CALLCODE);
        let (carries, may_carry) = (
            sends && (!value.value.is_zero() || value.taint.is_unknown()),
            sends && (!value.value.is_zero() || !value.taint.is_clean()),
        );
        let spend = |path: &mut Path, gas: u64, here: bool, any: bool, taint: Taint| {
            let cost = |applies: bool| if applies { gas } else { 0 };
            // Whether value is sent is a decision of a path that is written down.
            path.frame.left.spend_each([cost(here), cost(any), cost(here), cost(here)]);
            // What is dear here may be cheap elsewhere, too.
            if any {
                path.gas_sources = path.gas_sources.union(taint);
            }
        };
        spend(path, schedule.params.transfer_value_cost(), carries, may_carry, value.taint);
        if site.opcode != opcode::CALL {
            return;
        }
        let (state, sources) = (self.state, &mut self.ledger.sources);
        if self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            if !may_carry {
                return;
            }
            let (empty, about) = path.touched.is_empty(account, state, sources);
            let (code, _) = path.touched.code(account, state, sources);
            let gas = schedule.params.new_account_cost(true, true) + schedule.params.new_account_state_gas();
            let taint = value.taint.union(about);
            let may_be_new = may_carry && code.is_nothing();
            let here = carries && empty;
            spend(path, gas, here, may_be_new, taint);
            // For another transaction the account may be new wherever it has no code.
            if may_be_new && !here {
                path.frame.left.spend_each([0, 0, gas, gas]);
            }
        } else if !path.touched.exists(account, state, sources) {
            // An account that a call has touched is there from then on, which is not followed.
            let gas = schedule.params.new_account_cost(false, false);
            spend(path, gas, true, true, Taint::UNKNOWN);
        } else {
            let gas = schedule.params.new_account_cost(false, false);
            let (code, _) = path.touched.code(account, state, sources);
            if code.is_nothing() {
                spend(path, gas, false, true, Taint::UNKNOWN);
                path.frame.left.spend_each([0, 0, gas, gas]);
            }
        }
    }

    /// What a call is given.
    pub(super) fn give(
        &mut self,
        path: &mut Path,
        site: &CallSite,
        gas: Word,
        stipend: bool,
        lean: bool,
    ) -> Given {
        let number = clamp_gas(gas.value);
        let asked = if gas.taint.is_unknown() {
            if site.gives_all && self.schedule.keeps_a_part() {
                Asked::All
            } else if gas.taint.is_of_gas_alone() && path.knows_gas() {
                if !lean {
                    self.ledger.decide(gas.taint);
                }
                Asked::Derived(number)
            } else {
                path.gas_sources = path.gas_sources.union(Taint::UNKNOWN);
                Asked::Unknown
            }
        } else {
            self.ledger.need(gas.taint);
            Asked::Number(number)
        };
        let stipend = if stipend { self.schedule.params.call_stipend() } else { 0 };
        self.schedule.give(&path.frame.left, asked, stipend)
    }

    /// Whether the frame on top, which may fail alone, has had enough gas. False if it is sure not to have.
    pub(super) fn had_enough(&mut self, path: &mut Path) -> bool {
        let left = path.frame.left;
        if left.at(Level::Any) >= 0 {
            return true;
        }
        if left.at(Level::Here) >= 0 {
            self.decide_gas(path);
            return true;
        }
        if !path.knows_gas() {
            self.announce_gas(path);
            return true;
        }
        self.decide_gas(path);
        if let Some(trail) = &mut path.trail {
            trail.give_up();
        }
        false
    }

    /// Notes that the gas that is left decides something: it is as it is on this state only where all is the same that
    /// set the prices so far.
    pub(super) fn decide_gas(&mut self, path: &mut Path) {
        self.ledger.decide(path.gas_sources);
        if path.knows_gas() {
            path.gas_sources = Taint::CLEAN;
            path.frame.left.rebase();
            for frame in &mut path.waiting {
                frame.left.rebase();
                frame.taken.rebase();
            }
            path.frame.taken.rebase();
        }
    }

    /// Says that a frame may have too little gas.
    pub(super) fn announce_gas(&mut self, path: &mut Path) {
        self.ledger.fall_short(ShortfallReason::GasLimitedCall, path.frame.place(0));
        if let Some(trail) = &mut path.trail {
            // With more gas it might have enough.
            trail.run_out(self.tx.gas_limit.saturating_sub(self.intrinsic));
        }
    }

    /// Notes how much gas a transaction has to have for a frame that is done, and may fail alone, to go the same way.
    pub(super) fn rely_on_gas(&self, path: &mut Path, done: &Frame, halts: bool) {
        if halts {
            self.rely_on_burning(path, done.asked, &done.taken);
        } else {
            let need = |level| done.given.at(level) - done.left.at(level);
            self.rely_on(path, need, (done.asked, done.stipend, done.taken));
        }
    }

    /// As [`PredictionMachine::rely_on_gas`], for a callee that used so much.
    pub(super) fn rely_on(&self, path: &mut Path, need: impl Fn(Level) -> i64, given: (Asked, u64, Left)) {
        let Path { trail: Some(trail), waiting, frame, .. } = path else { return };
        trail.hold_to_costs();
        let callers: Vec<&Frame> = waiting.iter().chain([&*frame]).map(|frame| &**frame).collect();
        match least_for(self.schedule, &callers, need, given) {
            Some([alike, other]) => trail.rely_on_gas(other, alike),
            None => trail.give_up(),
        }
    }

    /// Notes how much gas the frame on top has to have had for a call that sends value. What such a call is given for
    /// nothing may come back, so that the frame has more at its end than it had when it paid for the call, and what it
    /// needs is more than what it has used in the end.
    pub(super) fn rely_on_advance(&self, path: &mut Path) {
        let Path { trail: Some(trail), waiting, frame, .. } = path else { return };
        if !frame.fails_alone() && !waiting.iter().any(|frame| frame.fails_alone()) {
            return;
        }
        trail.hold_to_costs();
        let callers: Vec<&Frame> = waiting.iter().map(|frame| &**frame).collect();
        let need = |level| frame.given.at(level) - frame.left.at(level);
        match least_for(self.schedule, &callers, need, (frame.asked, frame.stipend, frame.taken)) {
            Some([alike, other]) => trail.rely_on_gas(other, alike),
            None => trail.give_up(),
        }
    }

    /// What a callee burns that halts is the same for another transaction only where the caller named it.
    pub(super) fn rely_on_burning(&self, path: &mut Path, asked: Asked, taken: &Left) {
        let named = match asked {
            Asked::Number(number) => {
                i64::try_from(number).is_ok_and(|number| taken.at(Level::Other) == number)
            }
            _ => false,
        };
        if named {
            self.rely_on(path, |level| taken.at(level), (asked, 0, *taken));
        } else if let Some(trail) = &mut path.trail {
            trail.give_up();
        }
    }
}

/// The gas that a transaction has to have beyond what it costs before its first instruction, so that a callee can use
/// as much as `need` at each level. The callers are in order, the outermost first. None where that depends on more
/// than the transaction's gas.
fn least_for(
    schedule: &GasSchedule,
    callers: &[&Frame],
    need: impl Fn(Level) -> i64,
    (mut asked, mut stipend, mut taken): (Asked, u64, Left),
) -> Option<[u64; 2]> {
    let mut needs = [need(Level::Alike), need(Level::Other)];
    for caller in callers.iter().rev() {
        for (need, level) in needs.iter_mut().zip([Level::Alike, Level::Other]) {
            let mut given = (*need - stipend as i64).max(0);
            match asked {
                // However much the transaction has, this is not enough where it goes another way than here.
                Asked::Number(number) if i64::try_from(number).is_ok_and(|number| number < given) => {
                    given = UNBOUNDED as i64;
                }
                Asked::Number(number) if !schedule.keeps_a_part() => {
                    given = i64::try_from(number).unwrap_or(UNBOUNDED as i64).min(UNBOUNDED as i64);
                }
                Asked::All | Asked::Number(_) => {}
                Asked::Derived(_) | Asked::Unknown => return None,
            }
            let before = caller.left.at(level) + taken.at(level);
            let spent = caller.given.at(level) - before;
            *need = spent.saturating_add(schedule.least_for(given));
        }
        (asked, stipend, taken) = (caller.asked, caller.stipend, caller.taken);
    }
    Some(needs.map(|need| u64::try_from(need).unwrap_or(0)))
}
