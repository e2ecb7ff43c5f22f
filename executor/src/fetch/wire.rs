//! What a node says of blocks, as its answers have it, checked against the hashes in it.
//!
//! In: a node. Out: headers whose content has the hash that they are named by, and transactions that come to the root in
//! the header, with the senders that their signatures name.

use alloy_consensus::{
    Header, SignableTransaction as _, TxEip4844Variant, TxEnvelope, proofs::calculate_transaction_root,
};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, keccak256};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FetchError, Node, NodeError, ask, forms, quantity};
use crate::{
    block::{FormError, Transaction},
    chain::{other_kind, other_rules, system_transaction},
    hints::recover,
};

/// A header with the hash that its content has.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) header: Header,
    pub(super) hash: B256,
}

impl std::ops::Deref for Head {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}

#[derive(Deserialize)]
struct BlockAnswer {
    hash: B256,
    #[serde(flatten)]
    header: Header,
    #[serde(default)]
    transactions: Vec<Value>,
    /// Fields that are not known here.
    #[serde(skip)]
    strange: Vec<String>,
}

/// What nodes say of a block beside its header, and that is no part of its hash.
const BESIDE: [&str; 8] =
    ["hash", "size", "totalDifficulty", "transactions", "uncles", "withdrawals", "author", "sealFields"];

/// The fields of a header that are known here, by every name that is in use.
const HEADER: [&str; 25] = [
    "parentHash",
    "sha3Uncles",
    "ommersHash",
    "miner",
    "beneficiary",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
    "blockAccessListHash",
    "slotNumber",
];

#[derive(Deserialize)]
struct Claims {
    from: Option<Address>,
    hash: Option<B256>,
}

/// The chain that a node is on.
pub fn chain_id(node: &dyn Node) -> Result<u64, FetchError> {
    let answer = ask(node, "eth_chainId", json!([]))?;
    let malformed = |problem| FetchError::Node { doing: "eth_chainId".to_owned(), problem };
    match forms::short(&answer) {
        // There is no chain of this number, and nodes that do not know theirs say so by it.
        Ok(0) => Err(malformed(NodeError::Malformed(format!("{answer} is no chain")))),
        number => number.map_err(malformed),
    }
}

/// The header of a block, if the node has the block.
pub(super) fn header(node: &dyn Node, number: u64) -> Result<Option<Head>, FetchError> {
    let answer = ask(node, "eth_getBlockByNumber", json!([quantity(number), false]))?;
    if answer.is_null() {
        return Ok(None);
    }
    let head = head(&block_answer(answer, 0)?)?;
    numbered(&head, number)?;
    Ok(Some(head))
}

/// The header of the head of the chain.
pub(super) fn latest(node: &dyn Node) -> Result<Head, FetchError> {
    let answer = ask(node, "eth_getBlockByNumber", json!(["latest", false]))?;
    if answer.is_null() {
        return Err(FetchError::NoBlock("latest".to_owned()));
    }
    let head = head(&block_answer(answer, 0)?)?;
    known_fork(&head)?;
    Ok(head)
}

/// The fork of a block is one that is known here, as far as its header shows.
fn known_fork(head: &Head) -> Result<(), FetchError> {
    let fields = [
        ("blockAccessListHash", head.block_access_list_hash.is_some()),
        ("slotNumber", head.slot_number.is_some()),
    ];
    let there: Vec<String> =
        fields.iter().filter(|(_, there)| *there).map(|(name, _)| format!("`{name}`")).collect();
    if there.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "the header of block {} has {}, as headers have since Amsterdam, whose rules are not known here; the latest that are known are \
         those of Osaka",
        head.number,
        there.join(" and ")
    );
    Err(FetchError::LaterFork { number: head.number, reason })
}

/// A transaction is of a kind that Ethereum has, and one that can be.
fn known_kind(transaction: &Value, chain_id: u64) -> Result<(), String> {
    let Ok(kind) = forms::short(&transaction["type"]) else { return Ok(()) };
    if kind > 4 {
        let chain = other_rules(chain_id).map(|it| format!("; {it}")).unwrap_or_default();
        return Err(format!("{}{chain}", other_kind(kind)));
    }
    if matches!(kind, 3 | 4) && transaction["to"].is_null() {
        let eip = if kind == 3 { 4844 } else { 7702 };
        return Err(FormError::Creates { kind: kind as u8, eip }.to_string());
    }
    Ok(())
}

/// A block as a node has it, in whatever form it writes that.
fn block_answer(mut answer: Value, chain_id: u64) -> Result<BlockAnswer, FetchError> {
    forms::block(&mut answer, chain_id);
    let names = answer.as_object().into_iter().flatten().map(|(name, _)| name);
    let is_known = |name: &&String| HEADER.contains(&name.as_str()) || BESIDE.contains(&name.as_str());
    let strange: Vec<String> = names.filter(|name| !is_known(name)).cloned().collect();
    let answer: BlockAnswer = parse("eth_getBlockByNumber", answer)?;
    Ok(BlockAnswer { strange, ..answer })
}

/// A block is the one that was asked for.
fn numbered(head: &Head, number: u64) -> Result<(), FetchError> {
    if head.number == number {
        return Ok(());
    }
    Err(FetchError::Contradiction {
        what: "the number of the block that was asked for".to_owned(),
        claimed: number.to_string(),
        actual: head.number.to_string(),
    })
}

/// A block by number or name, and its transactions.
pub(super) fn block(
    node: &dyn Node,
    number: &str,
    chain_id: u64,
) -> Result<(Head, Vec<Transaction>), FetchError> {
    let wanted: Option<u64> = number.parse().ok();
    let which = wanted.map_or_else(|| json!(number), quantity);
    let answer = ask(node, "eth_getBlockByNumber", json!([which, true]))?;
    if answer.is_null() {
        return Err(FetchError::NoBlock(number.to_owned()));
    }
    let claims: Vec<Claims> = match answer.get("transactions") {
        Some(Value::Array(all)) => all.iter().map(Claims::of).collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    let answer = block_answer(answer, chain_id)?;
    for (index, transaction) in answer.transactions.iter().enumerate() {
        known_kind(transaction, chain_id).map_err(|reason| FetchError::Transaction { index, reason })?;
    }
    let head = head(&answer)?;
    wanted.map_or(Ok(()), |number| numbered(&head, number))?;
    known_fork(&head)?;
    let envelopes: Vec<TxEnvelope> = answer
        .transactions
        .into_par_iter()
        .enumerate()
        .map(|(index, transaction)| parse(&format!("transaction {index}"), transaction))
        .collect::<Result<_, FetchError>>()?;
    // Blobs are no part of what a block holds; who shows them all the same may have counted them.
    let bare: Vec<TxEnvelope> = envelopes.iter().map(without_blobs).collect();
    let root = calculate_transaction_root(&bare);
    if root != head.transactions_root && calculate_transaction_root(&envelopes) != head.transactions_root {
        return Err(FetchError::Contradiction {
            what: "the root of the transactions".to_owned(),
            claimed: head.transactions_root.to_string(),
            actual: root.to_string(),
        });
    }
    let transactions = bare.par_iter().zip(claims).enumerate().map(|(index, (envelope, claims))| {
        let problem = |reason: String| FetchError::Transaction { index, reason };
        let mut transaction = recover(envelope).map_err(|error| {
            let system = system_transaction(chain_id).map(|it| format!("; {it}")).unwrap_or_default();
            problem(format!("{error}{system}"))
        })?;
        if let Some(sender) = claims.from.filter(|sender| *sender != transaction.env.caller) {
            let signer = transaction.env.caller;
            return Err(problem(format!("it is said to come from {sender}, and is signed by {signer}")));
        }
        if let Some(other) = transaction.env.chain_id.filter(|other| *other != chain_id) {
            return Err(problem(format!("it is for chain {other}, and the node is on chain {chain_id}")));
        }
        // The root does not hold what a node calls a transaction.
        let hash = keccak256(envelope.encoded_2718());
        if let Some(claimed) = claims.hash.filter(|claimed| *claimed != hash) {
            return Err(FetchError::Contradiction {
                what: format!("the hash of transaction {index}"),
                claimed: claimed.to_string(),
                actual: hash.to_string(),
            });
        }
        transaction.hash = Some(hash);
        Ok(transaction)
    });
    Ok((head, transactions.collect::<Result<_, _>>()?))
}

/// The transaction as a block holds it.
fn without_blobs(envelope: &TxEnvelope) -> TxEnvelope {
    let TxEnvelope::Eip4844(signed) = envelope else { return envelope.clone() };
    let bare = signed.tx().tx().clone();
    TxEnvelope::Eip4844(TxEip4844Variant::TxEip4844(bare).into_signed(*signed.signature()))
}

impl Claims {
    /// What a node says of a transaction beside what it consists of.
    fn of(answer: &Value) -> Result<Self, FetchError> {
        parse("a transaction of the block", answer.clone())
    }
}

/// An answer of a certain shape.
pub(super) fn parse<T: serde::de::DeserializeOwned>(what: &str, answer: Value) -> Result<T, FetchError> {
    serde_json::from_value(answer).map_err(|error| FetchError::Node {
        doing: what.to_owned(),
        problem: NodeError::Malformed(error.to_string()),
    })
}

/// The sentence for a header whose hash is over more than what is known.
fn strange(fields: &[String]) -> String {
    let fields: Vec<String> = fields.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "what is known of the header does not come to its hash, and it has {}, which no fork that is known here has: it is one of \
         a later fork, or of a chain with rules of its own",
        fields.join(", ")
    )
}

fn head(answer: &BlockAnswer) -> Result<Head, FetchError> {
    let header = answer.header.clone();
    let (claimed, hash) = (answer.hash, header.hash_slow());
    if hash != claimed && !answer.strange.is_empty() {
        let number = header.number;
        return Err(FetchError::LaterFork { number, reason: strange(&answer.strange) });
    }
    if hash != claimed {
        return Err(FetchError::Contradiction {
            what: format!("the hash of block {}", header.number),
            claimed: claimed.to_string(),
            actual: hash.to_string(),
        });
    }
    Ok(Head { header, hash })
}
