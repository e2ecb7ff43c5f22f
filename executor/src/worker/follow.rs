//! Words that an execution does nothing with but add to them: `slot += e`, found out while the code runs.
//!
//! In: loads at places where speculations have gone stale. Out: for each such word either that it decided nothing but a few
//! comparisons, which are listed, or that the execution depends on all of it. After such a load the instructions are
//! stepped through one by one, and it is followed which words on the stack are the loaded one plus or minus a number. They
//! may be added to, compared, and stored back; whatever else becomes of them makes the execution depend on the loaded word.
//! No claim of any analysis enters here: an execution with another word, for which all comparisons come out the same, goes
//! the same way and uses the same gas, and the word that it stores differs by what the loaded one differs by.

use std::hash::BuildHasher as _;

use alloy_primitives::U256;
use revm::{
    DatabaseRef,
    bytecode::opcode::{self, OPCODE_INFO},
    interpreter::{
        InstructionContext, InstructionExecResult, InstructionResult,
        instructions::{GasTable, InstructionTable, host},
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr as _, Jumps as _},
    },
};
use rustc_hash::FxBuildHasher;

use super::engine::{At, Host, InstructionSet};
use crate::view::{Check, Side, Term, WordDelta};

/// Instructions of later forks that reach deeper into the stack than any other.
const DEEP: std::ops::RangeInclusive<u8> = 0xe6..=0xe8;

/// What SLOAD does; where it is worth while, what becomes of the word is followed.
pub(super) fn load<'a, D: DatabaseRef + 'a, S: InstructionSet<'a, D>>(
    at: At<'_, 'a, D>,
) -> InstructionExecResult {
    let At { interpreter, host } = at;
    let view = &mut host.journaled_state.database;
    if !view.logs {
        return host::sload(InstructionContext { interpreter, host });
    }
    let code = interpreter.input.bytecode_address().copied().unwrap_or_default();
    let site = FxBuildHasher.hash_one((code, interpreter.bytecode.pc()));
    view.following.site = site;
    let is_watched = !view.following.sites.is_empty() && view.following.sites.contains(&site);
    if !is_watched && view.log.deltas.is_empty() {
        return host::sload(InstructionContext { interpreter, host });
    }
    let key =
        (interpreter.input.target_address(), interpreter.stack.data().last().copied().unwrap_or_default());
    let known = view.log.delta_at(key);
    if !is_watched || (known.is_none() && view.log.slots.iter().any(|it| (it.address, it.slot) == key)) {
        if let Some(delta) = known {
            view.log.deltas[delta].exact = true;
        }
        return host::sload(InstructionContext { interpreter, host });
    }
    host::sload(InstructionContext { interpreter: &mut *interpreter, host: &mut *host })?;
    let log = &mut host.journaled_state.database.log;
    let delta = match known {
        Some(delta) => delta,
        // What is not in the log was found on the way, or is as it is in any case.
        None => match log.slots.last() {
            Some(read) if (read.address, read.slot) == key => {
                log.deltas.push(WordDelta { read: *read, exact: false });
                log.deltas.len() - 1
            }
            _ => return Ok(()),
        },
    };
    if log.deltas[delta].exact {
        return Ok(());
    }
    let following = &mut host.journaled_state.database.following;
    if following.is_busy {
        following.found = Some(delta as u32);
        return Ok(());
    }
    following.is_busy = true;
    let mut terms = std::mem::take(&mut following.terms);
    terms.clear();
    let gas = following.gas;
    let mut follower = Follower { at: InstructionContext { interpreter, host }, terms };
    follower.found(delta as u32);
    let result = follower.follow(&S::TABLE, &gas);
    let following = &mut follower.at.host.journaled_state.database.following;
    following.terms = follower.terms;
    following.is_busy = false;
    result
}

/// What SSTORE does; what does not add to a word that was taken to be only added to makes it count.
pub(super) fn store<D: DatabaseRef>(at: At<'_, '_, D>) -> InstructionExecResult {
    let view = &mut at.host.journaled_state.database;
    view.following.site = 0;
    if !std::mem::take(&mut view.following.stores_delta) && !view.log.deltas.is_empty() {
        let slot = at.interpreter.stack.data().last().copied().unwrap_or_default();
        if let Some(delta) = view.log.delta_at((at.interpreter.input.target_address(), slot)) {
            view.log.deltas[delta].exact = true;
        }
    }
    host::sstore(at)
}

/// Follows words through the instructions of one frame.
struct Follower<'i, 'a, D: DatabaseRef> {
    at: At<'i, 'a, D>,
    terms: Vec<(usize, Term)>,
}

impl<'a, D: DatabaseRef> Follower<'_, 'a, D> {
    /// Follows the word on top of the stack, which a load has found.
    fn found(&mut self, delta: u32) {
        let stack = self.at.interpreter.stack.data();
        if let [.., word] = stack.as_slice() {
            let loaded = self.at.host.journaled_state.database.log.deltas[delta as usize].read.word;
            let side = Side::Plus(word.wrapping_sub(loaded));
            self.terms.push((stack.len() - 1, Term { delta, side }));
        }
    }

    /// Executes instructions until nothing is left to follow, or the frame does not go on.
    fn follow(
        &mut self,
        instructions: &InstructionTable<EthInterpreter, Host<'a, D>>,
        gas: &GasTable,
    ) -> InstructionExecResult {
        while !self.terms.is_empty() {
            let opcode = self.at.interpreter.bytecode.opcode();
            let length = self.at.interpreter.stack.data().len();
            let outcome = self.before(opcode, length);
            if let Err(end) = self.at.interpreter.step(instructions, gas, self.at.host) {
                if end == InstructionResult::Suspend {
                    // The frame goes on when nobody follows any more.
                    self.give_up();
                }
                self.terms.clear();
                self.at.host.journaled_state.database.following.stores_delta = false;
                return Err(end);
            }
            self.after(opcode, length, outcome);
        }
        Ok(())
    }

    /// Takes note of what an instruction will do to what is followed, and says what will be on top of the stack.
    fn before(&mut self, opcode: u8, length: usize) -> Option<Term> {
        match opcode {
            opcode::DUP1..=opcode::DUP16 => {
                let from = length.checked_sub(usize::from(opcode - opcode::DUP1) + 1)?;
                self.terms.iter().find(|(place, _)| *place == from).map(|(_, term)| *term)
            }
            opcode::SWAP1..=opcode::SWAP16 => None,
            opcode::POP => {
                self.take(length, 0);
                None
            }
            opcode::ADD | opcode::SUB | opcode::LT | opcode::GT | opcode::EQ => self.combine(opcode, length),
            opcode::AND | opcode::OR | opcode::MUL => self.absorb(opcode, length),
            opcode::DIV => self.keep_if(length, 0, 1, U256::ONE),
            opcode::SHL | opcode::SHR => self.keep_if(length, 1, 0, U256::ZERO),
            opcode::NOT => {
                let Term { delta, side } = self.take(length, 0)?;
                let side = match side {
                    Side::Plus(offset) => Side::Minus(!offset),
                    Side::Minus(offset) => Side::Plus(!offset),
                    Side::Number(number) => Side::Number(!number),
                };
                Some(Term { delta, side })
            }
            opcode::ISZERO => {
                let term = self.take(length, 0);
                self.is_zero(term, length, 0);
                None
            }
            opcode::JUMPI => {
                let target = self.take(length, 0);
                self.count(target);
                let condition = self.take(length, 1);
                self.is_zero(condition, length, 1);
                None
            }
            opcode::SSTORE => {
                self.store(length);
                None
            }
            _ => {
                let inputs = OPCODE_INFO[usize::from(opcode)].map_or(0, |info| usize::from(info.inputs()));
                for below in 0..inputs {
                    let term = self.take(length, below);
                    self.count(term);
                }
                if DEEP.contains(&opcode) {
                    self.give_up();
                    self.terms.clear();
                }
                None
            }
        }
    }

    /// Takes note of what an instruction has done.
    fn after(&mut self, opcode: u8, length: usize, outcome: Option<Term>) {
        if let opcode::SWAP1..=opcode::SWAP16 = opcode {
            let (top, other) = (length - 1, length - 2 - usize::from(opcode - opcode::SWAP1));
            for (place, _) in &mut self.terms {
                *place = if *place == top {
                    other
                } else if *place == other {
                    top
                } else {
                    *place
                };
            }
        }
        let top = self.at.interpreter.stack.data().len().wrapping_sub(1);
        if let Some(term) = outcome {
            self.terms.push((top, term));
        }
        if opcode == opcode::SLOAD
            && let Some(delta) = self.at.host.journaled_state.database.following.found.take()
        {
            self.found(delta);
        }
    }

    /// Two numbers become their sum, their difference, or how they compare.
    fn combine(&mut self, opcode: u8, length: usize) -> Option<Term> {
        let (first, second) = (self.take(length, 0), self.take(length, 1));
        let delta = match (first, second) {
            (None, None) => return None,
            (Some(first), Some(second)) if first.delta != second.delta => {
                self.count(Some(first));
                self.count(Some(second));
                return None;
            }
            (Some(term), _) | (_, Some(term)) => term.delta,
        };
        let side = |term: Option<Term>, below| {
            term.map_or_else(|| Side::Number(self.word(length, below)), |term| term.side)
        };
        let (left, right) = (side(first, 0), side(second, 1));
        let result = match (opcode, left, right) {
            (opcode::ADD, Side::Plus(a), Side::Number(b)) | (opcode::ADD, Side::Number(a), Side::Plus(b)) => {
                Side::Plus(a.wrapping_add(b))
            }
            (opcode::ADD, Side::Minus(a), Side::Number(b))
            | (opcode::ADD, Side::Number(a), Side::Minus(b)) => Side::Minus(a.wrapping_add(b)),
            (opcode::SUB, Side::Plus(a), Side::Number(b))
            | (opcode::SUB, Side::Number(a), Side::Minus(b)) => Side::Plus(a.wrapping_sub(b)),
            (opcode::SUB, Side::Minus(a), Side::Number(b))
            | (opcode::SUB, Side::Number(a), Side::Plus(b)) => Side::Minus(a.wrapping_sub(b)),
            // What was added may be the difference of two such words.
            (opcode::SUB, Side::Plus(_), Side::Plus(_)) | (opcode::SUB, Side::Minus(_), Side::Minus(_)) => {
                return None;
            }
            (opcode::ADD | opcode::SUB, _, _) => {
                self.count(first.or(second));
                return None;
            }
            (opcode::GT, left, right) => {
                self.compare(length, delta, (right, 1), (left, 0), false);
                return None;
            }
            (_, left, right) => {
                self.compare(length, delta, (left, 0), (right, 1), opcode == opcode::EQ);
                return None;
            }
        };
        Some(Term { delta, side: result })
    }

    /// A word stays what it is if the other one is neutral to it, and does not matter if that decides all.
    fn absorb(&mut self, opcode: u8, length: usize) -> Option<Term> {
        let (first, second) = (self.take(length, 0), self.take(length, 1));
        let (term, other) = match (first, second) {
            (None, None) => return None,
            (Some(first), Some(second)) => {
                self.count(Some(first));
                self.count(Some(second));
                return None;
            }
            (Some(term), None) => (term, self.word(length, 1)),
            (None, Some(term)) => (term, self.word(length, 0)),
        };
        let (neutral, deciding) = match opcode {
            opcode::AND => (U256::MAX, U256::ZERO),
            opcode::OR => (U256::ZERO, U256::MAX),
            _ => (U256::ONE, U256::ZERO),
        };
        if other == neutral {
            return Some(term);
        }
        if other != deciding {
            self.count(Some(term));
        }
        None
    }

    /// The word at one place stays what it is if the one at the other is neutral.
    fn keep_if(&mut self, length: usize, kept: usize, other: usize, neutral: U256) -> Option<Term> {
        let (term, by) = (self.take(length, kept), self.take(length, other));
        if by.is_none() && self.word(length, other) == neutral {
            return term;
        }
        self.count(term);
        self.count(by);
        None
    }

    fn is_zero(&mut self, term: Option<Term>, length: usize, below: usize) {
        if let Some(Term { delta, side }) = term {
            let holds = self.word(length, below).is_zero();
            self.check(delta, side, Side::Number(U256::ZERO), true, holds);
        }
    }

    fn compare(
        &mut self,
        length: usize,
        delta: u32,
        (left, below): (Side, usize),
        (right, other): (Side, usize),
        is_equality: bool,
    ) {
        let (a, b) = (self.word(length, below), self.word(length, other));
        self.check(delta, left, right, is_equality, if is_equality { a == b } else { a < b });
    }

    fn check(&mut self, delta: u32, left: Side, right: Side, is_equality: bool, holds: bool) {
        let checks = &mut self.at.host.journaled_state.database.log.checks;
        checks.push(Check { delta, left, right, is_equality, holds });
    }

    /// What a store costs depends on which of the words before the transaction, before the store and after it are equal,
    /// which their offsets decide, and on which of them are zero.
    fn store(&mut self, length: usize) {
        let place = self.take(length, 0);
        self.count(place);
        let Some(term) = self.take(length, 1) else { return };
        let key = (self.at.interpreter.input.target_address(), self.word(length, 0));
        let log = &self.at.host.journaled_state.database.log;
        let is_its_own = log.delta_at(key) == Some(term.delta as usize);
        if !is_its_own || !matches!(term.side, Side::Plus(_)) {
            self.count(Some(term));
            return;
        }
        let after = self.word(length, 1).is_zero();
        let before = log.deltas[term.delta as usize].read.word.is_zero();
        self.check(term.delta, Side::Plus(U256::ZERO), Side::Number(U256::ZERO), true, before);
        self.check(term.delta, term.side, Side::Number(U256::ZERO), true, after);
        self.at.host.journaled_state.database.following.stores_delta = true;
    }

    /// Follows a word below the top of the stack no longer.
    fn take(&mut self, length: usize, below: usize) -> Option<Term> {
        let place = length.checked_sub(below + 1)?;
        let at = self.terms.iter().position(|(it, _)| *it == place)?;
        Some(self.terms.swap_remove(at).1)
    }

    /// The word that lies under `below` others; what is not there is not looked at by any instruction that succeeds.
    fn word(&self, length: usize, below: usize) -> U256 {
        let place = length.checked_sub(below + 1);
        place.and_then(|place| self.at.interpreter.stack.data().get(place)).copied().unwrap_or_default()
    }

    /// The execution depends on the loaded word itself.
    fn count(&mut self, term: Option<Term>) {
        if let Some(term) = term {
            self.at.host.journaled_state.database.log.deltas[term.delta as usize].exact = true;
        }
    }

    /// The execution depends on all loaded words that are followed.
    fn give_up(&mut self) {
        for (_, term) in &self.terms {
            self.at.host.journaled_state.database.log.deltas[term.delta as usize].exact = true;
        }
    }
}

#[cfg(test)]
mod tests;
