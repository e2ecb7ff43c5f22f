//! Executions as a table for people.

use std::{fmt::Write as _, time::Duration};

use super::BlockRun;

/// The table of executions: a row for each block, and the total.
pub fn render(runs: &[BlockRun]) -> String {
    let mut text = format!(
        "{:>9} {:>5} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8} {:>6} {:>6} {:>8}  {}\n",
        "block",
        "txs",
        "Mgas",
        "threads",
        "serial",
        "predict",
        "schedule",
        "execute",
        "speed-up",
        "again",
        "edges",
        "path",
        "checked",
    );
    for run in runs {
        let path = 100.0 * run.critical_path_gas as f64 / run.gas_used.max(1) as f64;
        let checked = match &run.verified {
            None => "no",
            Some(Ok(())) => "same",
            Some(Err(_)) => "DIFFERENT",
        };
        row(
            &mut text,
            &run.number.to_string(),
            run.transactions,
            run.gas_used,
            &run.threads.to_string(),
            [run.serial, run.predict, run.schedule, run.execute],
            (run.reexecutions, run.edges),
            &format!("{path:.0} %"),
            checked,
        );
    }
    let time = |field: fn(&BlockRun) -> Duration| runs.iter().map(field).sum::<Duration>();
    row(
        &mut text,
        "total",
        runs.iter().map(|run| run.transactions).sum(),
        runs.iter().map(|run| run.gas_used).sum(),
        "",
        [time(|it| it.serial), time(|it| it.predict), time(|it| it.schedule), time(|it| it.execute)],
        (runs.iter().map(|it| it.reexecutions).sum(), runs.iter().map(|it| it.edges).sum()),
        "",
        "",
    );
    text += "\nserial is plain revm on one thread; times are those of the fastest run, in milliseconds.\n\
             again counts transactions that ran twice; path is the predicted critical path's share of the gas.\n";
    for run in runs {
        if let Some(Err(difference)) = &run.verified {
            let _ = writeln!(text, "\nblock {}: {difference}", run.number);
        }
    }
    text
}

#[expect(clippy::too_many_arguments, reason = "a row has this many columns")]
fn row(
    text: &mut String,
    block: &str,
    transactions: usize,
    gas: u64,
    threads: &str,
    times: [Duration; 4],
    (again, edges): (u64, u64),
    path: &str,
    checked: &str,
) {
    let milliseconds = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3);
    let [serial, predict, schedule, execute] = times;
    let speed_up = serial.as_secs_f64() / execute.as_secs_f64().max(1e-9);
    let _ = writeln!(
        text,
        "{block:>9} {transactions:>5} {:>6.1} {threads:>7} {:>9} {:>9} {:>9} {:>9} {speed_up:>8.2} {again:>6} \
         {edges:>6} {path:>8}  {checked}",
        gas as f64 / 1e6,
        milliseconds(serial),
        milliseconds(predict),
        milliseconds(schedule),
        milliseconds(execute),
    );
}
