//! Random programs that reach deep: structured code that never underflows, with branches, loops, internal functions,
//! computed jumps, hashing, copies, calls, creations and self-destructs.
//!
//! In: choices, and what the program can know of its surroundings. Out: bytecode. A body keeps its locals at the bottom of
//! its part of the stack; every statement leaves the stack as it was, every expression adds one word. Programs end by
//! themselves or run out of gas or stack.

use alloy_primitives::{Address, U256};
use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};

use crate::assembler::{Assembler, Label};
use crate::choices::Choices;

/// Words at the bottom of the stack of every body.
const LOCALS: usize = 3;

/// How high the stack of a body may grow: as far as `DUP` reaches.
const MAX_HEIGHT: usize = 13;

/// How many internal functions a program has at the most.
const MAX_FUNCTIONS: usize = 3;

/// Selectors that dispatchers compare with, and calls start with.
pub(crate) const SELECTORS: [u32; 3] = [0x0102_0304, 0xa905_9cbb, 0x70a0_8231];

/// What a program can know of its surroundings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// The fork.
    pub(crate) spec: SpecId,
    /// Accounts that exist.
    pub(crate) accounts: &'a [Address],
}

/// A program that runs when its account is called.
pub(crate) fn program(choices: &mut Choices<'_>, around: Surroundings<'_>) -> Vec<u8> {
    let statements = 2 + choices.below(24);
    Writer::new(choices, around, statements, 0).program()
}

/// A program that runs once, and returns the code of the account that it creates.
pub(crate) fn creation(choices: &mut Choices<'_>, around: Surroundings<'_>, nesting: u32) -> Vec<u8> {
    let runtime = Writer::new(choices, around, 3, nesting + 1).program();
    Writer::new(choices, around, 2, nesting + 1).creation(&runtime)
}

struct Writer<'a, 'b> {
    choices: &'a mut Choices<'b>,
    around: Surroundings<'a>,
    out: Assembler,
    /// Words on the stack from the first local on.
    height: usize,
    /// Statements that may still be written.
    left: usize,
    /// How deep statements stand in one another.
    depth: usize,
    /// How deep this program stands in the data of others.
    nesting: u32,
    /// The internal functions so far.
    functions: Vec<Label>,
    /// Creation codes to append, with where they start.
    data: Vec<(Label, Vec<u8>)>,
    /// Places that were jumped to already.
    heads: Vec<Label>,
}

impl<'a, 'b> Writer<'a, 'b> {
    fn new(choices: &'a mut Choices<'b>, around: Surroundings<'a>, left: usize, nesting: u32) -> Self {
        // Old forks now and then meet newer code, which halts there.
        let modern = around.spec.is_enabled_in(SpecId::SHANGHAI);
        let out = Assembler::new(modern || choices.once_in(60));
        Self {
            choices,
            around,
            out,
            height: 0,
            left,
            depth: 0,
            nesting,
            functions: Vec::new(),
            data: Vec::new(),
            heads: Vec::new(),
        }
    }

    fn has(&mut self, since: SpecId) -> bool {
        self.around.spec.is_enabled_in(since) || self.choices.once_in(60)
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.raw(bytes);
    }

    fn number(&mut self, number: usize) {
        self.constant(U256::from(number));
    }

    fn constant(&mut self, word: U256) {
        self.out.push(word);
        self.height += 1;
    }

    /// An instruction that takes so many words, all of them there, and leaves so many.
    fn apply(&mut self, opcode: u8, takes: usize, leaves: usize) {
        self.raw(&[opcode]);
        self.height = self.height - takes + leaves;
    }

    fn program(mut self) -> Vec<u8> {
        let entries = self.choices.below(3);
        if entries > 0 {
            self.number(0);
            self.apply(op::CALLDATALOAD, 1, 1);
            if self.has(SpecId::PETERSBURG) {
                self.number(224);
                self.apply(op::SHR, 2, 1);
            } else {
                self.constant(U256::from(1) << 224);
                self.raw(&[op::SWAP1]);
                self.apply(op::DIV, 2, 1);
            }
            for selector in &SELECTORS[..entries] {
                let function = self.function();
                self.raw(&[op::DUP1]);
                self.height += 1;
                self.constant(U256::from(*selector));
                self.apply(op::EQ, 2, 1);
                let entry = self.out.label();
                let next = self.out.label();
                self.out.push_label(entry);
                self.raw(&[op::JUMPI]);
                self.height -= 1;
                self.out.push_label(next);
                self.raw(&[op::JUMP]);
                self.out.place(entry);
                self.enter(function);
                self.raw(&[op::STOP]);
                self.out.place(next);
            }
            self.raw(&[op::POP]);
        }
        self.main();
        if self.choices.once_in(3) {
            self.raw(&[op::STOP]);
        } else {
            self.end();
        }
        self.functions_and_data()
    }

    fn creation(mut self, runtime: &[u8]) -> Vec<u8> {
        self.main();
        let label = self.out.label();
        let length = if self.choices.once_in(12) { 0 } else { runtime.len() };
        self.number(length);
        self.out.push_label(label);
        self.number(0);
        self.raw(&[op::CODECOPY]);
        self.number(length);
        self.number(0);
        self.raw(&[op::RETURN]);
        self.data.push((label, runtime.to_vec()));
        self.functions_and_data()
    }

    fn main(&mut self) {
        self.height = 0;
        for word in 0..LOCALS {
            self.input(word);
        }
        while self.left > 0 {
            self.statements();
        }
    }

    /// Writes the functions that were called, and those that they call, and then the data.
    fn functions_and_data(mut self) -> Vec<u8> {
        let mut written = 0;
        while let Some(label) = self.functions.get(written).copied() {
            written += 1;
            self.out.place(label);
            self.height = LOCALS;
            self.left = 1 + self.choices.below(4);
            self.depth = 0;
            // Jumping from one body into the middle of another would find other words on the stack.
            self.heads.clear();
            self.statements();
            self.raw(&[op::POP, op::POP, op::POP, op::JUMP]);
        }
        self.raw(&[op::INVALID]);
        for (label, bytes) in std::mem::take(&mut self.data) {
            self.out.place_data(label);
            self.raw(&bytes);
        }
        self.out.finish()
    }

    /// An internal function, a new one while there are few.
    fn function(&mut self) -> Label {
        if self.functions.len() < MAX_FUNCTIONS && (self.functions.is_empty() || self.choices.below(2) == 0) {
            let label = self.out.label();
            self.functions.push(label);
            return label;
        }
        let place = self.choices.below(self.functions.len());
        self.functions[place]
    }

    /// Calls an internal function with three words, and comes back.
    fn enter(&mut self, function: Label) {
        let back = self.out.label();
        self.out.push_label(back);
        self.height += 1;
        for word in 0..LOCALS {
            if self.height < MAX_HEIGHT && self.choices.below(2) == 0 {
                self.word(1);
            } else {
                self.input(word);
            }
        }
        self.out.push_label(function);
        self.raw(&[op::JUMP]);
        self.out.place(back);
        self.height -= LOCALS + 1;
    }

    fn statements(&mut self) {
        let count = 1 + self.choices.below(5);
        for _ in 0..count {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.statement();
        }
    }

    fn nested(&mut self) {
        self.depth += 1;
        self.statements();
        self.depth -= 1;
    }

    fn statement(&mut self) {
        let deep = self.depth > 3 || self.height + 2 > MAX_HEIGHT;
        let structured = u8::from(!deep);
        let weights = [
            7,              // store to memory
            8,              // store to a slot
            4,              // add to a slot
            4,              // assign a local
            3,              // copy
            9,              // call
            2,              // create
            7 * structured, // if
            4 * structured, // loop
            3,              // require
            1,              // end
            3 * structured, // computed jump
            1,              // log
            3 * structured, // internal function
            3,              // store to a transient slot
            4,              // load and drop
            2,              // shuffle
            1,              // jump back, or anywhere
        ];
        match self.choices.weighted(&weights) {
            0 => self.store_memory(),
            1 => {
                self.word(2);
                self.slot();
                self.apply(op::SSTORE, 2, 0);
            }
            2 => self.bump(),
            3 => {
                self.word(2);
                self.assign();
            }
            4 => self.copy(),
            5 => self.call(),
            6 => self.create(),
            7 => self.branch(),
            8 => self.repeat(),
            9 => self.require(),
            10 => {
                // Behind a condition, so that what follows is reached.
                let skip = self.out.label();
                self.word(1);
                self.out.push_label(skip);
                self.apply(op::JUMPI, 1, 0);
                let height = self.height;
                self.end();
                self.height = height;
                self.out.place(skip);
            }
            11 => self.computed_jump(),
            12 => {
                self.word(1);
                self.range();
                self.apply(op::LOG1, 3, 0);
            }
            13 => {
                if self.height + LOCALS < MAX_HEIGHT {
                    let function = self.function();
                    self.enter(function);
                }
            }
            14 => {
                if self.has(SpecId::CANCUN) {
                    self.word(2);
                    self.slot();
                    self.apply(op::TSTORE, 2, 0);
                }
            }
            15 => {
                self.slot();
                self.apply(op::SLOAD, 1, 1);
                self.drop_or_keep();
            }
            16 => self.shuffle(),
            _ => self.wild_jump(),
        }
    }

    /// Takes the top word off, or keeps it in memory.
    fn drop_or_keep(&mut self) {
        if self.choices.below(2) == 0 {
            self.apply(op::POP, 1, 0);
        } else {
            self.place();
            self.apply(op::MSTORE, 2, 0);
        }
    }

    fn assign(&mut self) {
        let local = self.choices.below(LOCALS);
        let depth = self.height - 1 - local;
        self.raw(&[op::SWAP1 + depth as u8 - 1]);
        self.apply(op::POP, 1, 0);
    }

    fn store_memory(&mut self) {
        self.word(2);
        self.place();
        let opcode = if self.choices.once_in(6) { op::MSTORE8 } else { op::MSTORE };
        self.apply(opcode, 2, 0);
    }

    /// `slot += word`, or `-=`, the way compilers write it, at times with the overflow check.
    fn bump(&mut self) {
        let slot = self.choices.below(4);
        self.word(1);
        self.number(slot);
        self.apply(op::SLOAD, 1, 1);
        let checked = self.choices.below(2) == 0;
        if checked {
            self.raw(&[op::DUP1, op::DUP3]);
            self.height += 2;
            self.apply(op::ADD, 2, 1);
            self.raw(&[op::DUP2, op::DUP2]);
            self.height += 2;
            self.apply(op::LT, 2, 1);
            self.revert_if();
            self.raw(&[op::SWAP1]);
            self.apply(op::POP, 1, 0);
            self.raw(&[op::SWAP1]);
            self.apply(op::POP, 1, 0);
        } else {
            let opcode = self.choices.pick(&[op::ADD, op::SUB, op::ADD]);
            self.apply(opcode, 2, 1);
        }
        self.number(slot);
        self.apply(op::SSTORE, 2, 0);
    }

    /// Takes the top word off and reverts, or halts, if it is not zero.
    fn revert_if(&mut self) {
        let go_on = self.out.label();
        self.apply(op::ISZERO, 1, 1);
        self.out.push_label(go_on);
        self.apply(op::JUMPI, 1, 0);
        let height = self.height;
        self.fail();
        self.height = height;
        self.out.place(go_on);
    }

    fn fail(&mut self) {
        match self.choices.weighted(&[5, 2, 1, 1]) {
            0 if self.has(SpecId::BYZANTIUM) => {
                self.number(0);
                self.number(0);
                self.raw(&[op::REVERT]);
            }
            1 if self.has(SpecId::BYZANTIUM) => {
                self.raw(&[op::RETURNDATASIZE]);
                self.number(0);
                self.raw(&[op::DUP1, op::RETURNDATACOPY, op::RETURNDATASIZE]);
                self.number(0);
                self.raw(&[op::REVERT]);
            }
            2 => {
                // Touches something before it fails.
                self.slot();
                self.raw(&[op::SLOAD, op::POP, op::INVALID]);
            }
            _ => self.raw(&[op::INVALID]),
        }
    }

    fn require(&mut self) {
        self.word(2);
        if self.choices.below(2) == 0 {
            self.apply(op::ISZERO, 1, 1);
        }
        self.revert_if();
    }

    fn copy(&mut self) {
        let choice = self.choices.below(6);
        match choice {
            0 | 1 => {
                self.length();
                self.place();
                self.place();
                self.apply(op::CALLDATACOPY, 3, 0);
            }
            2 if self.has(SpecId::BYZANTIUM) => {
                if self.choices.once_in(4) {
                    self.length();
                    self.number(0);
                } else {
                    self.raw(&[op::RETURNDATASIZE]);
                    self.height += 1;
                    self.number(0);
                }
                self.place();
                self.apply(op::RETURNDATACOPY, 3, 0);
            }
            3 if self.has(SpecId::CANCUN) => {
                self.length();
                self.place();
                self.place();
                self.apply(op::MCOPY, 3, 0);
            }
            4 => {
                self.length();
                self.number(0);
                self.place();
                self.target();
                self.apply(op::EXTCODECOPY, 4, 0);
            }
            _ => {
                self.length();
                self.place();
                self.place();
                self.apply(op::CODECOPY, 3, 0);
            }
        }
    }

    fn branch(&mut self) {
        let (then, end) = (self.out.label(), self.out.label());
        self.word(2);
        self.out.push_label(then);
        self.apply(op::JUMPI, 1, 0);
        let height = self.height;
        if self.choices.below(2) == 0 {
            self.nested();
        }
        self.height = height;
        self.out.push_label(end);
        self.raw(&[op::JUMP]);
        self.out.place(then);
        self.nested();
        self.height = height;
        self.out.place(end);
    }

    fn repeat(&mut self) {
        let head = self.out.label();
        if self.choices.below(2) == 0 {
            let times = 1 + self.choices.below(4);
            self.number(times);
        } else {
            self.word(1);
            self.number(3);
            self.apply(op::AND, 2, 1);
            self.number(1);
            self.apply(op::ADD, 2, 1);
        }
        self.out.place(head);
        self.nested();
        self.number(1);
        self.raw(&[op::SWAP1]);
        self.apply(op::SUB, 2, 1);
        self.raw(&[op::DUP1]);
        self.height += 1;
        self.out.push_label(head);
        self.apply(op::JUMPI, 1, 0);
        self.apply(op::POP, 1, 0);
    }

    /// A jump to one of two places, which are told apart by arithmetic.
    fn computed_jump(&mut self) {
        let (first, second, end) = (self.out.label(), self.out.label(), self.out.label());
        self.word(1);
        self.apply(op::ISZERO, 1, 1);
        match self.choices.below(3) {
            0 => {
                // first ^ (zero * (first ^ second))
                self.out.push_label(first);
                self.out.push_label(second);
                self.raw(&[op::XOR, op::MUL]);
                self.out.push_label(first);
                self.raw(&[op::XOR]);
            }
            1 => {
                // Through memory.
                self.out.push_label(first);
                self.number(0);
                self.raw(&[op::MSTORE]);
                self.out.push_label(second);
                self.number(32);
                self.raw(&[op::MSTORE]);
                self.number(32);
                self.raw(&[op::MUL, op::MLOAD]);
                self.height -= 3;
            }
            _ => {
                // Both on the stack, and the condition takes its pick.
                self.out.push_label(second);
                self.out.push_label(first);
                self.raw(&[op::SUB, op::MUL]);
                self.out.push_label(second);
                self.raw(&[op::ADD]);
            }
        }
        self.apply(op::JUMP, 1, 0);
        let height = self.height;
        self.out.place(first);
        self.nested();
        self.height = height;
        self.out.push_label(end);
        self.raw(&[op::JUMP]);
        self.out.place(second);
        self.nested();
        self.height = height;
        self.out.place(end);
    }

    /// A jump that may go back, and one that goes where calldata says.
    fn wild_jump(&mut self) {
        if self.height == LOCALS && self.depth == 0 {
            let head = self.out.label();
            self.out.place(head);
            self.heads.push(head);
        }
        let go_on = self.out.label();
        self.word(1);
        self.out.push_label(go_on);
        self.apply(op::JUMPI, 1, 0);
        let height = self.height;
        let back = self.height == LOCALS && self.choices.below(2) == 0;
        if let Some(head) = self.heads.last().copied().filter(|_| back) {
            self.out.push_label(head);
        } else {
            self.word(1);
        }
        self.raw(&[op::JUMP]);
        self.height = height;
        self.out.place(go_on);
    }

    fn shuffle(&mut self) {
        let base = self.height;
        for _ in 0..2 {
            self.word(1);
        }
        for _ in 0..self.choices.below(6) {
            match self.choices.below(3) {
                0 if self.height < MAX_HEIGHT => {
                    let depth = self.choices.below(self.height.min(16));
                    self.raw(&[op::DUP1 + depth as u8]);
                    self.height += 1;
                }
                1 => {
                    let depth = self.choices.below((self.height - 1).min(16));
                    self.raw(&[op::SWAP1 + depth as u8]);
                }
                _ if self.height > LOCALS + 2 => {
                    let opcode = self.choices.pick(&BINARY);
                    self.apply(opcode, 2, 1);
                }
                _ => {}
            }
        }
        while self.height < base {
            self.number(2);
        }
        while self.height > base {
            self.assign();
        }
    }

    /// Ends the frame.
    fn end(&mut self) {
        match self.choices.weighted(&[3, 8, 1, 1]) {
            0 => self.raw(&[op::STOP]),
            1 => {
                self.range();
                self.apply(op::RETURN, 2, 0);
            }
            2 => {
                self.target();
                self.apply(op::SELFDESTRUCT, 1, 0);
            }
            _ => self.fail(),
        }
    }

    /// Pushes the gas that a call is given.
    fn gas(&mut self) {
        let small = self.choices.pick(&[2_300, 0, 700, 5_000, 30_000, 100_000]);
        match self.choices.weighted(&[12, 3, 2, 1]) {
            0 if self.around.spec.is_enabled_in(SpecId::TANGERINE) => {
                self.raw(&[op::GAS]);
                self.height += 1;
            }
            0 => {
                // All gas but some: before EIP-150 a call that asks for more than there is fails.
                self.number(20_000);
                self.raw(&[op::GAS]);
                self.height += 1;
                self.apply(op::SUB, 2, 1);
            }
            1 => self.number(small),
            2 => self.number(500_000),
            _ => self.word(1),
        }
    }

    fn call(&mut self) {
        let base = self.height;
        let words = self.choices.below(3);
        let selector = self.choices.pick(&SELECTORS);
        // The input is written only where it would not be left to chance.
        if words > 0 {
            self.constant(U256::from(selector) << 224);
            self.number(0x80);
            self.apply(op::MSTORE, 2, 0);
            for word in 0..words {
                self.word(1);
                self.number(0x84 + 32 * word);
                self.apply(op::MSTORE, 2, 0);
            }
        }
        let opcode = match self.choices.weighted(&[8, 4, 4, 1]) {
            0 => op::CALL,
            1 if self.has(SpecId::HOMESTEAD) => op::DELEGATECALL,
            2 if self.has(SpecId::BYZANTIUM) => op::STATICCALL,
            _ => op::CALLCODE,
        };
        let (out, out_length) =
            (self.choices.pick(&[0_usize, 0x20, 0x40, 0x85]), self.choices.pick(&[32, 0, 64, 7]));
        self.number(out_length);
        self.number(out);
        if words > 0 {
            self.number(4 + 32 * words);
            self.number(0x80);
        } else {
            self.range();
        }
        let carries_value = matches!(opcode, op::CALL | op::CALLCODE);
        if carries_value {
            if self.choices.once_in(4) { self.word(1) } else { self.number(0) }
        }
        if self.height < MAX_HEIGHT {
            self.target();
        } else {
            self.number(4);
        }
        self.gas();
        self.apply(opcode, self.height - base, 1);
        self.outcome();
        if self.choices.once_in(3) {
            self.number(out);
            self.apply(op::MLOAD, 1, 1);
            self.assign();
        }
    }

    /// Takes the result of a call off the stack, in one of the ways that programs do.
    fn outcome(&mut self) {
        match self.choices.weighted(&[3, 3, 3, 1]) {
            0 => self.apply(op::POP, 1, 0),
            1 => {
                self.apply(op::ISZERO, 1, 1);
                self.revert_if();
            }
            2 => self.assign(),
            _ => {
                self.slot();
                self.apply(op::SSTORE, 2, 0);
            }
        }
    }

    fn create(&mut self) {
        if self.nesting > 1 || self.data.len() > 1 {
            return;
        }
        let code = creation(self.choices, self.around, self.nesting);
        let label = self.out.label();
        self.number(code.len());
        self.out.push_label(label);
        self.height += 1;
        self.number(0);
        self.apply(op::CODECOPY, 3, 0);
        self.data.push((label, code.clone()));
        let with_salt = self.choices.below(2) == 0 && self.has(SpecId::PETERSBURG);
        let takes = if with_salt {
            self.word(1);
            4
        } else {
            3
        };
        self.number(code.len());
        self.number(0);
        if self.choices.once_in(4) {
            self.word(1);
        } else {
            self.number(0);
        }
        self.apply(if with_salt { op::CREATE2 } else { op::CREATE }, takes, 1);
        self.outcome();
    }

    /// Pushes one word.
    fn word(&mut self, depth: usize) {
        if self.height >= MAX_HEIGHT {
            self.number(1);
            return;
        }
        let deeper = u8::from(depth > 0);
        let weights =
            [8, 9, 8, 6, 5, 6 * deeper, 2, 12 * deeper, 3 * deeper, 4 * deeper, 3 * deeper, 3 * deeper, 2];
        match self.choices.weighted(&weights) {
            0 => self.likely(),
            1 => {
                let word = self.choices.below(5);
                self.input(word);
            }
            2 => {
                // The dispatcher has no locals.
                let local = self.choices.below(LOCALS).min(self.height - 1);
                let depth = self.height - 1 - local;
                self.raw(&[op::DUP1 + depth as u8]);
                self.height += 1;
            }
            3 => self.environment(),
            4 => {
                self.place();
                self.apply(op::MLOAD, 1, 1);
            }
            5 => {
                self.slot();
                self.apply(op::SLOAD, 1, 1);
            }
            6 => {
                if self.has(SpecId::CANCUN) {
                    self.slot();
                    self.apply(op::TLOAD, 1, 1);
                } else {
                    self.number(0);
                }
            }
            7 => {
                let opcode = self.choices.pick(&BINARY);
                let opcode = if self.has(SpecId::PETERSBURG) { opcode } else { opcode.min(op::BYTE) };
                self.word(depth - 1);
                self.word(depth - 1);
                self.apply(opcode, 2, 1);
            }
            8 => {
                self.word(depth - 1);
                let opcode = self.choices.pick(&[op::ISZERO, op::NOT]);
                self.apply(opcode, 1, 1);
            }
            9 => {
                self.word(depth - 1);
                let mask = self.choices.pick(&[1, 3, 0x1f, 0xff]);
                self.number(mask);
                self.apply(op::AND, 2, 1);
            }
            10 => {
                self.range();
                self.apply(op::KECCAK256, 2, 1);
            }
            11 => {
                let opcode = self.choices.pick(&[op::BALANCE, op::EXTCODESIZE, op::EXTCODEHASH]);
                if opcode == op::EXTCODEHASH && !self.has(SpecId::PETERSBURG) {
                    self.number(0);
                    return;
                }
                self.target();
                self.apply(opcode, 1, 1);
            }
            _ => {
                self.word(0);
                self.word(0);
                self.word(0);
                let opcode = self.choices.pick(&[op::ADDMOD, op::MULMOD]);
                self.apply(opcode, 3, 1);
            }
        }
    }

    /// Pushes a constant at which programs behave differently.
    fn likely(&mut self) {
        let word = match self.choices.weighted(&[6, 3, 2, 1]) {
            0 => U256::from(self.choices.below(5)),
            1 => {
                let account = self.choices.pick(self.around.accounts);
                account.into_word().into()
            }
            2 => self.choices.pick(&[U256::MAX, U256::MAX >> 96, U256::from(0xff), U256::from(1) << 255]),
            _ => U256::from_be_bytes(self.choices.array::<32>()),
        };
        self.constant(word);
    }

    fn input(&mut self, word: usize) {
        self.number(4 + 32 * word);
        self.apply(op::CALLDATALOAD, 1, 1);
    }

    fn environment(&mut self) {
        let known = [
            (op::CALLER, SpecId::FRONTIER),
            (op::ADDRESS, SpecId::FRONTIER),
            (op::CALLVALUE, SpecId::FRONTIER),
            (op::CALLDATASIZE, SpecId::FRONTIER),
            (op::ORIGIN, SpecId::FRONTIER),
            (op::RETURNDATASIZE, SpecId::BYZANTIUM),
            (op::MSIZE, SpecId::FRONTIER),
            (op::SELFBALANCE, SpecId::ISTANBUL),
            (op::GAS, SpecId::FRONTIER),
            (op::TIMESTAMP, SpecId::FRONTIER),
            (op::NUMBER, SpecId::FRONTIER),
            (op::COINBASE, SpecId::FRONTIER),
            (op::GASPRICE, SpecId::FRONTIER),
            (op::CODESIZE, SpecId::FRONTIER),
            (op::CHAINID, SpecId::ISTANBUL),
            (op::BASEFEE, SpecId::LONDON),
            (op::PC, SpecId::FRONTIER),
            (op::DIFFICULTY, SpecId::FRONTIER),
            (op::GASLIMIT, SpecId::FRONTIER),
            (op::BLOBBASEFEE, SpecId::CANCUN),
        ];
        let (opcode, since) = self.choices.pick(&known);
        if self.has(since) {
            self.raw(&[opcode]);
            self.height += 1;
        } else {
            self.number(3);
        }
        if opcode == op::NUMBER && self.choices.below(2) == 0 {
            // Of some block before, or of one that may be out of reach now or in some block to come.
            let back = self.choices.pick(&[1_usize, 2, 256, 257, 0]);
            self.number(back);
            self.raw(&[op::SWAP1]);
            self.apply(op::SUB, 2, 1);
            if self.choices.once_in(3) {
                let number = self.choices.pick(&[999_usize, 744, 743, 1_000, 1_001]);
                self.apply(op::POP, 1, 0);
                self.number(number);
            }
            self.apply(op::BLOCKHASH, 1, 1);
        }
    }

    /// Pushes an account.
    fn target(&mut self) {
        match self.choices.weighted(&[9, 2, 2, 2, 2, 1, 1]) {
            0 => {
                let account = self.choices.pick(self.around.accounts);
                self.constant(account.into_word().into());
            }
            1 => {
                self.raw(&[op::ADDRESS]);
                self.height += 1;
            }
            2 => self.word(1),
            3 => {
                self.slot();
                self.apply(op::SLOAD, 1, 1);
            }
            4 => {
                let precompile = 1 + self.choices.below(18);
                self.number(precompile);
            }
            5 => {
                self.raw(&[op::COINBASE]);
                self.height += 1;
            }
            _ => {
                self.raw(&[op::CALLER]);
                self.height += 1;
            }
        }
    }

    /// Pushes the number of a slot.
    fn slot(&mut self) {
        match self.choices.weighted(&[10, 3, 6, 2]) {
            0 => {
                let slot = self.choices.below(4);
                self.number(slot);
            }
            1 => self.word(1),
            2 => {
                // A mapping.
                self.word(1);
                self.number(0);
                self.apply(op::MSTORE, 2, 0);
                let base = self.choices.below(3);
                self.number(base);
                self.number(32);
                self.apply(op::MSTORE, 2, 0);
                self.number(64);
                self.number(0);
                self.apply(op::KECCAK256, 2, 1);
            }
            _ => {
                // An array.
                let base = self.choices.below(3);
                self.number(base);
                self.number(0x20);
                self.apply(op::MSTORE, 2, 0);
                self.word(0);
                self.number(7);
                self.apply(op::AND, 2, 1);
                self.number(32);
                self.number(0x20);
                self.apply(op::KECCAK256, 2, 1);
                self.apply(op::ADD, 2, 1);
            }
        }
    }

    /// Pushes a place in memory.
    fn place(&mut self) {
        match self.choices.weighted(&[12, 2, 2]) {
            0 => {
                let place = self.choices.pick(&[0_usize, 0x20, 0x40, 0x60, 0x80, 0x84, 0xa4]);
                self.number(place);
            }
            1 => {
                let place = self.choices.below(0xc0);
                self.number(place);
            }
            _ => {
                self.word(1);
                self.number(0xff);
                self.apply(op::AND, 2, 1);
            }
        }
    }

    fn length(&mut self) {
        match self.choices.weighted(&[8, 2, 2, 1]) {
            0 => {
                let length = self.choices.pick(&[32_usize, 64, 0, 4, 36, 1]);
                self.number(length);
            }
            1 => {
                let length = self.choices.below(0xa0);
                self.number(length);
            }
            2 => {
                self.raw(&[op::CALLDATASIZE]);
                self.height += 1;
            }
            _ => {
                self.word(1);
                self.number(0x7f);
                self.apply(op::AND, 2, 1);
            }
        }
    }

    /// Pushes a length and, above it, an offset.
    fn range(&mut self) {
        self.length();
        self.place();
    }
}

const BINARY: [u8; 21] = [
    op::ADD,
    op::MUL,
    op::SUB,
    op::DIV,
    op::SDIV,
    op::MOD,
    op::SMOD,
    op::EXP,
    op::SIGNEXTEND,
    op::LT,
    op::GT,
    op::SLT,
    op::SGT,
    op::EQ,
    op::AND,
    op::OR,
    op::XOR,
    op::BYTE,
    op::SHL,
    op::SHR,
    op::SAR,
];
