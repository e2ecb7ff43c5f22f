//! The pure operations on concrete words.
//!
//! In: the words, the top of the stack first. Out: the word that the EVM computes. Signed arithmetic is revm's own;
//! the rest is one call into the integer library each, and all of it is tested against revm's instructions.

use alloy_primitives::U256;
use deconflict_analyzer::{BinaryOp, UnaryOp};
use revm::interpreter::instructions::i256::{i256_cmp, i256_div, i256_mod};

/// An operation on one word.
#[inline]
pub(super) fn unary(op: UnaryOp, a: U256) -> U256 {
    match op {
        UnaryOp::IsZero => U256::from(a.is_zero()),
        UnaryOp::Not => !a,
        UnaryOp::Clz => U256::from(a.leading_zeros()),
    }
}

/// An operation on two words.
#[inline]
pub(super) fn binary(op: BinaryOp, a: U256, b: U256) -> U256 {
    match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Div => divide(a, b),
        BinaryOp::Mod => remainder(a, b),
        BinaryOp::SDiv => i256_div(a, b),
        BinaryOp::SMod => i256_mod(a, b),
        BinaryOp::Exp => power(a, b),
        BinaryOp::SignExtend => sign_extend(a, b),
        BinaryOp::Lt => U256::from(a < b),
        BinaryOp::Gt => U256::from(a > b),
        BinaryOp::SLt => U256::from(i256_cmp(&a, &b).is_lt()),
        BinaryOp::SGt => U256::from(i256_cmp(&a, &b).is_gt()),
        BinaryOp::Eq => U256::from(a == b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Byte => match small(a, 32) {
            Some(index) => U256::from(b.byte(31 - index)),
            None => U256::ZERO,
        },
        BinaryOp::Shl => small(a, 256).map_or(U256::ZERO, |shift| b << shift),
        BinaryOp::Shr => small(a, 256).map_or(U256::ZERO, |shift| b >> shift),
        BinaryOp::Sar => match small(a, 256) {
            Some(shift) => b.arithmetic_shr(shift),
            None if b.bit(255) => U256::MAX,
            None => U256::ZERO,
        },
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
