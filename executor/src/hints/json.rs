//! `json` and `jsonl`: the format `deconflict/hints/1`, whose schema is `docs/schemas/hints.schema.json`.
//!
//! In: hints. Out: one document, or one document a transaction and line. The structs here are the format; fields are only
//! ever added.

use alloy_primitives::{Address, B256, Selector, U256};
use revm::primitives::hardfork::SpecId;
use serde::Serialize;

use super::{Basis, BlockHints, BlockPlan, TransactionHint};
use crate::{
    access_set::{AccountAccess, StateKey},
    chain::fork_name,
    environment::EnvironmentWord,
};

/// The name and version of the format.
pub const SCHEMA: &str = "deconflict/hints/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    chain_id: u64,
    spec: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec_origin: Option<&'static str>,
    analyzer: &'a str,
    number: Option<u64>,
    hash: Option<B256>,
    basis: BasisDocument,
    txs: Vec<TransactionDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanDocument>,
}

#[derive(Serialize)]
struct BasisDocument {
    kind: &'static str,
    parent: Option<B256>,
    guessed: Vec<&'static str>,
    computed: Vec<&'static str>,
}

#[derive(Serialize)]
struct TransactionDocument {
    index: usize,
    hash: Option<B256>,
    from: Address,
    to: Option<Address>,
    nonce: u64,
    gas_limit: u64,
    complete: bool,
    incomplete: Option<&'static str>,
    gas_estimate: u64,
    reads: Vec<SlotDocument>,
    writes: Vec<SlotDocument>,
    deltas: Vec<DeltaDocument>,
    accounts: Vec<AccountDocument>,
    unknown: Vec<UnknownDocument>,
    depends_on_state: Vec<SlotDocument>,
    depends_on_accounts: Vec<FieldDocument>,
    depends_on_environment: Vec<&'static str>,
    depends_on_block_hashes: Vec<u64>,
    needs_funds: bool,
}

#[derive(Serialize)]
struct SlotDocument {
    address: Address,
    slot: B256,
}

#[derive(Serialize)]
struct DeltaDocument {
    address: Address,
    slot: B256,
    /// An overflow check may stand before the addition, so that whoever commutes it has to check again.
    guarded: bool,
}

#[derive(Serialize)]
struct AccountDocument {
    address: Address,
    kinds: Vec<&'static str>,
}

#[derive(Serialize)]
struct UnknownDocument {
    address: Option<Address>,
    reason: &'static str,
    code_hash: B256,
    selector: Selector,
    pc: u32,
}

#[derive(Serialize)]
struct FieldDocument {
    address: Address,
    field: &'static str,
}

#[derive(Serialize)]
struct PlanDocument {
    dependencies: Vec<Vec<u32>>,
    possible: Vec<Vec<u32>>,
    lanes: Vec<Vec<u32>>,
    serial: Vec<u32>,
    prefetch: Vec<PrefetchDocument>,
    critical_path_gas: u64,
    gas: u64,
}

#[derive(Serialize)]
pub(super) struct PrefetchDocument {
    address: Address,
    slots: Vec<B256>,
}

/// All of it as one document.
pub(super) fn render(hints: &BlockHints) -> Vec<u8> {
    let document = Document {
        schema: SCHEMA,
        chain_id: hints.chain_id,
        spec: spec_name(hints.spec),
        spec_origin: hints.spec_origin,
        analyzer: &hints.analyzer,
        number: hints.number,
        hash: hints.hash,
        basis: BasisDocument {
            kind: match hints.basis {
                Basis::Static => "static",
                Basis::StaticAndState => "static+state",
            },
            parent: hints.parent,
            guessed: names(&hints.assumed.guessed),
            computed: names(&hints.assumed.computed),
        },
        txs: hints.transactions.iter().enumerate().map(|(index, hint)| document(index, hint)).collect(),
        plan: hints.plan.as_ref().map(of_plan),
    };
    line(&document)
}

/// One transaction a line.
pub(super) fn render_lines(hints: &BlockHints) -> Vec<u8> {
    hints.transactions.iter().enumerate().flat_map(|(index, hint)| line(&document(index, hint))).collect()
}

/// The document of one transaction, as it stands in `txs` and in the lines of `jsonl`.
pub fn transaction_document(index: usize, hint: &TransactionHint) -> serde_json::Value {
    serde_json::to_value(document(index, hint)).expect("keys are strings, and nothing else fails")
}

/// The document of a plan, as it stands in `plan`.
pub fn plan_document(plan: &BlockPlan) -> serde_json::Value {
    serde_json::to_value(of_plan(plan)).expect("keys are strings, and nothing else fails")
}

/// The name of a fork in the formats of this project.
pub(super) fn spec_name(spec: SpecId) -> &'static str {
    fork_name(spec).unwrap_or("unnamed")
}

pub(super) fn line(document: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(document).expect("keys are strings, and nothing else fails");
    text.push(b'\n');
    text
}

pub(super) fn prefetch(list: &[(Address, Vec<U256>)]) -> Vec<PrefetchDocument> {
    let words = |slots: &[U256]| slots.iter().map(|slot| B256::from(*slot)).collect();
    list.iter().map(|(address, slots)| PrefetchDocument { address: *address, slots: words(slots) }).collect()
}

fn document(index: usize, hint: &TransactionHint) -> TransactionDocument {
    let set = &hint.set;
    let unknown = set.incomplete.iter().enumerate().map(|(number, shortfall)| UnknownDocument {
        address: hint.places.get(number).copied().flatten(),
        reason: shortfall.reason.name(),
        code_hash: shortfall.code_hash,
        selector: shortfall.selector,
        pc: shortfall.pc,
    });
    let on_state = set.depends_on.iter().filter_map(|key| match key {
        StateKey::Storage(address, slot) => Some(place(&(*address, *slot))),
        _ => None,
    });
    let on_accounts = set.depends_on.iter().filter_map(|key| match *key {
        StateKey::Storage(..) => None,
        StateKey::Balance(address) => Some(FieldDocument { address, field: "balance" }),
        StateKey::Nonce(address) => Some(FieldDocument { address, field: "nonce" }),
        StateKey::Code(address) => Some(FieldDocument { address, field: "code" }),
    });
    let on_hashes = set.depends_on_environment.iter().filter_map(|word| match word {
        EnvironmentWord::BlockHash(number) => Some(*number),
        _ => None,
    });
    TransactionDocument {
        index,
        hash: hint.hash,
        from: hint.from,
        to: hint.to,
        nonce: hint.nonce,
        gas_limit: hint.gas_limit,
        complete: hint.is_complete(),
        incomplete: hint.incomplete(),
        gas_estimate: set.gas,
        reads: set.reads.iter().map(place).collect(),
        writes: set.writes.iter().map(place).collect(),
        deltas: set
            .deltas
            .iter()
            .map(|(address, slot)| DeltaDocument { address: *address, slot: (*slot).into(), guarded: true })
            .collect(),
        accounts: accounts(&set.accounts),
        unknown: unknown.collect(),
        depends_on_state: on_state.collect(),
        depends_on_accounts: on_accounts.collect(),
        depends_on_environment: names(&set.depends_on_environment),
        depends_on_block_hashes: on_hashes.collect(),
        needs_funds: hint.needs_funds,
    }
}

/// The names of words of the block, each once; the words are sorted.
fn names(words: &[EnvironmentWord]) -> Vec<&'static str> {
    let mut names: Vec<_> = words.iter().map(|word| word.name()).collect();
    names.dedup();
    names
}

fn place((address, slot): &(Address, U256)) -> SlotDocument {
    SlotDocument { address: *address, slot: (*slot).into() }
}

/// The accounts, sorted, with what is touched of each.
fn accounts(accesses: &[AccountAccess]) -> Vec<AccountDocument> {
    let mut kinds: Vec<(Address, &'static str)> = accesses
        .iter()
        .map(|access| {
            let kind = match access {
                AccountAccess::BalanceRead(_)
                | AccountAccess::BalanceCredit(_)
                | AccountAccess::BalanceDebit(_) => "balance",
                AccountAccess::NonceWrite(_) => "nonce",
                AccountAccess::CodeRead(_) | AccountAccess::CodeWrite(_) => "code",
            };
            (access.address(), kind)
        })
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut accounts: Vec<AccountDocument> = Vec::new();
    for (address, kind) in kinds {
        match accounts.last_mut() {
            Some(last) if last.address == address => last.kinds.push(kind),
            _ => accounts.push(AccountDocument { address, kinds: vec![kind] }),
        }
    }
    accounts
}

fn of_plan(plan: &BlockPlan) -> PlanDocument {
    PlanDocument {
        dependencies: plan.dependencies.clone(),
        possible: plan.possible.clone(),
        lanes: plan.lanes.clone(),
        serial: plan.serial.clone(),
        prefetch: prefetch(&plan.prefetch),
        critical_path_gas: plan.critical_path_gas,
        gas: plan.gas,
    }
}
