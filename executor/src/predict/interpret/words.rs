//! Operations that make a word of words.
//!
//! In: operands. Out: the word in its register, with the sources of all operands, and its expression. They cannot fail.

use deconflict_analyzer::{BinaryOp, Operand, UnaryOp};
use revm::DatabaseRef;

use super::super::touched_state::Word;
use super::super::words;
use super::FrameRun;

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    #[inline]
    pub(super) fn unary(&mut self, op: UnaryOp, to: u16, a: Operand) {
        let value = words::unary(op, self.value(a));
        let taint = self.taint(a);
        if RECORDS {
            let a = self.word(a);
            if let Some(trail) = self.pen.trail() {
                let node = trail.unary(op, &a);
                self.place(to).node = node;
            }
        }
        let result = self.place(to);
        result.value = value;
        result.taint = taint;
    }

    #[inline]
    pub(super) fn binary(&mut self, op: BinaryOp, to: u16, a: Operand, b: Operand) {
        let value = words::binary(op, self.value(a), self.value(b));
        let taint = self.taint(a).union(self.taint(b));
        if RECORDS {
            let (a, b) = (self.word(a), self.word(b));
            if let Some(trail) = self.pen.trail() {
                let node = trail.binary(op, &a, &b);
                self.place(to).node = node;
            }
        }
        let result = self.place(to);
        result.value = value;
        result.taint = taint;
    }

    pub(super) fn modular(&mut self, multiply: bool, to: u16, operands: [Operand; 3]) {
        let [a, b, modulus] = operands.map(|operand| self.word(operand));
        let value = words::modular(multiply, a.value, b.value, modulus.value);
        let node = self.pen.node(|trail| trail.modular(multiply, [&a, &b, &modulus]));
        self.put(to, Word { value, taint: a.taint.union(b.taint).union(modulus.taint), node });
    }
}
