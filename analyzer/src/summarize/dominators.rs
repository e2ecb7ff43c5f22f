//! The shape of an explored graph: which nodes dominate which, which lie on a cycle, which lead to success.
//!
//! In: the [`Graph`] of one entry. Out: a [`Shape`]. Nodes are numbered as in the graph; one node more stands for every
//! successful end. Nothing here looks into what a node does. A node that cannot be reached dominates nothing and is
//! dominated by nothing.

use petgraph::{
    algo::{dominators::simple_fast, kosaraju_scc},
    graph::{DiGraph, NodeIndex},
    visit::{Dfs, Reversed},
};

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
        let flow = flow(graph);
        let (start, end) = (NodeIndex::new(0), NodeIndex::new(graph.nodes.len()));
        let mut live = vec![false; flow.node_count()];
        let mut backward = Dfs::new(Reversed(&flow), end);
        while let Some(node) = backward.next(Reversed(&flow)) {
            live[node.index()] = true;
        }
        let dominators = simple_fast(&flow, start);
        let mut always = vec![false; flow.node_count()];
        for node in dominators.dominators(end).into_iter().flatten() {
            always[node.index()] = true;
        }
        let above: Vec<Option<u32>> = flow
            .node_indices()
            .map(|node| dominators.immediate_dominator(node).map(|node| node.index() as u32))
            .collect();
        Self { live, always, repeated: cyclic(&flow), dominated: intervals(&above) }
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

/// The edges of the graph, and the node more that stands for success.
type Flow = DiGraph<(), (), u32>;

fn flow(graph: &Graph) -> Flow {
    let end = NodeIndex::new(graph.nodes.len());
    let stopped = !graph.incomplete.is_empty();
    let mut flow = Flow::with_capacity(graph.nodes.len() + 1, 2 * graph.nodes.len());
    for _ in 0..=graph.nodes.len() {
        flow.add_node(());
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        let from = NodeIndex::new(index);
        for &to in &node.successors {
            // Many nodes lead to one that only fails, from where nothing follows: it would cost most and tell nothing.
            let target = &graph.nodes[to as usize];
            if target.exit != Exit::Failure || !target.events.is_empty() {
                flow.add_edge(from, to.into(), ());
            }
        }
        let open = match node.exit {
            Exit::Success { .. } | Exit::Unresolved | Exit::Open => true,
            // The budget ended before the successors were made.
            Exit::Jump | Exit::Branch { .. } => stopped && node.successors.len() < 2,
            Exit::Failure => false,
        };
        if open {
            flow.add_edge(from, end, ());
        }
    }
    flow
}

/// The numbers of each node's subtree in the tree of dominators, of which node 0 is the root; empty for a node that is
/// not reached.
fn intervals(above: &[Option<u32>]) -> Vec<(u32, u32)> {
    let mut below: Vec<Vec<u32>> = vec![Vec::new(); above.len()];
    for (node, above) in above.iter().enumerate() {
        if let Some(above) = above {
            below[*above as usize].push(node as u32);
        }
    }
    let mut result = vec![(u32::MAX, u32::MAX); above.len()];
    let mut next = 0;
    let mut stack = vec![(0u32, 0usize)];
    while let Some((node, child)) = stack.last_mut() {
        let here = *node as usize;
        if *child == 0 {
            result[here].0 = next;
            next += 1;
        }
        if let Some(&target) = below[here].get(*child) {
            *child += 1;
            stack.push((target, 0));
        } else {
            result[here].1 = next;
            stack.pop();
        }
    }
    result
}

/// Which nodes lie on a cycle: the strongly connected components with more than one node, and nodes that lead to
/// themselves.
fn cyclic(flow: &Flow) -> Vec<bool> {
    let mut result = vec![false; flow.node_count()];
    // Not Tarjan's algorithm: petgraph's takes a frame of the machine's stack for every node of a path.
    for component in kosaraju_scc(flow) {
        let repeats = component.len() > 1 || flow.contains_edge(component[0], component[0]);
        for node in component {
            result[node.index()] = repeats;
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
    fn reached(flow: &Flow, from: u32, closed: Option<u32>) -> Vec<bool> {
        let mut seen = vec![false; flow.node_count()];
        let mut stack = if Some(from) == closed { Vec::new() } else { vec![from] };
        while let Some(node) = stack.pop() {
            for target in flow.neighbors(node.into()).map(|target| target.index() as u32) {
                if Some(target) != closed && !seen[target as usize] {
                    seen[target as usize] = true;
                    stack.push(target);
                }
            }
        }
        seen
    }

    /// Chains that can be entered at either end and gone along both ways: what takes an algorithm that goes round until
    /// nothing changes the longest.
    #[test]
    fn a_chain_that_is_entered_at_both_ends_is_gone_through() {
        let last = 4_999u32;
        let node = |index: u32| match index {
            0 => (vec![1, last], false),
            1 => (vec![2], false),
            _ if index == last => (vec![index - 1], true),
            _ => (vec![index + 1, index - 1], false),
        };
        let shape = Shape::new(&graph((0..=last).map(node).collect()));
        assert!(shape.always[0] && shape.always[last as usize] && !shape.always[1]);
        assert!(shape.repeated[2] && !shape.repeated[0]);
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
            let (edges, shape) = (flow(&graph), Shape::new(&graph));
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
