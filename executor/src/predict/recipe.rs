//! Recipes: what following a code came to, as a function of the transaction and the state.
//!
//! In: the way that one transaction went, written down while it was followed ([`Trail`]). Out: decision trees (each laid
//! out as a [`Program`]) that give later transactions their access sets without following the code: the keys it touches
//! as expressions over calldata, caller and storage, and the decisions under which they hold. Where a transaction decides
//! something in a way that was not seen yet, no tree has an answer and the code is followed. What a tree answers must be
//! what following the code would: everything that a path relies on is one of its decisions.

mod trail;
mod tree;
mod forest;
mod program;
mod layout;
mod replay;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alloy_primitives::B256;
use hashbrown::HashMap;
use quick_cache::{Weighter, sync::Cache};
use revm::{DatabaseRef, primitives::hardfork::SpecId};
use rustc_hash::FxBuildHasher;

use self::forest::Forest;
use self::program::Program;

use super::memo::ResultMemo;
use crate::access_set::AccessSet;

pub(super) use self::replay::{Replay, Subject};
pub(super) use self::trail::{Effect, Trail, TrailMark};

/// How much memory the trees of all threads may take, in bytes, roughly.
const CAPACITY: u64 = 256 << 20;

/// How many trees one thread keeps at hand before it starts anew.
const AT_HAND: usize = 4_096;

/// How many transactions a tree may have no answer for before it has to be worth its recording.
const TRIAL: u32 = 64;

/// What a tree is found by: two transactions with the same key run the same code from the same entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Root {
    /// The code.
    pub code_hash: B256,
    /// The first four bytes of calldata, if there are so many.
    pub selector: Option<[u8; 4]>,
    /// The rules.
    pub spec: SpecId,
    /// Whether the code runs because the account is delegated to another.
    pub delegated: bool,
}

/// The trees of one root.
#[derive(Debug, Default)]
pub(super) struct Recipe {
    forest: Mutex<Forest>,
    programs: RwLock<Vec<Arc<Program>>>,
    /// How often a tree has grown.
    version: AtomicU32,
    /// How often there was an answer.
    hits: AtomicU32,
    /// Whether following the code came to a signer that decides something.
    wants_signers: AtomicBool,
}

impl Recipe {
    fn programs(&self) -> Vec<Arc<Program>> {
        self.programs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether signers are likely to decide something, so that they had better be recovered at once.
    pub(super) fn wants_signers(&self) -> bool {
        self.wants_signers.load(Ordering::Relaxed)
    }

    /// Notes that a signer decided something.
    pub(super) fn note_signers(&self) {
        self.wants_signers.store(true, Ordering::Relaxed);
    }

    /// Whether it is worth while to record how a transaction goes that no tree has an answer for.
    pub(super) fn wants_more(&self) -> bool {
        let hits = self.hits.load(Ordering::Relaxed);
        self.forest.lock().unwrap_or_else(PoisonError::into_inner).wants_more(hits)
    }

    /// Notes that the trees have no answer even for a transaction that they were shown.
    pub(super) fn learnt_in_vain(&self) {
        self.forest.lock().unwrap_or_else(PoisonError::into_inner).note_failure();
    }

    /// Adds the ways that a transaction went.
    pub(super) fn learn(&self, trails: Vec<Trail>) {
        let mut forest = self.forest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, tree)) = forest.insert(trails) {
            let program = Arc::new(Program::new(tree));
            let mut programs = self.programs.write().unwrap_or_else(PoisonError::into_inner);
            match programs.get_mut(number) {
                Some(old) => *old = program,
                None => programs.push(program),
            }
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

/// A recipe, and how large it was when the cache was last told.
#[derive(Clone, Debug, Default)]
struct Weighed {
    recipe: Arc<Recipe>,
    size: u64,
}

#[derive(Clone, Copy, Debug)]
struct BySize;

impl Weighter<Root, Weighed> for BySize {
    fn weight(&self, _: &Root, entry: &Weighed) -> u64 {
        entry.size.max(1)
    }
}

/// The recipes that all threads share.
#[derive(Debug)]
pub(super) struct Recipes {
    shared: Cache<Root, Weighed, BySize>,
    /// How often any recipe has grown.
    grown: AtomicU32,
}

impl Default for Recipes {
    fn default() -> Self {
        Self { shared: Cache::with_weighter(AT_HAND, CAPACITY, BySize), grown: AtomicU32::new(0) }
    }
}

/// A recipe that a thread has at hand, and its programs as they were when the thread last saw it grow. An answer
/// comes from what is here: what threads share is looked at only when some recipe has grown since.
#[derive(Debug)]
pub(super) struct AtHand {
    /// The program that is asked first, mostly the only one.
    first: Option<Arc<Program>>,
    others: Vec<Arc<Program>>,
    recipe: Arc<Recipe>,
    version: u32,
    /// How often any recipe had grown when this one was last looked at.
    grown: u32,
    /// How often there was an answer that the recipe has not been told of.
    hits: u32,
}

impl AtHand {
    fn new(recipe: Arc<Recipe>, grown: u32) -> Self {
        let version = recipe.version.load(Ordering::Acquire);
        let mut known = Self { first: None, others: Vec::new(), recipe, version, grown, hits: 0 };
        known.fetch();
        known
    }

    fn fetch(&mut self) {
        let mut programs = self.recipe.programs().into_iter();
        self.first = programs.next();
        self.others = programs.collect();
    }

    /// Looks whether the recipe has grown.
    #[cold]
    fn look(&mut self, grown: u32) {
        self.grown = grown;
        let version = self.recipe.version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            self.fetch();
        }
    }

    /// Tells the recipe how often there was an answer.
    fn report(&mut self) {
        self.recipe.hits.fetch_add(std::mem::take(&mut self.hits), Ordering::Relaxed);
    }

    /// Adds what the first tree that has an answer answers to `set`, which is empty. The gas that the transaction uses,
    /// none if no tree has an answer; the set is empty again then.
    pub(super) fn answer<D: DatabaseRef>(
        &mut self,
        recipes: &Recipes,
        replay: &mut Replay,
        subject: &Subject<'_, D>,
        results: &mut ResultMemo,
        set: &mut AccessSet,
    ) -> Option<u64> {
        let grown = recipes.grown.load(Ordering::Acquire);
        if grown != self.grown {
            self.look(grown);
        }
        for program in self.first.iter().chain(&self.others) {
            if let Some(gas) = replay.run(program, subject, results, set) {
                self.hits += 1;
                if self.hits == TRIAL {
                    self.report();
                }
                return Some(gas);
            }
            set.clear();
        }
        None
    }
}

/// The recipes that one thread has at hand.
pub(super) type RecipesAtHand = HashMap<Root, AtHand, FxBuildHasher>;

impl Recipes {
    /// The recipe of a root, which may be empty still.
    pub(super) fn get(&self, at_hand: &mut RecipesAtHand, root: Root) -> Arc<Recipe> {
        if let Some(known) = at_hand.get_mut(&root) {
            known.report();
            return Arc::clone(&known.recipe);
        }
        let fresh = || Ok::<_, std::convert::Infallible>(Weighed::default());
        let recipe = match self.shared.get_or_insert_with(&root, fresh) {
            Ok(entry) => entry.recipe,
            Err(never) => match never {},
        };
        if at_hand.len() >= AT_HAND {
            at_hand.clear();
        }
        let grown = self.grown.load(Ordering::Acquire);
        at_hand.insert(root, AtHand::new(Arc::clone(&recipe), grown));
        recipe
    }

    /// Adds to a recipe, and lets the cache know its size.
    pub(super) fn learn(&self, root: Root, recipe: &Arc<Recipe>, trails: Vec<Trail>) {
        recipe.learn(trails);
        self.grown.fetch_add(1, Ordering::Release);
        let size = recipe.programs().iter().map(|program| program.size() as u64).sum();
        self.shared.insert(root, Weighed { recipe: Arc::clone(recipe), size });
    }
}
