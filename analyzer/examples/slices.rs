//! Compiles every code of a corpus to slices and prints what that costs.
//!
//! `cargo run --release -p deconflict-analyzer --example slices -- codes.jsonl`, a code a line as `["0xhash","0xcode"]`.

use std::io::BufRead;
use std::time::Instant;

use alloy_primitives::Bytes;
use deconflict_analyzer::{Op, Slice, Variant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which corpus?")?;
    let mut times = Vec::new();
    let (mut bytes, mut operations, mut traces, mut largest) = (0, 0, 0, (0, String::new()));
    for line in std::io::BufReader::new(std::fs::File::open(path)?).lines() {
        let (hash, code): (String, Bytes) = serde_json::from_str(&line?)?;
        let start = Instant::now();
        let slice = Slice::compile(code.clone(), Variant::Lean, false);
        times.push(start.elapsed());
        let count = slice.ops.len();
        bytes += code.len();
        operations += count;
        traces += slice.ops.iter().filter(|op| matches!(op, Op::Enter { .. })).count();
        if count > largest.0 {
            largest = (count, hash);
        }
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    #[expect(clippy::print_stdout, reason = "an example prints its result")]
    {
        println!("{} codes, {bytes} bytes, {traces} traces, {operations} operations", times.len());
        println!("largest: {} operations, {}", largest.0, largest.1);
        println!("median {:?}, 95th {:?}, worst {:?}", at(50), at(95), at(100));
    }
    Ok(())
}
