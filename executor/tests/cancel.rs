//! An execution that is called off ends whatever is being found out beside it: no code is analysed for it any more, and a
//! transaction that runs goes no further.

use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, B256, TxKind, U256};
use deconflict_executor::{
    BlockContext, BlockReader, BlockState, Config, ExecuteError, Executor, Limits, Mode, Predictions,
    Predictor, Scratch, StateError, Watch,
};
use revm::{
    DatabaseRef,
    bytecode::{Bytecode, opcode},
    state::AccountInfo,
};

/// Calls the execution off as soon as anybody reads a code, and notices whether a slot is read after all.
struct Tripwire<'a> {
    state: &'a BlockState,
    cancel: &'a AtomicBool,
    read: AtomicBool,
    /// An account with another code than it has.
    instead: Option<(Address, Bytecode)>,
}

impl<'a> Tripwire<'a> {
    fn new(state: &'a BlockState, cancel: &'a AtomicBool) -> Self {
        Self { state, cancel, read: AtomicBool::new(false), instead: None }
    }
}

impl DatabaseRef for Tripwire<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let info = self.state.basic_ref(address)?;
        let info = info.map(|info| AccountInfo { code: None, ..info });
        Ok(match &self.instead {
            Some((there, code)) if *there == address => {
                Some(AccountInfo { code_hash: code.hash_slow(), ..info.unwrap_or_default() })
            }
            _ => info,
        })
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.cancel.store(true, Ordering::SeqCst);
        match &self.instead {
            Some((_, code)) if code.hash_slow() == hash => Ok(code.clone()),
            _ => self.state.code_by_hash_ref(hash),
        }
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.read.store(true, Ordering::SeqCst);
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
                let tripwire = Tripwire::new(&state, &cancel);
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

#[test]
fn a_transaction_that_runs_goes_no_further() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/blocks/2-tokens.json");
    let mut block = BlockReader::new(None).and_then(|mut it| it.read(&file)).expect("a fixture");
    let called = block.transactions.iter_mut().find(|it| !it.env.data.is_empty()).expect("one calls");
    called.env.gas_limit = 16_000_000;
    let TxKind::Call(target) = called.env.kind else { panic!("it is a call") };
    block.transactions = vec![called.clone()];
    // Counts down from 100,000 at 4, and then reads a slot.
    let mut code = vec![opcode::PUSH3, 0x01, 0x86, 0xa0];
    code.extend([opcode::JUMPDEST, opcode::PUSH1, 1, opcode::SWAP1, opcode::SUB, opcode::DUP1]);
    code.extend([opcode::PUSH1, 4, opcode::JUMPI, opcode::PUSH0, opcode::SLOAD, opcode::STOP]);
    let counting = Bytecode::new_raw(code.into());
    let state = BlockState::new(&block);
    for threads in [1, 2] {
        let cancel = AtomicBool::new(false);
        let mut tripwire = Tripwire::new(&state, &cancel);
        tripwire.instead = Some((target, counting.clone()));
        let run = |watch| {
            let config = Config { threads, mode: Mode::Serial, ..Config::default() };
            let (rules, none) = (block.rules(), Predictions::None);
            Executor::new(config).execute_watched(
                block.env(),
                rules,
                &block.transactions,
                &tripwire,
                none,
                watch,
            )
        };
        let executed = run(Watch::default()).unwrap_or_else(|error| panic!("{error}"));
        assert!(executed.outcome.gas_used > 1_000_000, "{}", executed.outcome.gas_used);
        assert!(tripwire.read.swap(false, Ordering::SeqCst), "it comes to the end of the loop");
        cancel.store(false, Ordering::SeqCst);
        let run = run(Watch { committed: None, cancel: Some(&cancel) });
        assert!(matches!(run, Err(ExecuteError::Cancelled { committed: 0 })), "{run:?}");
        assert!(!tripwire.read.load(Ordering::SeqCst), "it went on after it was called off");
    }
}
