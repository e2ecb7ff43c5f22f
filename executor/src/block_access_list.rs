//! Block access lists of EIP-7928: a true one comes out of an execution, and one of somebody else's measures hints.
//!
//! In: a block with its state, or a list as RLP or JSON. Out: a list with values, or what hints lack beside it. Predictions
//! know keys and no values, so that no list is ever made from hints.

use alloy_eip7928::{BlockAccessIndex, validate_block_access_list};
use alloy_primitives::{Address, U256, hex};
use alloy_rlp::Decodable as _;
use revm::state::bal::Bal;
use rustc_hash::FxHashMap;
use thiserror::Error;

pub use alloy_eip7928::{AccountChanges, BlockAccessList};

use crate::{
    access_set::{AccountAccess, StateKey},
    block::Block,
    hints::TransactionHint,
    record::record_states,
    serial::ReplayError,
    state::BlockState,
    text::utf8,
};

/// Why something is no block access list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccessListError {
    /// It is text, but no list in JSON.
    #[error("it is no block access list in JSON: {0}")]
    Json(String),
    /// It is text, but not hexadecimal.
    #[error("it is neither JSON nor hexadecimal: {0}")]
    Hexadecimal(String),
    /// It is no list in RLP.
    #[error("it is no block access list in RLP: {0}")]
    Rlp(String),
    /// It breaks the rules about order.
    #[error("it breaks the rules of EIP-7928: {0}")]
    Rules(String),
}

/// Something that a list has and hints that claim to be complete do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// The transaction that changes it; none where it is only read, which lists do not say by transaction.
    pub transaction: Option<usize>,
    /// The account.
    pub address: Address,
    /// The slot; none where it is the account's balance, nonce or code.
    pub slot: Option<U256>,
}

/// The list that executing a block comes to: its transactions, without what clients do before and after them.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, BlockState, block_access_list};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let list = block_access_list::execute(&block, &BlockState::new(&block))?;
/// let rlp = block_access_list::to_rlp(&list);
/// assert_eq!(block_access_list::read(&rlp, block.transactions.len())?, list);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn execute(block: &Block, state: &BlockState) -> Result<BlockAccessList, ReplayError> {
    let mut list = Bal::new();
    record_states(block, state, |index, _, _, _, after| {
        let at = BlockAccessIndex::from_tx_index(index as u64);
        let mut accounts: Vec<_> = after.iter().collect();
        accounts.sort_unstable_by_key(|(address, _)| **address);
        for (address, account) in accounts {
            list.update_account(at, *address, account);
        }
    })?;
    Ok(list.into_alloy_bal())
}

/// The list in the encoding that a header has the hash of.
pub fn to_rlp(list: &BlockAccessList) -> Vec<u8> {
    alloy_rlp::encode(list)
}

/// The list as JSON, by the names `key`, `changes`, `index`, `value`.
pub fn to_json(list: &BlockAccessList) -> Vec<u8> {
    serde_json::to_vec(list).expect("lists are plain data")
}

/// Reads a list of a block with so many transactions: JSON, by either set of names that clients use, or RLP, as bytes or in
/// hexadecimal.
pub fn read(bytes: &[u8], transactions: usize) -> Result<BlockAccessList, AccessListError> {
    let bytes = &*utf8(bytes).map_err(|problem| AccessListError::Json(problem.to_string()))?;
    let list: BlockAccessList = match bytes.trim_ascii_start().first() {
        Some(b'[') => {
            serde_json::from_slice(bytes).map_err(|error| AccessListError::Json(error.to_string()))?
        }
        Some(0xc0..) => from_rlp(bytes)?,
        _ => {
            let digits = hex::decode(bytes.trim_ascii());
            from_rlp(&digits.map_err(|error| AccessListError::Hexadecimal(error.to_string()))?)?
        }
    };
    let checked = validate_block_access_list(&list, transactions);
    checked.map_err(|error| AccessListError::Rules(error.to_string()))?;
    Ok(list)
}

fn from_rlp(mut bytes: &[u8]) -> Result<BlockAccessList, AccessListError> {
    let list =
        BlockAccessList::decode(&mut bytes).map_err(|error| AccessListError::Rlp(error.to_string()))?;
    if bytes.is_empty() {
        Ok(list)
    } else {
        Err(AccessListError::Rlp(format!("{} bytes follow behind its end", bytes.len())))
    }
}

/// How hints compare with a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What hints that claim to be complete lack, sorted.
    pub lacks: Vec<Lack>,
    /// The transactions whose hints rest on something that was changed before them in the block, so that they claim nothing
    /// there; sorted.
    pub outdated: Vec<usize>,
}

/// What a list has and hints lack that claim to be complete. A hint claims that only while what it rests on is unchanged,
/// and a list says what was changed before each transaction. Reads are only held against hints if all of them claim to be
/// complete, because a list does not say whose they are. Whom the block pays, which every transaction does, hints do not
/// name.
pub fn compare(list: &[AccountChanges], hints: &[TransactionHint], beneficiary: Address) -> Comparison {
    let changed = first_changes(list);
    let is_outdated = |index: usize, hint: &TransactionHint| {
        let before = |key| changed.get(key).is_some_and(|at| *at <= index as u64);
        hint.is_complete() && hint.set.depends_on.iter().any(before)
    };
    let outdated: Vec<usize> = hints
        .iter()
        .enumerate()
        .filter(|(index, hint)| is_outdated(*index, hint))
        .map(|(at, _)| at)
        .collect();
    let claims = |index: usize| {
        let hint = hints.get(index).filter(|hint| hint.is_complete())?;
        outdated.binary_search(&index).is_err().then_some(hint)
    };
    let mut lacks = Vec::new();
    let all_claim = outdated.is_empty() && hints.iter().all(TransactionHint::is_complete);
    // Before the first transaction and after the last it is not for hints to say.
    let hint = |at: BlockAccessIndex| {
        let index = usize::try_from(at.0).ok()?.checked_sub(1)?;
        claims(index).map(|hint| (index, hint))
    };
    for account in list {
        let address = account.address;
        for slot in &account.storage_changes {
            let place = (address, slot.slot);
            for change in &slot.changes {
                let Some((index, hint)) = hint(change.block_access_index) else { continue };
                // What was only looked at is gone with the account.
                let is_gone = change.new_value.is_zero()
                    && hint.set.accounts.contains(&AccountAccess::CodeWrite(address))
                    && hint.set.reads.binary_search(&place).is_ok();
                if !is_gone && hint.set.writes.binary_search(&place).is_err() {
                    lacks.push(Lack { transaction: Some(index), address, slot: Some(slot.slot) });
                }
            }
        }
        let places = |slot| (address, slot);
        for place in account.storage_reads.iter().copied().map(places).filter(|_| all_claim) {
            let named = |hint: &TransactionHint| {
                hint.set.reads.binary_search(&place).is_ok() || hint.set.writes.binary_search(&place).is_ok()
            };
            if !hints.iter().any(named) {
                lacks.push(Lack { transaction: None, address, slot: Some(place.1) });
            }
        }
        let balances = account.balance_changes.iter().map(|change| change.block_access_index);
        let nonces = account.nonce_changes.iter().map(|change| change.block_access_index);
        let codes = account.code_changes.iter().map(|change| change.block_access_index);
        for (index, hint) in balances.chain(nonces).chain(codes).filter_map(hint) {
            if address != beneficiary && hint.addresses().binary_search(&address).is_err() {
                lacks.push(Lack { transaction: Some(index), address, slot: None });
            }
        }
    }
    lacks.sort_unstable();
    lacks.dedup();
    Comparison { lacks, outdated }
}

/// For each piece of state that a block changes, where it does so first.
fn first_changes(list: &[AccountChanges]) -> FxHashMap<StateKey, u64> {
    let mut first = FxHashMap::default();
    let mut note = |key: StateKey, at: BlockAccessIndex| {
        let known = first.entry(key).or_insert(at.0);
        *known = at.0.min(*known);
    };
    for account in list {
        let address = account.address;
        for slot in &account.storage_changes {
            for change in &slot.changes {
                note(StateKey::Storage(address, slot.slot), change.block_access_index);
            }
        }
        for change in &account.balance_changes {
            note(StateKey::Balance(address), change.block_access_index);
        }
        for change in &account.nonce_changes {
            note(StateKey::Nonce(address), change.block_access_index);
        }
        for change in &account.code_changes {
            note(StateKey::Code(address), change.block_access_index);
        }
    }
    first
}
