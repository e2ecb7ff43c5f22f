//! What a rule may see of one contract: which accesses ordinary users reach, which locations all of them share, and how
//! a value was computed.
//!
//! In: summaries, conflict matrix, names and places of one contract. Out: [`Touch`]es and plain answers. Every filter
//! that keeps reports quiet is here, so that all rules mean the same by "user" and "shared".

mod words;
mod arrays;

pub(crate) use words::{ComparedWords, Needs};

use std::collections::BTreeSet;

use deconflict_analyzer::{
    Access, Analysis, ByteRange, Circumstance, Condition, Conflict, Effect, Environment, ExprId, NetZero,
    Node, Permission, Projection, Root, Slot, Sources, Space, Summary, WriteForm,
    standards::{ADDRESS_BITS, OWNED_TOKEN_TRANSFERS},
};
use revm_bytecode::opcode;

use crate::{naming::ContractNames, place::Places, settings::Settings, text::without_parameters};

/// All that a rule may see of one contract.
pub(crate) struct ContractView<'a> {
    /// The contract's name.
    pub(crate) contract: &'a str,
    /// Summaries and expressions.
    pub(crate) analysis: &'a Analysis,
    /// The conflict matrix.
    pub(crate) conflicts: &'a [Conflict],
    /// Names of variables, functions and parameters.
    pub(crate) names: &'a ContractNames<'a>,
    /// Source spans of instructions and declarations.
    pub(crate) places: &'a Places<'a>,
    /// What the user says about the project.
    pub(crate) settings: &'a Settings,
    touches: Vec<Touch<'a>>,
    written: BTreeSet<&'a Slot>,
    /// Whether nothing that a transaction can change is missing: no function but a view is incomplete.
    pub(crate) all_known: bool,
    /// Answers that many rules ask for again.
    known: words::Known,
}

/// Bytes of a storage word: the unit in which findings are claimed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Field {
    /// The word.
    pub slot: Slot,
    /// The bytes.
    pub bytes: ByteRange,
}

impl Field {
    /// Whether both share a byte of one word.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.slot == other.slot && self.bytes.overlaps(other.bytes)
    }
}

/// One access of one entry point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch<'a> {
    /// The index of the entry's summary.
    pub(crate) function: usize,
    /// The access.
    pub(crate) access: &'a Access,
}

impl Touch<'_> {
    /// The location.
    pub(crate) fn field(&self) -> Field {
        Field { slot: self.access.slot.clone(), bytes: self.access.bytes }
    }

    /// Whether it shares a byte with `field`.
    pub(crate) fn touches(&self, field: &Field) -> bool {
        self.access.slot == field.slot && self.access.bytes.overlaps(field.bytes)
    }

    /// Whether it stores.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.access.effect, Effect::Write { .. })
    }

    /// The stored word and its form.
    pub(crate) fn write(&self) -> Option<(ExprId, &WriteForm)> {
        match &self.access.effect {
            Effect::Write { value, form } => Some((*value, form)),
            Effect::Read { .. } => None,
        }
    }

    /// What is added or subtracted, whether it is subtracted.
    pub(crate) fn sum(&self) -> Option<(ExprId, bool)> {
        match *self.write()?.1 {
            WriteForm::Delta { amount, subtract, .. } | WriteForm::Increment { amount, subtract } => {
                Some((amount, subtract))
            }
            _ => None,
        }
    }

    /// Whether it is a lock's.
    pub(crate) fn is_lock(&self) -> bool {
        matches!(self.write(), Some((_, WriteForm::NetZero(NetZero::Guard))))
    }

    /// Whether the slot ends the call as it began.
    pub(crate) fn is_net_zero(&self) -> bool {
        matches!(self.write(), Some((_, WriteForm::NetZero(_))))
    }
}

impl<'a> ContractView<'a> {
    /// Gathers what users reach.
    pub(crate) fn new(
        contract: &'a str,
        analysis: &'a Analysis,
        conflicts: &'a [Conflict],
        names: &'a ContractNames<'a>,
        places: &'a Places<'a>,
        settings: &'a Settings,
    ) -> Self {
        let (touches, written) = (Vec::new(), BTreeSet::new());
        let known = words::Known::default();
        let mut open = analysis.summaries.iter().filter(|summary| !summary.is_complete());
        let all_known = open.all(|summary| names.is_view(summary.entry));
        let mut view = Self {
            contract,
            analysis,
            conflicts,
            names,
            places,
            settings,
            touches,
            written,
            all_known,
            known,
        };
        let all = view.users().flat_map(|(function, summary)| {
            summary.accesses.iter().map(move |access| Touch { function, access })
        });
        let lasting = all.filter(|touch| words::is_lasting(touch.access));
        let closed = |touch: &Touch<'_>| {
            let signature = names.signature(analysis.summaries[touch.function].entry);
            view.is_restricted(&touch.access.circumstance) && !settings.is_hot(contract, &signature)
        };
        view.touches = lasting.filter(|touch| !closed(touch) && !view.is_of_nobody(touch)).collect();
        // A temporary has another value in each call, a lock the same in all.
        let changes = view.touches.iter().filter(|touch| touch.is_write() && !touch.is_lock());
        view.written = changes.map(|touch| &touch.access.slot).collect();
        view
    }

    /// The entry points that anyone can call and that change something: those that can stand in one another's way.
    pub(crate) fn users(&self) -> impl Iterator<Item = (usize, &'a Summary)> {
        let analysis = self.analysis;
        analysis.summaries.iter().enumerate().filter(|(_, summary)| self.is_user(summary))
    }

    fn is_user(&self, summary: &Summary) -> bool {
        let stores = |access: &Access| {
            access.space == Space::Storage
                && !access.circumstance.reverts
                && matches!(access.effect, Effect::Write { .. })
        };
        // What is not known in full may do all of it.
        let acts = !summary.calls.is_empty()
            || !summary.creations.is_empty()
            || !summary.self_destructs.is_empty()
            || !summary.is_complete();
        let signature = self.names.signature(summary.entry);
        let open = match &summary.permission {
            Permission::Anyone => !self.settings.is_restricted(self.contract, &signature),
            Permission::Restricted(any) => {
                self.settings.is_hot(self.contract, &signature)
                    || any.iter().any(|&it| self.is_range_check(it) || self.asks_for_contract(it))
            }
        };
        let needed = Circumstance { requires: summary.requires.clone(), ..Circumstance::default() };
        let hot = self.settings.is_hot(self.contract, &signature);
        open && !is_set_up(&signature)
            && (hot || !self.is_restricted(&needed))
            && !summary.always_reverts
            && !self.names.is_view(summary.entry)
            && (acts || summary.logs > 0 || summary.accesses.iter().any(stores))
    }

    /// Whether the condition says no more than that an enumeration has one of its values: whatever is ever stored there
    /// is below the bound.
    fn is_range_check(&self, condition: Condition) -> bool {
        let expressions = &self.analysis.expressions;
        let (word, bound) = match expressions.node(condition.expression) {
            Node::Binary { op: opcode::LT, a, b } => (a, b),
            Node::Binary { op: opcode::GT, a, b } => (b, a),
            _ => return false,
        };
        let (loads, Some(bound)) = (self.loads(word), expressions.constant(bound)) else { return false };
        let below = |access: &Access| match access.effect {
            Effect::Write { value, .. } => expressions.constant(value).is_some_and(|it| it < bound),
            Effect::Read { .. } => true,
        };
        let mut accesses = self.analysis.summaries.iter().flat_map(|summary| &summary.accesses);
        condition.holds
            && self.all_known
            && loads.len() == 1
            && accesses.all(|access| {
                let field = Field { slot: access.slot.clone(), bytes: access.bytes };
                !loads.iter().any(|load| load.overlaps(&field)) || below(access)
            })
    }

    /// Whether a transfer only gets here with a token that nobody owns: the check that it has an owner may stand behind
    /// the code that it shares with minting.
    fn is_of_nobody(&self, touch: &Touch<'_>) -> bool {
        let expressions = &self.analysis.expressions;
        let no_owner = |condition: &Condition| {
            let word = condition.expression;
            !condition.holds
                && expressions.bits(word) == ADDRESS_BITS
                && self.loads(word).iter().any(|load| !load.slot.is_fixed())
        };
        self.selector(touch.function).is_some_and(|selector| OWNED_TOKEN_TRANSFERS.contains(&selector))
            && touch.access.circumstance.when.iter().any(no_owner)
    }

    /// Whether only a caller gets here that the contract names: its administrator, or the contract itself.
    pub(crate) fn is_restricted(&self, circumstance: &Circumstance) -> bool {
        let expressions = &self.analysis.expressions;
        let is_caller = |word| matches!(expressions.node(word), Node::Environment(Environment::Caller));
        let mut conditions = circumstance.when.iter().chain(&circumstance.requires);
        conditions.any(|condition| match expressions.node(condition.expression) {
            Node::Binary { op: opcode::EQ, a, b } if condition.holds => {
                [(a, b), (b, a)].into_iter().any(|(caller, named)| {
                    is_caller(caller) && self.is_fixed_for_users(named) && !self.is_called(named)
                })
            }
            _ => false,
        })
    }

    /// Whether the condition lets another contract alone through, which users reach it by: a token that tells of a transfer, a
    /// messenger that hands messages over.
    fn asks_for_contract(&self, condition: Condition) -> bool {
        let expressions = &self.analysis.expressions;
        let is_caller = |word| matches!(expressions.node(word), Node::Environment(Environment::Caller));
        match expressions.node(condition.expression) {
            Node::Binary { op: opcode::EQ, a, b } if condition.holds => {
                is_caller(a) && self.is_called(b) || is_caller(b) && self.is_called(a)
            }
            _ => false,
        }
    }

    /// Whether the address is one of a contract that hands over what users want: functions of it are called here, and it is
    /// nobody who changes settings or says who comes next, as a timelock does.
    fn is_called(&self, word: ExprId) -> bool {
        let expressions = &self.analysis.expressions;
        let same = |target: ExprId| {
            let (target, word) = (self.bare(target), self.bare(word));
            target == word || {
                let loads = self.loads(target);
                !loads.is_empty() && loads == self.loads(word) && loads.iter().all(|it| it.slot.is_fixed())
            }
        };
        // A message to the contract itself comes from whoever may send it one.
        let is_own = matches!(expressions.node(self.bare(word)), Node::Environment(_));
        let mut calls = self.analysis.summaries.iter().flat_map(|summary| &summary.calls);
        let names = |condition: &Condition| match expressions.node(condition.expression) {
            Node::Binary { op: opcode::EQ, a, b } => same(a) || same(b),
            _ => false,
        };
        let governs = || {
            self.analysis.summaries.iter().enumerate().any(|(function, summary)| {
                let is_asked = match &summary.permission {
                    Permission::Restricted(any) => any.iter().any(names),
                    Permission::Anyone => summary.requires.iter().any(names),
                };
                let holders = self.loads(word);
                let replaces_itself = summary.accesses.iter().any(|access| {
                    let field = Field { slot: access.slot.clone(), bytes: access.bytes };
                    matches!(access.effect, Effect::Write { .. })
                        && holders.iter().any(|it| it.overlaps(&field))
                });
                is_asked && (replaces_itself || self.replaces_settings(function))
            })
        };
        !is_own && calls.any(|call| call.selector.is_some() && same(call.target)) && !governs()
    }

    /// Whether all that a function does is to replace settings by what it is told: nobody calls that all the time, whether or
    /// not the code shows who may.
    pub(crate) fn replaces_settings(&self, function: usize) -> bool {
        let expressions = &self.analysis.expressions;
        let summary = &self.analysis.summaries[function];
        let given = Sources::CALLDATA
            .with(Sources::IMMUTABLE)
            .with(Sources::ADDRESS)
            .with(Sources::CODE)
            // What another contract is asked for is a setting of that one.
            .with(Sources::RETURN_DATA)
            .with(Sources::PHI);
        let computes = |word: ExprId| {
            expressions.any(word, |part| match expressions.node(part) {
                Node::Binary { op, .. } => {
                    !matches!(op, opcode::AND | opcode::OR | opcode::XOR | opcode::SHL | opcode::SHR)
                }
                Node::Ternary { .. } => true,
                _ => false,
            })
        };
        let replaces = |access: &Access, value: ExprId| {
            let field = Field { slot: access.slot.clone(), bytes: access.bytes };
            // Some bits of it are, and the others stay.
            let keeps = || {
                expressions.sources(value).is_within(given.with(Sources::STORAGE))
                    && self.loads(value).iter().all(|load| load.overlaps(&field))
                    && !computes(value)
            };
            (expressions.sources(value).is_within(given) || keeps())
                // How much of a text there is says how much of it is replaced.
                && access.slot.keys().all(|key| expressions.sources(key).is_within(given.with(Sources::STORAGE)))
        };
        let pays = |value: ExprId| !expressions.constant(value).is_some_and(|it| it.is_zero());
        let mut writes = summary
            .accesses
            .iter()
            .filter(|access| words::is_lasting(access) && access.space == Space::Storage)
            .filter_map(|access| match access.effect {
                Effect::Write { value, .. } => Some((access, value)),
                Effect::Read { .. } => None,
            })
            .peekable();
        writes.peek().is_some()
            && writes.all(|(access, value)| replaces(access, value))
            && !summary.calls.iter().filter_map(|call| call.value).any(pays)
    }

    /// Whether `word` is an address that no user can choose: one in the code, or in a variable that only
    /// administrators set.
    fn is_fixed_for_users(&self, word: ExprId) -> bool {
        let expressions = &self.analysis.expressions;
        let code = Sources::IMMUTABLE.with(Sources::ADDRESS);
        let fixed = code.with(Sources::STORAGE);
        if expressions.sources(word).is_within(code) {
            return expressions.constant(word).is_none_or(|it| !it.is_zero());
        }
        let holders = self.loads(word);
        let open = || {
            let anyone = self.analysis.summaries.iter().filter(|it| {
                // Who sets the contract up, and who holds the permission, may name whoever holds it next.
                let holds = |condition: &Condition| {
                    condition.holds && expressions.contains(condition.expression, word)
                };
                it.permission == Permission::Anyone
                    && !is_set_up(&self.names.signature(it.entry))
                    && !it.requires.iter().any(holds)
            });
            anyone.flat_map(|summary| &summary.accesses)
        };
        expressions.sources(word).is_within(fixed)
            && holders.iter().all(|holder| {
                holder.slot.is_fixed()
                    && !open().any(|access| {
                        let is_input = match access.effect {
                            Effect::Write { value, .. } => self.is_chosen(value),
                            Effect::Read { .. } => false,
                        };
                        let field = Field { slot: access.slot.clone(), bytes: access.bytes };
                        is_input
                            && words::is_lasting(access)
                            && field.overlaps(holder)
                            && !access
                                .circumstance
                                .when
                                .iter()
                                .chain(&access.circumstance.requires)
                                .any(|it| expressions.contains(it.expression, word))
                    })
            })
    }

    /// Whether the access happens only while a word that the call sets is still zero: the first deposit of a pool.
    pub(crate) fn is_first_time(&self, touch: &Touch<'_>) -> bool {
        let accesses = &self.analysis.summaries[touch.function].accesses;
        touch.access.circumstance.when.iter().filter(|condition| !condition.holds).any(|condition| {
            let loads = self.loads(condition.expression);
            // What is set on another branch is set by another call: this one comes again.
            let goes_along = |access: &Access| {
                access.circumstance.when.iter().all(|other| touch.access.circumstance.when.contains(other))
            };
            let is_set = |field: &Field| {
                accesses.iter().any(|access| {
                    matches!(access.effect, Effect::Write { .. })
                        && access.slot == field.slot
                        && access.bytes.overlaps(field.bytes)
                        && goes_along(access)
                })
            };
            !loads.is_empty() && !self.has_time(condition.expression) && loads.iter().all(is_set)
        })
    }

    /// The stores that users reach and that do not merely precede a revert.
    pub(crate) fn writes(&self) -> Vec<Touch<'a>> {
        self.touches.iter().copied().filter(Touch::is_write).collect()
    }

    /// The accesses of users that share a byte with `field`.
    pub(crate) fn touching(&self, field: &Field) -> Vec<Touch<'a>> {
        self.touches.iter().copied().filter(|touch| touch.touches(field)).collect()
    }

    /// Whether all calls name the same word: its keys and indexes are constants, words of the block, or words of
    /// storage that no user changes.
    pub(crate) fn is_shared(&self, slot: &Slot) -> bool {
        matches!(slot.root, Root::Fixed(_)) && slot.keys().all(|key| self.is_shared_word(key))
    }

    /// Whether all callers see the same word.
    pub(crate) fn is_shared_word(&self, word: ExprId) -> bool {
        let expressions = &self.analysis.expressions;
        let shared = Sources::BLOCK
            .with(Sources::STORAGE)
            .with(Sources::ADDRESS)
            .with(Sources::CODE)
            .with(Sources::IMMUTABLE);
        if !expressions.sources(word).is_within(shared) {
            return false;
        }
        !expressions.any(word, |part| match expressions.node(part) {
            // A function that is not known in full may change any word.
            Node::Load { .. } if !self.all_known => true,
            Node::Load { slot, .. } => {
                // An entry under a constant key is no variable that somebody has set.
                expressions.preimage(slot).is_some()
                    || expressions
                        .constant(slot)
                        .is_none_or(|number| self.written.contains(&Slot::fixed(number)))
            }
            _ => false,
        })
    }

    /// Whether `word` is computed from a load of the fixed slot of `field`.
    pub(crate) fn depends_on(&self, word: ExprId, slot: &Slot) -> bool {
        let expressions = &self.analysis.expressions;
        let Some(number) = slot.number() else { return false };
        expressions.any(word, |part| match expressions.node(part) {
            Node::Load { space: Space::Storage, slot, .. } => expressions.constant(slot) == Some(number),
            _ => false,
        })
    }

    /// The fixed slots that `word` is computed from.
    pub(crate) fn fixed_loads(&self, word: ExprId) -> BTreeSet<Slot> {
        let expressions = &self.analysis.expressions;
        let mut found = BTreeSet::new();
        expressions.any(word, |part| {
            if let Node::Load { space: Space::Storage, slot, .. } = expressions.node(part)
                && let Some(number) = expressions.constant(slot)
            {
                found.insert(Slot::fixed(number));
            }
            false
        });
        found
    }

    /// Whether every transaction of a block sees the same word, and storage has no part in it.
    pub(crate) fn is_block_constant(&self, word: ExprId) -> bool {
        self.analysis.expressions.sources(word).is_within(Sources::BLOCK)
    }

    /// Whether only the first transaction of a block gets here: the path needs a stored word to differ from the time
    /// or number of the block, and the function stores that word.
    pub(crate) fn is_once_per_block(&self, touch: &Touch<'_>) -> bool {
        let expressions = &self.analysis.expressions;
        let stamps: Vec<Slot> = self.analysis.summaries[touch.function]
            .accesses
            .iter()
            .filter(|access| match access.effect {
                Effect::Write { value, .. } => expressions.sources(value).intersects(Sources::BLOCK),
                Effect::Read { .. } => false,
            })
            .map(|access| access.slot.clone())
            .collect();
        let has_stamp = |word: ExprId| stamps.iter().any(|slot| self.depends_on(word, slot));
        touch.access.circumstance.when.iter().any(|condition| self.says_later(*condition, &has_stamp))
    }

    /// Whether the condition says that the time or block is another one than that of a stamp.
    fn says_later(&self, condition: Condition, has_stamp: &dyn Fn(ExprId) -> bool) -> bool {
        let Condition { expression, holds } = condition;
        let expressions = &self.analysis.expressions;
        let about = |word: ExprId| (self.has_time(word), has_stamp(word));
        let is_stamp = |word: ExprId| {
            !matches!(expressions.node(word), Node::Binary { op: opcode::ADD | opcode::SUB, .. })
        };
        // `less < more`, or not.
        let ordered = |less: ExprId, more: ExprId| match (about(less), about(more)) {
            // `stamp < now`, `span < now - stamp`.
            ((false, true), (true, false)) | ((false, false), (true, true)) => holds,
            // `now >= stamp + span`.
            ((true, false), (false, true)) => !holds && !is_stamp(more),
            // `now - stamp >= span`.
            ((true, true), (false, false)) => !holds,
            _ => false,
        };
        match expressions.node(expression) {
            Node::Unary { op: opcode::ISZERO, a } => {
                self.says_later(Condition { expression: a, holds: !holds }, has_stamp)
            }
            Node::Binary { op: opcode::LT | opcode::SLT, a, b } => ordered(a, b),
            Node::Binary { op: opcode::GT | opcode::SGT, a, b } => ordered(b, a),
            Node::Binary { op: opcode::EQ, .. } => !holds && about(expression) == (true, true),
            _ => holds && about(expression) == (true, true),
        }
    }

    /// Whether every way to call the function that succeeds passes the access.
    pub(crate) fn is_unconditional(circumstance: &Circumstance) -> bool {
        circumstance.always || circumstance.when.is_empty()
    }

    /// The words of one operator that is not linear: products and quotients of two words that are no constants.
    pub(crate) fn products(&self, word: ExprId) -> Vec<(ExprId, ExprId)> {
        let expressions = &self.analysis.expressions;
        let mut found = Vec::new();
        expressions.any(word, |part| {
            match expressions.node(part) {
                Node::Binary { op: opcode::MUL | opcode::DIV | opcode::SDIV, a, b }
                | Node::Ternary { op: opcode::MULMOD, a, b, .. } => found.push((a, b)),
                _ => {}
            }
            false
        });
        found.retain(|&(a, b)| expressions.constant(a).is_none() && expressions.constant(b).is_none());
        found
    }
}

/// Whether a function is named as what runs once, when a contract is set up.
pub(crate) fn is_set_up(signature: &str) -> bool {
    let name = without_parameters(signature).trim_start_matches('_').to_lowercase();
    let is = |prefix: &str| name == prefix || name == format!("{prefix}v2");
    name.starts_with("initialize")
        || name.starts_with("reinitialize")
        || is("init")
        || is("setup")
        || name.ends_with("_init")
}

/// The fields among `touches`, overlapping ones joined, in order.
pub(crate) fn fields<'a>(touches: impl IntoIterator<Item = Touch<'a>>) -> Vec<Field> {
    let sorted: BTreeSet<Field> = touches.into_iter().map(|touch| touch.field()).collect();
    let mut joined: Vec<Field> = Vec::new();
    for field in sorted {
        match joined.last_mut() {
            Some(last) if last.overlaps(&field) => {
                last.bytes = ByteRange {
                    from: last.bytes.from.min(field.bytes.from),
                    to: last.bytes.to.max(field.bytes.to),
                };
            }
            _ => joined.push(field),
        }
    }
    joined
}

/// The last key or index on the path, and the path up to it.
pub(crate) fn last_key(slot: &Slot) -> Option<(ExprId, &[Projection])> {
    let at = slot.path.iter().rposition(|step| !matches!(step, Projection::Offset(_)))?;
    match slot.path[at] {
        Projection::Mapping { key } => Some((key, &slot.path[..at])),
        Projection::Element { index, .. } | Projection::Index { index, .. } => {
            Some((index, &slot.path[..at]))
        }
        Projection::Offset(_) => None,
    }
}

impl ContractView<'_> {
    /// Whether the word is the same constant in every call.
    pub(crate) fn is_constant(&self, word: ExprId) -> bool {
        self.analysis.expressions.sources(word).is_within(Sources::IMMUTABLE)
    }
}
