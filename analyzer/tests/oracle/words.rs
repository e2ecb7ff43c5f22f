//! Words and opcodes that random programs and expressions are made of.

use alloy_primitives::U256;
use proptest::prelude::*;
use revm::bytecode::opcode as op;

/// Opcodes that compute a word from words and nothing else.
pub(crate) const PURE: [u8; 26] = [
    op::ADD,
    op::MUL,
    op::SUB,
    op::DIV,
    op::SDIV,
    op::MOD,
    op::SMOD,
    op::ADDMOD,
    op::MULMOD,
    op::EXP,
    op::SIGNEXTEND,
    op::LT,
    op::GT,
    op::SLT,
    op::SGT,
    op::EQ,
    op::ISZERO,
    op::AND,
    op::OR,
    op::XOR,
    op::NOT,
    op::BYTE,
    op::SHL,
    op::SHR,
    op::SAR,
    op::CLZ,
];

/// Constants at which arithmetic, masks and memory change their behaviour.
pub(crate) fn constant() -> impl Strategy<Value = U256> {
    prop_oneof![
        4 => (0u64..5).prop_map(U256::from),
        2 => prop::sample::select(vec![8u64, 31, 32, 33, 64, 96, 160, 224, 255, 256]).prop_map(U256::from),
        1 => (0usize..256).prop_map(|bit| U256::from(1) << bit),
        2 => (1usize..33).prop_map(|bytes| U256::MAX >> (256 - 8 * bytes)),
        1 => (1usize..32).prop_map(|bytes| !(U256::MAX >> (256 - 8 * bytes))),
        1 => any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ]
}
