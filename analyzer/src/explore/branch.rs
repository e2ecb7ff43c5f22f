//! Where a node's last instruction leads: jumps whose target is known or one of a few, and branches that the path may
//! have decided.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;

use super::{Explorer, MAX_TARGETS};
use crate::expression::Node as Word;
use crate::graph::Exit;
use crate::id::ExprId;
use crate::state::State;
use crate::step::Machine;

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
    pub(super) fn constant_targets(&self, target: ExprId) -> Option<Vec<U256>> {
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
        if decided.is_none() && self.is_fallback && self.note_selector(condition) {
            // No function is called: comparisons of the selector fail.
            let stripped = crate::facts::strip(&mut self.shared.builder, condition, true);
            decided = Some(!stripped.holds);
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
        if !self.assume(node, &mut state, condition, holds) {
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

    /// Whether the condition compares the selector with a constant, which is then remembered.
    fn note_selector(&mut self, condition: ExprId) -> bool {
        let builder = &mut self.shared.builder;
        let stripped = crate::facts::strip(builder, condition, true);
        let Word::Binary { op: op::EQ, a, b } = builder.expressions.node(stripped.expression) else {
            return false;
        };
        let Some(constant) = builder.value(b) else { return false };
        let zero = builder.zero();
        let is_word_zero =
            |id| matches!(builder.expressions.node(id), Word::CalldataWord { offset } if offset == zero);
        let selector = match builder.expressions.node(a) {
            Word::Binary { op: op::SHR, a: count, b: word }
                if builder.value(count) == Some(U256::from(224)) && is_word_zero(word) =>
            {
                constant
            }
            Word::Binary { op: op::AND, a: word, b: mask }
                if is_word_zero(word) && builder.value(mask) == Some(U256::from(u32::MAX) << 224) =>
            {
                constant >> 224
            }
            _ => return false,
        };
        let Ok(selector) = u32::try_from(selector) else { return false };
        if !self.shared.selectors.contains(&selector) {
            self.shared.selectors.push(selector);
        }
        true
    }
}
