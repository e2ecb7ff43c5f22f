//! Everything that is known about one entry point of a contract.
//!
//! In: the explored graph of an entry. Out: a [`Summary`]. A summary covers every storage access of every concrete
//! execution, or says where it does not: `incomplete` must never be empty when something was left out.

use crate::{
    access::{Access, BalanceRead, Call, Condition, Creation, SelfDestruct},
    code::Selector,
    id::ExprId,
    incomplete::Incomplete,
};

/// How a contract is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// By a selector that the dispatcher compares with.
    Function(Selector),
    /// By calldata that is empty.
    Receive,
    /// By any other calldata.
    Fallback,
}

/// Who can make a call of this entry succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anyone, as far as the analysis can tell.
    Anyone,
    /// Every successful path needs the caller to be an address, or to hold a role, that only restricted entries can
    /// change, or needs that no call has succeeded before: an administrative function, off the hot path.
    Restricted(Condition),
}

/// What one entry of a contract does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The entry.
    pub entry: Entry,
    /// Storage and transient-storage accesses, in order of program counter and context.
    pub accesses: Vec<Access>,
    /// External calls.
    pub calls: Vec<Call>,
    /// Contract creations.
    pub creations: Vec<Creation>,
    /// Balance reads.
    pub balance_reads: Vec<BalanceRead>,
    /// Self-destructs.
    pub self_destructs: Vec<SelfDestruct>,
    /// How many log instructions are reachable without reverting.
    pub logs: usize,
    /// Conditions that hold on every successful exit.
    pub requires: Vec<Condition>,
    /// Words that a successful call returns at constant offsets, where they are the same on all exits.
    pub returned: Vec<ExprId>,
    /// No path succeeds.
    pub always_reverts: bool,
    /// Who can call it.
    pub permission: Permission,
    /// Where the analysis stopped; empty means that the summary is complete.
    pub incomplete: Vec<Incomplete>,
}

impl Summary {
    /// Whether the summary covers every access of every execution.
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }
}
