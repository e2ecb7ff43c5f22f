//! Times execution beside plain serial revm: `cargo bench -p deconflict-executor --bench execute`.
//!
//! The two run in turns, so that whatever else the machine does meets both, and their ratio is taken turn by turn.
//! Predictions are part of the time, the analysis of codes is not. `DECONFLICT_ROUNDS` sets the number of rounds,
//! `DECONFLICT_THREADS` the threads, `DECONFLICT_MGAS` the size of generated blocks, `DECONFLICT_LATENCY_US` how long each
//! reading of the state takes; an argument selects workloads by a part of their names.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]

#[path = "../examples/generate_workloads/workload.rs"]
mod workload;

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use deconflict_executor::{
    Block, BlockReader, BlockState, Config, ExecuteError, Execution, Executor, Mode, Predictions, Predictor,
    ReplayError, SlowState, StateError, Watch, conclude,
    report::{READERS, predict, time_halves, time_serial},
    simulate::simulate_block,
};
use rustix::time::{ClockId, clock_gettime};

struct Setting {
    rounds: usize,
    threads: usize,
    latency: Duration,
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
        latency: Duration::from_micros(number("DECONFLICT_LATENCY_US", 0) as u64),
        predictor: Predictor::new(),
    };
    print_row(&HEADINGS.map(str::to_owned));
    print_row(&HEADINGS.map(|heading| "-".repeat(heading.len())));
    for workload in workload::ALL.iter().filter(|it| is_wanted(it.name)) {
        let block = workload.of_gas(mgas * 1_000_000, 0, 1).unwrap_or_else(|error| panic!("{error}"));
        time(workload.name, &block, &setting);
    }
    let mut reader = BlockReader::default();
    let (mut serial, mut ours) = (Duration::ZERO, Duration::ZERO);
    let mut modelled = Vec::new();
    for file in real_blocks() {
        let block = reader.read(&file).unwrap_or_else(|error| panic!("{error}"));
        let name = format!("block {}", block.number);
        if !is_wanted(&name) {
            continue;
        }
        let times = time(&name, &block, &setting);
        serial += times.serial;
        ours += times.ours;
        if times.gas >= LARGE {
            modelled.extend(
                times.model.map(|model| model * times.ours.as_secs_f64() / times.serial.as_secs_f64()),
            );
        }
    }
    if !ours.is_zero() {
        println!("\nall real blocks together: {:.2}", serial.as_secs_f64() / ours.as_secs_f64());
        modelled.sort_by(f64::total_cmp);
        let close = modelled.iter().filter(|ratio| (ratio.ln()).abs() <= 1.15_f64.ln()).count();
        // The model is of a state at hand.
        if let Some(median) = modelled.get(modelled.len() / 2).filter(|_| setting.latency.is_zero()) {
            println!(
                "the model is within 15 % on {close} of {} blocks of 12 Mgas and more, at the median {median:.2} of what is measured",
                modelled.len()
            );
        }
    }
}

/// The gas from which on a block is a large one.
const LARGE: u64 = 12_000_000;

/// The median times of a block, and what the model says of their ratio.
struct Times {
    serial: Duration,
    ours: Duration,
    model: Option<f64>,
    gas: u64,
}

const HEADINGS: [&str; 18] = [
    "workload                ",
    "  txs",
    " Mgas",
    "serial ms",
    "  ours ms",
    "speed-up",
    "middle half",
    "hints",
    "   no",
    "wrong",
    "ahead",
    "again",
    "sums",
    "predicted ms",
    "halves",
    "model",
    "processor",
    "   KiB",
];

/// Prints a row of the table, under the headings.
fn print_row(cells: &[String; 18]) {
    let cells = cells.iter().zip(HEADINGS).enumerate().map(|(column, (cell, heading))| {
        let width = heading.len();
        if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
}

/// What one round took and came to.
struct Round {
    serial: Duration,
    /// Processor time of all threads.
    serial_processor: Duration,
    ours_processor: Duration,
    ours: Execution,
    /// With all predictions there, and with none.
    given: Duration,
    none: Duration,
    /// With the predictions of other transactions.
    wrong: Duration,
    halves: Option<Duration>,
}

/// The median times of serial execution and of ours, of which it prints the row. A row also tells how fast we are when all
/// predictions are there already, when there are none, when each transaction has the prediction of another one, how fast two threads with plain revm are that each execute one half
/// of the transactions on its own copy of the state (what the machine has to give where nothing conflicts), what the
/// model of the executor says (`simulate`), how much processor time we take for one of serial execution's, and the memory of what is
/// written.
fn time(name: &str, block: &Block, setting: &Setting) -> Times {
    let state = BlockState::new(block);
    let readers = if setting.latency.is_zero() { 0 } else { READERS };
    let executor =
        |mode| Executor::new(Config { threads: setting.threads, mode, readers, ..Config::default() });
    let executors = [executor(Mode::Scheduled), executor(Mode::Optimistic)];
    let slow = SlowState { state: &state, latency: setting.latency };
    let rounds: Result<Vec<Round>, String> = (0..setting.rounds)
        .map(|_| {
            if setting.latency.is_zero() {
                round(block, &state, &state, setting, &executors)
            } else {
                round(block, &state, &slow, setting, &executors)
            }
        })
        .collect();
    let rounds = rounds.unwrap_or_else(|error| panic!("{name}: {error}"));
    let Some(last) = rounds.last() else {
        return Times { serial: Duration::ZERO, ours: Duration::ZERO, model: None, gas: 0 };
    };
    let seconds = |time: Duration| time.as_secs_f64().max(1e-9);
    let sorted = |value: &dyn Fn(&Round) -> Option<f64>| {
        let mut values: Vec<f64> = rounds.iter().filter_map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let at = |values: &[f64], part: usize| {
        values.get((values.len() * part / 4).min(values.len().max(1) - 1)).copied()
    };
    let median = |value: &dyn Fn(&Round) -> Option<f64>| at(&sorted(value), 2);
    let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
    let ratio = |value: &dyn Fn(&Round) -> Option<Duration>| {
        text(median(&|it| Some(seconds(it.serial) / seconds(value(it)?))))
    };
    let speed_ups = sorted(&|it| Some(seconds(it.serial) / seconds(it.ours.figures.execute)));
    let serial = median(&|it| Some(seconds(it.serial))).unwrap_or_default();
    let ours = median(&|it| Some(seconds(it.ours.figures.execute))).unwrap_or_default();
    let model = simulate_block(block, &[setting.threads], &setting.predictor).ok();
    let model = model.and_then(|it| Some(it.cores.first()?.engine)).filter(|it| it.is_finite());
    print_row(&[
        name.to_owned(),
        block.transactions.len().to_string(),
        format!("{:.1}", last.ours.outcome.gas_used as f64 / 1e6),
        format!("{:.3}", serial * 1e3),
        format!("{:.3}", ours * 1e3),
        text(at(&speed_ups, 2)),
        format!("{:.2}-{:.2}", at(&speed_ups, 1).unwrap_or(0.0), at(&speed_ups, 3).unwrap_or(0.0)),
        ratio(&|it| Some(it.given)),
        ratio(&|it| Some(it.none)),
        ratio(&|it| Some(it.wrong)),
        last.ours.figures.ahead.to_string(),
        last.ours.figures.reexecutions.to_string(),
        last.ours.figures.deltas.to_string(),
        format!("{:.3}", seconds(last.ours.figures.predict) * 1e3),
        ratio(&|it| it.halves),
        text(model),
        text(median(&|it| Some(seconds(it.ours_processor) / seconds(it.serial_processor)))),
        (last.ours.figures.store_bytes / 1024).to_string(),
    ]);
    Times {
        serial: Duration::from_secs_f64(serial),
        ours: Duration::from_secs_f64(ours),
        model,
        gas: last.ours.outcome.gas_used,
    }
}

/// Executes a block in each way once. Predictions that are there are made on the state at hand.
fn round<D: revm::DatabaseRef<Error = StateError> + Sync>(
    block: &Block,
    at_hand: &BlockState,
    state: &D,
    setting: &Setting,
    [scheduled, optimistic]: &[Executor; 2],
) -> Result<Round, String> {
    let hints = predict(block, at_hand, &setting.predictor, setting.threads);
    let wrong: Vec<_> = hints.iter().rev().cloned().collect();
    let execute = |executor: &Executor, predictions: Predictions<'_>| {
        let (env, rules) = (block.env(), block.rules());
        let executed =
            executor.execute_watched(env, rules, &block.transactions, state, predictions, Watch::default());
        executed.map_err(|error: ExecuteError<StateError>| error.to_string())
    };
    let start = processor_time();
    let serial = time_serial(block, state).map_err(|error: ReplayError| error.to_string())?;
    let serial_processor = processor_time().saturating_sub(start);
    let start = processor_time();
    let ours = execute(scheduled, Predictions::ByNeed(&setting.predictor))?;
    let ours_processor = processor_time().saturating_sub(start);
    // The receipts and their root are not part of what plain revm does here.
    let results = ours.outcome.results.clone();
    let start = processor_time();
    std::hint::black_box(conclude(block, results));
    let ours_processor = ours_processor.saturating_sub(processor_time().saturating_sub(start));
    Ok(Round {
        serial,
        serial_processor,
        ours_processor,
        ours,
        given: execute(scheduled, Predictions::Given(&hints))?.figures.execute,
        none: execute(optimistic, Predictions::None)?.figures.execute,
        wrong: execute(scheduled, Predictions::Given(&wrong))?.figures.execute,
        halves: time_halves(block, state),
    })
}

/// The processor time that all threads of this process have taken.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
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
