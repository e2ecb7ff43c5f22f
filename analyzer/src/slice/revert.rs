//! Whether an arm does nothing but revert.
//!
//! In: a program counter and what is known of the stack. Out: whether every way on ends in a revert or a halt before
//! anything is touched. The answer must never be yes where one way on loads, stores, calls or returns: a guard whose
//! failing arm reverts is left out of a lean slice, and with it everything behind.

use alloy_primitives::U256;
use revm_bytecode::opcode;
use rustc_hash::FxHashSet;

use crate::code::Code;
use crate::fold::Folder;

/// How many instructions are looked at in all before the answer is no.
const MAX_STEPS: u32 = 600;

/// A stack of which some words are known, the top last; below it nothing is known.
pub(super) type KnownStack = Vec<Option<U256>>;

/// Whether every way on from `pc` reverts or halts without touching anything.
pub(super) fn always_reverts(code: &Code, folder: &mut Folder, index: usize, stack: KnownStack) -> bool {
    let mut steps = 0;
    let mut seen = FxHashSet::default();
    let mut pending = vec![(index, stack)];
    while let Some((index, stack)) = pending.pop() {
        // A state that was seen before leads where it led then.
        if !seen.insert((index, stack.clone())) {
            continue;
        }
        match follow(code, folder, index, stack, &mut steps) {
            Outcome::Reverts => {}
            Outcome::Unknown => return false,
            Outcome::Continues(states) => pending.extend(states),
        }
    }
    true
}

enum Outcome {
    Reverts,
    Unknown,
    Continues(Vec<(usize, KnownStack)>),
}

fn follow(
    code: &Code,
    folder: &mut Folder,
    mut index: usize,
    mut stack: KnownStack,
    steps: &mut u32,
) -> Outcome {
    loop {
        *steps += 1;
        if *steps > MAX_STEPS {
            return Outcome::Unknown;
        }
        let Some(instruction) = code.instructions.get(index) else { return Outcome::Unknown };
        index += 1;
        let op = instruction.opcode;
        match op {
            opcode::REVERT | opcode::INVALID => return Outcome::Reverts,
            opcode::JUMPDEST => {}
            opcode::PUSH0..=opcode::PUSH32 => stack.push(Some(instruction.immediate)),
            opcode::DUP1..=opcode::DUP16 => {
                let depth = usize::from(op - opcode::DUP1);
                let word = stack.len().checked_sub(depth + 1).and_then(|at| stack[at]);
                stack.push(word);
            }
            opcode::SWAP1..=opcode::SWAP16 => {
                let depth = usize::from(op - opcode::SWAP1) + 1;
                while stack.len() <= depth {
                    stack.insert(0, None);
                }
                let top = stack.len() - 1;
                stack.swap(top, top - depth);
            }
            opcode::JUMP => {
                let Some(target) = pop(&mut stack) else { return Outcome::Unknown };
                match code.destination(&target) {
                    Some(destination) => return Outcome::Continues(vec![(destination, stack)]),
                    None => return Outcome::Reverts,
                }
            }
            opcode::JUMPI => {
                let target = pop(&mut stack);
                let condition = pop(&mut stack);
                if condition.is_some_and(|word| word.is_zero()) {
                    continue;
                }
                let Some(target) = target else { return Outcome::Unknown };
                let mut states = Vec::new();
                if let Some(destination) = code.destination(&target) {
                    states.push((destination, stack.clone()));
                }
                if condition.is_none() {
                    states.push((index, stack));
                }
                return if states.is_empty() { Outcome::Reverts } else { Outcome::Continues(states) };
            }
            // What touches state, or ends the frame well. Undefined opcodes halt, but those of later forks may be
            // defined by the time this runs, so they count as unknown.
            opcode::STOP
            | opcode::RETURN
            | opcode::SELFDESTRUCT
            | opcode::SLOAD
            | opcode::SSTORE
            | opcode::TLOAD
            | opcode::TSTORE
            | opcode::BALANCE
            | opcode::SELFBALANCE
            | opcode::EXTCODESIZE
            | opcode::EXTCODECOPY
            | opcode::EXTCODEHASH
            | opcode::BLOCKHASH
            | opcode::CREATE
            | opcode::CREATE2
            | opcode::CALL
            | opcode::CALLCODE
            | opcode::DELEGATECALL
            | opcode::STATICCALL => return Outcome::Unknown,
            _ => {
                let Some(info) = revm_bytecode::OpCode::new(op) else { return Outcome::Unknown };
                let operands: Vec<_> = (0..info.inputs()).map(|_| pop(&mut stack)).collect();
                let foldable = matches!(op, opcode::ADD..=opcode::SIGNEXTEND | opcode::LT..=opcode::CLZ);
                if info.outputs() == 0 {
                    continue;
                }
                let word = if !foldable {
                    None
                } else if let Some(known) = operands.iter().copied().collect::<Option<Vec<_>>>() {
                    folder.fold(op, &known)
                } else if matches!(op, opcode::AND | opcode::MUL)
                    && operands.iter().any(|it| it.is_some_and(|word| word.is_zero()))
                {
                    Some(U256::ZERO)
                } else {
                    None
                };
                stack.push(word);
            }
        }
    }
}

fn pop(stack: &mut KnownStack) -> Option<U256> {
    stack.pop().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;

    fn reverts(code: &[u8]) -> bool {
        always_reverts(&Code::new(Bytes::copy_from_slice(code)), &mut Folder::default(), 0, Vec::new())
    }

    #[test]
    fn a_plain_revert_does() {
        assert!(reverts(&[opcode::PUSH1, 0, opcode::DUP1, opcode::REVERT]));
        assert!(reverts(&[opcode::INVALID]));
    }

    #[test]
    fn both_arms_are_looked_at() {
        let arms = |last| {
            [
                opcode::CALLER,
                opcode::PUSH1,
                7,
                opcode::JUMPI,
                opcode::PUSH0,
                opcode::DUP1,
                opcode::REVERT,
                opcode::JUMPDEST,
                opcode::PUSH0,
                opcode::DUP1,
                last,
            ]
        };
        assert!(reverts(&arms(opcode::REVERT)));
        assert!(!reverts(&arms(opcode::RETURN)));
    }

    #[test]
    fn what_touches_state_first_does_not() {
        assert!(!reverts(&[opcode::PUSH0, opcode::SLOAD, opcode::PUSH0, opcode::REVERT]));
        assert!(!reverts(&[opcode::STOP]));
        assert!(!reverts(&[]));
    }

    #[test]
    fn a_loop_that_can_only_end_in_a_revert_does() {
        let code = [
            opcode::JUMPDEST,
            opcode::GAS,
            opcode::PUSH0,
            opcode::JUMPI,
            opcode::PUSH0,
            opcode::DUP1,
            opcode::REVERT,
        ];
        assert!(reverts(&code));
    }
}
