//! Locations and expressions in the grammar of `fixtures/idioms/README.md`.
//!
//! In: what a summary holds. Out: the text that an expectation would have for it, apart from the byte range. Two
//! spellings of one thing (`>> 8` and `/ 256`) come out as one, and [`canonical`] does the same to the expected text.

use alloy_primitives::{U256, hex};
use deconflict_analyzer::{
    Access, Environment, ExprId, Expressions, Node, Pc, Piece, Position, Projection, Root, Slot, Space,
    Summary,
};
use revm::bytecode::opcode as op;
use std::collections::BTreeSet;

/// Writes what belongs to one summary.
pub(crate) struct Text<'a> {
    pub(crate) expressions: &'a Expressions,
    /// Where the calls stand that `ret0`, `ret1`, … name.
    calls: Vec<Pc>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(expressions: &'a Expressions, summary: &Summary) -> Self {
        // In the order of execution: an internal call comes where it is made, not where its body stands.
        let mut calls: Vec<(Vec<Pc>, Pc)> = Vec::new();
        for call in &summary.calls {
            let Position { pc, call_sites, .. } = &call.position;
            calls.push((call_sites.iter().chain([pc]).copied().collect(), *pc));
        }
        calls.sort_unstable();
        let mut known = BTreeSet::new();
        let calls = calls.into_iter().map(|call| call.1).filter(|pc| known.insert(*pc)).collect();
        Self { expressions, calls }
    }

    /// The location of an access.
    pub(crate) fn access(&self, access: &Access) -> String {
        let text = match self.odd_hash(access.expression) {
            Some(text) => text,
            None => self.slot(&access.slot),
        };
        match access.space {
            Space::Storage => text,
            Space::Transient => format!("transient {text}"),
        }
    }

    /// A hash whose parts are not all words: the normal form does not tell their lengths.
    fn odd_hash(&self, id: ExprId) -> Option<String> {
        let pieces = self.expressions.preimage(id)?;
        let is_plain =
            |piece: &Piece| matches!(piece, Piece::Word { from: 0, to: 32, .. } | Piece::Calldata { .. });
        let text_key = matches!(pieces.last(), Some(Piece::Word { word, from: 0, to: 32 })
            if self.expressions.constant(*word).is_some());
        (!pieces.iter().all(is_plain) && !text_key).then(|| format!("slot {}", self.hash(pieces)))
    }

    fn slot(&self, slot: &Slot) -> String {
        let mut text = match slot.root {
            Root::Fixed(number) => format!("slot {}", slot_number(number)),
            Root::Raw(id) => match self.expressions.preimage(id) {
                Some(pieces) => format!("slot {}", self.hash(pieces)),
                None => format!("raw({})", self.word(id)),
            },
            Root::Unknown(_) => "unknown".to_owned(),
        };
        let mut steps = slot.path.iter().peekable();
        while let Some(step) = steps.next() {
            match *step {
                Projection::Mapping { key } => text = format!("{text}[{}]", self.key(key)),
                Projection::Element { index, stride } => {
                    // A distance back from a length belongs to the index.
                    let mut before = U256::ZERO;
                    if let Some(Projection::Offset(offset)) = steps.peek()
                        && offset.bit(255)
                    {
                        before = *offset;
                        steps.next();
                    }
                    text = format!("array({text})[{}]", self.distance(index, stride, before));
                }
                Projection::Index { index, stride } => {
                    text = format!("{text} + {}", grouped(&self.distance(index, stride, U256::ZERO)));
                }
                Projection::Offset(offset) => text = format!("{text} + {offset}"),
            }
        }
        text
    }

    fn distance(&self, index: ExprId, stride: u32, offset: U256) -> String {
        if self.is_any(index) {
            return "*".to_owned();
        }
        let (mut terms, mut constant) = (Vec::new(), offset);
        self.terms(index, &mut terms, &mut constant);
        if stride == 1 {
            return sum(terms, constant);
        }
        format!("{} * {stride}", product_operand(&sum(terms, constant)))
    }

    /// Whether the word is another one in every iteration of a loop.
    fn is_any(&self, id: ExprId) -> bool {
        self.expressions
            .any(id, |part| matches!(self.expressions.node(part), Node::Phi { .. } | Node::Unknown(_)))
    }

    fn key(&self, id: ExprId) -> String {
        let Node::Bytes(bytes) = self.expressions.node(id) else { return self.word(id) };
        let pieces = self.expressions.pieces(bytes);
        if let [Piece::Calldata { offset, .. }] = *pieces
            && let Some(argument) = self.head(offset)
        {
            return format!("bytes(arg{argument})");
        }
        let mut constant = Vec::new();
        for piece in pieces {
            match *piece {
                Piece::Word { word, from, to } if self.expressions.constant(word).is_some() => {
                    let word = self.expressions.constant(word).unwrap_or_default().to_be_bytes::<32>();
                    constant.extend_from_slice(&word[usize::from(from)..usize::from(to)]);
                }
                _ => return self.hash(pieces),
            }
        }
        format!("\"{}\"", String::from_utf8_lossy(&constant))
    }

    /// The argument that holds the distance of the calldata at `offset` from the first argument.
    fn head(&self, offset: ExprId) -> Option<u64> {
        let mut found = None;
        self.expressions.any(offset, |part| {
            if let Node::CalldataWord { offset } = self.expressions.node(part)
                && let Some(at) = self.expressions.constant(offset)
                && found.is_none()
            {
                found = argument(at);
            }
            false
        });
        found
    }

    fn hash(&self, pieces: &[Piece]) -> String {
        let parts: Vec<String> = pieces
            .iter()
            .map(|piece| match *piece {
                Piece::Word { word, from, to } => self.part(word, from, to),
                Piece::Calldata { offset, .. } => match self.head(offset) {
                    Some(argument) => format!("bytes(arg{argument})"),
                    None => "calldata".to_owned(),
                },
                Piece::Opaque { .. } => "*".to_owned(),
            })
            .collect();
        format!("hash({})", merged(&parts))
    }

    fn part(&self, word: ExprId, from: u8, to: u8) -> String {
        let length = to - from;
        if let Some(value) = self.expressions.constant(word) {
            let bytes = &value.to_be_bytes::<32>()[usize::from(from)..usize::from(to)];
            return constant_part(bytes);
        }
        // The high bytes of a word that was moved up to stand there.
        if let Node::Binary { op: op::SHL, a, b } = self.expressions.node(word)
            && self.expressions.constant(a) == Some(U256::from(8 * (32 - u32::from(to))))
        {
            return format!("{}:{length}", self.word(b));
        }
        if to == 32 {
            return format!("{}:{length}", self.word(word));
        }
        format!("{}[{from}..{to}]:{length}", self.word(word))
    }

    /// A word.
    pub(crate) fn word(&self, id: ExprId) -> String {
        if let Some(value) = self.expressions.constant(id) {
            return number(value);
        }
        if let Some(pieces) = self.expressions.preimage(id) {
            return self.hash(pieces);
        }
        match self.expressions.node(id) {
            Node::Environment(Environment::Caller) => "caller".to_owned(),
            Node::Environment(Environment::Address) => "this".to_owned(),
            Node::Environment(other) => format!("{other:?}").to_lowercase(),
            Node::CalldataWord { offset } => match self.expressions.constant(offset) {
                Some(at) if at.is_zero() => "selector".to_owned(),
                Some(at) => {
                    argument(at).map_or_else(|| format!("calldata[{at}]"), |index| format!("arg{index}"))
                }
                None => match self.head(offset) {
                    Some(argument) => format!("element of arg{argument}"),
                    None => format!("calldata[{}]", self.word(offset)),
                },
            },
            Node::Load { space, slot, .. } => {
                let text = match (self.odd_hash(slot), self.expressions.slot(slot)) {
                    (Some(text), _) => text,
                    (None, Some(slot)) => self.slot(slot),
                    (None, None) => format!("storage[{}]", self.word(slot)),
                };
                if space == Space::Transient { format!("transient {text}") } else { text }
            }
            Node::ReturnWord { site, offset } if self.expressions.constant(offset) == Some(U256::ZERO) => {
                let pc = self.expressions.site_pc(site);
                match self.calls.iter().position(|call| *call == pc) {
                    Some(index) => format!("ret{index}"),
                    None => format!("ret@{pc}"),
                }
            }
            Node::Binary { op: op::ADD | op::SUB, .. } => {
                let (mut terms, mut constant) = (Vec::new(), U256::ZERO);
                self.terms(id, &mut terms, &mut constant);
                sum(terms, constant)
            }
            Node::Binary { op, a, b } => self.binary(op, a, b),
            Node::Phi { .. } | Node::Unknown(_) => "*".to_owned(),
            other => format!("{other:?}"),
        }
    }

    fn terms(&self, id: ExprId, terms: &mut Vec<String>, constant: &mut U256) {
        if let Some(value) = self.expressions.constant(id) {
            *constant = constant.wrapping_add(value);
            return;
        }
        match self.expressions.node(id) {
            Node::Binary { op: op::ADD, a, b } => {
                self.terms(a, terms, constant);
                self.terms(b, terms, constant);
            }
            Node::Binary { op: op::SUB, a, b } if self.expressions.constant(b).is_some() => {
                self.terms(a, terms, constant);
                *constant = constant.wrapping_sub(self.expressions.constant(b).unwrap_or_default());
            }
            _ => terms.push(grouped(&self.word(id))),
        }
    }

    fn binary(&self, op: u8, a: ExprId, b: ExprId) -> String {
        let (left, right) = (self.expressions.constant(a), self.expressions.constant(b));
        let power = |count: U256| number(U256::from(1) << count.to::<usize>());
        match (op, left, right) {
            (op::AND, _, Some(mask)) if is_cleaning(mask) || self.is_load(a) => self.word(a),
            (op::AND, _, Some(mask)) => format!("{} & {}", grouped(&self.word(a)), number(mask)),
            (op::SHR | op::SAR, Some(_), _) if self.is_load(b) => self.word(b),
            // The selector stands at the top of its word.
            (op::SHR, Some(count), _) if count == U256::from(224) => self.word(b),
            (op::SHR, Some(count), _) => format!("{} / {}", product_operand(&self.word(b)), power(count)),
            (op::SHL, Some(count), _) if count >= U256::from(96) => self.word(b),
            (op::SHL, Some(count), _) => format!("{} * {}", product_operand(&self.word(b)), power(count)),
            (op::MUL, _, _) => {
                format!("{} * {}", product_operand(&self.word(a)), product_operand(&self.word(b)))
            }
            (op::DIV, _, _) => {
                format!("{} / {}", product_operand(&self.word(a)), product_operand(&self.word(b)))
            }
            _ => format!("op{op:x}({}, {})", self.word(a), self.word(b)),
        }
    }

    /// Whether the word is a loaded word, or a part of one.
    fn is_load(&self, id: ExprId) -> bool {
        match self.expressions.node(id) {
            Node::Load { .. } => true,
            Node::Binary { op: op::SHR | op::SHL, a, b } if self.expressions.constant(a).is_some() => {
                self.is_load(b)
            }
            Node::Binary { op: op::AND | op::DIV, a, b } if self.expressions.constant(b).is_some() => {
                self.is_load(a)
            }
            _ => false,
        }
    }
}

/// A run of set bits that starts or ends at an end of the word and at a byte: it cuts a word to its type.
fn is_cleaning(mask: U256) -> bool {
    let low =
        |mask: U256| (mask & mask.wrapping_add(U256::from(1))).is_zero() && mask.bit_len().is_multiple_of(8);
    low(mask) || low(!mask)
}

fn argument(at: U256) -> Option<u64> {
    let behind = at.checked_sub(U256::from(4))?;
    (behind % U256::from(32)).is_zero().then(|| (behind / U256::from(32)).to())
}

fn sum(mut terms: Vec<String>, constant: U256) -> String {
    terms.sort();
    let text = terms.join(" + ");
    match (text.is_empty(), constant) {
        (true, _) => number(constant),
        (false, constant) if constant.is_zero() => text,
        (false, constant) if constant.bit(255) => format!("{text} - {}", number(constant.wrapping_neg())),
        (false, constant) => format!("{text} + {}", number(constant)),
    }
}

/// In parentheses if it is an operation that binds less than a sum.
fn grouped(text: &str) -> String {
    if text.contains(" & ") && !text.starts_with('(') { format!("({text})") } else { text.to_owned() }
}

fn product_operand(text: &str) -> String {
    let binds_less = [" + ", " - ", " & "].iter().any(|sign| text.contains(sign)) && !text.ends_with(']');
    if binds_less { format!("({text})") } else { text.to_owned() }
}

fn slot_number(number: U256) -> String {
    if number < U256::from(256) { number.to_string() } else { format!("0x{number:064x}") }
}

fn number(value: U256) -> String {
    if value.bit_len() <= 64 {
        return value.to_string();
    }
    if value.bit_len() <= 160 { format!("0x{value:040x}") } else { format!("0x{value:064x}") }
}

fn constant_part(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let digits = digits.trim_start_matches('0');
    format!("0x{digits}:{}", bytes.len())
}

/// The parts of a hash, neighbouring constants put together.
fn merged(parts: &[String]) -> String {
    let constant = |part: &str| {
        let (digits, length) = part.strip_prefix("0x")?.split_once(':')?;
        let length: usize = length.parse().ok()?;
        hex::decode(format!("{digits:0>width$}", width = 2 * length)).ok()
    };
    let mut result: Vec<String> = Vec::new();
    for part in parts {
        if let Some(tail) = constant(part)
            && let Some(last) = result.last_mut()
            && let Some(head) = constant(last)
        {
            *last = constant_part(&[head, tail].concat());
        } else {
            result.push(part.clone());
        }
    }
    result.join(" . ")
}

/// The expected text in the spelling of this file.
pub(crate) fn canonical(expected: &str) -> String {
    let text = expected.replace(">> 8", "/ 256");
    // The innermost list of parts is the only one with neighbouring constants in it.
    match text.find("hash(0x") {
        Some(start) => {
            let from = start + "hash(".len();
            let parts: Vec<String> = text[from..].split(" . ").map(str::to_owned).collect();
            format!("{}{}", &text[..from], merged(&parts))
        }
        None => text,
    }
}
