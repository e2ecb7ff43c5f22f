//! Everything that is known about one entry point of a contract.
//!
//! In: the explored graph of an entry. Out: a [`Summary`]. A summary covers every storage access of every concrete
//! execution, or says where it does not: `incomplete` must never be empty when something was left out.

use crate::{
    access::{Access, BalanceRead, Call, Condition, Creation, Position, SelfDestruct},
    code::{Pc, Selector},
    id::ExprId,
    incomplete::Incomplete,
};

/// How a contract is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// By calldata of four bytes or more, of which the first four are a selector that the dispatcher compares with.
    Function(Selector),
    /// By calldata that is empty.
    Receive,
    /// By any other calldata, such as what ends within a selector; by empty calldata too where [`crate::Options`] say so.
    Fallback,
}

/// Who can make a call of this entry succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anyone, as far as the analysis can tell.
    Anyone,
    /// Every successful path that stores or calls anything needs one of these: that the caller is an address, or holds a
    /// role, that only restricted entries can change, or that no call has done so before. An administrative function, off
    /// the hot path. Who lacks it may still get an answer: `if (done) return;` fails for nobody.
    Restricted(Vec<Condition>),
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
    /// Conditions that some check of the call makes sure of before it goes on; not every call passes each of them.
    pub checks: Vec<Condition>,
    /// Words that a successful call returns at constant offsets, where they are the same on all exits.
    pub returned: Vec<ExprId>,
    /// No path succeeds.
    pub always_reverts: bool,
    /// Who can call it.
    pub permission: Permission,
    /// Where the analysis stopped; empty means that the summary is complete.
    pub incomplete: Vec<Incomplete>,
    /// The blocks that lead to what is listed above, each behind the one that it was first entered from.
    pub steps: Vec<Step>,
}

/// One basic block in one context, and how control first came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The step before, by its index in [`Summary::steps`]; the first step names itself.
    pub from: u32,
    /// The first instruction of the block.
    pub block: Pc,
}

impl Summary {
    /// Whether the summary covers every access of every execution.
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }

    /// The blocks of one way from the entry to `position`, that of `position` last. Loops are gone through once.
    pub fn way_to(&self, position: &Position) -> Vec<Pc> {
        let mut way = Vec::new();
        let mut next = Some(position.step);
        while let Some(step) = next
            && let Some(Step { from, block }) = self.steps.get(step as usize).copied()
        {
            way.push(block);
            // A step comes after the one that it is entered from.
            next = (from < step).then_some(from);
        }
        way.reverse();
        way
    }
}
