//! The abstract machine state at one point of one path, and how states of several paths meet.
//!
//! A [`State`] is what the EVM would hold, with symbolic words. Where paths meet, words that differ become phis of the
//! meeting node; memory, storage knowledge and facts keep only what all paths agree on. A join never keeps a claim that
//! one of its inputs does not make.

use std::rc::Rc;

use crate::{
    expression::{Sources, Space},
    facts::Facts,
    id::{Epoch, ExprId, Site},
    memory::{Content, Length, Memory},
    simplify::Builder,
    slot::are_apart,
};

/// What is known about storage on a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Storage {
    /// The version of everything that no event below touches: storage, then transient storage.
    pub(crate) epoch: Epoch,
    /// Stores since that version, oldest first: a slot that may alias one of them has a newer version.
    pub(crate) events: Vec<(Space, ExprId, Site)>,
    /// Slots whose current word is known.
    pub(crate) current: Vec<(Space, ExprId, ExprId)>,
    /// Slots that this call has stored to, with the last word it stored there; sorted.
    pub(crate) written: Vec<(Space, ExprId, ExprId)>,
}

/// Stores on one path beyond which the versions of slots are no longer told apart.
const MAX_EVENTS: usize = 400;

impl Storage {
    pub(crate) fn current(&self, space: Space, slot: ExprId) -> Option<ExprId> {
        self.current.iter().find(|entry| entry.0 == space && entry.1 == slot).map(|entry| entry.2)
    }

    /// The version of a slot whose word is not known.
    pub(crate) fn version(&self, builder: &Builder, space: Space, slot: ExprId) -> Epoch {
        self.events
            .iter()
            .rev()
            .find(|event| event.0 == space && !are_apart(builder, event.1, slot))
            .map_or(self.epoch, |event| Epoch::after(event.2))
    }

    /// Records a load that gave `value`.
    pub(crate) fn remember(&mut self, space: Space, slot: ExprId, value: ExprId) {
        if self.current.len() > MAX_EVENTS {
            self.current.clear();
        }
        self.current.push((space, slot, value));
    }

    /// Records a store at `site`.
    pub(crate) fn store(&mut self, builder: &Builder, space: Space, slot: ExprId, value: ExprId, site: Site) {
        if self.events.len() > MAX_EVENTS {
            // Sound because a version of its own is what a word has when nothing is known about it.
            self.forget(site);
        }
        self.current.retain(|entry| entry.0 != space || are_apart(builder, entry.1, slot));
        self.current.push((space, slot, value));
        self.events.retain(|event| event.0 != space || event.1 != slot);
        self.events.push((space, slot, site));
        match self.written.binary_search_by_key(&(space, slot), |entry| (entry.0, entry.1)) {
            Ok(index) => self.written[index].2 = value,
            Err(index) => self.written.insert(index, (space, slot, value)),
        }
    }

    /// Forgets every word: something outside may have stored anywhere.
    pub(crate) fn forget(&mut self, site: Site) {
        self.epoch = Epoch::after(site);
        self.events.clear();
        self.current.clear();
    }
}

/// One abstract machine state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) stack: Vec<ExprId>,
    // Most blocks change few of these: a state is handed on by sharing, and what changes is copied first.
    pub(crate) memory: Rc<Memory>,
    pub(crate) storage: Rc<Storage>,
    pub(crate) facts: Rc<Facts>,
    /// The call whose return data is in the buffer, or the join of several; `None` before the first call.
    pub(crate) returned: Option<Site>,
    /// The version of all balances.
    pub(crate) balance_epoch: Epoch,
    /// What the stack stands on where a function is explored for many callers; zero where nothing is below.
    pub(crate) floor: u32,
}

/// Words that a block typically pushes beyond what it finds.
const STACK_ROOM: usize = 24;

impl State {
    /// A copy to execute on, with room for its stack to grow.
    pub(crate) fn fork(&self) -> Self {
        let mut stack = Vec::with_capacity(self.stack.len() + STACK_ROOM);
        stack.extend_from_slice(&self.stack);
        Self {
            stack,
            memory: Rc::clone(&self.memory),
            storage: Rc::clone(&self.storage),
            facts: Rc::clone(&self.facts),
            returned: self.returned,
            balance_epoch: self.balance_epoch,
            floor: self.floor,
        }
    }
}

/// What a phi of a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A stack entry, counted from the bottom.
    Stack(u32),
    /// A word of memory.
    Memory(ExprId, i64),
    /// The current word of a slot.
    Current(Space, ExprId),
    /// The last word stored to a slot.
    Written(Space, ExprId),
}

/// Makes and remembers the phis of one node.
pub(crate) trait Meet {
    /// The word at `place` given its value on every incoming edge, in edge order.
    fn meet(&mut self, builder: &mut Builder, place: Place, values: &[ExprId]) -> ExprId;
    /// The site that stands for the node itself.
    fn site(&mut self, builder: &mut Builder) -> Site;
}

fn same<T: PartialEq>(a: &Rc<T>, b: &Rc<T>) -> bool {
    Rc::ptr_eq(a, b) || **a == **b
}

/// Joins the states of all incoming edges.
pub(crate) fn join(builder: &mut Builder, meet: &mut impl Meet, states: &[&State]) -> State {
    let Some((first, others)) = states.split_first() else { return State::default() };
    let mut result = (*first).clone();
    if others.is_empty() {
        return result;
    }
    let mut values = Vec::with_capacity(states.len());
    for index in 0..result.stack.len() {
        if others.iter().all(|other| other.stack[index] == first.stack[index]) {
            continue;
        }
        values.clear();
        values.extend(states.iter().map(|state| state.stack[index]));
        result.stack[index] = meet.meet(builder, Place::Stack(index as u32), &values);
    }
    for other in others {
        if !Rc::ptr_eq(&result.facts, &other.facts) && result.facts != other.facts {
            Rc::make_mut(&mut result.facts).intersect(&other.facts);
        }
        if result.returned != other.returned {
            result.returned = Some(meet.site(builder));
        }
        if result.balance_epoch != other.balance_epoch {
            result.balance_epoch = Epoch::after(meet.site(builder));
        }
    }
    let first_memory = &states[0].memory;
    if !others.iter().all(|state| same(&state.memory, first_memory)) {
        join_memory(builder, meet, states, Rc::make_mut(&mut result.memory));
    }
    let first_storage = &states[0].storage;
    if !others.iter().all(|state| same(&state.storage, first_storage)) {
        join_storage(builder, meet, states, Rc::make_mut(&mut result.storage));
    }
    result
}

fn join_memory(builder: &mut Builder, meet: &mut impl Meet, states: &[&State], result: &mut Memory) {
    let first = &states[0].memory;
    result.cells.clear();
    let mut lost = Sources::NONE;
    let mut blurred = false;
    let mut values = Vec::with_capacity(states.len());
    for cell in &first.cells {
        values.clear();
        let mut same = true;
        for state in states {
            let cells = &state.memory.cells;
            let found =
                cells.binary_search_by_key(&(cell.base, cell.offset), |other| (other.base, other.offset));
            match found.map(|index| cells[index]) {
                Ok(other) if other == *cell => {
                    if let Content::Word { word, .. } = other.content {
                        values.push(word);
                    }
                }
                Ok(other) => {
                    same = false;
                    if let (Content::Word { word, from: 0 }, Length::Fixed(32)) =
                        (other.content, other.length)
                    {
                        values.push(word);
                    }
                }
                Err(_) => same = false,
            }
        }
        if same {
            result.cells.push(*cell);
        } else if values.len() == states.len()
            && cell.length == Length::Fixed(32)
            && matches!(cell.content, Content::Word { from: 0, .. })
        {
            let word = meet.meet(builder, Place::Memory(cell.base, cell.offset), &values);
            let mut cell = *cell;
            cell.content = Content::Word { word, from: 0 };
            result.cells.push(cell);
        }
    }
    for state in states {
        blurred |= state.memory.blurred || state.memory.cells.len() != result.cells.len();
        lost = lost.with(state.memory.lost);
        if state.memory.cells.len() != result.cells.len() {
            lost = lost.with(state.memory.sources(builder));
        }
    }
    result.blurred = blurred;
    result.lost = lost;
}

fn join_storage(builder: &mut Builder, meet: &mut impl Meet, states: &[&State], result: &mut Storage) {
    let first = &states[0].storage;
    let site = meet.site(builder);
    let same_epoch = states.iter().all(|state| state.storage.epoch == first.epoch);
    if same_epoch {
        let shared = states[1..].iter().fold(first.events.len(), |shared, state| {
            first.events[..shared].iter().zip(&state.storage.events).take_while(|(a, b)| a == b).count()
        });
        result.events.truncate(shared);
        // A slot stored to on one path only has a version of its own from here on.
        let mut differing: Vec<(Space, ExprId)> = states
            .iter()
            .flat_map(|state| state.storage.events[shared..].iter().map(|event| (event.0, event.1)))
            .collect();
        differing.sort_unstable();
        differing.dedup();
        result.events.extend(differing.into_iter().map(|(space, slot)| (space, slot, site)));
    } else {
        result.epoch = Epoch::after(site);
        result.events.clear();
    }

    let mut slots: Vec<(Space, ExprId)> = states
        .iter()
        .flat_map(|state| state.storage.current.iter().map(|entry| (entry.0, entry.1)))
        .collect();
    slots.sort_unstable();
    slots.dedup();
    result.current.clear();
    let mut values = Vec::with_capacity(states.len());
    for (space, slot) in slots {
        values.clear();
        for state in states {
            // A path that does not know the word would load it now.
            let word = state.storage.current(space, slot).unwrap_or_else(|| {
                let version = state.storage.version(builder, space, slot);
                builder.load(space, slot, version)
            });
            values.push(word);
        }
        let value = if values.iter().all(|value| *value == values[0]) {
            values[0]
        } else {
            meet.meet(builder, Place::Current(space, slot), &values)
        };
        result.current.push((space, slot, value));
    }

    let mut slots: Vec<(Space, ExprId)> = states
        .iter()
        .flat_map(|state| state.storage.written.iter().map(|entry| (entry.0, entry.1)))
        .collect();
    slots.sort_unstable();
    slots.dedup();
    result.written.clear();
    for (space, slot) in slots {
        values.clear();
        for state in states {
            let written = state.storage.written.iter().find(|entry| entry.0 == space && entry.1 == slot);
            // A path that has not stored leaves what the call found.
            values.push(written.map_or_else(|| builder.load(space, slot, Epoch::ENTRY), |entry| entry.2));
        }
        let value = if values.iter().all(|value| *value == values[0]) {
            values[0]
        } else {
            meet.meet(builder, Place::Written(space, slot), &values)
        };
        result.written.push((space, slot, value));
    }
}
