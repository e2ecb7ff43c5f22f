//! What a transaction touches: the result of a prediction, and the shape in which an execution is recorded.
//!
//! Plain data. Lists are sorted and hold each element once, so that two sets are compared by walking them side by
//! side. Nothing here knows how a set was found.

use alloy_primitives::{Address, B256, Selector, U256};

use crate::environment::EnvironmentWord;

/// One piece of state that can change on its own.
///
/// Balance, nonce and code are apart, never "the account": two transactions that touch different parts of one account
/// do not conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// A storage slot of an account.
    Storage(Address, U256),
    /// The balance of an account, in wei.
    Balance(Address),
    /// The nonce of an account.
    Nonce(Address),
    /// The code of an account, or the fact that it has none.
    Code(Address),
}

/// How an account is touched outside its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountAccess {
    /// The balance decides something: it is read by an instruction, or has to cover a transfer.
    BalanceRead(Address),
    /// The balance grows, whatever it was: credits commute.
    BalanceCredit(Address),
    /// The balance shrinks.
    BalanceDebit(Address),
    /// The nonce is read and written: the sender's, an authority's, or a creator's.
    NonceWrite(Address),
    /// The code is read or run.
    CodeRead(Address),
    /// The code is written: by a creation, a self-destruct or a delegation.
    CodeWrite(Address),
}

impl StateKey {
    /// The account that it belongs to.
    pub fn address(&self) -> Address {
        match *self {
            Self::Storage(address, _)
            | Self::Balance(address)
            | Self::Nonce(address)
            | Self::Code(address) => address,
        }
    }
}

impl AccountAccess {
    /// The account that is touched.
    pub fn address(&self) -> Address {
        match *self {
            Self::BalanceRead(address)
            | Self::BalanceCredit(address)
            | Self::BalanceDebit(address)
            | Self::NonceWrite(address)
            | Self::CodeRead(address)
            | Self::CodeWrite(address) => address,
        }
    }
}

/// What a transaction touches, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSet {
    /// Storage slots that are loaded.
    pub reads: Vec<(Address, U256)>,
    /// Storage slots that are stored to, whether or not the value changes, and also where the store is reverted later.
    pub writes: Vec<(Address, U256)>,
    /// Those of `writes` whose every access is part of `slot += e`, where nothing else sees the word: such updates of
    /// different transactions commute.
    pub deltas: Vec<(Address, U256)>,
    /// Those of `reads` and `writes` that not every way touches which the transaction may take, as far as that is known.
    pub possible: Vec<(Address, U256)>,
    /// What is touched of accounts, outside their storage.
    pub accounts: Vec<AccountAccess>,
    /// The state whose value decides this set: it stays right while none of it changes, nor any word of
    /// `depends_on_environment`.
    pub depends_on: Vec<StateKey>,
    /// The words of the block whose value decides this set. That the beneficiary is credited with fees is no access that a
    /// set lists, so that it is none of these.
    pub depends_on_environment: Vec<EnvironmentWord>,
    /// Why something may be missing from this set; nothing is if the list is empty.
    pub incomplete: Vec<Shortfall>,
    /// An estimate of the gas that the transaction uses: what the way that it was predicted to go can come to on any state,
    /// with stores and accounts at their dearest, and at most its gas limit. It is mostly more than what is used.
    pub gas: u64,
}

impl AccessSet {
    /// Forgets everything but the room for it.
    pub(crate) fn clear(&mut self) {
        let Self {
            reads,
            writes,
            deltas,
            possible,
            accounts,
            depends_on,
            depends_on_environment,
            incomplete,
            gas,
        } = self;
        reads.clear();
        writes.clear();
        deltas.clear();
        possible.clear();
        accounts.clear();
        depends_on.clear();
        depends_on_environment.clear();
        incomplete.clear();
        *gas = 0;
    }

    /// Whether the set claims to hold every access.
    pub fn is_complete(&self) -> bool {
        self.incomplete.is_empty()
    }
}

/// A place where prediction fell short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shortfall {
    /// Why.
    pub reason: ShortfallReason,
    /// The code that was being followed, by the hash of its bytes; zero where there is none.
    pub code_hash: B256,
    /// The first four bytes of that code's calldata; zero where there are fewer.
    pub selector: Selector,
    /// The instruction, as an offset into that code.
    pub pc: u32,
}

/// Why a prediction may miss something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ShortfallReason {
    /// A storage key depends on a word that is not known.
    UnknownKey,
    /// The target of a call or creation depends on a word that is not known.
    UnknownTarget,
    /// A jump depends on a word that is not known.
    UnknownJump,
    /// More branches depend on unknown words than are worth following.
    TooManyBranches,
    /// A place or length in memory depends on a word that is not known.
    UnknownMemory,
    /// The steps that a prediction may take are used up.
    StepBudget,
    /// The state could not be read.
    StateUnavailable,
    /// The code of an account could not be read.
    CodeUnavailable,
    /// Whether a call runs out of the gas that it is given decides what happens next.
    GasLimitedCall,
    /// The stack has too few words or too many in the middle of a piece of code.
    StackFault,
}

impl ShortfallReason {
    /// Whether it says something of the view of the state, and nothing of the transaction.
    pub(crate) fn is_of_the_view(self) -> bool {
        matches!(self, Self::StateUnavailable | Self::CodeUnavailable)
    }

    /// The name that reports use, in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown-key",
            Self::UnknownTarget => "unknown-target",
            Self::UnknownJump => "unknown-jump",
            Self::TooManyBranches => "too-many-branches",
            Self::UnknownMemory => "unknown-memory",
            Self::StepBudget => "step-budget",
            Self::StateUnavailable => "state-unavailable",
            Self::CodeUnavailable => "code-unavailable",
            Self::GasLimitedCall => "gas-limited-call",
            Self::StackFault => "stack-fault",
        }
    }
}
