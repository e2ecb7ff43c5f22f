//! What one function does to state and to the outside: accesses, calls, creations and balance reads.
//!
//! Plain data, written by the summary builder and read by the conflict matrix, the lint rules and the predictor.

use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
};

use crate::{
    code::Pc,
    expression::{Sources, Space},
    id::ExprId,
    location::Slot,
};

/// A condition on the path: `expression` is non-zero if `holds`, zero otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// The tested word.
    pub expression: ExprId,
    /// Whether the word is known to be non-zero (true) or zero (false).
    pub holds: bool,
}

/// Where in the code something happens, in one particular calling context.
#[derive(Clone, Debug, Default)]
pub struct Position {
    /// The instruction.
    pub pc: Pc,
    /// The `JUMP`s of the internal calls that are open at this point, outermost first.
    pub call_sites: Vec<Pc>,
    /// The index in [`crate::Summary::steps`] of its block. One way to it of several, so that it tells no two positions
    /// apart.
    pub step: u32,
}

impl Position {
    fn parts(&self) -> (Pc, &[Pc]) {
        (self.pc, &self.call_sites)
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Position {}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Hash for Position {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// Under which circumstances something happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstance {
    /// Conditions of branches that could also have gone another successful way.
    pub when: Vec<Condition>,
    /// Conditions that hold because the call reverts otherwise (`require`, overflow checks, ABI checks).
    pub requires: Vec<Condition>,
    /// Every path from here reverts: reads count, writes never become visible.
    pub reverts: bool,
    /// Every successful call passes here.
    pub always: bool,
    /// Inside a loop that was not unrolled: may happen any number of times with different operands.
    pub repeated: bool,
}

impl Circumstance {
    /// Whether every call that succeeds passes here.
    ///
    /// ```
    /// use deconflict_analyzer::Circumstance;
    ///
    /// let circumstance = Circumstance { always: true, ..Circumstance::default() };
    /// assert!(circumstance.is_of_every_call());
    /// ```
    pub fn is_of_every_call(&self) -> bool {
        // Conditions that cannot be expressed are not listed, so that a list without any says nothing.
        self.always
    }
}

/// Bytes `[from, to)` of a storage word, counted from the least significant byte, as solc's storage layout counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRange {
    /// First byte.
    pub from: u8,
    /// One past the last byte.
    pub to: u8,
}

impl ByteRange {
    /// The whole word.
    pub const WORD: Self = Self { from: 0, to: 32 };

    /// Whether both ranges share a byte.
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// One storage or transient-storage access by one instruction in one calling context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The instruction and how it was reached.
    pub position: Position,
    /// Storage or transient storage.
    pub space: Space,
    /// The location in normal form.
    pub slot: Slot,
    /// The location as computed.
    pub expression: ExprId,
    /// The bytes of the word that are used (read) or may change (write). A write that puts back what the slot held when the
    /// call began, behind another write of the same call, does not change it: the other one has the bytes.
    pub bytes: ByteRange,
    /// Read or write, and how.
    pub effect: Effect,
    /// Under which circumstances.
    pub circumstance: Circumstance,
}

/// What an access does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A load.
    Read {
        /// The loaded word.
        value: ExprId,
        /// Where the loaded word goes.
        escapes: Escapes,
    },
    /// A store.
    Write {
        /// The stored word.
        value: ExprId,
        /// How it relates to what was there.
        form: WriteForm,
    },
}

/// How a stored value relates to the value it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteForm {
    /// The new value does not depend on the old one.
    Plain,
    /// The new value depends on the old one in some other way than a sum.
    ReadModifyWrite,
    /// `slot ± amount` where the loaded value reaches nothing but this store and its overflow check: such updates commute.
    Delta {
        /// What is added or subtracted.
        amount: ExprId,
        /// Subtracted rather than added.
        subtract: bool,
        /// An overflow, underflow or balance check on the loaded value decides whether the call reverts.
        guarded: bool,
    },
    /// `slot ± amount`, but the loaded value is also used elsewhere (see the escapes of the load), so it does not commute.
    Increment {
        /// What is added or subtracted.
        amount: ExprId,
        /// Subtracted rather than added.
        subtract: bool,
    },
    /// Part of a sequence of stores that leaves the slot as the transaction found it.
    NetZero(NetZero),
}

/// Why a slot ends a successful call unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetZero {
    /// The loaded value is stored back.
    Restored,
    /// A lock: the call reverts if the slot holds one constant, stores it, and stores the other constant on every successful exit.
    Guard,
    /// Only ever set during the call and cleared before every successful exit.
    Cleared,
}

/// Where a loaded value goes; a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Escapes(pub u16);

impl Escapes {
    /// Into a store to the same slot.
    pub const STORE_BACK: Self = Self(1);
    /// Into a store to another slot.
    pub const OTHER_STORE: Self = Self(1 << 1);
    /// Into a branch other than an overflow check.
    pub const BRANCH: Self = Self(1 << 2);
    /// Into a check that only guards the sum stored back (overflow, underflow, sufficient balance) and reverts.
    pub const OVERFLOW_CHECK: Self = Self(1 << 3);
    /// Into the slot of another access.
    pub const KEY: Self = Self(1 << 4);
    /// Into the data or topics of a log.
    pub const LOG: Self = Self(1 << 5);
    /// Into the returned words.
    pub const RETURN: Self = Self(1 << 6);
    /// Into the target, value or input of an external call or creation.
    pub const CALL: Self = Self(1 << 7);
    /// Into a branch whose other arm always reverts (a `require` that is no overflow check).
    pub const REQUIRE: Self = Self(1 << 8);
    /// Perhaps into something that the analysis did not get to.
    pub const UNKNOWN: Self = Self(1 << 9);

    /// The union.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in this set.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing outside `other` is in this set.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// The kind of an external call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// `CALL`.
    Call,
    /// `CALLCODE`.
    CallCode,
    /// `DELEGATECALL`.
    DelegateCall,
    /// `STATICCALL`.
    StaticCall,
}

/// One external call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The instruction and how it was reached.
    pub position: Position,
    /// Which instruction.
    pub kind: CallKind,
    /// The called address.
    pub target: ExprId,
    /// The transferred value, for `CALL` and `CALLCODE`.
    pub value: Option<ExprId>,
    /// The first four bytes of the input, where they are constant.
    pub selector: Option<[u8; 4]>,
    /// What the first bytes of its input come from: nothing if they are constants, or if it only pays.
    pub asked_by: Sources,
    /// The input words after the selector (or from offset 0 without one) as far as they are known.
    pub arguments: Vec<ExprId>,
    /// Under which circumstances.
    pub circumstance: Circumstance,
}

/// One contract creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// The instruction and how it was reached.
    pub position: Position,
    /// The salt of `CREATE2`; `None` for `CREATE`, whose address depends on the creator's nonce.
    pub salt: Option<ExprId>,
    /// The created address as a value.
    pub address: ExprId,
    /// Under which circumstances.
    pub circumstance: Circumstance,
}

/// A read of an account's balance (`BALANCE`, `SELFBALANCE`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceRead {
    /// The instruction and how it was reached.
    pub position: Position,
    /// Whose balance.
    pub address: ExprId,
    /// The balance as a value.
    pub value: ExprId,
    /// Where the balance goes.
    pub escapes: Escapes,
    /// Under which circumstances.
    pub circumstance: Circumstance,
}

/// A `SELFDESTRUCT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfDestruct {
    /// The instruction and how it was reached.
    pub position: Position,
    /// Who receives the balance.
    pub beneficiary: ExprId,
    /// Under which circumstances.
    pub circumstance: Circumstance,
}
