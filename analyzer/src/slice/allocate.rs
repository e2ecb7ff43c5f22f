//! Gives registers to the values of a trace and leaves out what nothing uses.
//!
//! In: a [`TraceDraft`] over values. Out: the operations of the trace over registers
//! and constants, its call sites put into the slice. An
//! operation that is not removable is never left out, whoever uses its result.

use alloy_primitives::U256;
use rustc_hash::FxHashMap;

use super::program::{CallSite, CreateSite, Op, Operand};
use super::trace::TraceDraft;
use super::values::{Origin, Value};

/// The constants and sites of a slice while its traces are put in.
#[derive(Default)]
pub(super) struct Pool {
    pub constants: Vec<U256>,
    numbers: FxHashMap<U256, u32>,
    pub calls: Vec<CallSite>,
    pub creates: Vec<CreateSite>,
}

impl Pool {
    fn constant(&mut self, word: U256) -> Operand {
        let constants = &mut self.constants;
        let number = *self.numbers.entry(word).or_insert_with(|| {
            constants.push(word);
            constants.len() as u32 - 1
        });
        Operand::constant(number)
    }
}

/// Turns a draft that starts at `pc` into the operations of a trace.
pub(super) fn allocate(draft: &TraceDraft, pc: u32, pool: &mut Pool) -> Vec<Op> {
    let last_use = last_uses(draft);
    let leaves = draft.stack.len() as u16;
    let first = u32::from(draft.needs.max(leaves));
    let mut registers = Registers { next: first, free: Vec::new(), of: FxHashMap::default() };
    let mut ops = vec![Op::Halt];
    for (index, operation) in draft.operations.iter().enumerate() {
        let Some(mut operation) = *operation else { continue };
        let result = operation.result().map(|to| Value(*to));
        if operation.is_removable() && result.is_none_or(|value| last_use.get(value).is_none()) {
            continue;
        }
        let mut used = Vec::new();
        let mut place = |value: Value| {
            used.push(value);
            registers.operand(draft, value, pool)
        };
        let mut placed = match operation {
            Op::Call { site, to } => {
                let site = draft.calls[site as usize].map(&mut place);
                pool.calls.push(site);
                Op::Call { site: pool.calls.len() as u32 - 1, to }
            }
            Op::ExtCodeCopy { site } => {
                let site = draft.calls[site as usize].map(&mut place);
                pool.calls.push(site);
                Op::ExtCodeCopy { site: pool.calls.len() as u32 - 1 }
            }
            Op::Create { site, to } => {
                let site = draft.creates[site as usize].map(&mut place);
                pool.creates.push(site);
                Op::Create { site: pool.creates.len() as u32 - 1, to }
            }
            other => other.map(&mut place),
        };
        used.sort_unstable();
        used.dedup();
        for value in used {
            if last_use.get(value) == Some(index) {
                registers.release(value);
            }
        }
        if let (Some(value), Some(to)) = (result, placed.result()) {
            *to = registers.take(value) as u16;
            if last_use.get(value).is_none() {
                registers.release(value);
            }
        }
        ops.push(placed);
    }
    let mut exit = draft.exit.map(|value| registers.operand(draft, value, pool));
    let wanted: Vec<_> = draft
        .stack
        .iter()
        .enumerate()
        .map(|(to, value)| (to as u32, registers.operand(draft, *value, pool)))
        .filter(|(to, from)| *from != Operand::register(*to))
        .collect();
    // What the exit reads is put aside where putting the stack in order would overwrite it.
    exit = exit.map(|operand| {
        let overwritten =
            operand.as_constant().is_none() && wanted.iter().any(|(to, _)| Operand::register(*to) == operand);
        if !overwritten {
            return operand;
        }
        let aside = registers.next;
        registers.next += 1;
        ops.push(Op::Move { to: aside as u16, from: operand });
        Operand::register(aside)
    });
    let moves = in_sequence(wanted, &mut registers.next);
    ops.extend(moves.into_iter().map(|(to, from)| Op::Move { to: to as u16, from }));
    ops.push(exit);
    ops[0] = Op::Enter {
        needs: draft.needs,
        leaves,
        registers: registers.next.max(u32::from(draft.peak)) as u16,
        gas: draft.gas,
        pc,
    };
    ops
}

/// For each value the operation that uses it last, or the end of the trace; none where nothing does.
struct LastUses(Vec<Option<usize>>);

impl LastUses {
    fn get(&self, value: Value) -> Option<usize> {
        self.0[usize::from(value.0)]
    }
}

fn last_uses(draft: &TraceDraft) -> LastUses {
    let mut last = vec![None; draft.origins.len()];
    let end = draft.operations.len();
    let mut note = |value: Value, at: usize| {
        let slot: &mut Option<usize> = &mut last[usize::from(value.0)];
        if slot.is_none() {
            *slot = Some(at);
        }
    };
    draft.exit.map(|value| note(value, end));
    draft.stack.iter().for_each(|value| note(*value, end));
    let mut last = LastUses(last);
    for (index, operation) in draft.operations.iter().enumerate().rev() {
        let Some(mut operation) = *operation else { continue };
        let unused = operation.result().is_none_or(|to| last.get(Value(*to)).is_none());
        if operation.is_removable() && unused {
            continue;
        }
        let mut note = |value: Value| {
            let slot = &mut last.0[usize::from(value.0)];
            if slot.is_none() {
                *slot = Some(index);
            }
        };
        match operation {
            Op::Call { site, .. } | Op::ExtCodeCopy { site } => {
                draft.calls[site as usize].map(&mut note);
            }
            Op::Create { site, .. } => {
                draft.creates[site as usize].map(&mut note);
            }
            other => {
                other.map(&mut note);
            }
        }
    }
    last
}

struct Registers {
    next: u32,
    free: Vec<u32>,
    of: FxHashMap<Value, u32>,
}

impl Registers {
    fn operand(&mut self, draft: &TraceDraft, value: Value, pool: &mut Pool) -> Operand {
        match draft.origins[usize::from(value.0)] {
            Origin::Constant(word) => pool.constant(word),
            Origin::Input(depth) => Operand::register(u32::from(draft.needs - 1 - depth)),
            Origin::Operation(_) => {
                // Values are used after the operation that leaves them, so that they have a register.
                Operand::register(self.of.get(&value).copied().unwrap_or_default())
            }
        }
    }

    fn take(&mut self, value: Value) -> u32 {
        let register = self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.of.insert(value, register);
        register
    }

    fn release(&mut self, value: Value) {
        if let Some(register) = self.of.get(&value) {
            self.free.push(*register);
        }
    }
}

/// Orders copies that are meant to happen at once so that none overwrites what a later one reads.
fn in_sequence(mut wanted: Vec<(u32, Operand)>, next: &mut u32) -> Vec<(u32, Operand)> {
    let mut ordered = Vec::with_capacity(wanted.len());
    while !wanted.is_empty() {
        let free = wanted.iter().position(|(to, _)| {
            !wanted.iter().any(|(other, from)| other != to && *from == Operand::register(*to))
        });
        if let Some(free) = free {
            ordered.push(wanted.swap_remove(free));
            continue;
        }
        // Every target is read by another copy: a cycle. One word is put aside.
        let (to, _) = wanted[0];
        ordered.push((*next, Operand::register(to)));
        for (_, from) in &mut wanted {
            if *from == Operand::register(to) {
                *from = Operand::register(*next);
            }
        }
        *next += 1;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_at_once_keep_their_words() {
        // A swap, a chain and a constant.
        let wanted = vec![
            (0, Operand::register(1)),
            (1, Operand::register(0)),
            (2, Operand::register(3)),
            (3, Operand::register(2)),
            (4, Operand::register(0)),
            (5, Operand::constant(0)),
        ];
        let mut next = 6;
        let before: Vec<u32> = (100..112).collect();
        let mut after = before.clone();
        for (to, from) in in_sequence(wanted.clone(), &mut next) {
            after[to as usize] = if from.as_constant().is_some() { 7 } else { after[from.index()] };
        }
        for (to, from) in wanted {
            let expected = if from.as_constant().is_some() { 7 } else { before[from.index()] };
            assert_eq!(after[to as usize], expected, "register {to}");
        }
    }
}
