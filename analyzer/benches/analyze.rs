//! How fast the analyzer is: on every real code of the corpus, beside evmole, and on three fixtures by criterion.
//!
//! `cargo bench -p deconflict-analyzer --bench analyze` prints both. The corpus is `codes.jsonl.zst` in the folder that
//! `DECONFLICT_DATA` names, else in `shared/data` beside the repository; without it only the fixtures are measured. Each
//! code is analysed once by each tool, in turn, on one thread, so that both meet the machine in the same state.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use alloy_primitives::{Bytes, hex};
use criterion::{BenchmarkId, Criterion};
use deconflict_analyzer::{Options, analyze, conflicts};
use std::{
    hint::black_box,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many of the slowest codes are listed.
const LISTED: usize = 15;

/// One code of the corpus and what analysing it took.
struct Measured {
    hash: String,
    size: usize,
    ours: Duration,
    evmole: Duration,
    steps: u64,
    expressions: usize,
    entries: usize,
    complete: usize,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The codes of the corpus with their hashes, or why there are none.
fn corpus() -> Result<Vec<(String, Bytes)>, String> {
    let folder = std::env::var_os("DECONFLICT_DATA")
        .map_or_else(|| repository().join("../shared/data"), PathBuf::from);
    let path = folder.join("codes.jsonl.zst");
    let explain = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let file = std::fs::File::open(&path).map_err(|error| explain(&error))?;
    let reader = zstd::Decoder::new(file).map_err(|error| explain(&error))?;
    let mut codes = Vec::new();
    for line in BufReader::new(reader).lines() {
        let line = line.map_err(|error| explain(&error))?;
        let (hash, code): (String, String) = serde_json::from_str(&line).map_err(|error| explain(&error))?;
        codes.push((hash, hex::decode(code).map_err(|error| explain(&error))?.into()));
    }
    Ok(codes)
}

fn measure(hash: String, code: &Bytes) -> Measured {
    let size = code.len();
    let start = Instant::now();
    let analysis = black_box(analyze(black_box(code.clone()), &Options::default()));
    let ours = start.elapsed();
    let start = Instant::now();
    let arguments = evmole::ContractInfoArgs::new(black_box(code)).with_selectors().with_storage();
    black_box(evmole::contract_info(arguments));
    let evmole = start.elapsed();
    Measured {
        hash,
        size,
        ours,
        evmole,
        steps: analysis.steps,
        expressions: analysis.expressions.len(),
        entries: analysis.summaries.len(),
        complete: analysis.summaries.iter().filter(|summary| summary.is_complete()).count(),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Prints the figures of one tool.
fn print_row(tool: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| milliseconds(times[(times.len() - 1) * percent / 100]);
    let total: Duration = times.iter().sum();
    println!(
        "{tool:<12}{:>10.3}{:>10.3}{:>10.3}{:>10.3}{:>10.1}",
        at(50),
        at(95),
        at(99),
        at(100),
        total.as_secs_f64()
    );
}

fn print_corpus() {
    let codes = match corpus() {
        Ok(codes) if !codes.is_empty() => codes,
        Ok(_) => return println!("corpus left out: it is empty"),
        Err(error) => {
            return println!("corpus left out: {error} (DECONFLICT_DATA names the folder that holds it)");
        }
    };
    let mut measured: Vec<Measured> = codes.into_iter().map(|(hash, code)| measure(hash, &code)).collect();
    println!("{} codes, one thread", measured.len());
    println!("{:<12}{:>10}{:>10}{:>10}{:>10}{:>10}", "ms a code", "median", "95 %", "99 %", "max", "total s");
    print_row("deconflict", measured.iter().map(|code| code.ours).collect());
    print_row("evmole", measured.iter().map(|code| code.evmole).collect());
    let entries: usize = measured.iter().map(|code| code.entries).sum();
    let complete: usize = measured.iter().map(|code| code.complete).sum();
    println!("{complete} of {entries} entries complete");
    measured.sort_by_key(|code| std::cmp::Reverse(code.ours));
    println!("the slowest for deconflict:");
    println!(
        "{:>10}{:>10}{:>8}{:>10}{:>12}{:>10}  hash",
        "ms", "evmole ms", "bytes", "steps", "expressions", "complete"
    );
    for code in measured.iter().take(LISTED) {
        println!(
            "{:>10.1}{:>10.1}{:>8}{:>10}{:>12}{:>10}  {}",
            milliseconds(code.ours),
            milliseconds(code.evmole),
            code.size,
            code.steps,
            code.expressions,
            format!("{}/{}", code.complete, code.entries),
            code.hash
        );
    }
}

/// The runtime code of one case of an idiom file.
fn fixture(file: &str, compiler: &str) -> Bytes {
    let path = repository().join("fixtures/idioms").join(file);
    let text = std::fs::read_to_string(path).expect("the idioms are committed");
    let idiom: serde_json::Value = serde_json::from_str(&text).expect("the idioms are JSON");
    let cases = idiom["cases"].as_array().expect("an idiom has cases");
    let case = cases.iter().find(|case| case["compiler"] == compiler).expect("the idiom has this compiler");
    let runtime = case["runtime"].as_str().expect("a case has its code");
    hex::decode(runtime).expect("code is hexadecimal").into()
}

fn fixtures(criterion: &mut Criterion) {
    let codes = [
        ("small", fixture("03-mapping.json", "solc 0.8.30 via-IR")),
        ("median", fixture("r01-openzeppelin-erc20.json", "solc 0.8.30 legacy")),
        ("large", fixture("r02-uniswap-v2-pair.json", "solc 0.5.16 legacy")),
    ];
    let mut group = criterion.benchmark_group("analyze");
    for (name, code) in &codes {
        group.bench_with_input(BenchmarkId::from_parameter(name), code, |bencher, code| {
            bencher.iter(|| analyze(code.clone(), &Options::default()));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("conflicts");
    for (name, code) in &codes {
        let analysis = analyze(code.clone(), &Options::default());
        group.bench_with_input(BenchmarkId::from_parameter(name), &analysis, |bencher, analysis| {
            bencher.iter(|| conflicts(analysis));
        });
    }
    group.finish();
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        print_corpus();
    }
    let mut criterion = Criterion::default().configure_from_args();
    fixtures(&mut criterion);
    criterion.final_summary();
}
