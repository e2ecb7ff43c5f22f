//! What is known of words, of memory and of conditions on the way through a slice.
//!
//! In: operations on words of which some bits are known, and the outcomes of branches. Out: what is known of the results. Two
//! words have the same name only where they are computed in the same way from what does not change; a slot is taken to
//! change by each store and each call, but not from one turn of a loop to the next.

use alloy_primitives::{U256, keccak256};
use deconflict_analyzer::{BinaryOp, FrameWord};
use std::collections::{BTreeMap, BTreeSet};

use crate::{evaluate::binary, follow::binary_opcode};

/// Copies of more bytes than this leave memory unknown.
const MAX_COPY: usize = 4_096;

/// What the branches on the way have decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Which words are zero (false) or something else (true).
    pub(crate) truths: BTreeMap<u64, bool>,
    /// Which words are equal to others.
    pub(crate) same: BTreeMap<u64, u64>,
}

impl Facts {
    /// Keeps what both know; whether that is less than before.
    pub(crate) fn join(&mut self, other: &Self) -> bool {
        let before = self.truths.len() + self.same.len();
        self.truths.retain(|name, truth| other.truths.get(name) == Some(truth));
        self.same.retain(|name, first| other.same.get(name) == Some(first));
        self.truths.len() + self.same.len() < before
    }

    /// The one name of all words that are known to be equal to this one.
    pub(crate) fn first(&self, mut name: u64) -> u64 {
        while let Some(other) = self.same.get(&name) {
            name = *other;
        }
        name
    }

    /// Adds what a word is; whether that can be.
    pub(crate) fn decide(&mut self, name: u64, truth: bool) -> bool {
        let name = self.first(name);
        self.truths.insert(name, truth).is_none_or(|known| known == truth)
    }

    /// Adds that two words are equal; whether that can be.
    pub(crate) fn equate(&mut self, a: u64, b: u64) -> bool {
        let (a, b) = (self.first(a), self.first(b));
        if a == b {
            return true;
        }
        self.same.insert(a.max(b), a.min(b));
        self.truths.remove(&a.max(b)).is_none_or(|truth| self.decide(a.min(b), truth))
    }
}

/// A word some of whose bits are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word {
    /// The bits that are known.
    pub(crate) known: U256,
    /// What they are; all others are zero here.
    pub(crate) bits: U256,
    /// What it is computed from, if that is the same whenever it is asked: equal names are equal words.
    pub(crate) name: Option<u64>,
    /// The name of the word that it tells to be zero.
    pub(crate) negates: Option<u64>,
    /// The names of two words that are equal where it is true, or where it is false.
    pub(crate) equal_if: Option<(bool, u64, u64)>,
}

impl Word {
    pub(crate) const UNKNOWN: Self =
        Self { known: U256::ZERO, bits: U256::ZERO, name: None, negates: None, equal_if: None };

    pub(crate) fn new(value: U256) -> Self {
        Self { known: U256::MAX, bits: value, ..Self::UNKNOWN }
    }

    pub(crate) fn some(known: U256, bits: U256) -> Self {
        Self { known, bits, ..Self::UNKNOWN }
    }

    pub(crate) fn named(self, what: &str, of: &[Self]) -> Self {
        let mut bytes = what.as_bytes().to_vec();
        for word in of {
            match (word.value(), word.name) {
                (Some(value), _) => bytes.extend(value.to_be_bytes::<32>()),
                (None, Some(name)) => bytes.extend(name.to_be_bytes()),
                (None, None) => return self,
            }
            bytes.push(b',');
        }
        let hash = keccak256(bytes);
        Self { name: hash.first_chunk().copied().map(u64::from_be_bytes), ..self }
    }

    pub(crate) fn value(self) -> Option<U256> {
        (self.known == U256::MAX).then_some(self.bits)
    }

    /// The bits that may be set.
    pub(crate) fn can_be(self) -> U256 {
        !self.known | self.bits
    }

    pub(crate) fn number(self) -> Option<usize> {
        self.value().and_then(|value| usize::try_from(value).ok())
    }
}

/// Memory some of whose bytes are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) bytes: BTreeMap<usize, Option<u8>>,
    /// What all other bytes are.
    pub(crate) rest: Option<u8>,
    /// Words that were stored as a whole and that nothing else was stored to since, by where they start.
    pub(crate) words: BTreeMap<usize, Word>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { bytes: BTreeMap::new(), rest: Some(0), words: BTreeMap::new() }
    }
}

impl Memory {
    pub(crate) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(&at).copied().unwrap_or(self.rest)
    }

    pub(crate) fn forget(&mut self) {
        *self = Self { bytes: BTreeMap::new(), rest: None, words: BTreeMap::new() };
    }

    /// Writes bytes, or forgets all where it is not known to where.
    pub(crate) fn write(&mut self, at: Word, length: Word, bytes: impl Fn(usize) -> Option<u8>) {
        match (at.number(), length.number()) {
            (_, Some(0)) => {}
            (Some(at), Some(length)) if length <= MAX_COPY && at <= usize::MAX - length => {
                self.words.retain(|start, _| start + 32 <= at || at + length <= *start);
                let places = (0..length).map(|index| (at + index, bytes(index)));
                self.bytes.extend(places);
            }
            _ => self.forget(),
        }
    }

    pub(crate) fn store(&mut self, at: Word, word: Word) {
        let (known, bits) = (word.known.to_be_bytes::<32>(), word.bits.to_be_bytes::<32>());
        self.write(at, Word::new(U256::from(32)), |index| (known[index] == 0xff).then_some(bits[index]));
        if let Some(at) = at.number().filter(|at| *at < usize::MAX - 64) {
            self.words.insert(at, word);
        }
    }

    pub(crate) fn word(&self, at: usize) -> Word {
        if let Some(word) = self.words.get(&at) {
            return *word;
        }
        let bytes: [Option<u8>; 32] = std::array::from_fn(|index| self.byte(at.checked_add(index)?));
        Word::some(
            U256::from_be_bytes(bytes.map(|byte| if byte.is_some() { 0xff } else { 0 })),
            U256::from_be_bytes(bytes.map(Option::unwrap_or_default)),
        )
    }

    /// Keeps what both know; whether that is less than before.
    pub(crate) fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        let places: BTreeSet<usize> = self.bytes.keys().chain(other.bytes.keys()).copied().collect();
        for place in places {
            let both = self.byte(place).filter(|byte| other.byte(place) == Some(*byte));
            self.bytes.insert(place, both);
        }
        if self.rest != other.rest {
            self.rest = None;
        }
        self.words.retain(|place, word| other.words.get(place) == Some(word));
        let rest = self.rest;
        self.bytes.retain(|_, byte| *byte != rest);
        let mut before = before;
        before.bytes.retain(|_, byte| *byte != before.rest);
        *self != before
    }
}

/// What is known of the result of an operation.
pub(crate) fn known_bits(op: BinaryOp, a: Word, b: Word) -> Word {
    if let (Some(a), Some(b)) = (a.value(), b.value()) {
        return binary(binary_opcode(op), a, b).map_or(Word::UNKNOWN, Word::new);
    }
    let shift = |word: Word| word.number().filter(|bits| *bits < 256);
    match op {
        BinaryOp::And => {
            let zeros = (a.known & !a.bits) | (b.known & !b.bits);
            Word::some((a.known & b.known) | zeros, a.bits & b.bits)
        }
        BinaryOp::Or => {
            let ones = a.bits | b.bits;
            Word::some((a.known & b.known) | ones, ones)
        }
        BinaryOp::Shr => match shift(a) {
            Some(bits) => right(b, bits),
            None => Word::UNKNOWN,
        },
        BinaryOp::Shl => match shift(a) {
            Some(bits) => {
                let low = (U256::from(1) << bits) - U256::from(1);
                Word::some((b.known << bits) | low, b.bits << bits)
            }
            None => Word::UNKNOWN,
        },
        BinaryOp::Div => match b.value().filter(|b| b.count_ones() == 1) {
            Some(b) => right(a, b.trailing_zeros()),
            None => Word::UNKNOWN,
        },
        // What is not known in full may still be known to be apart.
        BinaryOp::Eq if (a.bits ^ b.bits) & a.known & b.known != U256::ZERO => Word::new(U256::ZERO),
        BinaryOp::Eq | BinaryOp::Lt | BinaryOp::Gt | BinaryOp::SLt | BinaryOp::SGt => {
            Word::some(!U256::from(1), U256::ZERO)
        }
        _ => Word::UNKNOWN,
    }
}

/// A word of the frame.
pub(crate) fn frame_word(word: FrameWord) -> Word {
    let is_address = matches!(word, FrameWord::Address | FrameWord::Caller | FrameWord::Origin);
    let zeros = if is_address { U256::MAX << 160 } else { U256::ZERO };
    Word::some(zeros, U256::ZERO).named(&format!("{word:?}"), &[])
}

/// The word, which tells whether the other is zero.
pub(crate) fn negation(word: Word, of: Word) -> Word {
    let equal_if = of.equal_if.map(|(when, a, b)| (!when, a, b));
    Word { negates: of.name, equal_if, ..word }
}

pub(crate) fn right(word: Word, bits: usize) -> Word {
    let high = if bits == 0 { U256::ZERO } else { U256::MAX << (256 - bits) };
    Word::some((word.known >> bits) | high, word.bits >> bits)
}
