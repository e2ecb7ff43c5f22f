//! The trees of one root: those paths that cannot stand in one tree stand in several.
//!
//! In: the trails of transactions that no tree has an answer for. Out: trees, of which a transaction asks one after the
//! other. How many there are is bounded, and so is what is tried in vain.

use super::trail::Trail;
use super::tree::Tree;

/// How many trees there are at most.
const MAX_TREES: usize = 4;

/// Trees, and what came of growing them.
#[derive(Debug, Default)]
pub(super) struct Forest {
    trees: Vec<Tree>,
    recorded: u32,
    failed: u32,
}

impl Forest {
    /// Whether recording another transaction is worth its while, after so many that a tree had an answer for.
    pub(super) fn wants_more(&self, hits: u32) -> bool {
        let room = self.trees.iter().all(Tree::has_room);
        let fails = self.failed > hits / 8;
        room && !fails && (self.recorded < super::TRIAL || hits / 2 > self.recorded)
    }

    /// Notes that what was added is of no use.
    pub(super) fn note_failure(&mut self) {
        self.failed += 1;
    }

    /// Adds the trails of a transaction. Gives the number of the tree that has grown, if one has, and the tree.
    pub(super) fn insert(&mut self, mut trails: Vec<Trail>) -> Option<(usize, &Tree)> {
        self.recorded += 1;
        trails.iter_mut().for_each(Trail::close);
        trails.sort_unstable_by_key(|trail| trail.number);
        let whole = trails.iter().enumerate().all(|(index, trail)| trail.number == index)
            && !trails.iter().any(Trail::is_given_up);
        let grown = if whole { self.grow(&trails) } else { None };
        self.failed += u32::from(grown.is_none());
        grown.map(|number| (number, &self.trees[number]))
    }

    fn grow(&mut self, trails: &[Trail]) -> Option<usize> {
        let grown = self.trees.iter_mut().position(|tree| tree.insert(trails));
        if grown.is_some() || self.trees.len() == MAX_TREES {
            return grown;
        }
        let mut tree = Tree::default();
        tree.insert(trails).then(|| {
            self.trees.push(tree);
            self.trees.len() - 1
        })
    }
}
