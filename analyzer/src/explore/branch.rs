//! Where a node's last instruction leads: jumps whose target is known or one of a few, and branches that the path may
//! have decided.

use std::rc::Rc;

use alloy_primitives::U256;
use revm_bytecode::opcode as op;

use super::{Explorer, MAX_TARGETS};
use crate::expression::{Node as Word, Sources};
use crate::facts::Facts;
use crate::graph::Exit;
use crate::id::ExprId;
use crate::state::State;
use crate::step::{Machine, TABLE_STEPS};
use crate::table;

/// How deep comparisons with the selector are looked for in a condition.
const MAX_CONDITION: u32 = 6;

/// Selectors that are remembered: more than are ever explored, so that it shows that there were too many.
const MAX_SELECTORS: usize = 4_000;

/// Where an arm of a branch leads.
#[derive(Clone, Copy)]
enum Arm {
    /// To a destination: the tested word is non-zero.
    Target(ExprId),
    /// To the next instruction: it is zero.
    Next(usize),
}

impl Explorer<'_, '_> {
    /// The constants that a jump target can be.
    pub(super) fn constant_targets(&mut self, target: ExprId) -> Option<Vec<U256>> {
        // A row of a table, or a part of one. What other words are bounded by is no list of targets.
        if let Some(targets) = self.rows_of(target) {
            return Some(targets);
        }
        let builder = &self.shared.builder;
        let mut targets = Vec::new();
        let mut seen = Vec::new();
        let mut stack = vec![target];
        while let Some(id) = stack.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            if seen.len() > MAX_TARGETS {
                return None;
            }
            if let Some(value) = builder.value(id) {
                targets.push(value);
            } else if let Word::Phi { .. } = builder.expressions.node(id) {
                stack.extend_from_slice(builder.expressions.phi_operands(id));
            } else {
                return None;
            }
        }
        targets.sort_unstable();
        targets.dedup();
        Some(targets)
    }

    /// What a word can be that is made of a row of a table.
    fn rows_of(&mut self, id: ExprId) -> Option<Vec<U256>> {
        let builder = &mut self.shared.builder;
        let is_join = matches!(builder.expressions.node(id), Word::Phi { .. }) && !builder.is_row(id);
        if is_join
            || !builder.expressions.sources(id).intersects(Sources::PHI)
            || !builder.expressions.any(id, |part| builder.is_row(part))
        {
            return None;
        }
        self.steps += TABLE_STEPS;
        table::values(builder, id, &|_, _| None)
    }

    pub(super) fn jump(&mut self, node: u32, target: ExprId, state: State, exit: Exit) {
        if let Some(target) = self.shared.builder.value(target) {
            let landed = self.shared.code.destination(&target);
            self.nodes[node as usize].exit =
                if landed.is_none() && exit == Exit::Jump { Exit::Failure } else { exit };
            if let Some(index) = landed {
                self.go(node, index, state);
            }
            return;
        }
        let Some(targets) = self.constant_targets(target) else {
            self.nodes[node as usize].exit = Exit::Unresolved;
            return;
        };
        let code = self.shared.code;
        let landed: Vec<usize> = targets.iter().filter_map(|target| code.destination(target)).collect();
        self.phi_jumps.push((node, target, targets.len()));
        self.nodes[node as usize].exit =
            if landed.is_empty() && exit == Exit::Jump { Exit::Failure } else { exit };
        if let Some((last, others)) = landed.split_last() {
            for index in others {
                self.go(node, *index, state.clone());
            }
            self.go(node, *last, state);
        }
    }

    pub(super) fn branch(&mut self, node: u32, target: ExprId, condition: ExprId, next: usize, state: State) {
        let mut decided = state.facts.truth(&self.shared.builder, condition);
        if decided.is_none() && self.is_fallback {
            decided = self.without_functions(&state.facts, condition);
        }
        let passed = self.passed(target, condition, next);
        self.drafts[node as usize].passed = passed;
        let mut taken = state;
        match decided {
            Some(true) => {
                self.assume(node, &mut taken, condition, true);
                self.jump(node, target, taken, Exit::Jump);
            }
            Some(false) => {
                self.assume(node, &mut taken, condition, false);
                self.nodes[node as usize].exit = Exit::Jump;
                self.go(node, next, taken);
            }
            None => {
                self.nodes[node as usize].exit = Exit::Branch { condition };
                let constant = self.shared.builder.value(target);
                let landed = constant.and_then(|target| self.shared.code.destination(&target));
                // An arm that only fails needs no state.
                if landed.is_some_and(|index| self.is_failure(index)) {
                    self.nodes[node as usize].needs = Some(false);
                    self.fail(node);
                    self.enter(node, taken, condition, Arm::Next(next));
                } else if self.is_failure(next) {
                    self.nodes[node as usize].needs = Some(true);
                    self.enter(node, taken, condition, Arm::Target(target));
                    self.fail(node);
                } else {
                    let fallen = taken.clone();
                    self.enter(node, taken, condition, Arm::Target(target));
                    self.enter(node, fallen, condition, Arm::Next(next));
                }
            }
        }
    }

    /// Follows one arm of a branch that nothing decides, if any execution can.
    fn enter(&mut self, node: u32, mut state: State, condition: ExprId, arm: Arm) {
        let holds = matches!(arm, Arm::Target(_));
        if !self.assume(node, &mut state, condition, holds)
            || (self.is_fallback && !self.is_cut_short(&mut state, condition))
        {
            return;
        }
        self.arm = Some(holds);
        match arm {
            Arm::Target(target) => self.jump(node, target, state, Exit::Branch { condition }),
            Arm::Next(next) => self.go(node, next, state),
        }
        self.arm = None;
    }

    /// The arm that a constant condition decides against, unless it only fails.
    fn passed(&mut self, target: ExprId, condition: ExprId, next: usize) -> Option<u32> {
        let holds = !self.shared.builder.value(condition)?.is_zero();
        let arm = if holds {
            next
        } else {
            let target = self.shared.builder.value(target)?;
            self.shared.code.destination(&target)?
        };
        (!self.is_failure(arm)).then_some(arm as u32)
    }

    fn assume(&mut self, node: u32, state: &mut State, condition: ExprId, holds: bool) -> bool {
        let mut machine = Machine {
            code: self.shared.code,
            immediates: &self.shared.immediates,
            immutables: self.shared.immutables,
            folded: &mut self.shared.folded,
            builder: &mut self.shared.builder,
            order: &mut self.order,
            recovered: &mut self.shared.recovered,
            node: self.base + node,
            events: Vec::new(),
            memory_words: Vec::new(),
            steps: 0,
        };
        machine.assume(state, condition, holds)
    }

    /// What a condition comes to where no function is called: where the comparisons of the selector in it fail. The
    /// constants that it is compared with are remembered.
    fn without_functions(&mut self, facts: &Facts, condition: ExprId) -> Option<bool> {
        let mut compared = Vec::new();
        self.comparisons(condition, &mut compared, MAX_CONDITION);
        if compared.is_empty() {
            return None;
        }
        let mut may_be_short = false;
        let mut missed = facts.clone();
        for (comparison, selectors) in &compared {
            for &selector in selectors {
                let selectors = &mut self.shared.selectors;
                if selectors.len() < MAX_SELECTORS && !selectors.contains(&selector) {
                    selectors.push(selector);
                }
                // Calldata that ends within the selector reads as if zeros followed.
                let given = 4 - u64::from((selector.trailing_zeros() / 8).min(3));
                may_be_short |= given < 4 && facts.lengths.allows(given, 3);
            }
            if !missed.assume(&mut self.shared.builder, *comparison, false) {
                return None;
            }
        }
        let builder = &mut self.shared.builder;
        let stripped = crate::facts::strip(builder, condition, true);
        let decided = missed.truth(builder, stripped.expression)?;
        let is_same = || {
            let mut short = facts.clone();
            !short.lengths.restrict(1, 3) || short.truth(builder, stripped.expression) == Some(decided)
        };
        // Where it says the same of calldata that is too short, nothing is left open.
        (!may_be_short || is_same()).then_some(decided == stripped.holds)
    }

    /// Follows the arm of a comparison with the selector that only calldata without a whole selector can take.
    fn is_cut_short(&mut self, state: &mut State, condition: ExprId) -> bool {
        let mut compared = Vec::new();
        self.comparisons(condition, &mut compared, MAX_CONDITION);
        let met = compared.iter().any(|it| state.facts.truth(&self.shared.builder, it.0) == Some(true));
        !met || Rc::make_mut(&mut state.facts).lengths.restrict(1, 3)
    }

    /// The comparisons of the selector with constants, or with rows of a table, that a condition is made of.
    fn comparisons(&mut self, condition: ExprId, found: &mut Vec<(ExprId, Vec<u32>)>, depth: u32) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let stripped = crate::facts::strip(&mut self.shared.builder, condition, true);
        match self.shared.builder.expressions.node(stripped.expression) {
            Word::Binary { op: op::AND | op::OR, a, b } => {
                for part in [a, b] {
                    if self.shared.builder.expressions.bits(part) <= 1 {
                        self.comparisons(part, found, depth);
                    }
                }
            }
            Word::Binary { op: op::EQ, a, b } => {
                let selectors = self.selectors_in(a, b).or_else(|| self.selectors_in(b, a));
                found.extend(selectors.map(|selectors| (stripped.expression, selectors)));
            }
            _ => {}
        }
    }

    /// The selectors that `with` can be, if `word` is the selector of the call.
    fn selectors_in(&mut self, word: ExprId, with: ExprId) -> Option<Vec<u32>> {
        let builder = &self.shared.builder;
        let zero = builder.zero();
        let is_word_zero =
            |id| matches!(builder.expressions.node(id), Word::CalldataWord { offset } if offset == zero);
        let shift: usize = match builder.expressions.node(word) {
            Word::Binary { op: op::SHR, a: count, b: word }
                if builder.value(count) == Some(U256::from(224)) && is_word_zero(word) =>
            {
                0
            }
            Word::Binary { op: op::AND, a: word, b: mask }
                if is_word_zero(word) && builder.value(mask) == Some(U256::from(u32::MAX) << 224) =>
            {
                224
            }
            _ => return None,
        };
        let constants = match builder.value(with) {
            Some(constant) => vec![constant],
            None => self.rows_of(with)?,
        };
        // What is no selector is met by none.
        let selectors = constants.into_iter().filter(|it| (*it >> shift) << shift == *it);
        Some(selectors.filter_map(|it| u32::try_from(it >> shift).ok()).collect())
    }
}
