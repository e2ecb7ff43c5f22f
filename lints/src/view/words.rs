//! What words are made of: the questions that several rules ask of stored values, keys and conditions.
//!
//! In: words of one contract. Out: the loads, products and comparisons in them. Nothing here knows what is worth
//! reporting; an answer that cannot be given is "no".

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use alloy_primitives::U256;
use deconflict_analyzer::{
    Access, ByteRange, Call, CallKind, Circumstance, Condition, Effect, Entry, Environment, ExprId, Node,
    Projection, Root, Slot, Sources, Space,
    standards::{ADDRESS_BITS, ADDRESS_BYTES, BALANCE_OF, CAN_CALL, SELECTOR_BYTES, WORD_BYTES},
};
use revm_bytecode::opcode;

use super::{ContractView, Field, Touch};

/// A comparison of two words in a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ComparedWords {
    /// `EQ`, or one of `LT`, `GT`, `SLT`, `SGT`.
    pub(crate) op: u8,
    /// The first side.
    pub(crate) a: ExprId,
    /// The second side.
    pub(crate) b: ExprId,
}

impl ComparedWords {
    /// Both sides, each with the other.
    pub(crate) fn sides(self) -> [(ExprId, ExprId); 2] {
        [(self.a, self.b), (self.b, self.a)]
    }

    /// Whether it tells equal from different rather than less from more.
    pub(crate) fn is_equality(self) -> bool {
        self.op == opcode::EQ
    }
}

/// What has to be the same in all calls for a word to be the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// It may differ whatever is the same.
    Differs,
    /// It is the same where these are.
    Same {
        /// Who calls.
        caller: bool,
        /// The words of the input behind the selector, as a set of bits.
        arguments: u64,
    },
}

impl Needs {
    /// It is the same in all calls.
    pub(crate) const NOTHING: Self = Self::Same { caller: false, arguments: 0 };

    /// What two words need.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same { caller, arguments }, Self::Same { caller: of_other, arguments: others }) => {
                Self::Same { caller: caller || of_other, arguments: arguments | others }
            }
            _ => Self::Differs,
        }
    }
}

/// What words are made of, as far as it has been asked for: rules ask the same of the same words over and over.
#[derive(Debug, Default)]
pub(super) struct Known {
    parts: RefCell<BTreeMap<ExprId, Vec<ExprId>>>,
    loads: RefCell<BTreeMap<ExprId, BTreeSet<Field>>>,
}

impl<'a> ContractView<'a> {
    /// What has to be the same in all calls for `word` to be.
    pub(crate) fn needs(&self, word: ExprId) -> Needs {
        let (head, size) = (U256::from(SELECTOR_BYTES), U256::from(WORD_BYTES));
        let expressions = &self.analysis.expressions;
        let given = Sources::CALLER.with(Sources::CALLDATA);
        if !expressions.sources(word).intersects(given) {
            // An element of an array is one of many.
            let plain = self.loads(word).iter().all(|load| load.slot.is_fixed());
            return if plain && self.is_shared_word(word) { Needs::NOTHING } else { Needs::Differs };
        }
        let known = Sources::BLOCK.with(Sources::ADDRESS).with(Sources::CODE).with(Sources::IMMUTABLE);
        if !expressions.sources(word).is_within(given.with(known)) {
            return Needs::Differs;
        }
        let (mut caller, mut arguments) = (false, 0);
        for part in self.parts(word) {
            match expressions.node(part) {
                Node::Environment(Environment::Caller) => caller = true,
                Node::CalldataWord { offset } => {
                    let place = expressions.constant(offset).and_then(|it| it.checked_sub(head));
                    let index = place.filter(|it| (it % size).is_zero()).map(|it| it / size);
                    match index.and_then(|it| u32::try_from(it).ok()).and_then(|it| 1u64.checked_shl(it)) {
                        Some(bit) => arguments |= bit,
                        None => return Needs::Differs,
                    }
                }
                Node::Environment(Environment::CalldataSize) | Node::Bytes(_) => return Needs::Differs,
                _ => {}
            }
        }
        // What comes from neither in a way that is known may be anything.
        if caller || arguments != 0 { Needs::Same { caller, arguments } } else { Needs::Differs }
    }

    /// Every part of `word` that its value is computed from, without the slots of loads.
    pub(crate) fn parts(&self, word: ExprId) -> Vec<ExprId> {
        if let Some(known) = self.known.parts.borrow().get(&word) {
            return known.clone();
        }
        let found = self.find_parts(word);
        self.known.parts.borrow_mut().insert(word, found.clone());
        found
    }

    fn find_parts(&self, word: ExprId) -> Vec<ExprId> {
        let expressions = &self.analysis.expressions;
        let mut seen = BTreeSet::new();
        let mut open = vec![word];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if !matches!(expressions.node(id), Node::Load { .. } | Node::Balance { .. }) {
                open.extend(expressions.operands(id));
                open.extend_from_slice(expressions.phi_operands(id));
            }
        }
        seen.into_iter().collect()
    }

    /// The slot of a load of storage.
    pub(crate) fn loaded(&self, word: ExprId) -> Option<Slot> {
        let expressions = &self.analysis.expressions;
        let Node::Load { space: Space::Storage, slot, .. } = expressions.node(word) else { return None };
        // Where the elements of an array begin is a constant too, and no variable of its own.
        expressions.slot(slot).cloned().or_else(|| expressions.constant(slot).map(Slot::fixed))
    }

    /// The bytes of storage that the value of `word` is computed from.
    pub(crate) fn loads(&self, word: ExprId) -> BTreeSet<Field> {
        if let Some(known) = self.known.loads.borrow().get(&word) {
            return known.clone();
        }
        let found = self.find_loads(word);
        self.known.loads.borrow_mut().insert(word, found.clone());
        found
    }

    fn find_loads(&self, word: ExprId) -> BTreeSet<Field> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![word];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if let Some((load, mask)) = self.extracted(id)
                && let Some(slot) = self.loaded(load)
            {
                found.insert(Field { slot, bytes: hull(mask) });
            } else if !matches!(self.analysis.expressions.node(id), Node::Load { .. } | Node::Balance { .. })
            {
                open.extend(self.analysis.expressions.operands(id));
                open.extend_from_slice(self.analysis.expressions.phi_operands(id));
            }
        }
        found
    }

    /// Whether the value of `word` is computed from a byte of `field`.
    pub(crate) fn is_made_from(&self, word: ExprId, field: &Field) -> bool {
        self.analysis.expressions.sources(word).intersects(Sources::STORAGE.with(Sources::PHI))
            && self.loads(word).iter().any(|load| load.overlaps(field))
    }

    /// The word without the mask that cleans it to its type.
    pub(crate) fn bare(&self, word: ExprId) -> ExprId {
        match self.analysis.expressions.node(word) {
            Node::Binary { op: opcode::AND, a, b } if self.analysis.expressions.constant(b).is_some() => a,
            _ => word,
        }
    }

    /// A load, or some bits of one: the load and the bits.
    fn extracted(&self, id: ExprId) -> Option<(ExprId, U256)> {
        let expressions = &self.analysis.expressions;
        let load = |id: ExprId| matches!(expressions.node(id), Node::Load { .. }).then_some(id);
        let shifted = |id: ExprId| match expressions.node(id) {
            Node::Binary { op: opcode::SHR, a, b } => {
                Some((load(b)?, expressions.constant(a)?.saturating_to::<usize>()))
            }
            Node::Binary { op: opcode::DIV, a, b } => {
                let divisor = expressions.constant(b).filter(|divisor| divisor.is_power_of_two())?;
                Some((load(a)?, divisor.trailing_zeros()))
            }
            _ => Some((load(id)?, 0)),
        };
        if let Node::Binary { op: opcode::AND, a, b } = expressions.node(id)
            && let Some(mask) = expressions.constant(b)
            && let Some((load, down)) = shifted(a)
        {
            return Some((load, mask.checked_shl(down).unwrap_or(U256::MAX)));
        }
        let (load, down) = shifted(id)?;
        Some((load, U256::MAX.checked_shl(down).unwrap_or(U256::MAX << down.min(255))))
    }

    /// The conditions that a call of `function` meets on its ways.
    pub(crate) fn conditions(&self, function: usize) -> BTreeSet<Condition> {
        let summary = &self.analysis.summaries[function];
        let accesses = summary.accesses.iter().map(|access| &access.circumstance);
        let calls = summary.calls.iter().map(|call| &call.circumstance);
        let all = accesses.chain(calls).flat_map(Self::of_circumstance);
        all.chain(&summary.requires).chain(&summary.checks).copied().collect()
    }

    fn of_circumstance(circumstance: &Circumstance) -> impl Iterator<Item = &Condition> {
        circumstance.when.iter().chain(&circumstance.requires)
    }

    /// The comparisons in the conditions of `function`.
    pub(crate) fn comparisons(&self, function: usize) -> BTreeSet<ComparedWords> {
        self.compared(&self.conditions(function))
    }

    /// The comparisons in some conditions. A word that is tested as it is counts as compared with itself and is left out.
    pub(crate) fn compared<'c>(
        &self,
        conditions: impl IntoIterator<Item = &'c Condition>,
    ) -> BTreeSet<ComparedWords> {
        let expressions = &self.analysis.expressions;
        let mut found = BTreeSet::new();
        for condition in conditions {
            for part in self.parts(condition.expression) {
                if let Node::Binary {
                    op: op @ (opcode::LT | opcode::GT | opcode::SLT | opcode::SGT | opcode::EQ),
                    a,
                    b,
                } = expressions.node(part)
                {
                    found.insert(ComparedWords { op, a, b });
                }
            }
        }
        found
    }

    /// What becomes of `field` in `function`, wherever it is read. Of a function that is not known in full, anything may.
    pub(crate) fn escapes(&self, function: usize, field: &Field) -> deconflict_analyzer::Escapes {
        let mut all = deconflict_analyzer::Escapes::default();
        if !self.analysis.summaries[function].is_complete() {
            all = all.with(deconflict_analyzer::Escapes::UNKNOWN);
        }
        for touch in self.touching(field).iter().filter(|touch| touch.function == function) {
            if let Effect::Read { escapes, .. } = touch.access.effect {
                all = all.with(escapes);
            }
        }
        all
    }

    /// Whether the time or number of the block is part of `word`.
    pub(crate) fn has_time(&self, word: ExprId) -> bool {
        let expressions = &self.analysis.expressions;
        expressions.sources(word).intersects(Sources::BLOCK.with(Sources::PHI))
            && self.parts(word).iter().any(|&part| {
                matches!(
                    expressions.node(part),
                    Node::Environment(Environment::Timestamp | Environment::Number)
                )
            })
    }

    /// Whether `word` is made of nothing but words of the block, constants and the time of storage.
    pub(crate) fn is_block_time(&self, word: ExprId) -> bool {
        self.is_block_constant(word) && self.has_time(word)
    }

    /// Whether `word` is, on some ways, made without the field: a join of words one of which does not have it.
    pub(crate) fn may_be_without(&self, word: ExprId, field: &Field) -> bool {
        let expressions = &self.analysis.expressions;
        self.parts(word).into_iter().any(|part| {
            let operands = expressions.phi_operands(part);
            operands.iter().any(|&operand| self.is_made_from(operand, field))
                && operands.iter().any(|&operand| operand != part && !self.is_made_from(operand, field))
        })
    }

    /// Whether calls move the field along: what they store was found under what stood there.
    pub(crate) fn is_made_from_itself(&self, field: &Field) -> bool {
        self.touching(field).iter().any(|touch| {
            touch.write().is_some_and(|(value, _)| {
                self.loads(value).iter().any(|load| load.slot.keys().any(|key| self.is_made_from(key, field)))
            })
        })
    }

    /// Whether a flag of the caller, or a stored address, decides in the function, which does not change it: a role, or
    /// an owner, however it is compared.
    fn checks_role(&self, function: usize) -> bool {
        let expressions = &self.analysis.expressions;
        let accesses = &self.analysis.summaries[function].accesses;
        let decides = deconflict_analyzer::Escapes::REQUIRE.with(deconflict_analyzer::Escapes::BRANCH);
        let is_caller = |key: ExprId| matches!(expressions.node(key), Node::Environment(Environment::Caller));
        let asks_elsewhere = |call: &Call| {
            let who =
                if call.selector == Some(CAN_CALL) { call.arguments.first() } else { call.arguments.last() };
            call.kind == CallKind::StaticCall
                && call.selector != Some(BALANCE_OF)
                && who.is_some_and(|&word| is_caller(word))
        };
        if self.analysis.summaries[function].calls.iter().any(asks_elsewhere) {
            return true;
        }
        accesses.iter().any(|access| {
            let Effect::Read { escapes, .. } = access.effect else { return false };
            let is_caller =
                |key: ExprId| matches!(expressions.node(key), Node::Environment(Environment::Caller));
            let keys: Vec<ExprId> = access.slot.keys().collect();
            let width = access.bytes.to - access.bytes.from;
            let role = width == 1
                && keys.iter().any(|&key| is_caller(key))
                && keys.iter().all(|&key| is_caller(key) || expressions.constant(key).is_some());
            role && escapes.intersects(decides)
                && !accesses.iter().any(|other| {
                    matches!(other.effect, Effect::Write { .. })
                        && other.slot == access.slot
                        && is_lasting(other)
                })
        })
    }

    /// Whether it is a count less a constant, also where the count was loaded on several ways that have met.
    pub(crate) fn steps_down(&self, touch: &Touch<'_>) -> bool {
        if let Some((amount, subtract)) = touch.sum() {
            return subtract && self.is_constant(amount);
        }
        self.step(touch).is_some_and(|it| it.wrapping_neg().bit_len() < 64)
    }

    /// Whether it is a count and one more, or one less.
    pub(crate) fn steps_by_one(&self, touch: &Touch<'_>) -> bool {
        match touch.sum() {
            Some((amount, _)) => self.analysis.expressions.constant(amount) == Some(U256::ONE),
            None => self.step(touch).is_some_and(|it| it == U256::ONE || it == U256::MAX),
        }
    }

    /// What is added to a count that was loaded on several ways that have met.
    fn step(&self, touch: &Touch<'_>) -> Option<U256> {
        let (value, _) = touch.write()?;
        let field = touch.field();
        // Ways that took the count at different times, and have met after it was changed.
        self.added(value, &field).or_else(|| {
            let mut steps =
                self.analysis.expressions.phi_operands(value).iter().map(|&way| self.added(way, &field));
            let first = steps.next()??;
            steps.all(|step| step == Some(first)).then_some(first)
        })
    }

    /// The constant by which `value` differs from the count in `field`.
    fn added(&self, value: ExprId, field: &Field) -> Option<U256> {
        let expressions = &self.analysis.expressions;
        let (count, step) = match expressions.node(value) {
            Node::Binary { op: opcode::SUB, a, b } => (a, expressions.constant(b).map(U256::wrapping_neg)),
            Node::Binary { op: opcode::ADD, a, b } if expressions.constant(a).is_some() => {
                (b, expressions.constant(a))
            }
            Node::Binary { op: opcode::ADD, a, b } => (a, expressions.constant(b)),
            _ => return None,
        };
        // A loop may have counted before.
        let is_count = |&part: &ExprId| match expressions.node(part) {
            Node::Binary { op: opcode::ADD | opcode::SUB, a, b } => {
                expressions.constant(a).is_some() || expressions.constant(b).is_some()
            }
            node => matches!(node, Node::Phi { .. } | Node::Load { .. } | Node::Constant(_)),
        };
        let counts =
            self.loads(count) == BTreeSet::from([field.clone()]) && self.parts(count).iter().all(is_count);
        step.filter(|_| counts)
    }

    /// Whether a stored address decides in the function that replaces it: a permission that its holder hands over.
    pub(crate) fn transfers_permission(&self, touch: &Touch<'_>) -> bool {
        let decides = deconflict_analyzer::Escapes::REQUIRE.with(deconflict_analyzer::Escapes::BRANCH);
        let (bytes, field) = (touch.access.bytes, touch.field());
        // No address is calculated from the one before it; flags in the bits beside it may be kept.
        let is_new = || {
            let calculates = |part: ExprId| {
                let node = self.analysis.expressions.node(part);
                matches!(node, Node::Binary { op: opcode::MUL | opcode::DIV, .. })
            };
            touch.write().is_some_and(|(value, _)| {
                !self.is_made_from(value, &field) || !self.parts(value).into_iter().any(calculates)
            })
        };
        let is_address = bytes.to - bytes.from == ADDRESS_BYTES || (bytes == ByteRange::WORD && is_new());
        is_address && self.escapes(touch.function, &field).intersects(decides)
    }

    /// Whether the function compares its caller with an address that the contract names, on some way.
    pub(crate) fn checks_caller(&self, function: usize) -> bool {
        let expressions = &self.analysis.expressions;
        let named = Sources::STORAGE
            .with(Sources::IMMUTABLE)
            .with(Sources::ADDRESS)
            .with(Sources::CODE)
            .with(Sources::CALLER)
            .with(Sources::PHI);
        let is_caller =
            |&part: &ExprId| matches!(expressions.node(part), Node::Environment(Environment::Caller));
        self.checks_role(function)
            || self.conditions(function).iter().any(|condition| {
                self.parts(condition.expression).iter().any(|&part| {
                    let compares = matches!(
                        expressions.node(part),
                        Node::Binary { op: opcode::EQ | opcode::XOR | opcode::SUB, .. }
                    );
                    compares
                        && expressions.sources(part).is_within(named)
                        && self.parts(part).iter().any(is_caller)
                        && self.loads(part).iter().all(|load| load.slot.is_fixed())
                })
            })
    }

    /// Whether the caller of the function decides `word`: by arguments, value or who it is.
    pub(crate) fn is_chosen(&self, word: ExprId) -> bool {
        let chosen = Sources::CALLER
            .with(Sources::CALLDATA)
            .with(Sources::TRANSACTION)
            .with(Sources::CALL_VALUE)
            .with(Sources::RETURN_DATA);
        let expressions = &self.analysis.expressions;
        let sources = expressions.sources(word);
        // What ways that have met brought along is among the parts.
        sources.intersects(chosen)
            || (sources.intersects(Sources::PHI)
                && self.parts(word).iter().any(|&part| expressions.sources(part).intersects(chosen)))
    }

    /// What the call adds to the field or takes off, also where ways have met that knew more or less of it.
    pub(crate) fn counted(&self, touch: &Touch<'_>) -> Option<(ExprId, bool)> {
        self.moved(touch).filter(|&(amount, _)| !self.is_made_from(amount, &touch.field()))
    }

    /// By what the call moves the field, and whether down, even where the amount depends on the field itself.
    pub(crate) fn moved(&self, touch: &Touch<'_>) -> Option<(ExprId, bool)> {
        if let Some(sum) = touch.sum() {
            return Some(sum);
        }
        let field = touch.field();
        let expressions = &self.analysis.expressions;
        let is_old = |id: ExprId| self.is_made_from(id, &field) && self.products(id).is_empty();
        let by = |value: ExprId| match expressions.node(value) {
            Node::Binary { op: opcode::ADD, a, b } if is_old(a) => Some((b, false)),
            Node::Binary { op: opcode::ADD, a, b } if is_old(b) => Some((a, false)),
            Node::Binary { op: opcode::SUB, a, b } if is_old(a) => Some((b, true)),
            _ => None,
        };
        let (value, _) = touch.write()?;
        if let Some(moved) = by(value) {
            return Some(moved);
        }
        // What goes up on one way and down on another has no direction.
        let ways: Vec<(ExprId, bool)> =
            expressions.phi_operands(value).iter().filter_map(|&it| by(it)).collect();
        let (first, rest) = ways.split_first()?;
        rest.iter().all(|way| way.1 == first.1).then_some(*first)
    }

    /// The selector of an entry point.
    pub(crate) fn selector(&self, function: usize) -> Option<[u8; 4]> {
        match self.analysis.summaries[function].entry {
            Entry::Function(selector) => Some(selector.0),
            Entry::Receive | Entry::Fallback => None,
        }
    }

    /// What a view function returns, by its selector: the bytes of storage that make up the number.
    pub(crate) fn returned_by(&self, selector: [u8; 4]) -> BTreeSet<Field> {
        let found = self.analysis.summaries.iter().enumerate();
        let mut found = found.filter(|(function, _)| self.selector(*function) == Some(selector));
        found
            .next()
            .map(|(_, summary)| summary.returned.iter().flat_map(|&word| self.loads(word)).collect())
            .unwrap_or_default()
    }

    /// The fields that all callers share and that `pick` accepts a write of, more than once a block.
    pub(crate) fn shared_fields(&self, pick: impl Fn(&Touch<'a>) -> bool) -> Vec<Field> {
        let writes = self.writes().into_iter();
        let shared = writes.filter(|touch| {
            !touch.is_net_zero()
                && self.is_shared(&touch.access.slot)
                && !self.is_once_per_block(touch)
                && pick(touch)
                // Last, because it goes through all accesses of the function.
                && !self.is_unrolled(touch)
        });
        super::fields(shared)
    }

    /// Whether it is one round of a loop, the rest of which is one access for all rounds.
    pub(crate) fn is_unrolled(&self, touch: &Touch<'_>) -> bool {
        self.analysis.summaries[touch.function].accesses.iter().any(|other| {
            other.circumstance.repeated
                && other.position == touch.access.position
                && other.slot != touch.access.slot
        })
    }

    /// Whether an access reads an element of a storage array, or one was loaded to compute `word`.
    pub(crate) fn is_from_array(&self, word: ExprId) -> bool {
        let expressions = &self.analysis.expressions;
        expressions.any(word, |part| {
            self.loaded(part).is_some_and(|slot| {
                self.element(&slot).is_some_and(|it| it.length.is_fixed())
                    || matches!(slot.root, Root::Fixed(_))
                        && slot
                            .path
                            .iter()
                            .any(|step| matches!(step, Projection::Element { .. } | Projection::Index { .. }))
            })
        })
    }

    /// Whether `word` is a name that was loaded under the counter of a loop: a member of a list that is kept in a mapping
    /// from numbers.
    pub(crate) fn is_numbered(&self, word: ExprId) -> bool {
        let expressions = &self.analysis.expressions;
        let is_counter = |key: ExprId| {
            let sources = expressions.sources(key);
            sources.intersects(Sources::PHI) && !self.is_chosen(key) && self.loads(key).is_empty()
        };
        expressions.bits(word) >= ADDRESS_BITS
            && self.parts(word).iter().filter_map(|&part| self.loaded(part)).any(|slot| {
                matches!(slot.root, Root::Fixed(_))
                    && slot
                        .path
                        .iter()
                        .any(|step| matches!(*step, Projection::Mapping { key } if is_counter(key)))
            })
    }

    /// Whether `word` is the same in every call of one contract on one chain: it is made of constants, the contract's
    /// address and the chain's number.
    pub(crate) fn is_of_contract(&self, word: ExprId) -> bool {
        let expressions = &self.analysis.expressions;
        let own = Sources::IMMUTABLE.with(Sources::ADDRESS).with(Sources::CODE);
        let moves = |part| match expressions.node(part) {
            Node::Environment(it) => !matches!(it, Environment::Address | Environment::ChainId),
            node => matches!(node, Node::BlockHash(_) | Node::CodeSize(_) | Node::CodeHash(_)),
        };
        expressions.sources(word).is_within(own)
            || (expressions.sources(word).is_within(own.with(Sources::BLOCK))
                && !expressions.any(word, moves))
    }

    /// Whether a loop of the function takes one element after the other out of the list that has an element at `slot`.
    pub(crate) fn shrinks(&self, function: usize, slot: &Slot) -> bool {
        let Some(at) = slot.path.iter().rposition(|step| matches!(step, Projection::Element { .. })) else {
            return false;
        };
        let length = Slot { root: slot.root, path: slot.path[..at].to_vec() };
        self.analysis.summaries[function].accesses.iter().any(|access| {
            let takes = Touch { function, access }.sum().is_some_and(|(_, subtract)| subtract);
            takes && access.circumstance.repeated && access.slot == length
        })
    }

    /// Whether `word` is the last element of a list, which takes the place of one that is removed.
    pub(crate) fn is_last(&self, word: ExprId) -> bool {
        let element = self.loaded(word).and_then(|slot| self.element(&slot));
        element.is_some_and(|it| {
            let length = Field { slot: it.length, bytes: ByteRange::WORD };
            self.is_end(it.index, &length)
        })
    }

    /// Whether the index is what the length says, and no place on the way there.
    pub(crate) fn is_end(&self, index: ExprId, length: &Field) -> bool {
        let expressions = &self.analysis.expressions;
        let word = match expressions.node(index) {
            Node::Binary { op: opcode::ADD, a, b } if expressions.constant(b).is_some() => a,
            _ => index,
        };
        self.loaded(word).is_some_and(|slot| slot == length.slot)
    }

    /// All accesses of all entry points to lasting storage, administrators' too.
    pub(crate) fn everyone(&self) -> impl Iterator<Item = Touch<'a>> {
        let analysis = self.analysis;
        let all = analysis.summaries.iter().enumerate().flat_map(|(function, summary)| {
            summary.accesses.iter().map(move |access| Touch { function, access })
        });
        all.filter(|touch| is_lasting(touch.access))
    }
}

/// Whether an access is to storage that outlives the transaction, and happens where the call succeeds.
pub(super) fn is_lasting(access: &Access) -> bool {
    access.space == Space::Storage && !access.circumstance.reverts
}

/// The smallest range of bytes that holds the bits.
fn hull(mask: U256) -> ByteRange {
    if mask.is_zero() {
        return ByteRange::WORD;
    }
    let (from, to) = (mask.trailing_zeros() / 8, mask.bit_len().div_ceil(8));
    ByteRange { from: u8::try_from(from).unwrap_or(0), to: u8::try_from(to).unwrap_or(32) }
}
