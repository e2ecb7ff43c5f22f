//! Predictions against executions: random worlds of small contracts, run by revm and predicted.
//!
//! `DECONFLICT_CASES` sets how many thousand scenes are examined, `DECONFLICT_SEED` which; a failure prints both the seed
//! and the smallest scene that was found to fail in the same way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test says what it found, and how much it compared"
)]

#[path = "programs/assembler.rs"]
mod assembler;
#[path = "programs/check.rs"]
mod check;
#[path = "programs/choices.rs"]
mod choices;
#[path = "programs/known.rs"]
mod known;
#[path = "programs/program.rs"]
mod program;
#[path = "programs/scene.rs"]
mod scene;
#[path = "programs/shrink.rs"]
mod shrink;
#[path = "programs/tight.rs"]
mod tight;

use std::panic::{AssertUnwindSafe, catch_unwind};

use alloy_primitives::hex;
use check::{Oracle, Tally, execute};
use known::{Known, known};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Bytes that look random and are the same on every machine (the splitmix64 sequence).
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(count).collect()
}

/// What is made of bytes.
type Examine = fn(&mut Oracle, &[u8]) -> Result<Tally, String>;

/// Examines bytes, where a panic is a failure too.
fn examine(how: Examine, oracle: &mut Oracle, bytes: &[u8]) -> Result<Tally, String> {
    catch_unwind(AssertUnwindSafe(|| how(oracle, bytes))).unwrap_or_else(|panic| {
        *oracle = Oracle::default();
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default()))
    })
}

/// The first line of a failure: what kind it is.
fn kind(failure: &str) -> &str {
    failure.lines().next().unwrap_or_default()
}

/// Examines so many scenes of so many bytes each.
fn examine_all(how: Examine, scenes: u64, length: usize) -> Tally {
    let seed = setting("DECONFLICT_SEED", 20_263);
    let mut tally = Tally::default();
    let mut oracle = Oracle::default();
    let mut failures = 0;
    // Another scene than these, by what a failure printed.
    if let Ok(text) = std::env::var("DECONFLICT_SCENE") {
        let bytes = hex::decode(text).unwrap();
        how(&mut oracle, &bytes).unwrap();
        return tally;
    }
    for case in 0..scenes {
        // The codes of scenes are new each time: what is kept of them would only fill the memory.
        if case % 500 == 0 {
            oracle = Oracle::default();
        }
        let bytes = bytes(seed.wrapping_add(case << 20), length);
        match examine(how, &mut oracle, &bytes) {
            Ok(one) => tally += one,
            Err(failure) => {
                let kind = kind(&failure).to_owned();
                let small = shrink::shrink(&bytes, 6_000, |bytes| {
                    let failure = examine(how, &mut Oracle::default(), bytes);
                    failure.is_err_and(|failure| failure.starts_with(&kind))
                });
                let failure = examine(how, &mut Oracle::default(), &small).err().unwrap_or(failure);
                let all = setting("DECONFLICT_FAILURES", 1);
                failures += 1;
                assert!(failures < all, "seed {seed}, case {case}, scene {}: {failure}", hex::encode(&small));
                eprintln!("seed {seed}, case {case}, scene {}: {failure}", hex::encode(&small));
            }
        }
    }
    println!("{tally:?}");
    assert_eq!(failures, 0);
    tally
}

#[test]
fn what_runs_out_is_predicted_or_announced() {
    let scenes = 250 * setting("DECONFLICT_CASES", 4);
    let tally = examine_all(Oracle::examine_limits, scenes, 160);
    if tally.compared == 0 {
        return;
    }
    assert!(3 * tally.ample > scenes as usize, "too few inner frames can succeed: {tally:?}");
    assert!(tally.scarce > 2 * scenes as usize, "too few inner frames are starved: {tally:?}");
    // Announcing everything would be no use.
    assert!(100 * tally.ample_complete >= 95 * tally.ample, "what has ample is not complete: {tally:?}");
}

/// A frame that has less gas when it pays for a call with value than at its end, when the gas has come back that such a
/// call is given for nothing: a recipe that was learnt with more gas asked for too little.
#[test]
fn gas_that_comes_back_is_needed_before() {
    let scene = "00fd5b335f9081526020815fa9059cbbbd9da66d7259e98aa8c9017d65c82b261cb058a30060808060ef016004361015\
                 6100128577b28fb0b6a841e9f1be2a8cdd2f74efdd13d5d7da5a7b00000000000000471801df1c36";
    let scene = hex::decode(scene).expect("hexadecimal");
    let tally = Oracle::default().examine_limits(&scene).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(tally.scarce > 0, "{tally:?}");
}

#[test]
fn what_random_scenes_touch_is_predicted() {
    let scenes = 1_000 * setting("DECONFLICT_CASES", 8);
    let tally = examine_all(Oracle::examine, scenes, 1_500);
    if tally.compared == 0 {
        return;
    }
    let scenes = scenes as usize;
    assert!(10 * tally.compared > 9 * scenes, "too few transactions are valid: {tally:?}");
    assert!(2 * tally.complete > tally.compared, "too few predictions are complete: {tally:?}");
    assert!(tally.accesses > 2 * tally.compared, "too little is touched: {tally:?}");
    assert!(20 * tally.of_environment > tally.compared, "too little depends on the block: {tally:?}");
    assert!(
        2 * tally.answered > tally.alike,
        "too little is learnt from one transaction for the next: {tally:?}"
    );
}

#[test]
fn what_was_once_missed_is_predicted() {
    let mut oracle = Oracle::default();
    let mut missed = Vec::new();
    for Known { claim, predicted, mut executed } in known() {
        let set = oracle.predict(&predicted);
        let touched = execute(&executed).is_some_and(|it| !it.reads.is_empty() || !it.writes.is_empty());
        assert!(touched, "{claim}: there is nothing to miss");
        for key in &set.depends_on {
            executed.take(key, &predicted);
        }
        for word in &set.depends_on_environment {
            executed.take_word(*word, &predicted);
        }
        let record = execute(&executed).unwrap_or_else(|| panic!("{claim}: it is valid"));
        if !check::missed(&set, &record).is_empty() {
            missed.push(claim);
        }
    }
    assert!(missed.is_empty(), "missed:\n{}", missed.join("\n"));
}
