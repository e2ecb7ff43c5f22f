//! Hints for those who build or execute blocks: what transactions are predicted to touch, and what follows for a block.
//!
//! In: a block, or raw transactions and a state. Out: [`BlockHints`], plain data, and its text or bytes in every format of
//! [`FORMATS`], one file each. Hints are advice: a wrong one costs time, never correctness, and nothing here executes a
//! transaction. What is not known is said.

mod raw;
mod predict;
mod interning;
mod format;
mod json;
mod binary;
mod eip2930;
mod txdag;
mod used_state;
mod bep592;
mod human;
mod pip16;
mod prefetch;
mod reth;
mod registry;
mod block_words;
mod templates;
mod slices;

pub use binary::{BinaryError, VERSION as BINARY_VERSION, read as read_binary};
pub use eip2930::render_at_most as render_access_lists;
pub use format::FormatError;
pub use json::{SCHEMA, plan_document, transaction_document};
pub use predict::{hint_block, hint_transaction, hint_within, plan};
pub use raw::{RawError, Senders, Which, check_kinds, check_nonces, parse_lines, parse_transaction, recover};
pub use registry::{FORMATS, Format};
pub use slices::{
    SliceFileError, export as export_slices, export_symbolic as export_templates, import as import_slices,
    symbolic as symbolic_templates,
};
pub use templates::SCHEMA as TEMPLATES_SCHEMA;

use alloy_primitives::{Address, B256, U256};
use revm::primitives::hardfork::SpecId;

use crate::access_set::{AccessSet, AccountAccess};
use crate::environment::Assumed;

/// The hints for a block or for a list of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHints {
    /// The chain.
    pub chain_id: u64,
    /// The number of the block, where it is known.
    pub number: Option<u64>,
    /// The hash of the block, where it is known.
    pub hash: Option<B256>,
    /// The rules.
    pub spec: SpecId,
    /// How it is known that these are the rules, where they were found out: `schedule`, `named` or `guessed`.
    pub spec_origin: Option<&'static str>,
    /// Who made the hints, by version.
    pub analyzer: String,
    /// Whether there was a state to look at.
    pub basis: Basis,
    /// The block that this state comes after.
    pub parent: Option<B256>,
    /// What of the block's environment nobody has said.
    pub assumed: Assumed,
    /// The transactions, in order.
    pub transactions: Vec<TransactionHint>,
    /// Whom the block pays, where it is known.
    pub beneficiary: Option<Address>,
    /// What follows for the block as a whole, if that was asked for.
    pub plan: Option<BlockPlan>,
}

/// What predictions were made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Code and calldata alone.
    Static,
    /// The state as well.
    StaticAndState,
}

/// The hint for one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionHint {
    /// Its hash, where it is known.
    pub hash: Option<B256>,
    /// Its sender.
    pub from: Address,
    /// Whom it calls; none where it creates.
    pub to: Option<Address>,
    /// The nonce that its sender has to have.
    pub nonce: u64,
    /// The most gas that it may use.
    pub gas_limit: u64,
    /// What it touches.
    pub set: AccessSet,
    /// For each element of `set.incomplete` an account that has the code, where one is known.
    pub places: Vec<Option<Address>>,
    /// Accounts that its first instruction finds loaded, beside its sender, the one that it calls, and what the fork and the
    /// block name; sorted.
    pub warm: Vec<Address>,
    /// Whether a code is still being analysed; nothing is known then.
    pub pending: bool,
    /// Whether the sender cannot pay for it in the state at hand.
    pub needs_funds: bool,
}

/// What hints and order come to. Transactions are named by their index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockPlan {
    /// For each transaction the earlier ones whose writes it reads: of each piece of state the last that writes it, and
    /// those that add to it since; sorted.
    pub dependencies: Vec<Vec<u32>>,
    /// For each transaction the earlier ones that it may have to wait for beside these, sorted.
    pub possible: Vec<Vec<u32>>,
    /// The transactions of each lane in the order in which they run.
    pub lanes: Vec<Vec<u32>>,
    /// Transactions that may touch anything and had better run on their own.
    pub serial: Vec<u32>,
    /// What to read ahead: accounts, and of each the slots. Both are sorted.
    pub prefetch: Vec<(Address, Vec<U256>)>,
    /// The most gas that has to be used one transaction after the other.
    pub critical_path_gas: u64,
    /// The gas that all transactions are likely to use.
    pub gas: u64,
}

impl TransactionHint {
    /// Whether the hint claims to hold every access.
    pub fn is_complete(&self) -> bool {
        !self.pending && self.set.is_complete()
    }

    /// Why it may miss something.
    pub fn incomplete(&self) -> Option<&'static str> {
        if self.pending {
            return Some("analysis pending");
        }
        self.set.incomplete.first().map(|shortfall| shortfall.reason.name())
    }

    /// The slots that it reads or writes, sorted, each once.
    pub fn slots(&self) -> Vec<(Address, U256)> {
        let mut slots = [self.set.reads.as_slice(), self.set.writes.as_slice()].concat();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The accounts that it touches in any way, sorted, each once.
    pub fn addresses(&self) -> Vec<Address> {
        let of_accounts = self.set.accounts.iter().map(AccountAccess::address);
        let of_slots = self.set.reads.iter().chain(&self.set.writes).map(|(address, _)| *address);
        let mut addresses: Vec<Address> = of_accounts.chain(of_slots).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

/// Groups sorted slots by account.
fn by_account(slots: &[(Address, U256)]) -> Vec<(Address, Vec<U256>)> {
    let mut grouped: Vec<(Address, Vec<U256>)> = Vec::new();
    for (address, slot) in slots {
        match grouped.last_mut() {
            Some((last, slots)) if last == address => slots.push(*slot),
            _ => grouped.push((*address, vec![*slot])),
        }
    }
    grouped
}
