//! How many hints a second one core gives, and what a plan takes beyond them.
//!
//! `cargo bench -p deconflict-executor --bench hints` measures the plain transfers and tokens of `fixtures/workloads`, and
//! all real blocks together; templates are warm. A table at the end says how long single hints take (median and 99th
//! percentile), also where every code is followed anew as a server does, how long plans take, and how large the binary form is. The real blocks are in the folder that
//! `DECONFLICT_DATA` names, else in `shared/data` beside the repository; without them they are left out.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use deconflict_executor::{
    Block, BlockContext, BlockReader, BlockState, Predictor, Scratch,
    hints::{Basis, Format, TransactionHint, hint_block, hint_transaction, plan},
};

/// Rounds of the table at the end.
const ROUNDS: usize = 15;

/// The lanes of plans.
const LANES: usize = 8;

struct Mix {
    name: &'static str,
    blocks: Vec<(Block, BlockState)>,
}

impl Mix {
    fn read(name: &'static str, files: &[PathBuf]) -> Self {
        let mut reader = BlockReader::new(None).expect("no code file is named");
        let blocks = files.iter().map(|file| {
            let block = reader.read(file).unwrap_or_else(|error| panic!("{error}"));
            let state = BlockState::new(&block);
            (block, state)
        });
        Self { name, blocks: blocks.collect() }
    }

    fn len(&self) -> u64 {
        self.blocks.iter().map(|(block, _)| block.transactions.len() as u64).sum()
    }

    /// Gives every hint, and the time of each to `each`.
    fn hint(&self, predictor: &Predictor, scratch: &mut Scratch, mut each: impl FnMut(Duration)) {
        for (block, state) in &self.blocks {
            let env = block.env();
            let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
            for transaction in &block.transactions {
                let start = Instant::now();
                black_box(hint_transaction(scratch, predictor, transaction, context, state));
                each(start.elapsed());
            }
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let workloads = corpus::workspace().join("fixtures/workloads/blocks");
    let mixed = ["transfers-independent.json", "erc20-random-recipients.json", "erc20-independent.json"];
    let mut mixes = vec![Mix::read("transfers and tokens", &mixed.map(|name| workloads.join(name)))];
    let real = corpus::real_blocks();
    if !real.is_empty() {
        mixes.push(Mix::read("real blocks", &real));
    }
    let mut group = criterion.benchmark_group("hints");
    let mut lines = Vec::new();
    for mix in &mixes {
        let predictor = Predictor::new();
        let mut scratch = Scratch::default();
        for _ in 0..3 {
            mix.hint(&predictor, &mut scratch, |_| {});
        }
        group.throughput(Throughput::Elements(mix.len()));
        group.bench_function(mix.name, |bencher| {
            bencher.iter(|| mix.hint(&predictor, &mut scratch, |_| {}));
        });
        lines.push(format!("{}: a hint takes {}", mix.name, single(mix, &predictor, &mut scratch)));
        let following = Predictor::new().without_recipes();
        mix.hint(&following, &mut scratch, |_| {});
        lines.push(format!("{}, codes followed: {}", mix.name, single(mix, &following, &mut scratch)));
        lines.push(plans(mix, &predictor));
    }
    group.finish();
    criterion.final_summary();
    for line in lines {
        println!("{line}");
    }
}

/// How long single hints take.
fn single(mix: &Mix, predictor: &Predictor, scratch: &mut Scratch) -> String {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        mix.hint(predictor, scratch, |time| times.push(time));
    }
    let all: Duration = times.iter().sum();
    let rate = times.len() as f64 / all.as_secs_f64();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_nanos() as f64 / 1e3;
    format!("{:.2} µs (median), {:.1} µs (99th percentile), {rate:.0} a second", at(50), at(99))
}

/// What plans take, and the size of the binary form.
fn plans(mix: &Mix, predictor: &Predictor) -> String {
    let binary = Format::named("bin").expect("it is in the list");
    let (mut per_300, mut bytes, mut accesses): (Vec<f64>, usize, usize) = (Vec::new(), 0, 0);
    for (block, state) in &mix.blocks {
        let hints =
            hint_block(block, &block.transactions, predictor, state, Basis::StaticAndState, Some(LANES));
        let count = hints.transactions.len();
        let fastest = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            black_box(plan(&hints.transactions, block.header.coinbase, LANES));
            start.elapsed()
        });
        let fastest = fastest.min().unwrap_or_default();
        if count >= 100 {
            per_300.push(fastest.as_nanos() as f64 / 1e3 * 300.0 / count as f64);
        }
        bytes += binary.render(&hints).map_or(0, |bytes| bytes.len());
        accesses += hints.transactions.iter().map(touched).sum::<usize>();
    }
    per_300.sort_unstable_by(f64::total_cmp);
    let of_13 = of_13(mix, predictor);
    let planned = match per_300.as_slice() {
        [] => "no block of 100 transactions or more".to_owned(),
        all => format!(
            "a plan of 300 transactions {:.0} µs (median block), {:.0} µs (slowest)",
            all[all.len() / 2],
            all[all.len() - 1]
        ),
    };
    let count = mix.len() as f64;
    format!(
        "{}: {planned}; binary, plan included, {:.0} bytes a transaction of {:.1} slots{of_13}",
        mix.name,
        bytes as f64 / count,
        accesses as f64 / count
    )
}

/// The size of the binary form of blocks that hold nothing but transactions of 13 slots.
fn of_13(mix: &Mix, predictor: &Predictor) -> String {
    let binary = Format::named("bin").expect("it is in the list");
    let (mut bytes, mut count) = (0, 0);
    for (block, state) in &mix.blocks {
        let mut hints = hint_block(block, &block.transactions, predictor, state, Basis::StaticAndState, None);
        hints.transactions.retain(|hint| touched(hint) == 13);
        if !hints.transactions.is_empty() {
            hints.plan = Some(plan(&hints.transactions, block.header.coinbase, LANES));
            bytes += binary.render(&hints).map_or(0, |bytes| bytes.len());
            count += hints.transactions.len();
        }
    }
    bytes.checked_div(count).map_or_else(String::new, |each| format!("; of 13 slots, {each} bytes ({count})"))
}

fn touched(hint: &TransactionHint) -> usize {
    hint.slots().len()
}
