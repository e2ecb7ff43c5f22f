//! The oracle: what a scene's transaction touches on revm has to be in its prediction, or the prediction has to say that
//! it is incomplete.
//!
//! In: the bytes that a scene is made from. Out: what was compared, or what was missed. Nothing is forgiven here: a
//! transaction that revm refuses is not compared, everything else is.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use deconflict_executor::{
    AccessSet, BlockContext, NetChanges, Predictor, Record, Recorder, Scratch, StateKey,
};
use revm::{
    Context, InspectEvm as _, MainBuilder as _, MainContext as _, context::CfgEnv, database::WrapDatabaseRef,
};

use crate::choices::Choices;
use crate::scene::Scene;
use crate::tight::{Amount, CALLER, SUCCEEDED, tight};

/// What came of one or more scenes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Transactions that were executed and predicted.
    pub(crate) compared: usize,
    /// Those whose prediction claims to be complete.
    pub(crate) complete: usize,
    /// Accesses that they made.
    pub(crate) accesses: usize,
    /// Accesses that complete predictions held.
    pub(crate) predicted: usize,
    /// Accesses that they made of those.
    pub(crate) made: usize,
    /// Transactions compared on a state, and in a block, that their prediction was not made on.
    pub(crate) aged: usize,
    /// Those of them whose prediction claims to be complete.
    pub(crate) aged_complete: usize,
    /// Predictions that depend on a word of the block.
    pub(crate) of_environment: usize,
    /// Transactions that are like one before them, or the same, and were predicted after it.
    pub(crate) alike: usize,
    /// Those of them that a template answered.
    pub(crate) answered: usize,
    /// Scenes in which an inner frame has ample gas and succeeds.
    pub(crate) ample: usize,
    /// Those of them whose prediction claims to be complete.
    pub(crate) ample_complete: usize,
    /// Scenes in which it fails, or succeeds with nothing to spare.
    pub(crate) scarce: usize,
    /// Those of them whose prediction claims to be complete.
    pub(crate) scarce_complete: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.compared += other.compared;
        self.complete += other.complete;
        self.accesses += other.accesses;
        self.predicted += other.predicted;
        self.made += other.made;
        self.aged += other.aged;
        self.aged_complete += other.aged_complete;
        self.of_environment += other.of_environment;
        self.alike += other.alike;
        self.answered += other.answered;
        self.ample += other.ample;
        self.ample_complete += other.ample_complete;
        self.scarce += other.scarce;
        self.scarce_complete += other.scarce_complete;
    }
}

/// What predictions are made with.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    predictor: Predictor,
    scratch: Scratch,
}

impl Oracle {
    /// Makes a scene of `bytes`, predicts and executes it in several ways, and compares.
    pub(crate) fn examine(&mut self, bytes: &[u8]) -> Result<Tally, String> {
        let mut choices = Choices(bytes);
        let scene = Scene::new(&mut choices);
        self.compare(&scene, &mut choices)
    }

    /// As [`Oracle::examine`], of a scene in which an inner frame has ample, exactly enough, one less, and far less than
    /// what it needs.
    pub(crate) fn examine_limits(&mut self, bytes: &[u8]) -> Result<Tally, String> {
        let (scene, most) = tight(bytes, None);
        let (mut low, mut high) = match most {
            Amount::Inner(most) => (0, most),
            Amount::Whole(most) => (80_000, most),
        };
        let ample = high;
        let mut tally = Tally::default();
        let succeeds = succeeds(&scene);
        if succeeds {
            let set = self.predict(&scene);
            tally.ample = 1;
            tally.ample_complete = usize::from(set.is_complete());
            while low + 1 < high {
                let middle = low.midpoint(high);
                if self::succeeds(&tight(bytes, Some(middle)).0) { high = middle } else { low = middle }
            }
        }
        let amounts = if succeeds {
            vec![ample, high, high - 1, high.saturating_sub(100), high / 2, high + 1, high + high / 8]
        } else {
            vec![ample, 100_000]
        };
        for amount in amounts {
            let (scene, _) = tight(bytes, Some(amount));
            // What is left of the bytes decides how the state and the transaction are varied.
            let one = self.compare(&scene, &mut Choices(bytes.get(bytes.len() / 2..).unwrap_or_default()))?;
            if amount != ample {
                tally.scarce += one.compared;
                tally.scarce_complete += one.complete;
            }
            tally += one;
        }
        Ok(tally)
    }

    /// Predicts and executes a scene, and scenes that are like it: what is learnt from one transaction has to hold for the
    /// next.
    pub(crate) fn compare(&mut self, scene: &Scene, choices: &mut Choices<'_>) -> Result<Tally, String> {
        let mut tally = self.hold(scene, choices, 3)?;
        let mut like = vec![scene.clone()];
        for _ in 0..3 {
            like.push(scene.sibling(choices));
        }
        let mut aged = scene.aged(choices, std::iter::empty());
        aged.move_to_another_block(choices);
        like.push(aged);
        let mut elsewhere = scene.clone();
        elsewhere.move_to_another_block(choices);
        like.push(elsewhere);
        for scene in like {
            let before = self.scratch.answered();
            let one = self.hold(&scene, choices, 1).map_err(|what| format!("{what}\nlearnt before"))?;
            tally.alike += one.compared;
            // Predicted once on the state and once on a silent one.
            tally.answered += usize::from(self.scratch.answered() > before);
        }
        Ok(tally)
    }

    /// Predicts and executes a scene, then also where state and block are others and where state is not to be had.
    fn hold(&mut self, scene: &Scene, choices: &mut Choices<'_>, ages: usize) -> Result<Tally, String> {
        let mut tally = Tally::default();
        let set = self.predict(scene);
        let Some(record) = execute(scene) else { return Ok(tally) };
        well_formed(&set).map_err(|what| format!("{what}\n{scene}"))?;
        let missed = missed(&set, &record);
        if !missed.is_empty() {
            return Err(format!(
                "missed on the state itself:\n{}\npredicted reads {:?}, writes {:?}\n{scene}",
                missed.join("\n"),
                set.reads,
                set.writes
            ));
        }
        tally.compared = 1;
        tally.of_environment = usize::from(!set.depends_on_environment.is_empty());
        tally.accesses = record.reads.len() + record.writes.len();
        if set.is_complete() {
            tally.complete = 1;
            tally.predicted = set.reads.len() + set.writes.len();
            tally.made = tally.accesses;
        }
        for _ in 0..ages {
            // Where nothing that the prediction depends on has changed, it still has to hold.
            let slots = record.reads.keys().chain(record.writes.keys()).copied();
            let mut aged = scene.aged(choices, slots);
            aged.move_to_another_block(choices);
            for key in &set.depends_on {
                aged.take(key, scene);
            }
            for word in &set.depends_on_environment {
                aged.take_word(*word, scene);
            }
            let Some(record) = execute(&aged) else { continue };
            let missed = self::missed(&set, &record);
            if !missed.is_empty() {
                return Err(format!(
                    "missed where nothing changed that was named:\n{}\nnamed were {:?} {:?}\n{scene}\nexecuted on\n{}",
                    missed.join("\n"),
                    set.depends_on,
                    set.depends_on_environment,
                    Differences(scene, &aged),
                ));
            }
            tally.aged += 1;
            tally.aged_complete += usize::from(set.is_complete());
        }
        let mut silent = scene.clone();
        silent.silent = 2 + choices.below(12) as u8;
        let set = self.predict(&silent);
        let missed = self::missed(&set, &record);
        if !missed.is_empty() {
            let every = silent.silent;
            return Err(format!(
                "missed where one of {every} questions has no answer:\n{}\n{scene}",
                missed.join("\n")
            ));
        }
        Ok(tally)
    }

    /// What the transaction of a scene is predicted to touch.
    pub(crate) fn predict(&mut self, scene: &Scene) -> AccessSet {
        let block = BlockContext { env: &scene.block, spec: scene.spec, chain_id: 1 };
        self.predictor.predict_with(&mut self.scratch, &scene.transaction, block, scene)
    }
}

/// Whether the inner frame of a tight scene succeeds.
fn succeeds(scene: &Scene) -> bool {
    execute(scene).is_some_and(|record| record.reads.contains_key(&(CALLER, SUCCEEDED)))
}

/// What the transaction touches; none if revm refuses it.
pub(crate) fn execute(scene: &Scene) -> Option<Record> {
    let mut rules = CfgEnv::new_with_spec(scene.spec);
    rules.chain_id = 1;
    let context = Context::mainnet().with_db(WrapDatabaseRef(scene)).with_block(scene.block.clone());
    let mut evm = context.with_cfg(rules).build_mainnet_with_inspector(Recorder::default());
    let executed = evm.inspect_tx(scene.transaction.clone()).ok()?;
    let changes = NetChanges::new(&executed.state);
    Some(evm.inspector.take(&scene.transaction, scene.block.beneficiary, &changes))
}

/// The accesses that were made and not predicted, if the prediction claims to be complete.
pub(crate) fn missed(set: &AccessSet, record: &Record) -> Vec<String> {
    if !set.is_complete() {
        return Vec::new();
    }
    let mut missed = Vec::new();
    for (name, predicted, made) in
        [("read", &set.reads, &record.reads), ("write", &set.writes, &record.writes)]
    {
        for ((address, slot), site) in made {
            if predicted.binary_search(&(*address, *slot)).is_err() {
                missed.push(format!(
                    "{name} of {address} slot {slot:#x} at {:#x} of {}",
                    site.pc, site.code_hash
                ));
            }
        }
    }
    missed
}

/// Lists are sorted, hold each element once, and deltas are writes.
fn well_formed(set: &AccessSet) -> Result<(), String> {
    fn ascends<T: Ord + std::fmt::Debug>(list: &[T]) -> Result<(), String> {
        if list.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(format!("not sorted: {list:?}")) }
    }
    ascends::<(Address, U256)>(&set.reads)?;
    ascends(&set.writes)?;
    ascends(&set.deltas)?;
    ascends(&set.accounts)?;
    ascends::<StateKey>(&set.depends_on)?;
    ascends(&set.depends_on_environment)?;
    match set.deltas.iter().find(|delta| set.writes.binary_search(delta).is_err()) {
        Some(delta) => Err(format!("a delta that is no write: {delta:?}")),
        None => Ok(()),
    }
}

/// Where two worlds differ.
struct Differences<'a>(&'a Scene, &'a Scene);

impl std::fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.block != self.1.block {
            writeln!(f, "{:?}", self.1.block)?;
        }
        for (address, after) in &self.1.accounts {
            let before = self.0.accounts.get(address).cloned().unwrap_or_default();
            if before.balance != after.balance {
                writeln!(f, "{address} balance {} not {}", after.balance, before.balance)?;
            }
            if before.nonce != after.nonce {
                writeln!(f, "{address} nonce {} not {}", after.nonce, before.nonce)?;
            }
            if before.code != after.code {
                writeln!(f, "{address} code {} not {}", after.code, before.code)?;
            }
            let words: BTreeMap<_, _> = after.storage.iter().collect();
            for (slot, word) in words {
                let before = before.storage.get(slot).copied().unwrap_or_default();
                if before != *word {
                    writeln!(f, "{address} {slot:#x} = {word:#x} not {before:#x}")?;
                }
            }
        }
        Ok(())
    }
}
