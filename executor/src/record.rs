//! Records what a transaction really touches while revm executes it, and what it has changed in the end.
//!
//! The recorder only listens: it never alters an execution. Accesses count as soon as an instruction attempts them,
//! also where they run out of gas, are not allowed, or are reverted later. Transient storage is not recorded.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, Selector, U256};
use revm::{
    Inspector,
    bytecode::opcode,
    context::{ContextTr, TxEnv},
    context_interface::{JournalTr, Transaction as _, either::Either, result::ExecutionResult},
    interpreter::{
        CallInputs, CallOutcome, CallValue, CreateInputs, CreateOutcome, Interpreter,
        interpreter_types::{InputsTr as _, Jumps as _},
    },
    state::EvmState,
};

use crate::{
    access_set::AccountAccess,
    block::Block,
    serial::{ReplayError, SerialMachine},
    state::BlockState,
};

/// What one transaction touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Storage slots that were loaded, and where that was done first.
    pub reads: BTreeMap<(Address, U256), Site>,
    /// Storage slots that were stored to, and where that was done first.
    pub writes: BTreeMap<(Address, U256), Site>,
    /// What was touched of accounts, outside their storage.
    pub accounts: BTreeSet<AccountAccess>,
    /// Whether any code ran at all.
    pub ran_code: bool,
}

/// Where an access was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The hash of the code that ran, which is not that of the account's own where it was borrowed.
    pub code_hash: B256,
    /// The first four bytes of its calldata; zero where there are fewer.
    pub selector: Selector,
    /// The instruction, as an offset into the code.
    pub pc: u32,
}

/// What a transaction has changed in the end. Lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetChanges {
    /// Storage words that are not what they were.
    pub storage: Vec<Change<(Address, U256), U256>>,
    /// Balances that are not what they were, fees included.
    pub balances: Vec<Change<Address, U256>>,
    /// Nonces that are not what they were.
    pub nonces: Vec<Change<Address, u64>>,
    /// Codes that are not what they were, by hash.
    pub codes: Vec<Change<Address, B256>>,
    /// Accounts that were made by a creation.
    pub created: Vec<Address>,
    /// Accounts that are gone, with all their storage.
    pub destroyed: Vec<Address>,
}

/// A piece of state that is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change<K, V> {
    /// Which piece.
    pub key: K,
    /// What it was before the transaction.
    pub old: V,
    /// What it is after it.
    pub new: V,
}

/// Executes a block, and hands each transaction's index, result, accesses and changes to `each`, in order.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, BlockState, record};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let mut touched = 0;
/// record(&block, &BlockState::new(&block), |_, _, record, _| touched += record.reads.len())?;
/// assert!(touched > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn record(
    block: &Block,
    state: &BlockState,
    mut each: impl FnMut(usize, ExecutionResult, Record, NetChanges),
) -> Result<(), ReplayError> {
    record_states(block, state, |index, result, record, changes, _| each(index, result, record, changes))
}

/// Like [`record`], with the accounts as a transaction leaves them.
pub(crate) fn record_states(
    block: &Block,
    state: &BlockState,
    mut each: impl FnMut(usize, ExecutionResult, Record, NetChanges, EvmState),
) -> Result<(), ReplayError> {
    let mut machine = SerialMachine::new(block, state, Recorder::default());
    for (index, transaction) in block.transactions.iter().enumerate() {
        let (result, mut after) = machine.inspect(index)?;
        let changes = NetChanges::new(&after);
        let record = machine.inspector().take(&transaction.env, block.header.coinbase, &changes);
        machine.settle(&mut after);
        machine.commit(after.clone());
        each(index, result, record, changes, after);
    }
    Ok(())
}

/// Listens to an execution; afterwards [`Recorder::take`] hands out what was seen.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    record: Record,
    /// The accounts that creations are about to make, from the outermost on; none where that cannot be told.
    creating: Vec<Option<Address>>,
}

impl Recorder {
    /// What was seen since the last call, for the transaction that was executed in between.
    pub fn take(&mut self, transaction: &TxEnv, coinbase: Address, changes: &NetChanges) -> Record {
        let mut record = std::mem::take(&mut self.record);
        self.creating.clear();
        let sender = transaction.caller;
        record.accounts.extend([
            AccountAccess::BalanceRead(sender),
            AccountAccess::BalanceDebit(sender),
            AccountAccess::NonceWrite(sender),
            AccountAccess::BalanceCredit(coinbase),
        ]);
        // Delegations are set up before any instruction runs, so that nothing was heard of them.
        record.accounts.extend(changes.nonces.iter().map(|it| AccountAccess::NonceWrite(it.key)));
        record.accounts.extend(changes.codes.iter().map(|it| AccountAccess::CodeWrite(it.key)));
        record.accounts.extend(authorities(transaction).into_iter().map(AccountAccess::CodeRead));
        record
    }

    fn transfer(&mut self, from: Address, to: Option<Address>, value: U256) {
        if value.is_zero() {
            return;
        }
        self.record.accounts.extend([AccountAccess::BalanceRead(from), AccountAccess::BalanceDebit(from)]);
        self.record.accounts.extend(to.map(AccountAccess::BalanceCredit));
    }
}

/// The accounts whose code and nonce decide whether an authorization of the transaction counts, by EIP-7702: those that
/// have signed one for this chain, whether or not it counts in the end.
pub(crate) fn authorities(transaction: &TxEnv) -> BTreeSet<Address> {
    let chain = transaction.chain_id().map(U256::from);
    let signed = transaction.authorization_list.iter().filter_map(|authorization| {
        let (inner, authority) = match authorization {
            Either::Left(signed) => (signed.inner(), signed.recover_authority().ok()),
            Either::Right(recovered) => (&**recovered, recovered.authority()),
        };
        let is_looked_at =
            (inner.chain_id.is_zero() || chain == Some(inner.chain_id)) && inner.nonce != u64::MAX;
        authority.filter(|_| is_looked_at)
    });
    signed.collect()
}

impl<C: ContextTr<Journal: JournalTr<State = EvmState>>> Inspector<C> for Recorder {
    fn initialize_interp(&mut self, _: &mut Interpreter, _: &mut C) {
        self.record.ran_code = true;
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut C) {
        let operation = interpreter.bytecode.opcode();
        let own = interpreter.input.target_address();
        // The operand on top of the stack; without it the instruction fails before it touches anything.
        let top = |needed: usize| {
            let stack = interpreter.stack.data();
            stack.last().copied().filter(|_| stack.len() >= needed)
        };
        let account = |word: U256| Address::from_word(B256::from(word));
        match operation {
            opcode::SLOAD | opcode::SSTORE => {
                let writes = operation == opcode::SSTORE;
                let Some(slot) = top(if writes { 2 } else { 1 }) else { return };
                let list = if writes { &mut self.record.writes } else { &mut self.record.reads };
                list.entry((own, slot)).or_insert_with(|| {
                    let input = interpreter.input.input().bytes(context);
                    Site {
                        code_hash: interpreter.bytecode.get_or_calculate_hash(),
                        selector: input.first_chunk::<4>().copied().unwrap_or_default().into(),
                        pc: interpreter.bytecode.pc() as u32,
                    }
                });
            }
            opcode::BALANCE => {
                self.record.accounts.extend(top(1).map(account).map(AccountAccess::BalanceRead));
            }
            opcode::SELFBALANCE => {
                self.record.accounts.insert(AccountAccess::BalanceRead(own));
            }
            opcode::EXTCODESIZE | opcode::EXTCODECOPY | opcode::EXTCODEHASH => {
                let needed = if operation == opcode::EXTCODECOPY { 4 } else { 1 };
                self.record.accounts.extend(top(needed).map(account).map(AccountAccess::CodeRead));
            }
            _ => {}
        }
    }

    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.record.accounts.insert(AccountAccess::CodeRead(inputs.bytecode_address));
        // By EIP-7702 the code of a delegated account is that of another, which calls load beside it.
        let called = context.journal().evm_state().get(&inputs.bytecode_address);
        let delegate = called.and_then(|it| it.info.code.as_ref()?.eip7702_address());
        self.record.accounts.extend(delegate.map(AccountAccess::CodeRead));
        if let CallValue::Transfer(value) = inputs.value {
            self.transfer(inputs.caller, Some(inputs.target_address), value);
        }
        None
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.record.accounts.insert(AccountAccess::NonceWrite(inputs.caller()));
        self.transfer(inputs.caller(), None, inputs.value());
        let creator = context.journal().evm_state().get(&inputs.caller());
        self.creating.push(creator.map(|it| inputs.created_address(it.info.nonce)));
        None
    }

    fn create_end(&mut self, context: &mut C, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        let attempted = self.creating.pop().flatten();
        if let Some(address) = outcome.address {
            self.record
                .accounts
                .extend([AccountAccess::NonceWrite(address), AccountAccess::CodeWrite(address)]);
            if !inputs.value().is_zero() {
                self.record.accounts.insert(AccountAccess::BalanceCredit(address));
            }
        } else {
            // Nothing was made, perhaps because of what the account is.
            let looked_at = attempted.filter(|address| context.journal().evm_state().contains_key(address));
            self.record.accounts.extend(looked_at.map(AccountAccess::CodeRead));
        }
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.record.accounts.insert(AccountAccess::CodeWrite(contract));
        self.record.accounts.insert(AccountAccess::BalanceRead(contract));
        self.transfer(contract, Some(target), value);
    }
}

impl NetChanges {
    /// What a transaction has changed, by the state that revm leaves behind.
    pub fn new(state: &EvmState) -> Self {
        let mut changes = Self::default();
        let mut accounts: Vec<_> = state.iter().filter(|(_, account)| account.is_touched()).collect();
        accounts.sort_unstable_by_key(|(address, _)| **address);
        for (&address, account) in accounts {
            let mut slots: Vec<_> = account.changed_storage_slots().collect();
            slots.sort_unstable_by_key(|(slot, _)| **slot);
            changes.storage.extend(slots.into_iter().map(|(slot, word)| Change {
                key: (address, *slot),
                old: word.original_value,
                new: word.present_value,
            }));
            let gone = account.is_selfdestructed();
            let before = account.original_info();
            let (balance, nonce, code) = if gone {
                (U256::ZERO, 0, KECCAK256_EMPTY)
            } else {
                (account.info.balance, account.info.nonce, account.info.code_hash)
            };
            if before.balance != balance {
                changes.balances.push(Change { key: address, old: before.balance, new: balance });
            }
            if before.nonce != nonce {
                changes.nonces.push(Change { key: address, old: before.nonce, new: nonce });
            }
            let (old, new) = (code_hash(before.code_hash), code_hash(code));
            if old != new {
                changes.codes.push(Change { key: address, old, new });
            }
            if account.is_created() {
                changes.created.push(address);
            }
            if gone {
                changes.destroyed.push(address);
            }
        }
        changes
    }
}

/// An account that does not exist has no hash in revm, and one without code has that of nothing.
fn code_hash(hash: B256) -> B256 {
    if hash.is_zero() { KECCAK256_EMPTY } else { hash }
}
