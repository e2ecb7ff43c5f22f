//! Calls and creations of a trace, and whether their failure can be left out.
//!
//! Where the frame only reverts after a failure, a lean slice supposes success.

use revm_bytecode::opcode;

use super::Tracer;
use crate::slice::program::{CallSite, CreateSite, Op, Variant};
use crate::slice::revert::always_reverts;
use crate::slice::values::Value;

impl Tracer<'_, '_> {
    pub(super) fn call(&mut self, op: u8, pc: u32, next: usize) {
        let (gas, target) = (self.pop(), self.pop());
        let value = if matches!(op, opcode::CALL | opcode::CALLCODE) {
            self.pop()
        } else {
            self.values.constant(alloy_primitives::U256::ZERO)
        };
        let (input, input_length) = (self.pop(), self.pop());
        let (output, output_length) = (self.pop(), self.pop());
        let success_required = self.failure_reverts(next);
        let gives_all = matches!(self.values.operation(gas), Some(Op::Gas { .. }));
        self.settle();
        let site = self.calls.len() as u32;
        self.calls.push(CallSite {
            opcode: op,
            pc,
            gas,
            target,
            value,
            input,
            input_length,
            output,
            output_length,
            success_required,
            gives_all,
            ahead: 0,
        });
        let success = self.values.effect(Op::Call { site, to: 0 });
        self.remember_spent();
        self.memory.unread.clear();
        self.written(output, output_length);
        self.loaded.clear();
        self.push_success(success, success_required);
    }

    pub(super) fn create(&mut self, op: u8, pc: u32, next: usize) {
        let (value, offset, length) = (self.pop(), self.pop(), self.pop());
        let salt = (op == opcode::CREATE2).then(|| self.pop());
        let success_required = self.failure_reverts(next);
        self.settle();
        let site = self.creates.len() as u32;
        self.creates.push(CreateSite { pc, value, offset, length, salt, success_required, ahead: 0 });
        let created = self.values.effect(Op::Create { site, to: 0 });
        self.remember_spent();
        self.memory.unread.clear();
        self.loaded.clear();
        self.push_success(created, success_required);
    }

    /// Whether this frame only reverts after the call before `next` has left a zero on the stack.
    fn failure_reverts(&mut self, next: usize) -> bool {
        if self.variant == Variant::Strict {
            return false;
        }
        let mut stack = self.known_stack();
        stack.push(Some(alloy_primitives::U256::ZERO));
        always_reverts(self.code, self.values.folder(), next, stack)
    }

    fn push_success(&mut self, result: Value, required: bool) {
        if required {
            self.values.assume(result, true);
        }
        self.stack.push(result);
    }
}
