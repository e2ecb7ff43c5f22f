//! What requests say.
//!
//! In: parameters as JSON. Out: transactions, an environment, and what is supplied of the state, or why not.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use deconflict_executor::{
    Block, EnvironmentWord, Transaction, fork,
    hints::{Senders, Which, check_kinds},
    transaction_from_json,
};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::state::Supplied;

/// Up to how many transactions one thread reads.
pub(super) const FEW: usize = 4;

/// The most bytes of a code: more than any chain allows.
pub(super) const MAX_CODE: usize = 256 << 10;

/// What errors call the transaction at an index.
pub(super) fn index(index: usize) -> Which {
    Which::Index(index)
}

/// The parameters of `deconflict_hints` and `deconflict_plan`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HintParams {
    /// Raw signed transactions in hexadecimal, or objects as in block files.
    transactions: Vec<Box<RawValue>>,
    /// What is known of the state.
    #[serde(default)]
    pub(crate) state: Option<HashMap<Address, AccountParams>>,
    /// The block whose state is to be looked at: the hash of the parent.
    #[serde(default)]
    pub(crate) parent: Option<B256>,
    /// What transactions see of their block.
    #[serde(default)]
    pub(crate) environment: Option<EnvironmentParams>,
    /// The number of lanes of the plan.
    #[serde(default)]
    pub(crate) lanes: Option<usize>,
}

/// What is known of an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountParams {
    balance: Option<U256>,
    nonce: Option<u64>,
    code: Option<Bytes>,
    #[serde(default)]
    storage: BTreeMap<U256, U256>,
}

/// What transactions see of their block. What is left out is as in the block at hand.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvironmentParams {
    chain_id: Option<u64>,
    spec: Option<String>,
    number: Option<u64>,
    timestamp: Option<u64>,
    coinbase: Option<Address>,
    gas_limit: Option<u64>,
    base_fee: Option<u64>,
    prev_randao: Option<B256>,
}

/// The parameters of `deconflict_template`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateParams {
    /// The code.
    pub(crate) code: Bytes,
}

impl HintParams {
    /// How many transactions there are.
    pub(crate) fn count(&self) -> usize {
        self.transactions.len()
    }

    /// The transactions, with their senders, if a block like this one can hold them.
    pub(crate) fn transactions(&self, senders: &Senders, block: &Block) -> Result<Vec<Transaction>, String> {
        let parse = |(at, text): (usize, &RawValue)| {
            let text = text.get();
            if text.starts_with('"') {
                let bytes = serde_json::from_str::<Bytes>(text);
                let bytes = bytes.map_err(|error| format!("{}: {error}", index(at)))?;
                senders.parse(&bytes).map_err(|error| error.of(index(at)).to_string())
            } else {
                transaction_from_json(text).map_err(|problem| format!("{}: {problem}", index(at)))
            }
        };
        let texts = &self.transactions;
        // Recovering one signature takes longer than handing a list to other threads.
        let parsed: Vec<Result<Transaction, String>> = if texts.len() > FEW {
            texts.par_iter().map(|text| &**text).enumerate().map(parse).collect()
        } else {
            texts.iter().map(|text| &**text).enumerate().map(parse).collect()
        };
        let transactions = parsed.into_iter().collect::<Result<Vec<_>, _>>()?;
        check_kinds(&transactions, block.chain_id, block.spec, index).map_err(|error| error.to_string())?;
        Ok(transactions)
    }

    /// What is supplied of the state.
    pub(crate) fn supplied(&mut self) -> Result<Option<HashMap<Address, Supplied>>, String> {
        let Some(state) = self.state.take() else { return Ok(None) };
        let accounts = state.into_iter().map(|(address, account)| {
            let AccountParams { balance, nonce, code, storage } = account;
            if code.as_ref().is_some_and(|code| code.len() > MAX_CODE) {
                return Err(format!("state.{address}.code: it is longer than {MAX_CODE} bytes"));
            }
            // Hashed once, however often it is called.
            let code = code.map(|code| (keccak256(&code), code));
            Ok((address, Supplied { balance, nonce, code, storage }))
        });
        accounts.collect::<Result<_, _>>().map(Some)
    }
}

impl EnvironmentParams {
    /// The words of the block that it says.
    pub(crate) fn said(&self) -> impl Iterator<Item = EnvironmentWord> {
        let words = [
            (self.number.is_some(), EnvironmentWord::Number),
            (self.timestamp.is_some(), EnvironmentWord::Timestamp),
            (self.coinbase.is_some(), EnvironmentWord::Coinbase),
            (self.gas_limit.is_some(), EnvironmentWord::GasLimit),
            (self.base_fee.is_some(), EnvironmentWord::BaseFee),
            (self.prev_randao.is_some(), EnvironmentWord::PrevRandao),
        ];
        words.into_iter().filter_map(|(is_said, word)| is_said.then_some(word))
    }

    /// Puts what is said in the place of what a block has. The state is one that no block before it, in number or by the
    /// clock, can be executed on.
    pub(crate) fn put_into(&self, block: &mut Block, earliest: u64) -> Result<(), String> {
        if let Some(name) = &self.spec {
            block.spec = fork(name).map_err(|problem| format!("environment.spec: {problem}"))?;
        }
        let first = block.number;
        if let Some(number) = self.number.filter(|number| *number < first) {
            return Err(format!(
                "environment.number: {number} is over; the state is the one before block {first}"
            ));
        }
        if let Some(timestamp) = self.timestamp.filter(|timestamp| *timestamp < earliest) {
            return Err(format!(
                "environment.timestamp: {timestamp} is over; a block on this state is one of {earliest} or later"
            ));
        }
        let header = &mut block.header;
        let set = |to: &mut u64, from: Option<u64>| *to = from.unwrap_or(*to);
        set(&mut block.chain_id, self.chain_id);
        set(&mut block.number, self.number);
        set(&mut header.timestamp, self.timestamp);
        set(&mut header.gas_limit, self.gas_limit);
        set(&mut header.base_fee, self.base_fee);
        header.coinbase = self.coinbase.unwrap_or(header.coinbase);
        header.prev_randao = self.prev_randao.or(header.prev_randao);
        Ok(())
    }
}
