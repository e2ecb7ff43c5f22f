//! Explores one entry: a worklist over (basic block, calling context) until nothing changes.
//!
//! In: the code and the state at the entry. Out: a [`Graph`]. The context of a node is the jump destinations on its
//! stack, so that every internal function is explored per caller, and further constants on its stack as long as there
//! are few different ones, so that booleans, loop counters and shared helper arguments stay exact. Where paths meet,
//! differing words become phis; a node is executed again whenever what flows into it changes. The order is fixed by
//! depth and program counter: exploration never depends on hashing order. Every bound that is hit ends in the graph's
//! `incomplete` list.

mod branch;
mod node_draft;
mod failure;
mod floor;
mod order;
mod phi;

use std::{cmp::Reverse, hash::Hasher as _};

use std::rc::Rc;

use revm_bytecode::opcode as op;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

pub(crate) use self::failure::Failures;
use self::floor::Floors;
use self::node_draft::{Edge, Key, Made, NodeDraft};
use self::order::{Queue, Visits};
use self::phi::NodeMeet;

use crate::{
    address_order::PhiOrder,
    code::{Code, Pc},
    expression::Node as Word,
    facts::Facts,
    graph::{Exit, Graph, GraphNode},
    id::ExprId,
    immutable::Immutable,
    incomplete::{Incomplete, Reason},
    simplify::Builder,
    slot::FoldedEntries,
    state::{Place, State, join},
    step::{Machine, Way},
    summary::Step,
};

/// How much work one entry may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Executed instructions.
    pub(crate) steps: u64,
    /// Nodes of the graph.
    pub(crate) nodes: usize,
    /// Expressions in the arena, over all entries of the contract.
    pub(crate) expressions: usize,
}

/// How many sets of booleans on the stack a block is explored with in one calling context before they are merged.
const MAX_VARIANTS: u32 = 4;

/// How many iterations of a loop whose condition is decided by constants are kept apart, in one calling context.
const MAX_ITERATIONS: u32 = 10;

/// Nodes beyond which blocks are explored once in each calling context and no more.
const MAX_PRECISE_NODES: usize = 3_000;

/// Instructions after which they are, too: most entries end long before, and what is told apart up to there stays so.
const MAX_PRECISE_STEPS: u64 = 40_000;

/// How far back a block looks for its previous iteration.
const MAX_LOOP_NODES: usize = 400;

/// How many calling contexts a block is explored in before they are merged.
const MAX_CONTEXTS: u32 = 600;

/// Visits of a node after which a phi is kept even when its operands agree again, so that exploration ends.
const STABLE_AFTER: u32 = 12;

/// Constant jump targets followed from one word.
const MAX_TARGETS: usize = 64;

/// What one exploration starts from.
pub(crate) struct Start {
    pub(crate) state: State,
    /// Comparisons of the selector with a constant are taken to fail, and the constants reported: this entry is what
    /// remains when no function is called.
    pub(crate) is_fallback: bool,
}

/// What the explorations of one contract share.
pub(crate) struct Shared<'a> {
    pub(crate) code: &'a Code,
    pub(crate) immediates: Vec<ExprId>,
    /// What deployment fills in.
    pub(crate) immutables: &'a [Immutable],
    pub(crate) folded: FoldedEntries,
    /// What the words of the arena are to a calling context.
    pub(crate) classes: Vec<Class>,
    /// Blocks that need not be explored because they only fail.
    pub(crate) failures: Failures,
    /// Room that explorations leave to the next one.
    pub(crate) room: Room,
    pub(crate) builder: Builder,
    pub(crate) recovered: FxHashSet<ExprId>,
    /// The first unused node number: nodes are numbered through all explorations, so that sites and phis are unique.
    pub(crate) next_node: u32,
    /// Selectors that the dispatcher compares with.
    pub(crate) selectors: Vec<u32>,
}

/// Lists that are empty between explorations.
#[derive(Default)]
pub(crate) struct Room {
    drafts: Vec<NodeDraft>,
    pub(crate) nodes: Vec<GraphNode>,
    index: FxHashMap<Key, u32>,
    made: FxHashMap<Key, Made>,
}

/// What a word on the stack is to a calling context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A constant that a jump may return to.
    Label,
    /// Zero or one.
    Boolean,
    /// Another constant.
    Number,
    /// No constant.
    Symbol,
}

impl Shared<'_> {
    /// Brings `classes` up to date with the arena.
    fn classify(&mut self) {
        let (expressions, code) = (&self.builder.expressions, self.code);
        self.classes.extend((self.classes.len()..expressions.len()).map(|index| {
            match expressions.constant(ExprId(index as u32)) {
                None => Class::Symbol,
                Some(value) if code.is_label(&value) => Class::Label,
                Some(value) if value.bit_len() <= 1 => Class::Boolean,
                Some(_) => Class::Number,
            }
        }));
    }
}

struct Explorer<'s, 'a> {
    shared: &'s mut Shared<'a>,
    budget: Budget,
    is_fallback: bool,
    base: u32,
    drafts: Vec<NodeDraft>,
    /// What the graph keeps of each draft.
    nodes: Vec<GraphNode>,
    index: FxHashMap<Key, u32>,
    made: FxHashMap<Key, Made>,
    contexts: FxHashMap<(u32, u32), u32>,
    floors: Floors,
    queue: Queue,
    visits: Visits,
    no_facts: Rc<Facts>,
    /// The node that stands for all blocks that only fail.
    failure: Option<u32>,
    /// On the way into an arm of a branch that nothing decides: whether the tested word is non-zero there.
    arm: Option<bool>,
    /// The return addresses on the stack that was last looked at.
    labels: Vec<ExprId>,
    /// Room to put call sites together in.
    sites: Vec<Pc>,
    order: PhiOrder,
    /// Phis that have been seen to shrink.
    refuted: FxHashSet<ExprId>,
    /// Nodes to execute again because a proof there used what turned out to be false.
    recheck: Vec<u32>,
    /// Nodes that jump to a phi, with the number of targets that it had then.
    phi_jumps: Vec<(u32, ExprId, usize)>,
    steps: u64,
    incomplete: Vec<Incomplete>,
}

/// Explores from `start`; also tells how many instructions that took.
pub(crate) fn explore(shared: &mut Shared<'_>, start: &Start, budget: Budget) -> (Graph, u64) {
    let base = shared.next_node;
    let room = std::mem::take(&mut shared.room);
    let mut explorer = Explorer {
        shared,
        budget,
        is_fallback: start.is_fallback,
        base,
        drafts: room.drafts,
        nodes: room.nodes,
        index: room.index,
        made: room.made,
        contexts: FxHashMap::default(),
        floors: Floors::default(),
        queue: Queue::new(),
        visits: Visits::default(),
        no_facts: Rc::default(),
        failure: None,
        arm: None,
        labels: Vec::new(),
        sites: Vec::new(),
        order: PhiOrder::default(),
        refuted: FxHashSet::default(),
        recheck: Vec::new(),
        phi_jumps: Vec::new(),
        steps: 0,
        incomplete: Vec::new(),
    };
    explorer.run(start.state.clone());
    let (used, steps) = (explorer.drafts.len() as u32, explorer.steps);
    let graph = explorer.finish();
    shared.next_node = base + used;
    (graph, steps)
}

/// The word that differs by the way to `node` and that the condition tests, or the opposite of it.
fn tested_phi(builder: &Builder, mut condition: ExprId, node: u32) -> Option<ExprId> {
    loop {
        match builder.expressions.node(condition) {
            Word::Unary { op: op::ISZERO, a } => condition = a,
            Word::Phi { node: meeting, .. } => return (meeting == node).then_some(condition),
            _ => return None,
        }
    }
}

impl Explorer<'_, '_> {
    fn run(&mut self, state: State) {
        let Some(entry) = self.node_for(u32::MAX, 0, &state) else { return };
        self.send(u32::MAX, entry, state);
        loop {
            while let Some((.., Reverse(node))) = self.queue.pop() {
                self.drafts[node as usize].queued = false;
                if self.steps > self.budget.steps {
                    self.stop(Reason::StepBudget, node);
                    return;
                }
                if self.shared.builder.expressions.len() > self.budget.expressions {
                    self.stop(Reason::ExpressionBudget, node);
                    return;
                }
                self.visit(node);
                self.keep_in_order(node);
                while let Some(user) = self.recheck.pop() {
                    self.repeat(user);
                }
            }
            // A jump to a phi has more targets once the phi has more operands.
            let jumps = std::mem::take(&mut self.phi_jumps);
            for (node, target, known) in jumps {
                let targets = self.constant_targets(target).map_or(0, |targets| targets.len());
                if targets > known {
                    self.repeat(node);
                } else {
                    self.phi_jumps.push((node, target, known));
                }
            }
            if self.queue.is_empty() {
                return;
            }
        }
    }

    /// Whether so much has been explored that from here on only what has to be told apart is.
    fn is_late(&self) -> bool {
        self.steps > MAX_PRECISE_STEPS || self.drafts.len() > MAX_PRECISE_NODES
    }

    fn stop(&mut self, reason: Reason, node: u32) {
        self.nodes[node as usize].is_cut = true;
        let start = self.drafts[node as usize].start as usize;
        let pc = self.shared.code.instructions.get(start).map_or(Pc(0), |instruction| instruction.pc);
        self.incomplete.push(Incomplete { reason, pc });
    }

    fn enqueue(&mut self, node: u32) {
        let draft = &mut self.drafts[node as usize];
        if !draft.queued {
            draft.queued = true;
            self.queue.push((Reverse(draft.rank), draft.depth, Reverse(draft.start), Reverse(node)));
        }
    }

    /// Sees to it that the node is executed again.
    fn repeat(&mut self, node: u32) {
        let mut node = node;
        // The state of a node that only goes on is gone: it comes again from the node before.
        while self.drafts[node as usize].is_fallthrough {
            node = self.drafts[node as usize].parent;
        }
        self.drafts[node as usize].entry = None;
        self.enqueue(node);
    }

    /// The node for a block entered from `from` with this stack; made if there is none yet.
    fn node_for(&mut self, from: u32, start: u32, state: &State) -> Option<u32> {
        self.shared.classify();
        let height = state.stack.len() as u32;
        let [mut context, mut booleans, mut all] =
            [FxHasher::default(), FxHasher::default(), FxHasher::default()];
        let (classes, labels) = (self.shared.classes.as_slice(), &mut self.labels);
        labels.clear();
        for (position, word) in state.stack.iter().enumerate() {
            let class = classes[word.0 as usize];
            if class == Class::Symbol {
                continue;
            }
            let entry = (position as u64) << 32 | u64::from(word.0);
            all.write_u64(entry);
            match class {
                Class::Label => {
                    labels.push(*word);
                    context.write_u64(entry);
                }
                Class::Boolean => booleans.write_u64(entry),
                Class::Number | Class::Symbol => {}
            }
        }
        let floor = state.floor;
        let key = |constants| Key { start, height, floor, constants };
        let narrow = key(context.finish());
        let boolean = key(context.finish().rotate_left(17) ^ booleans.finish());
        let exact = key(all.finish().rotate_left(31) ^ 0x5bd1_e995);
        // An iteration that has been kept apart is found again by all its constants.
        if let Some(node) = self.index.get(&exact) {
            return Some(*node);
        }
        let mut iteration = self.drafts.get(from as usize).map_or(0, |draft| draft.iteration);
        let mut chosen = boolean;
        let next = self.drafts.len() as u32;
        let known = self.made.get(&narrow).copied();
        let mut made = known.unwrap_or(Made { first: next, variants: 0, iterations: 0 });
        if self.is_late() {
            chosen = narrow;
        } else if made.iterations < MAX_ITERATIONS
            && made.variants > 0
            && let Some(next) = self.next_iteration(from, narrow, made.first)
        {
            made.iterations += 1;
            iteration = next;
            chosen = exact;
        } else if let Some(node) = self.index.get(&boolean) {
            return Some(*node);
        } else {
            if made.variants == 0 {
                let contexts = self.contexts.entry((start, height)).or_insert(0);
                *contexts += 1;
                if *contexts > MAX_CONTEXTS {
                    chosen = key(0);
                }
            }
            made.variants += 1;
            if made.variants > MAX_VARIANTS {
                chosen = narrow;
            }
        }
        self.made.insert(narrow, made);
        if let Some(node) = self.index.get(&chosen) {
            return Some(*node);
        }
        let call_sites = self.call_sites(from, floor);
        let depth = (self.floors.call_sites(floor).len() + self.labels.len()) as u32;
        let draft = NodeDraft { narrow, iteration, depth, ..NodeDraft::new(start, from) };
        let made = self.make_node(draft, call_sites);
        if let Some(node) = made {
            self.index.insert(chosen, node);
        }
        made
    }

    fn make_node(&mut self, draft: NodeDraft, call_sites: Rc<[Pc]>) -> Option<u32> {
        if self.drafts.len() >= self.budget.nodes {
            return None;
        }
        let node = self.drafts.len() as u32;
        let rank = self.drafts.get(draft.parent as usize).map_or(0, |parent| parent.rank);
        self.drafts.push(NodeDraft { rank, ..draft });
        self.nodes.push(GraphNode {
            call_sites,
            facts: Rc::clone(&self.no_facts),
            events: Vec::new(),
            memory_words: Vec::new(),
            exit: Exit::Open,
            needs: None,
            successors: Vec::new(),
            arms: Vec::new(),
            met: Vec::new(),
            is_cut: false,
        });
        Some(node)
    }

    /// If entering `narrow` from `from` closes a loop whose iterations constants tell apart: the number of the iteration
    /// that begins, or goes on, there. `first` is the oldest node of `narrow`.
    fn next_iteration(&self, from: u32, narrow: Key, first: u32) -> Option<u32> {
        let begin = self.drafts.get(from as usize)?;
        let mut at = from;
        for _ in 0..MAX_LOOP_NODES {
            // Parents are older than the nodes entered from them.
            if at < first {
                return None;
            }
            let draft = self.drafts.get(at as usize)?;
            if draft.narrow == narrow {
                if begin.iteration > draft.iteration {
                    return Some(begin.iteration);
                }
                return self.is_counted(at, from).then_some(draft.iteration + 1);
            }
            at = draft.parent;
        }
        None
    }

    /// Whether constants may decide how often the loop with this first and last block goes round.
    fn is_counted(&self, first: u32, last: u32) -> bool {
        // A condition that constants do not decide is not decided in the next iteration either.
        let is_open = |node: u32| matches!(self.nodes[node as usize].exit, Exit::Branch { .. });
        if is_open(first) || is_open(last) {
            return false;
        }
        let (head, tail) = (&self.drafts[first as usize], &self.drafts[last as usize]);
        let leaves = |arm: u32| arm < head.start || arm > tail.start;
        let mut at = last;
        loop {
            let draft = &self.drafts[at as usize];
            if draft.depth == head.depth {
                // A way out of the loop that constants have not let it take.
                if draft.passed.is_some_and(|arm| at == first || leaves(arm)) {
                    return true;
                }
            }
            if at == first {
                return false;
            }
            at = draft.parent;
        }
    }

    /// The jumps that pushed the return addresses in `labels`: a return address stands right behind its jump.
    fn call_sites(&mut self, from: u32, floor: u32) -> Rc<[Pc]> {
        let code = self.shared.code;
        self.sites.clear();
        self.sites.extend_from_slice(self.floors.call_sites(floor));
        for word in &self.labels {
            if let Some(value) = self.shared.builder.value(*word)
                && let Some(before) = code.destination(&value).and_then(|index| index.checked_sub(1))
                && code.instructions[before].opcode == op::JUMP
            {
                self.sites.push(code.instructions[before].pc);
            }
        }
        match self.nodes.get(from as usize) {
            // Most blocks are in the same call as the block before.
            Some(previous) if *previous.call_sites == *self.sites => Rc::clone(&previous.call_sites),
            _ => Rc::from(self.sites.as_slice()),
        }
    }

    /// Hands a state to a node over the edge from `from`.
    fn send(&mut self, from: u32, to: u32, state: State) {
        let draft = &mut self.drafts[to as usize];
        match draft.edges.iter_mut().find(|edge| edge.from == from) {
            Some(edge) if !draft.is_fallthrough && edge.state == state => return,
            Some(edge) => edge.state = state,
            None => {
                // Most nodes are entered from one place.
                if draft.edges.is_empty() {
                    draft.edges.reserve_exact(1);
                }
                draft.edges.push(Edge { from, state });
            }
        }
        self.enqueue(to);
    }

    fn visit(&mut self, node: u32) {
        self.order.node = node;
        let number = self.base + node;
        let start = self.drafts[node as usize].start;
        let entry_pc = self.shared.code.instructions.get(start as usize).map_or(Pc(0), |found| found.pc);
        let draft = &mut self.drafts[node as usize];
        if let [edge] = draft.edges.as_mut_slice() {
            draft.visits += 1;
            // Nothing will ever be joined with a state that only goes on.
            let state =
                if draft.is_fallthrough { std::mem::take(&mut edge.state) } else { edge.state.fork() };
            self.execute(node, state);
            return;
        }
        let states: Vec<&State> = draft.edges.iter().map(|edge| &edge.state).collect();
        let small: Vec<&[ExprId]> = states.iter().map(|state| state.facts.small.as_slice()).collect();
        let mut meet = NodeMeet {
            number,
            pc: entry_pc,
            phis: &mut draft.phis,
            collapse: draft.visits < STABLE_AFTER,
            order: &mut self.order,
            refuted: &mut self.refuted,
            recheck: &mut self.recheck,
            small: &small,
        };
        let entry = join(&mut self.shared.builder, &mut meet, &states);
        draft.visits += 1;
        if draft.entry.as_ref() == Some(&entry) {
            return;
        }
        let state = entry.fork();
        draft.entry = Some(entry);
        self.execute(node, state);
    }

    /// Executes a node's block on the state at its start, and hands on what comes out.
    fn execute(&mut self, node: u32, mut state: State) {
        let number = self.base + node;
        let start = self.drafts[node as usize].start;
        if self.reaches_below(start, &state) {
            self.unfold(node, &state);
            return;
        }
        self.nodes[node as usize].facts = Rc::clone(&state.facts);
        let mut machine = Machine {
            code: self.shared.code,
            immediates: &self.shared.immediates,
            immutables: self.shared.immutables,
            folded: &mut self.shared.folded,
            builder: &mut self.shared.builder,
            order: &mut self.order,
            recovered: &mut self.shared.recovered,
            node: number,
            events: Vec::new(),
            memory_words: Vec::new(),
            steps: 0,
        };
        let way = machine.run(&mut state, start as usize);
        // Blocks with few instructions still cost what their state costs to hand on.
        let storage = &state.storage;
        let held = state.stack.len()
            + state.memory.cells.len()
            + storage.current.len()
            + storage.events.len()
            + storage.written.len()
            + state.facts.conditions.len();
        self.steps += machine.steps + 4 + (held / 8) as u64;
        let (events, memory_words) = (machine.events, machine.memory_words);
        let explored = &mut self.nodes[node as usize];
        explored.events = events;
        explored.memory_words = memory_words;
        match way {
            Way::End(exit) => self.nodes[node as usize].exit = exit,
            Way::Next(index) => {
                self.nodes[node as usize].exit = Exit::Jump;
                self.go(node, index, state);
            }
            Way::Jump { target, at } => {
                let state = self.cut(node, target, at, state);
                self.jump(node, target, state, Exit::Jump);
            }
            Way::Branch { target, condition, next } => self.branch(node, target, condition, next, state),
        }
    }

    /// Whether the block at instruction `index` only fails. The fallback looks into such blocks all the same: selectors of
    /// functions that only revert are compared with there.
    fn is_failure(&mut self, index: usize) -> bool {
        let shared = &mut *self.shared;
        !self.is_fallback
            && shared.failures.is_failure(&shared.builder, shared.code, &shared.immediates, index)
    }

    /// Leads to the one node that stands for all blocks that only fail.
    fn fail(&mut self, node: u32) {
        let found = self.failure.or_else(|| {
            let made = self.make_node(NodeDraft::new(u32::MAX, node), Rc::default());
            if let Some(made) = made {
                self.nodes[made as usize].exit = Exit::Failure;
            }
            self.failure = made;
            made
        });
        match found {
            Some(to) => self.lead(node, to),
            None => self.stop(Reason::NodeBudget, node),
        }
    }

    fn lead(&mut self, node: u32, to: u32) {
        let arm = self.arm;
        let from = &mut self.nodes[node as usize];
        if !from.successors.contains(&to) {
            from.successors.push(to);
        }
        if let Some(holds) = arm
            && !from.arms.contains(&(to, holds))
        {
            from.arms.push((to, holds));
        }
    }

    fn go(&mut self, node: u32, index: usize, state: State) {
        let is_destination =
            self.shared.code.instructions.get(index).is_some_and(|found| found.opcode == op::JUMPDEST);
        let known = if is_destination { None } else { self.drafts[node as usize].fallthrough };
        let found = known.or_else(|| {
            if is_destination {
                self.node_for(node, index as u32, &state)
            } else {
                // Only this node leads there: it needs no key.
                let from = &self.drafts[node as usize];
                let draft = NodeDraft {
                    narrow: Key { start: index as u32, ..from.narrow },
                    is_fallthrough: true,
                    iteration: from.iteration,
                    depth: from.depth,
                    ..NodeDraft::new(index as u32, node)
                };
                let call_sites = Rc::clone(&self.nodes[node as usize].call_sites);
                let made = self.make_node(draft, call_sites);
                self.drafts[node as usize].fallthrough = made;
                made
            }
        });
        let Some(to) = found else {
            self.stop(Reason::NodeBudget, node);
            return;
        };
        self.lead(node, to);
        self.send(node, to, state);
    }

    fn finish(mut self) -> Graph {
        if !self.incomplete.is_empty() {
            let waiting = self.drafts.iter().zip(&mut self.nodes).filter(|(draft, _)| draft.queued);
            waiting.for_each(|(draft, node)| {
                node.is_cut = true;
                // Ways that have not been gone may show less.
                let mut ways = draft.edges.iter().map(|edge| &edge.state.facts);
                let known = if draft.visits == 0 { ways.next() } else { Some(&node.facts) };
                if let Some(known) = known {
                    let mut facts = Facts::clone(known);
                    ways.for_each(|way| facts.intersect(way));
                    node.facts = Rc::new(facts);
                }
            });
            for (node, target, known) in std::mem::take(&mut self.phi_jumps) {
                let targets = self.constant_targets(target).map_or(usize::MAX, |targets| targets.len());
                self.nodes[node as usize].is_cut |= targets > known;
            }
        }
        for (index, (draft, node)) in self.drafts.iter().zip(&mut self.nodes).enumerate() {
            if let Exit::Branch { condition } = node.exit
                && let Some(phi) = tested_phi(&self.shared.builder, condition, self.base + index as u32)
                && let Some((Place::Stack(at), _)) = draft.phis.iter().find(|met| *met.1 == phi)
            {
                let words =
                    draft.edges.iter().map(|edge| (edge.from, edge.state.stack.get(*at as usize).copied()));
                node.met = words.filter_map(|(from, word)| Some((from, word?))).collect();
            }
        }
        let mut incomplete = self.incomplete;
        let instructions = &self.shared.code.instructions;
        let mut steps = Vec::with_capacity(self.drafts.len());
        for (draft, node) in self.drafts.iter().zip(&self.nodes) {
            let pc = instructions.get(draft.start as usize).map_or(Pc(0), |instruction| instruction.pc);
            steps.push(Step { from: draft.parent, block: pc });
            if node.exit == Exit::Unresolved {
                incomplete.push(Incomplete { reason: Reason::UnresolvedJump, pc });
            }
        }
        incomplete.sort();
        incomplete.dedup();
        self.drafts.clear();
        self.index.clear();
        self.made.clear();
        let (drafts, index, made) = (self.drafts, self.index, self.made);
        self.shared.room = Room { drafts, nodes: Vec::new(), index, made };
        Graph { nodes: self.nodes, incomplete, steps }
    }
}
