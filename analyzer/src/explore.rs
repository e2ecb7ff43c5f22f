//! Explores one entry: a worklist over (basic block, calling context) until nothing changes.
//!
//! In: the code and the state at the entry. Out: a [`Graph`]. The context of a node is the jump destinations on its
//! stack, so that every internal function is explored per caller, and further constants on its stack as long as there
//! are few different ones, so that booleans, loop counters and shared helper arguments stay exact. Where paths meet,
//! differing words become phis; a node is executed again whenever what flows into it changes. The order is fixed by
//! depth and program counter: exploration never depends on hashing order. Every bound that is hit ends in the graph's
//! `incomplete` list.

use std::{cmp::Reverse, collections::BinaryHeap, hash::Hasher as _};

use std::rc::Rc;

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::{
    code::{Code, Pc},
    expression::{Expressions, Node as Word},
    graph::{Exit, Graph, Node},
    id::{ExprId, Site},
    incomplete::{Incomplete, Reason},
    linear::{Bounds, PhiOrder},
    simplify::Builder,
    state::{Meet, Place, State, join},
    step::{Machine, Way},
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
    pub(crate) constant_keys: Vec<U256>,
    pub(crate) builder: Builder,
    pub(crate) recovered: FxHashSet<ExprId>,
    /// The first unused node number: nodes are numbered through all explorations, so that sites and phis are unique.
    pub(crate) next_node: u32,
    /// Selectors that the dispatcher compares with.
    pub(crate) selectors: Vec<u32>,
}

struct Edge {
    from: u32,
    state: State,
}

struct Draft {
    start: u32,
    /// The block and its calling context.
    narrow: Key,
    /// The node that this one was first entered from.
    parent: u32,
    /// The node behind this one's last instruction, where no jump leads.
    fallthrough: Option<u32>,
    /// Which iteration of the loops around it that are kept apart.
    iteration: u32,
    depth: u32,
    edges: Vec<Edge>,
    /// Values that a phi stands for, by place.
    phis: FxHashMap<Place, ExprId>,
    entry: Option<State>,
    visits: u32,
    queued: bool,
    node: Node,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    start: u32,
    height: u32,
    constants: u64,
}

struct Explorer<'s, 'a> {
    shared: &'s mut Shared<'a>,
    budget: Budget,
    is_fallback: bool,
    base: u32,
    drafts: Vec<Draft>,
    index: FxHashMap<Key, u32>,
    variants: FxHashMap<Key, u32>,
    iterations: FxHashMap<Key, u32>,
    contexts: FxHashMap<(u32, u32), u32>,
    queue: BinaryHeap<(u32, Reverse<u32>, Reverse<u32>)>,
    order: PhiOrder,
    /// Phis that have been seen to shrink.
    refuted: FxHashSet<ExprId>,
    /// Nodes to execute again because a proof there used what turned out to be false.
    recheck: Vec<u32>,
    /// Nodes that jump to a phi, with the number of its operands then.
    phi_jumps: Vec<(u32, ExprId)>,
    steps: u64,
    incomplete: Vec<Incomplete>,
}

/// Explores from `start`; also tells how many instructions that took.
pub(crate) fn explore(shared: &mut Shared<'_>, start: &Start, budget: Budget) -> (Graph, u64) {
    let base = shared.next_node;
    let mut explorer = Explorer {
        shared,
        budget,
        is_fallback: start.is_fallback,
        base,
        drafts: Vec::new(),
        index: FxHashMap::default(),
        variants: FxHashMap::default(),
        iterations: FxHashMap::default(),
        contexts: FxHashMap::default(),
        queue: BinaryHeap::new(),
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

/// The phis of one node, as `join` asks for them.
struct NodeMeet<'e> {
    number: u32,
    pc: Pc,
    phis: &'e mut FxHashMap<Place, ExprId>,
    collapse: bool,
    order: &'e mut PhiOrder,
    refuted: &'e mut FxHashSet<ExprId>,
    /// Nodes whose proofs relied on a floor that no longer holds.
    recheck: &'e mut Vec<u32>,
    small: &'e [&'e [ExprId]],
}

impl Meet for NodeMeet<'_> {
    fn meet(&mut self, builder: &mut Builder, place: Place, values: &[ExprId]) -> ExprId {
        let known = self.phis.get(&place).copied();
        if known.is_none() || self.collapse {
            // A value that only meets itself coming round is no phi.
            let mut others = values.iter().copied().filter(|value| Some(*value) != known);
            if let Some(first) = others.next()
                && others.all(|other| other == first)
            {
                return first;
            }
        }
        let phi = known.unwrap_or_else(|| {
            let variable = self.phis.len() as u32;
            builder.leaf(Word::Phi { node: self.number, variable })
        });
        self.phis.insert(place, phi);
        let mut operands: Vec<ExprId> = Vec::with_capacity(values.len());
        for value in values {
            if !operands.contains(value) {
                operands.push(*value);
            }
        }
        if matches!(place, Place::Stack(_) | Place::Memory(..)) && !self.refuted.contains(&phi) {
            let floor = *self.order.floor.entry(phi).or_insert(values[0]);
            for (value, small) in values.iter().zip(self.small) {
                let mut bounds = Bounds { builder, small, order: self.order };
                let grows = *value == phi || bounds.difference(*value, floor).is_some_and(|gap| gap >= 0);
                if !grows {
                    self.refuted.insert(phi);
                    self.order.floor.remove(&phi);
                    self.recheck.extend(self.order.users.remove(&phi).unwrap_or_default());
                    break;
                }
            }
        }
        let sources = operands
            .iter()
            .fold(crate::expression::Sources::PHI, |all, id| all.with(builder.expressions.sources(*id)));
        builder.expressions.add_sources(phi, sources);
        builder.expressions.set_phi_operands(phi, operands);
        phi
    }

    fn site(&mut self, builder: &mut Builder) -> Site {
        // The join of a block has a site of its own, apart from the block's first instruction.
        builder.expressions.intern_site(self.number, Pc(self.pc.0 | Expressions::JOIN))
    }
}

impl Explorer<'_, '_> {
    fn run(&mut self, state: State) {
        let Some(entry) = self.node_for(u32::MAX, 0, &state) else { return };
        self.send(u32::MAX, entry, state);
        loop {
            while let Some((_, _, Reverse(node))) = self.queue.pop() {
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
                while let Some(user) = self.recheck.pop() {
                    self.drafts[user as usize].entry = None;
                    self.enqueue(user);
                }
            }
            // A jump to a phi has more targets once the phi has more operands.
            let jumps = std::mem::take(&mut self.phi_jumps);
            for (node, target) in jumps {
                let targets = self.constant_targets(target).map_or(0, |targets| targets.len());
                if targets > self.drafts[node as usize].node.successors.len() {
                    self.drafts[node as usize].entry = None;
                    self.enqueue(node);
                } else {
                    self.phi_jumps.push((node, target));
                }
            }
            if self.queue.is_empty() {
                return;
            }
        }
    }

    fn stop(&mut self, reason: Reason, node: u32) {
        let start = self.drafts[node as usize].start as usize;
        let pc = self.shared.code.instructions.get(start).map_or(Pc(0), |instruction| instruction.pc);
        self.incomplete.push(Incomplete { reason, pc });
    }

    fn enqueue(&mut self, node: u32) {
        let draft = &mut self.drafts[node as usize];
        if !draft.queued {
            draft.queued = true;
            self.queue.push((draft.depth, Reverse(draft.start), Reverse(node)));
        }
    }

    /// The node for a block entered from `from` with this stack; made if there is none yet.
    fn node_for(&mut self, from: u32, start: u32, state: &State) -> Option<u32> {
        let code = self.shared.code;
        let height = state.stack.len() as u32;
        let [mut context, mut booleans, mut all] =
            [FxHasher::default(), FxHasher::default(), FxHasher::default()];
        let mut depth = 0;
        for (position, word) in state.stack.iter().enumerate() {
            let Some(value) = self.shared.builder.value(*word) else { continue };
            all.write_usize(position);
            all.write_u32(word.0);
            if code.is_label(&value) {
                depth += 1;
                context.write_usize(position);
                context.write_u32(word.0);
            } else if value.bit_len() <= 1 {
                booleans.write_usize(position);
                booleans.write_u32(word.0);
            }
        }
        let key = |constants| Key { start, height, constants };
        let narrow = key(context.finish());
        let boolean = key(context.finish().rotate_left(17) ^ booleans.finish());
        let exact = key(all.finish().rotate_left(31) ^ 0x5bd1_e995);
        // An iteration that has been kept apart is found again by all its constants.
        if let Some(node) = self.index.get(&exact) {
            return Some(*node);
        }
        let mut iteration = self.drafts.get(from as usize).map_or(0, |draft| draft.iteration);
        let mut chosen = boolean;
        if self.drafts.len() > MAX_PRECISE_NODES {
            chosen = narrow;
        } else if self.iterations.get(&narrow).copied().unwrap_or(0) < MAX_ITERATIONS
            && self.variants.contains_key(&narrow)
            && let Some(next) = self.next_iteration(from, narrow)
        {
            *self.iterations.entry(narrow).or_insert(0) += 1;
            iteration = next;
            chosen = exact;
        } else if !self.index.contains_key(&boolean) {
            let variants = self.variants.entry(narrow).or_insert(0);
            if *variants == 0 {
                let contexts = self.contexts.entry((start, height)).or_insert(0);
                *contexts += 1;
                if *contexts > MAX_CONTEXTS {
                    chosen = key(0);
                }
            }
            *variants += 1;
            if *variants > MAX_VARIANTS {
                chosen = narrow;
            }
        }
        if let Some(node) = self.index.get(&chosen) {
            return Some(*node);
        }
        let call_sites = self.call_sites(from, state);
        let made = self.make_node(from, start, narrow, depth, iteration, call_sites);
        if let Some(node) = made {
            self.index.insert(chosen, node);
        }
        made
    }

    fn make_node(
        &mut self,
        from: u32,
        start: u32,
        narrow: Key,
        depth: u32,
        iteration: u32,
        call_sites: Rc<[Pc]>,
    ) -> Option<u32> {
        if self.drafts.len() >= self.budget.nodes {
            return None;
        }
        let node = self.drafts.len() as u32;
        self.drafts.push(Draft {
            start,
            narrow,
            parent: from,
            fallthrough: None,
            iteration,
            depth,
            edges: Vec::new(),
            phis: FxHashMap::default(),
            entry: None,
            visits: 0,
            queued: false,
            node: Node {
                call_sites,
                facts: Rc::default(),
                events: Vec::new(),
                memory_words: Vec::new(),
                exit: Exit::Open,
                successors: Vec::new(),
            },
        });
        Some(node)
    }

    /// If entering `narrow` from `from` closes a loop whose iterations constants tell apart: the number of the iteration
    /// that begins, or goes on, there.
    fn next_iteration(&self, from: u32, narrow: Key) -> Option<u32> {
        let begin = self.drafts.get(from as usize)?;
        let mut at = from;
        for _ in 0..MAX_LOOP_NODES {
            let draft = self.drafts.get(at as usize)?;
            if draft.narrow == narrow {
                if begin.iteration > draft.iteration {
                    return Some(begin.iteration);
                }
                // A condition that constants do not decide is not decided in the next iteration either.
                let open = |draft: &Draft| matches!(draft.node.exit, Exit::Branch { .. });
                return (!open(draft) && !open(begin)).then_some(draft.iteration + 1);
            }
            at = draft.parent;
        }
        None
    }

    /// The jumps that pushed the return addresses on the stack: a return address stands right behind its jump.
    fn call_sites(&self, from: u32, state: &State) -> Rc<[Pc]> {
        let code = self.shared.code;
        let sites = || {
            state
                .stack
                .iter()
                .filter_map(|word| self.shared.builder.value(*word))
                .filter(|value| code.is_label(value))
                .filter_map(|value| code.destination(&value))
                .filter_map(|index| index.checked_sub(1))
                .map(|index| code.instructions[index])
                .filter(|instruction| instruction.opcode == op::JUMP)
                .map(|instruction| instruction.pc)
        };
        match self.drafts.get(from as usize) {
            // Most blocks are in the same call as the block before.
            Some(previous) if previous.node.call_sites.iter().copied().eq(sites()) => {
                Rc::clone(&previous.node.call_sites)
            }
            _ => sites().collect(),
        }
    }

    /// Hands a state to a node over the edge from `from`.
    fn send(&mut self, from: u32, to: u32, state: State) {
        let draft = &mut self.drafts[to as usize];
        match draft.edges.iter_mut().find(|edge| edge.from == from) {
            Some(edge) if edge.state == state => return,
            Some(edge) => edge.state = state,
            None => draft.edges.push(Edge { from, state }),
        }
        self.enqueue(to);
    }

    fn visit(&mut self, node: u32) {
        self.order.node = node;
        let number = self.base + node;
        let start = self.drafts[node as usize].start;
        let entry_pc = self.shared.code.instructions.get(start as usize).map_or(Pc(0), |found| found.pc);
        let draft = &mut self.drafts[node as usize];
        if let [edge] = draft.edges.as_slice() {
            draft.visits += 1;
            let state = edge.state.fork();
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
        let draft = &mut self.drafts[node as usize];
        let start = draft.start;
        draft.node.facts = Rc::clone(&state.facts);
        let mut machine = Machine {
            code: self.shared.code,
            immediates: &self.shared.immediates,
            constant_keys: &self.shared.constant_keys,
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
        let explored = &mut self.drafts[node as usize].node;
        explored.events = events;
        explored.memory_words = memory_words;
        match way {
            Way::End(exit) => self.drafts[node as usize].node.exit = exit,
            Way::Next(index) => {
                self.drafts[node as usize].node.exit = Exit::Jump;
                self.go(node, index, state);
            }
            Way::Jump { target } => self.jump(node, target, state, Exit::Jump),
            Way::Branch { target, condition, next } => self.branch(node, target, condition, next, state),
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
                let (depth, iteration) = (from.depth, from.iteration);
                let narrow = Key { start: index as u32, ..from.narrow };
                let call_sites = Rc::clone(&from.node.call_sites);
                let made = self.make_node(node, index as u32, narrow, depth, iteration, call_sites);
                self.drafts[node as usize].fallthrough = made;
                made
            }
        });
        let Some(to) = found else {
            self.stop(Reason::NodeBudget, node);
            return;
        };
        let successors = &mut self.drafts[node as usize].node.successors;
        if !successors.contains(&to) {
            successors.push(to);
        }
        self.send(node, to, state);
    }

    /// The constants that a jump target can be.
    fn constant_targets(&self, target: ExprId) -> Option<Vec<U256>> {
        let builder = &self.shared.builder;
        let mut targets = Vec::new();
        let mut seen = Vec::new();
        let mut stack = vec![target];
        while let Some(id) = stack.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            if seen.len() > MAX_TARGETS {
                return None;
            }
            if let Some(value) = builder.value(id) {
                targets.push(value);
            } else if let Word::Phi { .. } = builder.expressions.node(id) {
                stack.extend_from_slice(builder.expressions.phi_operands(id));
            } else {
                return None;
            }
        }
        targets.sort_unstable();
        targets.dedup();
        Some(targets)
    }

    fn jump(&mut self, node: u32, target: ExprId, state: State, exit: Exit) {
        let Some(targets) = self.constant_targets(target) else {
            self.drafts[node as usize].node.exit = Exit::Unresolved;
            return;
        };
        let code = self.shared.code;
        let landed: Vec<usize> = targets.iter().filter_map(|target| code.destination(target)).collect();
        if self.shared.builder.value(target).is_none() {
            self.phi_jumps.push((node, target));
        }
        self.drafts[node as usize].node.exit =
            if landed.is_empty() && exit == Exit::Jump { Exit::Failure } else { exit };
        if let Some((last, others)) = landed.split_last() {
            for index in others {
                self.go(node, *index, state.clone());
            }
            self.go(node, *last, state);
        }
    }

    fn branch(&mut self, node: u32, target: ExprId, condition: ExprId, next: usize, state: State) {
        let mut decided = state.facts.truth(&self.shared.builder, condition);
        if decided.is_none() && self.is_fallback && self.note_selector(condition) {
            // No function is called: comparisons of the selector fail.
            let stripped = crate::facts::strip(&mut self.shared.builder, condition, true);
            decided = Some(!stripped.holds);
        }
        let mut taken = state;
        match decided {
            Some(true) => {
                self.assume(node, &mut taken, condition, true);
                self.jump(node, target, taken, Exit::Jump);
            }
            Some(false) => {
                self.assume(node, &mut taken, condition, false);
                self.drafts[node as usize].node.exit = Exit::Jump;
                self.go(node, next, taken);
            }
            None => {
                let mut fallen = taken.clone();
                self.drafts[node as usize].node.exit = Exit::Branch { condition };
                if self.assume(node, &mut taken, condition, true) {
                    self.jump(node, target, taken, Exit::Branch { condition });
                }
                if self.assume(node, &mut fallen, condition, false) {
                    self.go(node, next, fallen);
                }
            }
        }
    }

    fn assume(&mut self, node: u32, state: &mut State, condition: ExprId, holds: bool) -> bool {
        let mut machine = Machine {
            code: self.shared.code,
            immediates: &self.shared.immediates,
            constant_keys: &self.shared.constant_keys,
            builder: &mut self.shared.builder,
            order: &mut self.order,
            recovered: &mut self.shared.recovered,
            node: self.base + node,
            events: Vec::new(),
            memory_words: Vec::new(),
            steps: 0,
        };
        machine.assume(state, condition, holds)
    }

    /// Whether the condition compares the selector with a constant, which is then remembered.
    fn note_selector(&mut self, condition: ExprId) -> bool {
        let builder = &mut self.shared.builder;
        let stripped = crate::facts::strip(builder, condition, true);
        let Word::Binary { op: op::EQ, a, b } = builder.expressions.node(stripped.expression) else {
            return false;
        };
        let Some(constant) = builder.value(b) else { return false };
        let zero = builder.zero();
        let is_word_zero =
            |id| matches!(builder.expressions.node(id), Word::CalldataWord { offset } if offset == zero);
        let selector = match builder.expressions.node(a) {
            Word::Binary { op: op::SHR, a: count, b: word }
                if builder.value(count) == Some(U256::from(224)) && is_word_zero(word) =>
            {
                constant
            }
            Word::Binary { op: op::AND, a: word, b: mask }
                if is_word_zero(word) && builder.value(mask) == Some(U256::from(u32::MAX) << 224) =>
            {
                constant >> 224
            }
            _ => return false,
        };
        let Ok(selector) = u32::try_from(selector) else { return false };
        if !self.shared.selectors.contains(&selector) {
            self.shared.selectors.push(selector);
        }
        true
    }

    fn finish(self) -> Graph {
        let mut incomplete = self.incomplete;
        for draft in &self.drafts {
            if draft.node.exit == Exit::Unresolved {
                let pc = self
                    .shared
                    .code
                    .instructions
                    .get(draft.start as usize)
                    .map_or(Pc(0), |instruction| instruction.pc);
                incomplete.push(Incomplete { reason: Reason::UnresolvedJump, pc });
            }
        }
        incomplete.sort();
        incomplete.dedup();
        Graph { nodes: self.drafts.into_iter().map(|draft| draft.node).collect(), incomplete }
    }
}
