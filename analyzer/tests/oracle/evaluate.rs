//! The value of an expression in one concrete call.
//!
//! In: an expression and the world and message it is about. Out: the word, or nothing where the expression stands for
//! something that only the execution knows (a join, a call's result, a word the analysis lost). The arithmetic is written
//! down here once more, on purpose: it checks the analyzer's folding and must not share it.

use alloy_primitives::{I256, U256, U512, keccak256};
use deconflict_analyzer::{
    Analysis, Entry, Environment, Epoch, ExprId, Expressions, Node, Piece, Selector, Space, Summary,
};
use revm::{bytecode::opcode as op, context::BlockEnv};
use std::collections::{BTreeMap, HashMap};

use crate::world::{CALLER, CONTRACT, Message, World};

/// Byte strings longer than this are not put together.
const MAX_BYTES: usize = 1 << 16;

/// The entry that a message selects, as far as the analysis lists it: an entry that cannot succeed may be left out.
pub(crate) fn selected<'a>(analysis: &'a Analysis, message: &Message) -> Option<&'a Summary> {
    let find = |entry| analysis.summaries.iter().find(|summary| summary.entry == entry);
    if let Some(selector) = message.calldata.first_chunk::<4>()
        && let Some(summary) = find(Entry::Function(Selector(*selector)))
    {
        return Some(summary);
    }
    if message.calldata.is_empty() { find(Entry::Receive) } else { find(Entry::Fallback) }
}

/// Evaluates expressions of one arena in one call.
pub(crate) struct Evaluator<'a> {
    pub(crate) expressions: &'a Expressions,
    world: &'a World,
    message: &'a Message,
    block: BlockEnv,
    immutables: &'a BTreeMap<u32, U256>,
    known: HashMap<ExprId, Option<U256>>,
}

impl<'a> Evaluator<'a> {
    /// Evaluates in the call that `message` starts in `world`, with these words for the immutables.
    pub(crate) fn new(
        expressions: &'a Expressions,
        world: &'a World,
        message: &'a Message,
        immutables: &'a BTreeMap<u32, U256>,
    ) -> Self {
        Self { expressions, world, message, block: world.block(), immutables, known: HashMap::new() }
    }

    /// The word that the expression stands for.
    pub(crate) fn word(&mut self, id: ExprId) -> Option<U256> {
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        let value = self.compute(id);
        self.known.insert(id, value);
        value
    }

    /// The bytes that the pieces stand for.
    pub(crate) fn bytes(&mut self, pieces: &[Piece]) -> Option<Vec<u8>> {
        let mut result = Vec::new();
        for piece in pieces {
            match *piece {
                Piece::Word { word, from, to } => {
                    let word = self.word(word)?.to_be_bytes::<32>();
                    result.extend_from_slice(&word[usize::from(from)..usize::from(to)]);
                }
                Piece::Calldata { offset, length } => {
                    let offset: usize = self.word(offset)?.saturating_to();
                    let length: usize = self.word(length)?.saturating_to();
                    if length > MAX_BYTES {
                        return None;
                    }
                    result.extend((0..length).map(|index| self.calldata_byte(offset.saturating_add(index))));
                }
                Piece::Opaque { .. } => return None,
            }
        }
        Some(result)
    }

    fn calldata_byte(&self, at: usize) -> u8 {
        self.message.calldata.get(at).copied().unwrap_or(0)
    }

    fn compute(&mut self, id: ExprId) -> Option<U256> {
        if let Some(constant) = self.expressions.constant(id) {
            return Some(constant);
        }
        match self.expressions.node(id) {
            Node::Environment(environment) => self.environment(environment),
            Node::Immutable(number) => self.immutables.get(&number).copied(),
            Node::CalldataWord { offset } => {
                let offset: usize = self.word(offset)?.saturating_to();
                let word: [u8; 32] =
                    std::array::from_fn(|index| self.calldata_byte(offset.saturating_add(index)));
                Some(U256::from_be_bytes(word))
            }
            Node::Load { space, slot, epoch: Epoch::ENTRY } => {
                let slot = self.word(slot)?;
                match space {
                    Space::Storage => Some(self.world.stored(slot)),
                    Space::Transient => Some(U256::ZERO),
                }
            }
            Node::Unary { op, a } => {
                let a = self.word(a)?;
                unary(op, a)
            }
            Node::Binary { op, a, b } => {
                let (a, b) = (self.word(a)?, self.word(b)?);
                binary(op, a, b)
            }
            Node::Ternary { op, a, b, c } => {
                let (a, b, c) = (self.word(a)?, self.word(b)?, self.word(c)?);
                ternary(op, a, b, c)
            }
            Node::Keccak(bytes) => {
                let bytes = self.bytes(self.expressions.pieces(bytes))?;
                Some(U256::from_be_bytes(keccak256(bytes).0))
            }
            Node::Balance { address, epoch: Epoch::ENTRY } => (self.word(address)?
                == U256::from_be_bytes(CONTRACT.into_word().0))
            .then(|| self.world.contract_balance(self.message)),
            Node::CodeSize(address) => (self.word(address)? == U256::from_be_bytes(CONTRACT.into_word().0))
                .then(|| U256::from(self.world.code.len())),
            _ => None,
        }
    }

    fn environment(&self, environment: Environment) -> Option<U256> {
        Some(match environment {
            Environment::Address => CONTRACT.into_word().into(),
            Environment::Caller | Environment::Origin => CALLER.into_word().into(),
            Environment::CallValue => self.message.value,
            Environment::CalldataSize => U256::from(self.message.calldata.len()),
            Environment::GasPrice | Environment::BaseFee => U256::ZERO,
            Environment::Coinbase => self.block.beneficiary.into_word().into(),
            Environment::Timestamp => self.block.timestamp,
            Environment::Number => self.block.number,
            Environment::PrevRandao => self.block.prevrandao?.into(),
            Environment::GasLimit => U256::from(self.block.gas_limit),
            Environment::ChainId => U256::from(1),
            Environment::BlobBaseFee | Environment::OtherBlock => return None,
        })
    }
}

fn boolean(value: bool) -> U256 {
    U256::from(u8::from(value))
}

pub(crate) fn unary(op: u8, a: U256) -> Option<U256> {
    Some(match op {
        op::ISZERO => boolean(a.is_zero()),
        op::NOT => !a,
        op::CLZ => U256::from(a.leading_zeros()),
        _ => return None,
    })
}

pub(crate) fn ternary(op: u8, a: U256, b: U256, c: U256) -> Option<U256> {
    if c.is_zero() {
        return Some(U256::ZERO);
    }
    let wide = |word: U256| U512::from(word);
    let result = match op {
        op::ADDMOD => (wide(a) + wide(b)) % wide(c),
        op::MULMOD => (wide(a) * wide(b)) % wide(c),
        _ => return None,
    };
    Some(result.to())
}

pub(crate) fn binary(op: u8, a: U256, b: U256) -> Option<U256> {
    let signed = |word: U256| I256::from_raw(word);
    let shift: usize = a.saturating_to();
    Some(match op {
        op::ADD => a.wrapping_add(b),
        op::SUB => a.wrapping_sub(b),
        op::MUL => a.wrapping_mul(b),
        op::DIV => a.checked_div(b).unwrap_or(U256::ZERO),
        op::MOD => a.checked_rem(b).unwrap_or(U256::ZERO),
        op::SDIV | op::SMOD if b.is_zero() => U256::ZERO,
        op::SDIV => signed(a).wrapping_div(signed(b)).into_raw(),
        op::SMOD => signed(a).wrapping_rem(signed(b)).into_raw(),
        op::EXP => a.wrapping_pow(b),
        op::LT => boolean(a < b),
        op::GT => boolean(a > b),
        op::SLT => boolean(signed(a) < signed(b)),
        op::SGT => boolean(signed(a) > signed(b)),
        op::EQ => boolean(a == b),
        op::AND => a & b,
        op::OR => a | b,
        op::XOR => a ^ b,
        op::BYTE if a < U256::from(32) => U256::from(b.to_be_bytes::<32>()[shift]),
        op::SHL if shift < 256 => b << shift,
        op::SHR if shift < 256 => b >> shift,
        op::BYTE | op::SHL | op::SHR => U256::ZERO,
        op::SAR => {
            let fill = if b.bit(255) { U256::MAX } else { U256::ZERO };
            if shift == 0 {
                b
            } else if shift < 256 {
                (b >> shift) | (fill << (256 - shift))
            } else {
                fill
            }
        }
        op::SIGNEXTEND if a < U256::from(31) => {
            let width = 8 * (shift + 1);
            let low = (U256::from(1) << width) - U256::from(1);
            if b.bit(width - 1) { b | !low } else { b & low }
        }
        op::SIGNEXTEND => b,
        _ => return None,
    })
}
