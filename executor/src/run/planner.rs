//! Decides what a thread does next, beside the one that makes transactions final.
//!
//! In: predictions as they come in, what has been executed, and how guesses turned out. Out: one job at a time: a
//! transaction to execute ahead of its turn, or some to predict. A wrong decision costs time and nothing else.
//!
//! Three ways to find work that does not conflict, cheapest first: take what comes next and see whether it holds; wait
//! for what predictions say has to be waited for; and now and then run something although it should have to wait, to
//! find predictions out that see conflicts where there are none.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    ops::Range,
};

use revm::DatabaseRef;

use crate::{access_set::AccessSet, block::Transaction, dag::Writers, schedule, store::Index};

/// How many transactions are predicted at a time.
const BATCH: usize = 8;

/// How many predictions are taken in at a time that are there already.
const GIVEN_BATCH: usize = 256;

/// How far ahead of the last final transaction predictions are made while nothing can be run.
const FARTHEST: usize = 256;

/// How many predictions it takes to tell whether they lead to anything.
const SAMPLE: usize = 64;

/// How many guesses it takes to tell whether guessing is good enough.
const GUESSES: u64 = 12;

/// Where predictions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Nowhere.
    None,
    /// They are there.
    Given,
    /// They are made when guessing goes wrong too often.
    ByNeed,
}

/// What is known of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Hint<'a> {
    /// Nothing.
    None,
    /// It moves ether from one account to another, and does nothing else.
    Transfer,
    /// What it is predicted to touch, by somebody else.
    Given(&'a AccessSet),
    /// What it is predicted to touch.
    Made(AccessSet),
}

impl Hint<'_> {
    fn set(&self) -> Option<&AccessSet> {
        match self {
            Self::None | Self::Transfer => None,
            Self::Given(set) => Some(set),
            Self::Made(set) => Some(set),
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Execute a transaction, which is claimed; `guess` if it may well turn out stale.
    Run { index: Index, guess: bool },
    /// Say what is known of these.
    Predict(Range<usize>),
    /// There is nothing to do at the moment.
    Nothing,
}

/// How things stand elsewhere.
pub(super) trait Progress {
    /// The number of transactions that are final.
    fn committed(&self) -> usize;
    /// Reserves a transaction for whoever asks; false if it is reserved.
    fn claim(&self, index: Index) -> bool;
    /// Whether a transaction is executed.
    fn is_done(&self, index: Index) -> bool;
    /// How many guesses held, and how many did not.
    fn guesses(&self) -> (u64, u64);
}

/// What is known of what has to wait for what.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    knowledge: Knowledge,
    /// Whether everything is executed ahead, also what the committing thread would do as fast by itself.
    eager: bool,
    /// Where guessing goes on.
    cursor: usize,
    writers: Writers,
    nodes: Vec<Node>,
    /// Everything before this is predicted, or somebody is at it.
    taken: usize,
    /// Predictions in the order in which they have to be taken in.
    arriving: VecDeque<(usize, usize, Option<Vec<Hint<'a>>>)>,
    /// Everything before this is taken in or was passed over.
    planned: usize,
    ready: BinaryHeap<(u64, Reverse<Index>)>,
    /// The number of transactions that were taken in, and of those of them that were run ahead.
    counts: (usize, usize),
    /// The number of final transactions when something was last run against the predictions.
    probed: usize,
    pub(super) edges: u64,
}

/// A transaction.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Whether it is part of the graph.
    known: bool,
    is_transfer: bool,
    waits_for: u32,
    before: Vec<Index>,
    after: Vec<Index>,
    cost: u64,
    remaining: u64,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        transactions: usize,
        beneficiary: alloy_primitives::Address,
        knowledge: Knowledge,
        eager: bool,
    ) -> Self {
        Self {
            knowledge,
            eager,
            cursor: 0,
            writers: Writers::new(beneficiary),
            nodes: vec![Node::default(); transactions],
            taken: 0,
            arriving: VecDeque::new(),
            planned: 0,
            ready: BinaryHeap::new(),
            counts: (0, 0),
            probed: 0,
            edges: 0,
        }
    }

    /// Takes note that transactions are executed, so that what waits for them need not wait any longer.
    pub(super) fn absorb(&mut self, finished: impl IntoIterator<Item = Index>) {
        for index in finished {
            for next in std::mem::take(&mut self.nodes[index as usize].after) {
                let node = &mut self.nodes[next as usize];
                node.waits_for -= 1;
                if node.waits_for == 0 {
                    self.ready.push((node.remaining, Reverse(next)));
                }
            }
        }
    }

    /// What to do next.
    pub(super) fn job(&mut self, transactions: &[Transaction], progress: &impl Progress) -> Job {
        let committed = progress.committed();
        if self.guesses(progress)
            && let Some(index) = self.guess(committed, transactions, progress)
        {
            return Job::Run { index, guess: true };
        }
        while let Some((_, Reverse(index))) = self.ready.pop() {
            let left = !self.eager && (self.nodes[index as usize].is_transfer || index as usize <= committed);
            if !left && progress.claim(index) {
                self.counts.1 += 1;
                return Job::Run { index, guess: false };
            }
        }
        if let Some(range) = self.to_predict(committed, progress) {
            self.taken = range.end;
            self.arriving.push_back((range.start, range.end, None));
            return Job::Predict(range);
        }
        match self.probe(committed, progress) {
            Some(index) => Job::Run { index, guess: true },
            None => Job::Nothing,
        }
    }

    /// Whether what comes next is run without knowing more of it.
    fn guesses(&self, progress: &impl Progress) -> bool {
        match self.knowledge {
            Knowledge::None => true,
            Knowledge::Given => false,
            Knowledge::ByNeed => {
                // A guess that does not hold costs an execution; knowing better costs two predictions, one of them for
                // a transaction that the committing thread runs.
                let (held, stale) = progress.guesses();
                !self.eager && (held + stale < GUESSES || stale * 2 < held + stale)
            }
        }
    }

    fn guess(
        &mut self,
        committed: usize,
        transactions: &[Transaction],
        progress: &impl Progress,
    ) -> Option<Index> {
        self.cursor = self.cursor.max(if self.eager { committed } else { committed + 1 });
        while let Some(transaction) = transactions.get(self.cursor) {
            let index = self.cursor as Index;
            self.cursor += 1;
            let is_left = !self.eager && transaction.env.data.is_empty();
            if !is_left && progress.claim(index) {
                return Some(index);
            }
        }
        None
    }

    /// What to predict next, if that is worth while.
    fn to_predict(&self, committed: usize, progress: &impl Progress) -> Option<Range<usize>> {
        if self.knowledge == Knowledge::None || self.guesses(progress) {
            return None;
        }
        let start = self.taken.max(committed);
        let left = self.nodes.len().checked_sub(start).filter(|left| *left > 0)?;
        if self.knowledge == Knowledge::Given {
            return Some(start..start + left.min(GIVEN_BATCH));
        }
        let (planned, ran) = self.counts;
        // Where predictions have led to little, the next ones are made much later.
        let fruitless = !self.eager && planned >= SAMPLE && ran * 8 < planned;
        let pause = if fruitless { 4 * planned } else { 0 };
        let may = committed >= self.taken + pause || (pause == 0 && start < committed + FARTHEST);
        may.then(|| start..start + left.min(BATCH))
    }

    /// Something that should have to wait, to see whether it really should: seldom, unless it often should not.
    fn probe(&mut self, committed: usize, progress: &impl Progress) -> Option<Index> {
        if self.knowledge == Knowledge::None || self.eager {
            return None;
        }
        let (held, stale) = progress.guesses();
        let pause = if held > 2 * stale { 0 } else { 8 << (stale.saturating_sub(held)).min(16) };
        if committed < self.probed + pause {
            return None;
        }
        for index in committed + 1..self.planned {
            let node = &self.nodes[index];
            if node.known && !node.is_transfer && progress.claim(index as Index) {
                self.probed = committed;
                return Some(index as Index);
            }
        }
        None
    }

    /// Takes in what is known of the transactions from `start` on.
    pub(super) fn insert<D: DatabaseRef>(
        &mut self,
        start: usize,
        hints: Vec<Hint<'a>>,
        transactions: &[Transaction],
        state: &D,
        progress: &impl Progress,
    ) {
        if let Some(batch) = self.arriving.iter_mut().find(|batch| batch.0 == start) {
            batch.2 = Some(hints);
        }
        let mut any = false;
        while let Some((start, end, Some(hints))) =
            self.arriving.pop_front_if(|batch| batch.2.is_some()).map(|it| (it.0, it.1, it.2))
        {
            for (index, hint) in (start..end).zip(hints) {
                self.take_in(index, &hint, &transactions[index], state, progress);
            }
            self.planned = end;
            any = true;
        }
        if any {
            self.prioritise(progress);
        }
    }

    fn take_in<D: DatabaseRef>(
        &mut self,
        index: usize,
        hint: &Hint<'_>,
        transaction: &Transaction,
        state: &D,
        progress: &impl Progress,
    ) {
        let (env, number) = (&transaction.env, index as Index);
        let mut before = Vec::new();
        match hint.set() {
            Some(set) => self.writers.take_in(number, env, set, state, &mut before),
            None if matches!(hint, Hint::Transfer) => {
                self.writers.take_in_transfer(number, env, state, &mut before);
            }
            None => {}
        }
        // Whoever is done later says so later, and is then found among those that others wait for.
        before.retain(|other| !progress.is_done(*other));
        for other in &before {
            self.nodes[*other as usize].after.push(number);
        }
        self.edges += before.len() as u64;
        self.counts.0 += 1;
        let node = &mut self.nodes[index];
        node.known = true;
        node.is_transfer = matches!(hint, Hint::Transfer);
        node.waits_for = before.len() as u32;
        node.cost = schedule::cost(hint.set(), if node.is_transfer { 0 } else { env.gas_limit });
        node.remaining = node.cost;
        node.before = before;
        if node.waits_for == 0 {
            self.ready.push((0, Reverse(number)));
        }
    }

    /// Works out what has to be done one after the other from each transaction on, as far as it is known.
    fn prioritise(&mut self, progress: &impl Progress) {
        for index in (progress.committed()..self.planned).rev() {
            let remaining = self.nodes[index].remaining;
            let before = std::mem::take(&mut self.nodes[index].before);
            for other in &before {
                let other = &mut self.nodes[*other as usize];
                other.remaining = other.remaining.max(other.cost.saturating_add(remaining));
            }
            self.nodes[index].before = before;
        }
        let ready = std::mem::take(&mut self.ready).into_iter();
        self.ready = ready.map(|(_, index)| (self.nodes[index.0 as usize].remaining, index)).collect();
    }
}
