//! Nodes of the graph while they are explored: how they are told apart, and what has flowed into them so far.

use rustc_hash::FxHashMap;

use crate::id::ExprId;
use crate::state::{Place, State};

pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) state: State,
}

pub(super) struct NodeDraft {
    pub(super) start: u32,
    /// The block and its calling context.
    pub(super) narrow: Key,
    /// The node that this one was first entered from.
    pub(super) parent: u32,
    /// The node behind this one's last instruction, where no jump leads.
    pub(super) fallthrough: Option<u32>,
    /// It can only be entered from its parent.
    pub(super) is_fallthrough: bool,
    /// The arm of its branch that was not taken when constants alone last decided it, unless that arm only fails.
    pub(super) passed: Option<u32>,
    /// Which iteration of the loops around it that are kept apart.
    pub(super) iteration: u32,
    pub(super) depth: u32,
    /// The function that its last instruction calls, and where on the stack the return address stands.
    pub(super) call: Option<(u32, u32)>,
    /// Nodes with lower ranks are executed first.
    pub(super) rank: u32,
    pub(super) edges: Vec<Edge>,
    /// Values that a phi stands for, by place.
    pub(super) phis: FxHashMap<Place, ExprId>,
    pub(super) entry: Option<State>,
    pub(super) visits: u32,
    pub(super) queued: bool,
}

/// What has been made of one block in one calling context.
#[derive(Clone, Copy)]
pub(super) struct Made {
    /// The first node.
    pub(super) first: u32,
    /// Sets of booleans told apart.
    pub(super) variants: u32,
    /// Iterations told apart.
    pub(super) iterations: u32,
}

impl NodeDraft {
    /// A node that has not been entered yet.
    pub(super) fn new(start: u32, parent: u32) -> Self {
        Self {
            start,
            narrow: Key { start, height: 0, floor: 0, constants: 0 },
            parent,
            fallthrough: None,
            is_fallthrough: false,
            passed: None,
            iteration: 0,
            depth: 0,
            call: None,
            rank: 0,
            edges: Vec::new(),
            phis: FxHashMap::default(),
            entry: None,
            visits: 0,
            queued: false,
        }
    }
}

/// What blocks are told apart by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) start: u32,
    pub(super) height: u32,
    /// What the stack stands on.
    pub(super) floor: u32,
    pub(super) constants: u64,
}
