//! What requests say.
//!
//! In: parameters as JSON. Out: transactions, an environment, and what is supplied of the state, or why not.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use deconflict_executor::{
    Block, EnvironmentWord, Transaction, fork,
    hints::{Senders, Which, check_kinds},
    transaction_from_json,
};
use rayon::prelude::*;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};
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

/// A number of 64 bits, as JSON has them or in hexadecimal, as the tools around Ethereum write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) u64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of at most 64 bits, or one in hexadecimal, such as \"0x10\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Quantity, E> {
        Ok(Quantity(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        // A sign is no digit, whatever the standard library reads.
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Quantity).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// The parameters of `deconflict_hints` and `deconflict_plan`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `transactions`")]
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
    pub(crate) lanes: Option<Quantity>,
}

/// What is known of an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with what is known of the account")]
pub(crate) struct AccountParams {
    balance: Option<U256>,
    nonce: Option<Quantity>,
    code: Option<Bytes>,
    #[serde(default)]
    storage: BTreeMap<U256, U256>,
}

/// What transactions see of their block. What is left out is as in the block at hand.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with what transactions see of their block")]
pub(crate) struct EnvironmentParams {
    chain_id: Option<Quantity>,
    spec: Option<String>,
    number: Option<Quantity>,
    timestamp: Option<Quantity>,
    coinbase: Option<Address>,
    gas_limit: Option<Quantity>,
    base_fee: Option<Quantity>,
    prev_randao: Option<B256>,
}

/// The parameters of `deconflict_template`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `code`")]
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
        check_kinds(&transactions, block, index).map_err(|error| error.to_string())?;
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
            let nonce = nonce.map(|Quantity(nonce)| nonce);
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
        if let Some(Quantity(number)) = self.number.filter(|number| number.0 < first) {
            return Err(format!(
                "environment.number: {number} is over; the state is the one before block {first}"
            ));
        }
        if let Some(Quantity(timestamp)) = self.timestamp.filter(|timestamp| timestamp.0 < earliest) {
            return Err(format!(
                "environment.timestamp: {timestamp} is over; a block on this state is one of {earliest} or later"
            ));
        }
        let header = &mut block.header;
        let set = |to: &mut u64, from: Option<Quantity>| *to = from.map_or(*to, |Quantity(number)| number);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(text: &str) -> Result<EnvironmentParams, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_read_in_both_ways() {
        let plain = environment(r#"{"number": 24, "timestamp": 18446744073709551615}"#).expect("numbers");
        let hex = environment(r#"{"number": "0x18", "timestamp": "0xFFFFFFFFFFFFFFFF"}"#).expect("numbers");
        assert_eq!((plain.number, plain.timestamp), (hex.number, hex.timestamp));
        let zeros =
            environment(r#"{"number": "0x0", "gas_limit": "0X0001", "base_fee": null}"#).expect("numbers");
        assert_eq!(
            (zeros.number, zeros.gas_limit, zeros.base_fee),
            (Some(Quantity(0)), Some(Quantity(1)), None)
        );
        let bad = [
            "\"\"",
            "\"0x\"",
            "\"18\"",
            "\"0x+1\"",
            "\"0xg\"",
            "\"0x10000000000000000\"",
            "-1",
            "1.5",
            "18446744073709551616",
            "true",
            "[]",
            "{}",
        ];
        for bad in bad {
            let error = environment(&format!(r#"{{"number": {bad}}}"#)).expect_err(bad);
            assert!(error.contains("at most 64 bits") && !error.contains("u64"), "{bad}: {error}");
        }
    }
}
