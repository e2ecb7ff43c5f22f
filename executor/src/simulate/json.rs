//! Simulations as JSON, `deconflict/simulate/1`. The structs here are the format.

use serde::Serialize;

use super::Simulation;

/// The JSON of simulations, on one line.
pub fn render(simulations: &[Simulation]) -> String {
    let document = Document {
        schema: "deconflict/simulate/1",
        blocks: simulations
            .iter()
            .map(|simulation| BlockJson {
                number: simulation.number,
                txs: simulation.transactions,
                gas_used: simulation.gas_used,
                serial_ns: u64::try_from(simulation.serial.as_nanos()).unwrap_or(u64::MAX),
                mispredicted: simulation.mispredicted,
                cores: simulation
                    .cores
                    .iter()
                    .map(|it| CoresJson {
                        n: it.n,
                        ideal: it.ideal,
                        predicted: it.predicted,
                        optimistic: it.optimistic,
                        engine: Some(it.engine).filter(|it| it.is_finite()),
                    })
                    .collect(),
            })
            .collect(),
    };
    serde_json::to_string(&document).expect("strings and numbers can be written") + "\n"
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    blocks: Vec<BlockJson>,
}

#[derive(Serialize)]
struct BlockJson {
    number: u64,
    txs: usize,
    gas_used: u64,
    serial_ns: u64,
    mispredicted: usize,
    cores: Vec<CoresJson>,
}

#[derive(Serialize)]
struct CoresJson {
    n: usize,
    ideal: f64,
    predicted: f64,
    optimistic: f64,
    engine: Option<f64>,
}
