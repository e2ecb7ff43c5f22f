//! What a node says of blocks, as its answers have it, checked against the hashes in it.
//!
//! In: a node. Out: headers whose content has the hash that they are named by, and transactions that come to the root in
//! the header, with the senders that their signatures name.

use alloy_consensus::{Header, TxEnvelope, proofs::calculate_transaction_root};
use alloy_primitives::{Address, B256, U64};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FetchError, Node, NodeError, ask, quantity};
use crate::{block::Transaction, hints::recover};

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
}

#[derive(Deserialize)]
struct Sender {
    from: Address,
}

pub(super) fn chain_id(node: &dyn Node) -> Result<u64, FetchError> {
    let answer = ask(node, "eth_chainId", json!([]))?;
    let number: U64 = parse("eth_chainId", answer)?;
    Ok(number.to())
}

/// The header of a block, if the node has the block.
pub(super) fn header(node: &dyn Node, number: u64) -> Result<Option<Head>, FetchError> {
    let answer = ask(node, "eth_getBlockByNumber", json!([quantity(number), false]))?;
    if answer.is_null() {
        return Ok(None);
    }
    let answer: BlockAnswer = parse("eth_getBlockByNumber", answer)?;
    let head = head(answer.header, answer.hash)?;
    numbered(&head, number)?;
    Ok(Some(head))
}

/// The header of the head of the chain.
pub(super) fn latest(node: &dyn Node) -> Result<Head, FetchError> {
    let answer = ask(node, "eth_getBlockByNumber", json!(["latest", false]))?;
    if answer.is_null() {
        return Err(FetchError::NoBlock("latest".to_owned()));
    }
    let answer: BlockAnswer = parse("eth_getBlockByNumber", answer)?;
    head(answer.header, answer.hash)
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
    let answer: BlockAnswer = parse("eth_getBlockByNumber", answer)?;
    let head = head(answer.header, answer.hash)?;
    wanted.map_or(Ok(()), |number| numbered(&head, number))?;
    let envelopes: Vec<(TxEnvelope, Sender)> = answer
        .transactions
        .into_par_iter()
        .enumerate()
        .map(|(index, transaction)| {
            let what = format!("transaction {index}");
            let sender = parse(&what, transaction.clone())?;
            Ok((parse(&what, transaction)?, sender))
        })
        .collect::<Result<_, FetchError>>()?;
    let plain: Vec<&TxEnvelope> = envelopes.iter().map(|(envelope, _)| envelope).collect();
    let root = calculate_transaction_root(&plain);
    if root != head.transactions_root {
        return Err(FetchError::Contradiction {
            what: "the root of the transactions".to_owned(),
            claimed: head.transactions_root.to_string(),
            actual: root.to_string(),
        });
    }
    let transactions = envelopes.par_iter().enumerate().map(|(index, (envelope, sender))| {
        let problem = |reason: String| FetchError::Transaction { index, reason };
        let transaction = recover(envelope).map_err(|error| problem(error.to_string()))?;
        if transaction.env.caller != sender.from {
            return Err(problem(format!(
                "it is said to come from {}, and is signed by {}",
                sender.from, transaction.env.caller
            )));
        }
        if let Some(other) = transaction.env.chain_id.filter(|other| *other != chain_id) {
            return Err(problem(format!("it is for chain {other}, and the node is on chain {chain_id}")));
        }
        Ok(transaction)
    });
    Ok((head, transactions.collect::<Result<_, _>>()?))
}

/// An answer of a certain shape.
pub(super) fn parse<T: serde::de::DeserializeOwned>(what: &str, answer: Value) -> Result<T, FetchError> {
    serde_json::from_value(answer).map_err(|error| FetchError::Node {
        doing: what.to_owned(),
        problem: NodeError::Malformed(error.to_string()),
    })
}

fn head(header: Header, claimed: B256) -> Result<Head, FetchError> {
    let hash = header.hash_slow();
    if hash != claimed {
        return Err(FetchError::Contradiction {
            what: format!("the hash of block {}", header.number),
            claimed: claimed.to_string(),
            actual: hash.to_string(),
        });
    }
    Ok(Head { header, hash })
}
