//! A tree as one stream of steps, that a replay walks from the start to a leaf.
//!
//! Lists that steps refer to stand beside them, so that a step stays small. Nothing here is computed or decided.

use alloy_primitives::U256;
use deconflict_analyzer::{BinaryOp, FrameWord, UnaryOp};

use super::super::node::TouchKind;
use super::trail::GasBounds;
use crate::access_set::Shortfall;

/// A computed word, or a constant of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand(pub u32);

impl Operand {
    /// The bit that tells constants apart.
    pub(super) const CONSTANT: u32 = 1 << 31;
}

/// A range of one of the lists of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: u32,
    pub length: u32,
}

/// Bytes of a word or of calldata.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    /// None for the transaction's calldata.
    pub of: Option<Operand>,
    pub from: u32,
    pub length: u32,
}

/// Where a loaded word has to come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub address: Operand,
    pub key: Operand,
    /// The word and the place of the access that gave it; none for the state before the transaction.
    pub same: Option<[Operand; 3]>,
    /// Ranges of stores that must not have written the place: in the list of ranges.
    pub apart: Span,
}

/// One step of a replay. `to` is the word that takes the result.
#[derive(Clone, Copy, Debug)]
pub(super) enum RecipeStep {
    CallData {
        to: u32,
        offset: u32,
    },
    CallDataSize {
        to: u32,
    },
    To {
        to: u32,
    },
    Value {
        to: u32,
    },
    Frame {
        to: u32,
        word: FrameWord,
    },
    Unary {
        op: UnaryOp,
        to: u32,
        a: Operand,
    },
    Binary {
        op: BinaryOp,
        to: u32,
        a: Operand,
        b: Operand,
    },
    Modular {
        multiply: bool,
        to: u32,
        operands: u32,
    },
    Pair {
        to: u32,
        first: Operand,
        second: Operand,
    },
    Hash {
        to: u32,
        bytes: Span,
    },
    Concat {
        to: u32,
        bytes: Span,
    },
    Load {
        to: u32,
        source: u32,
    },
    Balance {
        to: u32,
        balance: u32,
    },
    CodeHash {
        to: u32,
        address: Operand,
    },
    CodeSize {
        to: u32,
        address: Operand,
    },
    IsPrecompile {
        to: u32,
        address: Operand,
    },
    BlockHash {
        to: u32,
        number: Operand,
    },
    BlobHash {
        to: u32,
        number: Operand,
    },
    Precompile {
        to: u32,
        word: u32,
        call: u32,
    },
    PrecompileLength {
        to: u32,
        call: u32,
    },
    Read {
        address: Operand,
        key: Operand,
        delta: bool,
    },
    Write {
        address: Operand,
        key: Operand,
        delta: bool,
    },
    Attempt {
        address: Operand,
        key: Operand,
    },
    Touch {
        kind: TouchKind,
        address: Operand,
    },
    Shortfall {
        index: u32,
    },
    /// Goes on if the word is zero, or if it is not; else elsewhere.
    IfZero {
        a: Operand,
        zero: bool,
        otherwise: u32,
    },
    /// Goes on if the words are the same, or if they are not; else elsewhere.
    IfSame {
        a: Operand,
        b: Operand,
        same: bool,
        otherwise: u32,
    },
    /// Goes on, and later elsewhere too.
    Fork {
        other: u32,
    },
    /// The transaction ends.
    Leaf {
        index: u32,
    },
    /// The path ends without anything being known of the transaction's end.
    Open,
    /// The tree has no answer.
    Missing,
}

// Walking steps is fetching them from memory.
const _: () = assert!(size_of::<RecipeStep>() == 16, "a step has grown");

/// A call of a precompile.
#[derive(Clone, Copy, Debug)]
pub(super) struct PrecompileCall {
    pub number: u16,
    pub input: Span,
}

/// The balance of an account, as the state has it and as these transfers changed it: from, to, how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct BalanceQuery {
    pub address: Operand,
    /// In the list of triples.
    pub transfers: Span,
}

/// What is known of the end of a transaction.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub gas: u64,
    pub bounds: GasBounds,
    pub zeros: Box<[bool]>,
}

/// A tree as steps.
#[derive(Debug, Default)]
pub(in super::super) struct Program {
    pub(super) steps: Vec<RecipeStep>,
    pub(super) constants: Vec<U256>,
    pub(super) bytes: Vec<Bytes>,
    pub(super) sources: Vec<Source>,
    pub(super) ranges: Vec<(u32, u32)>,
    pub(super) triples: Vec<[Operand; 3]>,
    pub(super) balances: Vec<BalanceQuery>,
    pub(super) calls: Vec<PrecompileCall>,
    pub(super) shortfalls: Vec<Shortfall>,
    pub(super) leaves: Vec<Leaf>,
    /// How many words are computed at most.
    pub(super) words: u32,
}

impl Program {
    /// Roughly how many bytes of memory it takes, with the tree that it was laid out from.
    pub(in super::super) fn size(&self) -> usize {
        4 * size_of_val(&self.steps[..]) + size_of_val(&self.constants[..]) + 1_024
    }
}
