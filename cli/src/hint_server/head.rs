//! The head of a node's chain, as far as it is known.
//!
//! In: a node. Out: the state at its head and a block like the next one, asked for once for all requests of half a second.
//! Where the node does not answer, the last head is the head until it does: whoever asks does not wait for it, and is told
//! which block the answer is about.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use deconflict_executor::{
    Assumed, Block,
    chain::{ChainRules, other_rules},
    fetch::{FetchError, next_block},
};
use serde_json::{Value, json};

use super::{state::NodeState, upstream::Upstream};
use crate::forks::Forks;

/// How long the head of a node's chain is taken for the head.
const HOLDS: Duration = Duration::from_millis(500);

/// How long requests wait for a newer head than the one that is known.
const NEWER: Duration = Duration::from_millis(100);

/// How long requests wait for the first one.
const FIRST: Duration = Duration::from_secs(2);

/// How long a node that has not answered is not asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a node may take to tell its head before the one that is known is called stale.
const LATE: Duration = Duration::from_secs(1);

/// From which age on a head is called stale, whatever the reason.
const OLD: Duration = Duration::from_secs(15);

/// What is known of the head of a chain.
#[derive(Clone)]
pub(super) struct Head {
    since: Instant,
    number: u64,
    hash: B256,
    pub(super) state: Arc<NodeState>,
    /// A block like the next one.
    pub(super) next: Arc<Block>,
    /// What of it nobody has said.
    pub(super) assumed: Arc<Assumed>,
    /// The rules of that block, and how they are known.
    pub(super) rules: Arc<ChainRules>,
}

/// Follows the head of a chain.
pub(super) struct Heads {
    upstream: Arc<Upstream>,
    forks: Forks,
    mind: Mutex<Mind>,
    told: Condvar,
}

#[derive(Default)]
struct Mind {
    known: Option<Head>,
    /// Since when somebody asks.
    asking: Option<Instant>,
    /// What was wrong the last time, and when.
    problem: Option<(Instant, String)>,
}

impl Heads {
    pub(super) fn new(upstream: Arc<Upstream>, forks: Forks) -> Arc<Self> {
        Arc::new(Self { upstream, forks, mind: Mutex::default(), told: Condvar::new() })
    }

    /// The head: a new one if the node tells it soon, else the last one that is known.
    pub(super) fn get(self: &Arc<Self>) -> Result<Head, String> {
        self.look();
        let start = Instant::now();
        let mut mind = self.lock();
        loop {
            let end = match (&mind.known, mind.asking) {
                (Some(head), Some(since)) if head.since.elapsed() >= HOLDS && mind.problem.is_none() => {
                    since + NEWER
                }
                (Some(head), _) => return Ok(head.clone()),
                (None, Some(_)) => start + FIRST,
                (None, None) => start,
            };
            let now = Instant::now();
            if now >= end {
                let nothing = || match &mind.problem {
                    Some((_, problem)) => format!("the head of the node's chain is not known: {problem}"),
                    None => "the head of the node's chain is not known yet; ask again".to_owned(),
                };
                return mind.known.clone().ok_or_else(nothing);
            }
            mind = self.told.wait_timeout(mind, end - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has somebody ask for the head if it may have changed. Waits for nobody.
    pub(super) fn look(self: &Arc<Self>) {
        let mut mind = self.lock();
        let is_new = mind.known.as_ref().is_some_and(|head| head.since.elapsed() < HOLDS);
        let has_failed = mind.problem.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE);
        if is_new || has_failed || mind.asking.is_some() {
            return;
        }
        mind.asking = Some(Instant::now());
        let own = Arc::clone(self);
        if let Err(error) = thread::Builder::new().name("head".to_owned()).spawn(move || own.ask()) {
            mind.asking = None;
            mind.problem = Some((Instant::now(), format!("there is no thread to ask it on: {error}")));
        }
    }

    fn ask(&self) {
        let found = next_block(&*self.upstream, self.forks.options());
        let mut mind = self.lock();
        mind.asking = None;
        match found {
            Ok(found) => {
                if let Some((_, problem)) = mind.problem.take() {
                    tracing::info!(problem, "the node answers again");
                }
                // What is known of a state stays while the chain has the same head.
                let state = match &mind.known {
                    Some(head) if head.hash == found.hash => Arc::clone(&head.state),
                    _ => Arc::new(NodeState::new(Arc::clone(&self.upstream), found.head)),
                };
                if mind.known.as_ref().is_none_or(|head| *head.rules != found.rules) {
                    tracing::info!(rules = %found.rules, "the next block");
                    if let Some(problem) = other_rules(found.block.chain_id) {
                        tracing::warn!(problem, "another chain");
                    }
                }
                mind.known = Some(Head {
                    since: Instant::now(),
                    number: found.head,
                    hash: found.hash,
                    state,
                    next: Arc::new(found.block),
                    assumed: Arc::new(found.assumed),
                    rules: Arc::new(found.rules),
                });
            }
            Err(error) => {
                // By the rules that held before it nothing can be said any more.
                if matches!(error, FetchError::LaterFork { .. }) {
                    mind.known = None;
                }
                let error = error.to_string();
                if mind.problem.is_none() {
                    tracing::warn!(%error, "the node does not tell the head of its chain; the last one that is known stays");
                }
                mind.problem = Some((Instant::now(), error));
            }
        }
        drop(mind);
        self.told.notify_all();
    }

    /// What is known of the node, and whether that is stale.
    pub(super) fn health(self: &Arc<Self>) -> (bool, Value) {
        self.look();
        let mind = self.lock();
        let age = mind.known.as_ref().map(|head| head.since.elapsed());
        let waits = mind.asking.is_some_and(|since| since.elapsed() > LATE);
        let is_old = age.is_none_or(|age| age > OLD || age > HOLDS && waits);
        let is_stale = is_old || mind.problem.is_some() || self.upstream.is_silent();
        let problem = mind.problem.as_ref().map(|(_, problem)| problem.clone());
        let problem = problem.or_else(|| is_stale.then(|| "the node has not answered yet".to_owned()));
        let document = json!({
            "stale": is_stale,
            "head": mind.known.as_ref().map(|head| head.number),
            "head_hash": mind.known.as_ref().map(|head| head.hash),
            "head_age_ms": age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            "problem": problem,
        });
        (is_stale, document)
    }

    fn lock(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
