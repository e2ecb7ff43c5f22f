//! Where a frame goes next: traces, branches, and what ends it at once.
//!
//! In: the word that decides. Out: the trace that comes next, or an event. A branch that an unknown word decides is an
//! event: both arms are followed.

use deconflict_analyzer::{Operand, TraceId};
use revm::DatabaseRef;

use super::super::gas::Level;
use super::super::machine::{Event, TICKS};
use super::super::touched_state::Word;
use super::{Done, FrameRun};
use crate::access_set::ShortfallReason;

/// How many words the stack of the EVM holds.
const STACK_LIMIT: usize = 1_024;

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    /// Starts a trace, by the words of the stack that it takes, those that it leaves, and the registers it uses.
    #[inline]
    pub(super) fn enter(&mut self, [needs, leaves, registers]: [u16; 3], gas: u32) -> Done {
        // Registers are at least as many as the words that the trace ever has on the stack.
        let start = self.frame.height.checked_sub(usize::from(needs));
        let Some(start) = start.filter(|start| start + usize::from(registers) <= STACK_LIMIT) else {
            self.ledger.fall_short(ShortfallReason::StackFault, self.frame.place(self.trace_pc));
            return Err(Event::Abandon);
        };
        self.base = start;
        self.frame.height = start + usize::from(leaves);
        let room = start + usize::from(registers);
        if self.frame.stack.len() < room {
            self.frame.stack.resize(room.max(64), Word::default());
        }
        // Gas that runs out in this trace may do so after it has touched something: only what comes after it is out of
        // reach.
        if self.fails_alone && self.frame.left.at(Level::Here) < 0 && !self.gas_sources.is_unknown() {
            return Err(Event::Starved);
        }
        if *self.gas_left == 0 {
            self.frame.base = start;
            return Err(Event::OutOfGas);
        }
        *self.ticks = self.ticks.wrapping_add(1);
        if *self.ticks & TICKS == 0 && (self.limits.stop)() {
            *self.stopped = true;
            return Err(Event::Abandon);
        }
        let gas = u64::from(gas);
        self.frame.trace_gas = gas;
        self.spend(gas);
        Ok(())
    }

    /// Which of two traces comes next.
    #[inline]
    pub(super) fn branch(
        &mut self,
        condition: Operand,
        taken: TraceId,
        fallthrough: TraceId,
    ) -> Done<TraceId> {
        let taint = self.taint(condition);
        self.ledger.decide(taint);
        let is_zero = self.value(condition).is_zero();
        let (likely, other) = if is_zero { (fallthrough, taken) } else { (taken, fallthrough) };
        if taint.is_unknown() {
            if taint.is_unavailable() {
                self.ledger.fall_short(ShortfallReason::StateUnavailable, self.frame.place(self.trace_pc));
                return Err(Event::Abandon);
            }
            // The estimate of the gas that is left says which arm is the likelier.
            self.frame.ip = likely.0 as usize;
            return Err(Event::Fork { other, pc: self.trace_pc, taint });
        }
        if RECORDS {
            let condition = self.word(condition);
            if let Some(trail) = self.pen.trail() {
                trail.branch(&condition);
            }
        }
        Ok(likely)
    }

    /// Goes to a computed target unless the condition is zero.
    pub(super) fn dynamic_branch(&mut self, condition: Operand, target: Operand) -> Done {
        let (condition, target) = (self.word(condition), self.word(target));
        self.require(condition.taint, ShortfallReason::TooManyBranches, self.trace_pc)?;
        if let Some(trail) = self.pen.trail() {
            trail.branch(&condition);
        }
        if condition.value.is_zero() { Ok(()) } else { Err(Event::Computed { target, pc: self.trace_pc }) }
    }

    /// A log, at which static frames halt.
    #[inline]
    pub(super) fn log(&self) -> Done {
        if self.frame.is_static { Err(Event::Halt) } else { Ok(()) }
    }

    /// An instruction that the fork of this number brought.
    #[inline]
    pub(super) fn since(&self, fork: u8) -> Done {
        if (self.spec as u8) < fork { Err(Event::Halt) } else { Ok(()) }
    }

    /// Leaves to other frames what they have a part in, to go on behind it.
    pub(super) fn leave(&mut self, ip: usize, event: Event) -> Event {
        self.frame.ip = ip;
        self.frame.base = self.base;
        event
    }
}
