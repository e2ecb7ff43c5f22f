//! Runs the slices of one transaction on concrete words.
//!
//! In: a transaction, its block and a view of the state. Out: what the transaction touches, in a [`Ledger`] and one or
//! more [`World`]s. Words that are not known are carried along as such; where one decides a branch both arms are
//! followed, and where one decides a key, a target or a place in memory the prediction says that it falls short. There
//! is no gas to run out of, only a bound on steps. Calls are in `call`.

use alloy_primitives::{Address, U256};
use deconflict_analyzer::{CopySource, Exit, FrameWord, Op, Operand, QueryOp, Slice, TraceId};
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
    precompile::Precompiles,
    primitives::hardfork::SpecId,
};
use std::sync::Arc;

use super::codes::{CodeCache, CodesAtHand};
use super::frame::Frame;
use super::ledger::Ledger;
use super::region::{MAX_MEMORY, Region};
use super::taint::Taint;
use super::words;
use super::world::{AccountCode, Word, World};
use crate::access_set::{AccountAccess, ShortfallReason};

/// How many words the stack of the EVM holds.
const STACK_LIMIT: usize = 1_024;

/// How many paths of a transaction are followed where unknown words decide branches.
const MAX_PATHS: u32 = 24;

/// One way that the transaction may go.
#[derive(Clone)]
pub(super) struct Path {
    pub world: World,
    pub frame: Frame,
    /// The frames that wait, the outermost first.
    pub waiting: Vec<Frame>,
}

/// What is kept from one prediction to the next: room, hashes, and codes at hand.
#[derive(Default)]
pub(super) struct Workspace {
    pub ledger: Ledger,
    pub at_hand: CodesAtHand,
    pub spare: Vec<Frame>,
    pub world: World,
}

/// A prediction under way.
pub(super) struct Machine<'a, D> {
    pub codes: &'a CodeCache,
    pub at_hand: &'a mut CodesAtHand,
    pub spare: &'a mut Vec<Frame>,
    pub ledger: &'a mut Ledger,
    pub tx: &'a TxEnv,
    pub block: &'a BlockEnv,
    pub spec: SpecId,
    pub chain_id: u64,
    pub state: &'a D,
    pub precompiles: &'static Precompiles,
    /// Whether precompiles that cost much are computed at once.
    pub eager: bool,
    pub pending: Vec<Path>,
    pub paths: u32,
    /// A code that computes jump targets in a way that was not seen when it was compiled.
    pub widen: Option<Arc<Slice>>,
}

/// How a frame ends, or what it waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// It starts a call.
    Call { site: u32, to: u16 },
    /// It starts a creation.
    Create { site: u32, to: u16 },
    /// It ends well, with this part of its memory as output.
    Return { offset: usize, length: usize },
    /// It ends badly, with this part of its memory as output.
    Revert { offset: usize, length: usize },
    /// It ends badly.
    Halt,
    /// It ends well, and its account with it.
    SelfDestruct { beneficiary: Word },
    /// It cannot be followed any further.
    Abandon,
}

impl<D: DatabaseRef> Machine<'_, D> {
    /// Follows a path to its end, or until it cannot be followed.
    pub(super) fn follow(&mut self, path: &mut Path) {
        loop {
            let slice = Arc::clone(&path.frame.slice);
            let event = self.run(path, &slice);
            let goes_on = match event {
                Event::Call { site, to } => self.call(path, &slice, &slice.calls[site as usize], to),
                Event::Create { site, to } => self.create(path, &slice, &slice.creates[site as usize], to),
                Event::Abandon => false,
                end => self.finish(path, end),
            };
            if !goes_on || self.ledger.wants_precompiles && !self.eager || self.widen.is_some() {
                return;
            }
        }
    }

    /// Runs the frame until something happens that is not its own affair.
    fn run(&mut self, path: &mut Path, slice: &Slice) -> Event {
        let constants = &slice.constants[..];
        loop {
            let trace = &slice.traces[path.frame.trace.0 as usize];
            let needs = usize::from(trace.needs);
            let registers = trace.registers as usize;
            let Some(base) = path.frame.height.checked_sub(needs) else { return Event::Halt };
            if path.frame.next == 0 {
                let cost = trace.ops.len() as u64 + 1;
                if self.ledger.steps < cost {
                    let place = path.frame.place(trace.pc);
                    self.ledger.fall_short(ShortfallReason::StepBudget, place);
                    return Event::Abandon;
                }
                self.ledger.steps -= cost;
                if base + usize::from(trace.leaves) > STACK_LIMIT {
                    return Event::Halt;
                }
                if path.frame.stack.len() < base + registers {
                    path.frame.stack.resize((base + registers).max(64), Word::default());
                }
                path.frame.gas += u64::from(trace.gas);
            }
            let mut next = path.frame.next;
            let frame = &mut path.frame;
            let world = &mut path.world;
            let ledger = &mut *self.ledger;
            let code_hash = slice.hash;
            let place = |frame_selector: [u8; 4], pc: u32| super::ledger::Place {
                code_hash,
                selector: frame_selector,
                pc,
            };
            // The window of the stack that the trace works on.
            macro_rules! window {
                () => {
                    frame.stack[base..base + registers]
                };
            }
            macro_rules! word {
                ($operand:expr) => {
                    get(&window!(), constants, $operand)
                };
            }
            macro_rules! put {
                ($to:expr, $word:expr) => {
                    window!()[usize::from($to)] = $word
                };
            }
            // A number that memory can have as offset or length.
            macro_rules! number {
                ($operand:expr) => {{
                    let word = word!($operand);
                    if !ledger.need(word.taint) {
                        let place = place(frame.selector(), trace.pc);
                        ledger.fall_short_of(word.taint, ShortfallReason::UnknownMemory, place);
                        return Event::Abandon;
                    }
                    word.value
                }};
            }
            // A range of memory, which grows to hold it.
            macro_rules! range {
                ($offset:expr, $length:expr) => {{
                    let length = number!($length);
                    let offset = number!($offset);
                    let Some((offset, length)) = memory_range(offset, length) else { return Event::Halt };
                    if length > 0 {
                        frame.memory.grow(offset + length);
                    }
                    (offset, length)
                }};
            }
            while let Some(op) = trace.ops.get(next) {
                next += 1;
                match *op {
                    Op::Binary { op, to, a, b } => {
                        let (a, b) = (word!(a), word!(b));
                        let value = words::binary(op, a.value, b.value);
                        put!(to, Word { value, taint: a.taint.union(b.taint) });
                    }
                    Op::Unary { op, to, a } => {
                        let a = word!(a);
                        put!(to, Word { value: words::unary(op, a.value), taint: a.taint });
                    }
                    Op::Modular { multiply, to, a, b, modulus } => {
                        let (a, b, modulus) = (word!(a), word!(b), word!(modulus));
                        let value = words::modular(multiply, a.value, b.value, modulus.value);
                        put!(to, Word { value, taint: a.taint.union(b.taint).union(modulus.taint) });
                    }
                    Op::MLoad { to, offset } => {
                        let (offset, _) = range!(offset, WORD_LENGTH);
                        let value = frame.memory.word(offset);
                        let taint = frame.memory.taint(offset, 32, &ledger.marks);
                        put!(to, Word { value, taint });
                    }
                    Op::MStore { offset, word } => {
                        let (offset, _) = range!(offset, WORD_LENGTH);
                        let word = word!(word);
                        let mark = ledger.marks.mark(word.taint);
                        if mark != 0 && !offset.is_multiple_of(4) {
                            frame.memory.blur_ends(offset, 32, word.taint, &mut ledger.marks);
                        }
                        frame.memory.store(offset, word.value, mark);
                    }
                    Op::MStore8 { offset, word } => {
                        let (offset, _) = range!(offset, BYTE_LENGTH);
                        let word = word!(word);
                        frame.memory.store_byte(offset, word.value.byte(0), word.taint, &mut ledger.marks);
                    }
                    Op::KeccakPair { to, first, second } => {
                        let (first, second) = (word!(first), word!(second));
                        let value = ledger.keccak.pair(first.value, second.value);
                        put!(to, Word { value, taint: first.taint.union(second.taint) });
                    }
                    Op::KeccakWord { to, word } => {
                        let word = word!(word);
                        put!(to, Word { value: ledger.keccak.word(word.value), taint: word.taint });
                    }
                    Op::Keccak { to, offset, length } => {
                        let (offset, length) = range!(offset, length);
                        let bytes = &frame.memory.bytes()[offset..offset + length];
                        let value = ledger.keccak.bytes(bytes);
                        let taint = frame.memory.taint(offset, length, &ledger.marks);
                        frame.gas += 6 * length.div_ceil(32) as u64;
                        put!(to, Word { value, taint });
                    }
                    Op::SLoad { to, key, pc, delta } => {
                        let key = word!(key);
                        let word = if ledger.need(key.taint) {
                            let (word, cold) =
                                world.load(frame.account, key.value, delta, self.state, &mut ledger.sources);
                            frame.gas += if cold { 2_000 } else { 0 };
                            word
                        } else {
                            let place = place(frame.selector(), pc);
                            ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                            Word { value: U256::ZERO, taint: Taint::UNKNOWN.union(key.taint) }
                        };
                        if word.taint.is_unavailable() {
                            let place = place(frame.selector(), pc);
                            ledger.fall_short(ShortfallReason::StateUnavailable, place);
                        }
                        put!(to, word);
                    }
                    Op::SStore { key, word, pc, delta } => {
                        let (key, word) = (word!(key), word!(word));
                        let state = self.state;
                        if frame.is_static {
                            // The attempt counts, though it only ends the frame.
                            if ledger.need(key.taint) {
                                world.attempt(frame.account, key.value, state, &mut ledger.sources);
                            }
                            return Event::Halt;
                        }
                        if ledger.need(key.taint) {
                            let (cold, clears) = world.store(
                                frame.account,
                                key.value,
                                word,
                                delta,
                                state,
                                &mut ledger.sources,
                            );
                            frame.gas += store_gas(cold, clears);
                        } else {
                            let place = place(frame.selector(), pc);
                            ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                        }
                    }
                    Op::TLoad { to, key } => {
                        let key = word!(key);
                        if !ledger.need(key.taint) {
                            let place = place(frame.selector(), trace.pc);
                            ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                            return Event::Abandon;
                        }
                        put!(to, world.load_transient(frame.account, key.value));
                    }
                    Op::TStore { key, word } => {
                        let (key, word) = (word!(key), word!(word));
                        if frame.is_static {
                            return Event::Halt;
                        }
                        if !ledger.need(key.taint) {
                            let place = place(frame.selector(), trace.pc);
                            ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                            return Event::Abandon;
                        }
                        world.store_transient(frame.account, key.value, word);
                    }
                    Op::CallDataLoad { to, offset } => {
                        let offset = word!(offset);
                        if !ledger.need(offset.taint) {
                            let place = place(frame.selector(), trace.pc);
                            ledger.fall_short_of(offset.taint, ShortfallReason::UnknownMemory, place);
                            return Event::Abandon;
                        }
                        let at = clamp(offset.value);
                        let value = frame.call_data.word(at);
                        let taint = frame.call_data.taint(at, 32, &ledger.marks);
                        put!(to, Word { value, taint });
                    }
                    Op::Frame { word, to } => {
                        let word = match word {
                            FrameWord::Address => address_word(frame.address),
                            FrameWord::Caller => address_word(frame.caller),
                            FrameWord::CallValue => frame.value,
                            FrameWord::CallDataSize => Word::clean(U256::from(frame.call_data.len())),
                            FrameWord::CodeSize => Word::clean(U256::from(slice.code.len())),
                            other => Word::clean(block_word(other, self.tx, self.block, self.chain_id)),
                        };
                        put!(to, word);
                    }
                    Op::SelfBalance { to } => {
                        let word = world.balance(frame.account, self.state, &mut ledger.sources);
                        ledger.accounts.push(AccountAccess::BalanceRead(frame.address));
                        put!(to, word);
                    }
                    Op::Query { op, to, a } => {
                        let a = word!(a);
                        if !ledger.need(a.taint) {
                            put!(to, Word { value: U256::ZERO, taint: Taint::UNKNOWN.union(a.taint) });
                            continue;
                        }
                        let word = match op {
                            QueryOp::BlobHash => {
                                let hash = self.tx.blob_hashes.get(clamp(a.value));
                                Word::clean(hash.map_or(U256::ZERO, |hash| (*hash).into()))
                            }
                            QueryOp::BlockHash => block_hash(a.value, self.block, self.state),
                            QueryOp::Balance => {
                                let account = world.account(a.address());
                                ledger.accounts.push(AccountAccess::BalanceRead(a.address()));
                                world.balance(account, self.state, &mut ledger.sources)
                            }
                            QueryOp::ExtCodeSize | QueryOp::ExtCodeHash => {
                                let account = world.account(a.address());
                                ledger.accounts.push(AccountAccess::CodeRead(a.address()));
                                let (code, taint) = world.code(account, self.state, &mut ledger.sources);
                                if op == QueryOp::ExtCodeHash {
                                    let (empty, about) =
                                        world.is_empty(account, self.state, &mut ledger.sources);
                                    // Only whether the account is there matters beside the code.
                                    let taint = if empty { taint.union(about) } else { taint };
                                    let hash = if empty { U256::ZERO } else { code.hash() };
                                    Word { value: hash, taint }
                                } else {
                                    match super::call::code_bytes(&code, self.state) {
                                        Some(bytes) => Word { value: U256::from(bytes.len()), taint },
                                        None => {
                                            let place = place(frame.selector(), trace.pc);
                                            ledger.fall_short(ShortfallReason::CodeUnavailable, place);
                                            Word { value: U256::ZERO, taint: Taint::UNAVAILABLE }
                                        }
                                    }
                                }
                            }
                        };
                        put!(to, word);
                    }
                    Op::ReturnDataSize { to } => {
                        let value = U256::from(frame.return_data.len());
                        put!(to, Word { value, taint: frame.return_size_taint });
                    }
                    Op::Copy { source, into, from, length } => {
                        let from = number!(from);
                        let (into, length) = range!(into, length);
                        if source == CopySource::ReturnData {
                            let size = frame.return_data.len();
                            let end = from.saturating_add(U256::from(length));
                            if end > U256::from(size) {
                                if frame.return_size_taint.is_unknown() {
                                    ledger.need(frame.return_size_taint);
                                }
                                return Event::Halt;
                            }
                        }
                        if length == 0 {
                            continue;
                        }
                        frame.gas += 3 * length.div_ceil(32) as u64;
                        let from = clamp(from);
                        let marks = &mut ledger.marks;
                        match source {
                            CopySource::Code => frame.memory.copy_bytes(into, &slice.code, from, length),
                            CopySource::CallData => {
                                frame.memory.copy_from(into, &frame.call_data, from, length, marks);
                            }
                            CopySource::ReturnData => {
                                frame.memory.copy_from(into, &frame.return_data, from, length, marks);
                            }
                            CopySource::Memory => {
                                if from > MAX_MEMORY - length {
                                    return Event::Halt;
                                }
                                frame.memory.grow(from + length);
                                frame.memory.copy_within(into, from, length, marks);
                            }
                        }
                    }
                    Op::ExtCodeCopy { site } => {
                        let site = &slice.calls[site as usize];
                        let from = clamp(number!(site.input));
                        let (into, length) = range!(site.output, site.output_length);
                        let target = word!(site.target);
                        if !ledger.need(target.taint) {
                            let place = place(frame.selector(), site.pc);
                            ledger.fall_short_of(target.taint, ShortfallReason::UnknownTarget, place);
                            return Event::Abandon;
                        }
                        let account = world.account(target.address());
                        ledger.accounts.push(AccountAccess::CodeRead(target.address()));
                        let (code, taint) = world.code(account, self.state, &mut ledger.sources);
                        ledger.need(taint);
                        let Some(bytes) = super::call::code_bytes(&code, self.state) else {
                            let place = place(frame.selector(), site.pc);
                            ledger.fall_short(ShortfallReason::CodeUnavailable, place);
                            return Event::Abandon;
                        };
                        if length > 0 {
                            frame.memory.copy_bytes(into, &bytes, from, length);
                        }
                    }
                    Op::MSize { to } => {
                        put!(to, Word::clean(U256::from(frame.memory.len())));
                    }
                    Op::Gas { to } => {
                        let left = self.tx.gas_limit.saturating_sub(frame.gas);
                        put!(to, Word { value: U256::from(left), taint: Taint::GAS });
                    }
                    Op::Call { site, to } => {
                        frame.next = next;
                        return Event::Call { site, to };
                    }
                    Op::Create { site, to } => {
                        frame.next = next;
                        return Event::Create { site, to };
                    }
                }
            }
            // Operands of the exit are read before the stack is put in order.
            frame.next = 0;
            let (target, other) = match trace.exit {
                Exit::Jump(to) => (Target::Trace(to), None),
                Exit::Branch { condition, taken, fallthrough } => {
                    let condition = word!(condition);
                    let (taken, fallthrough) = (Target::Trace(taken), Target::Trace(fallthrough));
                    match decide(ledger, condition, taken, fallthrough) {
                        Some(decided) => decided,
                        None => {
                            let place = place(frame.selector(), trace.pc);
                            ledger.fall_short(ShortfallReason::TooManyBranches, place);
                            return Event::Abandon;
                        }
                    }
                }
                Exit::Dynamic { target } => (Target::Computed(word!(target)), None),
                Exit::DynamicBranch { condition, target, fallthrough } => {
                    let (condition, target) = (word!(condition), word!(target));
                    match decide(ledger, condition, Target::Computed(target), Target::Trace(fallthrough)) {
                        Some(decided) => decided,
                        None => return Event::Abandon,
                    }
                }
                Exit::Stop => return Event::Return { offset: 0, length: 0 },
                Exit::Return { offset, length } => {
                    let (offset, length) = range!(offset, length);
                    return Event::Return { offset, length };
                }
                Exit::Revert { offset, length } => {
                    let (offset, length) = range!(offset, length);
                    return Event::Revert { offset, length };
                }
                Exit::Halt => return Event::Halt,
                Exit::SelfDestruct { beneficiary } => {
                    let beneficiary = word!(beneficiary);
                    return Event::SelfDestruct { beneficiary };
                }
            };
            for (to, from) in &trace.moves {
                let word = word!(*from);
                window!()[*to as usize] = word;
            }
            frame.height = base + usize::from(trace.leaves);
            if let Some(other) = other {
                // Each arm is one way that the transaction may go.
                if self.paths >= MAX_PATHS {
                    let place = place(frame.selector(), trace.pc);
                    ledger.fall_short(ShortfallReason::TooManyBranches, place);
                } else {
                    self.paths += 1;
                    let mut arm = path.clone();
                    if let Some(event) = self.enter(&mut arm, slice, other, trace.pc) {
                        if !matches!(event, Event::Abandon) {
                            // The arm ends at once, which touches nothing: but its caller may go on.
                            let goes_on = self.finish(&mut arm, event);
                            if goes_on {
                                self.pending.push(arm);
                            }
                        }
                    } else {
                        self.pending.push(arm);
                    }
                }
            }
            if let Some(event) = self.enter(path, slice, target, trace.pc) {
                return event;
            }
        }
    }

    /// Goes on at a target, unless there is nothing to go on at.
    fn enter(&mut self, path: &mut Path, slice: &Slice, target: Target, pc: u32) -> Option<Event> {
        let word = match target {
            Target::Trace(trace) => {
                path.frame.trace = trace;
                return None;
            }
            Target::Computed(word) => word,
        };
        if !self.ledger.need(word.taint) {
            let place = path.frame.place(pc);
            self.ledger.fall_short_of(word.taint, ShortfallReason::UnknownJump, place);
            return Some(Event::Abandon);
        }
        let destination = u32::try_from(word.value).ok();
        match destination.and_then(|pc| slice.destinations.get(&pc)) {
            Some(trace) => {
                path.frame.trace = *trace;
                None
            }
            None if slice.all_destinations || destination.is_none() => Some(Event::Halt),
            None => {
                self.widen = Some(Arc::clone(&path.frame.slice));
                Some(Event::Abandon)
            }
        }
    }
}

/// Where a trace goes on.
#[derive(Clone, Copy, Debug)]
enum Target {
    Trace(TraceId),
    Computed(Word),
}

/// Which arm of a branch is taken; both where the condition is not known. None where nothing more can be said.
fn decide(
    ledger: &mut Ledger,
    condition: Word,
    taken: Target,
    fallthrough: Target,
) -> Option<(Target, Option<Target>)> {
    if ledger.need(condition.taint) {
        return Some((if condition.value.is_zero() { fallthrough } else { taken }, None));
    }
    // A state that cannot be read is the caller's to complete; guessing would only cost.
    (!condition.taint.is_unavailable()).then_some((taken, Some(fallthrough)))
}

/// The lengths of a word and of a byte, as operands that [`get`] never sees: ranges of one word are so common that
/// they have no constant of their own.
const WORD_LENGTH: Length = Length(32);
const BYTE_LENGTH: Length = Length(1);

#[derive(Clone, Copy)]
struct Length(usize);

trait Source {
    fn read(self, window: &[Word], constants: &[U256]) -> Word;
}

impl Source for Operand {
    #[inline]
    fn read(self, window: &[Word], constants: &[U256]) -> Word {
        match self.as_constant() {
            Some(index) => Word::clean(constants[index]),
            None => window[self.index()],
        }
    }
}

impl Source for Length {
    #[inline]
    fn read(self, _: &[Word], _: &[U256]) -> Word {
        Word::clean(U256::from(self.0))
    }
}

#[inline]
fn get(window: &[Word], constants: &[U256], source: impl Source) -> Word {
    source.read(window, constants)
}

/// A range of memory, or none where the EVM would run out of gas.
#[inline]
fn memory_range(offset: U256, length: U256) -> Option<(usize, usize)> {
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_MEMORY)?;
    if length == 0 {
        return Some((0, 0));
    }
    let offset = usize::try_from(offset).ok().filter(|offset| *offset <= MAX_MEMORY - length)?;
    Some((offset, length))
}

/// An offset into bytes; past every end if it does not fit.
#[inline]
pub(super) fn clamp(word: U256) -> usize {
    u32::try_from(word).map_or(u32::MAX as usize, |offset| offset as usize)
}

#[inline]
fn address_word(address: Address) -> Word {
    Word::clean(address.into_word().into())
}

fn store_gas(cold: bool, sets: bool) -> u64 {
    (if cold { 2_100 } else { 0 }) + if sets { 20_000 } else { 2_900 }
}

fn block_word(word: FrameWord, tx: &TxEnv, block: &BlockEnv, chain_id: u64) -> U256 {
    let address = |address: Address| address.into_word().into();
    match word {
        FrameWord::Origin => address(tx.caller),
        FrameWord::GasPrice => U256::from(super::effective_gas_price(tx, block)),
        FrameWord::Coinbase => address(block.beneficiary),
        FrameWord::Timestamp => block.timestamp,
        FrameWord::Number => block.number,
        FrameWord::PrevRandao => block.prevrandao.map_or(block.difficulty, Into::into),
        FrameWord::GasLimit => U256::from(block.gas_limit),
        FrameWord::ChainId => U256::from(chain_id),
        FrameWord::BaseFee => U256::from(block.basefee),
        FrameWord::BlobBaseFee => {
            block.blob_excess_gas_and_price.map_or(U256::ZERO, |blob| U256::from(blob.blob_gasprice))
        }
        FrameWord::SlotNumber => U256::from(block.slot_num),
        // Words of the frame are read where they are.
        FrameWord::Address
        | FrameWord::Caller
        | FrameWord::CallValue
        | FrameWord::CallDataSize
        | FrameWord::CodeSize => U256::ZERO,
    }
}

/// The hash of one of the last 256 blocks, zero for any other.
fn block_hash<D: DatabaseRef>(number: U256, block: &BlockEnv, state: &D) -> Word {
    let known = block.number.checked_sub(number).is_some_and(|age| !age.is_zero() && age <= U256::from(256));
    let Some(number) = u64::try_from(number).ok().filter(|_| known) else { return Word::default() };
    match state.block_hash_ref(number) {
        Ok(hash) => Word::clean(hash.into()),
        Err(_) => Word { value: U256::ZERO, taint: Taint::UNAVAILABLE },
    }
}

impl AccountCode {
    /// The hash of the code.
    pub(super) fn hash(&self) -> U256 {
        match self {
            Self::Stored(hash) | Self::New(_, hash) => (*hash).into(),
            Self::Delegated(address) => alloy_primitives::keccak256(super::call::designator(*address)).into(),
        }
    }
}

impl Region {
    /// Whether any byte of a range is not known.
    pub(super) fn is_unknown(&self, offset: usize, length: usize, ledger: &Ledger) -> bool {
        self.taint(offset, length, &ledger.marks).is_unknown()
    }
}
