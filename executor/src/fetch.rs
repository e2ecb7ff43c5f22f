//! Snapshots of blocks, taken from a node.
//!
//! In: a [`Node`] that answers JSON-RPC, and the number of a block. Out: a [`Block`] with all state that its execution needs,
//! which has been executed and has come to what its header says. Nothing that a node says is believed: headers and
//! transactions are held against the block's hash, codes against theirs, accounts and slots against the state root of the
//! parent where the node gives proofs, and all of it together against the header.
//!
//! Where the node has `debug_traceBlockByNumber`, the state comes from its `prestateTracer`. Else, and for what that leaves
//! out, it comes key by key: first what is predicted, then what the execution asks for beside it, until nothing is missing.

mod node;
pub mod forms;
mod wire;
mod header;
mod proof;
mod trace;
mod system;
mod memo;
mod standard;
mod code;
mod next;

pub use code::{ChainCode, Hop, Unfollowed, code_of};
pub use next::{NextBlock, next_block};
pub use node::{Node, NodeError, Patience, Patient};
pub use standard::Standard;
pub use wire::chain_id;

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use revm::primitives::hardfork::SpecId;
use serde_json::json;
use thiserror::Error;

use crate::{
    access_set::AccountAccess,
    block::{Block, Transaction},
    chain::{ChainRules, Schedule},
    hints::{Basis, hint_block},
    predict::Predictor,
    record::record_states,
    serial::{ReplayError, replay},
    state::{BlockState, StateError},
};
use memo::Memo;

/// How often a block is executed before it is given up: each time, something that was missing has been found.
const MAX_ROUNDS: usize = 512;

/// Why there is no snapshot.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The node does not answer, or not with what was asked for.
    #[error("{doing}: {problem}")]
    Node {
        /// What was being done.
        doing: String,
        /// What went wrong.
        problem: NodeError,
    },
    /// There is no such block.
    #[error("the node has no block {0}")]
    NoBlock(String),
    /// An answer contradicts a hash.
    #[error("the node lies or is broken: {what} is {claimed}, but its content comes to {actual}")]
    Contradiction {
        /// What was checked.
        what: String,
        /// What the node says, or the header.
        claimed: String,
        /// What it really is.
        actual: String,
    },
    /// An answer is not proved by what comes with it.
    #[error(
        "the node lies or is broken: what it says of {address} is not part of the state root {root}: {reason}"
    )]
    NotProved {
        /// The account.
        address: Address,
        /// The root of the parent's state.
        root: B256,
        /// What the proof lacks.
        reason: String,
    },
    /// A transaction cannot be used.
    #[error("transaction {index} of the block: {reason}")]
    Transaction {
        /// Its index.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The rules of the block are not known.
    #[error("the fork of the block cannot be told from its header: name it with `--spec`")]
    UnknownFork,
    /// The block is one of a fork whose rules are not known.
    #[error("{reason}")]
    LaterFork {
        /// Its number.
        number: u64,
        /// How that shows.
        reason: String,
    },
    /// The schedule is one of another chain.
    #[error("the schedule of {name} is one of chain {of}, and the node is on chain {chain_id}")]
    OtherSchedule {
        /// What it is called.
        name: String,
        /// Its chain.
        of: u64,
        /// The node's chain.
        chain_id: u64,
    },
    /// The snapshot does not come to what the header says.
    #[error(
        "the snapshot does not come to what the header says, so that it is not written; the state may depend on what the \
         client does before the first transaction, or the chain has rules of its own"
    )]
    Differs(#[source] Box<ReplayError>),
    /// It is never complete.
    #[error("the execution still asks for more state after {MAX_ROUNDS} rounds")]
    Endless,
}

/// How a snapshot was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchFigures {
    /// Whether the node's `prestateTracer` was used.
    pub traced: bool,
    /// Accounts and slots that were asked for one by one.
    pub asked: usize,
    /// Those of them that predictions named before the first execution.
    pub predicted: usize,
    /// How often the block was executed.
    pub rounds: usize,
    /// Accounts and slots for which the node gave a proof that was checked.
    pub proved: usize,
    /// The rules that the block comes to what its header says by, and how they are known.
    pub rules: Option<ChainRules>,
}

/// How to take a snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchOptions<'a> {
    /// The rules, where they cannot be told from the chain and the header.
    pub spec: Option<SpecId>,
    /// When which rules hold on the chain, where that is not known here.
    pub schedule: Option<&'a Schedule>,
    /// Not to use `debug_traceBlockByNumber` even where it is there.
    pub without_tracer: bool,
}

/// Takes a snapshot of the block with this number. `progress` hears of every step: what is being done, and how much of it
/// is done.
pub fn fetch_block(
    node: &dyn Node,
    number: &str,
    options: FetchOptions<'_>,
    predictor: &Predictor,
    progress: &mut dyn FnMut(&str, usize),
) -> Result<(Block, FetchFigures), FetchError> {
    progress("header", 0);
    let chain_id = wire::chain_id(node)?;
    let (head, transactions) = wire::block(node, number, chain_id)?;
    let parent = match head.number.checked_sub(1) {
        Some(number) => wire::header(node, number)?,
        None => None,
    };
    if let Some(parent) = parent.as_ref().filter(|parent| parent.hash != head.parent_hash) {
        return Err(FetchError::Contradiction {
            what: format!("the parent hash of block {}", head.number),
            claimed: head.parent_hash.to_string(),
            actual: parent.hash.to_string(),
        });
    }
    let candidates = header::rules(chain_id, &head, options)?;
    let mut failure = FetchError::UnknownFork;
    let mut memo = Memo::new(node, head.number, parent.map(|parent| parent.state_root));
    let mut figures = FetchFigures::default();
    if !options.without_tracer {
        progress("tracing", 0);
        figures.traced = memo.trace(&transactions)?;
    }
    for rules in candidates {
        let mut block = header::block(chain_id, &head, &rules, transactions.clone());
        match complete(&mut block, &mut memo, predictor, &mut figures, progress) {
            Ok(()) => {
                (figures.asked, figures.proved) = (memo.asked, memo.proved);
                figures.rules = Some(rules);
                return Ok((block, figures));
            }
            // Another fork may fit; if none does, the likeliest tells most.
            Err(error @ FetchError::Differs(_)) => {
                if matches!(failure, FetchError::UnknownFork) {
                    failure = error;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

/// Finds the state that a block needs, and makes sure that it is right.
fn complete(
    block: &mut Block,
    memo: &mut Memo<'_>,
    predictor: &Predictor,
    figures: &mut FetchFigures,
    progress: &mut dyn FnMut(&str, usize),
) -> Result<(), FetchError> {
    let (mut accounts, mut slots) = first_needed(block);
    memo.ask(&accounts, &slots, progress)?;
    if !figures.traced {
        predict(block, memo, predictor, figures, progress)?;
    }
    for round in 1..=MAX_ROUNDS {
        figures.rounds += 1;
        progress("executing", round);
        memo.put_into(block);
        let state = BlockState::new(block);
        (accounts, slots) = (BTreeSet::new(), BTreeSet::new());
        let outcome = record_states(block, &state, |index, _, seen, _, after| {
            slots.extend(seen.reads.keys().chain(seen.writes.keys()));
            // What is recorded is what instructions name. What the engine has loaded beside that, such as whom an account is
            // delegated to, who has signed an authorization, or what stands where a contract was to be made, decides as much.
            let mut loaded: BTreeSet<Address> = after.into_keys().collect();
            loaded.extend(seen.accounts.iter().map(AccountAccess::address));
            for address in &loaded {
                memo.touched(*address, index);
            }
            accounts.extend(loaded);
        });
        let missing = match &outcome {
            Err(ReplayError::State { source: StateError::BlockHashMissing(number), .. }) => {
                let found = wire::header(memo.node(), *number)?;
                block.block_hashes.insert(*number, found.map_or(B256::ZERO, |it| it.hash));
                true
            }
            _ => false,
        };
        let more = memo.ask(&accounts, &slots, progress)?;
        if !more && !missing {
            outcome.map_err(|error| FetchError::Differs(Box::new(error)))?;
            Memo::keep_only(block, &accounts, &slots);
            replay(block, &BlockState::new(block)).map_err(|error| FetchError::Differs(Box::new(error)))?;
            return Ok(());
        }
    }
    Err(FetchError::Endless)
}

/// Asks for what transactions are predicted to touch, until predictions ask for nothing more.
fn predict(
    block: &mut Block,
    memo: &mut Memo<'_>,
    predictor: &Predictor,
    figures: &mut FetchFigures,
    progress: &mut dyn FnMut(&str, usize),
) -> Result<(), FetchError> {
    const MAX_PREDICTIONS: usize = 12;
    for round in 1..=MAX_PREDICTIONS {
        progress("predicting", round);
        memo.put_into(block);
        let state = BlockState::new(block);
        let hints = hint_block(block, &block.transactions, predictor, &state, Basis::StaticAndState, None);
        let slots = hints.transactions.iter().flat_map(crate::hints::TransactionHint::slots).collect();
        let accounts = hints.transactions.iter().flat_map(crate::hints::TransactionHint::addresses).collect();
        let before = memo.asked;
        let more = memo.ask(&accounts, &slots, progress)?;
        figures.predicted += memo.asked - before;
        if !more {
            break;
        }
    }
    Ok(())
}

/// The accounts that a block names itself.
fn first_needed(block: &Block) -> (BTreeSet<Address>, BTreeSet<(Address, U256)>) {
    let named = |transaction: &Transaction| {
        let target = transaction.env.kind.to().copied();
        [Some(transaction.env.caller), target].into_iter().flatten().collect::<Vec<_>>()
    };
    let mut accounts: BTreeSet<Address> = block.transactions.iter().flat_map(named).collect();
    accounts.insert(block.header.coinbase);
    (accounts, BTreeSet::new())
}

/// Asks a node, and says what for if it fails.
fn ask(node: &dyn Node, method: &str, params: serde_json::Value) -> Result<serde_json::Value, FetchError> {
    let doing = format!("{method} {params}");
    node.call(method, params).map_err(|problem| FetchError::Node { doing, problem })
}

/// Asks a node, and reads what it answers in whatever form that is.
fn read<T>(
    node: &dyn Node,
    method: &str,
    params: serde_json::Value,
    form: impl Fn(&serde_json::Value) -> Result<T, NodeError>,
) -> Result<T, FetchError> {
    let doing = format!("{method} {params}");
    form(&ask(node, method, params)?).map_err(|problem| FetchError::Node { doing, problem })
}

/// A number as JSON-RPC writes it.
fn quantity(number: u64) -> serde_json::Value {
    json!(format!("{number:#x}"))
}
