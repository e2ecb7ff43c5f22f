//! Executions as a table for people.

use std::{fmt::Write as _, time::Duration};

use super::BlockRun;

/// The table of executions: a row for each block, and the total.
pub fn render(runs: &[BlockRun]) -> String {
    let mut text = format!(
        "{:>9} {:>5} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8} {:>6} {:>6} {:>6} {:>8}  {}\n",
        "block",
        "txs",
        "Mgas",
        "threads",
        "serial",
        "predict",
        "schedule",
        "execute",
        "speed-up",
        "ahead",
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
            [run.ahead, run.reexecutions, run.edges],
            &format!("{path:.0} %"),
            checked,
        );
    }
    let total = |field: fn(&BlockRun) -> u64| runs.iter().map(field).sum::<u64>();
    let time = |field: fn(&BlockRun) -> Duration| runs.iter().map(field).sum::<Duration>();
    row(
        &mut text,
        "total",
        runs.iter().map(|run| run.transactions).sum(),
        runs.iter().map(|run| run.gas_used).sum(),
        "",
        [time(|it| it.serial), time(|it| it.predict), time(|it| it.schedule), time(|it| it.execute)],
        [total(|it| it.ahead), total(|it| it.reexecutions), total(|it| it.edges)],
        "",
        "",
    );
    let memory = runs.iter().map(|run| run.store_bytes).max().unwrap_or(0);
    text += "\nserial is plain revm on one thread; times are those of the fastest run, in milliseconds. execute is all of\n\
             the time that the block took; predict and schedule are processor time, most of it beside execution.\n\
             ahead counts transactions that ran before their turn, and again those of them that ran twice; path is the\n\
             predicted critical path's share of the gas.\n";
    let _ = writeln!(
        text,
        "The versions of one block took {:.1} MiB of memory at most.",
        memory as f64 / f64::from(1 << 20)
    );
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
    [ahead, again, edges]: [u64; 3],
    path: &str,
    checked: &str,
) {
    let milliseconds = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3);
    let [serial, predict, schedule, execute] = times;
    let speed_up = serial.as_secs_f64() / execute.as_secs_f64().max(1e-9);
    let _ = writeln!(
        text,
        "{block:>9} {transactions:>5} {:>6.1} {threads:>7} {:>9} {:>9} {:>9} {:>9} {speed_up:>8.2} {ahead:>6} {again:>6} \
         {edges:>6} {path:>8}  {checked}",
        gas as f64 / 1e6,
        milliseconds(serial),
        milliseconds(predict),
        milliseconds(schedule),
        milliseconds(execute),
    );
}
