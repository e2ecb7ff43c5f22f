//! An execution that is called off ends whatever is being found out beside it: no code is analysed for it any more.

use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, B256, U256};
use deconflict_executor::{
    BlockContext, BlockReader, BlockState, Config, ExecuteError, Executor, Limits, Mode, Predictions,
    Predictor, Scratch, StateError, Watch,
};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};

/// Calls the execution off as soon as anybody reads a code.
struct Tripwire<'a> {
    state: &'a BlockState,
    cancel: &'a AtomicBool,
}

impl DatabaseRef for Tripwire<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let info = self.state.basic_ref(address)?;
        Ok(info.map(|info| AccountInfo { code: None, ..info }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.cancel.store(true, Ordering::SeqCst);
        self.state.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash_ref(number)
    }
}

#[test]
fn nothing_is_analysed_for_an_execution_that_is_called_off() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/blocks/2-tokens.json");
    let block = BlockReader::new(None).and_then(|mut it| it.read(&file)).expect("a fixture");
    let state = BlockState::new(&block);
    let env = block.env();
    let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
    let calls: Vec<_> = block.transactions.iter().filter(|it| !it.env.data.is_empty()).collect();
    assert!(!calls.is_empty());
    for readers in [0, 1, 4] {
        for threads in [1, 2, 4] {
            for may_fall_back in [false, true] {
                let cancel = AtomicBool::new(false);
                let tripwire = Tripwire { state: &state, cancel: &cancel };
                let config = Config { threads, mode: Mode::Scheduled, may_fall_back, readers };
                let predictor = Predictor::new();
                let run = Executor::new(config).execute_watched(
                    block.env(),
                    block.rules(),
                    &block.transactions,
                    &tripwire,
                    Predictions::ByNeed(&predictor),
                    Watch { committed: None, cancel: Some(&cancel) },
                );
                assert!(matches!(run, Err(ExecuteError::Cancelled { .. })), "{config:?}: {run:?}");
                let known = Limits { stop: &|| false, analyses: false };
                for call in &calls {
                    let set =
                        predictor.predict_within(&mut Scratch::default(), &call.env, context, &state, known);
                    assert!(set.is_none(), "{config:?}: a code was analysed after it was called off");
                }
            }
        }
    }
}
