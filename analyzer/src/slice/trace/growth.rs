//! Replaces what touches memory and is not needed by what it costs: memory grows all the same, and gas is spent.
//!
//! In: the operations of a trace. Out: the same, in which a load, a store or a hash that nothing uses has become a
//! growth of memory, one for all that are near one another. A growth may move within the trace, but never past an
//! operation for which it matters how much gas is left.

use revm_interpreter::instructions::gas;
use rustc_hash::FxHashMap;

use super::Tracer;
use crate::slice::program::Op;
use crate::slice::values::Value;

/// How far memory grows from one base, in the stretch of the trace that is looked at.
#[derive(Clone, Copy, Default)]
struct Reach {
    /// What operations that are kept see to.
    kept: u64,
    /// What a growth sees to, and where it stands.
    grown: Option<(u64, usize)>,
}

/// What operations touch: `base + end` bytes, where that much is known.
type Extent = Option<(Option<Value>, u64)>;

impl Tracer<'_, '_> {
    /// Walks the operations from the last to the first, so that it is known of each whether anything uses it.
    pub(super) fn replace_needless(&mut self, operations: &mut [Option<Op<Value>>], exit: &Op<Value>) {
        let mut live = vec![false; self.values.len()];
        let mark = |live: &mut [bool], value: Value| live[usize::from(value.0)] = true;
        exit.map(|value| mark(&mut live, value));
        self.stack.iter().for_each(|value| mark(&mut live, *value));
        let zero = self.values.constant(alloy_primitives::U256::ZERO);
        live.resize(self.values.len(), false);
        let mut reaches: FxHashMap<Option<Value>, Reach> = FxHashMap::default();
        for index in (0..operations.len()).rev() {
            let Some(mut operation) = operations[index] else { continue };
            if matches!(operation, Op::Gas { .. } | Op::Call { .. } | Op::Create { .. } | Op::SStore { .. }) {
                reaches.clear();
            }
            let unused = operation.result().is_none_or(|to| !live[usize::from(*to)]);
            if unused && operation.is_removable() {
                continue;
            }
            if unused && let Op::Keccak { offset, length, .. } = operation {
                operation = Op::Range { per_byte: 0, per_word: gas::KECCAK256WORD as u8, offset, length };
                operations[index] = Some(operation);
            }
            let extent = self.extent(&operation);
            let needless = self.dead.contains(&index)
                || unused && matches!(operation, Op::MLoad { .. })
                || matches!(operation, Op::Range { per_byte: 0, per_word: 0, .. });
            if needless && let Some((base, end)) = extent {
                operations[index] = None;
                let reach = reaches.entry(base).or_default();
                let grown = reach.grown.map_or(0, |(end, _)| end);
                if end > reach.kept.max(grown) {
                    if let Some((_, at)) = reach.grown.replace((end, index)) {
                        operations[at] = None;
                    }
                    let base = base.unwrap_or(zero);
                    let end = u32::try_from(end).unwrap_or(u32::MAX);
                    operations[index] = Some(Op::Grow { base, end });
                    mark(&mut live, base);
                }
                continue;
            }
            match operation {
                Op::Call { site, .. } | Op::ExtCodeCopy { site } => {
                    self.calls[site as usize].map(|value| mark(&mut live, value));
                }
                Op::Create { site, .. } => {
                    self.creates[site as usize].map(|value| mark(&mut live, value));
                }
                other => {
                    other.map(|value| mark(&mut live, value));
                }
            }
            if let Some((base, end)) = extent {
                let reach = reaches.entry(base).or_default();
                reach.kept = reach.kept.max(end);
                if let Some((_, at)) = reach.grown.take_if(|(grown, _)| *grown <= end) {
                    operations[at] = None;
                }
            }
        }
    }

    /// The base and the end of what an operation touches of memory.
    fn extent(&self, operation: &Op<Value>) -> Extent {
        let (offset, length) = match *operation {
            Op::MLoad { offset, .. } | Op::MStore { offset, .. } => (offset, 32),
            Op::MStore8 { offset, .. } => (offset, 1),
            Op::Keccak { offset, length, .. } | Op::Range { offset, length, .. } => {
                (offset, self.values.offset(length)?)
            }
            _ => return None,
        };
        if length == 0 {
            return Some((None, 0));
        }
        let (base, at) = self.values.address(offset)?;
        Some((base, at.checked_add(length)?))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use revm_bytecode::opcode as op;

    use crate::slice::{Op, Slice, Variant};

    fn growths(code: &[u8]) -> Vec<u32> {
        let slice = Slice::compile(Bytes::copy_from_slice(code), Variant::Lean, false);
        assert!(!slice.ops.iter().any(|op| matches!(op, Op::MStore { .. } | Op::MLoad { .. })));
        let end = |op: &Op| if let Op::Grow { end, .. } = op { Some(*end) } else { None };
        slice.ops.iter().filter_map(end).collect()
    }

    #[test]
    fn what_nothing_reads_grows_memory_once() {
        let store = |at| [op::PUSH1, 1, op::PUSH1, at, op::MSTORE];
        let load = [op::PUSH1, 128, op::MLOAD, op::POP];
        assert_eq!(growths(&store(64)), [96]);
        assert_eq!(growths(&[&store(0)[..], &store(64), &load].concat()), [160]);
    }

    #[test]
    fn growth_does_not_pass_a_look_at_the_gas() {
        let store = |at| [op::PUSH1, 1, op::PUSH1, at, op::MSTORE];
        let look = [op::GAS, op::SLOAD, op::POP];
        assert_eq!(growths(&[&store(0)[..], &look, &store(64)].concat()), [32, 96]);
    }

    #[test]
    fn logs_and_hashes_that_nothing_reads_are_paid_for() {
        let log = [op::PUSH1, 33, op::PUSH1, 0, op::LOG0];
        assert_eq!(growths(&log), [33]);
        let hash = [op::PUSH1, 33, op::PUSH1, 0, op::KECCAK256, op::POP];
        let slice = Slice::compile(Bytes::copy_from_slice(&hash), Variant::Strict, false);
        assert!(slice.ops.iter().any(|op| matches!(op, Op::Range { per_word: 6, .. })));
    }
}
