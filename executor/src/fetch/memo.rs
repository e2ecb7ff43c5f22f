//! What is known of the state before a block.
//!
//! In: which accounts and slots are needed. Out: what the node says of them at the parent block, checked as far as the node
//! lets it be: by proofs against the parent's state root, and codes by their hashes. Each is asked for once.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount, proof::verify_proof};
use rayon::prelude::*;
use revm::bytecode::Bytecode;
use serde_json::json;

use super::{
    FetchError, Node, NodeError, forms,
    proof::{ProofAnswer, SlotProof},
    quantity, read, system,
    trace::{self, TracedAccount},
};
use crate::block::{Account, Block, Transaction};

/// How many slots are asked for in one proof.
const SLOTS_AT_ONCE: usize = 128;

pub(super) struct Memo<'a> {
    node: &'a dyn Node,
    number: u64,
    /// The root of the state before the block, where the parent is known.
    root: Option<B256>,
    accounts: BTreeMap<Address, Existence>,
    slots: BTreeMap<(Address, U256), U256>,
    codes: BTreeMap<B256, Bytecode>,
    /// The first transaction in whose trace an account is.
    traced: BTreeMap<Address, usize>,
    /// Whether the node gives proofs, as far as that is known.
    gives_proofs: bool,
    pub(super) asked: usize,
    pub(super) proved: usize,
}

/// What is known of an account.
#[derive(Clone, Copy, Debug)]
enum Existence {
    /// There is none.
    Absent,
    /// There is one.
    Present(Known),
}

impl Existence {
    /// An account of which nothing is left is none.
    fn of(known: Known) -> Self {
        let empty = known.balance.is_zero() && known.nonce == 0 && known.code_hash == KECCAK256_EMPTY;
        if empty { Self::Absent } else { Self::Present(known) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    balance: U256,
    nonce: u64,
    code_hash: B256,
}

/// What one request has found out.
#[derive(Default)]
struct Found {
    account: Option<Existence>,
    slots: Vec<(U256, U256)>,
    proved: bool,
}

impl<'a> Memo<'a> {
    pub(super) fn new(node: &'a dyn Node, number: u64, root: Option<B256>) -> Self {
        Self {
            node,
            number,
            root,
            accounts: BTreeMap::new(),
            slots: BTreeMap::new(),
            codes: BTreeMap::new(),
            traced: BTreeMap::new(),
            gives_proofs: true,
            asked: 0,
            proved: 0,
        }
    }

    pub(super) fn node(&self) -> &'a dyn Node {
        self.node
    }

    /// Takes over what the node's tracer has seen. False where the node has none.
    pub(super) fn trace(&mut self, transactions: &[Transaction]) -> Result<bool, FetchError> {
        let params = json!([quantity(self.number), { "tracer": "prestateTracer" }]);
        let answer = match self.node.call("debug_traceBlockByNumber", params) {
            Ok(answer) => answer,
            // Whatever a node says that does not want to trace, there is another way.
            Err(NodeError::Refused { .. }) => return Ok(false),
            Err(problem) => {
                let doing = "debug_traceBlockByNumber".to_owned();
                return Err(FetchError::Node { doing, problem });
            }
        };
        let Some(traces) = trace::read(&answer) else { return Ok(false) };
        if traces.len() != transactions.len() {
            return Ok(false);
        }
        for (index, accounts) in traces.into_iter().enumerate() {
            for TracedAccount { address, balance, nonce, code, storage } in accounts {
                self.traced.entry(address).or_insert(index);
                let code_hash = keccak256(&code);
                if !code.is_empty() {
                    let code = checked_code(address, code)?;
                    self.codes.entry(code_hash).or_insert(code);
                }
                let known = Known { balance, nonce, code_hash };
                self.accounts.entry(address).or_insert(Existence::of(known));
                for (slot, word) in storage {
                    // Whoever changed the word earlier in the block has it in an earlier trace, as it was before.
                    self.slots.entry((address, slot)).or_insert(word);
                }
            }
        }
        Ok(true)
    }

    /// A transaction touches an account. If no trace has it so early, a later one shows what this block has made of it.
    pub(super) fn touched(&mut self, address: Address, index: usize) {
        if self.traced.get(&address).is_some_and(|first| index < *first) {
            self.traced.remove(&address);
            self.accounts.remove(&address);
            self.slots.retain(|(other, _), _| *other != address);
        }
    }

    /// Asks for what is not known yet. False if all of it was.
    pub(super) fn ask(
        &mut self,
        accounts: &BTreeSet<Address>,
        slots: &BTreeSet<(Address, U256)>,
        progress: &mut dyn FnMut(&str, usize),
    ) -> Result<bool, FetchError> {
        let mut wanted: BTreeMap<Address, Vec<U256>> = BTreeMap::new();
        for address in accounts.iter().filter(|address| !self.accounts.contains_key(*address)) {
            wanted.entry(*address).or_default();
        }
        for place in slots.iter().filter(|place| !self.slots.contains_key(*place)) {
            wanted.entry(place.0).or_default().push(place.1);
        }
        let mut requests: Vec<(Address, Vec<U256>)> = Vec::new();
        for (address, slots) in wanted {
            if slots.is_empty() {
                requests.push((address, slots));
            } else {
                requests.extend(slots.chunks(SLOTS_AT_ONCE).map(|part| (address, part.to_vec())));
            }
        }
        if requests.is_empty() {
            return Ok(false);
        }
        for part in requests.chunks(64) {
            progress("state", self.accounts.len() + self.slots.len());
            let mut answers = self.answers(part)?;
            if answers.is_none() {
                self.gives_proofs = false;
                answers = self.answers(part)?;
            }
            for ((address, slots), found) in part.iter().zip(answers.unwrap_or_default()) {
                self.asked += slots.len().max(1);
                self.proved += if found.proved { slots.len().max(1) } else { 0 };
                if let Some(account) = found.account {
                    self.accounts.entry(*address).or_insert(account);
                }
                self.slots.extend(found.slots.into_iter().map(|(slot, word)| ((*address, slot), word)));
            }
        }
        self.find_codes()?;
        Ok(true)
    }

    /// What the node says, many at once. None where it turns out that it gives no proofs.
    fn answers(&self, requests: &[(Address, Vec<U256>)]) -> Result<Option<Vec<Found>>, FetchError> {
        let answer = |(address, slots): &(Address, Vec<U256>)| {
            if self.gives_proofs {
                self.proved(*address, slots)
            } else {
                self.plain(*address, slots).map(Some)
            }
        };
        requests.par_iter().map(answer).collect()
    }

    fn parent(&self) -> serde_json::Value {
        quantity(self.number.saturating_sub(1))
    }

    /// An account and some of its slots, with proofs. None where the node has none to give.
    fn proved(&self, address: Address, slots: &[U256]) -> Result<Option<Found>, FetchError> {
        let Some(root) = self.root else { return Ok(None) };
        let keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
        let answer = match self.node.call("eth_getProof", json!([address, keys, self.parent()])) {
            Ok(answer) => answer,
            Err(NodeError::Refused { .. }) => return Ok(None),
            Err(problem) => {
                return Err(FetchError::Node { doing: format!("eth_getProof of {address}"), problem });
            }
        };
        let Some(ProofAnswer { balance, nonce, code_hash, storage_hash, account_proof, storage_proof }) =
            ProofAnswer::read(&answer).map_err(|problem| FetchError::Node {
                doing: format!("eth_getProof of {address}"),
                problem,
            })?
        else {
            return Ok(None);
        };
        let not_proved = |reason: String| FetchError::NotProved { address, root, reason };
        let code_hash = if code_hash.is_zero() { KECCAK256_EMPTY } else { code_hash };
        let existence = Existence::of(Known { balance, nonce, code_hash });
        let exists = matches!(existence, Existence::Present(_));
        let storage_root = if storage_hash.is_zero() { EMPTY_ROOT_HASH } else { storage_hash };
        let leaf =
            exists.then(|| alloy_rlp::encode(TrieAccount::new(nonce, balance, storage_root, code_hash)));
        verify_proof(root, Nibbles::unpack(keccak256(address)), leaf, &account_proof)
            .map_err(|error| not_proved(error.to_string()))?;
        let mut found = Found { proved: true, ..Found::default() };
        found.account = Some(existence);
        for slot in slots {
            let proof = storage_proof.iter().find(|proof| proof.key == *slot);
            let SlotProof { value, proof, .. } =
                proof.ok_or_else(|| not_proved(format!("slot {slot:#x} is not in the answer")))?;
            let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
            let key = Nibbles::unpack(keccak256(B256::from(*slot)));
            verify_proof(storage_root, key, leaf, proof)
                .map_err(|error| not_proved(format!("slot {slot:#x}: {error}")))?;
            found.slots.push((*slot, *value));
        }
        Ok(Some(found))
    }

    /// The same without proofs.
    fn plain(&self, address: Address, slots: &[U256]) -> Result<Found, FetchError> {
        let parent = self.parent();
        let mut found = Found::default();
        if !self.accounts.contains_key(&address) {
            let params = || json!([address, parent]);
            let balance = read(self.node, "eth_getBalance", params(), forms::word)?;
            let nonce = read(self.node, "eth_getTransactionCount", params(), forms::short)?;
            let code = read(self.node, "eth_getCode", params(), forms::bytes)?;
            found.account = Some(Existence::of(Known { balance, nonce, code_hash: keccak256(&code) }));
        }
        for slot in slots {
            let params = json!([address, B256::from(*slot), parent]);
            found.slots.push((*slot, read(self.node, "eth_getStorageAt", params, forms::word)?));
        }
        Ok(found)
    }

    /// Asks for the codes of accounts that are known by their hash only.
    fn find_codes(&mut self) -> Result<(), FetchError> {
        let mut wanted: BTreeMap<B256, Address> = BTreeMap::new();
        for (address, account) in &self.accounts {
            let Existence::Present(account) = account else { continue };
            if account.code_hash != KECCAK256_EMPTY && !self.codes.contains_key(&account.code_hash) {
                wanted.insert(account.code_hash, *address);
            }
        }
        let wanted: Vec<(B256, Address)> = wanted.into_iter().collect();
        let answers = wanted.par_iter().map(|(hash, address)| {
            let code = read(self.node, "eth_getCode", json!([address, self.parent()]), forms::bytes)?;
            let actual = keccak256(&code);
            if actual != *hash {
                return Err(FetchError::Contradiction {
                    what: format!("the hash of the code of {address}"),
                    claimed: hash.to_string(),
                    actual: actual.to_string(),
                });
            }
            Ok((*hash, checked_code(*address, code)?))
        });
        let answers: Vec<(B256, Bytecode)> = answers.collect::<Result<_, FetchError>>()?;
        self.codes.extend(answers);
        Ok(())
    }

    /// Puts all that is known into a block.
    pub(super) fn put_into(&self, block: &mut Block) {
        block.pre_state.clear();
        for (address, known) in &self.accounts {
            let Existence::Present(known) = known else { continue };
            let storage = self.slots.range((*address, U256::ZERO)..=(*address, U256::MAX));
            let account = Account {
                balance: known.balance,
                nonce: known.nonce,
                code_hash: known.code_hash,
                storage: storage.map(|((_, slot), word)| (*slot, *word)).collect(),
            };
            block.pre_state.insert(*address, account);
        }
        block.codes.clone_from(&self.codes);
        system::put_into(block);
    }

    /// Leaves what was touched, and the codes of that.
    pub(super) fn keep_only(
        block: &mut Block,
        accounts: &BTreeSet<Address>,
        slots: &BTreeSet<(Address, U256)>,
    ) {
        let owners: BTreeSet<Address> = slots.iter().map(|(address, _)| *address).collect();
        block.pre_state.retain(|address, _| accounts.contains(address) || owners.contains(address));
        for (address, account) in &mut block.pre_state {
            account.storage.retain(|slot, _| slots.contains(&(*address, *slot)));
        }
        let used: BTreeSet<B256> = block.pre_state.values().map(|account| account.code_hash).collect();
        block.codes.retain(|hash, _| used.contains(hash));
    }
}

fn checked_code(address: Address, code: Bytes) -> Result<Bytecode, FetchError> {
    Bytecode::new_raw_checked(code).map_err(|error| FetchError::Node {
        doing: format!("the code of {address}"),
        problem: NodeError::Malformed(error.to_string()),
    })
}
