//! Executes one basic block on an abstract state.
//!
//! In: the state at the block's first instruction. Out: the events on the way and the way out. Opcode facts (stack
//! effects) come from revm's table; every opcode that this file does not name pops and pushes what the table says and
//! gives an unknown word, so that a new opcode can only make the result less precise.

use std::rc::Rc;

use alloy_primitives::U256;
use revm_bytecode::{OpCode, opcode as op};

use crate::{
    access::CallKind,
    address_order::PhiOrder,
    code::{Code, Pc},
    expression::{Environment, Node as Word, Piece, Sources, Space},
    facts::{cleaned, strip},
    graph::{CallEvent, Event, EventKind, Exit},
    id::{Epoch, ExprId, Site},
    immutable::{Immutable, placeholder},
    memory::{self, Address, Content, Context, Length},
    simplify::Builder,
    slot::{FoldedEntries, recover_preimage, see_slot},
    state::State,
    table,
};

/// The stack limit of the EVM.
const STACK_LIMIT: usize = 1024;

/// Expressions deeper than this are cut: the word becomes unknown, keeping its sources.
const MAX_DEPTH: u32 = 256;

/// What the identity precompile costs, and each word that it copies.
const IDENTITY_GAS: u64 = 15;
const IDENTITY_WORD_GAS: u64 = 3;

/// Instructions that looking for the row of a table counts as.
pub(crate) const TABLE_STEPS: u64 = 512;

/// Input words of a call that are kept as arguments.
const MAX_ARGUMENTS: usize = 16;

/// What executing blocks of one entry shares.
pub(crate) struct Machine<'a> {
    pub(crate) code: &'a Code,
    /// The pushed constant of each instruction.
    pub(crate) immediates: &'a [ExprId],
    /// What deployment fills in.
    pub(crate) immutables: &'a [Immutable],
    pub(crate) folded: &'a mut FoldedEntries,
    pub(crate) builder: &'a mut Builder,
    pub(crate) order: &'a mut PhiOrder,
    /// Large constant slots whose preimage has been looked for.
    pub(crate) recovered: &'a mut rustc_hash::FxHashSet<ExprId>,
    /// Identifies the node in sites.
    pub(crate) node: u32,
    pub(crate) events: Vec<Event>,
    pub(crate) memory_words: Vec<ExprId>,
    /// Instructions executed.
    pub(crate) steps: u64,
}

/// Where a block leaves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It ends here.
    End(Exit),
    /// To the instruction that follows.
    Next(usize),
    /// From the instruction `at` to a computed target.
    Jump { target: ExprId, at: usize },
    /// To a computed target or to the next instruction.
    Branch { target: ExprId, condition: ExprId, next: usize },
}

/// A stack underflow, an unpayable memory access or the like: the call frame halts.
struct Halt;

impl Machine<'_> {
    fn site(&mut self, pc: Pc) -> Site {
        self.builder.expressions.intern_site(self.node, pc)
    }

    fn event(&mut self, pc: Pc, kind: EventKind) {
        self.events.push(Event { pc, kind });
    }

    /// Runs from instruction `index` to the end of the block.
    pub(crate) fn run(&mut self, state: &mut State, index: usize) -> Way {
        let mut index = index;
        loop {
            let Some(instruction) = self.code.instructions.get(index) else {
                return Way::End(success(state, Vec::new(), false, Vec::new()));
            };
            self.steps += 1;
            let (pc, opcode) = (instruction.pc, instruction.opcode);
            if placeholder(self.immutables, pc.0, 1).is_some() {
                // Deployment writes this instruction: where it leads is not known.
                let site = self.site(pc);
                let target = self.builder.unknown(site, Sources::IMMUTABLE);
                return Way::Jump { target, at: index };
            }
            match opcode {
                op::STOP => return Way::End(success(state, Vec::new(), false, Vec::new())),
                op::JUMPDEST => {}
                op::JUMP => {
                    let Some(target) = state.stack.pop() else { return Way::End(Exit::Failure) };
                    return Way::Jump { target, at: index };
                }
                op::JUMPI => {
                    let (Some(target), Some(condition)) = (state.stack.pop(), state.stack.pop()) else {
                        return Way::End(Exit::Failure);
                    };
                    return Way::Branch { target, condition, next: index + 1 };
                }
                op::RETURN => {
                    let Ok((at, length)) = self.range(state) else { return Way::End(Exit::Failure) };
                    let (words, lost) = self.words_in(state, pc, at, length);
                    let returned = self.whole_words(state, pc, at, length);
                    return Way::End(success(state, words, lost, returned));
                }
                op::REVERT | op::INVALID => return Way::End(Exit::Failure),
                op::SELFDESTRUCT => {
                    let Some(beneficiary) = state.stack.pop() else { return Way::End(Exit::Failure) };
                    let beneficiary = self.address_word(beneficiary);
                    self.event(pc, EventKind::SelfDestruct { beneficiary });
                    return Way::End(success(state, Vec::new(), false, Vec::new()));
                }
                op::PUSH0..=op::PUSH32 => state.stack.push(self.immediates[index]),
                op::DUP1..=op::DUP16 => {
                    let depth = usize::from(opcode - op::DUP1) + 1;
                    let Some(position) = state.stack.len().checked_sub(depth) else {
                        return Way::End(Exit::Failure);
                    };
                    state.stack.push(state.stack[position]);
                }
                op::SWAP1..=op::SWAP16 => {
                    let depth = usize::from(opcode - op::SWAP1) + 2;
                    let Some(position) = state.stack.len().checked_sub(depth) else {
                        return Way::End(Exit::Failure);
                    };
                    let top = state.stack.len() - 1;
                    state.stack.swap(position, top);
                }
                op::POP => {
                    if state.stack.pop().is_none() {
                        return Way::End(Exit::Failure);
                    }
                }
                _ => {
                    if self.execute(state, pc, opcode).is_err() {
                        return Way::End(Exit::Failure);
                    }
                }
            }
            if state.stack.len() > STACK_LIMIT {
                return Way::End(Exit::Failure);
            }
            index += 1;
            if self.code.instructions.get(index).is_some_and(|next| next.opcode == op::JUMPDEST) {
                return Way::Next(index);
            }
        }
    }

    /// A range as words; empty where it is not made of whole ones.
    fn whole_words(&mut self, state: &State, pc: Pc, at: Address, length: Length) -> Vec<ExprId> {
        let Length::Fixed(bytes @ 1..=2048) = length else { return Vec::new() };
        let pieces = self.read(state, pc, at, Length::Fixed(bytes));
        let words: Option<Vec<ExprId>> = pieces
            .iter()
            .map(|piece| match *piece {
                Piece::Word { word, from: 0, to: 32 } => Some(word),
                _ => None,
            })
            .collect();
        words.unwrap_or_default()
    }

    fn address_word(&mut self, word: ExprId) -> ExprId {
        self.builder.and_mask(word, (U256::from(1) << 160) - U256::from(1))
    }

    /// Pops an offset and a length.
    fn range(&mut self, state: &mut State) -> Result<(Address, Length), Halt> {
        let (offset, length) = (pop(state)?, pop(state)?);
        self.region(state, offset, length)
    }

    /// A memory range that an instruction touches. Touching it is paid for, so from here on it is known to be small.
    fn region(
        &mut self,
        state: &mut State,
        offset: ExprId,
        length: ExprId,
    ) -> Result<(Address, Length), Halt> {
        let size = memory::length(self.builder, length).ok_or(Halt)?;
        if size == Length::Fixed(0) {
            let zero = self.builder.zero();
            return Ok((Address { base: zero, offset: 0 }, size));
        }
        // With a length that may be zero, the offset is not paid for.
        let paid = if matches!(size, Length::Symbolic(_)) { length } else { offset };
        if !state.facts.is_small(self.builder, paid) {
            Rc::make_mut(&mut state.facts).insert_small(self.builder, paid);
        }
        Ok((memory::address(self.builder, offset).ok_or(Halt)?, size))
    }

    fn words_in(&mut self, state: &State, pc: Pc, at: Address, length: Length) -> (Vec<ExprId>, bool) {
        if length == Length::Fixed(0) {
            return (Vec::new(), false);
        }
        let node = self.node;
        let mut cx =
            Context { builder: self.builder, small: &state.facts.small, order: self.order, node, pc };
        state.memory.words_in(&mut cx, at, length)
    }

    fn read(&mut self, state: &State, pc: Pc, at: Address, length: Length) -> Vec<Piece> {
        let node = self.node;
        let mut cx =
            Context { builder: self.builder, small: &state.facts.small, order: self.order, node, pc };
        state.memory.read(&mut cx, at, length)
    }

    fn write(&mut self, state: &mut State, pc: Pc, at: Address, length: Length, content: Content) {
        let node = self.node;
        let mut cx =
            Context { builder: self.builder, small: &state.facts.small, order: self.order, node, pc };
        Rc::make_mut(&mut state.memory).store(&mut cx, at, length, content);
    }

    fn write_pieces(&mut self, state: &mut State, pc: Pc, at: Address, pieces: &[Piece]) {
        let node = self.node;
        let mut cx =
            Context { builder: self.builder, small: &state.facts.small, order: self.order, node, pc };
        Rc::make_mut(&mut state.memory).store_pieces(&mut cx, at, pieces);
    }

    fn push(&mut self, state: &mut State, pc: Pc, word: ExprId) {
        if self.builder.expressions.depth(word) > MAX_DEPTH {
            let site = self.site(pc);
            let sources = self.builder.expressions.sources(word);
            let unknown = self.builder.unknown(site, sources);
            state.stack.push(unknown);
        } else {
            state.stack.push(word);
        }
    }

    /// Executes an instruction that neither ends the block nor only moves the stack.
    fn execute(&mut self, state: &mut State, pc: Pc, opcode: u8) -> Result<(), Halt> {
        let word = match opcode {
            op::ADD..=op::SMOD
            | op::AND
            | op::EXP
            | op::SIGNEXTEND
            | op::LT..=op::EQ
            | op::OR
            | op::XOR
            | op::BYTE..=op::SAR => {
                let (a, b) = (pop(state)?, pop(state)?);
                self.builder.binary(opcode, a, b)
            }
            op::ISZERO | op::NOT | op::CLZ => {
                let a = pop(state)?;
                self.builder.unary(opcode, a)
            }
            op::ADDMOD | op::MULMOD => {
                let (a, b, c) = (pop(state)?, pop(state)?, pop(state)?);
                self.builder.ternary(opcode, a, b, c)
            }
            op::KECCAK256 => {
                let (at, length) = self.range(state)?;
                let pieces = self.read(state, pc, at, length);
                if let [Piece::Opaque { value, .. }] = *pieces.as_slice() {
                    let site = self.site(pc);
                    let sources = self.builder.expressions.sources(value);
                    self.builder.unknown(site, sources)
                } else {
                    self.builder.keccak(pieces)
                }
            }
            op::CALLDATALOAD => {
                let offset = pop(state)?;
                self.builder.calldata_word(offset)
            }
            op::CODESIZE => self.builder.number(self.code.bytes.len() as u64),
            op::PC => self.builder.number(u64::from(pc.0)),
            op::GAS => {
                let site = self.site(pc);
                self.builder.leaf(Word::Gas(site))
            }
            op::MSIZE => {
                let site = self.site(pc);
                self.builder.leaf(Word::MemorySize(site))
            }
            op::RETURNDATASIZE => match state.returned {
                Some(site) => self.builder.leaf(Word::ReturnSize(site)),
                None => self.builder.zero(),
            },
            op::BLOCKHASH | op::BLOBHASH | op::EXTCODESIZE | op::EXTCODEHASH => {
                let a = pop(state)?;
                let node = match opcode {
                    op::BLOCKHASH => Word::BlockHash(a),
                    op::BLOBHASH => Word::BlobHash(a),
                    op::EXTCODESIZE => Word::CodeSize(self.address_word(a)),
                    _ => Word::CodeHash(self.address_word(a)),
                };
                self.builder.leaf(node)
            }
            op::BALANCE | op::SELFBALANCE => self.balance(state, pc, opcode)?,
            op::MLOAD => {
                let offset = pop(state)?;
                let size = self.builder.number(32);
                let (at, _) = self.region(state, offset, size)?;
                let node = self.node;
                let mut cx =
                    Context { builder: self.builder, small: &state.facts.small, order: self.order, node, pc };
                state.memory.load_word(&mut cx, at)
            }
            op::SLOAD => return self.load(state, pc, Space::Storage),
            op::TLOAD => return self.load(state, pc, Space::Transient),
            op::SSTORE => return self.store(state, pc, Space::Storage),
            op::TSTORE => return self.store(state, pc, Space::Transient),
            op::MSTORE | op::MSTORE8 => return self.store_memory(state, pc, opcode),
            op::CALLDATACOPY | op::CODECOPY | op::RETURNDATACOPY | op::MCOPY => {
                let (to, from, length) = (pop(state)?, pop(state)?, pop(state)?);
                return self.copy(state, pc, opcode, to, from, length);
            }
            op::EXTCODECOPY => {
                let (account, to, from, length) = (pop(state)?, pop(state)?, pop(state)?, pop(state)?);
                let account = self.address_word(account);
                self.builder.leaf(Word::CodeSize(account));
                return self.copy(state, pc, opcode, to, from, length);
            }
            op::LOG0..=op::LOG4 => return self.log(state, pc, opcode - op::LOG0),
            op::CREATE | op::CREATE2 => self.create(state, pc, opcode)?,
            op::CALL => return self.call(state, pc, CallKind::Call),
            op::CALLCODE => return self.call(state, pc, CallKind::CallCode),
            op::DELEGATECALL => return self.call(state, pc, CallKind::DelegateCall),
            op::STATICCALL => return self.call(state, pc, CallKind::StaticCall),
            _ => match environment(opcode) {
                Some(word) => self.builder.environment(word),
                None => return self.other(state, pc, opcode),
            },
        };
        self.push(state, pc, word);
        Ok(())
    }

    fn store_memory(&mut self, state: &mut State, pc: Pc, opcode: u8) -> Result<(), Halt> {
        let (offset, word) = (pop(state)?, pop(state)?);
        let loaded = Sources::STORAGE.with(Sources::TRANSIENT).with(Sources::BALANCE).with(Sources::PHI);
        if self.builder.expressions.sources(word).intersects(loaded) {
            self.memory_words.push(word);
        }
        let size = self.builder.number(if opcode == op::MSTORE { 32 } else { 1 });
        let (at, _) = self.region(state, offset, size)?;
        let node = self.node;
        let mut cx =
            Context { builder: self.builder, small: &state.facts.small, order: self.order, node, pc };
        if opcode == op::MSTORE {
            Rc::make_mut(&mut state.memory).store_word(&mut cx, at, word);
        } else {
            Rc::make_mut(&mut state.memory).store_byte(&mut cx, at, word);
        }
        Ok(())
    }

    fn log(&mut self, state: &mut State, pc: Pc, topics: u8) -> Result<(), Halt> {
        let (at, length) = self.range(state)?;
        let (mut words, lost) = self.words_in(state, pc, at, length);
        for _ in 0..topics {
            words.push(pop(state)?);
        }
        self.event(pc, EventKind::Log { words, lost });
        Ok(())
    }

    fn create(&mut self, state: &mut State, pc: Pc, opcode: u8) -> Result<ExprId, Halt> {
        let _value = pop(state)?;
        let (at, length) = self.range(state)?;
        let salt = if opcode == op::CREATE2 { Some(pop(state)?) } else { None };
        let (words, lost) = self.words_in(state, pc, at, length);
        let site = self.site(pc);
        let address = self.builder.leaf(Word::Created(site));
        self.event(pc, EventKind::Create { salt, address, words, lost });
        leave(state, site);
        Ok(address)
    }

    fn balance(&mut self, state: &mut State, pc: Pc, opcode: u8) -> Result<ExprId, Halt> {
        let address = if opcode == op::BALANCE {
            let word = pop(state)?;
            self.address_word(word)
        } else {
            self.builder.environment(Environment::Address)
        };
        let value = self.builder.leaf(Word::Balance { address, epoch: state.balance_epoch });
        self.event(pc, EventKind::Balance { address, value });
        Ok(value)
    }

    /// An opcode with no meaning of its own here.
    fn other(&mut self, state: &mut State, pc: Pc, opcode: u8) -> Result<(), Halt> {
        let info = OpCode::new(opcode).ok_or(Halt)?.info();
        // Opcodes with immediates that are not pushes belong to forks that are not modelled: the code halts there.
        if info.immediate_size() > 0 {
            return Err(Halt);
        }
        let mut sources = Sources::BLOCK;
        for _ in 0..info.inputs() {
            let operand = pop(state)?;
            sources = sources.with(self.builder.expressions.sources(operand));
        }
        for _ in 0..info.outputs() {
            let site = self.site(pc);
            let word = self.builder.unknown(site, sources);
            state.stack.push(word);
        }
        Ok(())
    }

    fn load(&mut self, state: &mut State, pc: Pc, space: Space) -> Result<(), Halt> {
        let slot = pop(state)?;
        self.recover(slot);
        let value = if let Some(value) = state.storage.current(space, slot) {
            value
        } else {
            let version = state.storage.version(self.builder, space, slot);
            let value = self.builder.load(space, slot, version);
            Rc::make_mut(&mut state.storage).remember(space, slot, value);
            value
        };
        self.event(pc, EventKind::Load { space, slot, value });
        self.push(state, pc, value);
        Ok(())
    }

    fn store(&mut self, state: &mut State, pc: Pc, space: Space) -> Result<(), Halt> {
        let (slot, value) = (pop(state)?, pop(state)?);
        self.recover(slot);
        let old = if let Some(old) = state.storage.current(space, slot) {
            old
        } else {
            let version = state.storage.version(self.builder, space, slot);
            self.builder.load(space, slot, version)
        };
        let site = self.site(pc);
        Rc::make_mut(&mut state.storage).store(self.builder, space, slot, value, site);
        self.event(pc, EventKind::Store { space, slot, value, old });
        Ok(())
    }

    fn recover(&mut self, slot: ExprId) {
        let constant = self.builder.value(slot);
        let value = constant.unwrap_or_else(|| self.builder.split_sum(slot).1);
        let is_long = value.bit_len() > 64;
        if (constant.is_none() && !is_long) || !self.recovered.insert(slot) {
            return;
        }
        if is_long && self.builder.expressions.preimage(slot).is_none() {
            recover_preimage(self.builder, value, self.folded);
        }
        if let Some(number) = constant {
            see_slot(self.builder, number, self.folded);
        }
    }

    fn copy(
        &mut self,
        state: &mut State,
        pc: Pc,
        opcode: u8,
        to: ExprId,
        from: ExprId,
        length: ExprId,
    ) -> Result<(), Halt> {
        let (at, size) = self.region(state, to, length)?;
        if size == Length::Fixed(0) {
            return Ok(());
        }
        let site = self.site(pc);
        let content = match opcode {
            op::CALLDATACOPY => Content::Calldata { offset: from },
            op::CODECOPY => {
                if let (Some(start), Length::Fixed(bytes)) = (self.builder.value(from), size)
                    && bytes <= 8192
                {
                    let pieces = self.code_pieces(start, bytes);
                    self.write_pieces(state, pc, at, &pieces);
                    return Ok(());
                }
                if let Length::Fixed(bytes @ 1..=32) = size
                    && let Some(word) = self.table_row(state, from, bytes)
                {
                    self.write_pieces(state, pc, at, &[Piece::Word { word, from: 0, to: bytes as u8 }]);
                    return Ok(());
                }
                let sources = self.builder.expressions.sources(from);
                Content::Opaque { value: self.builder.unknown(site, sources) }
            }
            op::RETURNDATACOPY => {
                if let (Some(call), Length::Fixed(bytes)) = (state.returned, size)
                    && bytes <= 2048
                {
                    let pieces = self.return_pieces(call, from, bytes);
                    self.write_pieces(state, pc, at, &pieces);
                    return Ok(());
                }
                let sources = self.builder.expressions.sources(from).with(Sources::RETURN_DATA);
                Content::Opaque { value: self.builder.unknown(site, sources) }
            }
            op::MCOPY => {
                let source = memory::address(self.builder, from).ok_or(Halt)?;
                let pieces = self.read(state, pc, source, size);
                self.write_pieces(state, pc, at, &pieces);
                return Ok(());
            }
            _ => Content::Opaque { value: self.builder.unknown(site, Sources::CODE) },
        };
        self.write(state, pc, at, size, content);
        Ok(())
    }

    fn code_pieces(&mut self, start: U256, bytes: u64) -> Vec<Piece> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let mut pieces = Vec::new();
        for offset in (0..bytes as usize).step_by(32) {
            let width = (bytes as usize - offset).min(32);
            let mut word = [0u8; 32];
            let from = start.saturating_add(offset).min(self.code.bytes.len());
            let to = from.saturating_add(width).min(self.code.bytes.len());
            word[..to - from].copy_from_slice(&self.code.bytes[from..to]);
            let word = match placeholder(self.immutables, from as u32, (to - from) as u32) {
                Some(id) => self.builder.leaf(Word::Immutable(id)),
                None => self.builder.constant(U256::from_be_bytes(word)),
            };
            pieces.push(Piece::Word { word, from: 0, to: width as u8 });
        }
        pieces
    }

    /// The bytes of code at a place that is one of few, at the upper end of a word.
    fn table_row(&mut self, state: &State, from: ExprId, bytes: u64) -> Option<ExprId> {
        let bound = |builder: &Builder, id| state.facts.upper_bound(builder, id);
        self.steps += TABLE_STEPS;
        let places = table::values(self.builder, from, &bound)?;
        let is_filled_in = |place: &U256| {
            u32::try_from(*place).is_ok_and(|at| placeholder(self.immutables, at, bytes as u32).is_some())
        };
        if places.iter().any(is_filled_in) {
            return None;
        }
        let code = &self.code.bytes;
        let contents = places.into_iter().map(|place| {
            let start = usize::try_from(place).unwrap_or(usize::MAX).min(code.len());
            let end = start.saturating_add(bytes as usize).min(code.len());
            let mut word = [0u8; 32];
            word[..end - start].copy_from_slice(&code[start..end]);
            U256::from_be_bytes(word)
        });
        let contents = contents.collect();
        Some(table::row(self.builder, from, contents))
    }

    fn return_pieces(&mut self, call: Site, from: ExprId, bytes: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for offset in (0..bytes).step_by(32) {
            let step = self.builder.number(offset);
            let offset_word = self.builder.add(from, step);
            let word = self.builder.leaf(Word::ReturnWord { site: call, offset: offset_word });
            pieces.push(Piece::Word { word, from: 0, to: (bytes - offset).min(32) as u8 });
        }
        pieces
    }

    fn call(&mut self, state: &mut State, pc: Pc, kind: CallKind) -> Result<(), Halt> {
        let gas = pop(state)?;
        let target = pop(state)?;
        let target = self.address_word(target);
        let value = match kind {
            CallKind::Call | CallKind::CallCode => Some(pop(state)?),
            CallKind::DelegateCall | CallKind::StaticCall => None,
        };
        let (input, input_length) = self.range(state)?;
        let (offset, length) = (pop(state)?, pop(state)?);
        let (output, output_length) = self.region(state, offset, length)?;
        let site = self.site(pc);

        let pieces = if input_length == Length::Fixed(0) {
            Vec::new()
        } else {
            self.read(state, pc, input, input_length)
        };
        let (words, lost) = self.words_in(state, pc, input, input_length);
        let (selector, arguments) = self.call_input(&pieces);
        let asked_by = match pieces.first() {
            Some(Piece::Word { word, .. } | Piece::Opaque { value: word, .. }) => {
                self.builder.expressions.sources(*word)
            }
            Some(Piece::Calldata { .. }) => Sources::CALLDATA,
            None => Sources::default(),
        };
        self.event(
            pc,
            EventKind::Call(Box::new(CallEvent {
                kind,
                target,
                value,
                selector,
                asked_by,
                arguments,
                words,
                lost,
            })),
        );

        let precompile =
            self.builder.value(target).filter(|target| !target.is_zero() && *target <= U256::from(0x11));
        let sends = value.is_some_and(|value| self.builder.value(value) != Some(U256::ZERO));
        if precompile.is_none() && kind != CallKind::StaticCall {
            leave(state, site);
        } else {
            // A precompile runs nothing, but takes what it is sent.
            if sends {
                state.balance_epoch = Epoch::after(site);
            }
            state.returned = Some(site);
        }
        match output_length {
            Length::Fixed(0) => {}
            _ if precompile == Some(U256::from(4))
                && output_length == input_length
                && !sends
                && self.has_gas_to_copy(gas, input_length) =>
            {
                self.write_pieces(state, pc, output, &pieces);
            }
            // What the buffer holds after the call, whether or not the callee filled it.
            Length::Fixed(bytes) if bytes <= 2048 => {
                let zero = self.builder.zero();
                let pieces = self.return_pieces(site, zero, bytes);
                self.write_pieces(state, pc, output, &pieces);
            }
            _ => {
                let value = self.builder.unknown(site, Sources::RETURN_DATA);
                self.write(state, pc, output, output_length, Content::Opaque { value });
            }
        }
        let success = self.builder.leaf(Word::CallSuccess(site));
        state.stack.push(success);
        Ok(())
    }

    /// Whether a call with this gas cannot fail to copy so many bytes in the identity precompile, unless so little is left
    /// that nothing can be done after it.
    fn has_gas_to_copy(&self, gas: ExprId, length: Length) -> bool {
        match (self.builder.value(gas), length) {
            (Some(gas), Length::Fixed(bytes)) => {
                gas >= U256::from(IDENTITY_GAS + IDENTITY_WORD_GAS * bytes.div_ceil(32))
            }
            (Some(_), Length::Symbolic(_)) => false,
            (None, _) => self.builder.expressions.sources(gas).intersects(Sources::GAS),
        }
    }

    /// The word as far as `count` bytes of it, above the lowest `above`, are concerned, where these are constant: a selector
    /// that is put in front of the first argument leaves a word that is only partly known.
    fn known_bits(&self, word: ExprId, above: usize, count: usize) -> Option<U256> {
        let part = ((U256::from(1) << (8 * count)) - U256::from(1)) << (8 * above);
        if let Some(value) = self.builder.value(word) {
            return Some(value & part);
        }
        if (self.builder.expressions.mask(word) & part).is_zero() {
            return Some(U256::ZERO);
        }
        match self.builder.expressions.node(word) {
            Word::Binary { op: op::OR, a, b } => {
                Some(self.known_bits(a, above, count)? | self.known_bits(b, above, count)?)
            }
            _ => None,
        }
    }

    /// The selector and the argument words of a call's input.
    fn call_input(&mut self, pieces: &[Piece]) -> (Option<[u8; 4]>, Vec<ExprId>) {
        let mut selector = None;
        let mut arguments = Vec::new();
        // Bytes of the word being put together, and how many there are.
        let (mut pending, mut filled) = (self.builder.zero(), 0usize);
        let mut position = 0usize;
        for piece in pieces {
            let Piece::Word { word, from, to } = *piece else { break };
            let (mut from, to) = (usize::from(from), usize::from(to));
            if position < 4 {
                let take = (4 - position).min(to - from);
                let Some(value) = self.known_bits(word, 32 - from - take, take) else { break };
                let bytes = value.to_be_bytes::<32>();
                let found: &mut [u8; 4] = selector.get_or_insert([0; 4]);
                found[position..position + take].copy_from_slice(&bytes[from..from + take]);
                position += take;
                from += take;
            }
            while from < to && arguments.len() < MAX_ARGUMENTS {
                let take = (32 - filled).min(to - from);
                if take == 32 {
                    arguments.push(word);
                } else {
                    let aligned = self.builder.shr(8 * (32 - from - take), word);
                    let part = self.builder.and_mask(aligned, (U256::from(1) << (8 * take)) - U256::from(1));
                    let placed = self.builder.shl(8 * (32 - filled - take), part);
                    pending = self.builder.binary(op::OR, pending, placed);
                    filled += take;
                    if filled == 32 {
                        arguments.push(pending);
                        pending = self.builder.zero();
                        filled = 0;
                    }
                }
                from += take;
            }
        }
        if position < 4 {
            selector = None;
        }
        (selector, arguments)
    }

    /// Takes an arm of a branch: records what it says and replaces words that it makes constant. `false` if no
    /// execution takes it.
    pub(crate) fn assume(&mut self, state: &mut State, condition: ExprId, holds: bool) -> bool {
        let stripped = strip(self.builder, condition, holds);
        match state.facts.truth(self.builder, stripped.expression) {
            Some(known) if known != stripped.holds => return false,
            Some(_) => {}
            None => {
                if !Rc::make_mut(&mut state.facts).assume(self.builder, condition, holds) {
                    return false;
                }
            }
        }
        let boolean = self.builder.expressions.bits(stripped.expression) <= 1;
        let replacement = match (stripped.holds, boolean) {
            (false, _) => Some(self.builder.zero()),
            (true, true) => Some(self.builder.number(1)),
            (true, false) => None,
        };
        // Calldata decoding checks once that a word fits its type, and may rely on that later without masking it again.
        let cleaned = cleaned(self.builder, stripped);
        for index in 0..state.stack.len() {
            let mut word = state.stack[index];
            if self.builder.expressions.is_constant(word) {
                continue;
            }
            if let Some((whole, cut)) = cleaned
                && word == whole
            {
                word = cut;
                state.stack[index] = cut;
            }
            if word == stripped.expression {
                if let Some(replacement) = replacement {
                    state.stack[index] = replacement;
                }
            } else if let Some(value) = state.facts.value(word) {
                state.stack[index] = value;
            } else if self.builder.expressions.bits(word) <= 1
                && let Some(truth) = state.facts.truth(self.builder, word)
            {
                state.stack[index] = self.builder.number(u64::from(truth));
            }
        }
        true
    }
}

fn success(state: &State, words: Vec<ExprId>, lost: bool, returned: Vec<ExprId>) -> Exit {
    Exit::Success { words, lost, returned, written: state.storage.written.clone() }
}

/// Control leaves the contract: whatever runs may come back and change its storage.
fn leave(state: &mut State, site: Site) {
    Rc::make_mut(&mut state.storage).forget(site);
    state.balance_epoch = Epoch::after(site);
    state.returned = Some(site);
}

fn pop(state: &mut State) -> Result<ExprId, Halt> {
    state.stack.pop().ok_or(Halt)
}

/// The word of the call, the transaction or the block that an instruction puts on the stack, whatever lies there.
fn environment(opcode: u8) -> Option<Environment> {
    Some(match opcode {
        op::ADDRESS => Environment::Address,
        op::ORIGIN => Environment::Origin,
        op::CALLER => Environment::Caller,
        op::CALLVALUE => Environment::CallValue,
        op::CALLDATASIZE => Environment::CalldataSize,
        op::GASPRICE => Environment::GasPrice,
        op::COINBASE => Environment::Coinbase,
        op::TIMESTAMP => Environment::Timestamp,
        op::NUMBER => Environment::Number,
        op::DIFFICULTY => Environment::PrevRandao,
        op::GASLIMIT => Environment::GasLimit,
        op::CHAINID => Environment::ChainId,
        op::BASEFEE => Environment::BaseFee,
        op::BLOBBASEFEE => Environment::BlobBaseFee,
        op::SLOTNUM => Environment::OtherBlock,
        _ => return None,
    })
}
