//! Simulations as a table for people.

use std::fmt::Write as _;

use super::{Cores, Simulation};

/// The table of simulations: a row for each block and number of processors, and for all blocks one after the other.
pub fn render(simulations: &[Simulation]) -> String {
    let mut text = format!(
        "{:>9} {:>5} {:>6} {:>6} {:>8} {:>10} {:>11} {:>7}\n",
        "block", "txs", "Mgas", "cores", "ideal", "predicted", "optimistic", "engine"
    );
    let mut row = |block: &str, transactions: usize, gas: u64, cores: &Cores| {
        let _ = writeln!(
            text,
            "{block:>9} {transactions:>5} {:>6.1} {:>6} {:>8.2} {:>10.2} {:>11.2} {:>7.2}",
            gas as f64 / 1e6,
            cores.n,
            cores.ideal,
            cores.predicted,
            cores.optimistic,
            cores.engine
        );
    };
    for simulation in simulations {
        for cores in &simulation.cores {
            row(&simulation.number.to_string(), simulation.transactions, simulation.gas_used, cores);
        }
    }
    let transactions = simulations.iter().map(|it| it.transactions).sum();
    let gas = simulations.iter().map(|it| it.gas_used).sum();
    let serial: f64 = simulations.iter().map(|it| it.serial.as_secs_f64()).sum();
    for (place, n) in simulations.first().iter().flat_map(|it| &it.cores).map(|it| it.n).enumerate() {
        let together = |speed_up: fn(&Cores) -> f64| {
            let time = |it: &Simulation| it.serial.as_secs_f64() / speed_up(&it.cores[place]);
            serial / simulations.iter().map(time).sum::<f64>()
        };
        let cores = Cores {
            n,
            ideal: together(|it| it.ideal),
            predicted: together(|it| it.predicted),
            optimistic: together(|it| it.optimistic),
            engine: together(|it| it.engine),
        };
        row("total", transactions, gas, &cores);
    }
    text + "\nspeed-ups over one processor, by the times that the transactions take on one; engine: the bundled executor, with \
            all that it costs on this machine.\n"
}
