//! The explored graph of one entry: what exploration leaves behind for summaries.
//!
//! A node is a basic block in one calling context; its events are what the block does, over words that are in SSA form:
//! where paths meet, words that differ are phis. Nothing here refers to abstract states any more.

use std::rc::Rc;

use crate::{
    access::CallKind,
    code::Pc,
    expression::{Sources, Space},
    facts::Facts,
    id::ExprId,
    incomplete::Incomplete,
    summary::Step,
};

/// Something a block does that outlives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) pc: Pc,
    pub(crate) kind: EventKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Load { space: Space, slot: ExprId, value: ExprId },
    Store { space: Space, slot: ExprId, value: ExprId, old: ExprId },
    Call(Box<CallEvent>),
    Create { salt: Option<ExprId>, address: ExprId, words: Vec<ExprId>, lost: bool },
    Balance { address: ExprId, value: ExprId },
    SelfDestruct { beneficiary: ExprId },
    Log { words: Vec<ExprId>, lost: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallEvent {
    pub(crate) kind: CallKind,
    pub(crate) target: ExprId,
    pub(crate) value: Option<ExprId>,
    pub(crate) selector: Option<[u8; 4]>,
    pub(crate) asked_by: Sources,
    pub(crate) arguments: Vec<ExprId>,
    /// Every word that the input may hold a part of.
    pub(crate) words: Vec<ExprId>,
    /// The input may hold bytes that the analysis lost.
    pub(crate) lost: bool,
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Not executed yet.
    Open,
    /// The call succeeds.
    Success {
        /// Every word that the return data may hold a part of.
        words: Vec<ExprId>,
        /// The return data may hold bytes that the analysis lost.
        lost: bool,
        /// The return data word by word, where it is made of whole words.
        returned: Vec<ExprId>,
        /// The slots stored to, with the last word stored.
        written: Vec<(Space, ExprId, ExprId)>,
    },
    /// The call reverts or halts.
    Failure,
    /// Control goes on to the only successor.
    Jump,
    /// Control depends on a word; both ways may be possible.
    Branch { condition: ExprId },
    /// Control goes on somewhere unknown.
    Unresolved,
}

/// A basic block in one context.
#[derive(Clone, Debug)]
pub(crate) struct GraphNode {
    /// The `JUMP`s of the internal calls that are open, outermost first.
    pub(crate) call_sites: Rc<[Pc]>,
    /// What every path to this node has established.
    pub(crate) facts: Rc<Facts>,
    pub(crate) events: Vec<Event>,
    /// Words with something loaded in them that the block puts into memory.
    pub(crate) memory_words: Vec<ExprId>,
    pub(crate) exit: Exit,
    /// What the condition of the branch has to be, where one of its arms only fails.
    pub(crate) needs: Option<bool>,
    pub(crate) successors: Vec<u32>,
    /// Which of them a branch that nothing decides leads to, each with whether the tested word is non-zero there.
    pub(crate) arms: Vec<(u32, bool)>,
    /// Where the tested word depends on the way here: the nodes before this one, and the word from each.
    pub(crate) met: Vec<(u32, ExprId)>,
    /// A budget ended before all that can follow had been explored.
    pub(crate) is_cut: bool,
}

/// Everything reachable from one entry. Node 0 is the entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<GraphNode>,
    pub(crate) incomplete: Vec<Incomplete>,
    /// For each node, where its block begins and which node it was first entered from.
    pub(crate) steps: Vec<Step>,
}
