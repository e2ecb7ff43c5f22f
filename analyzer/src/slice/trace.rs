//! Follows code from one program counter to the next branch that matters, and keeps what is needed of it.
//!
//! In: a code and where to start. Out: the operations, the stack that is left and the exit, over values. Jumps whose
//! target is known are followed, so internal functions are inlined; branches that the path decides are not taken
//! twice; in a lean slice a guard whose failing arm always reverts is assumed to pass. A trace is ended where it grows
//! too long, never cut: what follows stands in the next one.

mod call;
mod delta;
mod growth;
mod memory;

use revm_bytecode::opcode;
use revm_interpreter::instructions::{gas, gas_table};
use revm_interpreter::primitives::hardfork::SpecId;
use rustc_hash::{FxHashMap, FxHashSet};

use self::memory::KnownMemory;
use super::program::{CallSite, CreateSite, FrameWord, Op, QueryOp, TraceId, UnaryOp, Variant};
use super::revert::{KnownStack, always_reverts};
use super::values::{Origin, Value, Values, binary_operation};
use crate::code::Code;
use crate::fold::Folder;

/// A trace that has more operations or values than this ends at the next instruction.
const MAX_OPERATIONS: usize = 1_000;

/// A trace that stands for more instructions than this ends at the next one.
const MAX_INSTRUCTIONS: u32 = 4_000;

/// A trace that comes by one jump destination more often than this ends there.
const MAX_VISITS: u32 = 40;

/// The bits of the number of instructions that are zero where it is asked whether to go on.
const GLANCE: u32 = 63;

/// One trace before registers are given out.
#[derive(Debug)]
pub(super) struct TraceDraft {
    /// How many words of the stack it takes.
    pub needs: u16,
    /// What it leaves in their place, the top last.
    pub stack: Vec<Value>,
    /// The operations in order; those that turned out to be needless are `None`.
    pub operations: Vec<Option<Op<Value>>>,
    /// Where each value comes from.
    pub origins: Vec<Origin>,
    /// The call sites that the operations name.
    pub calls: Vec<CallSite<Value>>,
    /// The creations that the operations name.
    pub creates: Vec<CreateSite<Value>>,
    /// The most words that it has on the stack, those that it takes included.
    pub peak: u16,
    /// How it ends.
    pub exit: Op<Value>,
    /// The gas of its instructions that is the same on every fork and for all operands.
    pub gas: u32,
    /// Jump destinations that it leaves on the stack.
    pub destinations: Vec<u32>,
    /// Whether it jumps to a word that it computes.
    pub computes_targets: bool,
}

/// What all traces of a slice share while they are built.
pub(super) struct Workshop<'a> {
    pub code: &'a Code,
    pub folder: &'a mut Folder,
    pub variant: Variant,
    /// Arms that are known to revert or not to, whatever the stack: by instruction.
    pub reverting: &'a mut FxHashMap<usize, bool>,
    /// Traces are told apart by where they start; the allocator of their ids.
    pub trace_at: &'a mut dyn FnMut(u32) -> TraceId,
    /// Whether memory grows as in the code, because the code asks for its size.
    pub keeps_memory_size: bool,
    /// Whether traces end at every jump.
    pub short: bool,
    /// Says whether it is enough.
    pub stop: &'a dyn Fn() -> bool,
}

/// Follows `workshop.code` from the instruction of this index. None where it is enough before the end.
pub(super) fn trace(
    workshop: &mut Workshop<'_>,
    start: usize,
    selector: Option<[u8; 4]>,
) -> Option<TraceDraft> {
    let Workshop { code, folder, variant, reverting, trace_at, keeps_memory_size, short, stop } = workshop;
    let mut tracer = Tracer {
        code,
        variant: *variant,
        reverting,
        trace_at,
        keeps_memory_size: *keeps_memory_size,
        short: *short,
        values: Values::new(folder, selector),
        taken: 0,
        peak: 0,
        stack: Vec::new(),
        dead: FxHashSet::default(),
        memory: KnownMemory::default(),
        loaded: FxHashMap::default(),
        calls: Vec::new(),
        creates: Vec::new(),
        seen_by_logs: FxHashSet::default(),
        guards: Vec::new(),
        gas: 0,
        spent_before: Vec::new(),
        reloads: 0,
        exponent_bytes: 0,
    };
    tracer.run(start, *stop)
}

struct Tracer<'a, 'b> {
    code: &'a Code,
    variant: Variant,
    reverting: &'b mut FxHashMap<usize, bool>,
    trace_at: &'b mut dyn FnMut(u32) -> TraceId,
    keeps_memory_size: bool,
    short: bool,
    values: Values<'b>,
    /// How many words were taken from the stack below the trace.
    taken: u16,
    /// The most words that were on the stack.
    peak: usize,
    stack: Vec<Value>,
    /// Operations that turned out to be needless.
    dead: FxHashSet<usize>,
    memory: KnownMemory,
    /// Slots that were loaded or stored since anything else could change them, and their words.
    loaded: FxHashMap<Value, Value>,
    calls: Vec<CallSite<Value>>,
    creates: Vec<CreateSite<Value>>,
    /// Values that logs show to the world.
    seen_by_logs: FxHashSet<Value>,
    /// Conditions of guards that are left out.
    guards: Vec<Value>,
    /// The gas of the instructions so far that is the same on every fork and for all operands.
    gas: u32,
    /// What `gas` was behind an operation that needs to know what of it is spent.
    spent_before: Vec<(usize, u32)>,
    /// Loads and bytes of exponents that were left out and are not in [`Op::Spend`] yet.
    reloads: u32,
    exponent_bytes: u32,
}

/// What an instruction costs on every fork; nothing where forks differ, or where the price is in [`Op::Spend`] or its
/// like.
fn fixed_gas(op: u8) -> u32 {
    match op {
        opcode::SLOAD
        | opcode::SSTORE
        | opcode::BALANCE
        | opcode::EXTCODESIZE
        | opcode::EXTCODECOPY
        | opcode::EXTCODEHASH
        | opcode::CALL
        | opcode::CALLCODE
        | opcode::DELEGATECALL
        | opcode::STATICCALL
        | opcode::CREATE
        | opcode::CREATE2
        | opcode::SELFDESTRUCT => 0,
        _ => u32::from(const { gas_table() }[usize::from(op)]),
    }
}

impl Tracer<'_, '_> {
    fn run(&mut self, start: usize, stop: &dyn Fn() -> bool) -> Option<TraceDraft> {
        let mut index = start;
        let mut instructions = 0_u32;
        let mut newest = SpecId::FRONTIER;
        let mut visits: FxHashMap<usize, u32> = FxHashMap::default();
        let exit = loop {
            let Some(instruction) = self.code.instructions.get(index).copied() else { break Op::Stop };
            let op = instruction.opcode;
            // A branch may look at hundreds of instructions of each arm.
            if (instructions & GLANCE == 0 || op == opcode::JUMPI) && stop() {
                return None;
            }
            let too_long = self.values.operations.len() > MAX_OPERATIONS
                || self.values.len() > 8 * MAX_OPERATIONS
                || instructions > MAX_INSTRUCTIONS;
            let too_often = op == opcode::JUMPDEST && {
                let count = visits.entry(index).or_default();
                *count += 1;
                *count > MAX_VISITS || self.short
            };
            if (too_long || too_often) && index != start {
                break Op::Jump { to: (self.trace_at)(instruction.pc.0) };
            }
            self.peak = self.peak.max(self.stack.len());
            self.charge(u64::from(fixed_gas(op)));
            instructions += 1;
            index += 1;
            // In a lean frame an instruction that halts reverts everything anyway.
            let fork = since(op);
            if self.variant == Variant::Strict && fork > newest {
                newest = fork;
                self.values.effect(Op::Since { fork: fork as u8 });
            }
            match op {
                opcode::JUMP => {
                    let target = self.pop();
                    match self.values.known(target) {
                        Some(word) => match self.code.destination(&word) {
                            Some(destination) => index = destination,
                            None => break Op::Halt,
                        },
                        None => break Op::Dynamic { target },
                    }
                }
                opcode::JUMPI => match self.branch(index) {
                    Ok(next) => index = next,
                    Err(exit) => break exit,
                },
                opcode::STOP => break Op::Stop,
                opcode::RETURN => {
                    let (offset, length) = (self.pop(), self.pop());
                    break Op::Return { offset, length };
                }
                opcode::REVERT => {
                    let (offset, length) = (self.pop(), self.pop());
                    break Op::Revert { offset, length };
                }
                opcode::SELFDESTRUCT => {
                    let beneficiary = self.pop();
                    break Op::SelfDestruct { beneficiary };
                }
                _ => {
                    if !self.step(op, instruction.pc.0, instruction.immediate, index) {
                        break Op::Halt;
                    }
                }
            }
        };
        Some(self.finish(exit))
    }

    /// Adds gas that is spent whatever the operands are.
    fn charge(&mut self, gas: u64) {
        self.gas = self.gas.saturating_add(u32::try_from(gas).unwrap_or(u32::MAX));
    }

    /// Puts down what was left out so far, before an operation for which it matters how much gas is left.
    fn settle(&mut self) {
        let (loads, exponent_bytes) =
            (std::mem::take(&mut self.reloads), std::mem::take(&mut self.exponent_bytes));
        if loads > 0 || exponent_bytes > 0 {
            self.values.effect(Op::Spend { loads, exponent_bytes });
        }
    }

    fn finish(&mut self, exit: Op<Value>) -> TraceDraft {
        self.settle();
        // The memory of a frame dies with it.
        let ends = matches!(exit, Op::Stop | Op::Halt | Op::SelfDestruct { .. })
            || matches!(exit, Op::Return { length, .. } | Op::Revert { length, .. }
                if self.values.offset(length) == Some(0));
        if ends && !self.keeps_memory_size {
            self.dead.extend(self.memory.unread.values().copied());
        }
        if matches!(
            exit,
            Op::Stop | Op::Halt | Op::Return { .. } | Op::Revert { .. } | Op::SelfDestruct { .. }
        ) {
            self.stack.clear();
        }
        for position in 0..self.stack.len() {
            if let Some(word) = self.values.known(self.stack[position]) {
                self.stack[position] = self.values.constant(word);
            }
        }
        let deltas = self.deltas(&exit);
        let mut operations: Vec<_> = self.values.operations.iter().copied().map(Some).collect();
        for (index, spent) in &self.spent_before {
            let behind = self.gas.saturating_sub(*spent);
            match &mut operations[*index] {
                Some(Op::Gas { ahead, .. }) => *ahead = behind,
                Some(Op::SStore { ahead, .. }) => *ahead = u16::try_from(behind).unwrap_or(u16::MAX),
                Some(Op::Call { site, .. }) => self.calls[*site as usize].ahead = behind,
                Some(Op::Create { site, .. }) => self.creates[*site as usize].ahead = behind,
                _ => {}
            }
        }
        if !self.keeps_memory_size {
            self.replace_needless(&mut operations, &exit);
        }
        for index in deltas {
            if let Some(Op::SLoad { delta, .. } | Op::SStore { delta, .. }) = &mut operations[index] {
                *delta = true;
            }
        }
        let origins = (0..self.values.len()).map(|index| self.values.origin(Value(index as u16))).collect();
        let destinations = self
            .stack
            .iter()
            .filter_map(|value| self.values.known(*value))
            .filter(|word| self.code.destination(word).is_some())
            .map(|word| word.to::<u32>())
            .collect();
        let computes_targets = match exit {
            Op::Dynamic { target } | Op::DynamicBranch { target, .. } => {
                matches!(self.values.origin(target), Origin::Operation(_))
            }
            _ => false,
        };
        TraceDraft {
            needs: self.taken,
            // One instruction adds one word at the most, and the first of them may take words from below.
            peak: self.peak as u16 + self.taken + 1,
            stack: std::mem::take(&mut self.stack),
            operations,
            origins,
            calls: std::mem::take(&mut self.calls),
            creates: std::mem::take(&mut self.creates),
            exit,
            gas: self.gas,
            destinations,
            computes_targets,
        }
    }

    fn pop(&mut self) -> Value {
        if let Some(value) = self.stack.pop() {
            return value;
        }
        let value = self.values.input(self.taken);
        self.taken += 1;
        value
    }

    fn reach(&mut self, depth: usize) {
        while self.stack.len() <= depth {
            let value = self.values.input(self.taken);
            self.taken += 1;
            self.stack.insert(0, value);
        }
    }

    fn known_stack(&self) -> KnownStack {
        self.stack.iter().map(|value| self.values.known(*value)).collect()
    }

    /// Whether the arm that starts at an instruction only reverts, given what the path knows.
    fn arm_reverts(&mut self, index: usize) -> bool {
        let code = self.code;
        let anywhere = if let Some(known) = self.reverting.get(&index) {
            *known
        } else {
            let answer = always_reverts(code, self.values.folder(), index, Vec::new());
            self.reverting.insert(index, answer);
            answer
        };
        if anywhere {
            return true;
        }
        let stack = self.known_stack();
        always_reverts(code, self.values.folder(), index, stack)
    }

    /// Where a `JUMPI` goes on in this trace, or how the trace ends there. `next` is the instruction behind it.
    fn branch(&mut self, next: usize) -> Result<usize, Op<Value>> {
        let target = self.pop();
        let condition = self.pop();
        let destination = self.values.known(target).map(|word| self.code.destination(&word));
        match self.values.truth(condition) {
            Some(false) => return Ok(next),
            Some(true) => {
                return match destination {
                    Some(Some(destination)) => Ok(destination),
                    Some(None) => Err(Op::Halt),
                    None => Err(Op::Dynamic { target }),
                };
            }
            None => {}
        }
        let Some(destination) = destination else {
            let fallthrough = self.trace_of(next);
            return Err(Op::DynamicBranch { condition, target, fallthrough });
        };
        if self.variant == Variant::Lean {
            let taken_reverts = match destination {
                None => true,
                Some(destination) => {
                    self.supposing(condition, true, |tracer| tracer.arm_reverts(destination))
                }
            };
            if taken_reverts {
                self.guards.push(condition);
                self.values.assume(condition, false);
                return Ok(next);
            }
            if let Some(destination) = destination
                && self.supposing(condition, false, |tracer| tracer.arm_reverts(next))
            {
                self.guards.push(condition);
                self.values.assume(condition, true);
                return Ok(destination);
            }
        }
        let fallthrough = self.trace_of(next);
        let taken = match destination {
            Some(destination) => self.trace_of(destination),
            // Past the end of any code: the evaluator halts there, as the EVM does at a jump to nowhere.
            None => (self.trace_at)(u32::MAX),
        };
        Err(Op::Branch { condition, taken, fallthrough })
    }

    fn supposing<T>(&mut self, condition: Value, nonzero: bool, look: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.values.facts();
        self.values.assume(condition, nonzero);
        let answer = look(self);
        self.values.restore(before);
        answer
    }

    fn trace_of(&mut self, index: usize) -> TraceId {
        let pc = self.code.instructions.get(index).map_or(self.code.bytes.len() as u32, |it| it.pc.0);
        (self.trace_at)(pc)
    }

    /// Takes one instruction that is no branch. `next` is the one behind it. False where the EVM would halt.
    fn step(&mut self, op: u8, pc: u32, immediate: alloy_primitives::U256, next: usize) -> bool {
        match op {
            opcode::JUMPDEST => {}
            opcode::POP => {
                self.pop();
            }
            opcode::PUSH0..=opcode::PUSH32 => {
                let value = self.values.constant(immediate);
                self.stack.push(value);
            }
            opcode::PC => {
                let value = self.values.constant(alloy_primitives::U256::from(pc));
                self.stack.push(value);
            }
            opcode::DUP1..=opcode::DUP16 => {
                let depth = usize::from(op - opcode::DUP1);
                self.reach(depth);
                self.stack.push(self.stack[self.stack.len() - 1 - depth]);
            }
            opcode::SWAP1..=opcode::SWAP16 => {
                let depth = usize::from(op - opcode::SWAP1) + 1;
                self.reach(depth);
                let top = self.stack.len() - 1;
                self.stack.swap(top, top - depth);
            }
            opcode::ISZERO | opcode::NOT | opcode::CLZ => {
                let a = self.pop();
                let op = match op {
                    opcode::ISZERO => UnaryOp::IsZero,
                    opcode::NOT => UnaryOp::Not,
                    _ => UnaryOp::Clz,
                };
                let value = self.values.unary(op, a);
                self.stack.push(value);
            }
            opcode::ADDMOD | opcode::MULMOD => self.modular(op),
            opcode::SLOAD => self.load(pc),
            opcode::SSTORE => self.store(pc),
            opcode::TLOAD => {
                let key = self.pop();
                let value = self.values.effect(Op::TLoad { to: 0, key });
                self.stack.push(value);
            }
            opcode::TSTORE => {
                let (key, word) = (self.pop(), self.pop());
                self.values.effect(Op::TStore { key, word });
            }
            opcode::LOG0..=opcode::LOG4 => self.log(op - opcode::LOG0),
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                self.call(op, pc, next);
            }
            opcode::CREATE | opcode::CREATE2 => self.create(op, pc, next),
            opcode::MLOAD | opcode::MSTORE | opcode::MSTORE8 | opcode::KECCAK256 => self.memory_word(op),
            opcode::CALLDATACOPY | opcode::CODECOPY | opcode::RETURNDATACOPY | opcode::MCOPY => self.copy(op),
            opcode::EXTCODECOPY => self.copy_code(pc),
            _ => return self.question(op),
        }
        true
    }

    fn modular(&mut self, op: u8) {
        let (a, b, modulus) = (self.pop(), self.pop(), self.pop());
        let known = [a, b, modulus].map(|value| self.values.known(value));
        let folded = match known {
            [Some(a), Some(b), Some(modulus)] => self.values.fold(op, &[a, b, modulus]),
            _ => None,
        };
        let multiply = op == opcode::MULMOD;
        let value = match folded {
            Some(word) => self.values.constant(word),
            None => self.values.shared(Op::Modular { multiply, to: 0, a, b, modulus }),
        };
        self.stack.push(value);
    }

    fn store(&mut self, pc: u32) {
        let (key, word) = (self.pop(), self.pop());
        let was_loaded = self.loaded.contains_key(&key);
        self.settle();
        self.values.effect(Op::SStore { key, word, pc, delta: false, ahead: 0 });
        self.remember_spent();
        self.loaded.clear();
        // A load of this slot gives this word; but the first load has to be seen as one.
        if was_loaded {
            self.loaded.insert(key, word);
        }
    }

    fn log(&mut self, topics: u8) {
        let (offset, length) = (self.pop(), self.pop());
        self.charge(gas::LOGTOPIC * u64::from(topics));
        let per_byte = match self.values.offset(length) {
            Some(bytes) => {
                self.charge(gas::LOGDATA * bytes);
                0
            }
            None => gas::LOGDATA as u8,
        };
        self.values.effect(Op::Range { per_byte, per_word: 0, offset, length });
        // What a log shows, the world sees: it only matters for whether an update commutes. What is stored to memory counts
        // as seen already.
        for _ in 0..topics {
            let topic = self.pop();
            self.seen_by_logs.insert(topic);
        }
        if self.variant == Variant::Strict {
            self.values.effect(Op::Log);
        }
    }

    fn copy_code(&mut self, pc: u32) {
        let (target, output, input, length) = (self.pop(), self.pop(), self.pop(), self.pop());
        let zero = self.values.constant(alloy_primitives::U256::ZERO);
        let site = self.calls.len() as u32;
        self.calls.push(CallSite {
            opcode: opcode::EXTCODECOPY,
            pc,
            gas: zero,
            target,
            value: zero,
            input,
            input_length: length,
            output,
            output_length: length,
            success_required: false,
            gives_all: false,
            ahead: 0,
        });
        self.values.effect(Op::ExtCodeCopy { site });
        self.memory.forget();
    }

    /// Words of the frame, the state and pure operations on two words.
    fn question(&mut self, op: u8) -> bool {
        if let Some(operation) = binary_operation(op) {
            let (a, b) = (self.pop(), self.pop());
            if op == opcode::EXP {
                // The price is that of each time, however often the power is the same.
                match self.values.known(b) {
                    Some(exponent) => self.exponent_bytes += exponent.byte_len() as u32,
                    None => {
                        self.values.effect(Op::Exponent { exponent: b });
                    }
                }
            }
            let value = self.values.binary(operation, a, b);
            self.stack.push(value);
            return true;
        }
        let value = match op {
            opcode::ADDRESS => self.values.frame(FrameWord::Address),
            opcode::ORIGIN => self.values.frame(FrameWord::Origin),
            opcode::CALLER => self.values.frame(FrameWord::Caller),
            opcode::CALLVALUE => self.values.frame(FrameWord::CallValue),
            opcode::CALLDATASIZE => self.values.frame(FrameWord::CallDataSize),
            opcode::CODESIZE => {
                let size = alloy_primitives::U256::from(self.code.bytes.len());
                self.values.constant(size)
            }
            opcode::GASPRICE => self.values.frame(FrameWord::GasPrice),
            opcode::COINBASE => self.values.frame(FrameWord::Coinbase),
            opcode::TIMESTAMP => self.values.frame(FrameWord::Timestamp),
            opcode::NUMBER => self.values.frame(FrameWord::Number),
            opcode::DIFFICULTY => self.values.frame(FrameWord::PrevRandao),
            opcode::GASLIMIT => self.values.frame(FrameWord::GasLimit),
            opcode::CHAINID => self.values.frame(FrameWord::ChainId),
            opcode::BASEFEE => self.values.frame(FrameWord::BaseFee),
            opcode::BLOBBASEFEE => self.values.frame(FrameWord::BlobBaseFee),
            opcode::SLOTNUM => self.values.frame(FrameWord::SlotNumber),
            opcode::CALLDATALOAD => {
                let offset = self.pop();
                self.values.call_data(offset)
            }
            opcode::SELFBALANCE => self.values.effect(Op::SelfBalance { to: 0 }),
            opcode::BALANCE => self.query(QueryOp::Balance),
            opcode::EXTCODESIZE => self.query(QueryOp::ExtCodeSize),
            opcode::EXTCODEHASH => self.query(QueryOp::ExtCodeHash),
            opcode::BLOCKHASH => self.query(QueryOp::BlockHash),
            opcode::BLOBHASH => self.query(QueryOp::BlobHash),
            opcode::RETURNDATASIZE => self.values.effect(Op::ReturnDataSize { to: 0 }),
            opcode::MSIZE => self.values.effect(Op::MSize { to: 0 }),
            opcode::GAS => {
                self.settle();
                let value = self.values.effect(Op::Gas { to: 0, ahead: 0 });
                self.remember_spent();
                value
            }
            _ => return false,
        };
        self.stack.push(value);
        true
    }

    /// Notes how much of the gas that does not vary is spent behind the operation that was added last.
    fn remember_spent(&mut self) {
        self.spent_before.push((self.values.operations.len() - 1, self.gas));
    }

    fn query(&mut self, op: QueryOp) -> Value {
        let a = self.pop();
        self.values.effect(Op::Query { op, to: 0, a })
    }

    fn load(&mut self, pc: u32) {
        let key = self.pop();
        let value = if let Some(value) = self.loaded.get(&key) {
            self.reloads += 1;
            *value
        } else {
            let value = self.values.effect(Op::SLoad { to: 0, key, pc, delta: false });
            self.loaded.insert(key, value);
            value
        };
        self.stack.push(value);
    }
}

/// The fork that brought an instruction.
fn since(op: u8) -> SpecId {
    match op {
        opcode::DELEGATECALL => SpecId::HOMESTEAD,
        opcode::RETURNDATASIZE | opcode::RETURNDATACOPY | opcode::STATICCALL | opcode::REVERT => {
            SpecId::BYZANTIUM
        }
        opcode::SHL | opcode::SHR | opcode::SAR | opcode::EXTCODEHASH | opcode::CREATE2 => SpecId::PETERSBURG,
        opcode::CHAINID | opcode::SELFBALANCE => SpecId::ISTANBUL,
        opcode::BASEFEE => SpecId::LONDON,
        opcode::PUSH0 => SpecId::SHANGHAI,
        opcode::TLOAD | opcode::TSTORE | opcode::MCOPY | opcode::BLOBHASH | opcode::BLOBBASEFEE => {
            SpecId::CANCUN
        }
        opcode::CLZ => SpecId::OSAKA,
        opcode::SLOTNUM => SpecId::AMSTERDAM,
        _ => SpecId::FRONTIER,
    }
}
