//! The states that predictions are made on: what a request brings, a block file, a node, or nothing.
//!
//! In: keys. Out: what is known of them. What is not known is an error, never an invented value, so that predictions say
//! that they lack it.

#![cfg_attr(
    not(feature = "serve"),
    expect(dead_code, reason = "the hint server asks for more than commands do")
)]

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use deconflict_executor::{
    BlockState, StateError,
    fetch::{NodeError, forms},
};
use revm::{DatabaseRef, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo};
use serde_json::{Value, json};

use super::upstream::{Stop, Upstream};

/// Something that is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    /// Nothing was said of it.
    #[error("it is not known")]
    Absent,
    /// A node may know it, and was not to be asked.
    #[error("it is not at hand")]
    NotAsked,
    /// The block file lacks it.
    #[error(transparent)]
    Block(#[from] StateError),
}

impl DBErrorMarker for Unknown {}

/// What a request says of an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supplied {
    pub(crate) balance: Option<U256>,
    pub(crate) nonce: Option<u64>,
    /// With its hash.
    pub(crate) code: Option<(B256, Bytes)>,
    pub(crate) storage: BTreeMap<U256, U256>,
}

/// A state, as far as it is known.
pub(crate) enum View {
    /// What a request has brought, and what lies under it.
    Supplied(HashMap<Address, Supplied>, Arc<View>),
    /// The state before a block.
    Block(Arc<BlockState>),
    /// What a node says.
    Node(Arc<NodeState>),
    /// Nothing.
    Nothing,
}

/// A view that predictions are made on.
pub(crate) trait Answers: DatabaseRef<Error = Unknown> {
    /// Whether it had to leave something unanswered that can be found out.
    fn lacks_something(&self) -> bool;
}

/// A view whose node is waited for as long as somebody wants the answer.
pub(crate) struct Asking<'a> {
    pub(crate) view: &'a View,
    pub(crate) stop: Stop<'a>,
}

impl Answers for Asking<'_> {
    fn lacks_something(&self) -> bool {
        false
    }
}

impl DatabaseRef for Asking<'_> {
    type Error = Unknown;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Unknown> {
        self.view.account(address, Some(self.stop))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Unknown> {
        // Whoever knows the account has its code.
        self.view.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Unknown> {
        self.view.word(address, slot, Some(self.stop))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Unknown> {
        self.view.hash(number, Some(self.stop))
    }
}

/// What of a view is in memory.
pub(crate) struct AtHand<'a> {
    view: &'a View,
    lacks: Cell<bool>,
}

impl<'a> AtHand<'a> {
    pub(crate) fn new(view: &'a View) -> Self {
        Self { view, lacks: Cell::new(false) }
    }

    /// Notes that something would have to be asked for.
    fn note<T>(&self, answer: Result<T, Unknown>) -> Result<T, Unknown> {
        if matches!(answer, Err(Unknown::NotAsked)) {
            self.lacks.set(true);
        }
        answer
    }
}

impl Answers for AtHand<'_> {
    fn lacks_something(&self) -> bool {
        self.lacks.get()
    }
}

impl DatabaseRef for AtHand<'_> {
    type Error = Unknown;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Unknown> {
        self.note(self.view.account(address, None))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Unknown> {
        // Whoever knows the account has its code.
        self.view.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Unknown> {
        self.note(self.view.word(address, slot, None))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Unknown> {
        self.note(self.view.hash(number, None))
    }
}

impl DatabaseRef for View {
    type Error = Unknown;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Unknown> {
        self.account(address, Some(&|| false))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Unknown> {
        if hash == KECCAK256_EMPTY || hash.is_zero() {
            return Ok(Bytecode::default());
        }
        match self {
            Self::Nothing => Err(Unknown::Absent),
            Self::Block(state) => Ok(state.code_by_hash_ref(hash)?),
            Self::Node(state) => state.code(hash),
            Self::Supplied(accounts, under) => {
                let mut own = accounts.values().filter_map(|it| it.code.as_ref());
                match own.find(|(known, _)| *known == hash) {
                    Some((_, code)) => Bytecode::new_raw_checked(code.clone()).map_err(|_| Unknown::Absent),
                    None => under.code_by_hash_ref(hash),
                }
            }
        }
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Unknown> {
        self.word(address, slot, Some(&|| false))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Unknown> {
        self.hash(number, Some(&|| false))
    }
}

impl View {
    /// Whether there is anything to look at.
    pub(crate) fn is_something(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// An account; a node is only asked for it where there is an `asks`, which says when to wait no longer.
    fn account(&self, address: Address, asks: Option<Stop<'_>>) -> Result<Option<AccountInfo>, Unknown> {
        match self {
            Self::Nothing => Err(Unknown::Absent),
            Self::Block(state) => Ok(state.basic_ref(address)?),
            Self::Node(state) => state.account(address, asks),
            Self::Supplied(accounts, under) => {
                let Some(account) = accounts.get(&address) else { return under.account(address, asks) };
                let below = if account.balance.is_none() || account.nonce.is_none() || account.code.is_none()
                {
                    match under.account(address, asks) {
                        Err(Unknown::NotAsked) => return Err(Unknown::NotAsked),
                        other => other.ok().flatten(),
                    }
                } else {
                    None
                };
                let mut info = below.unwrap_or_default();
                if let Some(balance) = account.balance {
                    info.balance = balance;
                }
                if let Some(nonce) = account.nonce {
                    info.nonce = nonce;
                }
                if let Some((hash, _)) = &account.code {
                    info.code_hash = *hash;
                    info.code = None;
                }
                Ok(Some(info))
            }
        }
    }

    fn word(&self, address: Address, slot: U256, asks: Option<Stop<'_>>) -> Result<U256, Unknown> {
        match self {
            Self::Nothing => Err(Unknown::Absent),
            Self::Block(state) => Ok(state.storage_ref(address, slot)?),
            Self::Node(state) => state.word(address, slot, asks),
            Self::Supplied(accounts, under) => {
                match accounts.get(&address).and_then(|it| it.storage.get(&slot)) {
                    Some(word) => Ok(*word),
                    None => under.word(address, slot, asks),
                }
            }
        }
    }

    fn hash(&self, number: u64, asks: Option<Stop<'_>>) -> Result<B256, Unknown> {
        match self {
            Self::Block(state) => Ok(state.block_hash_ref(number)?),
            Self::Supplied(_, under) => under.hash(number, asks),
            Self::Node(state) => state.hash(number, asks),
            Self::Nothing => Err(Unknown::Absent),
        }
    }
}

/// How many words of a node's state are kept.
const KEPT: usize = 1 << 20;

/// The state at one block of a node, each piece asked for once.
pub(crate) struct NodeState {
    node: Arc<Upstream>,
    /// The block, as JSON-RPC names it.
    block: String,
    accounts: Mutex<HashMap<Address, Option<AccountInfo>>>,
    words: Mutex<HashMap<(Address, U256), U256>>,
    codes: Mutex<HashMap<B256, Bytecode>>,
    hashes: Mutex<HashMap<u64, B256>>,
}

impl NodeState {
    pub(crate) fn new(node: Arc<Upstream>, block: u64) -> Self {
        Self {
            node,
            block: format!("{block:#x}"),
            accounts: Mutex::default(),
            words: Mutex::default(),
            codes: Mutex::default(),
            hashes: Mutex::default(),
        }
    }

    /// Asks the node, and reads what it answers in whatever form that is.
    fn ask<T>(
        &self,
        method: &'static str,
        params: Value,
        stop: Stop<'_>,
        form: impl Fn(&Value) -> Result<T, NodeError>,
    ) -> Result<T, Unknown> {
        let answer = self.node.ask(method, params, stop);
        let parsed = answer.and_then(|answer| form(&answer).map_err(|error| error.to_string()));
        parsed.map_err(|error| {
            tracing::debug!(method, %error, "the node has not answered");
            Unknown::Absent
        })
    }

    fn hash(&self, number: u64, asks: Option<Stop<'_>>) -> Result<B256, Unknown> {
        if let Some(hash) = lock(&self.hashes).get(&number) {
            return Ok(*hash);
        }
        let Some(stop) = asks else { return Err(Unknown::NotAsked) };
        let params = json!([format!("{number:#x}"), false]);
        let block = self.ask("eth_getBlockByNumber", params, stop, |answer| Ok(answer.clone()))?;
        let hash = serde_json::from_value(block["hash"].clone()).map_err(|_| Unknown::Absent)?;
        keep(&self.hashes, number, hash);
        Ok(hash)
    }

    fn account(&self, address: Address, asks: Option<Stop<'_>>) -> Result<Option<AccountInfo>, Unknown> {
        if let Some(known) = lock(&self.accounts).get(&address) {
            return Ok(known.clone());
        }
        let Some(stop) = asks else { return Err(Unknown::NotAsked) };
        let params = json!([address, self.block]);
        let balance = self.ask("eth_getBalance", params.clone(), stop, forms::word)?;
        let nonce = self.ask("eth_getTransactionCount", params.clone(), stop, forms::short)?;
        let code = self.ask("eth_getCode", params, stop, forms::bytes)?;
        let exists = !(balance.is_zero() && nonce == 0 && code.is_empty());
        let info =
            AccountInfo { balance, nonce, code_hash: keccak256(&code), code: None, ..AccountInfo::default() };
        if let (false, Ok(bytecode)) = (code.is_empty(), Bytecode::new_raw_checked(code)) {
            keep(&self.codes, info.code_hash, bytecode);
        }
        let account = exists.then_some(info);
        keep(&self.accounts, address, account.clone());
        Ok(account)
    }

    fn code(&self, hash: B256) -> Result<Bytecode, Unknown> {
        lock(&self.codes).get(&hash).cloned().ok_or(Unknown::Absent)
    }

    fn word(&self, address: Address, slot: U256, asks: Option<Stop<'_>>) -> Result<U256, Unknown> {
        if let Some(word) = lock(&self.words).get(&(address, slot)) {
            return Ok(*word);
        }
        let Some(stop) = asks else { return Err(Unknown::NotAsked) };
        let params = json!([address, B256::from(slot), self.block]);
        let word = self.ask("eth_getStorageAt", params, stop, forms::word)?;
        keep(&self.words, (address, slot), word);
        Ok(word)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a piece of state; when there are too many, all are asked for anew.
fn keep<K: std::hash::Hash + Eq, V>(map: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut map = lock(map);
    if map.len() >= KEPT {
        map.clear();
    }
    map.insert(key, value);
}
