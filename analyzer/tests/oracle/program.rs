//! Random programs that reach deep: blocks of stack, memory and storage steps that never underflow, joined by branches,
//! loops, internal calls and a dispatcher.
//!
//! In: choices drawn by proptest, which can shrink them. Out: bytecode. The programs end by themselves or run out of gas.

use alloy_primitives::U256;
use proptest::prelude::*;
use revm::bytecode::{OpCode, opcode as op};

use crate::words::{PURE, constant};

/// Words on top of the stack that every block may count on.
const BASE: usize = 3;

/// Selectors that the dispatcher of a program compares with.
pub(crate) const SELECTORS: [u32; 2] = [0x0102_0304, 0xa905_9cbb];

/// One step inside a block.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Pushes a constant.
    Push(U256),
    /// Pushes a word of calldata.
    Input(u8),
    /// Any opcode without an immediate; missing operands are pushed first.
    Plain(u8),
    /// `DUPn`, counted within the block's own words.
    Dup(u8),
    /// `SWAPn`, likewise.
    Swap(u8),
    /// Masks the top word to a small number, so that offsets and lengths stay in reach.
    Small(u16),
    /// A memory instruction at this place rather than at one from the stack.
    Memory(u8, u16),
    /// Replaces the two top words by the hash of both.
    Hash,
    /// Replaces `length` bytes of memory at `at` by their hash, on the stack.
    HashMemory { at: u16, length: u16 },
    /// A storage instruction on a slot with this number.
    Slot(u8, u8),
    /// `CALLDATACOPY`, `CODECOPY`, `RETURNDATACOPY` or `MCOPY` with these places.
    Copy { copy: u8, to: u16, from: u16, length: u16 },
    /// A call of the account on top of the stack.
    Call { call: u8, at: u16, length: u16, out: u8 },
    /// Replaces some bytes of a slot by the top word, as compilers pack fields.
    Field { slot: u8, from: u8, to: u8 },
    /// Adds the top word to a slot, or subtracts it.
    Bump { slot: u8, subtract: bool },
}

/// How a block ends. Block numbers wrap around.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// Goes on with the next block.
    Fall,
    /// Jumps if the top word is not zero.
    Branch(u8),
    /// Decrements the top word and jumps while it is not zero.
    Loop(u8),
    /// Jumps.
    Jump(u8),
    /// Calls a block as an internal function that returns to the next block.
    Enter(u8),
    /// Returns from an internal function, or stops.
    Leave,
    /// Ends the execution.
    Halt(u8),
}

/// A program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Blocks that the dispatcher jumps to for [`SELECTORS`]; no dispatcher when empty.
    pub(crate) entries: Vec<u8>,
    pub(crate) blocks: Vec<(Vec<Step>, End)>,
}

impl Program {
    /// Puts the program together.
    pub(crate) fn code(&self) -> Vec<u8> {
        let mut assembler = Assembler::default();
        if !self.entries.is_empty() {
            assembler.raw(&[op::PUSH0, op::CALLDATALOAD, op::PUSH1, 224, op::SHR]);
        }
        for (entry, selector) in (1..=self.entries.len()).zip(SELECTORS) {
            assembler.raw(&[op::DUP1, op::PUSH4]);
            assembler.raw(&selector.to_be_bytes());
            assembler.raw(&[op::EQ]);
            assembler.label(entry);
            assembler.raw(&[op::JUMPI]);
        }
        assembler.label(0);
        assembler.raw(&[op::JUMP]);
        // Every way in sets up the words that blocks count on, over the return address that ends the program.
        for entry in 0..=self.entries.len() {
            assembler.place(entry);
            assembler.label(self.entries.len() + 1);
            for word in 0..BASE {
                assembler.input(word as u8);
            }
            assembler.label(self.block(if entry == 0 { 0 } else { self.entries[entry - 1] }));
            assembler.raw(&[op::JUMP]);
        }
        assembler.place(self.entries.len() + 1);
        assembler.raw(&[op::STOP]);
        for (index, (steps, end)) in self.blocks.iter().enumerate() {
            assembler.place(self.entries.len() + 2 + index);
            assembler.height = BASE;
            for step in steps {
                assembler.step(step);
            }
            self.end(&mut assembler, index, end);
        }
        assembler.place(self.block(self.blocks.len() as u8));
        assembler.raw(&[op::PUSH0, op::MLOAD, op::PUSH0, op::SSTORE, op::STOP]);
        assembler.finish()
    }

    /// The label of a block; the one past the last stops.
    fn block(&self, index: u8) -> usize {
        self.entries.len() + 2 + usize::from(index) % (self.blocks.len() + 1)
    }

    fn end(&self, assembler: &mut Assembler, index: usize, end: &End) {
        let next = self.block(index as u8 + 1);
        match *end {
            End::Halt(opcode @ (op::RETURN | op::REVERT)) => {
                assembler.operands(1);
                assembler.raw(&[op::PUSH0, op::MSTORE, op::PUSH1, 64, op::PUSH0, opcode]);
            }
            End::Halt(opcode) => {
                assembler.operands(OpCode::new(opcode).map_or(0, |op| usize::from(op.inputs())));
                assembler.raw(&[opcode]);
            }
            End::Branch(to) => {
                assembler.settle(BASE + 1);
                assembler.label(self.block(to));
                assembler.raw(&[op::JUMPI]);
                assembler.label(next);
                assembler.raw(&[op::JUMP]);
            }
            End::Loop(to) => {
                assembler.settle(BASE);
                assembler.raw(&[op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1]);
                assembler.label(self.block(to));
                assembler.raw(&[op::JUMPI]);
                assembler.label(next);
                assembler.raw(&[op::JUMP]);
            }
            End::Fall | End::Jump(_) => {
                assembler.settle(BASE);
                assembler.label(if let End::Jump(to) = *end { self.block(to) } else { next });
                assembler.raw(&[op::JUMP]);
            }
            End::Enter(to) => {
                assembler.settle(BASE);
                assembler.label(next);
                assembler.raw(&[op::SWAP3]);
                assembler.label(self.block(to));
                assembler.raw(&[op::JUMP]);
            }
            End::Leave => {
                assembler.settle(BASE);
                assembler.raw(&[op::SWAP3, op::JUMP]);
            }
        }
    }
}

#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    /// Where each label stands.
    places: Vec<(usize, usize)>,
    /// Where a label has to be filled in.
    holes: Vec<(usize, usize)>,
    /// Words on the stack that belong to the block.
    height: usize,
}

impl Assembler {
    fn raw(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    fn push(&mut self, word: U256) {
        let bytes = word.to_be_bytes::<32>();
        let length = word.byte_len();
        self.code.push(op::PUSH0 + length as u8);
        self.raw(&bytes[32 - length..]);
        self.height += 1;
    }

    fn number(&mut self, number: u16) {
        self.push(U256::from(number));
    }

    fn input(&mut self, word: u8) {
        self.number(4 + 32 * u16::from(word));
        self.raw(&[op::CALLDATALOAD]);
    }

    fn label(&mut self, label: usize) {
        self.code.push(op::PUSH2);
        self.holes.push((self.code.len(), label));
        self.raw(&[0, 0]);
    }

    fn place(&mut self, label: usize) {
        self.places.push((label, self.code.len()));
        self.code.push(op::JUMPDEST);
    }

    /// Pushes what is missing to `count` operands.
    fn operands(&mut self, count: usize) {
        let mut word = 0;
        while self.height < count {
            self.input(word);
            word += 1;
        }
    }

    /// Pops or pushes until the block has exactly `height` words.
    fn settle(&mut self, height: usize) {
        self.operands(height);
        while self.height > height {
            self.raw(&[op::POP]);
            self.height -= 1;
        }
    }

    fn plain(&mut self, opcode: u8) {
        let Some(info) = OpCode::new(opcode) else { return };
        self.operands(usize::from(info.inputs()));
        self.raw(&[opcode]);
        self.height = self.height - usize::from(info.inputs()) + usize::from(info.outputs());
    }

    fn step(&mut self, step: &Step) {
        // The words of a block stay in reach of DUP and SWAP.
        if self.height > 12 {
            self.settle(8);
        }
        match *step {
            Step::Push(word) => self.push(word),
            Step::Input(word) => self.input(word % 6),
            Step::Plain(opcode) => self.plain(opcode),
            Step::Dup(place) => {
                self.operands(1);
                self.code.push(op::DUP1 + (usize::from(place) % self.height) as u8);
                self.height += 1;
            }
            Step::Swap(place) => {
                self.operands(2);
                self.code.push(op::SWAP1 + (usize::from(place) % (self.height - 1)) as u8);
            }
            Step::Small(mask) => {
                self.operands(1);
                self.number(mask);
                self.plain(op::AND);
            }
            Step::Memory(opcode, at) => {
                self.operands(1);
                self.number(at);
                self.plain(opcode);
            }
            Step::Hash => {
                self.operands(2);
                self.raw(&[op::PUSH0, op::MSTORE, op::PUSH1, 32, op::MSTORE]);
                self.raw(&[op::PUSH1, 64, op::PUSH0, op::KECCAK256]);
                self.height -= 1;
            }
            Step::HashMemory { at, length } => {
                self.number(length);
                self.number(at);
                self.plain(op::KECCAK256);
            }
            Step::Slot(opcode, slot) => {
                self.operands(1);
                self.number(u16::from(slot));
                self.plain(opcode);
            }
            Step::Copy { copy, to, from, length } => {
                self.number(length);
                self.number(from);
                self.number(to);
                self.plain(copy);
            }
            Step::Call { call, at, length, out } => {
                self.operands(1);
                self.raw(&[op::PUSH1, out, op::PUSH1, 0x40]);
                self.number(length);
                self.number(at);
                self.height -= 2;
                if matches!(call, op::CALL | op::CALLCODE) {
                    self.raw(&[op::PUSH0, op::DUP6]);
                } else {
                    self.raw(&[op::DUP5]);
                }
                self.raw(&[op::GAS, call]);
                self.height += 1;
            }
            Step::Field { slot, from, to } => {
                let (from, to) = (from.min(to), from.max(to) + 1);
                let width = U256::MAX >> (256 - 8 * usize::from(to - from));
                self.operands(1);
                self.push(width);
                self.plain(op::AND);
                self.number(8 * u16::from(from));
                self.plain(op::SHL);
                self.number(u16::from(slot));
                self.plain(op::SLOAD);
                self.push(!(width << (8 * usize::from(from))));
                self.plain(op::AND);
                self.plain(op::OR);
                self.number(u16::from(slot));
                self.plain(op::SSTORE);
            }
            Step::Bump { slot, subtract } => {
                self.operands(1);
                self.number(u16::from(slot));
                self.plain(op::SLOAD);
                self.plain(if subtract { op::SUB } else { op::ADD });
                self.number(u16::from(slot));
                self.plain(op::SSTORE);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        for (hole, label) in &self.holes {
            let place = self.places.iter().find(|place| place.0 == *label).map_or(0, |place| place.1);
            self.code[*hole..*hole + 2].copy_from_slice(&(place as u16).to_be_bytes());
        }
        self.code
    }
}

const STATEFUL: [u8; 22] = [
    op::SLOAD,
    op::SSTORE,
    op::SLOAD,
    op::SSTORE,
    op::TLOAD,
    op::TSTORE,
    op::CALLER,
    op::CALLVALUE,
    op::ADDRESS,
    op::CALLDATASIZE,
    op::CALLDATALOAD,
    op::TIMESTAMP,
    op::SELFBALANCE,
    op::BALANCE,
    op::POP,
    op::GAS,
    op::MSIZE,
    op::RETURNDATASIZE,
    op::EXTCODESIZE,
    op::PC,
    op::CODESIZE,
    op::NUMBER,
];

fn place() -> impl Strategy<Value = u16> {
    prop_oneof![
        4 => prop::sample::select(vec![0u16, 0x20, 0x40, 0x60, 0x80]),
        1 => 0u16..0xa0,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let field = (0u8..3, 0u8..32, 0u8..32).prop_map(|(slot, from, to)| Step::Field { slot, from, to });
    let copies = vec![op::CALLDATACOPY, op::CODECOPY, op::RETURNDATACOPY, op::MCOPY];
    let copy = (prop::sample::select(copies), place(), place(), place())
        .prop_map(|(copy, to, from, length)| Step::Copy { copy, to, from, length });
    let calls = vec![op::CALL, op::DELEGATECALL, op::STATICCALL, op::CALLCODE];
    let call = (prop::sample::select(calls), place(), place(), prop::sample::select(vec![0u8, 32, 64]))
        .prop_map(|(call, at, length, out)| Step::Call { call, at, length, out });
    let memory = prop::sample::select(vec![op::MLOAD, op::MSTORE, op::MSTORE8]);
    let storage =
        prop::sample::select(vec![op::SLOAD, op::SSTORE, op::SLOAD, op::SSTORE, op::TLOAD, op::TSTORE]);
    prop_oneof![
        4 => constant().prop_map(Step::Push),
        4 => any::<u8>().prop_map(Step::Input),
        6 => prop::sample::select(PURE.to_vec()).prop_map(Step::Plain),
        5 => prop::sample::select(STATEFUL.to_vec()).prop_map(Step::Plain),
        3 => any::<u8>().prop_map(Step::Dup),
        2 => any::<u8>().prop_map(Step::Swap),
        2 => prop::sample::select(vec![0u16, 1, 3, 0x1f, 0x3f, 0x60, 0xff]).prop_map(Step::Small),
        4 => (memory.clone(), place()).prop_map(|(opcode, at)| Step::Memory(opcode, at)),
        // At a place from the stack, small at times.
        1 => memory.prop_map(Step::Plain),
        3 => Just(Step::Hash),
        1 => (place(), place()).prop_map(|(at, length)| Step::HashMemory { at, length }),
        5 => (storage, 0u8..4).prop_map(|(opcode, slot)| Step::Slot(opcode, slot)),
        1 => copy,
        1 => call,
        1 => field,
        1 => (0u8..3, any::<bool>()).prop_map(|(slot, subtract)| Step::Bump { slot, subtract }),
    ]
}

fn end() -> impl Strategy<Value = End> {
    let halts = vec![op::STOP, op::RETURN, op::REVERT, op::REVERT, op::INVALID, op::SELFDESTRUCT];
    prop_oneof![
        2 => Just(End::Fall),
        6 => (0u8..8).prop_map(End::Branch),
        2 => (0u8..8).prop_map(End::Loop),
        1 => (0u8..8).prop_map(End::Jump),
        2 => (0u8..8).prop_map(End::Enter),
        2 => Just(End::Leave),
        2 => prop::sample::select(halts).prop_map(End::Halt),
    ]
}

/// Random programs.
pub(crate) fn program() -> impl Strategy<Value = Program> {
    let block = (prop::collection::vec(step(), 0..9), end());
    (prop::collection::vec(0u8..8, 0..=SELECTORS.len()), prop::collection::vec(block, 1..8))
        .prop_map(|(entries, blocks)| Program { entries, blocks })
}
