//! Analyses every code of a file and prints times, completeness and the worst offenders.
//!
//! `cargo run --release -p deconflict-analyzer --example corpus -- codes.jsonl`, one `["0x<hash>","0x<code>"]` a line.

use deconflict_analyzer::{Entry, Options, analyze};
use std::{collections::BTreeMap, time::Instant};

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: corpus FILE")?;
    let text = std::fs::read_to_string(path)?;
    let mut times = Vec::new();
    let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
    let (mut functions, mut complete, mut expressions, mut steps) = (0usize, 0usize, 0usize, 0u64);
    let mut worst_incomplete = Vec::new();
    for line in text.lines() {
        let (hash, code): (String, String) = serde_json::from_str(line)?;
        let code = alloy_primitives::hex::decode(&code)?;
        let size = code.len();
        let started = Instant::now();
        let analysis = analyze(code.into(), &Options::default());
        let elapsed = started.elapsed();
        expressions = expressions.max(analysis.expressions.len());
        let mut bad = 0;
        for summary in &analysis.summaries {
            functions += 1;
            complete += usize::from(summary.is_complete());
            for incomplete in &summary.incomplete {
                *reasons.entry(incomplete.reason.name()).or_default() += 1;
            }
            bad += usize::from(!summary.is_complete());
        }
        let entries = analysis.summaries.iter().filter(|s| matches!(s.entry, Entry::Function(_))).count();
        if bad > 0 {
            worst_incomplete.push((bad, entries, hash.clone(), size));
        }
        times.push((elapsed, hash, size, entries, analysis.expressions.len(), analysis.steps));
        steps += analysis.steps;
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].0;
    println!("codes {} total {:?}", times.len(), times.iter().map(|t| t.0).sum::<std::time::Duration>());
    println!(
        "median {:?} p75 {:?} p95 {:?} p99 {:?} max {:?}",
        at(0.5),
        at(0.75),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    println!(
        "functions {functions} complete {complete} ({:.2} %)",
        100.0 * complete as f64 / functions as f64
    );
    println!("steps {steps}");
    println!("most expressions {expressions}; reasons {reasons:?}");
    for (elapsed, hash, size, entries, expressions, steps) in times.iter().rev().take(12) {
        println!(
            "{elapsed:?} {hash} {size} bytes {entries} functions {expressions} expressions {steps} steps"
        );
    }
    worst_incomplete.sort();
    println!("codes with incomplete entries {}", worst_incomplete.len());
    for (bad, entries, hash, size) in worst_incomplete.iter().rev().take(25) {
        println!("{bad} incomplete of {entries}: {hash} {size} bytes");
    }
    Ok(())
}
