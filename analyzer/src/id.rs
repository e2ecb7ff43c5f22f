//! The indexes into an expression arena, as types of their own so that none stands for another.

/// An expression in an [`crate::Expressions`] arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(pub(crate) u32);

impl ExprId {
    /// The number in its arena, to be stored.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The expression of a stored number. It is good for comparisons with others of the same arena, and for looking it
    /// up only while that arena is at hand.
    pub fn numbered(number: u32) -> Self {
        Self(number)
    }
}

/// A constant of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConstantId(pub(crate) u32);

/// An interned byte string with symbolic parts: the input of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BytesId(pub(crate) u32);

/// A point in the explored graph at which a fresh value arises: an instruction in one context of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(pub(crate) u32);

/// A version of the contract's storage (or of balances): two loads of one slot in one epoch give the same word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub(crate) u32);

impl Epoch {
    /// The state as the call found it.
    pub const ENTRY: Self = Self(0);

    /// The state after the event at `site` (an external call, a store that may alias anything, a join).
    pub(crate) fn after(site: Site) -> Self {
        Self(site.0 + 1)
    }
}
