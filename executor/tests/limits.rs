//! Predictions within limits: one that is given up says nothing, and leaves nothing behind but analysed codes.

use std::cell::Cell;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use deconflict_executor::{AccessSet, BlockContext, Limits, Predictor, Scratch};
use revm::{
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

const THERE: Address = Address::repeat_byte(0xaa);

/// A state in which `THERE` has a code.
fn state(code: &'static [u8]) -> CacheDB<EmptyDB> {
    let code = Bytecode::new_raw(Bytes::from_static(code));
    let mut state = CacheDB::new(EmptyDB::default());
    state.insert_account_info(
        THERE,
        AccountInfo { code_hash: code.hash_slow(), code: Some(code), nonce: 1, ..AccountInfo::default() },
    );
    state
}

fn ask(
    predictor: &Predictor,
    scratch: &mut Scratch,
    state: &CacheDB<EmptyDB>,
    limits: Limits<'_>,
) -> Option<AccessSet> {
    let env = BlockEnv::default();
    let context = BlockContext { env: &env, spec: SpecId::PRAGUE, chain_id: 1 };
    let transaction = TxEnv { kind: TxKind::Call(THERE), gas_limit: 30_000_000, ..TxEnv::default() };
    predictor.predict_within(scratch, &transaction, context, state, limits)
}

#[test]
fn what_runs_for_long_ends_when_it_is_told_to() {
    // Loads one slot after the other until there is no more gas.
    let state = state(&[0x5f, 0x35, 0x5b, 0x80, 0x54, 0x50, 0x60, 0x01, 0x01, 0x60, 0x02, 0x56]);
    for predictor in [Predictor::new(), Predictor::new().without_recipes()] {
        let mut scratch = Scratch::default();
        let whole = ask(&predictor, &mut scratch, &state, Limits { stop: &|| false, analyses: true });
        let whole = whole.expect("nothing ends it");
        assert!(whole.reads.len() > 100_000, "{}", whole.reads.len());
        let fresh = Predictor::new().without_recipes();
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        assert_eq!(ask(&fresh, &mut scratch, &state, Limits { stop: &stop, analyses: true }), None);
        assert_eq!(asked.get(), 3, "it ends at once");
        // Whoever is asked next knows all of it, with the same room.
        let again = ask(&fresh, &mut scratch, &state, Limits { stop: &|| false, analyses: true });
        assert_eq!(again, Some(whole));
    }
}

#[test]
fn nothing_is_analysed_where_it_may_not_be() {
    // Loads slot 7.
    let state = state(&[0x60, 7, 0x54, 0x50, 0x00]);
    let predictor = Predictor::new();
    let mut scratch = Scratch::default();
    let known = Limits { stop: &|| false, analyses: false };
    assert_eq!(ask(&predictor, &mut scratch, &state, known), None);
    let set = ask(&predictor, &mut scratch, &state, Limits { analyses: true, ..known });
    assert_eq!(set.as_ref().map(|set| set.reads.clone()), Some(vec![(THERE, U256::from(7))]));
    assert_eq!(ask(&predictor, &mut Scratch::default(), &state, known), set);
}

#[test]
fn an_analysis_ends_with_its_prediction_where_that_is_wanted() {
    // Loads slot 7, behind a branch or two.
    let state = state(&[
        0x5f, 0x35, 0x60, 6, 0x57, 0x00, 0x5b, 0x60, 7, 0x54, 0x5f, 0x35, 0x60, 16, 0x57, 0x00, 0x5b, 0x00,
    ]);
    let env = BlockEnv::default();
    let context = BlockContext { env: &env, spec: SpecId::PRAGUE, chain_id: 1 };
    let transaction = TxEnv {
        kind: TxKind::Call(THERE),
        gas_limit: 100_000,
        data: Bytes::from(vec![1; 32]),
        ..TxEnv::default()
    };
    let mut scratch = Scratch::default();
    let whole = Predictor::new().predict_with(&mut scratch, &transaction, context, &state);
    assert_eq!(whole.reads, [(THERE, U256::from(7))]);
    let known = Limits { stop: &|| false, analyses: false };
    let is_analysed = |predictor: &Predictor, scratch: &mut Scratch| {
        predictor.predict_within(scratch, &transaction, context, &state, known).is_some()
    };
    // However far it has come by then.
    for last in 1.. {
        let (predictor, asked) = (Predictor::new(), Cell::new(0));
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() >= last
        };
        let mut scratch = Scratch::default();
        let set = predictor.predict_until(&mut scratch, &transaction, context, &state, &stop);
        if let Some(set) = set {
            assert!(last > 3, "it was asked before, at the start, and while the code was analysed");
            assert_eq!(set, whole);
            assert!(is_analysed(&predictor, &mut scratch));
            break;
        }
        assert_eq!(asked.get(), last, "it ends at once");
        assert!(last > 2 || !is_analysed(&predictor, &mut Scratch::default()));
        // Whoever asks next with the same room knows all of it.
        assert_eq!(predictor.predict_with(&mut scratch, &transaction, context, &state), whole);
    }
}
