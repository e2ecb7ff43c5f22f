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

use std::cell::RefCell;

use check::Oracle;
use libfuzzer_sys::fuzz_target;

/// Scenes that are examined before everything that is kept about their codes is dropped.
const SCENES: u32 = 2_000;

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
        if let Err(failure) = oracle.examine(data) {
            panic!("{failure}");
        }
    });
});
