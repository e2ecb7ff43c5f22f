//! Runtime bytecode decoded once: instructions by program counter, and where a jump may land.
//!
//! In: the bytes of a deployed contract. Out: a [`Code`] that the interpreter indexes by instruction. Opcode facts come
//! from revm's table and jump destinations from revm's own analysis; this module must never hold a table of its own,
//! and never guesses where code ends and data begins: data is simply never reached.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use revm_bytecode::{Bytecode, OpCode, opcode};

/// A program counter: a byte offset into the runtime code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pc(pub u32);

impl std::fmt::Display for Pc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A four-byte function selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(pub [u8; 4]);

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", alloy_primitives::hex::encode(self.0))
    }
}

/// One decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Where it stands.
    pub pc: Pc,
    /// The opcode byte; an undefined one behaves as `INVALID`.
    pub opcode: u8,
    /// The pushed word of a `PUSHn`, zero for every other opcode. A truncated immediate reads as zeros.
    pub immediate: U256,
}

/// Decoded runtime code.
///
/// ```
/// use deconflict_analyzer::Code;
///
/// let code = Code::new(vec![0x60, 0x01, 0x00].into());
/// assert_eq!(code.instructions.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Code {
    /// The bytes as deployed, without padding.
    pub bytes: Bytes,
    /// Keccak-256 of the bytes.
    pub hash: B256,
    /// Every instruction in order of its program counter, as the EVM would decode them from offset 0.
    pub instructions: Vec<Instruction>,
    /// For each byte offset: the index of the instruction if a jump may land there, else `u32::MAX`.
    destinations: Vec<u32>,
    /// For each byte offset: whether the code pushes it as compilers push jump targets.
    labels: Vec<bool>,
}

impl Code {
    /// Decodes `bytes`. Total: any byte string is code.
    pub fn new(bytes: Bytes) -> Self {
        let hash = keccak256(&bytes);
        // Anything that revm would take for a special format (EIP-7702 designators, 0xEF…) still decodes as plain
        // instructions here; `dispatch` recognises those before it starts.
        let code = Bytecode::new_legacy(bytes.clone());
        let mut destinations = vec![u32::MAX; bytes.len()];
        let mut instructions = Vec::with_capacity(bytes.len() * 2 / 3);
        let table = code.legacy_jump_table();
        let mut pc = 0;
        while pc < bytes.len() {
            let byte = bytes[pc];
            // Only PUSH immediates hide jump destinations from the EVM; other opcodes with immediates are not active
            // on any fork that this crate models and behave as INVALID.
            let push = OpCode::new(byte).filter(|op| op.is_push());
            let size = push.map_or(0, |op| op.info().immediate_size() as usize);
            let mut immediate = U256::ZERO;
            if size > 0 {
                let mut word = [0u8; 32];
                let end = (pc + 1 + size).min(bytes.len());
                let present = &bytes[pc + 1..end];
                word[32 - size..32 - size + present.len()].copy_from_slice(present);
                immediate = U256::from_be_bytes(word);
            }
            if byte == opcode::JUMPDEST && table.is_some_and(|table| table.is_valid(pc)) {
                destinations[pc] = instructions.len() as u32;
            }
            instructions.push(Instruction { pc: Pc(pc as u32), opcode: byte, immediate });
            pc += 1 + size;
        }
        let mut labels = vec![false; bytes.len()];
        // Compilers push all targets with one width; a shorter push of the same number is a number. The width depends on
        // the length of the code without what is appended to it, so that some codes beyond 256 bytes have short targets.
        let (mut short, mut long) = (0u32, 0u32);
        for pair in instructions.windows(2) {
            let (target, jump) = (pair[0].opcode, pair[1].opcode);
            if matches!(jump, opcode::JUMP | opcode::JUMPI) {
                short += u32::from(target == op_width(1));
                long += u32::from((op_width(2)..=opcode::PUSH32).contains(&target));
            }
        }
        let narrowest = if bytes.len() <= 256 || short > long { op_width(1) } else { op_width(2) };
        for instruction in &instructions {
            if instruction.opcode >= narrowest
                && instruction.opcode <= opcode::PUSH32
                && let Ok(offset) = usize::try_from(instruction.immediate)
                && destinations.get(offset).is_some_and(|index| *index != u32::MAX)
            {
                labels[offset] = true;
            }
        }
        Self { bytes, hash, instructions, destinations, labels }
    }

    /// Whether a word is likely to be a return address rather than a number: it only decides how finely contexts are
    /// told apart.
    pub(crate) fn is_label(&self, word: &U256) -> bool {
        usize::try_from(*word).ok().and_then(|offset| self.labels.get(offset)).copied().unwrap_or(false)
    }

    /// The instruction index a jump to `target` lands on, or `None` where the EVM would halt.
    pub fn destination(&self, target: &U256) -> Option<usize> {
        let offset = usize::try_from(*target).ok()?;
        self.destinations.get(offset).filter(|&&index| index != u32::MAX).map(|&index| index as usize)
    }
}

/// The opcode that pushes `bytes` bytes.
fn op_width(bytes: u8) -> u8 {
    opcode::PUSH1 + bytes - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_push_reads_zeros_and_hides_jumpdest() {
        let code = Code::new(Bytes::from_static(&[opcode::JUMPDEST, opcode::PUSH4, opcode::JUMPDEST, 0x5b]));
        assert_eq!(code.instructions.len(), 2);
        assert_eq!(code.instructions[1].immediate, U256::from(0x5b5b_0000_u32));
        assert_eq!(code.destination(&U256::ZERO), Some(0));
        assert_eq!(code.destination(&U256::from(2)), None);
        assert_eq!(code.destination(&U256::MAX), None);
    }

    #[test]
    fn empty_code_is_code() {
        assert!(Code::new(Bytes::new()).instructions.is_empty());
    }
}
