//! The register code that a slice consists of.
//!
//! Plain data that an evaluator walks: one stream of [`Op`]s, in which each trace, a straight-line piece with one entry
//! and one exit, starts with an [`Op::Enter`]. One stream, because a trace is short and the time to run it is the time
//! to fetch it. A trace works on a window of the machine's stack: registers `0..needs` are the stack words it takes,
//! the topmost last; the registers above `needs` and above the height it leaves are temporaries. Nothing here computes.

use alloy_primitives::{B256, Bytes, U256};
use rustc_hash::FxHashMap;

/// Which of the two forms of a code a trace belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Variant {
    /// Guards whose failing arm only reverts are assumed to pass: right wherever a revert of this frame reverts the
    /// frames above it too, because then nothing is touched after the guard fails.
    Lean,
    /// Every branch is decided: for frames whose caller goes on after they fail.
    Strict,
}

/// Where a trace starts in [`Slice::ops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TraceId(pub u32);

/// What is left of one code.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Slice {
    /// Which form this is.
    pub variant: Variant,
    /// The bytes, as `CODECOPY` sees them.
    pub code: Bytes,
    /// Keccak-256 of the bytes.
    pub hash: B256,
    /// The constants that operands name.
    pub constants: Vec<U256>,
    /// Every trace, one after the other.
    pub ops: Vec<Op>,
    /// The operands of call instructions, named by [`Op::Call`] and [`Op::ExtCodeCopy`].
    pub calls: Vec<CallSite>,
    /// The operands of creations, named by [`Op::Create`].
    pub creates: Vec<CreateSite>,
    /// Where a frame starts whose calldata begins with the selector.
    pub selectors: FxHashMap<[u8; 4], TraceId>,
    /// Where a frame starts otherwise.
    pub entry: TraceId,
    /// Where a jump lands whose target is only known when it is taken, by program counter.
    pub destinations: FxHashMap<u32, TraceId>,
    /// Whether every valid jump destination is in `destinations`.
    pub all_destinations: bool,
}

/// A register or a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Operand(u32);

impl Operand {
    const CONSTANT: u32 = 1 << 31;

    /// The register of this number.
    pub(crate) fn register(index: u32) -> Self {
        Self(index)
    }

    /// The constant of this number.
    pub(crate) fn constant(index: u32) -> Self {
        Self(index | Self::CONSTANT)
    }

    /// The index into [`Slice::constants`], if this is a constant.
    #[inline]
    pub fn as_constant(self) -> Option<usize> {
        (self.0 & Self::CONSTANT != 0).then_some((self.0 & !Self::CONSTANT) as usize)
    }

    /// The register number; meaningful for registers only.
    #[inline]
    pub fn index(self) -> usize {
        (self.0 & !Self::CONSTANT) as usize
    }
}

/// A pure operation on two words. The first operand is the top of the stack.
#[expect(missing_docs, reason = "the names are those of the opcodes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum BinaryOp {
    Add,
    Mul,
    Sub,
    Div,
    SDiv,
    Mod,
    SMod,
    Exp,
    SignExtend,
    Lt,
    Gt,
    SLt,
    SGt,
    Eq,
    And,
    Or,
    Xor,
    Byte,
    Shl,
    Shr,
    Sar,
}

/// A pure operation on one word.
#[expect(missing_docs, reason = "the names are those of the opcodes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum UnaryOp {
    IsZero,
    Not,
    Clz,
}

/// A word that is fixed for the whole frame, block or transaction.
#[expect(missing_docs, reason = "the names are those of the opcodes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FrameWord {
    Address,
    Origin,
    Caller,
    CallValue,
    CallDataSize,
    CodeSize,
    GasPrice,
    Coinbase,
    Timestamp,
    Number,
    PrevRandao,
    GasLimit,
    ChainId,
    BaseFee,
    BlobBaseFee,
    SlotNumber,
}

/// A question to the state about one word.
#[expect(missing_docs, reason = "the names are those of the opcodes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum QueryOp {
    Balance,
    ExtCodeSize,
    ExtCodeHash,
    BlockHash,
    BlobHash,
}

/// Where a copy into memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CopySource {
    /// `CALLDATACOPY`.
    CallData,
    /// `CODECOPY`.
    Code,
    /// `RETURNDATACOPY`.
    ReturnData,
    /// `MCOPY`.
    Memory,
}

/// One operation over operands of type `T`. `to` is the register that takes the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(missing_docs, reason = "the fields are the operands of the opcodes that the variants name")]
pub enum Op<T = Operand> {
    /// A pure operation on one word.
    Unary { op: UnaryOp, to: u16, a: T },
    /// A pure operation on two words.
    Binary { op: BinaryOp, to: u16, a: T, b: T },
    /// `ADDMOD`, or `MULMOD` if `multiply`.
    Modular { multiply: bool, to: u16, a: T, b: T, modulus: T },
    /// `KECCAK256` of a range of memory.
    Keccak { to: u16, offset: T, length: T },
    /// `KECCAK256` of two words that memory is known to hold.
    KeccakPair { to: u16, first: T, second: T },
    /// `KECCAK256` of one word that memory is known to hold.
    KeccakWord { to: u16, word: T },
    /// A word of the frame.
    Frame { word: FrameWord, to: u16 },
    /// `SELFBALANCE`.
    SelfBalance { to: u16 },
    /// A question to the state.
    Query { op: QueryOp, to: u16, a: T },
    /// `CALLDATALOAD`.
    CallDataLoad { to: u16, offset: T },
    /// `RETURNDATASIZE`.
    ReturnDataSize { to: u16 },
    /// `MLOAD`.
    MLoad { to: u16, offset: T },
    /// `MSTORE`.
    MStore { offset: T, word: T },
    /// `MSTORE8`.
    MStore8 { offset: T, word: T },
    /// `CALLDATACOPY`, `CODECOPY`, `RETURNDATACOPY` and `MCOPY`.
    Copy { source: CopySource, into: T, from: T, length: T },
    /// `EXTCODECOPY`; the operands are those of the call site of this number.
    ExtCodeCopy { site: u32 },
    /// `MSIZE`.
    MSize { to: u16 },
    /// `GAS`. `ahead` is the gas of the instructions behind it that [`Op::Enter`] counts already.
    Gas { to: u16, ahead: u32 },
    /// `SLOAD`. `delta` says that the word goes into an [`Op::SStore`] to the same slot that is marked so too, and
    /// nowhere else.
    SLoad { to: u16, key: T, pc: u32, delta: bool },
    /// `SSTORE`. `delta` says that the stored word is the slot's word plus or minus something; `ahead` is as for
    /// [`Op::Gas`], all ones where it is more than fits.
    SStore { key: T, word: T, pc: u32, delta: bool, ahead: u16 },
    /// `TLOAD`.
    TLoad { to: u16, key: T },
    /// `TSTORE`.
    TStore { key: T, word: T },
    /// A call; the result is whether it succeeded.
    Call { site: u32, to: u16 },
    /// A creation; the result is the address.
    Create { site: u32, to: u16 },
    /// A log: it shows nothing that a slice keeps, but a static frame halts at it. In strict slices only.
    Log,
    /// A range of memory that is only paid for: memory grows to hold it, and each byte and each word of it costs gas.
    Range { per_byte: u8, per_word: u8, offset: T, length: T },
    /// Memory that nothing kept touches, and that is paid for: it grows to hold so many bytes from an offset.
    Grow { base: T, end: u32 },
    /// Gas of what is left out and whose price the fork sets: so many loads of slots that were loaded before, and
    /// so many bytes of exponents.
    Spend { loads: u32, exponent_bytes: u32 },
    /// The exponent of an `EXP`, which sets its price.
    Exponent { exponent: T },
    /// An instruction that halts before the fork of this number, as in revm's `SpecId`. In strict slices only.
    Since { fork: u8 },
    /// The start of a trace: how many words of the stack it takes, how many it leaves in place of those, how many
    /// registers it uses in all, the gas of its instructions that is the same on every fork and for all operands, and
    /// the program counter it starts at.
    Enter { needs: u16, leaves: u16, registers: u16, gas: u32, pc: u32 },
    /// Copies a word: part of putting the stack in order at the end of a trace.
    Move { to: u16, from: T },
    /// Ends the trace and goes on in another.
    Jump { to: TraceId },
    /// Ends the trace and goes on in one of two.
    Branch { condition: T, taken: TraceId, fallthrough: TraceId },
    /// Ends the trace at a computed target.
    Dynamic { target: T },
    /// Ends the trace at a computed target, or goes on in another.
    DynamicBranch { condition: T, target: T, fallthrough: TraceId },
    /// `STOP`, or the end of the code.
    Stop,
    /// `RETURN`.
    Return { offset: T, length: T },
    /// `REVERT`.
    Revert { offset: T, length: T },
    /// `INVALID`, an undefined opcode, a jump to nowhere.
    Halt,
    /// `SELFDESTRUCT`.
    SelfDestruct { beneficiary: T },
}

impl<T: Copy> Op<T> {
    /// The same operation over other operands.
    pub(crate) fn map<U>(self, mut f: impl FnMut(T) -> U) -> Op<U> {
        match self {
            Self::Unary { op, to, a } => Op::Unary { op, to, a: f(a) },
            Self::Binary { op, to, a, b } => Op::Binary { op, to, a: f(a), b: f(b) },
            Self::Modular { multiply, to, a, b, modulus } => {
                Op::Modular { multiply, to, a: f(a), b: f(b), modulus: f(modulus) }
            }
            Self::Keccak { to, offset, length } => Op::Keccak { to, offset: f(offset), length: f(length) },
            Self::KeccakPair { to, first, second } => {
                Op::KeccakPair { to, first: f(first), second: f(second) }
            }
            Self::KeccakWord { to, word } => Op::KeccakWord { to, word: f(word) },
            Self::Frame { word, to } => Op::Frame { word, to },
            Self::SelfBalance { to } => Op::SelfBalance { to },
            Self::Query { op, to, a } => Op::Query { op, to, a: f(a) },
            Self::CallDataLoad { to, offset } => Op::CallDataLoad { to, offset: f(offset) },
            Self::ReturnDataSize { to } => Op::ReturnDataSize { to },
            Self::MLoad { to, offset } => Op::MLoad { to, offset: f(offset) },
            Self::MStore { offset, word } => Op::MStore { offset: f(offset), word: f(word) },
            Self::MStore8 { offset, word } => Op::MStore8 { offset: f(offset), word: f(word) },
            Self::Copy { source, into, from, length } => {
                Op::Copy { source, into: f(into), from: f(from), length: f(length) }
            }
            Self::ExtCodeCopy { site } => Op::ExtCodeCopy { site },
            Self::MSize { to } => Op::MSize { to },
            Self::Gas { to, ahead } => Op::Gas { to, ahead },
            Self::SLoad { to, key, pc, delta } => Op::SLoad { to, key: f(key), pc, delta },
            Self::SStore { key, word, pc, delta, ahead } => {
                Op::SStore { key: f(key), word: f(word), pc, delta, ahead }
            }
            Self::TLoad { to, key } => Op::TLoad { to, key: f(key) },
            Self::TStore { key, word } => Op::TStore { key: f(key), word: f(word) },
            Self::Call { site, to } => Op::Call { site, to },
            Self::Create { site, to } => Op::Create { site, to },
            Self::Enter { needs, leaves, registers, gas, pc } => {
                Op::Enter { needs, leaves, registers, gas, pc }
            }
            Self::Log => Op::Log,
            Self::Range { per_byte, per_word, offset, length } => {
                Op::Range { per_byte, per_word, offset: f(offset), length: f(length) }
            }
            Self::Grow { base, end } => Op::Grow { base: f(base), end },
            Self::Spend { loads, exponent_bytes } => Op::Spend { loads, exponent_bytes },
            Self::Exponent { exponent } => Op::Exponent { exponent: f(exponent) },
            Self::Since { fork } => Op::Since { fork },
            Self::Move { to, from } => Op::Move { to, from: f(from) },
            Self::Jump { to } => Op::Jump { to },
            Self::Branch { condition, taken, fallthrough } => {
                Op::Branch { condition: f(condition), taken, fallthrough }
            }
            Self::Dynamic { target } => Op::Dynamic { target: f(target) },
            Self::DynamicBranch { condition, target, fallthrough } => {
                Op::DynamicBranch { condition: f(condition), target: f(target), fallthrough }
            }
            Self::Stop => Op::Stop,
            Self::Return { offset, length } => Op::Return { offset: f(offset), length: f(length) },
            Self::Revert { offset, length } => Op::Revert { offset: f(offset), length: f(length) },
            Self::Halt => Op::Halt,
            Self::SelfDestruct { beneficiary } => Op::SelfDestruct { beneficiary: f(beneficiary) },
        }
    }

    /// The register that takes the result, if there is one.
    pub(crate) fn result(&mut self) -> Option<&mut u16> {
        match self {
            Self::Unary { to, .. }
            | Self::Binary { to, .. }
            | Self::Modular { to, .. }
            | Self::Keccak { to, .. }
            | Self::KeccakPair { to, .. }
            | Self::KeccakWord { to, .. }
            | Self::Frame { to, .. }
            | Self::SelfBalance { to }
            | Self::Query { to, .. }
            | Self::CallDataLoad { to, .. }
            | Self::ReturnDataSize { to }
            | Self::MLoad { to, .. }
            | Self::MSize { to }
            | Self::Gas { to, .. }
            | Self::SLoad { to, .. }
            | Self::TLoad { to, .. }
            | Self::Call { to, .. }
            | Self::Create { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether nothing is lost when the operation is left out because nothing uses its result. What makes memory grow
    /// is replaced, not left out (see `trace::growth`).
    pub(crate) fn is_removable(&self) -> bool {
        matches!(
            self,
            Self::Unary { .. }
                | Self::Binary { .. }
                | Self::Modular { .. }
                | Self::KeccakPair { .. }
                | Self::KeccakWord { .. }
                | Self::Frame { .. }
                | Self::SelfBalance { .. }
                | Self::CallDataLoad { .. }
                | Self::ReturnDataSize { .. }
                | Self::MSize { .. }
                | Self::Gas { .. }
                | Self::TLoad { .. }
        )
    }
}

/// The operands of a call, or of `EXTCODECOPY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CallSite<T = Operand> {
    /// `CALL`, `CALLCODE`, `DELEGATECALL`, `STATICCALL` or `EXTCODECOPY`, as an opcode.
    pub opcode: u8,
    /// The instruction.
    pub pc: u32,
    /// The gas that is offered.
    pub gas: T,
    /// The address.
    pub target: T,
    /// The value in wei; a constant zero where the instruction has none.
    pub value: T,
    /// Where the input starts; for `EXTCODECOPY` the offset into the code.
    pub input: T,
    /// How long the input is.
    pub input_length: T,
    /// Where the output goes.
    pub output: T,
    /// How much room there is for it.
    pub output_length: T,
    /// Whether this frame reverts, without touching anything more, if the call fails.
    pub success_required: bool,
    /// Whether `gas` is what `GAS` said, so that the call gets all that it can get.
    pub gives_all: bool,
    /// As for [`Op::Gas`].
    pub ahead: u32,
}

/// The operands of a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CreateSite<T = Operand> {
    /// The instruction.
    pub pc: u32,
    /// The value in wei.
    pub value: T,
    /// Where the creation code starts in memory.
    pub offset: T,
    /// How long it is.
    pub length: T,
    /// The salt of `CREATE2`.
    pub salt: Option<T>,
    /// Whether this frame reverts, without touching anything more, if the creation fails.
    pub success_required: bool,
    /// As for [`Op::Gas`].
    pub ahead: u32,
}

impl<T: Copy> CallSite<T> {
    /// The same site over other operands.
    pub(crate) fn map<U>(self, mut f: impl FnMut(T) -> U) -> CallSite<U> {
        CallSite {
            opcode: self.opcode,
            pc: self.pc,
            gas: f(self.gas),
            target: f(self.target),
            value: f(self.value),
            input: f(self.input),
            input_length: f(self.input_length),
            output: f(self.output),
            output_length: f(self.output_length),
            success_required: self.success_required,
            gives_all: self.gives_all,
            ahead: self.ahead,
        }
    }
}

impl<T: Copy> CreateSite<T> {
    /// The same site over other operands.
    pub(crate) fn map<U>(self, mut f: impl FnMut(T) -> U) -> CreateSite<U> {
        CreateSite {
            pc: self.pc,
            value: f(self.value),
            offset: f(self.offset),
            length: f(self.length),
            salt: self.salt.map(&mut f),
            success_required: self.success_required,
            ahead: self.ahead,
        }
    }
}

impl Slice {
    /// Roughly how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        size_of_val(&self.ops[..])
            + self.code.len()
            + size_of_val(&self.constants[..])
            + size_of_val(&self.calls[..])
            + size_of_val(&self.creates[..])
            + 32 * (self.selectors.len() + self.destinations.len())
    }
}
