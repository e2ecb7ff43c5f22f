//! What an execution has read, noted so that it can be told later whether another state would have led to the same.
//!
//! In: what a view answered. Out: plain data. Nothing here reads a state, or decides what counts.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::{primitives::hardfork::SpecId, state::AccountInfo};

/// What a transaction has read.
#[derive(Debug, Default)]
pub(crate) struct ReadLog {
    pub(crate) accounts: Vec<AccountRead>,
    pub(crate) slots: Vec<SlotRead>,
    /// Those of `slots` that may only have been added to, and the comparisons that they decided.
    pub(crate) deltas: Vec<WordDelta>,
    pub(crate) checks: Vec<Check>,
    /// Accounts whose balance was seen by an instruction.
    pub(crate) seen: Vec<Address>,
    /// Accounts that paid, and the least that they had left after it.
    pub(crate) paid: Vec<(Address, U256)>,
    /// Whether the nonces of accounts decided anything.
    pub(crate) nonces: bool,
}

/// An account that was read.
#[derive(Clone, Debug)]
pub(crate) struct AccountRead {
    pub(crate) address: Address,
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    pub(crate) code_hash: B256,
    pub(crate) presence: Presence,
    /// Whether all of it is as it was before the block.
    pub(crate) from_base: bool,
    /// What has to hold of the balance.
    pub(crate) needs: BalanceNeed,
    /// Whether the nonce has to be this one.
    pub(crate) needs_nonce: bool,
    /// Whether the account has to be present as it was.
    pub(crate) needs_presence: bool,
}

/// What has to hold of a balance so that an execution stays what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BalanceNeed {
    /// It is what it was.
    Same,
    /// It is this much or more.
    AtLeast(U256),
}

/// Whether there is an account, as far as transactions can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// There is none.
    Absent,
    /// There is one without balance, nonce and code.
    Empty,
    /// There is one.
    Present,
}

impl Presence {
    pub(crate) fn of(info: Option<&AccountInfo>) -> Self {
        match info {
            None => Self::Absent,
            Some(info) if info.is_empty() => Self::Empty,
            Some(_) => Self::Present,
        }
    }

    /// Whether code cannot tell the two apart by the rules of a fork.
    pub(crate) fn same(self, other: Self, spec: SpecId) -> bool {
        let tell = |it| match it {
            Self::Empty
                if spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) && !spec.is_enabled_in(SpecId::PRAGUE) =>
            {
                Self::Absent
            }
            it => it,
        };
        tell(self) == tell(other)
    }
}

/// A slot that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotRead {
    pub(crate) address: Address,
    pub(crate) slot: U256,
    pub(crate) word: U256,
    /// Whether anybody in the block had written the slot, or taken the account's storage away.
    pub(crate) written: bool,
    /// The instruction that loaded it first; zero if that was no load.
    pub(crate) site: LoadSite,
}

impl ReadLog {
    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.deltas.clear();
        self.checks.clear();
        self.seen.clear();
        self.paid.clear();
        self.nonces = false;
    }

    /// The number of what is known of a word that may only have been added to.
    pub(crate) fn delta_at(&self, (address, slot): (Address, U256)) -> Option<usize> {
        self.deltas.iter().position(|it| it.read.slot == slot && it.read.address == address)
    }
}

impl AccountRead {
    pub(crate) fn new(address: Address, info: Option<&AccountInfo>) -> Self {
        Self {
            address,
            balance: info.map_or(U256::ZERO, |info| info.balance),
            nonce: info.map_or(0, |info| info.nonce),
            code_hash: code_hash(info),
            presence: Presence::of(info),
            from_base: false,
            needs: BalanceNeed::AtLeast(U256::ZERO),
            needs_nonce: false,
            needs_presence: true,
        }
    }
}

/// The hash of an account's code; that of nothing where there is none.
pub(crate) fn code_hash(info: Option<&AccountInfo>) -> B256 {
    info.map(|info| info.code_hash).filter(|hash| !hash.is_zero()).unwrap_or(KECCAK256_EMPTY)
}

/// A place in a code that loads a word. Two places may have the same number: it only says where to look more closely.
pub(crate) type LoadSite = u64;

/// A word that an execution only added to.
#[derive(Clone, Debug)]
pub(crate) struct WordDelta {
    /// How it was found.
    pub(crate) read: SlotRead,
    /// Whether anything else became of it.
    pub(crate) exact: bool,
}

/// A number that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The loaded word plus an offset, modulo 2^256.
    Plus(U256),
    /// An offset minus the loaded word.
    Minus(U256),
    /// A number that does not depend on it.
    Number(U256),
}

impl Side {
    fn of(self, word: U256) -> U256 {
        match self {
            Self::Plus(offset) => offset.wrapping_add(word),
            Self::Minus(offset) => offset.wrapping_sub(word),
            Self::Number(number) => number,
        }
    }

    /// The same number, if what is called the loaded word is the one that it was before `shift` was added to it.
    pub(crate) fn shifted(self, shift: U256) -> Self {
        match self {
            Self::Plus(offset) => Self::Plus(offset.wrapping_add(shift)),
            Self::Minus(offset) => Self::Minus(offset.wrapping_sub(shift)),
            Self::Number(number) => Self::Number(number),
        }
    }
}

/// A comparison that an execution made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// The number of the delta whose loaded word it depends on.
    pub(crate) delta: u32,
    pub(crate) left: Side,
    pub(crate) right: Side,
    /// Whether both are equal or, if not, whether the left one is less.
    pub(crate) is_equality: bool,
    /// How it came out.
    pub(crate) holds: bool,
}

impl Check {
    /// Whether it would come out the same if another word had been loaded.
    pub(crate) fn is_same(&self, word: U256) -> bool {
        let (left, right) = (self.left.of(word), self.right.of(word));
        self.holds == if self.is_equality { left == right } else { left < right }
    }
}
