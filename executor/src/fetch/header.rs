//! From a header to a block without state: its environment, what it has to come to, and the rules that may hold for it.
//!
//! In: a chain and a header. Out: forks to be tried, the likeliest first, and the block under one of them.

use std::collections::{BTreeMap, BTreeSet};

use alloy_eips::eip4844::fake_exponential;
use revm::primitives::hardfork::SpecId;

use super::wire::Head;
use crate::block::{self, Block, Expected, Transaction};

/// The forks of the main chain before the merge, by their first block.
const BY_NUMBER: [(u64, SpecId); 9] = [
    (0, SpecId::FRONTIER),
    (1_150_000, SpecId::HOMESTEAD),
    (2_463_000, SpecId::TANGERINE),
    (2_675_000, SpecId::SPURIOUS_DRAGON),
    (4_370_000, SpecId::BYZANTIUM),
    (7_280_000, SpecId::PETERSBURG),
    (9_069_000, SpecId::ISTANBUL),
    (12_244_000, SpecId::BERLIN),
    (12_965_000, SpecId::LONDON),
];

/// The first second of Osaka on the main chain. The forks between it and the merge show in the header.
const OSAKA: u64 = 1_764_798_551;

/// How fast the blob fee moves: from this second on the main chain, by this fraction.
const BLOB_FRACTIONS: [(u64, u128); 4] =
    [(0, 3_338_477), (1_746_612_311, 5_007_716), (1_765_290_071, 8_346_193), (1_767_747_671, 11_684_671)];

/// The forks whose rules may hold for a block.
pub(super) fn forks(chain_id: u64, head: &Head) -> Vec<SpecId> {
    if head.requests_hash.is_some() {
        let osaka_first = [SpecId::OSAKA, SpecId::PRAGUE];
        let prague_first = [SpecId::PRAGUE, SpecId::OSAKA];
        return if chain_id == 1 && head.timestamp < OSAKA { prague_first } else { osaka_first }.to_vec();
    }
    if head.parent_beacon_block_root.is_some() || head.excess_blob_gas.is_some() {
        return vec![SpecId::CANCUN];
    }
    if head.withdrawals_root.is_some() {
        return vec![SpecId::SHANGHAI];
    }
    if head.difficulty.is_zero() && head.base_fee_per_gas.is_some() {
        return vec![SpecId::MERGE, SpecId::LONDON];
    }
    if head.base_fee_per_gas.is_some() {
        return vec![SpecId::LONDON];
    }
    let before_london = || BY_NUMBER.iter().rev().filter(|(_, spec)| *spec != SpecId::LONDON);
    if chain_id == 1 {
        return before_london().filter(|(first, _)| *first <= head.number).map(|it| it.1).take(1).collect();
    }
    before_london().map(|(_, spec)| *spec).collect()
}

/// The block, without any state.
pub(super) fn block(chain_id: u64, head: &Head, spec: SpecId, transactions: Vec<Transaction>) -> Block {
    let merged = spec.is_enabled_in(SpecId::MERGE);
    let fraction = if chain_id == 1 {
        let past = BLOB_FRACTIONS.iter().rev().find(|(first, _)| *first <= head.timestamp);
        past.map_or(BLOB_FRACTIONS[0].1, |(_, fraction)| *fraction)
    } else {
        BLOB_FRACTIONS[usize::from(spec.is_enabled_in(SpecId::PRAGUE))].1
    };
    let blob_base_fee = head.excess_blob_gas.map(|excess| fake_exponential(1, u128::from(excess), fraction));
    Block {
        number: head.number,
        chain_id,
        spec,
        header: block::Header {
            hash: Some(head.hash),
            parent_hash: Some(head.parent_hash),
            coinbase: head.beneficiary,
            timestamp: head.timestamp,
            gas_limit: head.gas_limit,
            base_fee: head.base_fee_per_gas.unwrap_or_default(),
            difficulty: head.difficulty,
            prev_randao: merged.then_some(head.mix_hash),
            excess_blob_gas: head.excess_blob_gas,
            blob_base_fee,
            parent_beacon_block_root: head.parent_beacon_block_root,
        },
        expected: Expected {
            gas_used: Some(head.gas_used),
            receipts_root: Some(head.receipts_root),
            logs_bloom: Some(head.logs_bloom),
            state_root: Some(head.state_root),
            transactions_root: Some(head.transactions_root),
            blob_gas_used: head.blob_gas_used,
        },
        block_hashes: head
            .number
            .checked_sub(1)
            .map(|parent| BTreeMap::from([(parent, head.parent_hash)]))
            .unwrap_or_default(),
        transactions,
        pre_state: BTreeMap::new(),
        codes: BTreeMap::new(),
        code_absent: BTreeSet::new(),
    }
}
