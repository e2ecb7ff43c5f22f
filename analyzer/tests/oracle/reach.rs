//! Every access to storage that a slice can come to, whatever decides its branches.
//!
//! In: a slice and a selector. Out: the instructions that touch storage on any way through its traces, with the slot where
//! it is the same on that way; or nothing where a jump goes to a word that is not known. Bits are known that follow from
//! constants and the selector, on the stack and in memory, so that the ways of internal functions and of dispatchers that
//! look into tables are those of the code. A condition on the same words is decided once; beside that an arm that no call
//! takes counts as reached.

use alloy_primitives::{U256, keccak256};
use deconflict_analyzer::{BinaryOp, CallSite, CopySource, FrameWord, Op, Operand, Slice, TraceId, UnaryOp};
use revm::bytecode::opcode as op;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    evaluate::{ternary, unary},
    follow::unary_opcode,
    known::{Facts, Memory, Word, frame_word, known_bits, negation},
};

/// More states than this are not gone through.
const MAX_VISITS: usize = 4_000;

/// From so many stacks of one trace on, only what can be a place to return to is told apart: counters of loops are not.
const MAX_STACKS: usize = 16;

/// How many words the stack of the EVM holds.
const STACK_LIMIT: usize = 1_024;

/// One access to storage that a slice can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reached {
    pub(crate) pc: u32,
    pub(crate) stores: bool,
    /// The slot, where it is known.
    pub(crate) slot: Option<U256>,
}

/// What calls with this selector can reach, or nothing where that could be anything.
pub(crate) fn reach(slice: &Slice, selector: [u8; 4]) -> Option<BTreeSet<Reached>> {
    let TraceId(start) = *slice.selectors.get(&selector).unwrap_or(&slice.entry);
    let mut known: HashMap<(u32, Vec<Word>, U256), (Memory, Facts)> = HashMap::new();
    let mut reached = BTreeSet::new();
    // Nobody has the address zero to call from.
    let callers = [FrameWord::Caller, FrameWord::Origin].map(|word| frame_word(word).name);
    let truths = callers.into_iter().flatten().map(|name| (name, true)).collect();
    let facts = Facts { truths, same: BTreeMap::new() };
    let (stack, memory) = (Vec::new(), Memory::default());
    let first = State { trace: start, stack, memory, facts, version: U256::ZERO };
    let mut pending = vec![first];
    let mut visits = 0;
    let mut stacks: HashMap<u32, usize> = HashMap::new();
    while let Some(mut state) = pending.pop() {
        if stacks.get(&state.trace).is_some_and(|count| *count >= MAX_STACKS) {
            state.keep_destinations(slice);
        }
        match known.entry((state.trace, state.stack.clone(), state.version)) {
            std::collections::hash_map::Entry::Occupied(mut found) => {
                let (memory, facts) = found.get_mut();
                let changed = [memory.join(&state.memory), facts.join(&state.facts)];
                if changed == [false; 2] {
                    continue;
                }
                (state.memory, state.facts) = found.get().clone();
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert((state.memory.clone(), state.facts.clone()));
                *stacks.entry(state.trace).or_default() += 1;
            }
        }
        visits += 1;
        if visits > MAX_VISITS {
            return None;
        }
        let run = Run { slice, selector, base: 0, height: 0, state, reached: &mut reached };
        pending.extend(run.go()?);
    }
    Some(reached)
}

/// Where a trace starts and what is known there.
struct State {
    trace: u32,
    stack: Vec<Word>,
    memory: Memory,
    facts: Facts,
    /// What storage was changed by last: the same slot holds the same word until it is.
    version: U256,
}

impl State {
    /// Forgets all words of the stack that are no jump destinations.
    fn keep_destinations(&mut self, slice: &Slice) {
        for word in &mut self.stack {
            let target = word.value().and_then(|target| u32::try_from(target).ok());
            if target.is_none_or(|target| !slice.destinations.contains_key(&target)) {
                *word = Word::UNKNOWN;
            }
        }
    }
}

/// One trace while it is gone through.
struct Run<'a> {
    slice: &'a Slice,
    selector: [u8; 4],
    base: usize,
    height: usize,
    state: State,
    reached: &'a mut BTreeSet<Reached>,
}

impl Run<'_> {
    /// Goes to the end of the trace; where it goes on from there, or nothing where that is not known.
    fn go(mut self) -> Option<Vec<State>> {
        let ops = &self.slice.ops[self.state.trace as usize..];
        for op in ops {
            match *op {
                Op::Enter { needs, leaves, registers, .. } => {
                    let Some(base) = self.state.stack.len().checked_sub(usize::from(needs)) else {
                        return Some(Vec::new());
                    };
                    if base + usize::from(registers) > STACK_LIMIT {
                        return None;
                    }
                    self.base = base;
                    self.height = base + usize::from(leaves);
                    let room = (base + usize::from(registers)).max(self.state.stack.len());
                    self.state.stack.resize(room, Word::UNKNOWN);
                }
                Op::Jump { to } => return Some(vec![self.at(to)]),
                Op::Branch { condition, taken, fallthrough } => {
                    let arms = [(true, taken), (false, fallthrough)];
                    let next = arms.into_iter().filter_map(|(truth, arm)| {
                        let facts = self.decide(condition, truth)?;
                        Some(State { facts, ..self.at(arm) })
                    });
                    return Some(next.collect());
                }
                Op::Dynamic { target } => return Some(self.landing(target)?.into_iter().collect()),
                Op::DynamicBranch { condition, target, fallthrough } => {
                    let mut next = Vec::new();
                    if let Some(facts) = self.decide(condition, true) {
                        next.extend(self.landing(target)?.map(|state| State { facts, ..state }));
                    }
                    if let Some(facts) = self.decide(condition, false) {
                        next.push(State { facts, ..self.at(fallthrough) });
                    }
                    return Some(next);
                }
                Op::Stop | Op::Return { .. } | Op::Revert { .. } | Op::Halt | Op::SelfDestruct { .. } => {
                    return Some(Vec::new());
                }
                op => self.step(op),
            }
        }
        Some(Vec::new())
    }

    fn at(&self, trace: TraceId) -> State {
        let stack = self.state.stack[..self.height].to_vec();
        let State { memory, facts, version, .. } = &self.state;
        let (memory, facts) = (memory.clone(), facts.clone());
        State { trace: trace.0, stack, memory, facts, version: *version }
    }

    fn word(&self, operand: Operand) -> Word {
        match operand.as_constant() {
            Some(index) => Word::new(self.slice.constants[index]),
            None => self.state.stack[self.base + operand.index()],
        }
    }

    fn put(&mut self, to: u16, word: Word) {
        self.state.stack[self.base + usize::from(to)] = word;
    }

    /// What is known where the condition is true, or is false; nothing where it cannot be so.
    fn decide(&self, condition: Operand, truth: bool) -> Option<Facts> {
        let word = self.word(condition);
        let can_be = if truth { word.value() != Some(U256::ZERO) } else { word.bits.is_zero() };
        let mut facts = self.state.facts.clone();
        let holds = word.name.is_none_or(|name| facts.decide(name, truth))
            && word.negates.is_none_or(|name| facts.decide(name, !truth))
            && word.equal_if.is_none_or(|(when, a, b)| when != truth || facts.equate(a, b));
        (can_be && holds).then_some(facts)
    }

    /// Where a computed jump lands, if anywhere; nothing where that is not known.
    #[expect(
        clippy::option_option,
        reason = "whether it is known where it goes, and whether it goes anywhere"
    )]
    fn landing(&self, target: Operand) -> Option<Option<State>> {
        let target = self.word(target).value()?;
        let known = u32::try_from(target).ok().and_then(|target| self.slice.destinations.get(&target));
        match known {
            Some(trace) => Some(Some(self.at(*trace))),
            None => self.slice.all_destinations.then_some(None),
        }
    }

    fn access(&mut self, pc: u32, key: Operand, stores: bool) {
        let slot = self.word(key).value();
        self.reached.insert(Reached { pc, stores, slot });
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Move { to, from } => self.put(to, self.word(from)),
            Op::SLoad { to, key, pc, .. } => {
                self.access(pc, key, false);
                let of = [self.word(key), Word::new(self.state.version)];
                self.put(to, Word::UNKNOWN.named("SLoad", &of));
            }
            Op::SStore { key, pc, .. } => {
                self.access(pc, key, true);
                self.state.version = U256::from(pc) + U256::from(1);
            }
            Op::MStore { offset, word: stored } => {
                let (at, stored) = (self.word(offset), self.word(stored));
                self.state.memory.store(at, stored);
            }
            Op::MStore8 { offset, word } => {
                let (at, stored) = (self.word(offset), self.word(word));
                let byte = (stored.known.byte(0) == 0xff).then_some(stored.bits.byte(0));
                self.state.memory.write(at, Word::new(U256::from(1)), |_| byte);
            }
            Op::Copy { source, into, from, length } => {
                let (into, from, length) = (self.word(into), self.word(from), self.word(length));
                let (code, old) = (&self.slice.code, self.state.memory.clone());
                let from = from.number();
                self.state.memory.write(into, length, |index| {
                    let at = from?.checked_add(index)?;
                    match source {
                        CopySource::Code => Some(code.get(at).copied().unwrap_or(0)),
                        CopySource::Memory => old.byte(at),
                        CopySource::CallData => self.selector.get(at).copied(),
                        CopySource::ReturnData => None,
                    }
                });
            }
            Op::Call { site, to } => {
                self.call(&self.slice.calls[site as usize].clone());
                self.put(to, Word::UNKNOWN);
            }
            Op::ExtCodeCopy { site } => self.call(&self.slice.calls[site as usize].clone()),
            Op::Create { site, to } => {
                self.state.version = U256::from(self.slice.creates[site as usize].pc) + U256::from(1);
                self.put(to, Word::UNKNOWN);
            }
            Op::TStore { .. }
            | Op::Log
            | Op::Range { .. }
            | Op::Grow { .. }
            | Op::Spend { .. }
            | Op::Exponent { .. }
            | Op::Since { .. } => {}
            other => {
                let (to, word) = self.value(other);
                self.put(to, word);
            }
        }
    }

    fn call(&mut self, site: &CallSite) {
        let (at, length) = (self.word(site.output), self.word(site.output_length));
        self.state.memory.write(at, length, |_| None);
        if !matches!(site.opcode, op::STATICCALL | op::EXTCODECOPY) {
            self.state.version = U256::from(site.pc) + U256::from(1);
        }
    }

    fn value(&self, op: Op) -> (u16, Word) {
        let hash = |bytes: &[u8]| Word::new(U256::from_be_bytes(keccak256(bytes).0));
        let whole = |word: Option<U256>| word.map_or(Word::UNKNOWN, Word::new);
        match op {
            Op::Unary { op, to, a } => {
                let a = self.word(a);
                let mut result = whole(a.value().and_then(|a| unary(unary_opcode(op), a)));
                if op == UnaryOp::IsZero && result == Word::UNKNOWN {
                    result = Word::some(!U256::from(1), U256::ZERO);
                    if !a.bits.is_zero() {
                        result = Word::new(U256::ZERO);
                    }
                }
                let result = result.named(&format!("{op:?}"), &[a]);
                (to, if op == UnaryOp::IsZero { negation(result, a) } else { result })
            }
            Op::Binary { op, to, a, b } => {
                let (a, b) = (self.word(a), self.word(b));
                let result = known_bits(op, a, b).named(&format!("{op:?}"), &[a, b]);
                // A mask that takes nothing away.
                let covers = |word: Word, mask: Word| {
                    mask.value().is_some_and(|mask| word.can_be() & !mask == U256::ZERO)
                };
                match op {
                    BinaryOp::And if covers(a, b) => (to, a),
                    BinaryOp::And if covers(b, a) => (to, b),
                    BinaryOp::Eq if b.value() == Some(U256::ZERO) => (to, negation(result, a)),
                    BinaryOp::Eq if a.value() == Some(U256::ZERO) => (to, negation(result, b)),
                    BinaryOp::Eq | BinaryOp::Sub | BinaryOp::Xor => {
                        let names = a.name.zip(b.name);
                        let equal_if = names.map(|(a, b)| (op == BinaryOp::Eq, a, b));
                        (to, Word { equal_if, ..result })
                    }
                    _ => (to, result),
                }
            }
            Op::Modular { multiply, to, a, b, modulus } => {
                let opcode = if multiply { op::MULMOD } else { op::ADDMOD };
                let words = [a, b, modulus].map(|word| self.word(word).value());
                let [Some(a), Some(b), Some(modulus)] = words else { return (to, Word::UNKNOWN) };
                (to, whole(ternary(opcode, a, b, modulus)))
            }
            Op::KeccakPair { to, first, second } => {
                let words = [first, second].map(|word| self.word(word));
                let [Some(first), Some(second)] = words.map(Word::value) else {
                    return (to, Word::UNKNOWN.named("Keccak", &words));
                };
                (to, hash(&[first.to_be_bytes::<32>(), second.to_be_bytes::<32>()].concat()))
            }
            Op::KeccakWord { to, word } => match self.word(word).value() {
                Some(word) => (to, hash(&word.to_be_bytes::<32>())),
                None => (to, Word::UNKNOWN.named("Keccak", &[self.word(word)])),
            },
            Op::MLoad { to, offset } => match self.word(offset).number() {
                Some(at) => (to, self.state.memory.word(at)),
                None => (to, Word::UNKNOWN),
            },
            Op::CallDataLoad { to, offset } => {
                let offset = self.word(offset);
                let named = Word::UNKNOWN.named("CallDataLoad", &[offset]);
                let Some(at) = offset.number().filter(|at| *at < 4) else { return (to, named) };
                let mut memory = Memory { rest: None, ..Memory::default() };
                memory.bytes.extend(self.selector.iter().map(|byte| Some(*byte)).enumerate());
                (to, memory.word(at))
            }
            Op::Frame { word: FrameWord::CodeSize, to } => (to, Word::new(U256::from(self.slice.code.len()))),
            Op::Frame { word, to } => (to, frame_word(word)),
            Op::Keccak { to, .. }
            | Op::SelfBalance { to }
            | Op::Query { to, .. }
            | Op::ReturnDataSize { to }
            | Op::MSize { to }
            | Op::Gas { to, .. }
            | Op::TLoad { to, .. } => (to, Word::UNKNOWN),
            other => unreachable!("{other:?} has no result"),
        }
    }
}
