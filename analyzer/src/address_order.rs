//! Which memory addresses provably lie above which others.
//!
//! In: two addresses, and what a path knows to be small. Out: a lower bound of their difference. Memory costs gas, so an
//! address that was used is small; a sum of small terms does not wrap, and is at least each of its parts. Where that
//! cannot be shown there is no bound, and the caller must assume overlap.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use rustc_hash::FxHashMap;

use crate::{expression::Node, id::ExprId, simplify::Builder};

/// Bits of a word that is small for the purposes of this module: sums of many such words do not reach `2^127`.
pub(crate) const SMALL_BITS: u32 = 64;

/// Terms beyond which a difference is given up.
const MAX_TERMS: usize = 12;

/// What is known about the values that meet at loop heads: `phi >= first operand`, as long as nothing contradicts it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PhiOrder {
    /// The first value of each phi that has only grown so far.
    pub(crate) floor: FxHashMap<ExprId, ExprId>,
    /// The nodes in which a proof has used the floor of a phi.
    pub(crate) users: FxHashMap<ExprId, Vec<u32>>,
    /// The node that proofs are made for at present.
    pub(crate) node: u32,
}

impl PhiOrder {
    fn mark_used(&mut self, phi: ExprId) {
        let users = self.users.entry(phi).or_default();
        if users.last() != Some(&self.node) && !users.contains(&self.node) {
            users.push(self.node);
        }
    }
}

/// What a proof may rely on.
pub(crate) struct Bounds<'a> {
    pub(crate) builder: &'a Builder,
    /// Words below `2^64` on this path, sorted.
    pub(crate) small: &'a [ExprId],
    pub(crate) order: &'a mut PhiOrder,
}

/// `constant + Σ coefficient · term`, modulo `2^256`.
#[derive(Default)]
struct Linear {
    constant: i128,
    terms: Vec<(ExprId, i64)>,
}

impl Linear {
    fn add_term(&mut self, term: ExprId, coefficient: i64) {
        if let Some(entry) = self.terms.iter_mut().find(|entry| entry.0 == term) {
            entry.1 += coefficient;
        } else {
            self.terms.push((term, coefficient));
        }
    }
}

/// A constant as a small signed number: `-32` is stored as `2^256 - 32`.
pub(crate) fn small_signed(value: U256) -> Option<i64> {
    if value.bit_len() <= 48 {
        return Some(value.to::<i64>());
    }
    let negated = value.wrapping_neg();
    (negated.bit_len() <= 48).then(|| -negated.to::<i64>())
}

impl Bounds<'_> {
    /// Whether the word is below `2^64` on this path.
    pub(crate) fn is_small(&mut self, id: ExprId) -> bool {
        if self.builder.expressions.bits(id) <= SMALL_BITS || self.small.binary_search(&id).is_ok() {
            return true;
        }
        match self.builder.expressions.node(id) {
            Node::Binary { op: op::ADD, a, b } => self.is_small(a) && self.is_small(b),
            // Rounding down: x & ~31.
            Node::Binary { op: op::AND, a, .. } => self.is_small(a),
            Node::Phi { .. } => match self.order.floor.get(&id).copied() {
                // It grows by bounded steps, and gas bounds the number of steps.
                Some(floor) if floor != id && self.is_small(floor) => {
                    self.order.mark_used(id);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn decompose(&self, id: ExprId, coefficient: i64, into: &mut Linear) -> Option<()> {
        if into.terms.len() > MAX_TERMS {
            return None;
        }
        if let Some(value) = self.builder.value(id) {
            into.constant += i128::from(small_signed(value)?) * i128::from(coefficient);
            return Some(());
        }
        match self.builder.expressions.node(id) {
            Node::Binary { op: op::ADD, a, b } => {
                self.decompose(a, coefficient, into)?;
                self.decompose(b, coefficient, into)
            }
            Node::Binary { op: op::SUB, a, b } => {
                self.decompose(a, coefficient, into)?;
                self.decompose(b, -coefficient, into)
            }
            Node::Binary { op: op::SHL, a, b } => match self.builder.value(a) {
                Some(count) if count <= U256::from(16) && coefficient.abs() < 1 << 20 => {
                    self.decompose(b, coefficient << count.to::<u32>(), into)
                }
                _ => {
                    into.add_term(id, coefficient);
                    Some(())
                }
            },
            _ => {
                into.add_term(id, coefficient);
                Some(())
            }
        }
    }

    /// A lower bound of `a - b`, if both are small numbers and one can be shown.
    pub(crate) fn difference(&mut self, a: ExprId, b: ExprId) -> Option<i128> {
        if a == b {
            return Some(0);
        }
        let mut linear = Linear::default();
        self.decompose(a, 1, &mut linear)?;
        self.decompose(b, -1, &mut linear)?;
        for _ in 0..MAX_TERMS {
            linear.terms.retain(|term| term.1 != 0);
            if linear.terms.iter().all(|term| term.1 > 0) {
                for index in 0..linear.terms.len() {
                    if !self.is_small(linear.terms[index].0) {
                        return None;
                    }
                }
                return Some(linear.constant);
            }
            if !self.rewrite(&mut linear)? {
                return None;
            }
        }
        None
    }

    /// Replaces one term by something that makes the sum no larger. `Some(false)` when there is nothing to replace.
    fn rewrite(&mut self, linear: &mut Linear) -> Option<bool> {
        for index in 0..linear.terms.len() {
            let (term, coefficient) = linear.terms[index];
            match self.builder.expressions.node(term) {
                Node::Binary { op: op::AND, a, b }
                    if self.builder.value(b).is_some_and(is_rounding) && self.is_small(a) =>
                {
                    // x - 31 <= (x & ~31) <= x.
                    let slack = self.builder.value(b).map_or(0, |mask| small_signed(!mask).unwrap_or(0));
                    linear.terms.swap_remove(index);
                    if coefficient > 0 {
                        linear.constant -= i128::from(slack) * i128::from(coefficient);
                    }
                    self.decompose(a, coefficient, linear)?;
                    return Some(true);
                }
                Node::Phi { .. } if coefficient > 0 => {
                    if let Some(floor) = self.order.floor.get(&term).copied() {
                        self.order.mark_used(term);
                        if !self.is_small(floor) {
                            continue;
                        }
                        linear.terms.swap_remove(index);
                        self.decompose(floor, coefficient, linear)?;
                        return Some(true);
                    }
                }
                _ => {}
            }
        }
        Some(false)
    }
}

/// `~(2^k - 1)`, possibly cut to the bits that its operand can set: rounding down to a multiple of `2^k`, at most 4096.
fn is_rounding(mask: U256) -> bool {
    let zeros = mask.trailing_zeros();
    zeros > 0 && zeros <= 12 && {
        let shifted = mask >> zeros;
        (shifted & (shifted + U256::from(1))).is_zero() && shifted.bit_len() + zeros >= 32
    }
}
