//! Constant folding by revm's own instructions.
//!
//! In: an opcode and constant operands. Out: the word that the EVM leaves on its stack. There is no arithmetic of our
//! own here, so that folding can never differ from execution.

use alloy_primitives::U256;
use revm_interpreter::{
    InstructionContext, InstructionTable, Interpreter, host::DummyHost, instruction_table,
    interpreter::EthInterpreter, interpreter_types::StackTr, primitives::hardfork::SpecId,
};

/// The fork whose pure opcodes are folded. Pure opcodes never changed their meaning, they were only added: the newest
/// released fork folds the code of all older ones.
const SPEC: SpecId = SpecId::OSAKA;

/// Runs pure stack opcodes on constants.
pub(crate) struct Folder {
    table: InstructionTable<EthInterpreter, DummyHost>,
    interpreter: Interpreter<EthInterpreter>,
    host: DummyHost,
}

impl Default for Folder {
    fn default() -> Self {
        let mut interpreter = Interpreter::default_ext();
        interpreter.runtime_flag.spec_id = SPEC;
        Self { table: instruction_table(), interpreter, host: DummyHost::new(SPEC) }
    }
}

impl Folder {
    /// Folds `op` over `operands`, the first of which is the top of the stack. `None` when the opcode faults.
    pub(crate) fn fold(&mut self, op: u8, operands: &[U256]) -> Option<U256> {
        self.interpreter.stack.clear();
        for operand in operands.iter().rev() {
            if !self.interpreter.stack.push(*operand) {
                return None;
            }
        }
        // Each fold starts with full gas: EXP is charged by the length of its exponent.
        self.interpreter.gas = revm_interpreter::Gas::new(u64::MAX);
        let context = InstructionContext { interpreter: &mut self.interpreter, host: &mut self.host };
        self.table[usize::from(op)].execute(context).ok()?;
        self.interpreter.stack.pop().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm_bytecode::opcode;

    #[test]
    fn folds_as_the_evm_does() {
        let mut folder = Folder::default();
        let word = U256::from::<u64>;
        assert_eq!(folder.fold(opcode::SUB, &[word(2), word(7)]), Some(U256::MAX - word(4)));
        assert_eq!(folder.fold(opcode::DIV, &[word(2), word(0)]), Some(word(0)));
        assert_eq!(folder.fold(opcode::EXP, &[word(256), word(31)]), Some(word(1) << 248));
        assert_eq!(folder.fold(opcode::SHL, &[word(4), word(1)]), Some(word(16)));
        assert_eq!(folder.fold(opcode::CLZ, &[word(1)]), Some(word(255)));
        assert_eq!(folder.fold(0x0c, &[word(1)]), None);
    }
}
