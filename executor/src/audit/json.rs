//! An audit as JSON, `deconflict/audit/1`. The structs here are the format.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Selector, U256};
use serde::Serialize;

use super::{BlockAudit, Environment, Figures, StateMode};

/// The JSON of an audit, on one line. Predictions were made in this environment, if it is not that of each block.
pub fn render(blocks: &[BlockAudit], mode: StateMode, environment: Option<&Environment>) -> String {
    let total = Figures::total(blocks);
    let document = Document {
        schema: "deconflict/audit/1",
        state: mode.name(),
        environment: environment.map(|it| it.number),
        blocks: blocks
            .iter()
            .map(|block| BlockJson { number: block.number, figures: FiguresJson::new(&block.figures) })
            .collect(),
        total: FiguresJson::new(&total),
        incomplete: total.incomplete,
        unsound: blocks.iter().flat_map(unsound).collect(),
    };
    serde_json::to_string(&document).expect("strings and numbers can be written") + "\n"
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    state: &'static str,
    /// The number of the block whose environment predictions were made in; null if that was each block's own.
    environment: Option<u64>,
    blocks: Vec<BlockJson>,
    total: FiguresJson,
    incomplete: BTreeMap<&'static str, u64>,
    unsound: Vec<UnsoundJson>,
}

#[derive(Serialize)]
struct BlockJson {
    number: u64,
    #[serde(flatten)]
    figures: FiguresJson,
}

#[derive(Serialize)]
struct FiguresJson {
    txs: u64,
    complete_txs: u64,
    unsound_txs: u64,
    accesses: u64,
    missed: u64,
    predicted: u64,
    extra: u64,
    predict_ns: u64,
    execute_ns: u64,
    stale_txs: u64,
    stale_environment_txs: u64,
    contract_txs: u64,
    stale_contract_txs: u64,
    missed_in_complete: u64,
    median_extra: u64,
    median_contract_predict_ns: u64,
    analyze_ns: u64,
    true_edges: u64,
    predicted_edges: u64,
    found_edges: u64,
    environment_txs: u64,
    depends_on_environment: BTreeMap<&'static str, u64>,
    incomplete: BTreeMap<&'static str, u64>,
}

impl FiguresJson {
    fn new(figures: &Figures) -> Self {
        Self {
            txs: figures.txs,
            complete_txs: figures.complete_txs,
            unsound_txs: figures.unsound_txs,
            accesses: figures.accesses,
            missed: figures.missed,
            predicted: figures.predicted,
            extra: figures.extra,
            predict_ns: figures.predict_ns,
            execute_ns: figures.execute_ns,
            stale_txs: figures.stale_txs,
            stale_environment_txs: figures.stale_environment_txs,
            contract_txs: figures.contract_txs,
            stale_contract_txs: figures.stale_contract_txs,
            missed_in_complete: figures.missed_in_complete,
            median_extra: figures.median_extra(),
            median_contract_predict_ns: figures.median_contract_predict_ns(),
            analyze_ns: figures.analyze_ns,
            true_edges: figures.true_edges,
            predicted_edges: figures.predicted_edges,
            found_edges: figures.found_edges,
            environment_txs: figures.environment_txs,
            depends_on_environment: figures.environment.clone(),
            incomplete: figures.incomplete.clone(),
        }
    }
}

#[derive(Serialize)]
struct UnsoundJson {
    block: u64,
    index: usize,
    hash: Option<B256>,
    missed: Vec<MissedJson>,
}

#[derive(Serialize)]
struct MissedJson {
    kind: &'static str,
    address: Address,
    slot: U256,
    code_hash: B256,
    selector: Selector,
    pc: u32,
}

fn unsound(block: &BlockAudit) -> impl Iterator<Item = UnsoundJson> {
    block.unsound.iter().map(|it| UnsoundJson {
        block: block.number,
        index: it.index,
        hash: it.hash,
        missed: it
            .missed
            .iter()
            .map(|access| MissedJson {
                kind: if access.write { "write" } else { "read" },
                address: access.address,
                slot: access.slot,
                code_hash: access.site.code_hash,
                selector: access.site.selector,
                pc: access.site.pc,
            })
            .collect(),
    })
}
