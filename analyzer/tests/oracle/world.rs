//! A concrete world to execute code in, and what one execution did.
//!
//! In: runtime code, a seed for the storage and the accounts around it, and a message. Out: a [`Trace`] of the state
//! accesses of the outermost frame, by revm. It must never ask the analyzer anything.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::{
    Context, Database, InspectEvm, Inspector, MainBuilder, MainContext,
    bytecode::{Bytecode, opcode as op},
    context::{BlockEnv, CfgEnv, ContextTr, JournalTr, TxEnv},
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter_types::{Jumps, MemoryTr},
    },
    primitives::{TxKind, hardfork::SpecId},
    state::AccountInfo,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use crate::random::Random;

/// The account whose code runs.
pub(crate) const CONTRACT: Address = Address::repeat_byte(0xc0);
/// The sender of the transaction.
pub(crate) const CALLER: Address = Address::repeat_byte(0xca);
/// Gas for one message: enough for long loops, little enough for endless ones to end soon.
const GAS: u64 = 400_000;
const SENDER_BALANCE: U256 = U256::from_limbs([u64::MAX, 1, 0, 0]);

/// A word: mostly one at which instructions change their behaviour, or one of `palette`.
pub(crate) fn likely_word(random: &mut Random, palette: &[U256]) -> U256 {
    let bits = random.bits();
    match random.below(13) {
        0 | 1 => U256::ZERO,
        2 => U256::from(1),
        3 => U256::from(bits % 8),
        4 => U256::from(bits % 0x400) << 5,
        5 | 6 if !palette.is_empty() => palette[random.below(palette.len())],
        7 => U256::MAX - U256::from(bits % 4),
        8 => (U256::from(1) << (bits % 256) as usize).wrapping_sub(U256::from(random.bits() % 3)),
        9 => CALLER.into_word().into(),
        10 => U256::from(bits),
        11 => U256::from_be_bytes(keccak256(bits.to_be_bytes()).0) >> 96,
        _ => U256::from_be_bytes(keccak256(bits.to_be_bytes()).0),
    }
}

/// Storage, accounts and block around the contract.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The contract's code.
    pub(crate) code: Bytes,
    /// Decides every word of storage and every account that nothing else names.
    pub(crate) seed: u64,
    /// Words that storage and other contracts are likely to hold.
    pub(crate) palette: Vec<U256>,
}

/// One message from [`CALLER`] to [`CONTRACT`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) calldata: Vec<u8>,
    pub(crate) value: U256,
}

impl World {
    /// The word that a slot of the contract holds before the message.
    pub(crate) fn stored(&self, slot: U256) -> U256 {
        let mut input = [0u8; 40];
        input[..8].copy_from_slice(&self.seed.to_be_bytes());
        input[8..].copy_from_slice(&slot.to_be_bytes::<32>());
        let hash = keccak256(input);
        let mut random = Random(u64::from_be_bytes(hash[..8].try_into().unwrap()));
        likely_word(&mut random, &self.palette)
    }

    /// The balance of the contract when its first instruction runs.
    pub(crate) fn contract_balance(&self, message: &Message) -> U256 {
        U256::from(self.seed % 5 * 1000) + message.value
    }

    /// The block that the message is in.
    pub(crate) fn block(&self) -> BlockEnv {
        BlockEnv {
            number: U256::from(20_000_000 + self.seed % 7),
            beneficiary: Address::repeat_byte(0xbe),
            timestamp: U256::from(1_750_000_000 + self.seed % 3 * 86_400),
            gas_limit: 30_000_000,
            basefee: 0,
            prevrandao: Some(keccak256(self.seed.to_be_bytes())),
            ..BlockEnv::default()
        }
    }

    /// The code of an account other than the contract: nothing, or something that answers, fails, calls back or stores.
    fn callee(&self, address: Address) -> Bytes {
        if address == CALLER || address.into_word() <= B256::with_last_byte(0xff) {
            return Bytes::new();
        }
        let hash = keccak256([self.seed.to_be_bytes().as_slice(), address.as_slice()].concat());
        let mut random = Random(u64::from_be_bytes(hash[..8].try_into().unwrap()));
        let mut code = Vec::new();
        let push = |code: &mut Vec<u8>, word: U256| {
            code.push(op::PUSH32);
            code.extend_from_slice(&word.to_be_bytes::<32>());
        };
        let answer = match random.below(8) {
            0 => return Bytes::new(),
            1 => U256::ZERO,
            2 => return Bytes::from_static(&[op::PUSH0, op::PUSH0, op::REVERT]),
            // Calls the caller back with a selector and a word.
            3 => {
                push(&mut code, likely_word(&mut random, &self.palette) << 224);
                code.extend_from_slice(&[op::PUSH0, op::MSTORE]);
                push(&mut code, likely_word(&mut random, &self.palette));
                code.extend_from_slice(&[op::PUSH1, 4, op::MSTORE]);
                code.extend_from_slice(&[op::PUSH0, op::PUSH0, op::PUSH1, 36, op::PUSH0, op::PUSH0]);
                code.extend_from_slice(&[op::CALLER, op::GAS, op::CALL, op::POP]);
                U256::from(1)
            }
            // Stores: matters when it is called with DELEGATECALL.
            4 => {
                for store in [op::SSTORE, op::TSTORE] {
                    push(&mut code, likely_word(&mut random, &self.palette));
                    push(&mut code, likely_word(&mut random, &[U256::ZERO, U256::from(2), U256::from(3)]));
                    code.push(store);
                }
                U256::from(1)
            }
            5 => U256::from(1),
            _ => likely_word(&mut random, &self.palette),
        };
        push(&mut code, answer);
        code.extend_from_slice(&[op::PUSH0, op::MSTORE]);
        push(&mut code, likely_word(&mut random, &self.palette));
        code.extend_from_slice(&[op::PUSH1, 32, op::MSTORE]);
        let size = [32, 32, 64, 64, 96, 0][random.below(6)];
        code.extend_from_slice(&[op::PUSH1, size, op::PUSH0, op::RETURN]);
        code.into()
    }

    /// Executes the message.
    pub(crate) fn run(&self, message: &Message) -> Trace {
        let cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
        let mut evm = Context::mainnet()
            .with_db(State(self))
            .with_cfg(cfg)
            .with_block(self.block())
            .build_mainnet_with_inspector(Recorder::default());
        let tx = TxEnv {
            caller: CALLER,
            kind: TxKind::Call(CONTRACT),
            data: message.calldata.clone().into(),
            value: message.value,
            gas_limit: GAS,
            ..TxEnv::default()
        };
        let done = evm.inspect_tx(tx).expect("the message is valid");
        let mut trace = std::mem::take(&mut evm.inspector.trace);
        trace.success = done.result.is_success();
        trace.output = done.result.output().cloned().unwrap_or_default();
        if trace.success
            && let Some(account) = done.state.get(&CONTRACT)
        {
            trace.changed = account.storage.iter().map(|(slot, word)| (*slot, word.present_value)).collect();
        }
        trace
    }
}

struct State<'w>(&'w World);

impl Database for State<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        let mut info = AccountInfo::default();
        if address == CALLER {
            info.balance = SENDER_BALANCE;
            return Ok(Some(info));
        }
        let code = if address == CONTRACT {
            info.balance = self.0.contract_balance(&Message::default());
            self.0.code.clone()
        } else {
            self.0.callee(address)
        };
        if !code.is_empty() {
            let code = Bytecode::new_legacy(code);
            info.code_hash = code.hash_slow();
            info.code = Some(code);
            info.nonce = 1;
        }
        Ok(Some(info))
    }

    fn code_by_hash(&mut self, _: B256) -> Result<Bytecode, Infallible> {
        Ok(Bytecode::default())
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Infallible> {
        Ok(if address == CONTRACT { self.0.stored(index) } else { U256::ZERO })
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok(keccak256(number.to_be_bytes()))
    }
}

/// One `SLOAD`, `SSTORE`, `TLOAD` or `TSTORE` of the outermost frame.
#[derive(Clone, Debug)]
pub(crate) struct Touch {
    pub(crate) pc: u32,
    pub(crate) transient: bool,
    pub(crate) slot: U256,
    /// What the slot held before.
    pub(crate) before: U256,
    /// The stored word, for a store.
    pub(crate) stored: Option<U256>,
}

/// One instruction of the outermost frame that reaches another account.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) pc: u32,
    pub(crate) opcode: u8,
    /// The account, unless the instruction creates it.
    pub(crate) account: U256,
    /// The input of a call.
    pub(crate) input: Vec<u8>,
}

/// What an execution did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) touches: Vec<Touch>,
    pub(crate) outside: Vec<Outside>,
    /// Every program counter of the outermost frame that was executed.
    pub(crate) executed: BTreeSet<u32>,
    pub(crate) success: bool,
    pub(crate) output: Bytes,
    /// The contract's storage words after a successful execution, where they were touched at all.
    pub(crate) changed: BTreeMap<U256, U256>,
}

#[derive(Default)]
struct Recorder {
    depth: usize,
    trace: Trace,
}

impl<CTX: ContextTr> Inspector<CTX> for Recorder {
    fn call(&mut self, _: &mut CTX, _: &mut CallInputs) -> Option<CallOutcome> {
        self.depth += 1;
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, _: &mut CallOutcome) {
        self.depth -= 1;
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        self.depth += 1;
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, _: &mut CreateOutcome) {
        self.depth -= 1;
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut CTX) {
        if self.depth != 1 {
            return;
        }
        let pc = interpreter.bytecode.pc() as u32;
        let opcode = interpreter.bytecode.opcode();
        self.trace.executed.insert(pc);
        let stack = interpreter.stack.data();
        let operand = |index: usize| stack.len().checked_sub(index + 1).map(|position| stack[position]);
        match opcode {
            op::SLOAD | op::SSTORE | op::TLOAD | op::TSTORE => {
                let Some(slot) = operand(0) else { return };
                let transient = matches!(opcode, op::TLOAD | op::TSTORE);
                let stored = if matches!(opcode, op::SSTORE | op::TSTORE) {
                    let Some(word) = operand(1) else { return };
                    Some(word)
                } else {
                    None
                };
                let before = if transient {
                    context.journal_mut().tload(CONTRACT, slot)
                } else {
                    let Ok(word) = context.journal_mut().sload(CONTRACT, slot) else { return };
                    word.data
                };
                self.trace.touches.push(Touch { pc, transient, slot, before, stored });
            }
            op::BALANCE | op::SELFDESTRUCT => {
                let Some(account) = operand(0) else { return };
                self.trace.outside.push(Outside { pc, opcode, account, input: Vec::new() });
            }
            op::SELFBALANCE => {
                let account = CONTRACT.into_word().into();
                self.trace.outside.push(Outside { pc, opcode, account, input: Vec::new() });
            }
            op::CREATE | op::CREATE2 => {
                if stack.len() < 3 {
                    return;
                }
                self.trace.outside.push(Outside { pc, opcode, account: U256::ZERO, input: Vec::new() });
            }
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => {
                let first = if matches!(opcode, op::CALL | op::CALLCODE) { 3 } else { 2 };
                if stack.len() < first + 4 {
                    return;
                }
                let (Some(account), Some(start), Some(length)) =
                    (operand(1), operand(first), operand(first + 1))
                else {
                    return;
                };
                // The input as far as memory reaches now; what lies behind it is zero.
                let (start, length): (usize, usize) = (start.saturating_to(), length.saturating_to());
                let size = interpreter.memory.size();
                let mut input = Vec::new();
                if length <= 0x1_0000 && start <= 0x100_0000 {
                    let end = (start + length).min(size).max(start.min(size));
                    input = interpreter.memory.slice(start.min(size)..end).to_vec();
                    input.resize(length, 0);
                }
                self.trace.outside.push(Outside { pc, opcode, account, input });
            }
            _ => {}
        }
    }
}
