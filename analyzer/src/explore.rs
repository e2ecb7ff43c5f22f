//! Explores one entry: a worklist over (basic block, calling context) until nothing changes.
//!
//! In: the code and the state at the entry. Out: a [`Graph`]. The context of a node is the jump destinations on its
//! stack, so that every internal function is explored per caller, and further constants on its stack as long as there
//! are few different ones, so that booleans, loop counters and shared helper arguments stay exact. Where paths meet,
//! differing words become phis; a node is executed again whenever what flows into it changes. The order is fixed by
//! depth and program counter: exploration never depends on hashing order. Every bound that is hit ends in the graph's
//! `incomplete` list.

use std::{cmp::Reverse, collections::BinaryHeap, hash::Hasher as _};

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::{
    access::Condition,
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

/// How many sets of stack constants a block is explored with in one calling context before they are merged.
const MAX_VARIANTS: u32 = 8;

/// How many calling contexts a block is explored in before they are merged.
const MAX_CONTEXTS: u32 = 600;

/// Visits of a node after which a phi is kept even when its operands agree again, so that exploration ends.
const STABLE_AFTER: u32 = 12;

/// Restarts of one entry after a refuted assumption about a phi.
const MAX_RESTARTS: u32 = 6;

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
    contexts: FxHashMap<(u32, u32), u32>,
    queue: BinaryHeap<(u32, Reverse<u32>, Reverse<u32>)>,
    order: PhiOrder,
    /// Places of blocks whose phis have been seen to shrink.
    refuted: FxHashSet<(u32, Place)>,
    /// A proof has used what turned out to be false.
    restart: bool,
    /// Nodes that jump to a phi, with the number of its operands then.
    phi_jumps: Vec<(u32, ExprId)>,
    steps: u64,
    incomplete: Vec<Incomplete>,
}

/// Explores from `start`; also tells how many instructions that took.
pub(crate) fn explore(shared: &mut Shared<'_>, start: &Start, budget: Budget) -> (Graph, u64) {
    let mut refuted = FxHashSet::default();
    let mut spent = 0;
    for attempt in 0..=MAX_RESTARTS {
        let base = shared.next_node;
        let mut explorer = Explorer {
            shared,
            budget: Budget { steps: budget.steps.saturating_sub(spent), ..budget },
            is_fallback: start.is_fallback,
            base,
            drafts: Vec::new(),
            index: FxHashMap::default(),
            variants: FxHashMap::default(),
            contexts: FxHashMap::default(),
            queue: BinaryHeap::new(),
            order: PhiOrder::default(),
            refuted: std::mem::take(&mut refuted),
            restart: false,
            phi_jumps: Vec::new(),
            steps: 0,
            incomplete: Vec::new(),
        };
        // The last attempt makes no assumptions.
        let assume = attempt < MAX_RESTARTS;
        explorer.run(start.state.clone(), assume);
        spent += explorer.steps;
        let used = explorer.drafts.len() as u32;
        refuted = std::mem::take(&mut explorer.refuted);
        if explorer.restart && assume {
            shared.next_node = base + used;
            continue;
        }
        let graph = explorer.finish();
        shared.next_node = base + used;
        return (graph, spent);
    }
    (Graph::default(), spent)
}

/// The phis of one node, as `join` asks for them.
struct NodeMeet<'e> {
    start: u32,
    number: u32,
    site: Site,
    phis: &'e mut FxHashMap<Place, ExprId>,
    collapse: bool,
    assume: bool,
    order: &'e mut PhiOrder,
    refuted: &'e mut FxHashSet<(u32, Place)>,
    restart: &'e mut bool,
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
        let key = (self.start, place);
        if self.assume && matches!(place, Place::Stack(_) | Place::Memory(..)) && !self.refuted.contains(&key)
        {
            let floor = *self.order.floor.entry(phi).or_insert(values[0]);
            for (value, small) in values.iter().zip(self.small) {
                let mut bounds = Bounds { builder, small, order: self.order };
                let grows = *value == phi || bounds.difference(*value, floor).is_some_and(|gap| gap >= 0);
                if !grows {
                    self.refuted.insert(key);
                    self.order.floor.remove(&phi);
                    *self.restart |= self.order.used.contains(&phi);
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

    fn site(&self) -> Site {
        self.site
    }
}

impl Explorer<'_, '_> {
    fn run(&mut self, state: State, assume: bool) {
        let Some(entry) = self.node_for(0, &state) else { return };
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
                self.visit(node, assume);
                if self.restart && assume {
                    return;
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

    /// The node for a block entered with this stack; made if there is none yet.
    fn node_for(&mut self, start: u32, state: &State) -> Option<u32> {
        let code = self.shared.code;
        let height = state.stack.len() as u32;
        let (mut context, mut all) = (FxHasher::default(), FxHasher::default());
        let mut depth = 0;
        for (position, word) in state.stack.iter().enumerate() {
            let Some(value) = self.shared.builder.value(*word) else { continue };
            all.write_usize(position);
            all.write_u32(word.0);
            if code.destination(&value).is_some() {
                depth += 1;
                context.write_usize(position);
                context.write_u32(word.0);
            }
        }
        let mut key = Key { start, height, constants: all.finish() };
        if let Some(node) = self.index.get(&key) {
            return Some(*node);
        }
        let narrow = Key { start, height, constants: context.finish() ^ 0x5bd1_e995 };
        let variants = self.variants.entry(narrow).or_insert(0);
        if *variants >= MAX_VARIANTS {
            key = narrow;
        } else {
            if *variants == 0 {
                let contexts = self.contexts.entry((start, height)).or_insert(0);
                *contexts += 1;
                if *contexts > MAX_CONTEXTS {
                    key = Key { start, height, constants: 0 };
                }
            }
            *variants += 1;
        }
        if let Some(node) = self.index.get(&key) {
            return Some(*node);
        }
        if self.drafts.len() >= self.budget.nodes {
            return None;
        }
        let node = self.drafts.len() as u32;
        self.index.insert(key, node);
        let call_sites = self.call_sites(state);
        self.drafts.push(Draft {
            start,
            depth,
            edges: Vec::new(),
            phis: FxHashMap::default(),
            entry: None,
            visits: 0,
            queued: false,
            node: Node {
                start,
                call_sites,
                conditions: Vec::new(),
                events: Vec::new(),
                exit: Exit::Open,
                successors: Vec::new(),
            },
        });
        Some(node)
    }

    /// The jumps that pushed the return addresses on the stack: a return address stands right behind its jump.
    fn call_sites(&self, state: &State) -> Vec<Pc> {
        let code = self.shared.code;
        state
            .stack
            .iter()
            .filter_map(|word| self.shared.builder.value(*word))
            .filter_map(|value| code.destination(&value))
            .filter_map(|index| index.checked_sub(1))
            .map(|index| code.instructions[index])
            .filter(|instruction| instruction.opcode == op::JUMP)
            .map(|instruction| instruction.pc)
            .collect()
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

    fn visit(&mut self, node: u32, assume: bool) {
        let number = self.base + node;
        let start = self.drafts[node as usize].start;
        let entry_pc = self.shared.code.instructions.get(start as usize).map_or(Pc(0), |found| found.pc);
        // The join of a block has a site of its own, apart from the block's first instruction.
        let site = self.shared.builder.expressions.intern_site(number, Pc(entry_pc.0 | Expressions::JOIN));
        let draft = &mut self.drafts[node as usize];
        let states: Vec<&State> = draft.edges.iter().map(|edge| &edge.state).collect();
        let small: Vec<&[ExprId]> = states.iter().map(|state| state.facts.small.as_slice()).collect();
        let mut meet = NodeMeet {
            start,
            number,
            site,
            phis: &mut draft.phis,
            collapse: draft.visits < STABLE_AFTER,
            assume,
            order: &mut self.order,
            refuted: &mut self.refuted,
            restart: &mut self.restart,
            small: &small,
        };
        let entry = join(&mut self.shared.builder, &mut meet, &states);
        draft.visits += 1;
        if draft.entry.as_ref() == Some(&entry) {
            return;
        }
        draft.node.conditions = entry
            .facts
            .conditions
            .iter()
            .map(|&(expression, holds)| Condition { expression, holds })
            .collect();
        let mut state = entry.clone();
        draft.entry = Some(entry);

        let mut machine = Machine {
            code: self.shared.code,
            immediates: &self.shared.immediates,
            constant_keys: &self.shared.constant_keys,
            builder: &mut self.shared.builder,
            order: &mut self.order,
            recovered: &mut self.shared.recovered,
            node: number,
            events: Vec::new(),
            steps: 0,
        };
        let way = machine.run(&mut state, start as usize);
        self.steps += machine.steps.max(4);
        let events = std::mem::take(&mut machine.events);
        self.drafts[node as usize].node.events = events;
        match way {
            Way::End(exit) => self.drafts[node as usize].node.exit = exit,
            Way::Next(index) => {
                self.drafts[node as usize].node.exit = Exit::Jump;
                self.go(node, index, state);
            }
            Way::Jump { target } => self.jump(node, target, state),
            Way::Branch { target, condition, next } => self.branch(node, target, condition, next, state),
        }
    }

    fn go(&mut self, node: u32, index: usize, state: State) {
        let Some(to) = self.node_for(index as u32, &state) else {
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

    fn jump(&mut self, node: u32, target: ExprId, state: State) {
        let Some(targets) = self.constant_targets(target) else {
            self.drafts[node as usize].node.exit = Exit::Unresolved;
            return;
        };
        let code = self.shared.code;
        let landed: Vec<usize> = targets.iter().filter_map(|target| code.destination(target)).collect();
        if self.shared.builder.value(target).is_none() {
            self.phi_jumps.push((node, target));
        }
        self.drafts[node as usize].node.exit = if landed.is_empty() { Exit::Failure } else { Exit::Jump };
        for index in landed {
            self.go(node, index, state.clone());
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
                self.jump(node, target, taken);
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
                    self.jump(node, target, taken);
                    if self.drafts[node as usize].node.exit != Exit::Unresolved {
                        self.drafts[node as usize].node.exit = Exit::Branch { condition };
                    }
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
