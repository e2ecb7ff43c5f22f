//! Any bytes are code: analysing them and comparing the summaries neither panics nor takes unbounded work.
//!
//! The first byte of the input chooses how many selectors the caller claims to know, which come first; the rest is code.

#![no_main]

use deconflict_analyzer::{Names, Options, Plain, Render, Selector, analyze, conflicts};
use libfuzzer_sys::fuzz_target;

/// Interpreted instructions of one contract: its budget, and what each entry may use in any case.
const MOST_STEPS: u64 = 3_000_000 + 250_000 + 2_000 * 20_000;

fuzz_target!(|data: &[u8]| {
    let (count, rest) = data.split_first().map_or((0, data), |(first, rest)| (usize::from(first % 4), rest));
    let (chunks, _) = rest.as_chunks::<4>();
    let count = count.min(chunks.len());
    let selectors = chunks[..count].iter().copied().map(Selector).collect();
    let code = rest[4 * count..].to_vec();
    let analysis = analyze(code.into(), &Options { selectors, ..Options::default() });
    assert!(analysis.steps <= MOST_STEPS);
    assert!(!analysis.summaries.is_empty());
    let names: &dyn Names = &Plain;
    for summary in &analysis.summaries {
        assert!(summary.is_complete() || !summary.always_reverts);
        let render = Render { expressions: &analysis.expressions, names, entry: summary.entry, prefix: "" };
        for access in &summary.accesses {
            let _ = render.access_slot(access.space, &access.slot, access.bytes);
        }
        for condition in &summary.requires {
            let _ = render.condition(*condition);
        }
    }
    let _ = conflicts(&analysis);
});
