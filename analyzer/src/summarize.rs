//! Turns the explored graph of one entry into its summary.
//!
//! In: a [`Graph`]. Out: a [`SummaryDraft`]: the summary, and what the contract-wide passes (locks, permissions) still need.
//! Every event of the graph ends up in the summary; what happens only on paths that always revert is marked, not lost.

mod dominators;
mod gates;

use alloy_primitives::U256;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

use self::dominators::Shape;

use crate::{
    access::{
        Access, BalanceRead, ByteRange, Call, Circumstance, Condition, Creation, Effect, Escapes, NetZero,
        Position, SelfDestruct, WriteForm,
    },
    authority::Gate,
    code::Pc,
    expression::{Node as Word, Sources, Space},
    facts::{Facts, strip},
    graph::{Event, EventKind, Exit, Graph, GraphNode},
    id::{Epoch, ExprId},
    location::{Root, Slot},
    simplify::Builder,
    slot::normalise,
    summary::{Entry, Permission, Summary},
    update::{Form, Update, bits_of, hull, is_range_check, updates},
    uses::Flow,
};

/// A summary before the passes that need all entries of the contract.
pub(crate) struct SummaryDraft {
    pub(crate) summary: Summary,
    /// For each successful exit: the slots stored to, with the last word stored.
    pub(crate) exits: Vec<Vec<(Space, ExprId, ExprId)>>,
    /// Sets of gates, of each of which every successful path passes one.
    pub(crate) gates: Vec<Vec<Gate>>,
}

/// Conditions kept for one access.
const MAX_CONDITIONS: usize = 16;

/// The conditions that taking an arm of a branch establishes.
fn atoms(builder: &mut Builder, condition: ExprId) -> Vec<ExprId> {
    let both = [true, false].map(|holds| atoms_of(builder, condition, holds));
    both.into_iter().flatten().map(|atom| atom.expression).collect()
}

/// The conditions that hold on one arm of a branch.
fn atoms_of(builder: &mut Builder, condition: ExprId, holds: bool) -> Vec<Condition> {
    let mut facts = Facts::default();
    facts.assume(builder, condition, holds);
    facts.conditions.iter().map(|&(expression, holds)| Condition { expression, holds }).collect()
}

struct Summarizer<'g> {
    builder: &'g mut Builder,
    graph: &'g Graph,
    shape: Shape,
    /// Conditions that some branch with two arms that can succeed decides.
    open: FxHashSet<ExprId>,
    /// The conditions that each branch condition stands for.
    atoms: FxHashMap<ExprId, Vec<ExprId>>,
    /// For each condition, where in the tree of dominators it holds because the call would revert otherwise: ranges of
    /// places in order.
    required: FxHashMap<ExprId, Vec<(u32, u32)>>,
    /// Conditions that hold from the start and tell nothing.
    given: FxHashSet<ExprId>,
    flow: Flow,
    slots: FxHashMap<ExprId, Slot>,
}

/// One place that an access may go to.
struct Way {
    slot: ExprId,
    normal: Slot,
    /// The phi that stands for this place and others, and which of its values this is.
    phi: Option<(ExprId, usize)>,
}

/// Summarises the graph of `entry`; `given` are the conditions it started with.
pub(crate) fn summarize(builder: &mut Builder, entry: Entry, graph: &Graph, given: &Facts) -> SummaryDraft {
    let shape = Shape::new(graph);
    let given = given.conditions.iter().map(|fact| fact.0).collect();
    let mut summarizer = Summarizer {
        builder,
        graph,
        shape,
        open: FxHashSet::default(),
        atoms: FxHashMap::default(),
        required: FxHashMap::default(),
        given,
        flow: Flow::default(),
        slots: FxHashMap::default(),
    };
    summarizer.find_open();
    summarizer.find_required();
    summarizer.find_flow();
    summarizer.summary(entry)
}

impl Summarizer<'_> {
    fn find_open(&mut self) {
        for node in &self.graph.nodes {
            let Exit::Branch { condition } = node.exit else { continue };
            if node.successors.iter().filter(|to| self.shape.live[**to as usize]).count() > 1 {
                let builder = &mut *self.builder;
                self.open
                    .extend(self.atoms.entry(condition).or_insert_with(|| atoms(builder, condition)).iter());
            }
        }
    }

    /// The load that a stored word replaces: the one of its slot that it is made from.
    fn replaced(&mut self, space: Space, slot: ExprId, value: ExprId, old: ExprId) -> ExprId {
        let loads = self.flow.loads_in(&self.builder.expressions, value);
        loads
            .iter()
            .map(|found| found.0)
            .find(|load| {
                matches!(self.builder.expressions.node(*load),
                    Word::Load { space: s, slot: k, .. } if s == space && k == slot)
            })
            .unwrap_or(old)
    }

    fn find_flow(&mut self) {
        let graph = self.graph;
        // Amounts added to slots first: they tell overflow checks from other comparisons.
        let mut amounts: FxHashMap<ExprId, Vec<(ExprId, U256)>> = FxHashMap::default();
        for node in &graph.nodes {
            for event in &node.events {
                let EventKind::Store { space, slot, value, old } = event.kind else { continue };
                let old = self.replaced(space, slot, value, old);
                for update in updates(self.builder, value, old) {
                    if let Form::Delta { amount, .. } = update.form {
                        amounts.entry(old).or_default().push((amount, bits_of(update.bytes)));
                    }
                }
            }
        }
        let mut lost = Escapes::default();
        for (index, node) in graph.nodes.iter().enumerate() {
            let live = self.shape.live[index];
            for event in &node.events {
                lost = lost.with(self.event_flow(event, live));
            }
            match &node.exit {
                Exit::Success { words, lost: is_lost, .. } => {
                    for word in words {
                        self.flow.reach(&self.builder.expressions, *word, Escapes::RETURN);
                    }
                    if *is_lost {
                        lost = lost.with(Escapes::RETURN);
                    }
                }
                Exit::Branch { condition } if live => {
                    let open = node.successors.iter().filter(|to| self.shape.live[**to as usize]).count() > 1;
                    let condition = strip(self.builder, *condition, true).expression;
                    if open || amounts.is_empty() {
                        let escape = if open { Escapes::BRANCH } else { Escapes::REQUIRE };
                        self.flow.reach(&self.builder.expressions, condition, escape);
                        continue;
                    }
                    for (load, mask) in self.flow.loads_in(&self.builder.expressions, condition) {
                        let escape = if amounts
                            .get(&load)
                            .is_some_and(|amounts| is_range_check(self.builder, condition, load, amounts))
                        {
                            Escapes::OVERFLOW_CHECK
                        } else {
                            Escapes::REQUIRE
                        };
                        self.flow.add(load, mask, escape);
                    }
                }
                _ => {}
            }
        }
        // Bytes of memory that were lost can be any word that was ever put there.
        if lost != Escapes::default() {
            let mut seen = FxHashSet::default();
            for word in graph.nodes.iter().flat_map(|node| &node.memory_words) {
                if seen.insert(*word) {
                    self.flow.reach(&self.builder.expressions, *word, lost);
                }
            }
        }
    }

    /// Records where the words of an event go; tells where lost bytes of memory go.
    fn event_flow(&mut self, event: &Event, live: bool) -> Escapes {
        let mut lost_to = Escapes::default();
        let expressions = &self.builder.expressions;
        match &event.kind {
            EventKind::Load { slot, .. } => self.flow.reach(expressions, *slot, Escapes::KEY),
            EventKind::Store { space, slot, value, old } => {
                self.flow.reach(expressions, *slot, Escapes::KEY);
                if !live {
                    return lost_to;
                }
                let old = self.replaced(*space, *slot, *value, *old);
                for update in updates(self.builder, *value, old) {
                    let found = self.flow.loads_in(&self.builder.expressions, update.content);
                    for (load, mask) in found {
                        let escape = if load == old { Escapes::STORE_BACK } else { Escapes::OTHER_STORE };
                        self.flow.add(load, mask, escape);
                    }
                }
            }
            EventKind::Call(call) => {
                let lost = call.lost;
                for word in call.words.iter().copied().chain([call.target]).chain(call.value) {
                    self.flow.reach(expressions, word, Escapes::CALL);
                }
                if lost {
                    lost_to = Escapes::CALL;
                }
            }
            EventKind::Create { salt, words, lost, .. } => {
                for word in words.iter().copied().chain(*salt) {
                    self.flow.reach(expressions, word, Escapes::CALL);
                }
                if *lost {
                    lost_to = Escapes::CALL;
                }
            }
            EventKind::Log { words, lost } => {
                for word in words {
                    self.flow.reach(expressions, *word, Escapes::LOG);
                }
                if *lost {
                    lost_to = Escapes::LOG;
                }
            }
            EventKind::SelfDestruct { beneficiary } => {
                self.flow.reach(expressions, *beneficiary, Escapes::CALL);
            }
            EventKind::Balance { .. } => {}
        }
        lost_to
    }

    /// Finds where conditions hold because the call would revert otherwise: behind a branch one of whose arms always
    /// fails.
    fn find_required(&mut self) {
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let Exit::Branch { condition } = node.exit else { continue };
            if node.successors.iter().filter(|to| self.shape.live[**to as usize]).count() > 1 {
                continue;
            }
            let behind = self.shape.strictly_dominated(index);
            let builder = &mut *self.builder;
            // What was decided before is not what this branch requires, even where it is a part of its condition.
            let known =
                |atom: ExprId| node.facts.conditions.binary_search_by_key(&atom, |fact| fact.0).is_ok();
            let atoms = self.atoms.entry(condition).or_insert_with(|| atoms(builder, condition));
            for atom in atoms.iter().filter(|atom| !known(**atom)) {
                self.required.entry(*atom).or_default().push(behind);
            }
        }
        #[expect(clippy::iter_over_hash_type, reason = "each list is put in order by itself")]
        for places in self.required.values_mut() {
            // Subtrees are apart or one inside the other: the outer ones say it all.
            places.sort_unstable_by_key(|(from, to)| (*from, std::cmp::Reverse(*to)));
            let mut end = 0;
            places.retain(|(from, to)| {
                let outer = from < to && *from >= end;
                if outer {
                    end = *to;
                }
                outer
            });
        }
    }

    /// What the branches that have an arm that only fails make sure of. Where ways meet behind a check, no fact is left of
    /// it.
    fn checks(&mut self) -> Vec<Condition> {
        const MAX_CHECKS: usize = 64;
        let mut found = Vec::new();
        for node in &self.graph.nodes {
            let (Exit::Branch { condition }, Some(holds)) = (&node.exit, node.needs) else { continue };
            let mut facts = Facts::default();
            facts.assume(self.builder, *condition, holds);
            for &(expression, holds) in &facts.conditions {
                let check = Condition { expression, holds };
                if !self.given.contains(&expression) && !found.contains(&check) && found.len() < MAX_CHECKS {
                    found.push(check);
                }
            }
        }
        found
    }

    /// Whether the condition holds at a place in the tree of dominators because the call would revert otherwise.
    fn is_required(&self, place: u32, condition: ExprId) -> bool {
        self.required.get(&condition).is_some_and(|places| {
            let index = places.partition_point(|(from, _)| *from <= place);
            index.checked_sub(1).is_some_and(|index| place < places[index].1)
        })
    }

    fn circumstance(&mut self, index: usize) -> Circumstance {
        let place = self.shape.place(index);
        let node = &self.graph.nodes[index];
        let (mut when, mut requires) = (Vec::new(), Vec::new());
        for &(expression, holds) in &node.facts.conditions {
            if self.given.contains(&expression) {
                continue;
            }
            let condition = Condition { expression, holds };
            if !self.open.contains(&expression) || self.is_required(place, expression) {
                requires.push(condition);
            } else {
                when.push(condition);
            }
        }
        // Sound because an access under fewer conditions covers one under more; the newest say most about where it is.
        for conditions in [&mut when, &mut requires] {
            let excess = conditions.len().saturating_sub(MAX_CONDITIONS);
            conditions.drain(..excess);
        }
        Circumstance {
            when,
            requires,
            reverts: !self.shape.live[index],
            always: self.shape.always[index],
            repeated: self.shape.repeated[index],
        }
    }

    fn normal(&mut self, slot: ExprId, node: &GraphNode) -> Slot {
        let facts = &node.facts;
        if let Some(known) = self.slots.get(&slot) {
            return known.clone();
        }
        let bounded = std::cell::Cell::new(false);
        let normal = normalise(self.builder, slot, &|builder, index| {
            bounded.set(true);
            facts.upper_bound(builder, index)
        });
        if !bounded.get() {
            self.slots.insert(slot, normal.clone());
        }
        self.builder.expressions.set_slot(slot, normal.clone());
        normal
    }

    /// The slots that a slot expression stands for: itself, or, where ways have met that each had a place of their own,
    /// those places. Sound because a phi is always one of its operands.
    fn ways(&mut self, slot: ExprId, node: &GraphNode) -> Vec<Way> {
        const MOST: usize = 4;
        let normal = self.normal(slot, node);
        let operands = self.builder.expressions.phi_operands(slot).to_vec();
        let known = |root: Root| matches!(root, Root::Fixed(_));
        if known(normal.root) || !(2..=MOST).contains(&operands.len()) {
            return vec![Way { slot, normal, phi: None }];
        }
        let mut ways = Vec::new();
        for (index, operand) in operands.iter().enumerate() {
            let place = self.normal(*operand, node);
            if !known(place.root) || self.builder.expressions.contains(*operand, slot) {
                return vec![Way { slot, normal, phi: None }];
            }
            ways.push(Way { slot: *operand, normal: place, phi: Some((slot, index)) });
        }
        ways
    }

    /// What a stored word is on one of the ways that have met. Phis of the same node with as many values are taken to
    /// have them in the same order; what is made of others stays as it is.
    fn on_way(&mut self, value: ExprId, way: &Way) -> ExprId {
        let Some((phi, index)) = way.phi else { return value };
        let expressions = &self.builder.expressions;
        let count = expressions.phi_operands(phi).len();
        let Word::Phi { node: meeting, .. } = expressions.node(phi) else { return value };
        self.replace_phis(value, meeting, count, index, 0)
    }

    fn replace_phis(&mut self, id: ExprId, meeting: u32, count: usize, index: usize, depth: u32) -> ExprId {
        const DEEP: u32 = 12;
        let expressions = &self.builder.expressions;
        if depth > DEEP || !expressions.sources(id).intersects(Sources::PHI) {
            return id;
        }
        match expressions.node(id) {
            Word::Phi { node, .. } if node == meeting => {
                let operands = expressions.phi_operands(id);
                if operands.len() == count { operands[index] } else { id }
            }
            Word::Unary { op, a } => {
                let a = self.replace_phis(a, meeting, count, index, depth + 1);
                self.builder.unary(op, a)
            }
            Word::Binary { op, a, b } => {
                let a = self.replace_phis(a, meeting, count, index, depth + 1);
                let b = self.replace_phis(b, meeting, count, index, depth + 1);
                self.builder.binary(op, a, b)
            }
            _ => id,
        }
    }

    fn summary(mut self, entry: Entry) -> SummaryDraft {
        let graph = self.graph;
        let mut summary = Summary {
            entry,
            accesses: Vec::new(),
            calls: Vec::new(),
            creations: Vec::new(),
            balance_reads: Vec::new(),
            self_destructs: Vec::new(),
            logs: 0,
            requires: Vec::new(),
            checks: Vec::new(),
            returned: Vec::new(),
            always_reverts: true,
            permission: Permission::Anyone,
            incomplete: graph.incomplete.clone(),
            steps: graph.steps.clone(),
        };
        let mut exits = Vec::new();
        let mut logs: Vec<Pc> = Vec::new();
        let mut requires: Option<Vec<(ExprId, bool)>> = None;
        let mut returned: Option<Vec<ExprId>> = None;
        for (index, node) in graph.nodes.iter().enumerate() {
            if !node.events.is_empty() {
                let circumstance = self.circumstance(index);
                for event in &node.events {
                    if let EventKind::Log { .. } = event.kind
                        && !circumstance.reverts
                        && !logs.contains(&event.pc)
                    {
                        logs.push(event.pc);
                    }
                    let call_sites = node.call_sites.to_vec();
                    let position = Position { pc: event.pc, call_sites, step: index as u32 };
                    self.event(&mut summary, event, node, position, &circumstance);
                }
            }
            match &node.exit {
                Exit::Success { returned: words, written, .. } => {
                    summary.always_reverts = false;
                    exits.push(written.clone());
                    match &mut requires {
                        Some(requires) => requires.retain(|fact| node.facts.conditions.contains(fact)),
                        None => requires = Some(node.facts.conditions.clone()),
                    }
                    match &mut returned {
                        Some(returned) if returned != words => returned.clear(),
                        Some(_) => {}
                        None => returned = Some(words.clone()),
                    }
                }
                Exit::Unresolved | Exit::Open => summary.always_reverts = false,
                _ => {}
            }
            // What follows here is not known, and may be a success.
            if node.is_cut || matches!(node.exit, Exit::Unresolved | Exit::Open) {
                match &mut requires {
                    Some(requires) => requires.retain(|fact| node.facts.conditions.contains(fact)),
                    None => requires = Some(node.facts.conditions.clone()),
                }
                returned = Some(Vec::new());
            }
        }
        summary.logs = logs.len();
        summary.requires = requires
            .unwrap_or_default()
            .into_iter()
            .map(|(expression, holds)| Condition { expression, holds })
            .filter(|condition| !self.given.contains(&condition.expression))
            .collect();
        summary.checks = self.checks();
        summary.returned = returned.unwrap_or_default();
        summary.always_reverts &= summary.is_complete();
        self.drop_contradicted(&mut summary);
        merge_accesses(self.builder, &mut summary.accesses);
        merge_by(
            &mut summary.calls,
            |a, b| {
                (&a.position, a.kind, a.target, &a.arguments) == (&b.position, b.kind, b.target, &b.arguments)
            },
            |_, _| {},
            |call| &call.position,
            |call| &mut call.circumstance,
        );
        let gates = self.gates(&summary);
        SummaryDraft { summary, exits, gates }
    }

    /// Marks what happens only under a condition whose opposite every successful call needs: where paths have met
    /// before the check, the graph no longer shows that these calls fail. Sound because a word that does not change
    /// during the call is non-zero or zero throughout.
    fn drop_contradicted(&self, summary: &mut Summary) {
        if !summary.is_complete() {
            return;
        }
        let expressions = &self.builder.expressions;
        let lasts = |id: ExprId| {
            let moving = Sources::PHI
                .with(Sources::UNKNOWN)
                .with(Sources::RETURN_DATA)
                .with(Sources::BALANCE)
                .with(Sources::GAS)
                .with(Sources::TRANSIENT);
            !expressions.sources(id).intersects(moving)
                && !expressions.any(id, |part| {
                    matches!(expressions.node(part), Word::Load { epoch, .. } if epoch != Epoch::ENTRY)
                })
        };
        let needed: FxHashSet<(ExprId, bool)> = (summary.requires.iter())
            .filter(|condition| lasts(condition.expression))
            .map(|condition| (condition.expression, !condition.holds))
            .collect();
        let fails = |circumstance: &Circumstance| {
            let mut all = circumstance.when.iter().chain(&circumstance.requires);
            all.any(|condition| needed.contains(&(condition.expression, condition.holds)))
        };
        for access in &mut summary.accesses {
            access.circumstance.reverts |= fails(&access.circumstance);
        }
        for call in &mut summary.calls {
            call.circumstance.reverts |= fails(&call.circumstance);
        }
    }

    fn event(
        &mut self,
        summary: &mut Summary,
        event: &Event,
        node: &GraphNode,
        position: Position,
        circumstance: &Circumstance,
    ) {
        let circumstance = circumstance.clone();
        match &event.kind {
            EventKind::Load { space, slot, value } => {
                let uses = self.flow.uses_of(*value);
                let used = uses.iter().fold(U256::ZERO, |all, entry| all | entry.mask);
                let bytes = hull(used).unwrap_or(ByteRange::WORD);
                // A word that was stored earlier in the call is not a read of what other calls left there, but it is
                // an access; its bytes are whatever is used of it.
                let is_load = matches!(self.builder.expressions.node(*value), Word::Load { .. });
                let escapes = if is_load { self.flow.escapes(*value, U256::MAX) } else { Escapes::default() };
                for Way { slot, normal, .. } in self.ways(*slot, node) {
                    summary.accesses.push(Access {
                        position: position.clone(),
                        space: *space,
                        slot: normal,
                        expression: slot,
                        bytes: if is_load { bytes } else { ByteRange::WORD },
                        effect: Effect::Read { value: *value, escapes },
                        circumstance: circumstance.clone(),
                    });
                }
            }
            EventKind::Store { space, slot, value, old } => {
                for way in self.ways(*slot, node) {
                    let value = self.on_way(*value, &way);
                    let old = self.replaced(*space, way.slot, value, *old);
                    let mut updates = updates(self.builder, value, old);
                    if updates.is_empty() {
                        updates.push(Update { bytes: ByteRange::WORD, content: value, form: Form::Other });
                    }
                    for update in updates {
                        let form = self.write_form(value, old, &update);
                        summary.accesses.push(Access {
                            position: position.clone(),
                            space: *space,
                            slot: way.normal.clone(),
                            expression: way.slot,
                            bytes: update.bytes,
                            effect: Effect::Write { value: update.content, form },
                            circumstance: Circumstance {
                                always: circumstance.always && way.phi.is_none(),
                                ..circumstance.clone()
                            },
                        });
                    }
                }
            }
            EventKind::Call(call) => summary.calls.push(Call {
                position,
                kind: call.kind,
                target: call.target,
                value: call.value,
                selector: call.selector,
                asked_by: call.asked_by,
                arguments: call.arguments.clone(),
                circumstance,
            }),
            EventKind::Create { salt, address, .. } => {
                summary.creations.push(Creation { position, salt: *salt, address: *address, circumstance });
            }
            EventKind::Balance { address, value } => {
                let escapes = self.flow.escapes(*value, U256::MAX);
                let (address, value) = (*address, *value);
                summary.balance_reads.push(BalanceRead { position, address, value, escapes, circumstance });
            }
            EventKind::SelfDestruct { beneficiary } => {
                summary.self_destructs.push(SelfDestruct {
                    position,
                    beneficiary: *beneficiary,
                    circumstance,
                });
            }
            EventKind::Log { .. } => {}
        }
    }

    fn write_form(&mut self, value: ExprId, old: ExprId, update: &Update) -> WriteForm {
        if value == old {
            // What the slot holds now is what the call found there only before the first store.
            let is_entry =
                matches!(self.builder.expressions.node(old), Word::Load { epoch: Epoch::ENTRY, .. });
            return if is_entry { WriteForm::NetZero(NetZero::Restored) } else { WriteForm::ReadModifyWrite };
        }
        match update.form {
            Form::Plain => WriteForm::Plain,
            Form::Other => WriteForm::ReadModifyWrite,
            Form::Delta { amount, subtract } => {
                let escapes = self.flow.escapes(old, bits_of(update.bytes));
                // An amount that another field of the word decides does not commute with a change of that field.
                let commutes = !self.builder.expressions.contains(amount, old)
                    && escapes.is_within(Escapes::STORE_BACK.with(Escapes::OVERFLOW_CHECK));
                if commutes {
                    let guarded = escapes.intersects(Escapes::OVERFLOW_CHECK);
                    WriteForm::Delta { amount, subtract, guarded }
                } else {
                    WriteForm::Increment { amount, subtract }
                }
            }
        }
    }
}

/// What the same instruction does to the same location in several variants of one context is one access; its value is
/// one of theirs.
fn merge_accesses(builder: &mut Builder, accesses: &mut Vec<Access>) {
    let mut values: BTreeMap<(Position, Space, Slot, ByteRange, bool), Vec<ExprId>> = BTreeMap::new();
    let key = |access: &Access, is_write| {
        (access.position.clone(), access.space, access.slot.clone(), access.bytes, is_write)
    };
    for access in accesses.iter() {
        let (value, is_write) = match access.effect {
            Effect::Read { value, .. } => (value, false),
            Effect::Write { value, .. } => (value, true),
        };
        let values = values.entry(key(access, is_write)).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let choices: BTreeMap<_, ExprId> =
        values.into_iter().map(|(key, values)| (key, builder.choice(values))).collect();
    for access in accesses.iter_mut() {
        let is_write = matches!(access.effect, Effect::Write { .. });
        let choice = choices.get(&key(access, is_write)).copied();
        let (Effect::Read { value, .. } | Effect::Write { value, .. }) = &mut access.effect;
        *value = choice.unwrap_or(*value);
    }
    merge_by(
        accesses,
        |a, b| {
            a.position == b.position
                && a.space == b.space
                && a.slot == b.slot
                && a.bytes == b.bytes
                && match (&a.effect, &b.effect) {
                    (Effect::Read { .. }, Effect::Read { .. }) => true,
                    (Effect::Write { form: a, .. }, Effect::Write { form: b, .. }) => a == b,
                    _ => false,
                }
        },
        |a, b| {
            if let (Effect::Read { escapes: mine, .. }, Effect::Read { escapes, .. }) =
                (&mut a.effect, &b.effect)
            {
                *mine = mine.with(*escapes);
            }
        },
        |access| &access.position,
        |access| &mut access.circumstance,
    );
}

fn merge_by<T: Clone>(
    items: &mut Vec<T>,
    same: impl Fn(&T, &T) -> bool,
    absorb: impl Fn(&mut T, &T),
    position: impl Fn(&T) -> &Position,
    circumstance: impl Fn(&mut T) -> &mut Circumstance,
) {
    let mut groups: BTreeMap<Position, Vec<T>> = BTreeMap::new();
    for item in items.drain(..) {
        let group = groups.entry(position(&item).clone()).or_default();
        if let Some(known) = group.iter_mut().find(|known| same(known, &item)) {
            let mut item = item;
            absorb(known, &item);
            let other = circumstance(&mut item).clone();
            let mine = circumstance(known);
            mine.when.retain(|condition| other.when.contains(condition));
            mine.requires.retain(|condition| other.requires.contains(condition));
            mine.reverts &= other.reverts;
            mine.always |= other.always;
            mine.repeated |= other.repeated;
        } else {
            group.push(item);
        }
    }
    items.extend(groups.into_values().flatten());
}

/// The word that the call found in a slot.
pub(crate) fn entry_word(builder: &mut Builder, space: Space, slot: ExprId) -> ExprId {
    builder.load(space, slot, Epoch::ENTRY)
}
