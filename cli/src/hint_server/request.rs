//! What requests say.
//!
//! In: parameters as JSON. Out: transactions, an environment, and what is supplied of the state, or why not.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, Bytes, U256};
use deconflict_executor::{Block, Transaction, fork, hints::parse_transaction, transaction_from_json};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::state::Supplied;

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

    /// The transactions of a chain, with their senders.
    pub(crate) fn transactions(&self, chain_id: u64) -> Result<Vec<Transaction>, String> {
        let parse = |(index, text): (usize, &RawValue)| {
            let text = text.get();
            let parsed = if text.starts_with('"') {
                let bytes = serde_json::from_str::<Bytes>(text).map_err(|error| error.to_string());
                bytes.and_then(|bytes| parse_transaction(&bytes, chain_id).map_err(|error| error.to_string()))
            } else {
                transaction_from_json(text)
            };
            parsed.map_err(|problem| format!("transactions[{index}]: {problem}"))
        };
        // Recovering one signature takes longer than handing a list to other threads.
        if self.transactions.len() > 4 {
            self.transactions.par_iter().map(|text| &**text).enumerate().map(parse).collect()
        } else {
            self.transactions.iter().map(|text| &**text).enumerate().map(parse).collect()
        }
    }

    /// What is supplied of the state.
    pub(crate) fn supplied(&mut self) -> Option<HashMap<Address, Supplied>> {
        let accounts = self.state.take()?.into_iter().map(|(address, account)| {
            let AccountParams { balance, nonce, code, storage } = account;
            (address, Supplied { balance, nonce, code, storage })
        });
        Some(accounts.collect())
    }
}

impl EnvironmentParams {
    /// Puts what is said in the place of what a block has.
    pub(crate) fn put_into(&self, block: &mut Block) -> Result<(), String> {
        if let Some(name) = &self.spec {
            block.spec = fork(name).map_err(|problem| format!("environment.spec: {problem}"))?;
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
