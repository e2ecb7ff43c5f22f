//! The loop that runs the operations of one frame.
//!
//! In: a path, and the slice of the frame on top of it. Out: why the loop stopped, an [`Event`]. Words that are not known
//! are carried along; where a path is written down, every operation says so as well. Nothing is called from here: what
//! concerns other frames is an event. What each operation does stands by family in the files below.

mod words;
mod memory;
mod gas;
mod storage;
mod frame_words;
mod query;
mod control;

use alloy_primitives::{Address, U256};
use deconflict_analyzer::{Op, Operand, Slice};
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
    precompile::Precompiles,
    primitives::hardfork::SpecId,
};

use super::Limits;
use super::frame::Frame;
use super::gas::GasSchedule;
use super::ledger::Ledger;
use super::machine::{Event, Path, PredictionMachine};
use super::node::NodeId;
use super::recipe::Trail;
use super::taint::Taint;
use super::touched_state::{TouchedState, Word};
use crate::access_set::ShortfallReason;

/// What an operation comes to that has no say in what comes next; an event ends the loop.
type Done<T = ()> = Result<T, Event>;

/// A frame while its operations run: what they look at and change, taken apart once for all of them.
struct FrameRun<'r, D, const RECORDS: bool> {
    slice: &'r Slice,
    state: &'r D,
    tx: &'r TxEnv,
    block: &'r BlockEnv,
    chain_id: u64,
    spec: SpecId,
    schedule: &'static GasSchedule,
    precompiles: &'static Precompiles,
    limits: Limits<'r>,
    ticks: &'r mut u32,
    stopped: &'r mut bool,
    ledger: &'r mut Ledger,
    touched: &'r mut TouchedState,
    frame: &'r mut Frame,
    /// Whether it is the frame that the transaction itself calls.
    is_outermost: bool,
    /// Whether it may run out of gas while its caller goes on.
    fails_alone: bool,
    gas_left: &'r mut u64,
    gas_sources: &'r mut Taint,
    pen: Pen<'r, RECORDS>,
    /// Where the window of the trace starts on the stack, and the program counter that the trace starts at.
    base: usize,
    trace_pc: u32,
}

/// What writes down what a path does, if it is written down; known when the loop is compiled, so that it costs nothing
/// where it is not.
struct Pen<'r, const RECORDS: bool>(Option<&'r mut Trail>);

impl<const RECORDS: bool> Pen<'_, RECORDS> {
    #[inline]
    fn trail(&mut self) -> Option<&mut Trail> {
        if RECORDS { self.0.as_deref_mut() } else { None }
    }

    /// The expression of a result, constant where nothing is written down.
    #[inline]
    fn node(&mut self, node: impl FnOnce(&mut Trail) -> NodeId) -> NodeId {
        self.trail().map_or(NodeId::CONSTANT, node)
    }

    /// Whether a word is the same for every transaction that goes this way.
    #[inline]
    fn is_constant(&mut self, word: &Word) -> bool {
        self.trail().is_none_or(|trail| trail.is_constant(word))
    }
}

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    /// Runs the frame until something happens that is not its own affair.
    pub(super) fn run<const RECORDS: bool>(&mut self, path: &mut Path, slice: &Slice) -> Event {
        let Path { touched, frame, gas_left, waiting, trail, gas_sources, .. } = path;
        let ip = frame.ip;
        let run = FrameRun::<'_, D, RECORDS> {
            slice,
            state: self.state,
            tx: self.tx,
            block: self.block,
            chain_id: self.chain_id,
            spec: self.spec,
            schedule: self.schedule,
            precompiles: self.precompiles,
            limits: self.limits,
            ticks: &mut self.ticks,
            stopped: &mut self.stopped,
            ledger: self.ledger,
            touched,
            base: frame.base,
            fails_alone: frame.fails_alone(),
            frame,
            is_outermost: waiting.is_empty(),
            gas_left,
            gas_sources,
            pen: Pen(trail.as_deref_mut()),
            trace_pc: 0,
        };
        match run.run_from(ip) {
            Ok(never) => match never {},
            Err(event) => event,
        }
    }
}

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    /// Runs operations from this one on, one after the other.
    fn run_from(mut self, mut ip: usize) -> Done<std::convert::Infallible> {
        let ops = &self.slice.ops[..];
        loop {
            let Some(op) = ops.get(ip) else { return Err(Event::Halt) };
            ip += 1;
            match *op {
                // Words.
                Op::Move { to, from } => self.put(to, self.word(from)),
                Op::Unary { op, to, a } => self.unary(op, to, a),
                Op::Binary { op, to, a, b } => self.binary(op, to, a, b),
                Op::Modular { multiply, to, a, b, modulus } => self.modular(multiply, to, [a, b, modulus]),
                // Memory.
                Op::MLoad { to, offset } => self.load(to, offset)?,
                Op::MStore { offset, word } => self.store(offset, word)?,
                Op::MStore8 { offset, word } => self.store_byte(offset, word)?,
                Op::Keccak { to, offset, length } => self.keccak(to, offset, length)?,
                Op::KeccakPair { to, first, second } => self.keccak_pair(to, first, second),
                Op::KeccakWord { to, word } => self.keccak_word(to, word),
                Op::CallDataLoad { to, offset } => self.call_data_load(to, offset)?,
                Op::Copy { source, into, from, length } => self.copy(source, into, from, length)?,
                // Storage.
                Op::SLoad { to, key, pc, delta } => self.storage_load(to, key, pc, delta),
                Op::SStore { key, word, pc, delta, ahead } => {
                    self.storage_store(key, word, pc, delta, ahead)?;
                }
                Op::TLoad { to, key } => self.transient_load(to, key)?,
                Op::TStore { key, word } => self.transient_store(key, word)?,
                // Words of the frame.
                Op::Frame { word, to } => self.frame_word(word, to),
                Op::SelfBalance { to } => self.self_balance(to),
                Op::ReturnDataSize { to } => self.return_data_size(to),
                Op::MSize { to } => self.put(to, Word::clean(U256::from(self.frame.paid))),
                Op::Gas { to, ahead } => self.gas(to, ahead)?,
                // Questions to the state.
                Op::Query { op, to, a } => self.query(op, to, a),
                Op::ExtCodeCopy { site } => self.copy_code_of(site)?,
                // Gas of what is left out.
                Op::Spend { loads, exponent_bytes } => self.pay_left_out(loads, exponent_bytes),
                Op::Exponent { exponent } => self.pay_exponent(exponent),
                Op::Grow { base, end } => self.pay_growth(base, end),
                Op::Range { per_byte, per_word, offset, length } => {
                    self.pay_range([per_byte, per_word], offset, length);
                }
                // Control.
                Op::Enter { needs, leaves, registers, gas, pc } => {
                    self.trace_pc = pc;
                    self.enter([needs, leaves, registers], gas)?;
                }
                Op::Jump { to } => ip = to.0 as usize,
                Op::Branch { condition, taken, fallthrough } => {
                    ip = self.branch(condition, taken, fallthrough)?.0 as usize;
                }
                Op::Dynamic { target } => {
                    return Err(Event::Computed { target: self.word(target), pc: self.trace_pc });
                }
                Op::DynamicBranch { condition, target, fallthrough } => {
                    self.dynamic_branch(condition, target)?;
                    ip = fallthrough.0 as usize;
                }
                Op::Log => self.log()?,
                Op::Since { fork } => self.since(fork)?,
                // Ends, and what other frames have a part in.
                Op::Stop => return Err(Event::Return { offset: 0, length: 0 }),
                Op::Return { offset, length } => {
                    let (offset, length) = self.range(offset, length)?;
                    return Err(Event::Return { offset, length });
                }
                Op::Revert { offset, length } => {
                    let (offset, length) = self.range(offset, length)?;
                    return Err(Event::Revert { offset, length });
                }
                Op::Halt => return Err(Event::Halt),
                Op::SelfDestruct { beneficiary } => {
                    return Err(Event::SelfDestruct { beneficiary: self.word(beneficiary) });
                }
                Op::Call { site, to } => return Err(self.leave(ip, Event::Call { site, to })),
                Op::Create { site, to } => return Err(self.leave(ip, Event::Create { site, to })),
            }
        }
    }

    #[inline]
    fn word(&self, operand: Operand) -> Word {
        match operand.as_constant() {
            Some(index) => Word::clean(self.slice.constants[index]),
            None => self.frame.stack[self.base + operand.index()],
        }
    }

    /// Words are read where they are and written where they go: a copy on the way costs more than most operations.
    #[inline]
    fn value(&self, operand: Operand) -> &U256 {
        match operand.as_constant() {
            Some(index) => &self.slice.constants[index],
            None => &self.frame.stack[self.base + operand.index()].value,
        }
    }

    #[inline]
    fn taint(&self, operand: Operand) -> Taint {
        match operand.as_constant() {
            Some(_) => Taint::CLEAN,
            None => self.frame.stack[self.base + operand.index()].taint,
        }
    }

    #[inline]
    fn place(&mut self, to: u16) -> &mut Word {
        &mut self.frame.stack[self.base + usize::from(to)]
    }

    #[inline]
    fn put(&mut self, to: u16, word: Word) {
        *self.place(to) = word;
    }

    /// Goes on only if a word with these sources is known, which decides something.
    #[inline]
    fn require(&mut self, taint: Taint, reason: ShortfallReason, pc: u32) -> Done {
        if self.ledger.need(taint) { Ok(()) } else { Err(self.give_up(taint, reason, pc)) }
    }

    #[cold]
    fn give_up(&mut self, taint: Taint, reason: ShortfallReason, pc: u32) -> Event {
        self.ledger.fall_short_of(taint, reason, self.frame.place(pc));
        Event::Abandon
    }
}

fn address_word(address: Address) -> Word {
    Word::clean(address.into_word().into())
}
