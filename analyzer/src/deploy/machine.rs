//! One way through a constructor.
//!
//! In: code, and a machine somewhere in it. Out: how the way ends, and further machines for the ways that it did not take
//! where something that nobody knows decides. Arithmetic is revm's, by `fold`.

use std::{collections::VecDeque, rc::Rc};

use alloy_primitives::{U256, keccak256};
use revm_bytecode::{OpCode, opcode as op};
use rustc_hash::FxHashMap;

use super::memory::{ByteOrigin, CodeByte, ConstructorMemory, Word};
use crate::{code::Code, fold::Folder};

/// Bytes of arguments that are taken to stand behind the code, whatever else does: nearly all constructors need fewer.
const ARGUMENTS: usize = 512;

/// How far beyond its guessed end a copy of unknown length may reach.
const BEYOND: usize = 1024;

/// The deepest stack.
const STACK: usize = 1024;

/// The most ways that wait.
const WAITING: usize = 256;

/// How a way ends.
pub(super) enum Ending {
    /// By a return of these bytes.
    Returned(Vec<CodeByte>),
    /// In any other way.
    Otherwise,
    /// Nothing more may be run.
    OutOfRoom,
}

/// What all ways share.
pub(super) struct StepsLeft {
    steps: u64,
    folder: Folder,
    /// The tags of words by how they came about, so that equal ones have equal tags.
    tags: FxHashMap<Cause, u32>,
    last: u32,
}

/// How a word that is not known came about.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Cause {
    /// By an instruction on operands.
    Result(u8, [Word; 3]),
    /// It stands behind the code, at this word.
    Argument(u32),
}

impl StepsLeft {
    pub(super) fn new(steps: u64) -> Self {
        Self { steps, folder: Folder::default(), tags: FxHashMap::default(), last: 0 }
    }

    fn fresh(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    /// The first of so many fresh tags.
    fn fresh_row(&mut self, count: usize) -> u32 {
        let first = self.last + 1;
        self.last += count as u32;
        first
    }

    fn tag_of(&mut self, cause: Cause) -> u32 {
        if let Some(tag) = self.tags.get(&cause) {
            return *tag;
        }
        let tag = self.fresh();
        self.tags.insert(cause, tag);
        tag
    }

    /// A word that nobody knows and that is not asked for again.
    fn guess(&mut self, value: u64) -> Word {
        Word { value: U256::from(value), tag: self.fresh() }
    }

    /// A word that nobody knows, the same each time it is asked for.
    fn constant(&mut self, opcode: u8, value: U256) -> Word {
        let zero = Word::known(U256::ZERO);
        Word { value, tag: self.tag_of(Cause::Result(opcode, [zero; 3])) }
    }

    /// A pure instruction.
    fn pure(&mut self, opcode: u8, operands: &[Word]) -> Option<Word> {
        let mut values = [U256::ZERO; 3];
        let mut words = [Word::known(U256::ZERO); 3];
        for (at, operand) in operands.iter().enumerate() {
            (values[at], words[at]) = (operand.value, *operand);
        }
        let value = self.folder.fold(opcode, &values[..operands.len()])?;
        if operands.iter().all(|operand| operand.tag == 0) {
            return Some(Word::known(value));
        }
        Some(Word { value, tag: self.tag_of(Cause::Result(opcode, words)) })
    }
}

/// The state of one way.
#[derive(Clone, Default)]
pub(super) struct ConstructorMachine {
    /// The index of the next instruction.
    next: usize,
    stack: Vec<Word>,
    memory: Rc<ConstructorMemory>,
    /// Words that were stored, as guesses for when they are loaded.
    storage: FxHashMap<U256, U256>,
    /// Whether a call was made, after which there may be data that was returned.
    has_called: bool,
}

impl ConstructorMachine {
    /// Follows the way to its end.
    pub(super) fn run(mut self, code: &Code, room: &mut StepsLeft, ways: &mut VecDeque<Self>) -> Ending {
        loop {
            let Some(instruction) = code.instructions.get(self.next) else { return Ending::Otherwise };
            if room.steps == 0 {
                return Ending::OutOfRoom;
            }
            room.steps -= 1;
            self.next += 1;
            let done = match instruction.opcode {
                op::RETURN => {
                    let cells = self.returned();
                    return cells.map_or(Ending::Otherwise, Ending::Returned);
                }
                op::STOP | op::REVERT | op::INVALID | op::SELFDESTRUCT => return Ending::Otherwise,
                op::JUMP => self.pop().and_then(|target| self.jump(code, target)),
                op::JUMPI => self.branch(code, ways),
                opcode => self.step(code, opcode, instruction.immediate, instruction.pc.0, room),
            };
            if done.is_none() || self.stack.len() > STACK {
                return Ending::Otherwise;
            }
        }
    }

    fn pop(&mut self) -> Option<Word> {
        self.stack.pop()
    }

    fn memory(&mut self) -> &mut ConstructorMemory {
        Rc::make_mut(&mut self.memory)
    }

    fn returned(&mut self) -> Option<Vec<CodeByte>> {
        let (at, length) = (self.pop()?, self.pop()?);
        self.memory().stretch(at.value, length.value).map(|cells| cells.to_vec())
    }

    fn jump(&mut self, code: &Code, target: Word) -> Option<()> {
        self.next = code.destination(&target.value)?;
        Some(())
    }

    /// Goes the likelier way, and leaves the other one for later where a guess decides.
    fn branch(&mut self, code: &Code, ways: &mut VecDeque<Self>) -> Option<()> {
        let (target, condition) = (self.pop()?, self.pop()?);
        let jumps = !condition.value.is_zero();
        if condition.tag != 0 && ways.len() < WAITING {
            let mut other = self.clone();
            if jumps || other.jump(code, target).is_some() {
                ways.push_back(other);
            }
        }
        if jumps { self.jump(code, target) } else { Some(()) }
    }

    /// Any instruction that goes on with the next one.
    fn step(
        &mut self,
        code: &Code,
        opcode: u8,
        immediate: U256,
        pc: u32,
        room: &mut StepsLeft,
    ) -> Option<()> {
        let word = match opcode {
            op::PUSH0..=op::PUSH32 => Word::known(immediate),
            op::DUP1..=op::DUP16 => {
                let at = self.stack.len().checked_sub(usize::from(opcode - op::DUP1) + 1)?;
                self.stack[at]
            }
            op::SWAP1..=op::SWAP16 => {
                let top = self.stack.len().checked_sub(1)?;
                let other = top.checked_sub(usize::from(opcode - op::SWAP1) + 1)?;
                self.stack.swap(top, other);
                return Some(());
            }
            op::POP => return self.pop().map(drop),
            op::JUMPDEST => return Some(()),
            op::PC => Word::known(U256::from(pc)),
            op::MSIZE => Word::known(U256::from(self.memory.size())),
            // A creation has no calldata.
            op::CALLDATASIZE => Word::known(U256::ZERO),
            op::CALLDATALOAD => {
                self.pop()?;
                Word::known(U256::ZERO)
            }
            op::RETURNDATASIZE if !self.has_called => Word::known(U256::ZERO),
            op::RETURNDATASIZE => room.guess(32),
            op::CODESIZE => {
                room.constant(opcode, U256::from(code.bytes.len().next_multiple_of(32) + ARGUMENTS))
            }
            op::MLOAD => {
                let at = self.pop()?;
                let word = self.memory().load(at.value, |value| Word { value, tag: room.fresh() })?;
                // At a place that was guessed other words may stand.
                if at.tag == 0 || word.tag != 0 { word } else { Word { tag: room.fresh(), ..word } }
            }
            op::MSTORE => {
                let (at, word) = (self.pop()?, self.pop()?);
                return self.memory().store(at.value, word);
            }
            op::MSTORE8 => {
                let (at, word) = (self.pop()?, self.pop()?);
                let cells = self.memory().stretch(at.value, U256::from(1))?;
                cells[0] =
                    CodeByte { value: word.value.byte(0), tag: word.tag, part: 31, ..CodeByte::default() };
                return Some(());
            }
            op::CODECOPY | op::CALLDATACOPY | op::RETURNDATACOPY | op::MCOPY => {
                let (to, from, length) = (self.pop()?, self.pop()?, self.pop()?);
                return self.copy(code, opcode, [to, from, length], room);
            }
            op::EXTCODECOPY => {
                self.pop()?;
                let (to, from, length) = (self.pop()?, self.pop()?, self.pop()?);
                return self.copy(code, opcode, [to, from, length], room);
            }
            op::KECCAK256 => {
                let (at, length) = (self.pop()?, self.pop()?);
                self.hash(at, length, room)?
            }
            op::SLOAD => {
                let slot = self.pop()?;
                let value = self.storage.get(&slot.value).copied().unwrap_or_default();
                Word { value, tag: room.fresh() }
            }
            op::SSTORE => {
                let (slot, value) = (self.pop()?, self.pop()?);
                self.storage.insert(slot.value, value.value);
                return Some(());
            }
            op::CREATE | op::CREATE2 | op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => {
                return self.call(opcode, room);
            }
            _ => return self.other(opcode, room),
        };
        self.stack.push(word);
        Some(())
    }

    /// A pure instruction, or one that asks the chain for something or tells it something.
    fn other(&mut self, opcode: u8, room: &mut StepsLeft) -> Option<()> {
        let info = OpCode::new(opcode)?.info();
        if info.immediate_size() > 0 {
            return None;
        }
        let mut operands = Vec::with_capacity(3);
        for _ in 0..info.inputs() {
            operands.push(self.pop()?);
        }
        if info.outputs() == 0 {
            return Some(());
        }
        let is_pure = matches!(opcode, op::ADD..=op::SIGNEXTEND | op::LT..=op::CLZ);
        let word = match opcode {
            _ if is_pure => room.pure(opcode, &operands)?,
            // Addresses that are none of anybody's; amounts that no constructor without a price is sent.
            op::ADDRESS | op::CALLER | op::ORIGIN => room
                .constant(opcode, (U256::from(0xacc0_u32 + u32::from(opcode)) << 144) | U256::from(opcode)),
            op::CALLVALUE => room.constant(opcode, U256::ZERO),
            op::CHAINID => room.constant(opcode, U256::from(1)),
            op::TIMESTAMP => room.constant(opcode, U256::from(1_750_000_000_u64)),
            op::NUMBER => room.constant(opcode, U256::from(22_000_000_u64)),
            // Code, money and gas are more likely to be there than not.
            op::EXTCODESIZE => room.guess(1_000),
            op::GAS => room.guess(20_000_000),
            _ => room.guess(1),
        };
        self.stack.push(word);
        Some(())
    }

    /// A call or a creation: it succeeds with something that nobody knows.
    fn call(&mut self, opcode: u8, room: &mut StepsLeft) -> Option<()> {
        let inputs = OpCode::new(opcode)?.info().inputs();
        let mut operands = Vec::with_capacity(7);
        for _ in 0..inputs {
            operands.push(self.pop()?);
        }
        self.has_called = true;
        if !matches!(opcode, op::CREATE | op::CREATE2)
            && let [.., at, length] = operands[..]
        {
            self.forget(at, length, room)?;
        }
        let success = room.guess(1);
        self.stack.push(success);
        Some(())
    }

    /// A stretch of memory now holds what nobody knows.
    fn forget(&mut self, at: Word, length: Word, room: &mut StepsLeft) -> Option<()> {
        let cells = self.memory().stretch(at.value, length.value)?;
        let first = room.fresh_row(cells.len().div_ceil(32));
        for (index, cell) in cells.iter_mut().enumerate() {
            let (tag, part) = part_of(first, index);
            *cell = CodeByte { tag, part, ..CodeByte::default() };
        }
        Some(())
    }

    fn copy(&mut self, code: &Code, opcode: u8, operands: [Word; 3], room: &mut StepsLeft) -> Option<()> {
        let [to, from, length] = operands;
        let start = usize::try_from(from.value).unwrap_or(usize::MAX);
        let source = (opcode == op::MCOPY)
            .then(|| self.memory().stretch(from.value, length.value).map(|cells| cells.to_vec()));
        let source = match source {
            Some(cells) => cells?,
            None => Vec::new(),
        };
        let cells = self.memory().stretch(to.value, length.value)?;
        let first = room.fresh_row(cells.len().div_ceil(32));
        for (index, cell) in cells.iter_mut().enumerate() {
            let (tag, part) = part_of(first, index);
            let at = start.saturating_add(index);
            *cell = match opcode {
                op::MCOPY => source[index],
                op::CALLDATACOPY => CodeByte::default(),
                op::CODECOPY if from.tag == 0 && at < code.bytes.len() => CodeByte {
                    value: code.bytes[at],
                    origin: ByteOrigin::Code(at as u32),
                    ..CodeByte::default()
                },
                op::CODECOPY if from.tag == 0 => {
                    let behind = at - code.bytes.len();
                    let tag = room.tag_of(Cause::Argument((behind / 32) as u32));
                    CodeByte { tag, part: (behind % 32) as u8, ..CodeByte::default() }
                }
                op::EXTCODECOPY => CodeByte {
                    tag,
                    part,
                    origin: ByteOrigin::OtherCode(u32::try_from(at).unwrap_or(u32::MAX)),
                    ..CodeByte::default()
                },
                _ => CodeByte { tag, part, ..CodeByte::default() },
            };
        }
        if length.tag != 0 && opcode != op::CALLDATACOPY {
            // How far it reaches was a guess: what lies behind may be part of it.
            let end = to.value.saturating_add(length.value);
            let behind = self.memory().stretch(end, U256::from(BEYOND))?;
            let first = room.fresh_row(BEYOND / 32);
            for (index, cell) in behind.iter_mut().enumerate() {
                let (tag, part) = part_of(first, index);
                *cell = CodeByte { value: cell.value, tag, part, origin: ByteOrigin::Elsewhere };
            }
        }
        Some(())
    }

    fn hash(&mut self, at: Word, length: Word, room: &mut StepsLeft) -> Option<Word> {
        let cells = self.memory().stretch(at.value, length.value)?;
        let bytes: Vec<u8> = cells.iter().map(|cell| cell.value).collect();
        let is_known = at.tag == 0 && length.tag == 0 && cells.iter().all(|cell| cell.tag == 0);
        let value = U256::from_be_bytes(keccak256(bytes).0);
        Some(if is_known { Word::known(value) } else { Word { value, tag: room.fresh() } })
    }
}

/// Which byte of which word it is, where words in a row have tags from `first` on.
fn part_of(first: u32, index: usize) -> (u32, u8) {
    (first + (index / 32) as u32, (index % 32) as u8)
}
