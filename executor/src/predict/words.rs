//! The pure operations on concrete words.
//!
//! In: the words, the top of the stack first. Out: the word that the EVM computes. Signed arithmetic is revm's own;
//! the rest is one call into the integer library each, and all of it is tested against revm's instructions.

use alloy_primitives::U256;
use deconflict_analyzer::{BinaryOp, UnaryOp};
use revm::interpreter::instructions::i256::{i256_cmp, i256_div, i256_mod};

/// An operation on one word.
#[inline]
pub(super) fn unary(op: UnaryOp, a: &U256) -> U256 {
    match op {
        UnaryOp::IsZero => U256::from(a.is_zero()),
        UnaryOp::Not => !*a,
        UnaryOp::Clz => U256::from(a.leading_zeros()),
    }
}

/// An operation on two words.
#[inline]
pub(super) fn binary(op: BinaryOp, a: &U256, b: &U256) -> U256 {
    match op {
        BinaryOp::Add => a.wrapping_add(*b),
        BinaryOp::Mul => a.wrapping_mul(*b),
        BinaryOp::Sub => a.wrapping_sub(*b),
        BinaryOp::Lt => U256::from(a < b),
        BinaryOp::Gt => U256::from(a > b),
        BinaryOp::Eq => U256::from(a == b),
        BinaryOp::And => *a & *b,
        BinaryOp::Or => *a | *b,
        BinaryOp::Xor => *a ^ *b,
        BinaryOp::Shl => small(*a, 256).map_or(U256::ZERO, |shift| *b << shift),
        BinaryOp::Shr => small(*a, 256).map_or(U256::ZERO, |shift| *b >> shift),
        BinaryOp::Div => divide(*a, *b),
        other => uncommon(other, *a, *b),
    }
}

/// The operations that are not worth a place in the loop that runs them.
#[inline(never)]
fn uncommon(op: BinaryOp, a: U256, b: U256) -> U256 {
    match op {
        BinaryOp::Mod => remainder(a, b),
        BinaryOp::SDiv => i256_div(a, b),
        BinaryOp::SMod => i256_mod(a, b),
        BinaryOp::Exp => power(a, b),
        BinaryOp::SignExtend => sign_extend(a, b),
        BinaryOp::SLt => U256::from(i256_cmp(&a, &b).is_lt()),
        BinaryOp::SGt => U256::from(i256_cmp(&a, &b).is_gt()),
        BinaryOp::Byte => match small(a, 32) {
            Some(index) => U256::from(b.byte(31 - index)),
            None => U256::ZERO,
        },
        BinaryOp::Sar => match small(a, 256) {
            Some(shift) => b.arithmetic_shr(shift),
            None if b.bit(255) => U256::MAX,
            None => U256::ZERO,
        },
        common => binary(common, &a, &b),
    }
}

/// `ADDMOD` and `MULMOD`.
pub(super) fn modular(multiply: bool, a: U256, b: U256, modulus: U256) -> U256 {
    if multiply { a.mul_mod(b, modulus) } else { a.add_mod(b, modulus) }
}

/// The word as a number below `bound`.
#[inline]
fn small(word: U256, bound: usize) -> Option<usize> {
    usize::try_from(word).ok().filter(|number| *number < bound)
}

fn divide(a: U256, b: U256) -> U256 {
    if b.is_zero() {
        return U256::ZERO;
    }
    // Packed fields are taken out by dividing by powers of two.
    let bits = b.trailing_zeros();
    if b.bit_len() == bits + 1 { a >> bits } else { a.wrapping_div(b) }
}

fn remainder(a: U256, b: U256) -> U256 {
    if b.is_zero() {
        return U256::ZERO;
    }
    if b.count_ones() == 1 { a & (b - U256::from(1)) } else { a.wrapping_rem(b) }
}

fn power(base: U256, exponent: U256) -> U256 {
    // Packed fields are placed by powers of 256.
    if base == U256::from(256) {
        return small(exponent, 32).map_or(U256::ZERO, |bytes| U256::from(1) << (8 * bytes));
    }
    base.pow(exponent)
}

fn sign_extend(size: U256, word: U256) -> U256 {
    let Some(size) = small(size, 31) else { return word };
    let bit = 8 * size + 7;
    let mask = (U256::from(1) << bit) - U256::from(1);
    if word.bit(bit) { word | !mask } else { word & mask }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use revm::bytecode::opcode;
    use revm::interpreter::{
        Gas, InstructionContext, InstructionTable, Interpreter, host::DummyHost, instruction_table,
        interpreter::EthInterpreter, interpreter_types::StackTr as _,
    };
    use revm::primitives::hardfork::SpecId;

    const BINARY: [(BinaryOp, u8); 21] = [
        (BinaryOp::Add, opcode::ADD),
        (BinaryOp::Mul, opcode::MUL),
        (BinaryOp::Sub, opcode::SUB),
        (BinaryOp::Div, opcode::DIV),
        (BinaryOp::SDiv, opcode::SDIV),
        (BinaryOp::Mod, opcode::MOD),
        (BinaryOp::SMod, opcode::SMOD),
        (BinaryOp::Exp, opcode::EXP),
        (BinaryOp::SignExtend, opcode::SIGNEXTEND),
        (BinaryOp::Lt, opcode::LT),
        (BinaryOp::Gt, opcode::GT),
        (BinaryOp::SLt, opcode::SLT),
        (BinaryOp::SGt, opcode::SGT),
        (BinaryOp::Eq, opcode::EQ),
        (BinaryOp::And, opcode::AND),
        (BinaryOp::Or, opcode::OR),
        (BinaryOp::Xor, opcode::XOR),
        (BinaryOp::Byte, opcode::BYTE),
        (BinaryOp::Shl, opcode::SHL),
        (BinaryOp::Shr, opcode::SHR),
        (BinaryOp::Sar, opcode::SAR),
    ];

    const UNARY: [(UnaryOp, u8); 3] =
        [(UnaryOp::IsZero, opcode::ISZERO), (UnaryOp::Not, opcode::NOT), (UnaryOp::Clz, opcode::CLZ)];

    /// Revm's own instructions, one at a time.
    struct Evm {
        table: InstructionTable<EthInterpreter, DummyHost>,
        interpreter: Interpreter<EthInterpreter>,
        host: DummyHost,
    }

    impl Evm {
        fn new() -> Self {
            let mut interpreter = Interpreter::default_ext();
            interpreter.runtime_flag.spec_id = SpecId::OSAKA;
            Self { table: instruction_table(), interpreter, host: DummyHost::new(SpecId::OSAKA) }
        }

        /// The word that the instruction leaves; the first operand is the top of the stack.
        fn compute(&mut self, opcode: u8, operands: &[U256]) -> U256 {
            let Self { table, interpreter, host } = self;
            interpreter.stack.clear();
            for operand in operands.iter().rev() {
                assert!(interpreter.stack.push(*operand));
            }
            interpreter.gas = Gas::new(u64::MAX);
            table[usize::from(opcode)]
                .execute(InstructionContext { interpreter, host })
                .expect("it has its operands and its gas");
            assert_eq!(interpreter.stack.len(), 1);
            interpreter.stack.pop().expect("it leaves a word")
        }
    }

    /// Words at which arithmetic, masks, shifts and signs change their behaviour.
    fn edges() -> Vec<U256> {
        let one = U256::from(1);
        let mut edges: Vec<U256> = (0..4_u64).map(U256::from).collect();
        edges.extend([7, 8, 30, 31, 32, 33, 127, 128, 255, 256, 257, 511].map(U256::from::<u64>));
        for bit in [8, 31, 32, 63, 64, 65, 96, 127, 128, 160, 191, 192, 224, 248, 254, 255] {
            edges.extend([(one << bit) - one, one << bit, (one << bit) + one, U256::MAX << bit]);
        }
        edges.extend([U256::MAX, U256::MAX - one, U256::MAX >> 1, U256::from(0x8080_7f7f_u64)]);
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    fn word() -> impl Strategy<Value = U256> {
        prop_oneof![
            4 => any::<[u8; 32]>().prop_map(U256::from_be_bytes),
            2 => (any::<[u8; 32]>(), 0_usize..256).prop_map(|(bytes, bits)| U256::from_be_bytes(bytes) >> bits),
            1 => (any::<[u8; 32]>(), 0_usize..256).prop_map(|(bytes, bits)| !(U256::from_be_bytes(bytes) >> bits)),
            2 => (0_u64..300).prop_map(U256::from),
            2 => prop::sample::select(edges()),
        ]
    }

    #[test]
    fn edges_of_one_and_two_words_are_as_revm_computes_them() {
        let mut evm = Evm::new();
        let edges = edges();
        for a in &edges {
            for (op, opcode) in UNARY {
                assert_eq!(unary(op, a), evm.compute(opcode, &[*a]), "{op:?} of {a:#x}");
            }
            for b in &edges {
                for (op, opcode) in BINARY {
                    let expected = evm.compute(opcode, &[*a, *b]);
                    assert_eq!(binary(op, a, b), expected, "{op:?} of {a:#x} and {b:#x}");
                }
            }
        }
    }

    #[test]
    fn edges_of_three_words_are_as_revm_computes_them() {
        let mut evm = Evm::new();
        let edges: Vec<U256> = edges().into_iter().step_by(3).chain([U256::ZERO, U256::MAX]).collect();
        for a in &edges {
            for b in &edges {
                for modulus in &edges {
                    for (multiply, opcode) in [(false, opcode::ADDMOD), (true, opcode::MULMOD)] {
                        let expected = evm.compute(opcode, &[*a, *b, *modulus]);
                        let found = modular(multiply, *a, *b, *modulus);
                        assert_eq!(found, expected, "of {a:#x}, {b:#x} and {modulus:#x}");
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn random_words_are_as_revm_computes_them(a in word(), b in word(), c in word()) {
            let mut evm = Evm::new();
            for (op, opcode) in UNARY {
                prop_assert_eq!(unary(op, &a), evm.compute(opcode, &[a]), "{:?}", op);
            }
            for (op, opcode) in BINARY {
                prop_assert_eq!(binary(op, &a, &b), evm.compute(opcode, &[a, b]), "{:?}", op);
            }
            prop_assert_eq!(modular(false, a, b, c), evm.compute(opcode::ADDMOD, &[a, b, c]));
            prop_assert_eq!(modular(true, a, b, c), evm.compute(opcode::MULMOD, &[a, b, c]));
        }
    }
}
