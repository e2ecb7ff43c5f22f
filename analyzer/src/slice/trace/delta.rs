//! Finds the updates of a trace that commute: a slot's word plus or minus something, stored back, and seen by nothing
//! but guards against overflow.

use rustc_hash::FxHashMap;

use super::Tracer;
use crate::slice::program::{BinaryOp, Op, UnaryOp};
use crate::slice::values::{Origin, Value};

impl Tracer<'_, '_> {
    /// The loads and stores that make up updates by a sum, the slot's word being seen by nothing else.
    pub(super) fn deltas(&self, exit: &Op<Value>) -> Vec<usize> {
        let mut seen: FxHashMap<Value, u32> = FxHashMap::default();
        let mut count = |value: Value| *seen.entry(value).or_default() += 1;
        for (index, operation) in self.values.operations.iter().enumerate() {
            if !self.dead.contains(&index) && !is_order(operation) {
                operation.map(&mut count);
            }
        }
        self.calls.iter().for_each(|site| {
            site.map(&mut count);
        });
        self.creates.iter().for_each(|site| {
            site.map(&mut count);
        });
        exit.map(&mut count);
        self.stack.iter().chain(&self.seen_by_logs).copied().for_each(&mut count);
        let mut found = Vec::new();
        for (index, operation) in self.values.operations.iter().enumerate() {
            let Op::SStore { key, word, .. } = *operation else { continue };
            let Origin::Operation(sum) = self.values.origin(word) else { continue };
            let Some(Op::Binary { op, a, b, .. }) = self.values.operations.get(sum as usize).copied() else {
                continue;
            };
            let load_of = |value: Value| match self.values.origin(value) {
                Origin::Operation(load) => match self.values.operations.get(load as usize) {
                    Some(Op::SLoad { key: of, .. }) if *of == key => Some(load as usize),
                    _ => None,
                },
                _ => None,
            };
            let (loaded, other) = match op {
                BinaryOp::Add | BinaryOp::Sub if load_of(a).is_some() => (a, b),
                BinaryOp::Add if load_of(b).is_some() => (b, a),
                _ => continue,
            };
            let Some(load) = load_of(loaded) else { continue };
            if load_of(other).is_some() || seen.get(&loaded) != Some(&1) || seen.get(&word) != Some(&1) {
                continue;
            }
            if self.orders_are_overflow_checks(loaded, word, other) {
                found.extend([load, index]);
            }
        }
        found
    }

    /// Whether every comparison that sees the slot's word or the sum compares them with one another or the summand,
    /// and is used by guards alone.
    fn orders_are_overflow_checks(&self, loaded: Value, sum: Value, summand: Value) -> bool {
        let among = |value: &Value| [loaded, sum, summand].contains(value);
        self.values.operations.iter().filter(|operation| is_order(operation)).all(|operation| {
            let mut operands = Vec::new();
            operation.map(|value| operands.push(value));
            let sees = operands.iter().any(|value| *value == loaded || *value == sum);
            if !sees {
                return true;
            }
            let Op::Binary { to, .. } = *operation else { return false };
            operands.iter().all(among) && self.only_guards_use(Value(to))
        })
    }

    fn only_guards_use(&self, condition: Value) -> bool {
        let mut same = vec![condition];
        let mut at = 0;
        while let Some(value) = same.get(at).copied() {
            at += 1;
            for operation in &self.values.operations {
                let mut uses = false;
                operation.map(|operand| uses |= operand == value);
                match operation {
                    Op::Unary { op: UnaryOp::IsZero, to, .. } if uses => same.push(Value(*to)),
                    _ if uses => return false,
                    _ => {}
                }
            }
        }
        same.iter().any(|value| self.guards.contains(value))
            && !same.iter().any(|value| self.stack.contains(value) || self.seen_by_logs.contains(value))
    }
}

/// Whether an operation is an ordered comparison, as overflow checks are.
fn is_order(operation: &Op<Value>) -> bool {
    matches!(operation, Op::Binary { op: BinaryOp::Lt | BinaryOp::Gt, .. })
}
