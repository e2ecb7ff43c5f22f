//! The shape of an explored graph: which nodes dominate which, which lie on a cycle, which lead to success.
//!
//! In: the [`Graph`] of one entry. Out: a [`Shape`]. Nodes are numbered as in the graph; one node more stands for every
//! successful end. Nothing here looks into what a node does. A node that cannot be reached dominates nothing and is
//! dominated by nothing.

use crate::graph::{Exit, Graph};

/// What the edges of a graph say about its nodes.
pub(crate) struct Shape {
    /// Some path from the node succeeds, as far as is known.
    pub(crate) live: Vec<bool>,
    /// Every successful path passes the node.
    pub(crate) always: Vec<bool>,
    /// In a cycle; nothing is said of nodes that are not reached.
    pub(crate) repeated: Vec<bool>,
    /// For each node, the numbers that it and the nodes that it dominates have in the tree of dominators: from the
    /// node's own up to and without the second.
    dominated: Vec<(u32, u32)>,
}

impl Shape {
    pub(crate) fn new(graph: &Graph) -> Self {
        let count = graph.nodes.len();
        let forward = Edges::of(graph);
        let backward = forward.reversed();
        let live = reachable(&backward, count as u32);
        let search = Search::new(&forward);
        let immediate = search.immediate_dominators(&backward);
        let mut always = vec![false; count + 1];
        let mut at = search.numbers[count];
        while at != NONE {
            always[search.nodes[at as usize] as usize] = true;
            at = if at == 0 { NONE } else { immediate[at as usize] };
        }
        Self {
            live,
            always,
            repeated: if search.has_cycle { cyclic(&forward) } else { vec![false; count + 1] },
            dominated: intervals(&search, &immediate),
        }
    }

    /// The nodes reached by edges that are none of `closed`, if no success is among them, nor any place from where
    /// something may follow that was not explored. What such places lead to is told apart from what stands before them:
    /// exploration would have changed nothing that no such place leads to.
    pub(crate) fn reached_without(graph: &Graph, closed: impl Fn(u32, u32) -> bool) -> Option<Vec<bool>> {
        let mut seen = vec![false; graph.nodes.len()];
        *seen.first_mut()? = true;
        let mut stack = vec![0];
        while let Some(from) = stack.pop() {
            let node = &graph.nodes[from as usize];
            if node.is_cut || matches!(node.exit, Exit::Success { .. } | Exit::Unresolved | Exit::Open) {
                return None;
            }
            for &to in &node.successors {
                if !seen[to as usize] && !closed(from, to) {
                    seen[to as usize] = true;
                    stack.push(to);
                }
            }
        }
        Some(seen)
    }

    /// Where the node stands in the tree of dominators.
    pub(crate) fn place(&self, node: usize) -> u32 {
        self.dominated[node].0
    }

    /// The places of the nodes that the node dominates, itself not among them.
    pub(crate) fn strictly_dominated(&self, node: usize) -> (u32, u32) {
        let (first, end) = self.dominated[node];
        (first.saturating_add(1).min(end), end)
    }
}

/// No node.
const NONE: u32 = u32::MAX;

/// Edges grouped by the node that they leave.
struct Edges {
    /// Where the targets of each node start; one entry more than there are nodes.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Edges {
    fn of(graph: &Graph) -> Self {
        let end = graph.nodes.len() as u32;
        let stopped = !graph.incomplete.is_empty();
        let mut starts = Vec::with_capacity(graph.nodes.len() + 2);
        let mut targets = Vec::with_capacity(2 * graph.nodes.len());
        for node in &graph.nodes {
            starts.push(targets.len() as u32);
            // Many nodes lead to one that only fails, from where nothing follows: it would cost most and tell nothing.
            targets.extend(node.successors.iter().filter(|to| {
                let to = &graph.nodes[**to as usize];
                to.exit != Exit::Failure || !to.events.is_empty()
            }));
            let open = match node.exit {
                Exit::Success { .. } | Exit::Unresolved | Exit::Open => true,
                // The budget ended before the successors were made.
                Exit::Jump | Exit::Branch { .. } => stopped && node.successors.len() < 2,
                Exit::Failure => false,
            };
            if open {
                targets.push(end);
            }
        }
        starts.extend([targets.len() as u32; 2]);
        Self { starts, targets }
    }

    fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    fn from(&self, node: u32) -> &[u32] {
        &self.targets[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }

    fn reversed(&self) -> Self {
        let mut starts = vec![0; self.starts.len()];
        for target in &self.targets {
            starts[*target as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; self.targets.len()];
        for node in 0..self.nodes() as u32 {
            for target in self.from(node) {
                targets[next[*target as usize] as usize] = node;
                next[*target as usize] += 1;
            }
        }
        Self { starts, targets }
    }
}

fn reachable(edges: &Edges, from: u32) -> Vec<bool> {
    let mut seen = vec![false; edges.nodes()];
    seen[from as usize] = true;
    let mut stack = vec![from];
    while let Some(node) = stack.pop() {
        for target in edges.from(node) {
            if !seen[*target as usize] {
                seen[*target as usize] = true;
                stack.push(*target);
            }
        }
    }
    seen
}

/// The nodes that node 0 reaches, numbered in the order in which a search in depth first finds them.
struct Search {
    nodes: Vec<u32>,
    /// The number of each node; [`NONE`] for one that is not reached.
    numbers: Vec<u32>,
    /// By number: the number of the node through which it was found. That of node 0 is its own.
    parents: Vec<u32>,
    /// Some edge leads back to where the search came from.
    has_cycle: bool,
}

impl Search {
    fn new(edges: &Edges) -> Self {
        let mut search =
            Self { nodes: vec![0], numbers: vec![NONE; edges.nodes()], parents: vec![0], has_cycle: false };
        search.numbers[0] = 0;
        let mut is_open = vec![false; edges.nodes()];
        is_open[0] = true;
        let mut stack = vec![(0, 0)];
        while let Some((node, next)) = stack.last_mut() {
            let Some(&target) = edges.from(*node).get(*next) else {
                is_open[*node as usize] = false;
                stack.pop();
                continue;
            };
            *next += 1;
            search.has_cycle |= is_open[target as usize];
            if search.numbers[target as usize] == NONE {
                is_open[target as usize] = true;
                search.numbers[target as usize] = search.nodes.len() as u32;
                search.parents.push(search.numbers[*node as usize]);
                search.nodes.push(target);
                stack.push((target, 0));
            }
        }
        search
    }

    /// The immediate dominator of each node by number, that of node 0 being itself: the algorithm SEMI-NCA of Georgiadis
    /// and Tarjan, which takes hardly more than linear time.
    fn immediate_dominators(&self, backward: &Edges) -> Vec<u32> {
        let mut forest = Forest {
            ancestors: self.parents.clone(),
            best: (0..self.nodes.len() as u32).collect(),
            semi: (0..self.nodes.len() as u32).collect(),
            path: Vec::new(),
        };
        for number in (1..self.nodes.len()).rev() {
            let mut lowest = self.parents[number];
            for previous in backward.from(self.nodes[number]) {
                let previous = self.numbers[*previous as usize];
                if previous != NONE {
                    let best = forest.best_above(previous, number as u32 + 1);
                    lowest = lowest.min(forest.semi[best as usize]);
                }
            }
            forest.semi[number] = lowest;
        }
        let mut immediate = self.parents.clone();
        for number in 1..self.nodes.len() {
            let mut above = immediate[number];
            while above > forest.semi[number] {
                above = immediate[above as usize];
            }
            immediate[number] = above;
        }
        immediate
    }
}

/// The part of the search tree that has been gone through.
struct Forest {
    ancestors: Vec<u32>,
    /// The node with the lowest semidominator on the way up to the ancestor.
    best: Vec<u32>,
    semi: Vec<u32>,
    path: Vec<u32>,
}

impl Forest {
    /// The node with the lowest semidominator from `node` up to where numbers are below `first`.
    fn best_above(&mut self, node: u32, first: u32) -> u32 {
        let mut above = node;
        while self.ancestors[above as usize] >= first {
            self.path.push(above);
            above = self.ancestors[above as usize];
        }
        let ancestor = self.ancestors[above as usize];
        let mut best = self.best[above as usize];
        while let Some(below) = self.path.pop() {
            self.ancestors[below as usize] = ancestor;
            let own = self.best[below as usize];
            if self.semi[best as usize] < self.semi[own as usize] {
                self.best[below as usize] = best;
            } else {
                best = own;
            }
        }
        self.best[node as usize]
    }
}

/// The numbers of each node's subtree in the tree of dominators; empty for a node that is not reached.
fn intervals(search: &Search, immediate: &[u32]) -> Vec<(u32, u32)> {
    // A node is found after its immediate dominator.
    let mut sizes = vec![1u32; immediate.len()];
    for number in (1..immediate.len()).rev() {
        sizes[immediate[number] as usize] += sizes[number];
    }
    let mut result = vec![(NONE, NONE); search.numbers.len()];
    let mut next = vec![0; immediate.len()];
    for (number, node) in search.nodes.iter().enumerate() {
        let above = immediate[number] as usize;
        let place = next[above];
        next[above] = place + sizes[number];
        result[*node as usize] = (place, place + sizes[number]);
        next[number] = place + 1;
    }
    result
}

/// Which nodes lie on a cycle: the components of Tarjan's algorithm with more than one node, and nodes that lead to
/// themselves.
fn cyclic(edges: &Edges) -> Vec<bool> {
    let mut result = vec![false; edges.nodes()];
    let mut found = vec![NONE; edges.nodes()];
    let mut lowest = vec![0u32; edges.nodes()];
    let mut open = Vec::new();
    let mut is_open = vec![false; edges.nodes()];
    let mut counter = 0;
    let mut stack: Vec<(u32, usize)> = Vec::new();
    for root in 0..edges.nodes() as u32 {
        if found[root as usize] != NONE {
            continue;
        }
        stack.push((root, 0));
        while let Some(&mut (node, ref mut next)) = stack.last_mut() {
            let here = node as usize;
            if *next == 0 && found[here] == NONE {
                found[here] = counter;
                lowest[here] = counter;
                counter += 1;
                open.push(node);
                is_open[here] = true;
            }
            if let Some(&target) = edges.from(node).get(*next) {
                *next += 1;
                let there = target as usize;
                if found[there] == NONE {
                    stack.push((target, 0));
                } else if is_open[there] {
                    lowest[here] = lowest[here].min(found[there]);
                    result[here] |= there == here;
                }
                continue;
            }
            stack.pop();
            if let Some((above, _)) = stack.last() {
                lowest[*above as usize] = lowest[*above as usize].min(lowest[here]);
            }
            if lowest[here] == found[here] {
                let alone = open.last() == Some(&node);
                while let Some(member) = open.pop() {
                    is_open[member as usize] = false;
                    result[member as usize] |= !alone;
                    if member == node {
                        break;
                    }
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::GraphNode;
    use proptest::prelude::*;
    use std::rc::Rc;

    fn graph(nodes: Vec<(Vec<u32>, bool)>) -> Graph {
        let node = |(successors, succeeds): (Vec<u32>, bool)| GraphNode {
            call_sites: Rc::default(),
            facts: Rc::default(),
            events: Vec::new(),
            memory_words: Vec::new(),
            exit: if succeeds {
                Exit::Success { words: Vec::new(), lost: false, returned: Vec::new(), written: Vec::new() }
            } else {
                Exit::Jump
            },
            needs: None,
            successors,
            arms: Vec::new(),
            met: Vec::new(),
            is_cut: false,
        };
        Graph { nodes: nodes.into_iter().map(node).collect(), incomplete: Vec::new(), steps: Vec::new() }
    }

    /// The nodes that `from` reaches by one edge or more without entering `closed`.
    fn reached(edges: &Edges, from: u32, closed: Option<u32>) -> Vec<bool> {
        let mut seen = vec![false; edges.nodes()];
        let mut stack = if Some(from) == closed { Vec::new() } else { vec![from] };
        while let Some(node) = stack.pop() {
            for target in edges.from(node) {
                if Some(*target) != closed && !seen[*target as usize] {
                    seen[*target as usize] = true;
                    stack.push(*target);
                }
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn agrees_with_the_definitions(
            nodes in (1usize..12).prop_flat_map(|count| {
                prop::collection::vec(
                    (prop::collection::vec(0..count as u32, 0..3), prop::bool::weighted(0.2)),
                    count,
                )
            })
        ) {
            let graph = graph(nodes);
            let (edges, shape) = (Edges::of(&graph), Shape::new(&graph));
            let end = graph.nodes.len();
            let all = reached(&edges, 0, None);
            for node in 0..end {
                prop_assert_eq!(shape.live[node], reached(&edges, node as u32, None)[end]);
                let without = reached(&edges, 0, Some(node as u32));
                let is_reached = |other: usize| other == 0 || all[other];
                if is_reached(node) {
                    prop_assert_eq!(shape.repeated[node], reached(&edges, node as u32, None)[node]);
                }
                prop_assert_eq!(shape.always[node], all[end] && is_reached(node) && !without[end]);
                for other in (0..end).filter(|other| *other != node && is_reached(*other)) {
                    let (from, to) = shape.strictly_dominated(node);
                    let dominates = is_reached(node) && (node == 0 || (other != 0 && !without[other]));
                    prop_assert_eq!((from..to).contains(&shape.place(other)), dominates);
                }
            }
        }
    }
}
