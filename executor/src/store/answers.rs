//! What precompiles have answered in a block, for all threads that execute it.
//!
//! In and out: results by all bytes of their input. Nothing here runs a precompile.

use std::sync::Mutex;

use crate::predict::Remembered;

/// What precompiles have answered in a block, to any of the threads that execute it.
#[derive(Debug, Default)]
pub(crate) struct Answers(pub(crate) Mutex<Remembered>);
