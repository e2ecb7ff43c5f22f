//! Raw signed transactions, as a mempool has them.
//!
//! In: bytes in the encoding of EIP-2718, or text with one transaction in hexadecimal a line. Out: transactions with their
//! senders, which are recovered from the signatures by all threads of rayon's pool. A signature that is not valid is an
//! error that names the line.

use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _};
use alloy_eips::{Decodable2718 as _, Typed2718 as _};
use alloy_primitives::{Address, hex};
use rayon::prelude::*;
use revm::{
    context::TxEnv,
    context_interface::{
        either::Either,
        transaction::{AccessList, AccessListItem, Authorization, SignedAuthorization},
    },
};
use thiserror::Error;

use crate::block::Transaction;

/// Why something is no transaction.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RawError {
    /// It is not hexadecimal.
    #[error("{}it is not hexadecimal: {problem}", at(*line))]
    NotHexadecimal {
        /// The line, from 1.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// It is not in the encoding of transactions.
    #[error("{}it is no signed transaction: {problem}", at(*line))]
    Malformed {
        /// The line, from 1.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// Nobody can have signed it like that.
    #[error("{}its signature is not valid, so that it has no sender", at(*line))]
    BadSignature {
        /// The line, from 1.
        line: Option<usize>,
    },
    /// It is for another chain.
    #[error("{}it is for chain {found}, and the block is one of chain {expected}", at(*line))]
    OtherChain {
        /// The line, from 1.
        line: Option<usize>,
        /// The chain that it names.
        found: u64,
        /// The chain that was expected.
        expected: u64,
    },
    /// Another transaction has the same sender and nonce.
    #[error(
        "{}it has the nonce {nonce} of {sender}, like the transaction in line {other}: only one of them can be in a block",
        at(*line)
    )]
    SameNonce {
        /// The line, from 1.
        line: Option<usize>,
        /// The line of the other one.
        other: usize,
        /// The sender of both.
        sender: Address,
        /// The nonce of both.
        nonce: u64,
    },
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}

impl RawError {
    /// The same error, in a line.
    fn in_line(mut self, number: usize) -> Self {
        match &mut self {
            Self::NotHexadecimal { line, .. }
            | Self::Malformed { line, .. }
            | Self::BadSignature { line }
            | Self::OtherChain { line, .. }
            | Self::SameNonce { line, .. } => *line = Some(number),
        }
        self
    }
}

/// The transactions of a text with one in hexadecimal a line, with or without `0x`; empty lines and lines that begin with
/// `#` are skipped. All of them have to be of this chain, and no two may have the same sender and nonce.
pub fn parse_lines(text: &str, chain_id: u64) -> Result<Vec<Transaction>, RawError> {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let parsed: Vec<Result<Transaction, RawError>> = lines
        .par_iter()
        .map(|(number, line)| {
            let problem = |error: hex::FromHexError| RawError::NotHexadecimal {
                line: None,
                problem: error.to_string(),
            };
            let bytes = hex::decode(line).map_err(problem).map_err(|error| error.in_line(*number))?;
            parse_transaction(&bytes, chain_id).map_err(|error| error.in_line(*number))
        })
        .collect();
    let mut transactions = Vec::with_capacity(parsed.len());
    let mut seen = std::collections::BTreeMap::new();
    for (transaction, (number, _)) in parsed.into_iter().zip(&lines) {
        let transaction = transaction?;
        let (sender, nonce) = (transaction.env.caller, transaction.env.nonce);
        if let Some(other) = seen.insert((sender, nonce), *number) {
            return Err(RawError::SameNonce { line: Some(*number), other, sender, nonce });
        }
        transactions.push(transaction);
    }
    Ok(transactions)
}

/// The transaction that bytes in the encoding of EIP-2718 stand for, of this chain.
pub fn parse_transaction(bytes: &[u8], chain_id: u64) -> Result<Transaction, RawError> {
    let malformed = |problem: String| RawError::Malformed { line: None, problem };
    let mut rest = bytes;
    let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|error| malformed(error.to_string()))?;
    if !rest.is_empty() {
        return Err(malformed(format!("{} bytes follow behind its end", rest.len())));
    }
    if let Some(found) = envelope.chain_id().filter(|found| *found != chain_id) {
        return Err(RawError::OtherChain { line: None, found, expected: chain_id });
    }
    recover(&envelope)
}

/// The transaction in an envelope, with the sender that its signature names.
pub fn recover(envelope: &TxEnvelope) -> Result<Transaction, RawError> {
    let sender = envelope.recover_signer().map_err(|_| RawError::BadSignature { line: None })?;
    let access_list = envelope.access_list().into_iter().flat_map(|list| list.iter());
    let access_list = access_list
        .map(|item| AccessListItem { address: item.address, storage_keys: item.storage_keys.clone() })
        .collect();
    let authorizations = envelope.authorization_list().unwrap_or_default().iter().map(|signed| {
        let inner = Authorization { chain_id: signed.chain_id, address: signed.address, nonce: signed.nonce };
        Either::Left(SignedAuthorization::new_unchecked(inner, signed.y_parity(), signed.r(), signed.s()))
    });
    let env = TxEnv {
        tx_type: envelope.ty(),
        caller: sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: AccessList(access_list),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        blob_hashes: envelope.blob_versioned_hashes().unwrap_or_default().to_vec(),
        max_fee_per_blob_gas: envelope.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: authorizations.collect(),
    };
    Ok(Transaction { hash: Some(*envelope.tx_hash()), env })
}
