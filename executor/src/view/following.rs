//! What has to be remembered from one instruction to the next while words that may only be added to are followed.
//!
//! In and out: plain data that the instructions of one engine share. Nothing here knows an instruction.

use std::fmt;

use revm::interpreter::instructions::GasTable;
use rustc_hash::FxHashSet;

use super::log::{LoadSite, Side};

/// A word on the stack that is a loaded one plus or minus something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    /// The number of the sum.
    pub(crate) delta: u32,
    pub(crate) side: Side,
}

/// What a view needs to follow words.
pub(crate) struct Following {
    /// Where to look more closely.
    pub(crate) sites: FxHashSet<LoadSite>,
    /// What instructions cost at the least.
    pub(crate) gas: GasTable,
    /// Where the load is that is going on.
    pub(crate) site: LoadSite,
    /// Whether words are being followed.
    pub(crate) is_busy: bool,
    /// The sum that a load has found, while words are being followed.
    pub(crate) found: Option<u32>,
    /// Whether the store that comes next adds to the word.
    pub(crate) stores_delta: bool,
    /// What is followed, by its place on the stack. Kept for its room.
    pub(crate) terms: Vec<(usize, Term)>,
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("sites", &self.sites.len()).finish_non_exhaustive()
    }
}

impl Default for Following {
    fn default() -> Self {
        Self {
            sites: FxHashSet::default(),
            gas: [0; 256],
            site: 0,
            is_busy: false,
            found: None,
            stores_delta: false,
            terms: Vec::new(),
        }
    }
}
