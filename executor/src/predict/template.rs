//! Templates: what following a code came to, as a function of the transaction and the state.
//!
//! In: the way that one transaction went, written down while it was followed ([`Trail`]). Out: a decision tree
//! ([`Tree`], laid out as a [`Program`]) that gives later transactions their access sets without following the code: the
//! keys it touches as expressions over calldata, caller and storage, and the decisions under which they hold. Where a
//! transaction decides something in a way that was not seen yet, the tree has no answer and the code is followed. What
//! a tree answers must be what following the code would: everything that a path relies on is one of its decisions.

mod node;
mod program;
mod replay;
mod trail;
mod tree;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alloy_primitives::B256;
use hashbrown::HashMap;
use quick_cache::{Weighter, sync::Cache};
use revm::primitives::hardfork::SpecId;
use rustc_hash::FxBuildHasher;

use self::program::Program;
use self::tree::Tree;

pub(super) use self::node::{CALL_DATA, Definition, Node, NodeId, TouchKind};
pub(super) use self::replay::{Replay, Subject};
pub(super) use self::trail::{Checkpoint, Effect, Trail};

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

/// The tree of one root.
#[derive(Debug, Default)]
pub(super) struct Template {
    tree: Mutex<Tree>,
    program: RwLock<Arc<Program>>,
    /// How often the tree has grown.
    version: AtomicU32,
    /// How often it had an answer.
    hits: AtomicU32,
}

impl Template {
    fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is worth while to record how a transaction goes that the tree has no answer for.
    pub(super) fn wants_more(&self) -> bool {
        let hits = self.hits.load(Ordering::Relaxed);
        self.tree.lock().unwrap_or_else(PoisonError::into_inner).wants_more(hits)
    }

    /// Adds the ways that a transaction went.
    pub(super) fn learn(&self, trails: Vec<Trail>) {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        if tree.insert(trails) {
            let program = Arc::new(Program::new(&tree));
            *self.program.write().unwrap_or_else(PoisonError::into_inner) = program;
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

/// A template, and how large it was when the cache was last told.
#[derive(Clone, Debug, Default)]
struct Weighed {
    template: Arc<Template>,
    size: u64,
}

#[derive(Clone, Copy, Debug)]
struct BySize;

impl Weighter<Root, Weighed> for BySize {
    fn weight(&self, _: &Root, entry: &Weighed) -> u64 {
        entry.size.max(1)
    }
}

/// The templates that all threads share.
#[derive(Debug)]
pub(super) struct Templates {
    shared: Cache<Root, Weighed, BySize>,
}

impl Default for Templates {
    fn default() -> Self {
        Self { shared: Cache::with_weighter(AT_HAND, CAPACITY, BySize) }
    }
}

/// A template that a thread has at hand, and its program as it was when the thread last saw it grow.
#[derive(Debug)]
pub(super) struct AtHand {
    template: Arc<Template>,
    program: Arc<Program>,
    version: u32,
}

impl AtHand {
    fn new(template: Arc<Template>) -> Self {
        let version = template.version.load(Ordering::Acquire);
        Self { program: template.program(), version, template }
    }

    /// The tree as it stands.
    pub(super) fn program(&mut self) -> &Program {
        let version = self.template.version.load(Ordering::Acquire);
        if version != self.version {
            self.program = self.template.program();
            self.version = version;
        }
        &self.program
    }

    /// Notes that the tree had an answer.
    pub(super) fn answered(&self) {
        self.template.hits.fetch_add(1, Ordering::Relaxed);
    }
}

/// The templates that one thread has at hand.
pub(super) type TemplatesAtHand = HashMap<Root, AtHand, FxBuildHasher>;

impl Templates {
    /// The template of a root, which may be empty still.
    pub(super) fn get(&self, at_hand: &mut TemplatesAtHand, root: Root) -> Arc<Template> {
        if let Some(known) = at_hand.get(&root) {
            return Arc::clone(&known.template);
        }
        let fresh = || Ok::<_, std::convert::Infallible>(Weighed::default());
        let template = match self.shared.get_or_insert_with(&root, fresh) {
            Ok(entry) => entry.template,
            Err(never) => match never {},
        };
        if at_hand.len() >= AT_HAND {
            at_hand.clear();
        }
        at_hand.insert(root, AtHand::new(Arc::clone(&template)));
        template
    }

    /// Adds to a template, and lets the cache know its size.
    pub(super) fn learn(&self, root: Root, template: &Arc<Template>, trails: Vec<Trail>) {
        template.learn(trails);
        let size = template.program().size() as u64;
        self.shared.insert(root, Weighed { template: Arc::clone(template), size });
    }
}
