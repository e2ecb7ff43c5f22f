//! The ways that transactions with one root went, as a decision tree.
//!
//! In: the trails of one transaction. Out: a tree in which every decision has the cases that were seen. Two trails that
//! have decided alike so far are alike so far, because following a code is deterministic: where they are not, the
//! second is left out, whole from there on, and belongs in another tree: which slots are the same is no decision, nor how
//! much gas there is.

use super::super::node::{NodeId, RecipeNode, Test};
use super::trail::{Effect, End, GasBounds, Trail};

/// A tree with more leaves than this learns no more.
const MAX_LEAVES: usize = 192;

/// A tree with more expressions and effects than this learns no more.
const MAX_SIZE: usize = 400_000;

/// The number of a segment in its tree.
pub(super) type SegmentId = usize;

/// A piece of a path between decisions.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// The expressions that come up here, numbered on from those of the segments above.
    pub nodes: Vec<RecipeNode>,
    /// What is done.
    pub effects: Vec<Effect>,
    pub next: NextCase,
}

/// What comes after a segment.
#[derive(Debug, Default)]
pub(super) enum NextCase {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// The path was not followed further; something else says that the prediction is incomplete.
    Open,
    /// A decision about a word, with the cases that were seen.
    Decision(NodeId, Vec<(Test, SegmentId)>),
    /// Both arms are taken.
    Fork(SegmentId, SegmentId),
    /// The transaction ends here.
    Leaf {
        /// An estimate of its gas.
        gas: u64,
        /// The gas that it may have beyond what it costs before its first instruction.
        bounds: GasBounds,
        /// For each store whether its slot held zero before the transaction.
        zeros: Box<[bool]>,
    },
}

/// A decision tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub segments: Vec<Segment>,
    leaves: usize,
    size: usize,
}

impl Tree {
    /// Whether it may grow.
    pub(super) fn has_room(&self) -> bool {
        self.leaves < MAX_LEAVES && self.size < MAX_SIZE
    }

    /// Adds the trails of a transaction, in order; the first starts at the root. False if that changes nothing.
    pub(super) fn insert(&mut self, trails: &[Trail]) -> bool {
        if self.segments.is_empty() {
            self.segments.push(Segment::default());
        }
        let before = self.segments.len();
        let was_unknown = matches!(self.segments[0].next, NextCase::Unknown);
        let mut pending = vec![(0, 0)];
        while let Some((number, segment)) = pending.pop() {
            self.add(trails, number, segment, &mut pending);
        }
        was_unknown || self.segments.len() != before
    }

    fn fresh(&mut self) -> SegmentId {
        self.segments.push(Segment::default());
        self.segments.len() - 1
    }

    fn add(
        &mut self,
        trails: &[Trail],
        number: usize,
        mut at: SegmentId,
        pending: &mut Vec<(usize, SegmentId)>,
    ) {
        let trail = &trails[number];
        for span in &trail.spans {
            let new = matches!(self.segments[at].next, NextCase::Unknown);
            if new {
                self.size += span.nodes.len() + span.effects.len();
                self.segments[at].nodes.clone_from(&span.nodes);
                self.segments[at].effects.clone_from(&span.effects);
            } else if self.segments[at].nodes != span.nodes || self.segments[at].effects != span.effects {
                // Which stores a load saw is no decision, and may differ.
                return;
            }
            let Some((node, test)) = span.decision else {
                self.end(trail, at, new, pending);
                return;
            };
            if new {
                self.segments[at].next = NextCase::Decision(node, Vec::new());
            }
            let NextCase::Decision(of, cases) = &self.segments[at].next else { return };
            if *of != node {
                return;
            }
            let seen = cases.iter().find(|(case, _)| *case == test).map(|(_, next)| *next);
            at = seen.unwrap_or_else(|| {
                let next = self.fresh();
                if let NextCase::Decision(_, cases) = &mut self.segments[at].next {
                    cases.push((test, next));
                }
                next
            });
        }
    }

    fn end(&mut self, trail: &Trail, at: SegmentId, new: bool, pending: &mut Vec<(usize, SegmentId)>) {
        match trail.end {
            End::Forks(first, second) => {
                if new {
                    let (one, other) = (self.fresh(), self.fresh());
                    self.segments[at].next = NextCase::Fork(one, other);
                }
                if let NextCase::Fork(one, other) = self.segments[at].next {
                    pending.push((second, other));
                    pending.push((first, one));
                }
            }
            End::Ends { gas } if new => {
                self.leaves += 1;
                self.segments[at].next =
                    NextCase::Leaf { gas, bounds: trail.gas, zeros: trail.zeros().into() };
            }
            End::Open if new => {
                self.leaves += 1;
                self.segments[at].next = NextCase::Open;
            }
            _ => {}
        }
    }
}
