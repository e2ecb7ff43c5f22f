//! One thread's engine: runs a transaction on what there is of the state, and says what it read and would write.
//!
//! In: a transaction and its index. Out: its result, its log of readings, and its writes, of which nothing is published
//! here. An engine is built once per thread and runs every transaction of that thread.

mod precompiles;
mod engine;
mod hash;
mod follow;
mod instructions;
mod unpaid;
mod transfer;

use std::{
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, U256};
use revm::{
    Context, DatabaseRef, MainBuilder as _, MainContext as _,
    context::{BlockEnv, CfgEnv, ContextSetters as _, JournalTr as _, Transaction as _, TxEnv},
    context_interface::Cfg as _,
    context_interface::result::{EVMError, ExecutionResult, InvalidTransaction},
    handler::{EthPrecompiles, Handler as _, MainnetContext},
    primitives::hardfork::SpecId,
    state::EvmState,
};

use self::{engine::Engine, instructions::listen, precompiles::Remembering, transfer::Plain, unpaid::Unpaid};
use crate::{
    block::Transaction,
    store::{AccountDelta, AccountWrite, Answers, Fees, Index, Store},
    view::{AccountRead, BalanceNeed, BatchState, Effects, LoadSite, SlotRead, View, Writes},
};

/// What the execution of a transaction came to.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) result: ExecutionResult,
    pub(crate) effects: Box<Effects>,
}

/// What the execution of transactions one after the other came to, and what all of them together depended on and change.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) results: Vec<ExecutionResult>,
    pub(crate) effects: Box<Effects>,
    /// The time that the slowest of them took.
    pub(crate) slowest: Duration,
}

/// Why a transaction did not come to an end.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    Invalid(InvalidTransaction),
    Database(E),
    Engine(String),
    Panic(String),
}

/// What all transactions of a block have in common.
#[derive(Debug)]
pub(crate) struct BlockRules {
    pub(crate) block: BlockEnv,
    pub(crate) cfg: CfgEnv,
    pub(crate) answers: Answers,
}

/// One thread's engine.
pub(crate) struct Worker<'a, D: DatabaseRef> {
    rules: &'a BlockRules,
    evm: Engine<'a, D>,
    plain: Option<Plain>,
    /// Lists for the next execution.
    pub(crate) spare: Box<Effects>,
    /// Lists for each transaction of a batch.
    single: Box<Effects>,
    /// How often it had changed where to look for words that are only added to, when this was last asked.
    pub(crate) watchings: u32,
}

impl<'a, D: DatabaseRef> Worker<'a, D> {
    pub(crate) fn new(rules: &'a BlockRules, state: &'a D, store: &'a Store, fees: &'a Fees) -> Self {
        let view = View::new(state, store, fees, rules.cfg.spec);
        Self {
            rules,
            evm: build(rules, view),
            plain: Plain::new(rules),
            spare: Box::default(),
            single: Box::default(),
            watchings: 0,
        }
    }

    /// Lets a flag end what runs, within some hundreds of instructions.
    pub(crate) fn ended_by(mut self, stop: &'a AtomicBool) -> Self {
        self.evm.ctx.journaled_state.database.stop = stop;
        self
    }

    /// Says where to look for words that are only added to.
    pub(crate) fn watch(&mut self, sites: impl Iterator<Item = LoadSite>) {
        let known = &mut self.evm.ctx.journaled_state.database.following.sites;
        known.clear();
        known.extend(sites);
    }

    /// Runs a transaction ahead of its turn: what it reads may still change.
    pub(crate) fn run_ahead(
        &mut self,
        index: Index,
        transaction: &TxEnv,
    ) -> Result<Executed, Failure<D::Error>> {
        self.run(index, transaction, Some((transaction.caller, transaction.nonce)))
    }

    /// Runs the transactions of a range ahead of their turn, one after the other, until one fails or does what a batch
    /// cannot hold; fails as the first one does.
    pub(crate) fn run_batch_ahead(
        &mut self,
        range: std::ops::Range<Index>,
        transactions: &[Transaction],
    ) -> Result<Batch, Failure<D::Error>> {
        let single = std::mem::take(&mut self.single);
        let mut effects = std::mem::replace(&mut self.spare, single);
        effects.clear();
        let mut results = Vec::with_capacity(range.len());
        let mut failure = None;
        let (mut start, mut slowest) = (Instant::now(), Duration::ZERO);
        self.begin_batch();
        for index in range.clone() {
            let executed = match self.run_ahead(range.start, &transactions[index as usize].env) {
                Ok(executed) => executed,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            let view = &mut self.evm.ctx.journaled_state.database;
            let fits = view.batch_state.absorb(&executed.effects, &mut effects.reads, view.spec);
            if fits {
                effects.writes.fee = effects.writes.fee.saturating_add(executed.effects.writes.fee);
                results.push(executed.result);
            }
            self.spare = executed.effects;
            let now = Instant::now();
            (slowest, start) = (slowest.max(now - start), now);
            if !fits {
                break;
            }
        }
        self.single = std::mem::take(&mut self.spare);
        let view = &mut self.evm.ctx.journaled_state.database;
        view.in_batch = false;
        // A panic has taken all of it along.
        let is_lost = matches!(failure, Some(Failure::Panic(_)));
        if is_lost || results.is_empty() {
            return Err(failure.unwrap_or_else(|| Failure::Engine("it has to run by itself".to_owned())));
        }
        view.batch_state.hand_over(&mut effects);
        Ok(Batch { results, effects, slowest })
    }

    /// Lets transactions find what the ones before them leave to them, before it is published.
    pub(crate) fn begin_batch(&mut self) {
        let view = &mut self.evm.ctx.journaled_state.database;
        view.in_batch = true;
        view.batch_state.clear();
    }

    /// What transactions one after the other have left so far.
    pub(crate) fn batch_state(&mut self) -> &mut BatchState {
        &mut self.evm.ctx.journaled_state.database.batch_state
    }

    /// Lets transactions find what is published.
    pub(crate) fn end_batch(&mut self) {
        self.evm.ctx.journaled_state.database.in_batch = false;
    }

    /// Runs a transaction when all that stand before it are final.
    pub(crate) fn run_in_turn(
        &mut self,
        index: Index,
        transaction: &TxEnv,
    ) -> Result<Executed, Failure<D::Error>> {
        self.run(index, transaction, None)
    }

    /// Runs a plain transfer of a batch in its turn, and pays its fee; none if it is anything else.
    pub(crate) fn transfer_in_batch(
        &mut self,
        index: Index,
        transaction: &TxEnv,
    ) -> Result<Option<ExecutionResult>, D::Error> {
        let Some(plain) = self.plain.as_ref().filter(|_| transaction.data.is_empty()) else {
            return Ok(None);
        };
        let view = &mut self.evm.ctx.journaled_state.database;
        view.begin(index, None);
        let ran = plain.run_in_batch(transaction, view)?;
        Ok(ran.map(|(result, fee)| {
            view.fees.pay(fee, true);
            result
        }))
    }

    fn run(
        &mut self,
        index: Index,
        transaction: &TxEnv,
        assumed: Option<(Address, u64)>,
    ) -> Result<Executed, Failure<D::Error>> {
        let caught = catch_unwind(AssertUnwindSafe(|| self.run_uncaught(index, transaction, assumed)));
        caught.unwrap_or_else(|panic| {
            // Whatever state the engine is in, it is not used again.
            let view = self.view();
            let (state, store, fees, spec) = (view.state, view.store(), view.fees, view.spec);
            let stop = view.stop;
            let mut view = View::new(state, store, fees, spec);
            view.stop = stop;
            self.evm = build(self.rules, view);
            self.watchings = 0;
            Err(Failure::Panic(message(panic.as_ref())))
        })
    }

    fn run_uncaught(
        &mut self,
        index: Index,
        transaction: &TxEnv,
        assumed: Option<(Address, u64)>,
    ) -> Result<Executed, Failure<D::Error>> {
        let view = &mut self.evm.ctx.journaled_state.database;
        view.begin(index, assumed);
        let mut effects = std::mem::take(&mut self.spare);
        effects.clear();
        if let Some(plain) = &self.plain
            && let Some(result) = plain.run(transaction, view, &mut effects).map_err(Failure::Database)?
        {
            return Ok(Executed { result, effects });
        }
        self.evm.ctx.set_tx(transaction.clone());
        let mut handler = Unpaid { fee: std::cell::Cell::new(U256::ZERO), _view: PhantomData };
        let result = handler.run(&mut self.evm);
        let mut state = self.evm.ctx.journaled_state.finalize();
        let executed = match result {
            Ok(result) => {
                let view = &mut self.evm.ctx.journaled_state.database;
                note_writes(&state, view, &mut effects.writes);
                let writes = &mut effects.writes;
                writes.fee = if writes.keeps_fees || !destroyed(&state, view.fees.beneficiary) {
                    handler.fee.get()
                } else {
                    U256::ZERO
                };
                if view.logs {
                    note_reads(transaction, view, &mut effects, self.rules);
                }
                Ok(Executed { result, effects })
            }
            Err(EVMError::Transaction(reason)) => Err(Failure::Invalid(reason)),
            Err(EVMError::Database(error)) => Err(Failure::Database(error)),
            Err(other) => Err(Failure::Engine(other.to_string())),
        };
        // The journal keeps its room for the next transaction.
        state.clear();
        self.evm.ctx.journaled_state.inner.state = state;
        executed
    }

    /// The view of the transaction that ran last.
    pub(crate) fn view(&self) -> &View<'a, D> {
        &self.evm.ctx.journaled_state.database
    }

    /// The view, to look at the state as transaction `reader` finds it.
    pub(crate) fn view_of(&mut self, reader: Index) -> &View<'a, D> {
        let view = &mut self.evm.ctx.journaled_state.database;
        view.begin(reader, None);
        view
    }
}

fn build<'a, D: DatabaseRef>(rules: &'a BlockRules, view: View<'a, D>) -> Engine<'a, D> {
    let context: MainnetContext<View<'a, D>> =
        Context::mainnet().with_db(view).with_block(rules.block.clone()).with_cfg(rules.cfg.clone());
    let precompiles = Remembering { usual: EthPrecompiles::new(rules.cfg.spec), answers: &rules.answers };
    let mut evm = context.build_mainnet().with_precompiles(precompiles);
    listen(&mut evm);
    evm
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

fn destroyed(state: &EvmState, address: Address) -> bool {
    state.get(&address).is_some_and(|account| account.is_touched() && account.is_selfdestructed())
}

/// Notes what a transaction changes, by the state that revm leaves behind.
#[expect(clippy::iter_over_hash_type, reason = "each account is published on its own, in any order")]
fn note_writes<D: DatabaseRef>(state: &EvmState, view: &View<'_, D>, writes: &mut Writes) {
    let clears_empty = view.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
    for (&address, account) in state {
        if !account.is_touched() {
            continue;
        }
        let existed = !account.is_loaded_as_not_existing();
        let (gone, created) = (account.is_selfdestructed(), account.is_created());
        if (gone || created) && existed {
            writes.resets.push(address);
        }
        let write = if gone || (clears_empty && account.is_empty() && !created) {
            (existed || gone).then_some(AccountWrite::Set(None))
        } else if created {
            Some(AccountWrite::Set(Some(account.info.clone())))
        } else {
            let before = account.original_info();
            if before.code_hash == account.info.code_hash {
                let (old, new) = (before.balance, account.info.balance);
                let addition = AccountDelta {
                    credit: new.saturating_sub(old),
                    debit: old.saturating_sub(new),
                    nonce: account.info.nonce.saturating_sub(before.nonce),
                };
                // In its turn the transaction has seen the final state, so that its own is final too.
                let known = view.assumed.is_none() && address != view.fees.beneficiary;
                (addition != AccountDelta::default()).then(|| {
                    if known {
                        AccountWrite::Set(Some(account.info.clone()))
                    } else {
                        AccountWrite::Add(addition)
                    }
                })
            } else {
                Some(AccountWrite::Set(Some(account.info.clone())))
            }
        };
        if address == view.fees.beneficiary && matches!(write, Some(AccountWrite::Set(_))) {
            writes.keeps_fees = false;
        }
        writes.accounts.extend(write.map(|write| (address, write)));
        if gone {
            continue;
        }
        for (&slot, word) in account.changed_storage_slots() {
            writes.slots.push((address, slot, word.present_value));
        }
    }
}

/// Notes what an execution depended on, by the log of its view.
fn note_reads<D>(transaction: &TxEnv, view: &mut View<'_, D>, effects: &mut Effects, rules: &BlockRules) {
    let log = &mut view.log;
    let all_nonces = log.nonces || transaction.kind.is_create() || !transaction.authorization_list.is_empty();
    for read in &mut log.accounts {
        read.needs_nonce = all_nonces;
        if read.address == transaction.caller {
            read.needs_nonce = true;
            read.needs = match transaction.max_balance_spending() {
                Ok(most) if !rules.cfg.is_fee_charge_disabled() && !rules.cfg.is_balance_check_disabled() => {
                    BalanceNeed::AtLeast(most)
                }
                _ => BalanceNeed::Same,
            };
        }
    }
    let mut find = |address: &Address, change: &mut dyn FnMut(&mut AccountRead)| {
        log.accounts.iter_mut().filter(|read| read.address == *address).for_each(change);
    };
    for (address, left) in &log.paid {
        find(address, &mut |read| {
            if let BalanceNeed::AtLeast(least) = &mut read.needs {
                *least = (*least).max(read.balance.saturating_sub(*left));
            }
        });
    }
    for address in &log.seen {
        find(address, &mut |read| read.needs = BalanceNeed::Same);
    }
    for (address, write) in &effects.writes.accounts {
        if matches!(write, AccountWrite::Set(_)) {
            find(address, &mut |read| {
                read.needs = BalanceNeed::Same;
                read.needs_nonce = true;
            });
        }
    }
    std::mem::swap(&mut effects.reads.accounts, &mut log.accounts);
    std::mem::swap(&mut effects.reads.slots, &mut log.slots);
    if !log.deltas.is_empty() {
        std::mem::swap(&mut effects.reads.deltas, &mut log.deltas);
        std::mem::swap(&mut effects.reads.checks, &mut log.checks);
        note_deltas(effects, view.in_batch);
    }
}

/// Notes which words an execution only added to, and what.
fn note_deltas(effects: &mut Effects, in_batch: bool) {
    let Effects { reads, writes } = effects;
    let is_delta = |read: &SlotRead| {
        reads.deltas.iter().any(|it| it.read.slot == read.slot && it.read.address == read.address)
    };
    reads.slots.retain(|read| !is_delta(read));
    for delta in &mut reads.deltas {
        delta.exact |= !writes.resets.is_empty();
        // What later transactions of a batch find are words.
        if delta.exact || in_batch {
            continue;
        }
        let key = (delta.read.address, delta.read.slot);
        let place = writes.slots.iter().position(|(address, slot, _)| (*address, *slot) == key);
        if let Some((address, slot, word)) = place.map(|place| writes.slots.swap_remove(place)) {
            writes.deltas.push((address, slot, word.wrapping_sub(delta.read.word)));
        }
    }
}
