//! Expressions, slots and conditions as text that a Solidity developer reads.
//!
//! In: an expression and a [`Names`] that knows the contract's variables and parameters. Out: `balances[caller]`,
//! `slot 3[arg0]`, `a.caller == b.to`. Text is for people: nothing may parse it back.

use alloy_primitives::U256;
use revm_bytecode::{OpCode, opcode as op};

use crate::{
    access::{ByteRange, Condition},
    expression::{Environment, Expressions, Node, Piece, Space},
    id::ExprId,
    location::{Projection, Root, Slot},
    slot::scaled,
    summary::Entry,
    update::{bits_of, hull},
};

/// Operators nested deeper than this are shown as `…`.
const MAX_DEPTH: u32 = 7;

/// An operand whose text is longer than this, in bytes, is shown as `…`: nobody reads it, and texts of texts explode.
const MAX_TEXT: usize = 160;

/// Operations and operands whose text is sure to be longer than that.
const MAX_PARTS: u32 = 128;

/// Names that only the compiler's output knows.
pub trait Names {
    /// The name of the variable, with the path to the accessed part, such as `balances[to]` or `config.fee`; `key`
    /// renders the key or index expressions on the slot's path. `None` leaves the synthetic name.
    fn slot(&self, slot: &Slot, bytes: ByteRange, key: &mut dyn FnMut(ExprId) -> String) -> Option<String>;

    /// The parameter whose word stands at byte `offset` of the calldata of `entry` (the first one at 4).
    fn parameter(&self, entry: Entry, offset: U256) -> Option<String>;

    /// The element at `index`, in units of `stride` slots from `start`, of a list that has its elements in place, if there is
    /// one.
    fn element(
        &self,
        start: U256,
        stride: u32,
        index: &dyn Fn() -> String,
        bytes: ByteRange,
    ) -> Option<String> {
        let _ = (start, stride, index, bytes);
        None
    }

    /// The immutable variable with this number.
    fn immutable(&self, id: u32) -> Option<String> {
        let _ = id;
        None
    }
}

/// No names: `slot 3[arg0]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Names for Plain {
    fn slot(&self, _: &Slot, _: ByteRange, _: &mut dyn FnMut(ExprId) -> String) -> Option<String> {
        None
    }

    fn parameter(&self, _: Entry, _: U256) -> Option<String> {
        None
    }
}

/// Renders what belongs to one entry of a contract.
///
/// ```
/// use deconflict_analyzer::{Options, Plain, Render, analyze};
///
/// let code = [0x60, 0x01, 0x33, 0x55, 0x00];
/// let analysis = analyze(code.into(), &Options::default());
/// let summary = &analysis.summaries[0];
/// let (expressions, entry) = (&analysis.expressions, summary.entry);
/// let render = Render { expressions, names: &Plain, entry, prefix: "" };
/// let access = &summary.accesses[0];
/// assert_eq!(render.slot(&access.slot, access.bytes), "raw(caller)");
/// ```
#[derive(Clone, Copy)]
pub struct Render<'a> {
    /// The arena.
    pub expressions: &'a Expressions,
    /// The names.
    pub names: &'a dyn Names,
    /// Whose calldata a calldata word is.
    pub entry: Entry,
    /// Put before every word that differs from call to call, such as `a.`; usually empty.
    pub prefix: &'a str,
}

impl Render<'_> {
    /// A word.
    pub fn expression(&self, id: ExprId) -> String {
        self.word(id, 0).0
    }

    /// A location; the byte range is shown by its field's name, else as `{0..20}` when it is not the whole word.
    pub fn slot(&self, slot: &Slot, bytes: ByteRange) -> String {
        self.location(slot, bytes, 0)
    }

    /// A location of storage or transient storage.
    pub fn access_slot(&self, space: Space, slot: &Slot, bytes: ByteRange) -> String {
        match space {
            Space::Storage => self.slot(slot, bytes),
            Space::Transient => format!("transient {}", Render { names: &Plain, ..*self }.slot(slot, bytes)),
        }
    }

    /// Conditions of which one holds, such as `caller == owner || isOperator[caller]`.
    pub fn any_of(&self, conditions: &[Condition]) -> String {
        let each: Vec<String> = conditions.iter().map(|it| self.condition(*it)).collect();
        each.join(" || ")
    }

    /// A path condition, such as `from != 0`.
    pub fn condition(&self, condition: Condition) -> String {
        let Condition { expression, holds } = condition;
        if let Node::Binary { op, a, b } = self.expressions.node(expression) {
            let sign = match (op, holds) {
                (op::EQ, true) => Some("=="),
                (op::EQ, false) => Some("!="),
                (op::LT | op::SLT, true) => Some("<"),
                (op::LT | op::SLT, false) => Some(">="),
                _ => None,
            };
            if let Some(sign) = sign {
                return format!("{} {sign} {}", self.operand(a, 1), self.operand(b, 1));
            }
        }
        let is_boolean = self.expressions.bits(expression) <= 1;
        match (is_boolean, holds) {
            (true, true) => self.expression(expression),
            (true, false) => format!("!{}", self.operand(expression, 0)),
            (false, true) => format!("{} != 0", self.operand(expression, 0)),
            (false, false) => format!("{} == 0", self.operand(expression, 0)),
        }
    }

    fn location(&self, slot: &Slot, bytes: ByteRange, depth: u32) -> String {
        let mut key = |id| self.word(id, depth + 1).0;
        if let Some(name) = self.names.slot(slot, bytes, &mut key) {
            return name;
        }
        let mut text = match slot.root {
            Root::Fixed(number) => format!("slot {}", number_text(number)),
            Root::Raw(id) => match self.in_place(id, bytes, depth).filter(|_| slot.path.is_empty()) {
                Some(name) => return name,
                None => format!("raw({})", self.word(id, depth + 1).0),
            },
            Root::Unknown(_) => "unknown slot".to_owned(),
        };
        for step in &slot.path {
            match *step {
                Projection::Mapping { key } => {
                    text = format!("{text}[{}]", self.word(key, depth + 1).0);
                }
                Projection::Element { index, .. } => {
                    text = format!("array({text})[{}]", self.word(index, depth + 1).0);
                }
                Projection::Index { index, .. } => {
                    text = format!("range({text})[{}]", self.word(index, depth + 1).0);
                }
                Projection::Offset(offset) => text = format!("{text} + {offset}"),
            }
        }
        if bytes != ByteRange::WORD {
            text = format!("{text}{{{}..{}}}", bytes.from, bytes.to);
        }
        text
    }

    /// `start + index · stride` as the element of a list.
    fn in_place(&self, sum: ExprId, bytes: ByteRange, depth: u32) -> Option<String> {
        let Node::Binary { op: op::ADD, a, b } = self.expressions.node(sum) else { return None };
        let (start, product) = match (self.expressions.constant(a), self.expressions.constant(b)) {
            (Some(start), None) => (start, b),
            (None, Some(start)) => (start, a),
            _ => return None,
        };
        let (index, stride) = scaled(self.expressions, product);
        self.names.element(start, stride, &|| self.word(index, depth + 1).0, bytes)
    }

    /// A word that is an operand: in parentheses if it is an operation itself.
    fn operand(&self, id: ExprId, depth: u32) -> String {
        let (text, compound) = self.word(id, depth);
        if compound { format!("({text})") } else { text }
    }

    fn own(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The text, and whether it is an operation.
    fn word(&self, id: ExprId, depth: u32) -> (String, bool) {
        if depth > 0 && self.is_large(id, depth, &mut 0) {
            return ("…".to_owned(), false);
        }
        let (text, compound) = self.full_word(id, depth);
        if depth > 0 && text.len() > MAX_TEXT { ("…".to_owned(), false) } else { (text, compound) }
    }

    /// Whether a word has so many parts that its text would be cut: writing it out first would cost the most where nothing
    /// of it is shown.
    fn is_large(&self, id: ExprId, depth: u32, parts: &mut u32) -> bool {
        *parts += 1;
        if *parts > MAX_PARTS {
            return true;
        }
        // A load is shown by its slot, and what lies too deep is not shown.
        if depth > MAX_DEPTH || matches!(self.expressions.node(id), Node::Load { .. }) {
            return false;
        }
        self.expressions.operands(id).into_iter().any(|part| self.is_large(part, depth + 1, parts))
    }

    fn full_word(&self, id: ExprId, depth: u32) -> (String, bool) {
        if let Some(value) = self.expressions.constant(id) {
            return (number_text(value), false);
        }
        if depth > MAX_DEPTH {
            return ("…".to_owned(), false);
        }
        let next = depth + 1;
        let atom = |text: String| (text, false);
        match self.expressions.node(id) {
            Node::Constant(_) => atom("?".to_owned()),
            Node::Environment(environment) => atom(self.environment(environment)),
            Node::Immutable(number) => {
                atom(self.names.immutable(number).unwrap_or_else(|| format!("immutable#{number}")))
            }
            Node::CalldataWord { offset } => atom(self.calldata(offset, next)),
            Node::Load { slot, space, .. } => atom(self.load(space, slot, ByteRange::WORD, next)),
            Node::Unary { op: op::ISZERO, a } => (format!("{} == 0", self.operand(a, next)), true),
            Node::Unary { op: op::NOT, a } => (format!("~{}", self.operand(a, next)), false),
            Node::Unary { op, a } => atom(format!("{}({})", name_of(op), self.word(a, next).0)),
            Node::Binary { op, a, b } => self.binary(id, op, a, b, next),
            Node::Ternary { op, a, b, c } => atom(format!(
                "{}({}, {}, {})",
                name_of(op),
                self.word(a, next).0,
                self.word(b, next).0,
                self.word(c, next).0
            )),
            Node::Keccak(bytes) => {
                atom(format!("keccak({})", self.pieces(self.expressions.pieces(bytes), next)))
            }
            Node::Bytes(bytes) => atom(self.pieces(self.expressions.pieces(bytes), next)),
            Node::Phi { .. } => atom(self.phi(id, next)),
            Node::Unknown(_) => atom("any".to_owned()),
            Node::CallSuccess(site) => atom(format!("success@{}", self.expressions.site_pc(site))),
            Node::ReturnSize(site) => atom(format!("returndatasize@{}", self.expressions.site_pc(site))),
            Node::ReturnWord { site, offset } => {
                let pc = self.expressions.site_pc(site);
                match self.expressions.constant(offset) {
                    Some(offset) if offset.is_zero() => atom(format!("result@{pc}")),
                    _ => atom(format!("result@{pc}[{}]", self.word(offset, next).0)),
                }
            }
            Node::Created(site) => atom(format!("created@{}", self.expressions.site_pc(site))),
            Node::Balance { address, .. } => atom(format!("{}.balance", self.operand(address, next))),
            Node::CodeSize(address) => atom(format!("{}.code.length", self.operand(address, next))),
            Node::CodeHash(address) => atom(format!("{}.codehash", self.operand(address, next))),
            Node::BlockHash(number) => atom(format!("blockhash({})", self.word(number, next).0)),
            Node::BlobHash(index) => atom(format!("blobhash({})", self.word(index, next).0)),
            Node::Gas(_) => atom(self.own("gasleft")),
            Node::MemorySize(_) => atom("msize".to_owned()),
        }
    }

    fn binary(&self, id: ExprId, op: u8, a: ExprId, b: ExprId, depth: u32) -> (String, bool) {
        if let Some((word, mask)) = crate::uses::field_of(self.expressions, id) {
            if let Node::Load { slot, space, .. } = self.expressions.node(word)
                && let Some(bytes) = hull(mask).filter(|bytes| bits_of(*bytes) == mask)
                && !matches!(op, op::SHL)
            {
                return (self.load(space, slot, bytes, depth), false);
            }
            // A mask that only cleans a value to its type says nothing to the reader.
            let cleans = (mask & mask.wrapping_add(U256::from(1))).is_zero() && mask.bit_len() % 8 == 0;
            if op == op::AND && word == a && cleans {
                return self.word(word, depth);
            }
        }
        let sign = match op {
            op::ADD => "+",
            op::SUB => "-",
            op::MUL => "*",
            op::DIV | op::SDIV => "/",
            op::MOD | op::SMOD => "%",
            op::EXP => "**",
            op::LT | op::SLT => "<",
            op::GT | op::SGT => ">",
            op::EQ => "==",
            op::AND => "&",
            op::OR => "|",
            op::XOR => "^",
            op::SHL => return (format!("{} << {}", self.operand(b, depth), self.operand(a, depth)), true),
            op::SHR | op::SAR => {
                return (format!("{} >> {}", self.operand(b, depth), self.operand(a, depth)), true);
            }
            _ => {
                return (
                    format!("{}({}, {})", name_of(op), self.word(a, depth).0, self.word(b, depth).0),
                    false,
                );
            }
        };
        if op == op::ADD
            && let Some(value) = self.expressions.constant(b).filter(|value| value.bit(255))
        {
            return (format!("{} - {}", self.operand(a, depth), number_text(value.wrapping_neg())), true);
        }
        (format!("{} {sign} {}", self.operand(a, depth), self.operand(b, depth)), true)
    }

    fn load(&self, space: Space, slot: ExprId, bytes: ByteRange, depth: u32) -> String {
        let text = match self.expressions.slot(slot) {
            Some(slot) => self.location(slot, bytes, depth),
            None => format!("storage[{}]", self.word(slot, depth).0),
        };
        match space {
            Space::Storage => text,
            Space::Transient => format!("transient {text}"),
        }
    }

    fn environment(&self, environment: Environment) -> String {
        match environment {
            Environment::Address => "this".to_owned(),
            Environment::Caller => self.own("caller"),
            Environment::Origin => self.own("origin"),
            Environment::CallValue => self.own("value"),
            Environment::CalldataSize => self.own("calldatasize"),
            Environment::GasPrice => self.own("gasprice"),
            Environment::Coinbase => "block.coinbase".to_owned(),
            Environment::Timestamp => "block.timestamp".to_owned(),
            Environment::Number => "block.number".to_owned(),
            Environment::PrevRandao => "block.prevrandao".to_owned(),
            Environment::GasLimit => "block.gaslimit".to_owned(),
            Environment::ChainId => "block.chainid".to_owned(),
            Environment::BaseFee => "block.basefee".to_owned(),
            Environment::BlobBaseFee => "block.blobbasefee".to_owned(),
            Environment::OtherBlock => "block".to_owned(),
        }
    }

    /// The parameter or word at a byte offset of calldata.
    fn calldata(&self, offset: ExprId, depth: u32) -> String {
        if let Some(at) = self.expressions.constant(offset) {
            return self.own(&self.parameter(at));
        }
        // A tail word of a dynamic parameter: head word + 4 (+ 32 for the length) + element.
        let (base, constant) = match self.expressions.node(offset) {
            Node::Binary { op: op::ADD, a, b } => match self.expressions.constant(b) {
                Some(constant) => (a, constant),
                None => (offset, U256::ZERO),
            },
            _ => (offset, U256::ZERO),
        };
        let head = |id| match self.expressions.node(id) {
            Node::CalldataWord { offset } => self.expressions.constant(offset),
            _ => None,
        };
        if let Some(at) = head(base) {
            let name = self.own(&self.parameter(at));
            if constant == U256::from(4) {
                return format!("{name}.length");
            }
            let index = constant.wrapping_sub(U256::from(36));
            if constant >= U256::from(36) && (index % U256::from(32)).is_zero() {
                return format!("{name}[{}]", index / U256::from(32));
            }
        }
        if let Node::Binary { op: op::ADD, a, b } = self.expressions.node(base)
            && constant == U256::from(36)
        {
            for (array, index) in [(a, b), (b, a)] {
                if let (Some(at), Node::Binary { op: op::SHL, a: count, b: index }) =
                    (head(array), self.expressions.node(index))
                    && self.expressions.constant(count) == Some(U256::from(5))
                {
                    return format!("{}[{}]", self.own(&self.parameter(at)), self.word(index, depth).0);
                }
            }
        }
        format!("{}[{}]", self.own("calldata"), self.word(offset, depth).0)
    }

    fn parameter(&self, offset: U256) -> String {
        if let Some(name) = self.names.parameter(self.entry, offset) {
            return name;
        }
        let four = U256::from(4);
        if offset >= four && ((offset - four) % U256::from(32)).is_zero() {
            format!("arg{}", (offset - four) / U256::from(32))
        } else {
            format!("calldata[{offset}]")
        }
    }

    fn pieces(&self, pieces: &[Piece], depth: u32) -> String {
        let parts: Vec<String> = pieces
            .iter()
            .map(|piece| match *piece {
                Piece::Word { word, from: 0, to: 32 } => self.word(word, depth).0,
                Piece::Word { word, from, to } => match self.expressions.constant(word) {
                    Some(value) => format!(
                        "0x{}",
                        alloy_primitives::hex::encode(
                            &value.to_be_bytes::<32>()[usize::from(from)..usize::from(to)]
                        )
                    ),
                    // The low bytes of a word that has no others are the word.
                    None if self.expressions.bits(word) <= 8 * u32::from(to - from) && to == 32 => {
                        self.word(word, depth).0
                    }
                    None => format!("{}[{from}..{to}]", self.operand(word, depth)),
                },
                Piece::Calldata { offset, length } => {
                    format!(
                        "{}[{}; {}]",
                        self.own("calldata"),
                        self.word(offset, depth).0,
                        self.word(length, depth).0
                    )
                }
                Piece::Opaque { .. } => "any".to_owned(),
            })
            .collect();
        parts.join(" . ")
    }

    /// A value that depends on the way taken: its alternatives where they are few and plain.
    fn phi(&self, id: ExprId, depth: u32) -> String {
        let operands = self.expressions.phi_operands(id);
        let plain = operands.len() <= 3
            && operands.iter().all(|operand| {
                self.expressions.constant(*operand).is_some()
                    || matches!(
                        self.expressions.node(*operand),
                        Node::Environment(_) | Node::CalldataWord { .. } | Node::Immutable(_)
                    )
            });
        if plain && !operands.is_empty() {
            let parts: Vec<String> = operands.iter().map(|operand| self.word(*operand, depth).0).collect();
            return format!("({})", parts.join(" or "));
        }
        "any".to_owned()
    }
}

fn name_of(op: u8) -> String {
    OpCode::new(op).map_or_else(|| "op".to_owned(), |op| op.as_str().to_lowercase())
}

/// Small numbers in decimal, type bounds by name, everything else in hexadecimal.
fn number_text(value: U256) -> String {
    if value == U256::MAX {
        return "2**256 - 1".to_owned();
    }
    if value.bit_len() <= 64 {
        return value.to_string();
    }
    if value.bit_len() <= 160 { format!("0x{value:040x}") } else { format!("0x{value:064x}") }
}
