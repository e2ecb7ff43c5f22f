//! Functions that are explored once for many callers: what lies below them on the stack is left behind.
//!
//! In: a jump that calls a function, and the state there. Out: that state without the return address and the part
//! of the stack below it, standing on a [`Floor`] that remembers what was there. A block that reaches below the floor goes on in every
//! stack that was left there, which covers the one that an execution comes from. That is how a recursion comes to an
//! end: a function that is already open is explored once more and no deeper. Where something below means a value of a
//! node that the function may have gone through again, it becomes a phi: no word may stand for two values at one time.

use std::rc::Rc;

use alloy_primitives::U256;
use revm_bytecode::{OpCode, opcode as op};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Class, Explorer, node_draft::Key, node_draft::NodeDraft};
use crate::code::{Code, Pc};
use crate::expression::{Expressions, Node as Word};
use crate::graph::Exit;
use crate::id::{Epoch, ExprId, Site};
use crate::incomplete::Reason;
use crate::state::{Place, State};

/// How often a return address stands on the stack where no call is told by its shape before that counts as a recursion.
const MOST_REPEATED: usize = 3;

/// How far back a call is looked for that has not returned yet.
const MAX_WAY: usize = 4_000;

/// What was left below a function that is explored for many callers.
#[derive(Default)]
struct Floor {
    /// The block that the function begins with.
    callee: u32,
    callers: Vec<Caller>,
    /// Nodes that reach below.
    users: Vec<u32>,
    /// The calls that were open when it was first called.
    call_sites: Rc<[Pc]>,
}

/// One call.
#[derive(Clone, PartialEq, Eq)]
struct Caller {
    node: u32,
    stack: Vec<ExprId>,
    /// What its own stack stands on.
    floor: u32,
}

/// All floors of one exploration. Their numbers begin at one; zero is the bottom of the stack.
#[derive(Default)]
pub(super) struct Floors {
    made: Vec<Floor>,
    /// By function and height.
    index: FxHashMap<(u32, u32), u32>,
    /// The functions that return to each address.
    callees: FxHashMap<ExprId, Vec<u32>>,
    /// How far each block reaches down.
    reach: FxHashMap<u32, usize>,
    /// The node between a node that reaches below and one of the stacks there, by both nodes.
    passages: FxHashMap<(u32, u32), u32>,
    /// Pairs of floors, the function on the first of which calls the one on the second.
    calls: FxHashSet<(u32, u32)>,
}

impl Floors {
    /// The calls that are open below the floor.
    pub(super) fn call_sites(&self, floor: u32) -> &[Pc] {
        self.get(floor).map_or(&[], |floor| &floor.call_sites)
    }

    fn get(&self, floor: u32) -> Option<&Floor> {
        floor.checked_sub(1).and_then(|index| self.made.get(index as usize))
    }

    /// The floor and all floors that are made while something stands on it.
    fn inside(&self, floor: u32) -> Vec<u32> {
        let mut found = vec![floor];
        let mut next = 0;
        while let Some(&at) = found.get(next) {
            next += 1;
            for to in 1..=self.made.len() as u32 {
                if self.calls.contains(&(at, to)) && !found.contains(&to) {
                    found.push(to);
                }
            }
        }
        found
    }
}

/// How many words of the stack at its start a block touches.
fn reach_of(code: &Code, start: usize) -> usize {
    // Words that the block has pushed, and how far below them it went.
    let (mut height, mut deepest) = (0isize, 0isize);
    for (index, instruction) in code.instructions.iter().enumerate().skip(start) {
        let opcode = instruction.opcode;
        if opcode == op::JUMPDEST && index > start {
            break;
        }
        let (inputs, outputs) = match opcode {
            op::DUP1..=op::DUP16 => (isize::from(opcode - op::DUP1) + 1, isize::from(opcode - op::DUP1) + 2),
            op::SWAP1..=op::SWAP16 => {
                let depth = isize::from(opcode - op::SWAP1) + 2;
                (depth, depth)
            }
            _ => match OpCode::new(opcode).map(|opcode| opcode.info()) {
                Some(info) => (isize::from(info.inputs()), isize::from(info.outputs())),
                // It halts there.
                None => break,
            },
        };
        deepest = deepest.max(inputs - height);
        height += outputs - inputs;
        if matches!(
            opcode,
            op::JUMP | op::JUMPI | op::STOP | op::RETURN | op::REVERT | op::INVALID | op::SELFDESTRUCT
        ) {
            break;
        }
    }
    deepest as usize
}

impl Explorer<'_, '_> {
    /// Leaves the stack up to the return address behind where the jump at instruction `at` calls a function that is open
    /// already.
    pub(super) fn cut(&mut self, node: u32, target: ExprId, at: usize, mut state: State) -> State {
        let code = self.shared.code;
        let Some(callee) = self.shared.builder.value(target).and_then(|target| code.destination(&target))
        else {
            return state;
        };
        let callee = callee as u32;
        let Some(position) = self.open_call(node, callee, at, &state) else { return state };
        let stack: Vec<ExprId> = state.stack.drain(..=position).collect();
        let next = self.floors.made.len() as u32 + 1;
        let floor = *self.floors.index.entry((callee, state.stack.len() as u32)).or_insert(next);
        if floor == next {
            let classes = self.shared.classes.as_slice();
            self.labels.clear();
            self.labels.extend(stack.iter().filter(|word| classes[word.0 as usize] == Class::Label));
            let call_sites = self.call_sites(node, state.floor);
            self.floors.made.push(Floor { callee, call_sites, ..Floor::default() });
        }
        let caller = Caller { node, stack, floor: state.floor };
        state.floor = floor;
        self.leave(floor, caller);
        state
    }

    /// Where the return address of a call stands, if the function is open already.
    fn open_call(&mut self, node: u32, callee: u32, at: usize, state: &State) -> Option<usize> {
        self.shared.classify();
        let code = self.shared.code;
        let classes = self.shared.classes.as_slice();
        let is_label = |word: &ExprId| classes[word.0 as usize] == Class::Label;
        // Compilers return right behind the jump that calls.
        let behind = code.instructions.get(at + 1).filter(|next| next.opcode == op::JUMPDEST);
        let label = behind.and_then(|next| self.shared.builder.find_constant(&U256::from(next.pc.0)));
        let position = label.and_then(|label| state.stack.iter().rposition(|word| *word == label));
        if let (Some(label), Some(position)) = (label, position) {
            let callees = self.floors.callees.entry(label).or_default();
            if !callees.contains(&callee) {
                callees.push(callee);
            }
            self.drafts[node as usize].call = Some((callee, position as u32));
            let returns = |word: &ExprId| {
                is_label(word)
                    && self.floors.callees.get(word).is_some_and(|callees| callees.contains(&callee))
            };
            let stands_on_it = self.floors.get(state.floor).is_some_and(|floor| floor.callee == callee);
            let mut below = state.stack[..position].iter().enumerate().filter(|(_, word)| returns(word));
            let is_open = stands_on_it || below.any(|(at, word)| self.is_active(node, callee, at, *word));
            return is_open.then_some(position);
        }
        let top = state.stack.iter().rposition(is_label)?;
        let again = state.stack.iter().filter(|word| **word == state.stack[top]).count();
        (again >= MOST_REPEATED).then_some(top)
    }

    /// Whether the call that returns to the label at this place on the stack has been made: compilers push the return
    /// address long before, and several calls may return to one.
    fn is_active(&self, node: u32, callee: u32, position: usize, label: ExprId) -> bool {
        let floor = self.drafts[node as usize].narrow.floor;
        let mut at = node;
        for _ in 0..MAX_WAY {
            let Some(draft) = self.drafts.get(at as usize).filter(|draft| draft.narrow.floor == floor) else {
                return false;
            };
            // The stack of a node that only goes on is not kept; those before and behind it tell as much.
            let here = draft.edges.first().filter(|_| !draft.is_fallthrough);
            if here.is_some_and(|edge| edge.state.stack.get(position) != Some(&label)) {
                return false;
            }
            at = draft.parent;
            let made = self.drafts.get(at as usize).and_then(|draft| draft.call);
            if made == Some((callee, position as u32)) {
                return true;
            }
        }
        false
    }

    /// Remembers what a call leaves below the function.
    fn leave(&mut self, floor: u32, caller: Caller) {
        let is_new = self.floors.calls.insert((caller.floor, floor));
        let callers = &mut self.floors.made[floor as usize - 1].callers;
        match callers.iter_mut().find(|known| known.node == caller.node) {
            Some(known) if *known == caller => return,
            Some(known) => *known = caller,
            None => callers.push(caller),
        }
        // What has to be renamed may have changed for whoever stands on a floor that leads here.
        let all = if is_new { 1..=self.floors.made.len() as u32 } else { floor..=floor };
        for floor in all {
            for user in self.floors.made[floor as usize - 1].users.clone() {
                self.repeat(user);
            }
        }
    }

    /// Whether the block reaches below what the state stands on.
    pub(super) fn reaches_below(&mut self, start: u32, state: &State) -> bool {
        let code = self.shared.code;
        state.floor != 0
            && *self.floors.reach.entry(start).or_insert_with(|| reach_of(code, start as usize))
                > state.stack.len()
    }

    /// Goes on at the start of a node's block in every stack that was left below.
    pub(super) fn unfold(&mut self, node: u32, state: &State) {
        let start = self.drafts[node as usize].start;
        let explored = &mut self.nodes[node as usize];
        explored.facts = Rc::clone(&state.facts);
        explored.events.clear();
        explored.memory_words.clear();
        explored.exit = Exit::Jump;
        let inside = self.floors.inside(state.floor);
        let floor = &mut self.floors.made[state.floor as usize - 1];
        if !floor.users.contains(&node) {
            floor.users.push(node);
        }
        for caller in floor.callers.clone() {
            let Some(passage) = self.passage(node, &caller) else {
                self.stop(Reason::NodeBudget, node);
                return;
            };
            let mut stack = self.renamed(passage, &caller.stack, &inside);
            stack.extend_from_slice(&state.stack);
            let below = State { stack, floor: caller.floor, ..state.clone() };
            self.nodes[passage as usize].facts = Rc::clone(&state.facts);
            self.steps += 4;
            self.lead(node, passage);
            let Some(to) = self.node_for(passage, start, &below) else {
                self.stop(Reason::NodeBudget, node);
                return;
            };
            self.lead(passage, to);
            self.send(passage, to, below);
        }
    }

    /// The node between `node` and the stack of one caller.
    fn passage(&mut self, node: u32, caller: &Caller) -> Option<u32> {
        if let Some(known) = self.floors.passages.get(&(node, caller.node)) {
            return Some(*known);
        }
        let from = &self.drafts[node as usize];
        let narrow = Key { floor: caller.floor, ..from.narrow };
        let draft = NodeDraft {
            narrow,
            iteration: from.iteration,
            depth: from.depth,
            ..NodeDraft::new(from.start, caller.node)
        };
        let call_sites = Rc::clone(&self.nodes[node as usize].call_sites);
        let made = self.make_node(draft, call_sites)?;
        self.nodes[made as usize].exit = Exit::Jump;
        self.floors.passages.insert((node, caller.node), made);
        Some(made)
    }

    /// The stack of a caller as it is after the function: what stands for a value of a node that has been gone through
    /// since becomes a phi.
    fn renamed(&mut self, passage: u32, stack: &[ExprId], inside: &[u32]) -> Vec<ExprId> {
        let mut still = FxHashSet::default();
        let mut result = stack.to_vec();
        for (position, word) in result.iter_mut().enumerate() {
            let place = Place::Stack(position as u32);
            let known = self.drafts[passage as usize].phis.get(&place).copied();
            if known.is_none() && !self.moves(*word, inside, &mut still) {
                continue;
            }
            let builder = &mut self.shared.builder;
            let phi = known.unwrap_or_else(|| {
                builder.leaf(Word::Phi { node: self.base + passage, variable: position as u32 })
            });
            let sources = crate::expression::Sources::PHI.with(builder.expressions.sources(*word));
            builder.expressions.add_sources(phi, sources);
            builder.expressions.set_phi_operands(phi, vec![*word]);
            self.drafts[passage as usize].phis.insert(place, phi);
            *word = phi;
        }
        result
    }

    /// Whether the word is made of a value of a node on one of the floors. `still` are words that are known not to be.
    fn moves(&self, word: ExprId, inside: &[u32], still: &mut FxHashSet<ExprId>) -> bool {
        let expressions = &self.shared.builder.expressions;
        let mut open = vec![word];
        let mut seen = Vec::new();
        while let Some(id) = open.pop() {
            if expressions.is_constant(id) || !still.insert(id) {
                continue;
            }
            seen.push(id);
            let floor = node_of(expressions, expressions.node(id))
                .and_then(|node| self.drafts.get(node.checked_sub(self.base)? as usize))
                .map(|draft| draft.narrow.floor);
            if floor.is_some_and(|floor| inside.contains(&floor)) {
                for id in seen {
                    still.remove(&id);
                }
                return true;
            }
            expressions.each_operand(id, |operand| open.push(operand));
        }
        false
    }
}

/// The node whose value a word stands for, if it is one's.
fn node_of(expressions: &Expressions, word: Word) -> Option<u32> {
    let after = |epoch: Epoch| (epoch != Epoch::ENTRY).then(|| Site(epoch.0 - 1));
    let site = match word {
        Word::Phi { node, .. } => return Some(node),
        Word::Load { epoch, .. } | Word::Balance { epoch, .. } => after(epoch)?,
        Word::Unknown(site)
        | Word::CallSuccess(site)
        | Word::ReturnSize(site)
        | Word::ReturnWord { site, .. }
        | Word::Created(site)
        | Word::Gas(site)
        | Word::MemorySize(site) => site,
        _ => return None,
    };
    Some(expressions.site_node(site))
}
