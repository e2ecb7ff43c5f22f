//! The JSON of a block file, as structs: what is read and written, field for field, and how transactions are made
//! from it.
//!
//! `format` is 1. Numbers that fit 64 bits are JSON numbers, everything wider is hexadecimal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use alloy_primitives::{Address, B256, Bloom, Bytes, TxKind, U256};
use revm::{
    context::TxEnv,
    context_interface::{
        either::Either,
        transaction::{AccessList, AccessListItem, Authorization, SignedAuthorization},
    },
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};

use super::Transaction;
use crate::chain::other_kind;

/// The version of the format.
pub(super) const FORMAT: u64 = 1;

/// A block file; transactions are `T`, so that reading can turn each into its final form on the way in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BlockFile<T> {
    pub(super) format: u64,
    pub(super) chain_id: u64,
    pub(super) number: u64,
    pub(super) spec: String,
    pub(super) header: HeaderFile,
    #[serde(default)]
    pub(super) expected: ExpectedFile,
    #[serde(default, deserialize_with = "without_repetition")]
    pub(super) block_hashes: BTreeMap<u64, B256>,
    pub(super) transactions: Vec<T>,
    #[serde(deserialize_with = "without_repetition")]
    pub(super) pre_state: BTreeMap<Address, AccountFile>,
    #[serde(default, deserialize_with = "without_repetition", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) codes: BTreeMap<B256, Bytes>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) code_absent: BTreeSet<B256>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeaderFile {
    pub(super) hash: Option<B256>,
    pub(super) parent_hash: Option<B256>,
    pub(super) coinbase: Address,
    pub(super) timestamp: u64,
    pub(super) gas_limit: u64,
    #[serde(default)]
    pub(super) base_fee: u64,
    #[serde(default)]
    pub(super) difficulty: U256,
    pub(super) prev_randao: Option<B256>,
    pub(super) excess_blob_gas: Option<u64>,
    pub(super) blob_base_fee: Option<U256>,
    pub(super) parent_beacon_block_root: Option<B256>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_blobs: Option<u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ExpectedFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gas_used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receipts_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logs_bloom: Option<Bloom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) transactions_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blob_gas_used: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AccountFile {
    pub(super) balance: U256,
    pub(super) nonce: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code_hash: Option<B256>,
    #[serde(default, deserialize_with = "without_repetition", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) storage: BTreeMap<U256, U256>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TransactionFile {
    #[serde(rename = "type")]
    kind: u8,
    hash: Option<B256>,
    from: Address,
    to: Option<Address>,
    nonce: u64,
    value: U256,
    gas_limit: u64,
    input: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gas_price: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_gas: Option<U256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<U256>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    access_list: Vec<AccessListFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_blob_gas: Option<U256>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blob_hashes: Vec<B256>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authorization_list: Vec<AuthorizationFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AccessListFile {
    address: Address,
    storage_keys: Vec<B256>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AuthorizationFile {
    chain_id: U256,
    address: Address,
    nonce: u64,
    y_parity: u8,
    r: U256,
    s: U256,
}

/// A transaction that is made from its fields while the file is read, so that a file of a million transactions does
/// not stand in memory twice.
#[derive(Debug, Deserialize)]
#[serde(try_from = "TransactionFile")]
pub(super) struct ReadTransaction(pub(super) Transaction);

impl TryFrom<TransactionFile> for ReadTransaction {
    type Error = String;

    fn try_from(file: TransactionFile) -> Result<Self, String> {
        let kind = file.kind;
        let fee = |name: &str, word: Option<U256>| -> Result<u128, String> {
            let word = word.ok_or_else(|| format!("missing field `{name}`, which type {kind} has"))?;
            u128::try_from(word).map_err(|_| format!("`{name}` does not fit 128 bits"))
        };
        let (gas_price, gas_priority_fee) = match kind {
            0 | 1 => (fee("gas_price", file.gas_price)?, None),
            2..=4 => {
                let most = fee("max_fee_per_gas", file.max_fee_per_gas)?;
                (most, Some(fee("max_priority_fee_per_gas", file.max_priority_fee_per_gas)?))
            }
            _ => return Err(format!("there is no `type` {kind} here: {}", other_kind(kind.into()))),
        };
        let max_fee_per_blob_gas =
            if kind == 3 { fee("max_fee_per_blob_gas", file.max_fee_per_blob_gas)? } else { 0 };
        let access_list = file
            .access_list
            .into_iter()
            .map(|it| AccessListItem { address: it.address, storage_keys: it.storage_keys });
        let authorization_list = file.authorization_list.into_iter().map(|it| {
            let inner = Authorization { chain_id: it.chain_id, address: it.address, nonce: it.nonce };
            Either::Left(SignedAuthorization::new_unchecked(inner, it.y_parity, it.r, it.s))
        });
        let env = TxEnv {
            tx_type: kind,
            caller: file.from,
            gas_limit: file.gas_limit,
            gas_price,
            kind: file.to.map_or(TxKind::Create, TxKind::Call),
            value: file.value,
            data: file.input,
            nonce: file.nonce,
            chain_id: file.chain_id,
            access_list: AccessList(access_list.collect()),
            gas_priority_fee,
            blob_hashes: file.blob_hashes,
            max_fee_per_blob_gas,
            authorization_list: authorization_list.collect(),
        };
        Ok(Self(Transaction { hash: file.hash, env }))
    }
}

/// The transaction in a piece of JSON that is written as in a block file.
pub fn transaction_from_json(json: &str) -> Result<Transaction, String> {
    serde_json::from_str::<ReadTransaction>(json).map(|read| read.0).map_err(|error| error.to_string())
}

impl From<&Transaction> for TransactionFile {
    fn from(transaction: &Transaction) -> Self {
        let env = &transaction.env;
        let word = U256::from;
        let by_price = env.tx_type < 2;
        let authorizations = env.authorization_list.iter().filter_map(|it| match it {
            Either::Left(signed) => Some(AuthorizationFile {
                chain_id: signed.chain_id,
                address: signed.address,
                nonce: signed.nonce,
                y_parity: signed.y_parity(),
                r: signed.r(),
                s: signed.s(),
            }),
            // Files hold signatures; who signed is recovered from them.
            Either::Right(_) => None,
        });
        Self {
            kind: env.tx_type,
            hash: transaction.hash,
            from: env.caller,
            to: env.kind.to().copied(),
            nonce: env.nonce,
            value: env.value,
            gas_limit: env.gas_limit,
            input: env.data.clone(),
            chain_id: env.chain_id,
            gas_price: by_price.then(|| word(env.gas_price)),
            max_fee_per_gas: (!by_price).then(|| word(env.gas_price)),
            max_priority_fee_per_gas: env.gas_priority_fee.map(word),
            access_list: env
                .access_list
                .iter()
                .map(|it| AccessListFile { address: it.address, storage_keys: it.storage_keys.clone() })
                .collect(),
            max_fee_per_blob_gas: (env.tx_type == 3).then(|| word(env.max_fee_per_blob_gas)),
            blob_hashes: env.blob_hashes.clone(),
            authorization_list: authorizations.collect(),
        }
    }
}

/// Reads a map in which no key may come twice: one of the two values would be lost.
fn without_repetition<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Entries<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord + fmt::Debug, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some(key) = access.next_key::<K>()? {
                if entries.contains_key(&key) {
                    return Err(A::Error::custom(format!("{key:?} is listed twice")));
                }
                entries.insert(key, access.next_value()?);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Entries(PhantomData))
}
