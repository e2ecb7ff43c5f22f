//! When two calls of one contract cannot run side by side: the matrix, entry by entry.
//!
//! In: the summaries of a contract. Out: for each pair of entries a [`Verdict`], and for each location that causes it the
//! accesses to blame and the condition over both calls' inputs. Two different hash preimages are assumed to hash apart.

use crate::{access::ByteRange, expression::ExprId, slot::Slot};

/// One cell of the conflict matrix; `a <= b` index the summaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Index of the first entry's summary.
    pub a: usize,
    /// Index of the second entry's summary.
    pub b: usize,
    /// Whether two calls from different senders conflict.
    pub verdict: Verdict,
    /// Why: one cause a pair of aliasing locations, strongest first.
    pub causes: Vec<Cause>,
}

/// The three-valued answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The calls touch no common location, or only read what they share.
    Never,
    /// They conflict if a condition over both calls' inputs holds (see the causes).
    When,
    /// They conflict whatever their inputs are.
    Always,
}

/// One pair of locations through which two calls conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The location as the first entry names it.
    pub slot_a: Slot,
    /// The location as the second entry names it.
    pub slot_b: Slot,
    /// Indexes of the accesses in the first summary that touch the location.
    pub accesses_a: Vec<usize>,
    /// Indexes of the accesses in the second summary that touch the location.
    pub accesses_b: Vec<usize>,
    /// The bytes in conflict (the union over the accesses).
    pub bytes: ByteRange,
    /// What the two sides do.
    pub kind: ConflictKind,
    /// When the locations coincide.
    pub alias: Alias,
}

/// What the two sides of a conflict do to the location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Both only add or subtract: an executor that merges commutative updates runs them side by side.
    Mergeable,
    /// One reads what the other writes.
    ReadWrite,
    /// Both write.
    WriteWrite,
    /// They share the word but touch different bytes of it.
    FalseSharing,
    /// Both write and leave the slot as they found it: a lock or a temporary.
    NetZero,
}

/// When two location expressions name the same slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alias {
    /// For any inputs.
    Always,
    /// If all pairs are equal: the left expression over the first call's inputs, the right one over the second's.
    When(Vec<(ExprId, ExprId)>),
    /// Cannot be told: one side is a slot that the analysis lost or that any value can take.
    Unknown,
}
