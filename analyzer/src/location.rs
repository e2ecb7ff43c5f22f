//! Storage locations in normal form: a root and the projections that a compiler applied to it.
//!
//! Plain data; `slot` makes it from slot expressions. A location must never name fewer slots than the expression it was
//! made from: what does not fit a known shape stays [`Root::Raw`].

use alloy_primitives::U256;

use crate::id::ExprId;

/// A storage location of one contract as an expression over the call's inputs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Where the path starts.
    pub root: Root,
    /// The projections applied, outermost first: `m[a][b].c` is two mapping steps and an offset.
    pub path: Vec<Projection>,
}

/// Where a slot path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// A constant slot number: a state variable, an EIP-1967 slot, an ERC-7201 namespace.
    Fixed(U256),
    /// A slot computed in a way that is none of the known shapes (calldata, storage pointer, odd hash).
    Raw(ExprId),
    /// The analysis lost track of the slot; it may be any slot of the contract.
    Unknown(ExprId),
}

/// One step from a slot to a slot reached through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// `keccak(key . slot)` (Solidity) or `keccak(slot . key)` (Vyper): a mapping entry.
    Mapping {
        /// The key: a word, or a [`crate::Node::Bytes`] for string and packed keys.
        key: ExprId,
    },
    /// `keccak(slot) + index · stride`: an element of a dynamic array, `bytes` or `string`.
    Element {
        /// The index expression.
        index: ExprId,
        /// Slots per element.
        stride: u32,
    },
    /// `slot + index · stride` with an index that is no constant: an element of a fixed-size array.
    Index {
        /// The index expression.
        index: ExprId,
        /// Slots per element.
        stride: u32,
    },
    /// `slot + n`: a struct member or constant array index.
    Offset(U256),
}

impl Slot {
    /// A plain slot.
    pub fn fixed(number: U256) -> Self {
        Self { root: Root::Fixed(number), path: Vec::new() }
    }

    /// The slot number, where it is the same constant in every call.
    pub fn number(&self) -> Option<U256> {
        match self.root {
            Root::Fixed(number) if self.path.is_empty() => Some(number),
            _ => None,
        }
    }

    /// Whether every call names the same slot.
    pub fn is_fixed(&self) -> bool {
        self.number().is_some()
    }

    /// The keys and indexes on the path, outermost first.
    pub fn keys(&self) -> impl Iterator<Item = ExprId> + '_ {
        self.path.iter().filter_map(|step| match *step {
            Projection::Mapping { key } => Some(key),
            Projection::Element { index, .. } | Projection::Index { index, .. } => Some(index),
            Projection::Offset(_) => None,
        })
    }
}
