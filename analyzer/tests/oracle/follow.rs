//! Runs a slice on concrete words.
//!
//! In: a slice, a world and a message. Out: a [`Walk`], the accesses of the frame in the order of the slice. What other
//! accounts answer is made up, the same for the same world: any answer is one that some account could give. The operations
//! are written down here once more, on purpose: this must never ask whoever runs slices for a living.

use alloy_primitives::{U256, keccak256};
use deconflict_analyzer::{
    BinaryOp, CallSite, CopySource, CreateSite, FrameWord, Op, Operand, QueryOp, Slice, UnaryOp,
};
use revm::bytecode::opcode as op;
use std::collections::BTreeMap;

use crate::{
    evaluate::{binary, ternary, unary},
    random::Random,
    world::{CALLER, CONTRACT, Message, Outside, World, likely_word},
};

/// More operations than this are not run: enough for loops, little enough for endless ones.
const MAX_STEPS: usize = 20_000;

/// More memory than this costs more gas than a block has.
const MAX_MEMORY: usize = 1 << 20;

/// How many words the stack of the EVM holds.
const STACK_LIMIT: usize = 1_024;

/// One access to storage or transient storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// The instruction; slices do not say it of transient storage.
    pub(crate) pc: Option<u32>,
    pub(crate) slot: U256,
    /// What the slot held before.
    pub(crate) before: U256,
    /// The stored word, for a store.
    pub(crate) stored: Option<U256>,
}

impl Access {
    /// Whether it is one to transient storage.
    pub(crate) fn is_transient(&self) -> bool {
        self.pc.is_none()
    }
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The frame succeeds and returns this.
    Success(Vec<u8>),
    /// The frame fails.
    Failure,
    /// The slice says that it does not know how it goes on, or it goes on for too long.
    Open,
}

/// What a slice did.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) accesses: Vec<Access>,
    /// Calls, creations and the end of the contract.
    pub(crate) outside: Vec<Outside>,
    pub(crate) end: End,
    /// The storage at the end, where it was touched at all.
    pub(crate) storage: BTreeMap<U256, U256>,
}

/// Runs the slice from where the message enters it.
pub(crate) fn follow(slice: &Slice, world: &World, message: &Message) -> Walk {
    let entry = message.calldata.first_chunk::<4>().and_then(|selector| slice.selectors.get(selector));
    let mut frame = Frame {
        slice,
        world,
        message,
        ip: entry.unwrap_or(&slice.entry).0 as usize,
        stack: Vec::new(),
        base: 0,
        height: 0,
        memory: Vec::new(),
        returned: Vec::new(),
        storage: BTreeMap::new(),
        transient: BTreeMap::new(),
        accesses: Vec::new(),
        outside: Vec::new(),
        answers: 0,
        left: 0,
        balance: world.contract_balance(message),
    };
    let end = (0..MAX_STEPS).find_map(|_| frame.step().err()).unwrap_or(End::Open);
    Walk { accesses: frame.accesses, outside: frame.outside, end, storage: frame.storage }
}

struct Frame<'a> {
    slice: &'a Slice,
    world: &'a World,
    message: &'a Message,
    ip: usize,
    stack: Vec<U256>,
    /// Where the window of the trace starts on the stack.
    base: usize,
    /// How many words of `stack` are the machine's stack; above them are registers.
    height: usize,
    memory: Vec<u8>,
    returned: Vec<u8>,
    storage: BTreeMap<U256, U256>,
    transient: BTreeMap<U256, U256>,
    accesses: Vec<Access>,
    outside: Vec<Outside>,
    /// How many answers of other accounts there were.
    answers: u64,
    /// How often something else ran that may have changed balances.
    left: u64,
    /// What the contract has.
    balance: U256,
}

impl Frame<'_> {
    fn word(&self, operand: Operand) -> U256 {
        match operand.as_constant() {
            Some(index) => self.slice.constants[index],
            None => self.stack[self.base + operand.index()],
        }
    }

    fn put(&mut self, to: u16, word: U256) {
        self.stack[self.base + usize::from(to)] = word;
    }

    fn random(&self, what: &str, number: U256) -> Random {
        let seed = self.world.seed.to_be_bytes();
        let hash = keccak256([seed.as_slice(), what.as_bytes(), &number.to_be_bytes::<32>()].concat());
        Random(u64::from_be_bytes(hash[..8].try_into().unwrap()))
    }

    /// Memory from an offset, grown to hold it; a failure where the EVM would run out of gas.
    fn range(&mut self, offset: U256, length: U256) -> Result<std::ops::Range<usize>, End> {
        if length.is_zero() {
            return Ok(0..0);
        }
        let (start, length): (usize, usize) = (offset.saturating_to(), length.saturating_to());
        let end = start.checked_add(length).filter(|end| *end <= MAX_MEMORY).ok_or(End::Failure)?;
        if self.memory.len() < end {
            self.memory.resize(end.next_multiple_of(32), 0);
        }
        Ok(start..end)
    }

    fn bytes(&mut self, offset: U256, length: U256) -> Result<Vec<u8>, End> {
        let range = self.range(offset, length)?;
        Ok(self.memory[range].to_vec())
    }

    /// Puts bytes from an offset on into memory, zeros behind their end.
    fn copy(&mut self, into: std::ops::Range<usize>, from: &[u8], offset: U256) {
        let offset: usize = offset.saturating_to();
        for (index, place) in into.enumerate() {
            self.memory[place] = offset.checked_add(index).and_then(|at| from.get(at)).copied().unwrap_or(0);
        }
    }

    fn jump(&mut self, target: U256) -> Result<(), End> {
        let known = u32::try_from(target).ok().and_then(|target| self.slice.destinations.get(&target));
        match known {
            Some(trace) => self.ip = trace.0 as usize,
            None if self.slice.all_destinations => return Err(End::Failure),
            None => return Err(End::Open),
        }
        Ok(())
    }

    fn access(&mut self, pc: Option<u32>, slot: U256, stored: Option<U256>) -> U256 {
        let before = match pc {
            Some(_) => *self.storage.entry(slot).or_insert_with(|| self.world.stored(slot)),
            None => *self.transient.entry(slot).or_default(),
        };
        if let Some(word) = stored {
            let space = if pc.is_some() { &mut self.storage } else { &mut self.transient };
            space.insert(slot, word);
        }
        self.accesses.push(Access { pc, slot, before, stored });
        before
    }

    fn step(&mut self) -> Result<(), End> {
        let Some(op) = self.slice.ops.get(self.ip).copied() else { return Err(End::Failure) };
        self.ip += 1;
        match op {
            Op::Enter { needs, leaves, registers, .. } => {
                let base = self.height.checked_sub(usize::from(needs)).ok_or(End::Open)?;
                if base + usize::from(registers) > STACK_LIMIT {
                    return Err(End::Open);
                }
                self.base = base;
                self.height = base + usize::from(leaves);
                let room = (base + usize::from(registers)).max(self.stack.len());
                self.stack.resize(room, U256::ZERO);
            }
            // Gas is no concern of summaries, and no other frame is static.
            Op::Log | Op::Spend { .. } | Op::Exponent { .. } | Op::Since { .. } => {}
            Op::Range { offset, length, .. } => {
                self.range(self.word(offset), self.word(length))?;
            }
            Op::Grow { base, end } => {
                self.range(self.word(base), U256::from(end))?;
            }
            Op::Move { to, from } => self.put(to, self.word(from)),
            Op::Jump { to } => self.ip = to.0 as usize,
            Op::Branch { condition, taken, fallthrough } => {
                let next = if self.word(condition).is_zero() { fallthrough } else { taken };
                self.ip = next.0 as usize;
            }
            Op::Dynamic { target } => self.jump(self.word(target))?,
            Op::DynamicBranch { condition, target, fallthrough } => {
                if self.word(condition).is_zero() {
                    self.ip = fallthrough.0 as usize;
                } else {
                    self.jump(self.word(target))?;
                }
            }
            Op::Stop | Op::SelfDestruct { .. } => return Err(End::Success(Vec::new())),
            Op::Return { offset, length } => {
                let bytes = self.bytes(self.word(offset), self.word(length))?;
                return Err(End::Success(bytes));
            }
            Op::Revert { .. } | Op::Halt => return Err(End::Failure),
            Op::SLoad { to, key, pc, .. } => {
                let word = self.access(Some(pc), self.word(key), None);
                self.put(to, word);
            }
            Op::SStore { key, word, pc, .. } => {
                self.access(Some(pc), self.word(key), Some(self.word(word)));
            }
            Op::TLoad { to, key } => {
                let word = self.access(None, self.word(key), None);
                self.put(to, word);
            }
            Op::TStore { key, word } => {
                self.access(None, self.word(key), Some(self.word(word)));
            }
            Op::Call { site, to } => {
                let site = self.slice.calls[site as usize];
                let success = self.call(&site)?;
                self.put(to, U256::from(success));
            }
            Op::Create { site, to } => {
                let site = self.slice.creates[site as usize];
                let address = self.create(&site)?;
                self.put(to, address);
            }
            Op::MStore { offset, word } => {
                let range = self.range(self.word(offset), U256::from(32))?;
                let word = self.word(word).to_be_bytes::<32>();
                self.memory[range].copy_from_slice(&word);
            }
            Op::MStore8 { offset, word } => {
                let range = self.range(self.word(offset), U256::from(1))?;
                self.memory[range.start] = self.word(word).byte(0);
            }
            Op::Copy { source, into, from, length } => self.copied(source, into, from, length)?,
            Op::ExtCodeCopy { site } => {
                let site = self.slice.calls[site as usize];
                let range = self.range(self.word(site.output), self.word(site.output_length))?;
                // Other accounts have no code here that anybody could know.
                let is_own =
                    self.word(site.target) << 96 == U256::from_be_bytes(CONTRACT.into_word().0) << 96;
                let code = if is_own { self.slice.code.clone() } else { alloy_primitives::Bytes::default() };
                self.copy(range, &code, self.word(site.input));
            }
            other => {
                let (to, word) = self.value(other)?;
                self.put(to, word);
            }
        }
        Ok(())
    }

    fn copied(
        &mut self,
        source: CopySource,
        into: Operand,
        from: Operand,
        length: Operand,
    ) -> Result<(), End> {
        let (into, from, length) = (self.word(into), self.word(from), self.word(length));
        let bytes = match source {
            CopySource::CallData => self.message.calldata.clone(),
            CopySource::Code => self.slice.code.to_vec(),
            CopySource::ReturnData => {
                if from.saturating_add(length) > U256::from(self.returned.len()) {
                    return Err(End::Failure);
                }
                self.returned.clone()
            }
            CopySource::Memory => {
                self.range(from, length)?;
                self.memory.clone()
            }
        };
        let into = self.range(into, length)?;
        self.copy(into, &bytes, from);
        Ok(())
    }

    /// The result of an operation that changes nothing but memory's size, and the register for it.
    fn value(&mut self, op: Op) -> Result<(u16, U256), End> {
        let hash = |bytes: &[u8]| U256::from_be_bytes(keccak256(bytes).0);
        Ok(match op {
            Op::Unary { op, to, a } => {
                let word = unary(unary_opcode(op), self.word(a)).expect("it is a unary operation");
                (to, word)
            }
            Op::Binary { op, to, a, b } => {
                let word = binary(binary_opcode(op), self.word(a), self.word(b));
                (to, word.expect("it is a binary operation"))
            }
            Op::Modular { multiply, to, a, b, modulus } => {
                let opcode = if multiply { op::MULMOD } else { op::ADDMOD };
                let word = ternary(opcode, self.word(a), self.word(b), self.word(modulus));
                (to, word.expect("it is a modular operation"))
            }
            Op::Keccak { to, offset, length } => {
                (to, hash(&self.bytes(self.word(offset), self.word(length))?))
            }
            Op::KeccakPair { to, first, second } => {
                let words = [first, second].map(|word| self.word(word).to_be_bytes::<32>());
                (to, hash(&words.concat()))
            }
            Op::KeccakWord { to, word } => (to, hash(&self.word(word).to_be_bytes::<32>())),
            Op::Frame { word, to } => (to, self.frame_word(word)),
            Op::SelfBalance { to } => (to, self.balance(CONTRACT.into_word().into())),
            Op::Query { op, to, a } => (to, self.query(op, self.word(a))),
            Op::CallDataLoad { to, offset } => {
                let offset: usize = self.word(offset).saturating_to();
                let byte = |index| self.message.calldata.get(offset.checked_add(index)?).copied();
                let word: [u8; 32] = std::array::from_fn(|index| byte(index).unwrap_or(0));
                (to, U256::from_be_bytes(word))
            }
            Op::ReturnDataSize { to } => (to, U256::from(self.returned.len())),
            Op::MLoad { to, offset } => {
                let bytes = self.bytes(self.word(offset), U256::from(32))?;
                (to, U256::from_be_slice(&bytes))
            }
            Op::MSize { to } => (to, U256::from(self.memory.len())),
            Op::Gas { to, .. } => (to, U256::from(5_000_000 - self.answers)),
            other => unreachable!("{other:?} has no result"),
        })
    }

    fn frame_word(&self, word: FrameWord) -> U256 {
        let block = self.world.block();
        match word {
            FrameWord::Address => CONTRACT.into_word().into(),
            FrameWord::Origin | FrameWord::Caller => CALLER.into_word().into(),
            FrameWord::CallValue => self.message.value,
            FrameWord::CallDataSize => U256::from(self.message.calldata.len()),
            FrameWord::CodeSize => U256::from(self.slice.code.len()),
            FrameWord::GasPrice | FrameWord::BaseFee => U256::ZERO,
            FrameWord::Coinbase => block.beneficiary.into_word().into(),
            FrameWord::Timestamp => block.timestamp,
            FrameWord::Number => block.number,
            FrameWord::PrevRandao => block.prevrandao.unwrap_or_default().into(),
            FrameWord::GasLimit => U256::from(block.gas_limit),
            FrameWord::ChainId | FrameWord::BlobBaseFee => U256::from(1),
            FrameWord::SlotNumber => U256::from(block.slot_num),
        }
    }

    fn balance(&self, account: U256) -> U256 {
        let address = account & (U256::MAX >> 96);
        if address == U256::from_be_bytes(CONTRACT.into_word().0) {
            return self.balance;
        }
        U256::from(self.random("balance", address ^ (U256::from(self.left) << 192)).bits() >> 20)
    }

    /// Lets something run that takes `value` from the contract and may send it something, if it is there.
    fn leave(&mut self, random: &mut Random, value: U256, is_precompile: bool) {
        self.left += 1;
        self.balance -= value;
        if !is_precompile && random.below(3) == 0 {
            self.balance += U256::from(random.below(1_000));
        }
    }

    fn query(&self, op: QueryOp, word: U256) -> U256 {
        let address = word & (U256::MAX >> 96);
        let is_own = address == U256::from_be_bytes(CONTRACT.into_word().0);
        match op {
            QueryOp::Balance => self.balance(word),
            QueryOp::ExtCodeSize if is_own => U256::from(self.slice.code.len()),
            QueryOp::ExtCodeHash if is_own => self.slice.hash.into(),
            QueryOp::ExtCodeSize => U256::from(self.random("size", address).below(4) * 50),
            QueryOp::ExtCodeHash | QueryOp::BlockHash | QueryOp::BlobHash => {
                likely_word(&mut self.random(&format!("{op:?}"), word), &[])
            }
        }
    }

    fn call(&mut self, site: &CallSite) -> Result<bool, End> {
        let target = self.word(site.target);
        let input = self.bytes(self.word(site.input), self.word(site.input_length))?;
        let output = self.range(self.word(site.output), self.word(site.output_length))?;
        self.outside.push(Outside {
            pc: site.pc,
            opcode: site.opcode,
            account: target,
            input: input.clone(),
        });
        let mut random = self.random("call", U256::from(self.answers));
        self.answers += 1;
        let value =
            if matches!(site.opcode, op::CALL | op::CALLCODE) { self.word(site.value) } else { U256::ZERO };
        let account: U256 = target & (U256::MAX >> 96);
        let is_precompile = !account.is_zero() && account <= U256::from(0x11);
        let copying = U256::from(15 + 3 * input.len().div_ceil(32));
        let success = if value > self.balance || account == U256::from(4) && self.word(site.gas) < copying {
            self.returned.clear();
            false
        } else if account == U256::from(4) {
            // Identity is the one precompile whose answer is an expression.
            self.returned = input;
            true
        } else {
            let words = [0, 1, 1, 1, 2, 3][random.below(6)];
            let words = (0..words).map(|_| likely_word(&mut random, &self.world.palette));
            self.returned = words.flat_map(|word| word.to_be_bytes::<32>()).collect();
            random.below(5) > 0
        };
        if success && site.opcode != op::STATICCALL {
            let keeps = site.opcode != op::CALL || account == U256::from_be_bytes(CONTRACT.into_word().0);
            let sent = if keeps { U256::ZERO } else { value };
            self.leave(&mut random, sent, is_precompile);
        }
        let filled = output.len().min(self.returned.len());
        self.memory[output][..filled].copy_from_slice(&self.returned[..filled]);
        if site.success_required && !success { Err(End::Failure) } else { Ok(success) }
    }

    fn create(&mut self, site: &CreateSite) -> Result<U256, End> {
        self.bytes(self.word(site.offset), self.word(site.length))?;
        let opcode = if site.salt.is_some() { op::CREATE2 } else { op::CREATE };
        self.outside.push(Outside { pc: site.pc, opcode, account: U256::ZERO, input: Vec::new() });
        let mut random = self.random("create", U256::from(self.answers));
        self.answers += 1;
        self.returned.clear();
        let value = self.word(site.value);
        let mut address = U256::ZERO;
        if value <= self.balance && random.below(5) > 0 {
            address = U256::from(random.bits()) << 64;
            self.leave(&mut random, value, false);
        }
        if site.success_required && address.is_zero() { Err(End::Failure) } else { Ok(address) }
    }
}

/// The opcode of the operation.
pub(crate) fn unary_opcode(operation: UnaryOp) -> u8 {
    match operation {
        UnaryOp::IsZero => op::ISZERO,
        UnaryOp::Not => op::NOT,
        UnaryOp::Clz => op::CLZ,
    }
}

/// The opcode of the operation.
pub(crate) fn binary_opcode(operation: BinaryOp) -> u8 {
    match operation {
        BinaryOp::Add => op::ADD,
        BinaryOp::Mul => op::MUL,
        BinaryOp::Sub => op::SUB,
        BinaryOp::Div => op::DIV,
        BinaryOp::SDiv => op::SDIV,
        BinaryOp::Mod => op::MOD,
        BinaryOp::SMod => op::SMOD,
        BinaryOp::Exp => op::EXP,
        BinaryOp::SignExtend => op::SIGNEXTEND,
        BinaryOp::Lt => op::LT,
        BinaryOp::Gt => op::GT,
        BinaryOp::SLt => op::SLT,
        BinaryOp::SGt => op::SGT,
        BinaryOp::Eq => op::EQ,
        BinaryOp::And => op::AND,
        BinaryOp::Or => op::OR,
        BinaryOp::Xor => op::XOR,
        BinaryOp::Byte => op::BYTE,
        BinaryOp::Shl => op::SHL,
        BinaryOp::Shr => op::SHR,
        BinaryOp::Sar => op::SAR,
    }
}
