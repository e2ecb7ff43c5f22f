//! The values of one trace while it is built: hash-consed, folded, and replaced by what the path has decided.
//!
//! In: opcodes over [`Value`]s. Out: the operations that remain, in order, still over values. Pure operations are
//! shared and simplified on the way in; constants are folded by revm's own instructions. A fact about a value is used
//! only after the guard that establishes it, because values are asked for in the order of the trace.

use alloy_primitives::U256;
use revm_bytecode::opcode;
use rustc_hash::FxHashMap;

use super::program::{BinaryOp, FrameWord, Op, UnaryOp};
use crate::fold::Folder;

/// A word of the trace, by the order in which it came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Value(pub(super) u16);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// It is in the code.
    Constant(U256),
    /// It is on the stack when the trace starts, so many words below the top.
    Input(u16),
    /// The operation of this number leaves it.
    Operation(u32),
}

/// The values and operations of one trace.
pub(super) struct Values<'a> {
    folder: &'a mut Folder,
    /// The first four bytes of calldata, where the trace is for one selector.
    selector: Option<[u8; 4]>,
    origins: Vec<Origin>,
    constants: FxHashMap<U256, Value>,
    inputs: FxHashMap<u16, Value>,
    pure_operations: FxHashMap<Op<Value>, Value>,
    /// Values of which the path says whether they are zero.
    facts: FxHashMap<Value, bool>,
    /// Every operation so far.
    pub(super) operations: Vec<Op<Value>>,
}

impl<'a> Values<'a> {
    pub(super) fn new(folder: &'a mut Folder, selector: Option<[u8; 4]>) -> Self {
        Self {
            folder,
            selector,
            origins: Vec::new(),
            constants: FxHashMap::default(),
            inputs: FxHashMap::default(),
            pure_operations: FxHashMap::default(),
            facts: FxHashMap::default(),
            operations: Vec::new(),
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.origins.len()
    }

    /// Where a value comes from.
    pub(super) fn origin(&self, value: Value) -> Origin {
        self.origins[usize::from(value.0)]
    }

    fn fresh(&mut self, origin: Origin) -> Value {
        // The trace ends long before so many values exist; see `MAX_OPERATIONS` in `trace`.
        let value = Value(u16::try_from(self.origins.len()).unwrap_or(u16::MAX));
        self.origins.push(origin);
        value
    }

    /// A constant.
    pub(super) fn constant(&mut self, word: U256) -> Value {
        if let Some(value) = self.constants.get(&word) {
            return *value;
        }
        let value = self.fresh(Origin::Constant(word));
        self.constants.insert(word, value);
        value
    }

    /// The stack word so far below the top at the start.
    pub(super) fn input(&mut self, depth: u16) -> Value {
        if let Some(value) = self.inputs.get(&depth) {
            return *value;
        }
        let value = self.fresh(Origin::Input(depth));
        self.inputs.insert(depth, value);
        value
    }

    /// The word, if it is known: a constant, or a value that the path has decided to be zero.
    pub(super) fn known(&self, value: Value) -> Option<U256> {
        if let Origin::Constant(word) = self.origin(value) {
            return Some(word);
        }
        match self.truth(value) {
            Some(false) => Some(U256::ZERO),
            Some(true) if self.bits(value) == 1 => Some(U256::from(1)),
            _ => None,
        }
    }

    /// The word as an offset, if it is a constant that can be one.
    pub(super) fn offset(&self, value: Value) -> Option<u64> {
        self.known(value).and_then(|word| u64::try_from(word).ok()).filter(|offset| *offset < 1 << 40)
    }

    /// The operation that leaves the value.
    pub(super) fn operation(&self, value: Value) -> Option<Op<Value>> {
        match self.origin(value) {
            Origin::Operation(index) => self.operations.get(index as usize).copied(),
            _ => None,
        }
    }

    /// Adds an operation that must run whenever the trace reaches it, or whose result is a new one each time.
    pub(super) fn effect(&mut self, mut operation: Op<Value>) -> Value {
        let value = self.fresh(Origin::Operation(self.operations.len() as u32));
        if let Some(to) = operation.result() {
            *to = value.0;
        }
        self.operations.push(operation);
        value
    }

    /// Adds an operation whose result depends on its operands alone, unless there is one like it.
    pub(super) fn shared(&mut self, operation: Op<Value>) -> Value {
        if let Some(value) = self.pure_operations.get(&operation) {
            return *value;
        }
        let value = self.effect(operation);
        self.pure_operations.insert(operation, value);
        value
    }

    /// A word of the frame.
    pub(super) fn frame(&mut self, word: FrameWord) -> Value {
        self.shared(Op::Frame { word, to: 0 })
    }

    /// A word of calldata.
    pub(super) fn call_data(&mut self, offset: Value) -> Value {
        self.shared(Op::CallDataLoad { to: 0, offset })
    }

    /// A pure operation on one word.
    pub(super) fn unary(&mut self, op: UnaryOp, a: Value) -> Value {
        if let Some(word) = self.known(a)
            && let Some(folded) = self.folder.fold(unary_opcode(op), &[word])
        {
            return self.constant(folded);
        }
        if op == UnaryOp::IsZero {
            if self.truth(a) == Some(true) {
                return self.constant(U256::ZERO);
            }
            if self.selector.is_some() && self.is_call_data_size(a) {
                return self.constant(U256::ZERO);
            }
            if let Some(Op::Unary { op: UnaryOp::IsZero, a: inner, .. }) = self.operation(a)
                && self.bits(inner) == 1
            {
                return inner;
            }
        }
        self.shared(Op::Unary { op, to: 0, a })
    }

    /// A pure operation on two words.
    pub(super) fn binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        let (left, right) = (self.known(a), self.known(b));
        if let (Some(left), Some(right)) = (left, right)
            && let Some(folded) = self.folder.fold(binary_opcode(op), &[left, right])
        {
            return self.constant(folded);
        }
        if let Some(simpler) = self.simplify(op, (a, left), (b, right)) {
            return simpler;
        }
        // One order for operations that commute, so that both orders are shared.
        let commutes = matches!(
            op,
            BinaryOp::Add | BinaryOp::Mul | BinaryOp::Eq | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor
        );
        let (a, b) = if commutes && b < a { (b, a) } else { (a, b) };
        self.shared(Op::Binary { op, to: 0, a, b })
    }

    fn simplify(
        &mut self,
        op: BinaryOp,
        (a, left): (Value, Option<U256>),
        (b, right): (Value, Option<U256>),
    ) -> Option<Value> {
        let zero = Some(U256::ZERO);
        let one = Some(U256::from(1));
        match op {
            BinaryOp::Add | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Shl | BinaryOp::Shr | BinaryOp::Sar
                if left == zero =>
            {
                Some(b)
            }
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Or | BinaryOp::Xor if right == zero => Some(a),
            BinaryOp::Mul | BinaryOp::And if left == zero || right == zero => Some(self.constant(U256::ZERO)),
            BinaryOp::Mul if left == one => Some(b),
            BinaryOp::Mul | BinaryOp::Div if right == one => Some(a),
            BinaryOp::Sub | BinaryOp::Xor | BinaryOp::Lt | BinaryOp::Gt if a == b => {
                Some(self.constant(U256::ZERO))
            }
            BinaryOp::Eq if a == b => Some(self.constant(U256::from(1))),
            BinaryOp::And | BinaryOp::Or if a == b => Some(a),
            BinaryOp::And => {
                let (mask, word) = match (left, right) {
                    (Some(mask), None) => (mask, b),
                    (None, Some(mask)) => (mask, a),
                    _ => return None,
                };
                if is_low_mask(mask) && self.bits(word) <= mask.bit_len() {
                    return Some(word);
                }
                let selector = self.selector?;
                let top = U256::from(0xffff_ffff_u32) << 224;
                (mask == top && self.is_first_word(word))
                    .then(|| self.constant(U256::from(u32::from_be_bytes(selector)) << 224))
            }
            BinaryOp::Shr if left == Some(U256::from(224)) && self.is_first_word(b) => {
                let selector = self.selector?;
                Some(self.constant(U256::from(u32::from_be_bytes(selector))))
            }
            BinaryOp::Div if right == Some(U256::from(1) << 224) && self.is_first_word(a) => {
                let selector = self.selector?;
                Some(self.constant(U256::from(u32::from_be_bytes(selector))))
            }
            // Calldata that holds a selector has at least four bytes.
            BinaryOp::Lt if self.selector.is_some() && self.is_call_data_size(a) => {
                right.filter(|bound| *bound <= U256::from(4)).map(|_| self.constant(U256::ZERO))
            }
            BinaryOp::Gt if self.selector.is_some() && self.is_call_data_size(b) => {
                left.filter(|bound| *bound <= U256::from(4)).map(|_| self.constant(U256::ZERO))
            }
            BinaryOp::Gt if self.selector.is_some() && self.is_call_data_size(a) => {
                right.filter(|bound| *bound < U256::from(4)).map(|_| self.constant(U256::from(1)))
            }
            BinaryOp::Lt if self.selector.is_some() && self.is_call_data_size(b) => {
                left.filter(|bound| *bound < U256::from(4)).map(|_| self.constant(U256::from(1)))
            }
            _ => None,
        }
    }

    fn is_call_data_size(&self, value: Value) -> bool {
        matches!(self.operation(value), Some(Op::Frame { word: FrameWord::CallDataSize, .. }))
    }

    fn is_first_word(&self, value: Value) -> bool {
        match self.operation(value) {
            Some(Op::CallDataLoad { offset, .. }) => self.known(offset) == Some(U256::ZERO),
            _ => false,
        }
    }

    /// An upper bound of the number of significant bits.
    fn bits(&self, value: Value) -> usize {
        match self.origin(value) {
            Origin::Constant(word) => word.bit_len(),
            Origin::Input(_) => 256,
            Origin::Operation(index) => match &self.operations[index as usize] {
                Op::Frame {
                    word: FrameWord::Address | FrameWord::Origin | FrameWord::Caller | FrameWord::Coinbase,
                    ..
                }
                | Op::Create { .. } => 160,
                Op::Unary { op: UnaryOp::IsZero, .. } | Op::Call { .. } => 1,
                Op::Unary { op: UnaryOp::Clz, .. } => 9,
                Op::Binary { op, a, b, .. } => self.binary_bits(*op, *a, *b),
                _ => 256,
            },
        }
    }

    fn binary_bits(&self, op: BinaryOp, a: Value, b: Value) -> usize {
        let constant = |value: Value| match self.origin(value) {
            Origin::Constant(word) => Some(word),
            _ => None,
        };
        match op {
            BinaryOp::Lt | BinaryOp::Gt | BinaryOp::SLt | BinaryOp::SGt | BinaryOp::Eq => 1,
            BinaryOp::Byte => 8,
            // One side is enough for the bound; following both would double at every level.
            BinaryOp::And => match (constant(a), constant(b)) {
                (Some(mask), _) | (None, Some(mask)) => mask.bit_len(),
                _ => 256,
            },
            BinaryOp::Shr => match constant(a).and_then(|shift| usize::try_from(shift).ok()) {
                Some(shift) => 256_usize.saturating_sub(shift),
                None => 256,
            },
            BinaryOp::Div => match constant(b) {
                Some(divisor) if !divisor.is_zero() => 257 - divisor.bit_len(),
                _ => 256,
            },
            _ => 256,
        }
    }

    /// Whether the path has decided that a value is not zero, or that it is.
    pub(super) fn truth(&self, value: Value) -> Option<bool> {
        match self.origin(value) {
            Origin::Constant(word) => Some(!word.is_zero()),
            _ => match self.facts.get(&value) {
                Some(fact) => Some(*fact),
                None => match self.operation(value) {
                    Some(Op::Unary { op: UnaryOp::IsZero, a, .. }) => self.facts.get(&a).map(|inner| !inner),
                    _ => None,
                },
            },
        }
    }

    /// Notes that a value is not zero, or that it is, and what follows from that.
    pub(super) fn assume(&mut self, value: Value, nonzero: bool) {
        if matches!(self.origin(value), Origin::Constant(_)) || self.facts.insert(value, nonzero).is_some() {
            return;
        }
        match self.operation(value) {
            Some(Op::Unary { op: UnaryOp::IsZero, a, .. }) => self.assume(a, !nonzero),
            Some(Op::Binary { op: BinaryOp::And, a, b, .. }) if nonzero => {
                self.assume(a, true);
                self.assume(b, true);
            }
            Some(Op::Binary { op: BinaryOp::Or, a, b, .. }) if !nonzero => {
                self.assume(a, false);
                self.assume(b, false);
            }
            _ => {}
        }
    }

    /// What the path has decided so far, to come back to.
    pub(super) fn facts(&self) -> FxHashMap<Value, bool> {
        self.facts.clone()
    }

    /// Comes back to what the path had decided.
    pub(super) fn restore(&mut self, facts: FxHashMap<Value, bool>) {
        self.facts = facts;
    }

    /// The means to fold constants.
    pub(super) fn folder(&mut self) -> &mut Folder {
        self.folder
    }

    /// A value as an offset from another: `base + offset`, or a plain number.
    pub(super) fn address(&self, value: Value) -> Option<(Option<Value>, u64)> {
        if let Some(offset) = self.offset(value) {
            return Some((None, offset));
        }
        let mut base = value;
        let mut total = 0_u64;
        while let Some(Op::Binary { op: BinaryOp::Add, a, b, .. }) = self.operation(base) {
            let (rest, offset) = match (self.offset(a), self.offset(b)) {
                (Some(offset), None) => (b, offset),
                (None, Some(offset)) => (a, offset),
                _ => break,
            };
            base = rest;
            total = total.checked_add(offset)?;
        }
        Some((Some(base), total))
    }

    /// Folds an opcode over constants.
    pub(super) fn fold(&mut self, op: u8, operands: &[U256]) -> Option<U256> {
        self.folder.fold(op, operands)
    }
}

fn is_low_mask(mask: U256) -> bool {
    (mask & mask.wrapping_add(U256::from(1))).is_zero()
}

fn unary_opcode(op: UnaryOp) -> u8 {
    match op {
        UnaryOp::IsZero => opcode::ISZERO,
        UnaryOp::Not => opcode::NOT,
        UnaryOp::Clz => opcode::CLZ,
    }
}

fn binary_opcode(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Add => opcode::ADD,
        BinaryOp::Mul => opcode::MUL,
        BinaryOp::Sub => opcode::SUB,
        BinaryOp::Div => opcode::DIV,
        BinaryOp::SDiv => opcode::SDIV,
        BinaryOp::Mod => opcode::MOD,
        BinaryOp::SMod => opcode::SMOD,
        BinaryOp::Exp => opcode::EXP,
        BinaryOp::SignExtend => opcode::SIGNEXTEND,
        BinaryOp::Lt => opcode::LT,
        BinaryOp::Gt => opcode::GT,
        BinaryOp::SLt => opcode::SLT,
        BinaryOp::SGt => opcode::SGT,
        BinaryOp::Eq => opcode::EQ,
        BinaryOp::And => opcode::AND,
        BinaryOp::Or => opcode::OR,
        BinaryOp::Xor => opcode::XOR,
        BinaryOp::Byte => opcode::BYTE,
        BinaryOp::Shl => opcode::SHL,
        BinaryOp::Shr => opcode::SHR,
        BinaryOp::Sar => opcode::SAR,
    }
}

/// The pure operation on two words that an opcode stands for.
pub(super) fn binary_operation(code: u8) -> Option<BinaryOp> {
    Some(match code {
        opcode::ADD => BinaryOp::Add,
        opcode::MUL => BinaryOp::Mul,
        opcode::SUB => BinaryOp::Sub,
        opcode::DIV => BinaryOp::Div,
        opcode::SDIV => BinaryOp::SDiv,
        opcode::MOD => BinaryOp::Mod,
        opcode::SMOD => BinaryOp::SMod,
        opcode::EXP => BinaryOp::Exp,
        opcode::SIGNEXTEND => BinaryOp::SignExtend,
        opcode::LT => BinaryOp::Lt,
        opcode::GT => BinaryOp::Gt,
        opcode::SLT => BinaryOp::SLt,
        opcode::SGT => BinaryOp::SGt,
        opcode::EQ => BinaryOp::Eq,
        opcode::AND => BinaryOp::And,
        opcode::OR => BinaryOp::Or,
        opcode::XOR => BinaryOp::Xor,
        opcode::BYTE => BinaryOp::Byte,
        opcode::SHL => BinaryOp::Shl,
        opcode::SHR => BinaryOp::Shr,
        opcode::SAR => BinaryOp::Sar,
        _ => return None,
    })
}
