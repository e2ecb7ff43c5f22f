//! The audit tells right predictions from wrong ones: predictions that are what was executed pass, and one access less
//! does not.

mod corpus;

use std::path::Path;

use alloy_primitives::{Address, U256};
use deconflict_executor::{
    AccessSet, Block, BlockContext, BlockReader, BlockState, Predictor, Shortfall, ShortfallReason, StateKey,
    audit::{BlockAudit, Figures, Predict, StateMode, audit_block, human, json},
    record,
};
use revm::{DatabaseRef, context::TxEnv};
use serde_json::Value;

use corpus::{blocks, real_blocks, workspace};

/// Predicts what it is told to, one transaction after the other, round after round.
struct Told {
    sets: Vec<AccessSet>,
    next: usize,
}

impl Predict for Told {
    fn predict<S: DatabaseRef>(&mut self, _: &TxEnv, _: BlockContext<'_>, _: &S) -> AccessSet {
        self.next += 1;
        self.sets[(self.next - 1) % self.sets.len()].clone()
    }
}

fn read(file: &Path, reader: &mut BlockReader) -> Block {
    reader.read(file).unwrap_or_else(|error| panic!("{error}"))
}

/// What the transactions of a block really touch, as predictions.
fn truth(block: &Block) -> Vec<AccessSet> {
    let mut sets = Vec::new();
    let take = |_, _, seen: deconflict_executor::Record, _| {
        sets.push(AccessSet {
            reads: seen.reads.into_keys().collect(),
            writes: seen.writes.into_keys().collect(),
            ..AccessSet::default()
        });
    };
    record(block, &BlockState::new(block), take).unwrap_or_else(|error| panic!("{error}"));
    sets
}

fn audit(block: &Block, mode: StateMode, sets: Vec<AccessSet>) -> BlockAudit {
    audit_block(block, mode, &mut Told { sets, next: 0 }).unwrap_or_else(|error| panic!("{error}"))
}

fn tokens() -> Block {
    read(&workspace().join("fixtures/blocks/2-tokens.json"), &mut BlockReader::default())
}

#[test]
fn predictions_that_are_the_truth_are_sound() {
    let mut reader = BlockReader::default();
    let generated = blocks(&workspace().join("fixtures/blocks"));
    for file in generated.into_iter().chain(real_blocks()) {
        let block = read(&file, &mut reader);
        let sets = truth(&block);
        for mode in [StateMode::Exact, StateMode::BlockStart] {
            let Figures {
                txs, complete_txs, unsound_txs, accesses, missed, predicted, extra, stale_txs, ..
            } = audit(&block, mode, sets.clone()).figures;
            assert_eq!((txs, complete_txs), (block.transactions.len() as u64, txs), "{}", file.display());
            assert_eq!((unsound_txs, missed, extra, stale_txs), (0, 0, 0, 0), "{}", file.display());
            assert_eq!(predicted, accesses, "{}", file.display());
        }
    }
}

#[test]
fn the_predictor_is_sound_on_generated_blocks() {
    for file in blocks(&workspace().join("fixtures/blocks")) {
        let block = read(&file, &mut BlockReader::default());
        for mode in [StateMode::Exact, StateMode::BlockStart] {
            let audit = audit_block(&block, mode, &mut Predictor::new());
            let audit = audit.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(audit.unsound, [], "{}, {}", file.display(), mode.name());
        }
    }
}

#[test]
fn one_access_less_is_unsound() {
    let block = tokens();
    for write in [false, true] {
        let mut sets = truth(&block);
        let list = if write { &mut sets[3].writes } else { &mut sets[3].reads };
        let (address, slot) = list.remove(0);
        let audit = audit(&block, StateMode::Exact, sets);
        let figures = &audit.figures;
        assert_eq!((figures.unsound_txs, figures.missed, figures.missed_in_complete), (1, 1, 1));
        assert_eq!(figures.accesses, figures.predicted + 1);
        let [unsound] = audit.unsound.as_slice() else { panic!("{:?}", audit.unsound) };
        assert_eq!(unsound.index, 3);
        let [missed] = unsound.missed.as_slice() else { panic!("{:?}", unsound.missed) };
        assert_eq!((missed.write, missed.address, missed.slot), (write, address, slot));

        let document: Value =
            serde_json::from_str(&json::render(std::slice::from_ref(&audit), StateMode::Exact, None))
                .expect("it is JSON");
        assert_eq!(document["schema"], "deconflict/audit/1");
        assert_eq!(document["blocks"][0]["number"], 2);
        assert_eq!(document["blocks"][0]["unsound_txs"], 1);
        assert_eq!(document["total"]["missed"], 1);
        assert_eq!(document["unsound"][0]["index"], 3);
        let text = human::render(&[audit], StateMode::Exact, None);
        assert!(text.contains("UNSOUND block 2 transaction 3"), "{text}");
    }
}

#[test]
fn a_prediction_that_says_it_falls_short_is_not_unsound() {
    let block = tokens();
    let mut sets = truth(&block);
    let shortfall =
        Shortfall { reason: ShortfallReason::UnknownKey, ..shortfall(ShortfallReason::StepBudget) };
    sets[3].reads.clear();
    sets[3].incomplete = vec![shortfall, shortfall, self::shortfall(ShortfallReason::StepBudget)];
    let audit = audit(&block, StateMode::Exact, sets);
    let figures = &audit.figures;
    assert_eq!((figures.unsound_txs, figures.missed_in_complete), (0, 0));
    assert_eq!(figures.complete_txs, figures.txs - 1);
    assert!(figures.missed > 0, "what an incomplete prediction misses counts");
    let document: Value =
        serde_json::from_str(&json::render(&[audit], StateMode::Exact, None)).expect("it is JSON");
    assert_eq!(document["incomplete"]["unknown-key"], 1, "a transaction counts once a reason");
    assert_eq!(document["incomplete"]["step-budget"], 1);
}

fn shortfall(reason: ShortfallReason) -> Shortfall {
    Shortfall {
        reason,
        code_hash: alloy_primitives::B256::ZERO,
        selector: alloy_primitives::Selector::ZERO,
        pc: 0,
    }
}

#[test]
fn what_is_predicted_and_not_made_counts() {
    let block = tokens();
    let mut sets = truth(&block);
    sets[2].writes.push((Address::repeat_byte(0xff), U256::from(1)));
    sets[2].reads.push((Address::repeat_byte(0xff), U256::from(1)));
    let figures = audit(&block, StateMode::Exact, sets).figures;
    assert_eq!((figures.extra, figures.missed, figures.unsound_txs), (2, 0, 0));
    assert_eq!(figures.median_extra(), 0);
}

#[test]
fn a_prediction_that_depends_on_what_has_changed_is_stale_and_not_unsound() {
    let block = tokens();
    let mut sets = truth(&block);
    // The first four transactions pay fees to one treasury, whose balance each of them changes.
    let changed = sets[0].writes.iter().find(|slot| sets[3].writes.contains(slot)).copied();
    let (address, slot) = changed.expect("a slot that both write");
    sets[0].depends_on = vec![StateKey::Storage(address, slot)];
    sets[3].depends_on = vec![StateKey::Storage(address, slot)];
    sets[3].reads.clear();
    let stale = audit(&block, StateMode::BlockStart, sets.clone()).figures;
    assert_eq!((stale.stale_txs, stale.stale_contract_txs, stale.unsound_txs), (1, 1, 0));
    assert!(stale.missed > 0 && stale.missed_in_complete == 0);
    let exact = audit(&block, StateMode::Exact, sets.clone()).figures;
    assert_eq!((exact.stale_txs, exact.unsound_txs), (0, 1), "just before the transaction nothing is stale");

    sets[3].depends_on = vec![StateKey::Storage(address, slot.wrapping_add(U256::from(1)))];
    let fresh = audit(&block, StateMode::BlockStart, sets.clone()).figures;
    assert_eq!((fresh.stale_txs, fresh.unsound_txs), (0, 1), "a slot that nobody changes announces nothing");

    let sender = block.transactions[4].env.caller;
    assert_eq!(sender, block.transactions[0].env.caller);
    for key in [StateKey::Nonce(sender), StateKey::Balance(sender)] {
        sets[4].depends_on = vec![key];
        assert_eq!(audit(&block, StateMode::BlockStart, sets.clone()).figures.stale_txs, 1, "{key:?}");
    }
    sets[4].depends_on = vec![StateKey::Code(sender)];
    assert_eq!(audit(&block, StateMode::BlockStart, sets).figures.stale_txs, 0);
}

#[test]
fn an_edge_that_is_not_predicted_is_not_found() {
    let block = tokens();
    let sets = truth(&block);
    let all = audit(&block, StateMode::Exact, sets.clone()).figures;
    assert!(all.true_edges > 0, "transactions of the block depend on each other");
    assert_eq!(all.found_edges, all.true_edges);
    assert!(all.predicted_edges >= all.true_edges, "a store that changes nothing is predicted as well");
    let nothing = audit(&block, StateMode::Exact, vec![AccessSet::default(); sets.len()]).figures;
    assert_eq!((nothing.true_edges, nothing.predicted_edges, nothing.found_edges), (all.true_edges, 0, 0));
}

#[test]
fn figures_of_blocks_add_up() {
    let block = tokens();
    let one = audit(&block, StateMode::Exact, truth(&block));
    let total = Figures::total([&one, &one]);
    assert_eq!(total.txs, 2 * one.figures.txs);
    assert_eq!(total.accesses, 2 * one.figures.accesses);
    assert_eq!(total.execute_ns, 2 * one.figures.execute_ns);
    assert_eq!(total.median_contract_predict_ns(), one.figures.median_contract_predict_ns());
}
