//! Times execution beside plain serial revm: `cargo bench -p deconflict-executor --bench execute`.
//!
//! The two run in turns, so that whatever else the machine does meets both, and their ratio is taken turn by turn.
//! Predictions are part of the time, the analysis of codes is not. `DECONFLICT_ROUNDS` sets the number of rounds,
//! `DECONFLICT_THREADS` the threads, `DECONFLICT_MGAS` the size of generated blocks; an argument selects workloads by a
//! part of their names.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]

#[path = "../examples/generate_workloads/workload.rs"]
mod workload;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use deconflict_executor::{
    Block, BlockReader, BlockState, Config, Execution, Executor, Mode, Predictor,
    report::{predict, time_halves, time_serial},
};

struct Setting {
    rounds: usize,
    threads: usize,
    predictor: Predictor,
}

fn main() {
    let number =
        |name: &str, usual: usize| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let mgas = number("DECONFLICT_MGAS", 100) as u64;
    let wanted: Vec<String> = env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let setting = Setting {
        rounds: number("DECONFLICT_ROUNDS", 11),
        threads: number("DECONFLICT_THREADS", 2),
        predictor: Predictor::new(),
    };
    println!(
        "| {:<24} | {:>5} | {:>5} | {:>9} | {:>9} | {:>8} | {:>11} | {:>6} | {:>6} | {:>5} | {:>5} | {:>9} | {:>6} |",
        "workload",
        "txs",
        "Mgas",
        "serial ms",
        "ours ms",
        "speed-up",
        "middle half",
        "hints",
        "no",
        "ahead",
        "again",
        "predicted",
        "halves",
    );
    let line = |width: usize| "-".repeat(width);
    let widths = [24, 5, 5, 9, 9, 8, 11, 6, 6, 5, 5, 9, 6];
    println!("| {} |", widths.map(line).join(" | "));
    for workload in workload::ALL.iter().filter(|it| is_wanted(it.name)) {
        let block = workload.of_gas(mgas * 1_000_000, 0, 1).unwrap_or_else(|error| panic!("{error}"));
        time(workload.name, &block, &setting);
    }
    let mut reader = BlockReader::default();
    let (mut serial, mut ours) = (Duration::ZERO, Duration::ZERO);
    for file in real_blocks() {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let name = format!("block {}", block.number);
        if !is_wanted(&name) {
            continue;
        }
        let times = time(&name, &block, &setting);
        serial += times.0;
        ours += times.1;
    }
    if !ours.is_zero() {
        println!("\nall real blocks together: {:.2}", serial.as_secs_f64() / ours.as_secs_f64());
    }
}

/// The median times of serial execution and of ours. A row also tells how fast we are when all predictions are there
/// already, when there are none, and how fast two threads with plain revm are that each execute one half of the
/// transactions on its own copy of the state: what the machine has to give where nothing conflicts.
fn time(name: &str, block: &Block, setting: &Setting) -> (Duration, Duration) {
    let state = BlockState::new(block);
    let executor = |mode| Executor::new(Config { threads: setting.threads, mode, ..Config::default() });
    let (scheduled, optimistic) = (executor(Mode::Scheduled), executor(Mode::Optimistic));
    let hints = predict(block, &state, &setting.predictor, setting.threads);
    let ready = |executed: Result<Execution, _>| match executed {
        Ok(executed) => executed,
        Err(error) => panic!("{name}: {error}"),
    };
    let (mut serial, mut ours) = (Vec::new(), Vec::new());
    let mut ratios: [Vec<f64>; 4] = Default::default();
    let mut last = None;
    for _ in 0..setting.rounds {
        let one = time_serial(block, &state).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (env, rules, transactions) = (block.env(), block.rules(), &block.transactions);
        let by_need = ready(scheduled.execute_predicting(
            env.clone(),
            rules.clone(),
            transactions,
            &state,
            &setting.predictor,
        ));
        let given = ready(scheduled.execute(env.clone(), rules.clone(), transactions, &state, &hints));
        let none = ready(optimistic.execute(env, rules, transactions, &state, &[]));
        let times = [&by_need, &given, &none].map(|it| it.figures.execute);
        for (ratios, time) in ratios.iter_mut().zip(times) {
            ratios.push(one.as_secs_f64() / time.as_secs_f64());
        }
        if let Some(halves) = time_halves(block, &state) {
            ratios[3].push(one.as_secs_f64() / halves.as_secs_f64());
        }
        serial.push(one);
        ours.push(times[0]);
        last = Some(by_need);
    }
    serial.sort_unstable();
    ours.sort_unstable();
    for ratios in &mut ratios {
        ratios.sort_by(f64::total_cmp);
    }
    let at = |values: &[f64], part: usize| {
        values.get((values.len() * part / 4).min(values.len().max(1) - 1)).copied()
    };
    let median = |values: &[f64]| at(values, 2).map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
    let Some(last) = last else { return (Duration::ZERO, Duration::ZERO) };
    let middle = setting.rounds / 2;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {name:<24} | {:>5} | {:>5.1} | {:>9.3} | {:>9.3} | {:>8} | {:>11} | {:>6} | {:>6} | {:>5} | {:>5} | {:>9.3} | {:>6} |",
        block.transactions.len(),
        last.outcome.gas_used as f64 / 1e6,
        milliseconds(serial[middle]),
        milliseconds(ours[middle]),
        median(&ratios[0]),
        format!("{:.2}-{:.2}", at(&ratios[0], 1).unwrap_or(0.0), at(&ratios[0], 3).unwrap_or(0.0)),
        median(&ratios[1]),
        median(&ratios[2]),
        last.figures.ahead,
        last.figures.reexecutions,
        milliseconds(last.figures.predict),
        median(&ratios[3]),
    );
    (serial[middle], ours[middle])
}

/// The real blocks, where they are at hand.
fn real_blocks() -> Vec<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = env::var_os("DECONFLICT_DATA").map_or(usual, PathBuf::from).join("blocks");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("there are no real blocks in {}; name their folder by DECONFLICT_DATA", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".json.zst"));
    files.sort();
    files
}
