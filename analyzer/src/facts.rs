//! What a path knows about words: the conditions of the branches it took.
//!
//! In: a branch condition and the arm taken. Out: a set of facts that later branches are decided by. Facts are dropped
//! at joins unless every incoming path agrees, and they never leave the path: simplification does not see them.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;

use crate::{
    access::Condition,
    address_order::SMALL_BITS,
    expression::{Environment, Node},
    id::ExprId,
    simplify::Builder,
    size::Lengths,
};

/// What a check `x == f(x)` shows `x` to be: `f` only cuts a word to its type, and says which bits can be set.
pub(crate) fn cleaned(builder: &Builder, condition: Condition) -> Option<(ExprId, ExprId)> {
    if !condition.holds {
        return None;
    }
    let Node::Binary { op: op::EQ, a, b } = builder.expressions.node(condition.expression) else {
        return None;
    };
    let cuts = |whole: ExprId, cut: ExprId| match builder.expressions.node(cut) {
        Node::Binary { op: op::AND, a, b } => a == whole && builder.value(b).is_some(),
        Node::Binary { op: op::SIGNEXTEND, b, .. } => b == whole,
        Node::Unary { op: op::ISZERO, a } => {
            matches!(builder.expressions.node(a), Node::Unary { op: op::ISZERO, a } if a == whole)
        }
        _ => false,
    };
    if cuts(a, b) {
        Some((a, b))
    } else if cuts(b, a) {
        Some((b, a))
    } else {
        None
    }
}

/// The facts of one path; every list is sorted by expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Words known to be zero (false) or non-zero (true).
    pub(crate) conditions: Vec<(ExprId, bool)>,
    /// Words known to equal a constant.
    pub(crate) values: Vec<(ExprId, ExprId)>,
    /// Words known to be below `2^64`.
    pub(crate) small: Vec<ExprId>,
    /// How long calldata can be.
    pub(crate) lengths: Lengths,
    /// A bit for each word in `values`, by the lowest bits of its identifier.
    valued: u128,
}

/// A condition without its negations: `iszero(iszero(x))` is `x`, `a ^ b` is `!(a == b)`.
pub(crate) fn strip(builder: &mut Builder, mut expression: ExprId, mut holds: bool) -> Condition {
    loop {
        match builder.expressions.node(expression) {
            Node::Unary { op: op::ISZERO, a } => {
                expression = a;
                holds = !holds;
            }
            Node::Binary { op: op::SUB | op::XOR, a, b } => {
                expression = builder.eq(a, b);
                holds = !holds;
            }
            // x - constant, in normal form.
            Node::Binary { op: op::ADD, a, b } if builder.value(b).is_some() => {
                let constant = builder.value(b).unwrap_or_default().wrapping_neg();
                let constant = builder.constant(constant);
                expression = builder.eq(a, constant);
                holds = !holds;
            }
            _ => return Condition { expression, holds },
        }
    }
}

/// A copy of a list that something is about to be added to.
fn copy_with_room<T: Copy>(list: &[T]) -> Vec<T> {
    let mut copy = Vec::with_capacity(list.len() + 4);
    copy.extend_from_slice(list);
    copy
}

/// The bit that stands for a word in a set of words that says "perhaps" or "no".
fn bit_of(id: ExprId) -> u128 {
    1 << (id.0 % 128)
}

impl Clone for Facts {
    fn clone(&self) -> Self {
        Self {
            conditions: copy_with_room(&self.conditions),
            values: copy_with_room(&self.values),
            valued: self.valued,
            lengths: self.lengths,
            // Empty more often than not.
            small: if self.small.is_empty() { Vec::new() } else { copy_with_room(&self.small) },
        }
    }
}

impl Facts {
    fn condition(&self, id: ExprId) -> Option<bool> {
        self.conditions.binary_search_by_key(&id, |fact| fact.0).ok().map(|index| self.conditions[index].1)
    }

    /// The constant that the word is known to equal.
    pub(crate) fn value(&self, id: ExprId) -> Option<ExprId> {
        if self.valued & bit_of(id) == 0 {
            return None;
        }
        self.values.binary_search_by_key(&id, |fact| fact.0).ok().map(|index| self.values[index].1)
    }

    /// Whether the word is known to be non-zero (true) or zero (false).
    pub(crate) fn truth(&self, builder: &Builder, id: ExprId) -> Option<bool> {
        if let Some(value) = builder.value(id) {
            return Some(!value.is_zero());
        }
        if let Some(known) = self.condition(id) {
            return Some(known);
        }
        if let Some(value) = self.value(id) {
            return builder.value(value).map(|value| !value.is_zero());
        }
        if let Some(known) = self.lengths.truth(builder, id) {
            return Some(known);
        }
        match builder.expressions.node(id) {
            // Nobody has the key of the zero address, and no contract lives there.
            Node::Environment(Environment::Caller | Environment::Origin | Environment::Address) => Some(true),
            Node::Unary { op: op::ISZERO, a } => self.truth(builder, a).map(|truth| !truth),
            Node::Binary { op: op::SUB | op::XOR, a, b } => self.equal(builder, a, b).map(|equal| !equal),
            Node::Binary { op: op::ADD, a, b } => {
                let constant = builder.value(b)?.wrapping_neg();
                match self.known(builder, a) {
                    Some(x) => Some(x != constant),
                    None => builder
                        .find_constant(&constant)
                        .and_then(|b| builder.expressions.find(Node::Binary { op: op::EQ, a, b }))
                        .and_then(|equal| self.condition(equal))
                        .map(|equal| !equal),
                }
            }
            Node::Binary { op: op::EQ, a, b } => self.equal(builder, a, b),
            Node::Binary { op: op::LT, a, b } => {
                let (x, y) = (self.known(builder, a), self.known(builder, b));
                match (x, y) {
                    (Some(x), Some(y)) => Some(x < y),
                    // Something is below zero: never.
                    (_, Some(y)) if y.is_zero() => Some(false),
                    // b <= a is what `b < a` or `b == a` says.
                    _ => match builder.expressions.find(Node::Binary { op: op::LT, a: b, b: a }) {
                        Some(reverse) if self.condition(reverse) == Some(true) => Some(false),
                        _ => None,
                    },
                }
            }
            Node::Binary { op: op::AND, a, b } => {
                if builder.expressions.bits(a) <= 1 && builder.expressions.bits(b) <= 1 {
                    match (self.truth(builder, a), self.truth(builder, b)) {
                        (Some(false), _) | (_, Some(false)) => return Some(false),
                        (Some(true), Some(true)) => return Some(true),
                        _ => return None,
                    }
                }
                // A zero word has no bits.
                (self.truth(builder, a) == Some(false)).then_some(false)
            }
            Node::Binary { op: op::OR, a, b } => match (self.truth(builder, a), self.truth(builder, b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    fn known(&self, builder: &Builder, id: ExprId) -> Option<U256> {
        builder
            .value(id)
            .or_else(|| self.value(id).and_then(|value| builder.value(value)))
            .or_else(|| (self.condition(id) == Some(false)).then_some(U256::ZERO))
    }

    fn equal(&self, builder: &Builder, a: ExprId, b: ExprId) -> Option<bool> {
        match (self.known(builder, a), self.known(builder, b)) {
            (Some(x), Some(y)) => Some(x == y),
            (None, Some(y)) if y.is_zero() => self.condition(a).map(|holds| !holds),
            (Some(x), None) if x.is_zero() => self.condition(b).map(|holds| !holds),
            _ => None,
        }
    }

    /// Records that a branch took the arm on which `id` is non-zero (`holds`) or zero. `false` if no execution can.
    pub(crate) fn assume(&mut self, builder: &mut Builder, id: ExprId, holds: bool) -> bool {
        let Condition { expression, holds } = strip(builder, id, holds);
        if let Some(known) = self.truth(builder, expression) {
            return known == holds;
        }
        if !self.lengths.assume(builder, expression, holds) {
            return false;
        }
        self.insert(expression, holds);
        if !holds {
            let zero = builder.zero();
            self.insert_value(expression, zero);
        }
        if let Node::Binary { op, a, b } = builder.expressions.node(expression) {
            match (op, holds) {
                (op::EQ, true) => {
                    if let Some(value) = builder.value(b) {
                        self.insert_value(a, b);
                        if !value.is_zero() {
                            self.insert(a, true);
                        }
                    } else if self.truth(builder, a) == Some(true) {
                        self.insert(b, true);
                    } else if self.truth(builder, b) == Some(true) {
                        self.insert(a, true);
                    }
                }
                (op::AND, true) => {
                    // Both have a bit set.
                    for part in [a, b] {
                        if builder.value(part).is_none() {
                            let _ = self.assume(builder, part, true);
                        }
                    }
                }
                (op::OR, false) => {
                    return self.assume(builder, a, false) && self.assume(builder, b, false);
                }
                // One side decides where the other is known.
                (op::AND, false) if builder.expressions.bits(a) <= 1 && builder.expressions.bits(b) <= 1 => {
                    for (side, other) in [(a, b), (b, a)] {
                        if self.truth(builder, side) == Some(true) {
                            return self.assume(builder, other, false);
                        }
                    }
                }
                (op::OR, true) => {
                    for (side, other) in [(a, b), (b, a)] {
                        if self.truth(builder, side) == Some(false) {
                            return self.assume(builder, other, true);
                        }
                    }
                }
                (op::LT, _) => {
                    // holds: a < b; else b <= a.
                    let (lower, upper) = if holds { (a, b) } else { (b, a) };
                    if holds && builder.value(b).is_none() {
                        self.insert(b, true);
                    }
                    let upper_small = builder.expressions.bits(upper) <= SMALL_BITS
                        || self.small.binary_search(&upper).is_ok();
                    if upper_small {
                        self.insert_small(builder, lower);
                    }
                }
                _ => {}
            }
        }
        true
    }

    fn insert(&mut self, id: ExprId, holds: bool) {
        match self.conditions.binary_search_by_key(&id, |fact| fact.0) {
            Ok(index) => self.conditions[index].1 = holds,
            Err(index) => self.conditions.insert(index, (id, holds)),
        }
    }

    fn insert_value(&mut self, id: ExprId, value: ExprId) {
        if let Err(index) = self.values.binary_search_by_key(&id, |fact| fact.0) {
            self.values.insert(index, (id, value));
            self.valued |= bit_of(id);
        }
    }

    /// Whether the word is already known to be below `2^64`.
    pub(crate) fn is_small(&self, builder: &Builder, id: ExprId) -> bool {
        builder.expressions.bits(id) <= SMALL_BITS || self.small.binary_search(&id).is_ok()
    }

    /// Records that the word is below `2^64`.
    pub(crate) fn insert_small(&mut self, builder: &Builder, id: ExprId) {
        if builder.expressions.bits(id) <= SMALL_BITS {
            return;
        }
        if let Err(index) = self.small.binary_search(&id) {
            self.small.insert(index, id);
        }
    }

    /// Keeps what both know.
    pub(crate) fn intersect(&mut self, other: &Self) {
        fn keep<T: Ord + Copy>(mine: &mut Vec<T>, other: &[T]) {
            if mine == other {
                return;
            }
            let mut position = 0;
            mine.retain(|fact| {
                while position < other.len() && other[position] < *fact {
                    position += 1;
                }
                position < other.len() && other[position] == *fact
            });
        }
        keep(&mut self.conditions, &other.conditions);
        keep(&mut self.values, &other.values);
        self.valued = self.values.iter().fold(0, |all, fact| all | bit_of(fact.0));
        keep(&mut self.small, &other.small);
        self.lengths = self.lengths.or(other.lengths);
    }

    /// The largest value that a comparison with a constant leaves to the word.
    pub(crate) fn upper_bound(&self, builder: &Builder, id: ExprId) -> Option<U256> {
        self.conditions
            .iter()
            .filter_map(|&(condition, holds)| match builder.expressions.node(condition) {
                Node::Binary { op: op::LT, a, b } if holds && a == id => {
                    builder.value(b).map(|bound| bound.saturating_sub(U256::from(1)))
                }
                Node::Binary { op: op::LT, a, b } if !holds && b == id => builder.value(a),
                _ => None,
            })
            .min()
    }
}
