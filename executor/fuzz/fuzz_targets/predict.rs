//! What the transaction of any scene touches on revm is in its prediction, or the prediction says that it is incomplete.
//!
//! The bytes of the input are the choices that the scene is made of, as in the crate's own tests.

#![no_main]

#[path = "../../tests/programs/assembler.rs"]
mod assembler;
#[path = "../../tests/programs/check.rs"]
mod check;
#[path = "../../tests/programs/choices.rs"]
mod choices;
#[path = "../../tests/programs/program.rs"]
mod program;
#[path = "../../tests/programs/scene.rs"]
mod scene;
#[path = "../../tests/programs/tight.rs"]
mod tight;

use std::cell::RefCell;

use check::Oracle;
use libfuzzer_sys::fuzz_target;

/// Scenes that are examined before everything that is kept about their codes is dropped.
const SCENES: u32 = 2_000;

/// Inputs that are shorter than this are scenes in which an inner frame has about as much as it needs.
const TIGHT: usize = 160;

thread_local! {
    static ORACLE: RefCell<(Oracle, u32)> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    ORACLE.with_borrow_mut(|(oracle, examined)| {
        *examined += 1;
        if *examined > SCENES {
            *oracle = Oracle::default();
            *examined = 0;
        }
        // Short inputs are scenes in which something is scarce, long ones are any scenes: each needs about so much.
        let examined =
            if data.len() < TIGHT { oracle.examine_limits(data) } else { oracle.examine(data) };
        if let Err(failure) = examined {
            panic!("{failure}");
        }
    });
});
