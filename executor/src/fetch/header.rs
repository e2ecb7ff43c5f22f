//! From a header to a block without state: its environment, what it has to come to, and the rules that may hold for it.
//!
//! In: a chain and a header. Out: the rules to be tried, the likeliest first, and the block under one of them.

use std::collections::{BTreeMap, BTreeSet};

use revm::primitives::hardfork::SpecId;

use super::{FetchError, FetchOptions, wire::Head};
use crate::{
    block::{self, Block, Expected, Transaction},
    chain::{ChainRules, LaterFork, Moment, Schedule},
};

/// The forks before London, the latest first: their headers look the same.
const BEFORE_LONDON: [SpecId; 8] = [
    SpecId::BERLIN,
    SpecId::ISTANBUL,
    SpecId::PETERSBURG,
    SpecId::BYZANTIUM,
    SpecId::SPURIOUS_DRAGON,
    SpecId::TANGERINE,
    SpecId::HOMESTEAD,
    SpecId::FRONTIER,
];

/// The schedule that holds for a chain: the one that was given, or one that is known.
pub(super) fn schedule(chain_id: u64, options: FetchOptions<'_>) -> Result<Option<Schedule>, FetchError> {
    let Some(given) = options.schedule else { return Ok(Schedule::known(chain_id)) };
    if given.chain_id != chain_id {
        let (name, of) = (given.name.clone(), given.chain_id);
        return Err(FetchError::OtherSchedule { name, of, chain_id });
    }
    Ok(Some(given.clone()))
}

/// The rules that may hold for a block. Those of the schedule come first; a private chain may have taken the number of another.
pub(super) fn rules(
    chain_id: u64,
    head: &Head,
    options: FetchOptions<'_>,
) -> Result<Vec<ChainRules>, FetchError> {
    let schedule = schedule(chain_id, options)?;
    if let Some(spec) = options.spec {
        return Ok(vec![ChainRules::named(spec, schedule.as_ref(), moment(head))]);
    }
    let later = |fork: LaterFork| FetchError::LaterFork {
        number: head.number,
        reason: format!("block {}: {fork}", head.number),
    };
    let scheduled = schedule.map(|schedule| schedule.at(moment(head)).map_err(later)).transpose()?;
    let spec = scheduled.as_ref().map(|rules| rules.spec);
    let guessed = shapes(head).into_iter().filter(|other| Some(*other) != spec).map(ChainRules::guessed);
    Ok(scheduled.into_iter().chain(guessed).collect())
}

/// The rules of the block after a head.
pub(super) fn next_rules(
    chain_id: u64,
    head: &Head,
    options: FetchOptions<'_>,
) -> Result<ChainRules, FetchError> {
    let schedule = schedule(chain_id, options)?;
    if let Some(spec) = options.spec {
        return Ok(ChainRules::named(spec, schedule.as_ref(), moment(head)));
    }
    let number = head.number.saturating_add(1);
    let later = |fork: LaterFork| FetchError::LaterFork { number, reason: format!("block {number}: {fork}") };
    match schedule {
        Some(schedule) => schedule.after(moment(head)).map_err(later),
        None => shapes(head).first().copied().map(ChainRules::guessed).ok_or(FetchError::UnknownFork),
    }
}

fn moment(head: &Head) -> Moment {
    Moment { number: head.number, timestamp: head.timestamp, merged: head.difficulty.is_zero() }
}

/// The forks that have headers of this shape.
fn shapes(head: &Head) -> Vec<SpecId> {
    if head.requests_hash.is_some() {
        return vec![SpecId::OSAKA, SpecId::PRAGUE];
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
    BEFORE_LONDON.to_vec()
}

/// The block, without any state.
pub(super) fn block(chain_id: u64, head: &Head, rules: &ChainRules, transactions: Vec<Transaction>) -> Block {
    let spec = rules.spec;
    let merged = spec.is_enabled_in(SpecId::MERGE);
    let blobs = rules.blobs.zip(head.excess_blob_gas);
    let blob_base_fee = blobs.map(|(params, excess)| params.calc_blob_fee(excess));
    let known = rules.blobs.filter(|_| rules.knows_blobs());
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
            max_blobs: known.map(|params| params.max_blob_count),
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
