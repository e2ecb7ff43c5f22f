//! Decides what a thread does next, beside the one that makes transactions final.
//!
//! In: predictions as they come in, what has been executed, and how speculations turned out. Out: one job at a time: a
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

use super::conflicts_by_callee::ConflictsByCallee;
use crate::{
    access_set::AccessSet,
    block::Transaction,
    dag::Writers,
    schedule,
    store::Index,
    tuning::{
        ALONE, BATCH_TIME, BATCHES_AHEAD, EAGER_BATCH, FARTHEST, FRUITLESS_PAUSE, GIVEN_PREDICTIONS,
        GOOD_PART, LONG_PART, LONGEST_BATCH, LOOK, MISSED_PART, MISSES, PATIENCE, PLANNED_BATCH, PREDICTIONS,
        PROBE_PAUSE, SAMPLE, SPECULATIONS,
    },
};

/// Where predictions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// Nowhere.
    None,
    /// They are there.
    Given,
    /// They are made when speculating goes wrong too often.
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
    /// Execute transactions one after the other, which are claimed; `speculative` if they may well turn out stale.
    Run { range: Range<Index>, speculative: bool },
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
    /// How many speculations held, and how many did not.
    fn speculations(&self) -> (u64, u64);
    /// How many transactions ran ahead by prediction and did not hold.
    fn mispredicted(&self) -> u64;
    /// The nanoseconds that the slowest of the transactions took that ran ahead of late; none if none has.
    fn pace(&self) -> Option<u64>;
}

/// What is known of what has to wait for what.
#[derive(Debug)]
pub(super) struct Dispatcher<'a> {
    knowledge: Knowledge,
    /// Whether everything is executed ahead, also what the committing thread would do as fast by itself.
    eager: bool,
    /// The number of threads that run ahead.
    helpers: usize,
    transactions: usize,
    /// Where speculating goes on.
    cursor: usize,
    /// What may take long and is speculated on first, the longest last; none until somebody asks.
    long_first: Option<Vec<Index>>,
    /// How long a batch may be for all that speculations have shown, and the speculations that have shown it.
    earned: u32,
    earned_by: (u64, u64),
    conflicts_by_callee: ConflictsByCallee,
    /// The number of final transactions when it was last not so that all that could be speculated on had to wait.
    last_speculated: usize,
    /// Whether that has been so for too long.
    has_given_up: bool,
    /// The length of batches.
    pub(super) batch: u32,
    /// There is nothing to do for others than the committing thread until so many transactions are final.
    pub(super) idle_until: usize,
    writers: Writers,
    /// There are none until something is predicted.
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

impl<'a> Dispatcher<'a> {
    pub(super) fn new(
        transactions: usize,
        beneficiary: alloy_primitives::Address,
        knowledge: Knowledge,
        eager: bool,
        helpers: usize,
    ) -> Self {
        Self {
            knowledge,
            eager,
            helpers: helpers.max(1),
            transactions,
            cursor: 0,
            long_first: None,
            earned: 1,
            earned_by: (0, 0),
            conflicts_by_callee: ConflictsByCallee::default(),
            last_speculated: 0,
            has_given_up: false,
            batch: 1,
            idle_until: 0,
            writers: Writers::new(beneficiary),
            nodes: Vec::new(),
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
    pub(super) fn absorb(&mut self, finished: impl IntoIterator<Item = Range<Index>>) {
        // What was executed before anything was predicted is found to be done when something is.
        if self.nodes.is_empty() {
            return;
        }
        for index in finished.into_iter().flatten() {
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
        if committed < self.idle_until {
            return Job::Nothing;
        }
        let speculations = self.speculations(progress);
        if !speculations {
            self.batch = if self.is_fruitless(progress) { ALONE } else { PLANNED_BATCH };
        }
        if speculations && let Some(range) = self.speculative(committed, transactions, progress) {
            return Job::Run { range, speculative: true };
        }
        while let Some((_, Reverse(index))) = self.ready.pop() {
            let left = !self.eager && (self.nodes[index as usize].is_transfer || index as usize <= committed);
            if !left && progress.claim(index) {
                self.counts.1 += 1;
                return Job::Run { range: index..index + 1, speculative: false };
            }
        }
        if let Some(range) = self.to_predict(committed, progress) {
            self.taken = range.end;
            self.arriving.push_back((range.start, range.end, None));
            return Job::Predict(range);
        }
        if let Some(index) = self.probe(committed, transactions, progress) {
            return Job::Run { range: index..index + 1, speculative: true };
        }
        if self.is_fruitless(progress) {
            let next_prediction = match self.knowledge {
                Knowledge::ByNeed if self.taken < self.transactions => self.taken + self.pause(progress),
                _ => self.transactions,
            };
            self.idle_until = next_prediction.min(self.probed + pause_of_probes(progress));
        }
        Job::Nothing
    }

    /// Takes note which speculations held and which did not.
    pub(super) fn learn(
        &mut self,
        outcomes: impl IntoIterator<Item = (Range<Index>, bool)>,
        transactions: &[Transaction],
    ) {
        for (range, validated) in outcomes {
            self.conflicts_by_callee.learn(range, validated, transactions);
        }
    }

    /// Whether what comes next is run without knowing more of it.
    fn speculations(&self, progress: &impl Progress) -> bool {
        // A speculation that does not hold costs an execution; knowing better costs two predictions, one of them for a
        // transaction that the committing thread runs.
        let (validated, aborted) = progress.speculations();
        let is_good = validated + aborted < SPECULATIONS || aborted * 2 < validated + aborted;
        let is_good = is_good && !self.has_given_up;
        match self.knowledge {
            Knowledge::None => self.eager || is_good,
            Knowledge::Given => {
                // Predictions that lead to what does not hold are worse than none; and what they keep apart although it
                // holds side by side, they should not.
                let (ran, mispredicted) = (self.counts.1 as u64, progress.mispredicted());
                let are_wrong = mispredicted >= MISSES && mispredicted * MISSED_PART > ran && is_good;
                let are_timid = validated >= SPECULATIONS
                    && aborted * MISSED_PART < validated + aborted
                    && !self.has_given_up;
                !self.eager && (are_wrong || are_timid)
            }
            Knowledge::ByNeed => !self.eager && is_good,
        }
    }

    /// Reserves transactions to run one after the other, and leaves others between them and the last ones to the thread
    /// that commits: what that runs in its turn needs no check.
    fn speculative(
        &mut self,
        committed: usize,
        transactions: &[Transaction],
        progress: &impl Progress,
    ) -> Option<Range<Index>> {
        if !self.eager
            && let Some(index) = self.next_long(committed, transactions, progress)
        {
            return Some(index..index + 1);
        }
        self.batch = self.length_of_batches(progress);
        let (batch, margin) = (self.batch as usize, usize::from(!self.eager));
        let gap = if self.eager || batch == 1 { 0 } else { batch / self.helpers };
        let nearest = committed + margin + gap;
        self.cursor = self.cursor.max(nearest);
        let is_left = |index: usize| !self.eager && transactions[index].env.data.is_empty();
        let end = transactions.len();
        let is_far = batch > 1 && (self.cursor >= end || self.cursor > nearest + BATCHES_AHEAD * batch);
        // What has to wait for others now need not do so later.
        if is_far || self.conflicts_by_callee.any() {
            self.cursor = nearest;
        }
        let mut blocked = 0;
        while self.cursor < end && blocked < LOOK {
            let start = self.cursor;
            self.cursor += 1;
            let may = |index: usize| {
                !self
                    .conflicts_by_callee
                    .conflict(index, committed..start, |it| progress.is_done(it as Index))
            };
            if is_left(start) {
                continue;
            }
            if !may(start) {
                blocked += 1;
                continue;
            }
            if !progress.claim(start as Index) {
                continue;
            }
            let mut last = start + 1;
            while last < transactions.len().min(start + batch) && may(last) && progress.claim(last as Index) {
                last += 1;
            }
            self.cursor = last + gap;
            self.last_speculated = committed;
            return Some(start as Index..last as Index);
        }
        if blocked == 0 {
            self.last_speculated = committed;
        }
        self.has_given_up = committed > self.last_speculated + PATIENCE;
        None
    }

    /// Reserves something that may take long: begun late, it would be waited for in the end.
    fn next_long(
        &mut self,
        committed: usize,
        transactions: &[Transaction],
        progress: &impl Progress,
    ) -> Option<Index> {
        let long_first = self.long_first.get_or_insert_with(|| long_first(transactions));
        while let Some(index) = long_first.pop() {
            let is_alone =
                !self
                    .conflicts_by_callee
                    .conflict(index as usize, committed..index as usize, |it| progress.is_done(it as Index));
            if index as usize > committed + 1 && is_alone && progress.claim(index) {
                return Some(index);
            }
        }
        None
    }

    /// How many transactions are worth to be handed over together: more while speculations hold, and fewer when they do not.
    fn length_of_batches(&mut self, progress: &impl Progress) -> u32 {
        if self.eager {
            return EAGER_BATCH;
        }
        let (validated, aborted) = progress.speculations();
        let (more, less) = (validated - self.earned_by.0, aborted - self.earned_by.1);
        self.earned_by = (validated, aborted);
        self.earned = (self.earned << more.min(5)).min(LONGEST_BATCH);
        self.earned = (self.earned >> (2 * less).min(5)).max(1);
        progress.pace().map_or(1, |pace| (BATCH_TIME / pace.max(1)).clamp(1, u64::from(self.earned)) as u32)
    }

    /// Whether knowing more has led to little.
    fn is_fruitless(&self, progress: &impl Progress) -> bool {
        let (planned, ran) = self.counts;
        // What ran on the results of what ran in vain has led to nothing either.
        let good = ran.saturating_sub(2 * progress.mispredicted() as usize);
        let leads_nowhere =
            self.knowledge == Knowledge::None || planned >= SAMPLE && good * GOOD_PART < planned;
        !self.eager && leads_nowhere && !self.speculations(progress)
    }

    /// How many transactions to let pass before more are predicted.
    fn pause(&self, progress: &impl Progress) -> usize {
        if self.is_fruitless(progress) { FRUITLESS_PAUSE * self.counts.0 } else { 0 }
    }

    /// What to predict next, if that is worth while.
    fn to_predict(&self, committed: usize, progress: &impl Progress) -> Option<Range<usize>> {
        if self.knowledge == Knowledge::None || self.speculations(progress) {
            return None;
        }
        let start = self.taken.max(committed);
        let left = self.transactions.checked_sub(start).filter(|left| *left > 0)?;
        if self.knowledge == Knowledge::Given {
            return Some(start..start + left.min(GIVEN_PREDICTIONS));
        }
        let pause = self.pause(progress);
        let may = committed >= self.taken + pause || (pause == 0 && start < committed + FARTHEST);
        may.then(|| start..start + left.min(PREDICTIONS))
    }

    /// Something that should have to wait, to see whether it really should: seldom, unless it often should not.
    fn probe(
        &mut self,
        committed: usize,
        transactions: &[Transaction],
        progress: &impl Progress,
    ) -> Option<Index> {
        if self.eager || committed < self.probed + pause_of_probes(progress) {
            return None;
        }
        let knows_nothing = self.knowledge == Knowledge::None;
        if knows_nothing && self.speculations(progress) {
            return None;
        }
        let end = if knows_nothing { self.transactions } else { self.planned };
        for (index, transaction) in transactions.iter().enumerate().take(end).skip(committed + 1) {
            let may = if knows_nothing {
                !transaction.env.data.is_empty()
            } else {
                self.nodes[index].known && !self.nodes[index].is_transfer
            };
            if may && progress.claim(index as Index) {
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
        if let Some(batch) = self.arriving.iter_mut().find(|part| part.0 == start) {
            batch.2 = Some(hints);
        }
        self.nodes.resize(self.transactions, Node::default());
        let mut any = false;
        while let Some((start, end, Some(hints))) =
            self.arriving.pop_front_if(|part| part.2.is_some()).map(|it| (it.0, it.1, it.2))
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

/// The transactions that may use far more gas than others, the largest last.
fn long_first(transactions: &[Transaction]) -> Vec<Index> {
    let gas = |transaction: &Transaction| {
        if transaction.env.data.is_empty() { 0 } else { transaction.env.gas_limit }
    };
    let delta = transactions.iter().map(gas).fold(0, u64::saturating_add);
    let mut long_first: Vec<_> = (0..).zip(transactions).map(|(index, it)| (gas(it), index)).collect();
    long_first.retain(|(gas, _)| *gas > delta / LONG_PART);
    long_first.sort_unstable_by_key(|(gas, index)| (*gas, Reverse(*index)));
    long_first.into_iter().map(|(_, index)| index).collect()
}

/// How many transactions to let pass before something is run again that should have to wait.
fn pause_of_probes(progress: &impl Progress) -> usize {
    let (validated, aborted) = progress.speculations();
    let aborted = aborted + progress.mispredicted();
    if validated > 2 * aborted { 0 } else { PROBE_PAUSE << (aborted.saturating_sub(validated)).min(16) }
}
