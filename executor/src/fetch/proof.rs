//! What a node answers to `eth_getProof`.
//!
//! In: the answer. Out: what it claims and proves, in whatever form numbers are written; nothing where it holds no proof of
//! the account, as from nodes that answer the method and keep no tries. Whether the proofs prove anything is not asked here.

use alloy_primitives::{B256, Bytes, U256};
use serde_json::Value;

use super::{NodeError, forms};

pub(super) struct ProofAnswer {
    pub(super) balance: U256,
    pub(super) nonce: u64,
    /// Zero for an account that is not there, from some nodes.
    pub(super) code_hash: B256,
    /// Likewise.
    pub(super) storage_hash: B256,
    pub(super) account_proof: Vec<Bytes>,
    pub(super) storage_proof: Vec<SlotProof>,
}

pub(super) struct SlotProof {
    pub(super) key: U256,
    pub(super) value: U256,
    pub(super) proof: Vec<Bytes>,
}

impl ProofAnswer {
    pub(super) fn read(answer: &Value) -> Result<Option<Self>, NodeError> {
        let Some(account_proof) = answer["accountProof"].as_array() else { return Ok(None) };
        Ok(Some(Self {
            balance: forms::word(&answer["balance"])?,
            nonce: forms::short(&answer["nonce"])?,
            code_hash: forms::word(&answer["codeHash"])?.into(),
            storage_hash: forms::word(&answer["storageHash"])?.into(),
            account_proof: nodes(account_proof)?,
            storage_proof: list(&answer["storageProof"])
                .iter()
                .map(SlotProof::read)
                .collect::<Result<_, _>>()?,
        }))
    }
}

impl SlotProof {
    fn read(answer: &Value) -> Result<Self, NodeError> {
        Ok(Self {
            key: forms::word(&answer["key"])?,
            value: forms::word(&answer["value"])?,
            proof: nodes(list(&answer["proof"]))?,
        })
    }
}

fn list(answer: &Value) -> &[Value] {
    answer.as_array().map_or(&[], Vec::as_slice)
}

fn nodes(answer: &[Value]) -> Result<Vec<Bytes>, NodeError> {
    answer.iter().map(forms::bytes).collect()
}
