//! The expressions that the words of a path are.
//!
//! Plain data, numbered in the order in which they came up, so that an expression has a higher number than its
//! operands. A node is a function of the transaction, the block and the state before the transaction, under the
//! decisions of the path that it is on.

use alloy_primitives::U256;
use deconflict_analyzer::{BinaryOp, FrameWord, UnaryOp};

/// The number of an expression on its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub u32);

impl NodeId {
    /// The word is the same for every transaction that goes this way.
    pub(super) const CONSTANT: Self = Self(0);
    /// The word is not known.
    pub(super) const UNKNOWN: Self = Self(u32::MAX);
}

/// The transaction's calldata, as the source of bytes.
pub(super) const CALL_DATA: NodeId = NodeId(u32::MAX - 1);

/// Bytes of a word, or of the transaction's calldata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    /// The word, most significant byte first, or [`CALL_DATA`].
    pub of: NodeId,
    /// The first byte.
    pub from: u32,
    /// How many.
    pub length: u32,
}

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RecipeNode {
    /// A number.
    Constant(U256),
    /// The word at an offset of the transaction's calldata, zeros past its end.
    CallData(u32),
    /// How much calldata the transaction has.
    CallDataSize,
    /// The account that the transaction calls.
    To,
    /// The value that the transaction carries.
    Value,
    /// A word of the transaction or the block.
    Frame(FrameWord),
    /// A pure operation on one word.
    Unary(UnaryOp, NodeId),
    /// A pure operation on two words.
    Binary(BinaryOp, NodeId, NodeId),
    /// `ADDMOD`, or `MULMOD` if the first field says so.
    Modular(bool, [NodeId; 3]),
    /// The hash of two words.
    Pair(NodeId, NodeId),
    /// The hash of bytes.
    Hash(Box<[Piece]>),
    /// A word made of bytes, 32 at the most; where there are fewer, zeros come first.
    Concat(Box<[Piece]>),
    /// What a slot held before the transaction, unless one of these stores has written it.
    Load { address: NodeId, key: NodeId, apart: Box<[(u32, u32)]> },
    /// A word that a slot is known to hold because an earlier access had the same place, and none of these stores did.
    Forward { word: NodeId, place: [NodeId; 2], same: [NodeId; 2], apart: Box<[(u32, u32)]> },
    /// The balance of an account: what it was less what its holder pays in advance for gas, and what was moved since:
    /// from, to, how much.
    Balance { address: NodeId, transfers: Box<[[NodeId; 3]]> },
    /// The hash of the code of an account.
    CodeHash(NodeId),
    /// The length of the code of an account.
    CodeSize(NodeId),
    /// Whether the account is a precompile.
    IsPrecompile(NodeId),
    /// The hash of a block.
    BlockHash(NodeId),
    /// The hash of a blob.
    BlobHash(NodeId),
    /// A word of what a precompile returns, where it succeeds.
    Precompile { number: u16, input: Box<[Piece]>, word: u32 },
    /// The length of what a precompile returns, or all ones where it fails.
    PrecompileLength { number: u16, input: Box<[Piece]> },
}

/// What a decision asks of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// That it is zero.
    Zero,
    /// That it is not.
    NonZero,
    /// That it is this number.
    Equals(U256),
}

/// How an account is touched outside its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TouchKind {
    BalanceRead,
    BalanceCredit,
    BalanceDebit,
    CodeRead,
    CodeWrite,
}

/// What gave a slot the word that it holds, by number; zero is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Definition(pub u32);
