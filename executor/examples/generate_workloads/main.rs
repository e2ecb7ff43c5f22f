//! Writes the committed workloads to `fixtures/workloads`: `cargo run -p deconflict-executor --example generate_workloads`.
//!
//! With arguments it writes one block of any size: `-- NAME GAS HOT_PERCENT SEED FILE`.

mod workload;

use std::{env, fs, path::Path};

use deconflict_executor::write_block;

use self::workload::{ALL, Failure, Shape};

/// The transactions of a committed block.
const TRANSACTIONS: u64 = 20;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let text = |block| write_block(&block).ok_or("the format has no name for the fork");
    if let [name, gas, hot_percent, seed, file] = arguments.as_slice() {
        let named = ALL.iter().find(|workload| workload.name == name);
        let names = || ALL.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
        let workload = named.ok_or_else(|| format!("there is no {name}; there are {}", names()))?;
        let block = workload.of_gas(gas.parse()?, hot_percent.parse()?, seed.parse()?)?;
        fs::write(file, text(block)?)?;
        return Ok(());
    }
    if !arguments.is_empty() {
        return Err("either no arguments, or NAME GAS HOT_PERCENT SEED FILE".into());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/workloads/blocks");
    fs::create_dir_all(&folder)?;
    for workload in ALL {
        let block = workload.block(Shape { transactions: TRANSACTIONS, hot_percent: 0, seed: 1 })?;
        fs::write(folder.join(format!("{}.json", workload.name)), text(block)?)?;
    }
    Ok(())
}
