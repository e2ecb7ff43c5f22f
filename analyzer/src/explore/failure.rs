//! Blocks from which every path fails without having touched anything that a summary tells of.
//!
//! In: decoded code. Out: for a block, whether it can be left out of exploration: whatever stack, memory and storage it
//! is entered with, it ends in a revert or a halt (or runs until the gas is gone), and on the way it loads no storage,
//! reads no balance, calls nobody and logs nothing. Half of all branches in compiled code only guard such a block. What
//! cannot be shown within a small budget is explored like everything else.

use revm_bytecode::{OpCode, opcode as op};

use crate::{code::Code, id::ExprId, simplify::Builder};

/// Instructions looked at for one block.
const MAX_STEPS: usize = 250;

/// Places that one block leads to.
const MAX_PLACES: usize = 24;

/// Words at the top of the stack that are followed.
const MAX_STACK: usize = 64;

/// What is known about the blocks of one code.
#[derive(Default)]
pub(crate) struct Failures {
    /// By the index of a block's first instruction; shorter than the code until the first question.
    known: Vec<Option<Verdict>>,
}

/// What was found out about a block, whatever it is entered with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It only fails.
    Fails,
    /// It can lead to something that a summary tells of.
    Tells,
    /// It was not followed to every end.
    Open,
}

/// A place on the way: an instruction and the constants on top of the stack that it is reached with.
type Place = (usize, Vec<Option<ExprId>>);

impl Failures {
    /// Whether the block at instruction `start` only fails. `immediates` are the pushed words.
    pub(crate) fn is_failure(
        &mut self,
        builder: &Builder,
        code: &Code,
        immediates: &[ExprId],
        start: usize,
    ) -> bool {
        if self.known.is_empty() {
            self.known.resize(code.instructions.len(), None);
        }
        let Some(known) = self.known.get(start) else { return false };
        if let Some(known) = *known {
            return known == Verdict::Fails;
        }
        let known = &self.known;
        let verdict = Walk { builder, code, immediates, known, steps: 0, seen: Vec::new() }.follow(start);
        self.known[start] = Some(verdict);
        verdict == Verdict::Fails
    }
}

struct Walk<'a> {
    builder: &'a Builder,
    code: &'a Code,
    immediates: &'a [ExprId],
    known: &'a [Option<Verdict>],
    steps: usize,
    /// Places reached so far. Coming back to one of them is no way out.
    seen: Vec<Place>,
}

/// How a block leaves.
enum Way {
    To(Vec<usize>),
    Ends(Verdict),
}

impl Walk<'_> {
    fn follow(&mut self, start: usize) -> Verdict {
        self.seen.push((start, Vec::new()));
        let mut next = 0;
        while next < self.seen.len() {
            let (index, mut stack) = self.seen[next].clone();
            next += 1;
            let targets = match self.block(index, &mut stack) {
                Way::Ends(Verdict::Fails) => continue,
                Way::Ends(other) => return other,
                Way::To(targets) => targets,
            };
            for target in targets {
                match self.known.get(target).copied().flatten() {
                    // What does so whatever it is entered with does so here.
                    Some(Verdict::Fails) => continue,
                    Some(Verdict::Tells) => return Verdict::Tells,
                    Some(Verdict::Open) | None => {}
                }
                if !self.seen.iter().any(|(index, known)| *index == target && *known == stack) {
                    self.seen.push((target, stack.clone()));
                }
            }
            if self.seen.len() > MAX_PLACES {
                return Verdict::Open;
            }
        }
        Verdict::Fails
    }

    /// Follows one block; `stack` holds what is known of the top words, the deeper ones being unknown.
    fn block(&mut self, start: usize, stack: &mut Vec<Option<ExprId>>) -> Way {
        let mut index = start;
        loop {
            // Running off the end of the code is a successful stop.
            let Some(instruction) = self.code.instructions.get(index) else {
                return Way::Ends(Verdict::Tells);
            };
            self.steps += 1;
            if self.steps > MAX_STEPS || stack.len() > MAX_STACK {
                return Way::Ends(Verdict::Open);
            }
            let opcode = instruction.opcode;
            match opcode {
                op::REVERT | op::INVALID => return Way::Ends(Verdict::Fails),
                op::JUMP => return self.jump(stack.pop().flatten(), None),
                op::JUMPI => {
                    let target = stack.pop().flatten();
                    stack.pop();
                    return self.jump(target, Some(index + 1));
                }
                op::STOP
                | op::RETURN
                | op::SELFDESTRUCT
                | op::SLOAD
                | op::SSTORE
                | op::TLOAD
                | op::TSTORE
                | op::BALANCE
                | op::SELFBALANCE
                | op::CREATE
                | op::CREATE2
                | op::CALL
                | op::CALLCODE
                | op::DELEGATECALL
                | op::STATICCALL
                | op::LOG0..=op::LOG4 => return Way::Ends(Verdict::Tells),
                op::PUSH0..=op::PUSH32 => {
                    let word = self.immediates[index];
                    stack.push(self.builder.expressions.is_constant(word).then_some(word));
                }
                op::DUP1..=op::DUP16 => {
                    let depth = usize::from(opcode - op::DUP1) + 1;
                    let word = stack.len().checked_sub(depth).and_then(|position| stack[position]);
                    stack.push(word);
                }
                op::SWAP1..=op::SWAP16 => {
                    let depth = usize::from(opcode - op::SWAP1) + 2;
                    while stack.len() < depth {
                        stack.insert(0, None);
                    }
                    let top = stack.len() - 1;
                    stack.swap(top + 1 - depth, top);
                }
                _ => {
                    // What the table does not know halts, and so do opcodes with immediates of forks not modelled.
                    let Some(info) = OpCode::new(opcode).map(|opcode| opcode.info()) else {
                        return Way::Ends(Verdict::Fails);
                    };
                    if info.immediate_size() > 0 {
                        return Way::Ends(Verdict::Fails);
                    }
                    for _ in 0..info.inputs() {
                        stack.pop();
                    }
                    for _ in 0..info.outputs() {
                        stack.push(None);
                    }
                }
            }
            index += 1;
            if self.code.instructions.get(index).is_some_and(|next| next.opcode == op::JUMPDEST) {
                return Way::To(vec![index]);
            }
        }
    }

    fn jump(&self, target: Option<ExprId>, next: Option<usize>) -> Way {
        let Some(target) = target.and_then(|target| self.builder.value(target)) else {
            return Way::Ends(Verdict::Open);
        };
        // A jump to anywhere but a jump destination halts.
        let targets: Vec<usize> = self.code.destination(&target).into_iter().chain(next).collect();
        if targets.is_empty() { Way::Ends(Verdict::Fails) } else { Way::To(targets) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    fn is_failure(code: &str) -> bool {
        let code = Code::new(hex::decode(code).expect("valid hex").into());
        let mut builder = Builder::default();
        let immediates: Vec<ExprId> =
            code.instructions.iter().map(|instruction| builder.constant(instruction.immediate)).collect();
        Failures::default().is_failure(&builder, &code, &immediates, 0)
    }

    #[test]
    fn reverts_and_halts_fail() {
        assert!(is_failure("5f5ffd"));
        assert!(is_failure("fe"));
        // A jump to what is no jump destination.
        assert!(is_failure("600056"));
        // Panic data in memory.
        assert!(is_failure("634e487b7160e01b5f52601160045260245ffd"));
    }

    #[test]
    fn what_may_succeed_or_is_told_of_does_not_fail() {
        assert!(!is_failure("00"));
        assert!(!is_failure("5f"));
        assert!(!is_failure("5f5ff3"));
        assert!(!is_failure("5f545f5ffd"));
        assert!(!is_failure("5f5fa05f5ffd"));
        // A jump to an unknown target, and one with a way past it to a stop.
        assert!(!is_failure("3556"));
        assert!(!is_failure("34600557005b5f5ffd"));
    }

    #[test]
    fn internal_calls_and_loops_on_the_way_are_followed() {
        // Calls 0x09, which returns to 0x05, which reverts or stops.
        assert!(is_failure("60056009565b5f5ffd5b56"));
        assert!(!is_failure("60056009565b0000005b56"));
        // Loops while something is sent, then reverts.
        assert!(is_failure("5b346000575f5ffd"));
    }
}
