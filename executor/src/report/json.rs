//! Executions as JSON, `deconflict/run/1`. The structs here are the format.

use alloy_primitives::B256;
use serde::Serialize;

use super::BlockRun;

/// The JSON of executions, on one line.
pub fn render(runs: &[BlockRun]) -> String {
    let sum = |field: fn(&BlockRun) -> u64| runs.iter().map(field).sum();
    let document = Document {
        schema: "deconflict/run/1",
        blocks: runs.iter().map(BlockJson::new).collect(),
        total: TotalJson {
            txs: sum(|run| run.transactions as u64),
            gas_used: sum(|run| run.gas_used),
            predict_ns: sum(|run| nanoseconds(run.predict)),
            schedule_ns: sum(|run| nanoseconds(run.schedule)),
            execute_ns: sum(|run| nanoseconds(run.execute)),
            total_ns: sum(|run| nanoseconds(run.total())),
            serial_ns: sum(|run| nanoseconds(run.serial)),
            ahead: sum(|run| run.ahead),
            reexecutions: sum(|run| run.reexecutions),
            additions: sum(|run| run.deltas),
            store_bytes: sum(|run| run.store_bytes as u64),
            edges: sum(|run| run.edges),
            critical_path_gas: sum(|run| run.critical_path_gas),
            verified: runs
                .iter()
                .map(verified)
                .collect::<Option<Vec<_>>>()
                .map(|all| all.iter().all(|it| *it)),
        },
    };
    serde_json::to_string(&document).expect("strings and numbers can be written") + "\n"
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    blocks: Vec<BlockJson>,
    total: TotalJson,
}

#[derive(Serialize)]
struct BlockJson {
    number: u64,
    mode: &'static str,
    threads: usize,
    txs: usize,
    gas_used: u64,
    predict_ns: u64,
    schedule_ns: u64,
    execute_ns: u64,
    total_ns: u64,
    serial_ns: u64,
    ahead: u64,
    reexecutions: u64,
    additions: u64,
    store_bytes: usize,
    edges: u64,
    critical_path_gas: u64,
    receipts_root: Option<B256>,
    state_digest: B256,
    verified: Option<bool>,
    difference: Option<String>,
}

#[derive(Serialize)]
struct TotalJson {
    txs: u64,
    gas_used: u64,
    predict_ns: u64,
    schedule_ns: u64,
    execute_ns: u64,
    total_ns: u64,
    serial_ns: u64,
    ahead: u64,
    reexecutions: u64,
    additions: u64,
    store_bytes: u64,
    edges: u64,
    critical_path_gas: u64,
    verified: Option<bool>,
}

impl BlockJson {
    fn new(run: &BlockRun) -> Self {
        Self {
            number: run.number,
            mode: run.mode.name(),
            threads: run.threads,
            txs: run.transactions,
            gas_used: run.gas_used,
            predict_ns: nanoseconds(run.predict),
            schedule_ns: nanoseconds(run.schedule),
            execute_ns: nanoseconds(run.execute),
            total_ns: nanoseconds(run.total()),
            serial_ns: nanoseconds(run.serial),
            ahead: run.ahead,
            reexecutions: run.reexecutions,
            additions: run.deltas,
            store_bytes: run.store_bytes,
            edges: run.edges,
            critical_path_gas: run.critical_path_gas,
            receipts_root: run.receipts_root,
            state_digest: run.state_digest,
            verified: verified(run),
            difference: run.verified.clone().and_then(Result::err),
        }
    }
}

fn verified(run: &BlockRun) -> Option<bool> {
    run.verified.as_ref().map(Result::is_ok)
}

fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
