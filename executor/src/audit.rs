//! The oracle: predicts what each transaction of a block touches, executes it, and compares.
//!
//! A transaction whose prediction claims to be complete and that touches something else is *unsound*, the worst thing
//! that a prediction can be. Predictions are taken as they come: nothing here helps them along.

mod environment;
mod graph;
pub mod human;
pub mod json;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use alloy_primitives::{Address, B256, Selector, TxKind, U256};
use revm::{DatabaseRef, context::TxEnv, inspector::NoOpInspector, state::EvmState};
use rustc_hash::FxHashSet;

pub use self::environment::Environment;

use crate::{
    access_set::{AccessSet, ShortfallReason, StateKey},
    block::{Block, Transaction},
    predict::{BlockContext, Predictor},
    record::{NetChanges, Record, Site, record_states},
    serial::{ReplayError, SerialMachine, conclude, verify},
    state::BlockState,
};

/// How often what is timed is done.
const ROUNDS: usize = 3;

/// Something that predicts access sets.
pub trait Predict {
    /// What `transaction` touches if it runs in a block with this environment, on this state.
    fn predict<S: DatabaseRef>(
        &mut self,
        transaction: &TxEnv,
        block: BlockContext<'_>,
        state: &S,
    ) -> AccessSet;
}

impl Predict for Predictor {
    fn predict<S: DatabaseRef>(
        &mut self,
        transaction: &TxEnv,
        block: BlockContext<'_>,
        state: &S,
    ) -> AccessSet {
        Self::predict(self, transaction, block, state)
    }
}

/// The state that predictions are made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateMode {
    /// The state just before the transaction.
    Exact,
    /// The state before the block, as someone sees it who builds the block.
    BlockStart,
}

impl StateMode {
    /// The name that the command line and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::BlockStart => "block",
        }
    }
}

/// How the predictions for one block compare with its execution.
#[derive(Clone, Debug)]
pub struct BlockAudit {
    /// The number of the block.
    pub number: u64,
    /// The figures.
    pub figures: Figures,
    /// The transactions whose prediction was unsound, in order.
    pub unsound: Vec<Unsound>,
    /// What kept predictions from being complete: by code, selector and reason, the transactions that it kept.
    pub shortfalls: BTreeMap<(B256, Selector, ShortfallReason), u64>,
    /// Accesses that were not predicted, by code and selector that made them.
    pub missed_by: BTreeMap<(B256, Selector), u64>,
    /// Accesses that were predicted and not made, by the account and selector that the transaction calls.
    pub extra_by: BTreeMap<(Option<Address>, Selector), u64>,
}

/// Figures of one block, or of several together. An access is a slot of an account that a transaction reads, or one
/// that it writes; a slot that it does both with counts twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Transactions.
    pub txs: u64,
    /// Those whose prediction claims to be complete.
    pub complete_txs: u64,
    /// Those whose prediction claims to be complete, is not announced stale, and misses something.
    pub unsound_txs: u64,
    /// Those whose prediction depends on state that an earlier transaction of the block has changed since the
    /// prediction was made, or on a word of the block in which the environment of the prediction differs.
    pub stale_txs: u64,
    /// Those that are announced stale because of such a word, whatever else changed.
    pub stale_environment_txs: u64,
    /// Those whose prediction depends on any word of the block.
    pub environment_txs: u64,
    /// Transactions by the words of the block that their predictions depend on; one can have several.
    pub environment: BTreeMap<&'static str, u64>,
    /// Those that run code.
    pub contract_txs: u64,
    /// Those that run code and are announced stale.
    pub stale_contract_txs: u64,
    /// Accesses that were made.
    pub accesses: u64,
    /// Those that were not predicted.
    pub missed: u64,
    /// Those that were not predicted, of unsound transactions.
    pub missed_in_complete: u64,
    /// Accesses that were predicted.
    pub predicted: u64,
    /// Those that were not made.
    pub extra: u64,
    /// Accesses that were predicted and not made, of each transaction.
    pub extra_of_each: Vec<u64>,
    /// Nanoseconds for all predictions, with summaries at hand.
    pub predict_ns: u64,
    /// Nanoseconds that predictions took longer when they were made for the first time: analysis of new codes.
    pub analyze_ns: u64,
    /// Nanoseconds for serial execution.
    pub execute_ns: u64,
    /// Nanoseconds for the prediction of each transaction that runs code.
    pub contract_predict_ns: Vec<u64>,
    /// Pairs of transactions of which the later reads a storage word that the earlier has changed.
    pub true_edges: u64,
    /// Pairs of transactions of which the later is predicted to read a slot that the earlier is predicted to write.
    pub predicted_edges: u64,
    /// Pairs that are in both.
    pub found_edges: u64,
    /// Transactions by the reasons why their predictions are incomplete; one can have several.
    pub incomplete: BTreeMap<&'static str, u64>,
}

/// A transaction that touched what its prediction said it would not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsound {
    /// The index in the block.
    pub index: usize,
    /// The hash, where it is known.
    pub hash: Option<B256>,
    /// What was not predicted.
    pub missed: Vec<MissedAccess>,
}

/// An access that was made and not predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissedAccess {
    /// Whether it is a write.
    pub write: bool,
    /// Whose storage.
    pub address: Address,
    /// The slot.
    pub slot: U256,
    /// Where it was made first.
    pub site: Site,
}

impl Figures {
    /// Adds the figures of another block.
    pub fn add(&mut self, other: &Self) {
        self.txs += other.txs;
        self.complete_txs += other.complete_txs;
        self.unsound_txs += other.unsound_txs;
        self.stale_txs += other.stale_txs;
        self.stale_environment_txs += other.stale_environment_txs;
        self.environment_txs += other.environment_txs;
        for (word, count) in &other.environment {
            *self.environment.entry(word).or_default() += count;
        }
        self.contract_txs += other.contract_txs;
        self.stale_contract_txs += other.stale_contract_txs;
        self.accesses += other.accesses;
        self.missed += other.missed;
        self.missed_in_complete += other.missed_in_complete;
        self.predicted += other.predicted;
        self.extra += other.extra;
        self.extra_of_each.extend_from_slice(&other.extra_of_each);
        self.predict_ns += other.predict_ns;
        self.analyze_ns += other.analyze_ns;
        self.execute_ns += other.execute_ns;
        self.contract_predict_ns.extend_from_slice(&other.contract_predict_ns);
        self.true_edges += other.true_edges;
        self.predicted_edges += other.predicted_edges;
        self.found_edges += other.found_edges;
        for (reason, count) in &other.incomplete {
            *self.incomplete.entry(reason).or_default() += count;
        }
    }

    /// The figures of several blocks together.
    pub fn total<'a>(blocks: impl IntoIterator<Item = &'a BlockAudit>) -> Self {
        let mut total = Self::default();
        for block in blocks {
            total.add(&block.figures);
        }
        total
    }

    /// The median of the predictions of transactions that run code, in nanoseconds.
    pub fn median_contract_predict_ns(&self) -> u64 {
        median(&self.contract_predict_ns)
    }

    /// The median over transactions of the accesses that were predicted and not made.
    pub fn median_extra(&self) -> u64 {
        median(&self.extra_of_each)
    }
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Predicts and executes a block, and compares.
///
/// The block is executed on its own for the time, and once under the recorder, whose changes lead from the state of one
/// prediction to that of the next. The first round of predictions is what the codes cost that are seen for the first
/// time. What both take otherwise is the fastest of three rounds: other work on the machine is not what is measured.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, Predictor, audit::{StateMode, audit_block}};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let audit = audit_block(&block, StateMode::Exact, &mut Predictor::new())?;
/// assert_eq!(audit.figures.missed_in_complete, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn audit_block(
    block: &Block,
    mode: StateMode,
    predictor: &mut impl Predict,
) -> Result<BlockAudit, ReplayError> {
    audit_block_in(block, mode, None, predictor)
}

/// As [`audit_block`], where predictions are made in the environment of another block, if one is given: a prediction that
/// depends on a word in which it differs from the block's own is announced stale.
pub fn audit_block_in(
    block: &Block,
    mode: StateMode,
    environment: Option<&Environment>,
    predictor: &mut impl Predict,
) -> Result<BlockAudit, ReplayError> {
    let state = BlockState::new(block);
    let own = Environment::of(block);
    let environments = Environments { own: &own, predicted: environment.unwrap_or(&own) };
    let mut execute_ns = u64::MAX;
    for _ in 0..ROUNDS {
        execute_ns = execute_ns.min(execute(block, &state)?);
    }
    let mut executed = Vec::with_capacity(block.transactions.len());
    record_states(block, &state, |_, _, record, changes, after| {
        executed.push(Executed { record, changes, after });
    })?;
    // The state as it is seen from there: blocks have the hashes that the environment says.
    let mut seen = state.clone();
    seen.know_hashes(&environments.predicted.block_hashes);
    let mut round = || predict(block, (&seen, mode), environments.predicted, predictor, &executed);
    let cold = round();
    let mut warm = round();
    let sum = |predictions: &[Prediction]| predictions.iter().map(|it| it.nanoseconds).sum::<u64>();
    let mut predict_ns = sum(&warm);
    for _ in 1..ROUNDS {
        let again = round();
        predict_ns = predict_ns.min(sum(&again));
        for (prediction, again) in warm.iter_mut().zip(again) {
            prediction.nanoseconds = prediction.nanoseconds.min(again.nanoseconds);
        }
    }
    let mut audit = compare(block, mode, environments, &warm, &executed);
    audit.figures.execute_ns = execute_ns;
    audit.figures.predict_ns = predict_ns;
    audit.figures.analyze_ns = sum(&cold).saturating_sub(predict_ns);
    Ok(audit)
}

/// What a block runs in, and what predictions are made in.
#[derive(Clone, Copy)]
struct Environments<'a> {
    own: &'a Environment,
    predicted: &'a Environment,
}

/// A prediction and what it took.
struct Prediction {
    set: AccessSet,
    nanoseconds: u64,
}

/// What a transaction did.
struct Executed {
    record: Record,
    changes: NetChanges,
    /// The accounts that it has touched, as it leaves them.
    after: EvmState,
}

/// Executes the block without a listener, checks that it comes to what its header says, and says how long the
/// transactions took.
fn execute(block: &Block, state: &BlockState) -> Result<u64, ReplayError> {
    let mut machine = SerialMachine::new(block, state, NoOpInspector {});
    let mut results = Vec::with_capacity(block.transactions.len());
    let start = Instant::now();
    for index in 0..block.transactions.len() {
        let (result, changes) = machine.run(index)?;
        machine.commit(changes);
        results.push(result);
    }
    let elapsed = nanoseconds(start);
    verify(block, &conclude(block, results))?;
    Ok(elapsed)
}

fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// One round of predictions.
fn predict(
    block: &Block,
    (state, mode): (&BlockState, StateMode),
    environment: &Environment,
    predictor: &mut impl Predict,
    executed: &[Executed],
) -> Vec<Prediction> {
    fn timed<S: DatabaseRef>(
        block: BlockContext<'_>,
        transaction: &Transaction,
        state: &S,
        predictor: &mut impl Predict,
    ) -> Prediction {
        let start = Instant::now();
        let set = predictor.predict(&transaction.env, block, state);
        Prediction { nanoseconds: nanoseconds(start), set }
    }

    let context = BlockContext { env: &environment.env, spec: block.spec, chain_id: block.chain_id };
    let mut predictions = Vec::with_capacity(block.transactions.len());
    match mode {
        StateMode::BlockStart => {
            for transaction in &block.transactions {
                predictions.push(timed(context, transaction, state, predictor));
            }
        }
        StateMode::Exact => {
            let mut state = state.clone();
            for (transaction, executed) in block.transactions.iter().zip(executed) {
                predictions.push(timed(context, transaction, &state, predictor));
                state.commit(&executed.after);
            }
        }
    }
    predictions
}

/// Compares what was predicted with what was done. Times are left to the caller.
fn compare(
    block: &Block,
    mode: StateMode,
    Environments { own, predicted }: Environments<'_>,
    predictions: &[Prediction],
    executed: &[Executed],
) -> BlockAudit {
    let mut audit = BlockAudit {
        number: block.number,
        figures: Figures::default(),
        unsound: Vec::new(),
        shortfalls: BTreeMap::new(),
        missed_by: BTreeMap::new(),
        extra_by: BTreeMap::new(),
    };
    let figures = &mut audit.figures;
    let mut changed = Changed::default();
    for (index, (Prediction { set, nanoseconds }, Executed { record, changes, .. })) in
        predictions.iter().zip(executed).enumerate()
    {
        let transaction = &block.transactions[index];
        let of_state = mode == StateMode::BlockStart && set.depends_on.iter().any(|key| changed.holds(key));
        let of_environment = predicted.outdates(set, own);
        let stale = of_state || of_environment;
        changed.extend(changes);

        let (reads, read_extra, mut missed) = differences(&set.reads, &record.reads, false);
        let (writes, write_extra, missed_writes) = differences(&set.writes, &record.writes, true);
        missed.extend(missed_writes);
        let extra = read_extra + write_extra;

        figures.txs += 1;
        figures.accesses += (record.reads.len() + record.writes.len()) as u64;
        figures.missed += missed.len() as u64;
        figures.predicted += reads + writes;
        figures.extra += extra;
        figures.extra_of_each.push(extra);
        figures.complete_txs += u64::from(set.is_complete());
        figures.stale_txs += u64::from(stale);
        figures.stale_environment_txs += u64::from(of_environment);
        figures.environment_txs += u64::from(!set.depends_on_environment.is_empty());
        let words: BTreeSet<&str> = set.depends_on_environment.iter().map(|word| word.name()).collect();
        for word in words {
            *figures.environment.entry(word).or_default() += 1;
        }
        if record.ran_code {
            figures.contract_txs += 1;
            figures.stale_contract_txs += u64::from(stale);
            figures.contract_predict_ns.push(*nanoseconds);
        }
        let reasons: BTreeSet<&str> = set.incomplete.iter().map(|it| it.reason.name()).collect();
        for reason in reasons {
            *figures.incomplete.entry(reason).or_default() += 1;
        }
        let places: BTreeSet<_> =
            set.incomplete.iter().map(|it| (it.code_hash, it.selector, it.reason)).collect();
        for place in places {
            *audit.shortfalls.entry(place).or_default() += 1;
        }
        for access in &missed {
            *audit.missed_by.entry((access.site.code_hash, access.site.selector)).or_default() += 1;
        }
        if extra > 0 {
            *audit.extra_by.entry(called(&transaction.env)).or_default() += extra;
        }
        if set.is_complete() && !stale && !missed.is_empty() {
            figures.unsound_txs += 1;
            figures.missed_in_complete += missed.len() as u64;
            audit.unsound.push(Unsound { index, hash: transaction.hash, missed });
        }
    }
    let true_edges = graph::edges(
        executed.iter().map(|it| it.changes.storage.iter().map(|change| change.key)),
        executed.iter().map(|it| it.record.reads.keys().copied()),
    );
    let predicted_edges = graph::edges(
        predictions.iter().map(|it| it.set.writes.iter().copied()),
        predictions.iter().map(|it| it.set.reads.iter().copied()),
    );
    figures.true_edges = graph::size(&true_edges);
    figures.predicted_edges = graph::size(&predicted_edges);
    figures.found_edges = graph::common(&true_edges, &predicted_edges);
    audit
}

/// How many accesses were predicted, how many of them were not made, and which were made without being predicted.
fn differences(
    predicted: &[(Address, U256)],
    made: &BTreeMap<(Address, U256), Site>,
    write: bool,
) -> (u64, u64, Vec<MissedAccess>) {
    let predicted: BTreeSet<_> = predicted.iter().copied().collect();
    let extra = predicted.iter().filter(|key| !made.contains_key(key)).count();
    let missed = made
        .iter()
        .filter(|(key, _)| !predicted.contains(key))
        .map(|(&(address, slot), &site)| MissedAccess { write, address, slot, site })
        .collect();
    (predicted.len() as u64, extra as u64, missed)
}

/// The account and the selector that a transaction calls.
fn called(transaction: &TxEnv) -> (Option<Address>, Selector) {
    match transaction.kind {
        TxKind::Create => (None, Selector::ZERO),
        TxKind::Call(to) => {
            let selector = transaction.data.first_chunk::<4>().copied().unwrap_or_default();
            (Some(to), selector.into())
        }
    }
}

/// The state that earlier transactions of a block have changed.
#[derive(Default)]
struct Changed {
    keys: FxHashSet<StateKey>,
    /// Accounts that are gone with everything that they had.
    destroyed: FxHashSet<Address>,
}

impl Changed {
    fn extend(&mut self, changes: &NetChanges) {
        let storage = changes.storage.iter().map(|it| StateKey::Storage(it.key.0, it.key.1));
        self.keys.extend(storage);
        self.keys.extend(changes.balances.iter().map(|it| StateKey::Balance(it.key)));
        self.keys.extend(changes.nonces.iter().map(|it| StateKey::Nonce(it.key)));
        self.keys.extend(changes.codes.iter().map(|it| StateKey::Code(it.key)));
        self.destroyed.extend(&changes.destroyed);
    }

    fn holds(&self, key: &StateKey) -> bool {
        let (StateKey::Storage(address, _)
        | StateKey::Balance(address)
        | StateKey::Nonce(address)
        | StateKey::Code(address)) = key;
        self.keys.contains(key) || self.destroyed.contains(address)
    }
}
