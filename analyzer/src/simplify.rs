//! Smart constructors: every word enters the arena through here, in normal form.
//!
//! In: an opcode and operands. Out: an expression that is equal to the opcode's result in every execution. Each rewrite
//! is an identity of 256-bit words, or follows from the bits that an operand can set; facts of a path are never used
//! here, since expressions outlive paths.
//!
//! Normal forms: constants last; `GT`, `SGT` turned into `LT`, `SLT`; division and multiplication by powers of two into
//! shifts; `and` with a constant outside of shifts; sums as `terms + constant`.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use rustc_hash::FxHashMap;

use crate::{
    code::Selector,
    expression::{Environment, Expressions, Node, Piece, Sources, Space},
    fold::Folder,
    id::{Epoch, ExprId, Site},
};

/// Calldata and return data longer than this cost more gas than any block has.
pub(crate) const LENGTH_BITS: usize = 40;

/// The arena together with what building needs.
pub(crate) struct Builder {
    pub(crate) expressions: Expressions,
    folder: Folder,
    /// The selector of the entry being explored, which calldata word 0 starts with.
    pub(crate) selector: Option<Selector>,
    /// How many hashes around each other are being taken apart at present.
    pub(crate) nesting: u32,
    /// Calldata is empty in the entry being explored.
    pub(crate) empty_calldata: bool,
    /// The hashes of single constant words so far, each with the word: where the data of lists in namespaces starts.
    list_roots: Vec<(U256, ExprId)>,
    /// Rows of tables in the code: where each is read, what it can be, and the word that stands for it.
    rows: FxHashMap<(ExprId, Vec<ExprId>), ExprId>,
}

fn low_bits(count: usize) -> U256 {
    if count >= 256 { U256::MAX } else { (U256::from(1) << count) - U256::from(1) }
}

/// The bits of a word not above one with these bits.
fn fill(mask: U256) -> U256 {
    low_bits(mask.bit_len())
}

/// What stands for the node of the first row of a table; the next rows have the numbers below.
const FIRST_ROW: u32 = u32::MAX - 1;

/// Numbers below this are interned first, so that they are their own identifiers.
const SMALL_NUMBERS: u64 = 257;

impl Default for Builder {
    fn default() -> Self {
        let mut expressions = Expressions::with_room();
        for number in 0..SMALL_NUMBERS {
            expressions.intern_constant(U256::from(number));
        }
        Self {
            expressions,
            folder: Folder::default(),
            selector: None,
            nesting: 0,
            empty_calldata: false,
            list_roots: Vec::new(),
            rows: FxHashMap::default(),
        }
    }
}

impl Builder {
    pub(crate) fn constant(&mut self, value: U256) -> ExprId {
        self.expressions.intern_constant(value)
    }

    pub(crate) fn number(&mut self, value: u64) -> ExprId {
        if value < SMALL_NUMBERS {
            return ExprId(value as u32);
        }
        self.expressions.intern_constant(U256::from(value))
    }

    #[expect(clippy::unused_self, reason = "the identifier is only meaningful in a builder's arena")]
    pub(crate) fn zero(&self) -> ExprId {
        ExprId(0)
    }

    pub(crate) fn value(&self, id: ExprId) -> Option<U256> {
        self.expressions.constant(id)
    }

    pub(crate) fn find_constant(&self, value: &U256) -> Option<ExprId> {
        self.expressions.find_constant(value)
    }

    pub(crate) fn is_zero(&self, id: ExprId) -> bool {
        self.value(id).is_some_and(|value| value.is_zero())
    }

    fn raw(&mut self, op: u8, a: ExprId, b: ExprId, mask: U256) -> ExprId {
        self.expressions.intern(Node::Binary { op, a, b }, mask, Sources::NONE)
    }

    fn split(&self, id: ExprId) -> Option<(u8, ExprId, ExprId)> {
        match self.expressions.node(id) {
            Node::Binary { op, a, b } => Some((op, a, b)),
            _ => None,
        }
    }

    /// `x = base + constant`, the constant being zero where there is none.
    pub(crate) fn split_sum(&self, id: ExprId) -> (ExprId, U256) {
        if let Some((op::ADD, a, b)) = self.split(id)
            && let Some(constant) = self.value(b)
        {
            return (a, constant);
        }
        (id, U256::ZERO)
    }

    /// `x = inner & mask` with a constant mask.
    fn split_and(&self, id: ExprId) -> Option<(ExprId, U256)> {
        match self.split(id) {
            Some((op::AND, a, b)) => self.value(b).map(|mask| (a, mask)),
            _ => None,
        }
    }

    pub(crate) fn unary(&mut self, opcode: u8, a: ExprId) -> ExprId {
        if let Some(value) = self.value(a)
            && let Some(folded) = self.folder.fold(opcode, &[value])
        {
            return self.constant(folded);
        }
        match opcode {
            op::ISZERO => self.is_zero_of(a),
            op::NOT => {
                if let Node::Unary { op: op::NOT, a: inner } = self.expressions.node(a) {
                    return inner;
                }
                self.expressions.intern(Node::Unary { op: opcode, a }, U256::MAX, Sources::NONE)
            }
            _ => self.expressions.intern(Node::Unary { op: opcode, a }, U256::from(0x1ff), Sources::NONE),
        }
    }

    pub(crate) fn is_zero_of(&mut self, a: ExprId) -> ExprId {
        if let Some(value) = self.value(a) {
            return self.constant(U256::from(u64::from(value.is_zero())));
        }
        match self.expressions.node(a) {
            Node::Unary { op: op::ISZERO, a: inner } => {
                if self.expressions.bits(inner) <= 1 {
                    return inner;
                }
                if let Node::Unary { op: op::ISZERO, .. } = self.expressions.node(inner) {
                    return inner;
                }
            }
            Node::Binary { op: op::SUB | op::XOR, a, b } => return self.binary(op::EQ, a, b),
            Node::Binary { op: op::ADD, a, b } => {
                if let Some(constant) = self.value(b) {
                    let constant = self.constant(constant.wrapping_neg());
                    return self.eq(a, constant);
                }
            }
            _ => {}
        }
        self.expressions.intern(Node::Unary { op: op::ISZERO, a }, U256::from(1), Sources::NONE)
    }

    pub(crate) fn ternary(&mut self, opcode: u8, a: ExprId, b: ExprId, c: ExprId) -> ExprId {
        if let (Some(x), Some(y), Some(z)) = (self.value(a), self.value(b), self.value(c))
            && let Some(folded) = self.folder.fold(opcode, &[x, y, z])
        {
            return self.constant(folded);
        }
        self.expressions.intern(Node::Ternary { op: opcode, a, b, c }, U256::MAX, Sources::NONE)
    }

    pub(crate) fn binary(&mut self, opcode: u8, a: ExprId, b: ExprId) -> ExprId {
        let (x, y) = (self.value(a), self.value(b));
        if let (Some(x), Some(y)) = (x, y)
            && let Some(folded) = self.folder.fold(opcode, &[x, y])
        {
            return self.constant(folded);
        }
        match opcode {
            op::ADD => self.add(a, b),
            op::SUB => self.sub(a, b),
            op::MUL => self.mul(a, b),
            op::DIV => self.div(a, b),
            op::MOD => self.modulo(a, b),
            op::AND => self.and(a, b),
            op::OR => self.or(a, b),
            op::XOR => self.xor(a, b),
            op::EQ => self.eq(a, b),
            op::LT => self.lt(a, b),
            op::GT => self.lt(b, a),
            op::SLT => self.slt(a, b),
            op::SGT => self.slt(b, a),
            op::SHL | op::SHR | op::SAR => self.shift(opcode, a, b),
            op::BYTE => match x {
                Some(x) if x >= U256::from(32) => self.zero(),
                Some(x) => {
                    let shifted = self.shr(8 * (31 - x.to::<usize>()), b);
                    self.and_mask(shifted, U256::from(0xff))
                }
                None => self.raw(opcode, a, b, U256::from(0xff)),
            },
            op::SIGNEXTEND => match x {
                Some(x) if x >= U256::from(31) => b,
                Some(x) if self.expressions.bits(b) < 8 * (x.to::<u32>() + 1) => b,
                _ => self.raw(opcode, a, b, U256::MAX),
            },
            op::EXP => match (x, y) {
                (_, Some(y)) if y == U256::from(1) => a,
                (_, Some(y)) if y.is_zero() => self.number(1),
                (Some(x), _) if x == U256::from(2) => {
                    let one = self.number(1);
                    self.binary(op::SHL, b, one)
                }
                _ => self.raw(opcode, a, b, U256::MAX),
            },
            op::SDIV | op::SMOD => {
                let signless = !self.expressions.mask(a).bit(255) && !self.expressions.mask(b).bit(255);
                if signless {
                    return self.binary(if opcode == op::SDIV { op::DIV } else { op::MOD }, a, b);
                }
                self.raw(opcode, a, b, U256::MAX)
            }
            _ => self.raw(opcode, a, b, U256::MAX),
        }
    }

    fn div(&mut self, a: ExprId, b: ExprId) -> ExprId {
        match self.value(b) {
            Some(y) if y.is_zero() => b,
            Some(y) if y.is_power_of_two() => self.shr(y.trailing_zeros(), a),
            _ if self.value(a).is_some_and(|x| x.is_zero()) => a,
            _ => {
                let mask = fill(self.expressions.mask(a));
                self.raw(op::DIV, a, b, mask)
            }
        }
    }

    fn modulo(&mut self, a: ExprId, b: ExprId) -> ExprId {
        match self.value(b) {
            Some(y) if y.is_zero() => b,
            Some(y) if y.is_power_of_two() => self.and_mask(a, y - U256::from(1)),
            Some(y) => self.raw(op::MOD, a, b, fill(y)),
            None => {
                let mask = fill(self.expressions.mask(a));
                self.raw(op::MOD, a, b, mask)
            }
        }
    }

    fn xor(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == b {
            return self.zero();
        }
        if self.value(a).is_some_and(|x| x.is_zero()) {
            return b;
        }
        if self.value(b).is_some_and(|y| y.is_zero()) {
            return a;
        }
        let (a, b) = self.order(a, b);
        let mask = fill(self.expressions.mask(a) | self.expressions.mask(b));
        self.raw(op::XOR, a, b, mask)
    }

    /// The second word shifted by the first.
    fn shift(&mut self, opcode: u8, a: ExprId, b: ExprId) -> ExprId {
        // What has no sign is shifted alike either way.
        let is_signed = opcode == op::SAR && self.expressions.mask(b).bit(255);
        let opcode = if opcode == op::SAR && !is_signed { op::SHR } else { opcode };
        match self.value(a) {
            Some(x) if is_signed && x.is_zero() => b,
            _ if is_signed => self.raw(opcode, a, b, U256::MAX),
            Some(x) if x >= U256::from(256) => self.zero(),
            Some(x) if opcode == op::SHL => self.shl(x.to::<usize>(), b),
            Some(x) => self.shr(x.to::<usize>(), b),
            None if self.value(b).is_some_and(|y| y.is_zero()) => b,
            None if opcode == op::SHL => self.raw(opcode, a, b, U256::MAX),
            None => {
                let mask = fill(self.expressions.mask(b));
                self.raw(opcode, a, b, mask)
            }
        }
    }

    /// Operands of a commutative operation in one order: a constant last, else by age.
    fn order(&self, a: ExprId, b: ExprId) -> (ExprId, ExprId) {
        match (self.value(a).is_some(), self.value(b).is_some()) {
            (true, false) => (b, a),
            (false, true) => (a, b),
            _ if a.0 <= b.0 => (a, b),
            _ => (b, a),
        }
    }

    pub(crate) fn add(&mut self, a: ExprId, b: ExprId) -> ExprId {
        let (a, b) = self.order(a, b);
        if let Some(y) = self.value(b) {
            if let Some(x) = self.value(a) {
                return self.constant(x.wrapping_add(y));
            }
            if y.is_zero() {
                return a;
            }
            let (base, constant) = self.split_sum(a);
            return self.sum(base, constant.wrapping_add(y));
        }
        let (base_a, constant_a) = self.split_sum(a);
        let (base_b, constant_b) = self.split_sum(b);
        // (x - y) + y
        let cancelled = match (self.split(base_a), self.split(base_b)) {
            (Some((op::SUB, x, y)), _) if y == base_b => Some(x),
            (_, Some((op::SUB, x, y))) if y == base_a => Some(x),
            _ => None,
        };
        let base = cancelled.unwrap_or_else(|| {
            let (a, b) = self.order(base_a, base_b);
            let mask = self.sum_mask(a, b);
            self.raw(op::ADD, a, b, mask)
        });
        let base_value = self.split_sum(base);
        self.sum(base_value.0, base_value.1.wrapping_add(constant_a.wrapping_add(constant_b)))
    }

    fn sum_mask(&self, a: ExprId, b: ExprId) -> U256 {
        low_bits(self.expressions.bits(a).max(self.expressions.bits(b)) as usize + 1)
    }

    fn sum(&mut self, base: ExprId, constant: U256) -> ExprId {
        if constant.is_zero() {
            return base;
        }
        if let Some(value) = self.value(base) {
            return self.constant(value.wrapping_add(constant));
        }
        let constant = self.constant(constant);
        let mask = self.sum_mask(base, constant);
        self.raw(op::ADD, base, constant, mask)
    }

    pub(crate) fn sub(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == b {
            return self.zero();
        }
        if let Some(y) = self.value(b) {
            let negated = self.constant(y.wrapping_neg());
            return self.add(a, negated);
        }
        let (base_a, constant_a) = self.split_sum(a);
        let (base_b, constant_b) = self.split_sum(b);
        let constant = constant_a.wrapping_sub(constant_b);
        if base_a == base_b {
            return self.constant(constant);
        }
        let difference = match (self.split(base_a), self.split(base_b)) {
            (Some((op::ADD, x, y)), _) if y == base_b => x,
            (Some((op::ADD, x, y)), _) if x == base_b => y,
            (_, Some((op::SUB, x, y))) if x == base_a => y,
            _ if self.value(base_a).is_some() => {
                // constant - x: the constant is part of the node.
                return self.sub_raw(a, base_b, constant_b);
            }
            _ => self.raw(op::SUB, base_a, base_b, U256::MAX),
        };
        let (base, extra) = self.split_sum(difference);
        self.sum(base, extra.wrapping_add(constant))
    }

    fn sub_raw(&mut self, a: ExprId, base_b: ExprId, constant_b: U256) -> ExprId {
        let minuend = self.value(a).unwrap_or_default().wrapping_sub(constant_b);
        let minuend = self.constant(minuend);
        self.raw(op::SUB, minuend, base_b, U256::MAX)
    }

    fn mul(&mut self, a: ExprId, b: ExprId) -> ExprId {
        let (a, b) = self.order(a, b);
        if let Some(y) = self.value(b) {
            if y.is_zero() {
                return b;
            }
            if y.is_power_of_two() {
                return self.shl(y.trailing_zeros(), a);
            }
        }
        let bits = self.expressions.bits(a) + self.expressions.bits(b);
        self.raw(op::MUL, a, b, low_bits(bits as usize))
    }

    fn and(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == b {
            return a;
        }
        let (a, b) = self.order(a, b);
        if let Some(mask) = self.value(b) {
            return self.and_mask(a, mask);
        }
        if (self.expressions.mask(a) & self.expressions.mask(b)).is_zero() {
            return self.zero();
        }
        // A boolean times the all-ones word, and other masks that are no constants, stay as they are.
        let mask = self.expressions.mask(a) & self.expressions.mask(b);
        self.raw(op::AND, a, b, mask)
    }

    /// `x & mask`.
    pub(crate) fn and_mask(&mut self, x: ExprId, mask: U256) -> ExprId {
        if let Some(value) = self.value(x) {
            return self.constant(value & mask);
        }
        let possible = self.expressions.mask(x);
        let mask = mask & possible;
        if mask.is_zero() {
            return self.zero();
        }
        if mask == possible {
            return x;
        }
        match self.split(x) {
            Some((op::AND, inner, other)) => {
                if let Some(other) = self.value(other) {
                    return self.and_mask(inner, other & mask);
                }
            }
            Some((op::OR, left, right)) => {
                if (self.expressions.mask(left) & mask).is_zero() {
                    return self.and_mask(right, mask);
                }
                if (self.expressions.mask(right) & mask).is_zero() {
                    return self.and_mask(left, mask);
                }
            }
            Some((op::SHR, shift, inner)) => {
                // shr(k, a | b) & mask, where only one of them reaches the mask.
                if let (Some(shift), Some((op::OR, left, right))) = (self.value(shift), self.split(inner)) {
                    let shift_bits = shift.to::<usize>();
                    let reached = mask << shift_bits;
                    if (self.expressions.mask(left) & reached).is_zero() {
                        let part = self.shr(shift_bits, right);
                        return self.and_mask(part, mask);
                    }
                    if (self.expressions.mask(right) & reached).is_zero() {
                        let part = self.shr(shift_bits, left);
                        return self.and_mask(part, mask);
                    }
                }
            }
            _ => {}
        }
        if let Node::CalldataWord { offset } = self.expressions.node(x)
            && let Some(selector) = self.selector
            && self.is_zero(offset)
            && (mask & low_bits(224)).is_zero()
        {
            return self.constant((U256::from(u32::from_be_bytes(selector.0)) << 224) & mask);
        }
        let mask_id = self.constant(mask);
        self.raw(op::AND, x, mask_id, mask)
    }

    fn or(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == b {
            return a;
        }
        let (a, b) = self.order(a, b);
        if let Some(y) = self.value(b) {
            if y.is_zero() {
                return a;
            }
            if y == U256::MAX {
                return b;
            }
            if let Some((op::OR, inner, other)) = self.split(a)
                && let Some(other) = self.value(other)
            {
                let merged = self.constant(other | y);
                return self.or(inner, merged);
            }
        }
        // (x & m) | (x & n)
        let (base_a, mask_a) = self.split_and(a).unwrap_or((a, U256::MAX));
        let (base_b, mask_b) = self.split_and(b).unwrap_or((b, U256::MAX));
        if base_a == base_b {
            return self.and_mask(base_a, mask_a | mask_b);
        }
        let mask = self.expressions.mask(a) | self.expressions.mask(b);
        self.raw(op::OR, a, b, mask)
    }

    pub(crate) fn shr(&mut self, count: usize, x: ExprId) -> ExprId {
        if count == 0 {
            return x;
        }
        if count >= 256 {
            return self.zero();
        }
        if let Some(value) = self.value(x) {
            return self.constant(value >> count);
        }
        let possible = self.expressions.mask(x) >> count;
        if possible.is_zero() {
            return self.zero();
        }
        match self.expressions.node(x) {
            Node::Binary { op: op::AND, a, b } => {
                if let Some(mask) = self.value(b) {
                    let shifted = self.shr(count, a);
                    return self.and_mask(shifted, mask >> count);
                }
            }
            Node::Binary { op: op::SHR, a, b } => {
                if let Some(inner) = self.value(a) {
                    return self.shr(count + inner.to::<usize>(), b);
                }
            }
            Node::Binary { op: op::SHL, a, b } => {
                if let Some(inner) = self.value(a) {
                    let inner = inner.to::<usize>();
                    let moved =
                        if inner >= count { self.shl(inner - count, b) } else { self.shr(count - inner, b) };
                    return self.and_mask(moved, U256::MAX >> count);
                }
            }
            Node::Binary { op: op::OR, a, b } => {
                if (self.expressions.mask(a) >> count).is_zero() {
                    return self.shr(count, b);
                }
                if (self.expressions.mask(b) >> count).is_zero() {
                    return self.shr(count, a);
                }
            }
            Node::CalldataWord { offset } => {
                if let Some(selector) = self.selector
                    && count >= 224
                    && self.is_zero(offset)
                {
                    return self.constant(U256::from(u32::from_be_bytes(selector.0)) >> (count - 224));
                }
            }
            _ => {}
        }
        let count = self.number(count as u64);
        self.raw(op::SHR, count, x, possible)
    }

    pub(crate) fn shl(&mut self, count: usize, x: ExprId) -> ExprId {
        if count == 0 {
            return x;
        }
        if count >= 256 {
            return self.zero();
        }
        if let Some(value) = self.value(x) {
            return self.constant(value << count);
        }
        let possible = self.expressions.mask(x) << count;
        if possible.is_zero() {
            return self.zero();
        }
        match self.expressions.node(x) {
            Node::Binary { op: op::AND, a, b } => {
                if let Some(mask) = self.value(b) {
                    let shifted = self.shl(count, a);
                    return self.and_mask(shifted, mask << count);
                }
            }
            Node::Binary { op: op::SHL, a, b } => {
                if let Some(inner) = self.value(a) {
                    return self.shl(count + inner.to::<usize>(), b);
                }
            }
            Node::Binary { op: op::SHR, a, b } if self.value(a) == Some(U256::from(count)) => {
                return self.and_mask(b, U256::MAX << count);
            }
            _ => {}
        }
        let count = self.number(count as u64);
        self.raw(op::SHL, count, x, possible)
    }

    pub(crate) fn eq(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == b {
            return self.number(1);
        }
        let (a, b) = self.order(a, b);
        if let Some(y) = self.value(b) {
            if y.is_zero() {
                return self.is_zero_of(a);
            }
            if !(y & !self.expressions.mask(a)).is_zero() {
                return self.zero();
            }
            if y == U256::from(1) && self.expressions.bits(a) <= 1 {
                return a;
            }
            if let (base, constant) = self.split_sum(a)
                && !constant.is_zero()
            {
                let moved = self.constant(y.wrapping_sub(constant));
                return self.eq(base, moved);
            }
        }
        self.raw(op::EQ, a, b, U256::from(1))
    }

    fn lt(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == b {
            return self.zero();
        }
        let (largest_a, largest_b) = (fill(self.expressions.mask(a)), fill(self.expressions.mask(b)));
        if let Some(y) = self.value(b) {
            if y.is_zero() {
                return b;
            }
            if y == U256::from(1) {
                return self.is_zero_of(a);
            }
            if largest_a < y {
                return self.number(1);
            }
        }
        if let Some(x) = self.value(a) {
            if x >= largest_b {
                return self.zero();
            }
            if x.is_zero() {
                let zero = self.is_zero_of(b);
                return self.is_zero_of(zero);
            }
        }
        self.raw(op::LT, a, b, U256::from(1))
    }

    fn slt(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == b {
            return self.zero();
        }
        if !self.expressions.mask(a).bit(255) && !self.expressions.mask(b).bit(255) {
            return self.lt(a, b);
        }
        self.raw(op::SLT, a, b, U256::from(1))
    }

    pub(crate) fn environment(&mut self, environment: Environment) -> ExprId {
        let (mask, sources) = match environment {
            Environment::Address => (low_bits(160), Sources::ADDRESS),
            Environment::Caller => (low_bits(160), Sources::CALLER),
            Environment::Origin => (low_bits(160), Sources::TRANSACTION),
            Environment::CallValue => (U256::MAX, Sources::CALL_VALUE),
            Environment::CalldataSize => {
                if self.empty_calldata {
                    return self.zero();
                }
                (low_bits(LENGTH_BITS), Sources::CALLDATA)
            }
            Environment::GasPrice => (U256::MAX, Sources::TRANSACTION),
            Environment::Coinbase => (low_bits(160), Sources::COINBASE),
            Environment::Timestamp | Environment::Number => (low_bits(64), Sources::BLOCK),
            Environment::GasLimit
            | Environment::ChainId
            | Environment::PrevRandao
            | Environment::BaseFee
            | Environment::BlobBaseFee
            | Environment::OtherBlock => (U256::MAX, Sources::BLOCK),
        };
        self.expressions.intern(Node::Environment(environment), mask, sources)
    }

    pub(crate) fn calldata_word(&mut self, offset: ExprId) -> ExprId {
        if self.empty_calldata {
            return self.zero();
        }
        if self.value(offset).is_some_and(|offset| offset.bit_len() > LENGTH_BITS) {
            return self.zero();
        }
        self.expressions.intern(Node::CalldataWord { offset }, U256::MAX, Sources::CALLDATA)
    }

    pub(crate) fn load(&mut self, space: Space, slot: ExprId, epoch: Epoch) -> ExprId {
        let sources = match space {
            Space::Storage => Sources::STORAGE,
            Space::Transient => Sources::TRANSIENT,
        };
        self.expressions.intern(Node::Load { space, slot, epoch }, U256::MAX, sources)
    }

    pub(crate) fn unknown(&mut self, site: Site, sources: Sources) -> ExprId {
        let id = self.expressions.intern(Node::Unknown(site), U256::MAX, Sources::UNKNOWN);
        self.expressions.add_sources(id, sources);
        id
    }

    /// A leaf that is made of nothing but its node.
    pub(crate) fn leaf(&mut self, node: Node) -> ExprId {
        let (mask, sources) = match node {
            Node::Immutable(_) => (U256::MAX, Sources::IMMUTABLE),
            Node::CallSuccess(_) => (U256::from(1), Sources::RETURN_DATA),
            Node::ReturnSize(_) => (low_bits(LENGTH_BITS), Sources::RETURN_DATA),
            Node::ReturnWord { .. } => (U256::MAX, Sources::RETURN_DATA),
            Node::Created(_) => (low_bits(160), Sources::RETURN_DATA),
            Node::Balance { .. } => (U256::MAX, Sources::BALANCE),
            Node::CodeSize(_) => (low_bits(LENGTH_BITS), Sources::CODE),
            Node::CodeHash(_) => (U256::MAX, Sources::CODE),
            Node::BlockHash(_) => (U256::MAX, Sources::BLOCK),
            Node::BlobHash(_) => (U256::MAX, Sources::TRANSACTION),
            Node::Gas(_) => (low_bits(64), Sources::GAS),
            Node::MemorySize(_) => (low_bits(LENGTH_BITS), Sources::GAS),
            Node::Phi { .. } => (U256::MAX, Sources::PHI),
            _ => (U256::MAX, Sources::UNKNOWN),
        };
        self.expressions.intern(node, mask, sources)
    }

    /// One of several words: the word itself where they are all the same.
    pub(crate) fn choice(&mut self, values: Vec<ExprId>) -> ExprId {
        if let [only] = *values.as_slice() {
            return only;
        }
        let variable = self.expressions.len() as u32;
        let phi = self.leaf(Node::Phi { node: u32::MAX, variable });
        self.expressions.set_phi_operands(phi, values);
        phi
    }

    /// The row of a table that `from` says the place of, one of `contents`: the same word for the same place.
    pub(crate) fn row(&mut self, from: ExprId, contents: Vec<ExprId>) -> ExprId {
        if let Some(&known) = self.rows.get(&(from, contents.clone())) {
            return known;
        }
        let mask = contents.iter().fold(U256::ZERO, |all, &id| all | self.expressions.mask(id));
        // No node has such a number: rows of different tables are not chosen together.
        let node = FIRST_ROW - self.rows.len() as u32;
        let row = self.expressions.intern(Node::Phi { node, variable: 0 }, mask, Sources::PHI);
        self.expressions.add_sources(row, self.expressions.sources(from));
        self.expressions.set_phi_operands(row, contents.clone());
        self.rows.insert((from, contents), row);
        row
    }

    /// Whether the word is a row of a table.
    pub(crate) fn is_row(&self, id: ExprId) -> bool {
        matches!(self.expressions.node(id), Node::Phi { node, .. } if node <= FIRST_ROW && node > FIRST_ROW - self.rows.len() as u32)
    }

    /// The hash of a byte string, as a constant where it is one.
    pub(crate) fn keccak(&mut self, pieces: Vec<Piece>) -> ExprId {
        let pieces = self.normal_pieces(pieces);
        let constant = self.constant_bytes(&pieces);
        let bytes = self.expressions.intern_bytes(pieces);
        match constant {
            Some(constant) => {
                let hash = self.expressions.intern_constant_hash(&constant, bytes);
                self.remember_list_root(hash);
                hash
            }
            None => self.expressions.intern(Node::Keccak(bytes), U256::MAX, Sources::NONE),
        }
    }

    fn remember_list_root(&mut self, hash: ExprId) {
        if let Some(&[Piece::Word { word, from: 0, to: 32 }]) = self.expressions.preimage(hash)
            && let Some(value) = self.value(hash)
            && let Err(place) = self.list_roots.binary_search_by_key(&value, |root| root.0)
        {
            self.list_roots.insert(place, (value, word));
        }
    }

    /// The list whose data starts at or before `value`, no further than `reach`, and the distance to there.
    pub(crate) fn list_root(&self, value: U256, reach: u64) -> Option<(ExprId, u64)> {
        let index = self.list_roots.partition_point(|root| root.0 <= value).checked_sub(1)?;
        let (root, slot) = self.list_roots[index];
        let distance = value - root;
        (distance < U256::from(reach)).then(|| (slot, distance.to::<u64>()))
    }

    /// A byte string as a mapping key: the word itself where it is exactly one.
    pub(crate) fn key_of(&mut self, pieces: &[Piece]) -> ExprId {
        if let [Piece::Word { word, from: 0, to: 32 }] = *pieces {
            return word;
        }
        let bytes = self.expressions.intern_bytes(pieces.to_vec());
        self.expressions.intern(Node::Bytes(bytes), U256::MAX, Sources::NONE)
    }

    /// Joins neighbouring parts of one word, and neighbouring constants.
    pub(crate) fn normal_pieces(&mut self, pieces: Vec<Piece>) -> Vec<Piece> {
        let mut result: Vec<Piece> = Vec::with_capacity(pieces.len());
        let mut literal: Vec<u8> = Vec::new();
        for piece in pieces {
            if let Piece::Word { word, from, to } = piece {
                if let Some(value) = self.value(word) {
                    literal.extend_from_slice(&value.to_be_bytes::<32>()[usize::from(from)..usize::from(to)]);
                    continue;
                }
                self.flush_literal(&mut literal, &mut result);
                if let Some(Piece::Word { word: last, to: end, .. }) = result.last_mut()
                    && *last == word
                    && *end == from
                {
                    *end = to;
                    continue;
                }
            } else {
                self.flush_literal(&mut literal, &mut result);
            }
            result.push(piece);
        }
        self.flush_literal(&mut literal, &mut result);
        result
    }

    fn flush_literal(&mut self, literal: &mut Vec<u8>, result: &mut Vec<Piece>) {
        for chunk in literal.chunks(32) {
            // A short chunk is the high end of its word, so that equal bytes make equal pieces.
            let mut word = [0u8; 32];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = self.constant(U256::from_be_bytes(word));
            result.push(Piece::Word { word, from: 0, to: chunk.len() as u8 });
        }
        literal.clear();
    }

    fn constant_bytes(&self, pieces: &[Piece]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in pieces {
            let Piece::Word { word, from, to } = *piece else { return None };
            let value = self.value(word)?.to_be_bytes::<32>();
            bytes.extend_from_slice(&value[usize::from(from)..usize::from(to)]);
        }
        Some(bytes)
    }
}
