//! Raw signed transactions, as a mempool has them.
//!
//! In: bytes in the encoding of EIP-2718, or text with one transaction in hexadecimal a line. Out: transactions with their
//! senders, which are recovered from the signatures by all threads of rayon's pool. A signature that is not valid is an
//! error that names the line or the index.

use std::{collections::BTreeMap, fmt};

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::{Decodable2718 as _, Typed2718 as _};
use alloy_primitives::{Address, B256, hex, keccak256};
use quick_cache::sync::Cache;
use rayon::prelude::*;
use revm::{
    context::TxEnv,
    context_interface::{
        either::Either,
        transaction::{AccessList, AccessListItem, Authorization, SignedAuthorization},
    },
    primitives::hardfork::SpecId,
};
use thiserror::Error;

use crate::{
    block::{BlobLimits, Block, FormError, Transaction, check_form},
    chain::other_kind,
};

/// Which of several transactions an error is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// There is only this one.
    #[default]
    Only,
    /// The one in this line of a text, from 1.
    Line(usize),
    /// The one at this index of a list.
    Index(usize),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the transaction"),
            Self::Line(number) => write!(f, "line {number}"),
            Self::Index(index) => write!(f, "transactions[{index}]"),
        }
    }
}

/// Why something is no transaction, or none that a block can hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RawError {
    /// It is not hexadecimal.
    #[error("{at}: it is not hexadecimal: {problem}")]
    NotHexadecimal {
        /// Which one.
        at: Which,
        /// What is wrong.
        problem: String,
    },
    /// It is not in the encoding of transactions.
    #[error("{at}: it is no signed transaction: {problem}")]
    Malformed {
        /// Which one.
        at: Which,
        /// What is wrong.
        problem: String,
    },
    /// Nobody can have signed it like that.
    #[error("{at}: its signature is not valid, so that it has no sender")]
    BadSignature {
        /// Which one.
        at: Which,
    },
    /// It is for another chain.
    #[error("{at}: it is for chain {found}, and the block is one of chain {expected}")]
    OtherChain {
        /// Which one.
        at: Which,
        /// The chain that it names.
        found: u64,
        /// The chain that was expected.
        expected: u64,
    },
    /// The block's fork does not know its kind.
    #[error(
        "{at}: it is of type {kind}, which blocks have only from {since} on, and the block is one of {fork}"
    )]
    OtherFork {
        /// Which one.
        at: Which,
        /// Its type.
        kind: u8,
        /// The first fork that has the type.
        since: &'static str,
        /// The fork of the block.
        fork: &'static str,
    },
    /// No block of the fork holds one of this form.
    #[error("{at}: {problem}")]
    Form {
        /// Which one.
        at: Which,
        /// Why.
        problem: FormError,
    },
    /// Another transaction has the same sender and nonce.
    #[error("{at}: it has the nonce {nonce} of {sender}, like {other}: only one of them can be in a block")]
    SameNonce {
        /// Which one.
        at: Which,
        /// The other one.
        other: Which,
        /// The sender of both.
        sender: Address,
        /// The nonce of both.
        nonce: u64,
    },
}

impl RawError {
    /// The same error, of one of several.
    #[must_use]
    pub fn of(mut self, which: Which) -> Self {
        match &mut self {
            Self::NotHexadecimal { at, .. }
            | Self::Malformed { at, .. }
            | Self::BadSignature { at }
            | Self::OtherChain { at, .. }
            | Self::OtherFork { at, .. }
            | Self::Form { at, .. }
            | Self::SameNonce { at, .. } => *at = which,
        }
        self
    }
}

/// Whether nobody sees the character: white space, and the marks that joined files have between their lines.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}' || character == '\u{200b}'
}

/// The transactions of a text with one in hexadecimal a line, with or without `0x`; empty lines and lines that begin with
/// `#` are skipped. Each of them has to fit the block.
pub fn parse_lines(text: &str, block: &Block) -> Result<Vec<Transaction>, RawError> {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_matches(is_blank)))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let parse = |(number, line): &(usize, &str)| {
        let problem = |error: hex::FromHexError| RawError::NotHexadecimal {
            at: Which::Only,
            problem: error.to_string(),
        };
        // The library knows one spelling of the prefix.
        let digits = line.strip_prefix("0X").unwrap_or(line);
        let parsed = hex::decode(digits).map_err(problem).and_then(|bytes| parse_transaction(&bytes));
        parsed.map_err(|error| error.of(Which::Line(*number)))
    };
    // Of several errors the first one is told, whatever the threads do.
    let parsed: Vec<Result<Transaction, RawError>> = lines.par_iter().map(parse).collect();
    let transactions = parsed.into_iter().collect::<Result<Vec<_>, _>>()?;
    let line = |index: usize| Which::Line(lines[index].0);
    check_kinds(&transactions, block, line)?;
    check_nonces(&transactions, line)?;
    Ok(transactions)
}

/// Whether a block of this chain and fork holds each of these transactions, by its kind and form. Errors call them by `which` of
/// their index. Whether it holds all of them together is not asked.
pub fn check_kinds(
    transactions: &[Transaction],
    block: &Block,
    which: impl Fn(usize) -> Which,
) -> Result<(), RawError> {
    let (chain_id, spec, limits) = (block.chain_id, block.spec, BlobLimits::of(block));
    for (index, transaction) in transactions.iter().enumerate() {
        let (at, env) = (which(index), &transaction.env);
        if let Some(found) = env.chain_id.filter(|found| *found != chain_id) {
            return Err(RawError::OtherChain { at, found, expected: chain_id });
        }
        let since = match env.tx_type {
            0 => SpecId::FRONTIER,
            1 => SpecId::BERLIN,
            2 => SpecId::LONDON,
            3 => SpecId::CANCUN,
            _ => SpecId::PRAGUE,
        };
        if !spec.is_enabled_in(since) {
            let (since, fork) = (since.into(), spec.into());
            return Err(RawError::OtherFork { at, kind: env.tx_type, since, fork });
        }
        check_form(transaction, spec, limits).map_err(|problem| RawError::Form { at, problem })?;
    }
    Ok(())
}

/// Whether these transactions can be in one block, as far as their nonces go.
pub fn check_nonces(transactions: &[Transaction], which: impl Fn(usize) -> Which) -> Result<(), RawError> {
    let mut seen = BTreeMap::new();
    for (index, Transaction { env, .. }) in transactions.iter().enumerate() {
        let (sender, nonce) = (env.caller, env.nonce);
        if let Some(other) = seen.insert((sender, nonce), index) {
            return Err(RawError::SameNonce { at: which(index), other: which(other), sender, nonce });
        }
    }
    Ok(())
}

/// The senders of transactions that came up lately, by the hash of the whole transaction, its signature included: who asks
/// again and again for the same ones has them recovered once.
#[derive(Debug)]
pub struct Senders(Cache<B256, Address>);

impl Senders {
    /// Keeps so many.
    pub fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// The transaction that bytes in the encoding of EIP-2718 stand for, with its sender.
    pub fn parse(&self, bytes: &[u8]) -> Result<Transaction, RawError> {
        let envelope = decode(bytes)?;
        // Of exactly these bytes, whatever else may decode to the same.
        let hash = keccak256(bytes);
        if let Some(sender) = self.0.get(&hash) {
            return Ok(with_sender(&envelope, sender));
        }
        let transaction = recover(&envelope)?;
        self.0.insert(hash, transaction.env.caller);
        Ok(transaction)
    }
}

/// The transaction that bytes in the encoding of EIP-2718 stand for.
pub fn parse_transaction(bytes: &[u8]) -> Result<Transaction, RawError> {
    recover(&decode(bytes)?)
}

/// The envelope that bytes stand for, to their last.
fn decode(bytes: &[u8]) -> Result<TxEnvelope, RawError> {
    let malformed = |problem: String| RawError::Malformed { at: Which::Only, problem };
    // Old transactions are lists of less than a gigabyte, which begin with bytes in between.
    if let Some(kind @ (0x05..=0x7f | 0xfe | 0xff)) = bytes.first() {
        return Err(malformed(other_kind((*kind).into())));
    }
    let mut rest = bytes;
    let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|error| malformed(error.to_string()))?;
    if rest.is_empty() {
        Ok(envelope)
    } else {
        Err(malformed(format!("{} bytes follow behind its end", rest.len())))
    }
}

/// The transaction in an envelope, with the sender that its signature names.
pub fn recover(envelope: &TxEnvelope) -> Result<Transaction, RawError> {
    let sender = signer(envelope).ok_or(RawError::BadSignature { at: Which::Only })?;
    Ok(with_sender(envelope, sender))
}

/// Who has signed a transaction. A signature whose `s` is in the upper half of its range is none
/// ([EIP-2](https://eips.ethereum.org/EIPS/eip-2)).
fn signer(envelope: &TxEnvelope) -> Option<Address> {
    let signature = envelope.signature();
    let is_low = signature.normalize_s().is_none();
    is_low.then(|| signature.recover_address_from_prehash(&envelope.signature_hash()).ok())?
}

fn with_sender(envelope: &TxEnvelope, sender: Address) -> Transaction {
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
    Transaction { hash: Some(*envelope.tx_hash()), env }
}
