//! The order in which nodes are executed again: a weak topological order of the graph so far.
//!
//! In: the successors of each node. Out: a rank for each. Whatever leads to a node stands before it, but for the edges
//! that close a loop, and a loop stands in one piece with its head first: with the lowest rank first, a node waits for
//! all that flows into it, and a loop comes to rest before what follows it is looked at. Without that, a chain of
//! branches that meet again whose blocks lie in the wrong order doubles the work at every branch. As long as little has
//! been explored, compilers' order of blocks serves as well and costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Explorer;

/// Visits of one node that show that the order of blocks in the code does not serve.
const RESTLESS: u32 = 60;

/// Visits at least between two times that nodes are put in order.
const LEAST_VISITS: u32 = 400;

/// Loops in loops beyond which members are only put in the order in which a search finds them.
const MAX_NESTING: u32 = 24;

/// No number.
const NONE: u32 = u32::MAX;

/// What waits to be executed: by rank, depth, place in the code and number.
pub(super) type Queue = BinaryHeap<(Reverse<u32>, u32, Reverse<u32>, Reverse<u32>)>;

/// How much has been executed, and when nodes are put in order next.
#[derive(Default)]
pub(super) struct Visits {
    count: u32,
    next: u32,
    is_ordered: bool,
}

impl Explorer<'_, '_> {
    /// Counts a visit of `node`, and puts all nodes in order when that is due.
    pub(super) fn keep_in_order(&mut self, node: u32) {
        self.visits.count += 1;
        let is_restless = self.drafts[node as usize].visits > RESTLESS;
        if self.visits.count < self.visits.next || !(self.visits.is_ordered || is_restless || self.is_late())
        {
            return;
        }
        self.visits.is_ordered = true;
        self.visits.next = self.visits.count + LEAST_VISITS.max(self.nodes.len() as u32);
        let (nodes, drafts) = (&self.nodes, &self.drafts);
        let wish = |node: u32| {
            let draft = &drafts[node as usize];
            (draft.depth, Reverse(draft.start), Reverse(node))
        };
        let ranks = ranks(nodes.len(), |node| nodes[node as usize].successors.as_slice(), wish);
        self.queue.clear();
        for (node, (draft, rank)) in self.drafts.iter_mut().zip(ranks).enumerate() {
            draft.rank = rank;
            if draft.queued {
                self.queue.push((Reverse(rank), draft.depth, Reverse(draft.start), Reverse(node as u32)));
            }
        }
    }
}

enum Item {
    Node(u32),
    /// Nodes still to be put in order, and in how many loops they are.
    Set(Vec<u32>, u32),
}

/// The rank of each node. Of nodes that wait for nothing, the one with the greatest `wish` comes first.
fn ranks<'g, W: Ord>(
    count: usize,
    successors: impl Fn(u32) -> &'g [u32],
    wish: impl Fn(u32) -> W,
) -> Vec<u32> {
    let mut search = Search {
        component: vec![0; count],
        part: vec![0; count],
        found: vec![NONE; count],
        lowest: vec![0; count],
        is_open: vec![false; count],
        counter: 0,
    };
    let mut ranks = vec![0; count];
    let (mut next, mut parts) = (0, 0);
    let mut items = vec![Item::Set((0..count as u32).collect(), 0)];
    while let Some(item) = items.pop() {
        match item {
            Item::Node(node) => {
                ranks[node as usize] = next;
                next += 1;
            }
            Item::Set(members, nesting) => {
                parts += 1;
                let components = search.components(&members, parts, &successors);
                let order = search.topological(&components, parts, &successors, &wish);
                let mut components = components;
                // What comes first has to end up on top.
                for index in order.into_iter().rev() {
                    let mut component = std::mem::take(&mut components[index]);
                    let rest = component.split_off(1);
                    if nesting >= MAX_NESTING {
                        items.extend(rest.into_iter().rev().map(Item::Node));
                    } else if !rest.is_empty() {
                        items.push(Item::Set(rest, nesting + 1));
                    }
                    items.push(Item::Node(component[0]));
                }
            }
        }
    }
    ranks
}

/// Tarjan's search for components, in parts of the graph.
struct Search {
    /// The component of its part that each node is in.
    component: Vec<u32>,
    /// The part that each node was last looked at in.
    part: Vec<u32>,
    found: Vec<u32>,
    lowest: Vec<u32>,
    is_open: Vec<bool>,
    counter: u32,
}

impl Search {
    /// The components of the graph of `members` alone, each with its members in the order in which they are found.
    fn components<'g>(
        &mut self,
        members: &[u32],
        part: u32,
        successors: &impl Fn(u32) -> &'g [u32],
    ) -> Vec<Vec<u32>> {
        for member in members {
            self.part[*member as usize] = part;
            self.found[*member as usize] = NONE;
        }
        let (mut result, mut open) = (Vec::new(), Vec::new());
        let mut stack: Vec<(u32, usize)> = Vec::new();
        for root in members {
            if self.found[*root as usize] == NONE {
                self.open(*root, &mut open, &mut stack);
            }
            while let Some((node, next)) = stack.last_mut() {
                let here = *node as usize;
                if let Some(&target) = successors(*node).get(*next) {
                    *next += 1;
                    let there = target as usize;
                    if self.part[there] != part {
                        continue;
                    }
                    if self.found[there] == NONE {
                        self.open(target, &mut open, &mut stack);
                    } else if self.is_open[there] {
                        self.lowest[here] = self.lowest[here].min(self.found[there]);
                    }
                    continue;
                }
                stack.pop();
                if let Some((above, _)) = stack.last() {
                    let above = *above as usize;
                    self.lowest[above] = self.lowest[above].min(self.lowest[here]);
                }
                if self.lowest[here] == self.found[here] {
                    let first = open.iter().rposition(|member| *member as usize == here).unwrap_or(0);
                    let component = open.split_off(first);
                    for member in &component {
                        self.is_open[*member as usize] = false;
                    }
                    result.push(component);
                }
            }
        }
        result
    }

    /// The order of the components of a part.
    fn topological<'g, W: Ord>(
        &mut self,
        components: &[Vec<u32>],
        part: u32,
        successors: &impl Fn(u32) -> &'g [u32],
        wish: &impl Fn(u32) -> W,
    ) -> Vec<usize> {
        for (index, component) in components.iter().enumerate() {
            for member in component {
                self.component[*member as usize] = index as u32;
            }
        }
        let component = &self.component;
        let leads = |from: usize| {
            let targets = components[from].iter().flat_map(|member| successors(*member));
            let targets = targets.filter(|target| self.part[**target as usize] == part);
            targets.map(|target| component[*target as usize] as usize).filter(move |to| *to != from)
        };
        let mut waits = vec![0u32; components.len()];
        (0..components.len()).for_each(|from| leads(from).for_each(|to| waits[to] += 1));
        let entry = |index: usize| (wish(components[index][0]), index);
        let mut ready: BinaryHeap<(W, usize)> =
            (0..components.len()).filter(|index| waits[*index] == 0).map(entry).collect();
        let mut order = Vec::with_capacity(components.len());
        while let Some((_, from)) = ready.pop() {
            order.push(from);
            for to in leads(from) {
                waits[to] -= 1;
                if waits[to] == 0 {
                    ready.push(entry(to));
                }
            }
        }
        order
    }

    fn open(&mut self, node: u32, open: &mut Vec<u32>, stack: &mut Vec<(u32, usize)>) {
        self.found[node as usize] = self.counter;
        self.lowest[node as usize] = self.counter;
        self.counter += 1;
        self.is_open[node as usize] = true;
        open.push(node);
        stack.push((node, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(graph: &[&[u32]]) -> Vec<u32> {
        let ranks = ranks(graph.len(), |node| graph[node as usize], std::cmp::Reverse);
        let mut order: Vec<u32> = (0..graph.len() as u32).collect();
        order.sort_by_key(|node| ranks[*node as usize]);
        order
    }

    #[test]
    fn what_leads_to_a_node_stands_before_it() {
        // Two branches that meet again, numbered backwards.
        assert_eq!(order(&[&[5, 6], &[], &[1, 3], &[1], &[2], &[4], &[4]]), [0, 5, 6, 4, 2, 3, 1]);
    }

    #[test]
    fn a_loop_stands_in_one_piece_before_what_follows_it() {
        // 0 -> head 3 -> body 1 -> 3, out to 2; the body has a loop of its own, 4 -> 5 -> 4.
        let order = order(&[&[3], &[3, 2], &[], &[2, 4], &[5, 1], &[4]]);
        assert_eq!(order, [0, 3, 4, 5, 1, 2]);
    }

    #[test]
    fn nodes_that_nothing_leads_to_have_a_rank_too() {
        let mut ranks = ranks(4, |node| [&[1u32] as &[u32], &[0], &[], &[2]][node as usize], |_| ());
        ranks.sort_unstable();
        assert_eq!(ranks, [0, 1, 2, 3]);
    }

    #[test]
    fn dense_graphs_come_to_an_end() {
        let all: Vec<u32> = (0..300).collect();
        let ranks = ranks(300, |_| &all, |node| node);
        assert_eq!(ranks.iter().max(), Some(&299));
    }
}
