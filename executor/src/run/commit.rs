//! Makes executions final, one after the other, in the order of the block.
//!
//! In: executions that ran ahead. Out: final results and versions. What nobody has begun is run here, on a state that is
//! final, so that this thread alone is as fast as one thread can be. An execution that would not be the same now is
//! thrown away, and its transaction runs again in the same way.

use alloy_primitives::map::AddressMap;
use revm::{
    DatabaseRef,
    context_interface::{Cfg as _, result::ExecutionResult},
    primitives::hardfork::SpecId,
};

use super::{
    ExecuteError, Watch,
    board::{Ahead, Board, Turn},
};
use crate::{
    changes::FinalWrites,
    fees::Fees,
    store::{AccountWrite, Index, Store},
    validate::holds,
    worker::{Executed, Failure, Rules, Worker, Writes},
};

/// Makes executions final.
pub(super) struct Committer<'b, 'a, E> {
    board: &'b Board<'a, E>,
    rules: &'a Rules,
    watch: Watch<'a>,
    pub(super) results: Vec<ExecutionResult>,
    gas_used: u64,
    /// Transactions that ran ahead of their turn, and those of them that ran again in it.
    pub(super) ahead: u64,
    pub(super) reexecutions: u64,
}

impl<'b, 'a, E: std::error::Error + 'static> Committer<'b, 'a, E> {
    pub(super) fn new(board: &'b Board<'a, E>, rules: &'a Rules, watch: Watch<'a>) -> Self {
        let results = Vec::with_capacity(board.transactions.len());
        Self { board, rules, watch, results, gas_used: 0, ahead: 0, reexecutions: 0 }
    }

    /// Makes everything final.
    pub(super) fn run<D: DatabaseRef<Error = E>>(
        &mut self,
        worker: &mut Worker<'_, D>,
    ) -> Result<(), ExecuteError<E>> {
        let mut scratch = None;
        for index in 0..self.board.transactions.len() as Index {
            match self.board.turn(index, worker, &mut scratch) {
                Turn::Now => {
                    self.run_in_turn(index, worker)?;
                    self.board.finish(index);
                    self.board.advance(index, None);
                }
                Turn::Ahead(ahead) => {
                    self.ahead += 1;
                    let Ahead { execution, guess } = *ahead;
                    let held = self.check(index, execution, worker)?;
                    if !held {
                        self.reexecutions += 1;
                        self.run_in_turn(index, worker)?;
                    }
                    self.board.advance(index, guess.then_some(held));
                }
            }
        }
        Ok(())
    }

    /// Makes an execution final that ran ahead, if it would be the same now.
    fn check<D: DatabaseRef<Error = E>>(
        &mut self,
        index: Index,
        execution: Result<Executed, Failure<E>>,
        worker: &mut Worker<'_, D>,
    ) -> Result<bool, ExecuteError<E>> {
        let Ok(executed) = execution else { return Ok(false) };
        let database = |source| ExecuteError::Database { index: index as usize, source };
        let valid =
            guarded(index, || holds(&executed.effects.reads, worker.view_of(index)).map_err(database))?;
        if valid && self.settle(index, &executed.effects.writes, worker)? {
            self.conclude(index, executed.result)?;
            self.board.give_back(executed.effects);
            return Ok(true);
        }
        retract(index, &executed.effects.writes, worker.view().store());
        self.board.give_back(executed.effects);
        Ok(false)
    }

    fn run_in_turn<D: DatabaseRef<Error = E>>(
        &mut self,
        index: Index,
        worker: &mut Worker<'_, D>,
    ) -> Result<(), ExecuteError<E>> {
        let transaction = &self.board.transactions[index as usize];
        self.admit(index)?;
        let executed = worker.run_in_turn(index, &transaction.env);
        let number = index as usize;
        let executed: Executed = executed.map_err(|failure| match failure {
            Failure::Invalid(reason) => {
                ExecuteError::InvalidTransaction { index: number, sender: transaction.env.caller, reason }
            }
            Failure::Database(source) => ExecuteError::Database { index: number, source },
            Failure::Engine(reason) => ExecuteError::Engine { index: number, reason },
            Failure::Panic(message) => ExecuteError::Panicked { index: number, message },
        })?;
        publish_final(index, &executed.effects.writes, worker.view().store());
        if !self.settle(index, &executed.effects.writes, worker)? {
            let reason = "a balance or nonce leaves its range".to_owned();
            return Err(ExecuteError::Engine { index: number, reason });
        }
        self.conclude(index, executed.result)?;
        worker.spare = executed.effects;
        Ok(())
    }

    /// Checks that the block has enough gas left for the transaction.
    fn admit(&self, index: Index) -> Result<(), ExecuteError<E>> {
        if self.watch.cancelled() {
            return Err(ExecuteError::Cancelled { committed: self.results.len() });
        }
        let gas_limit = self.board.transactions[index as usize].env.gas_limit;
        let left = self.rules.block.gas_limit.saturating_sub(self.gas_used);
        if gas_limit > left && !self.rules.cfg.is_block_gas_limit_disabled() {
            return Err(ExecuteError::BlockGas { index: index as usize, gas_limit, left });
        }
        Ok(())
    }

    fn conclude(&mut self, index: Index, result: ExecutionResult) -> Result<(), ExecuteError<E>> {
        self.admit(index)?;
        self.gas_used += result.tx_gas_used();
        if let Some(committed) = self.watch.committed {
            committed(index as usize, &result);
        }
        self.results.push(result);
        Ok(())
    }

    /// Turns what the transaction adds to accounts into what they are, and pays its fee. False if that is not possible.
    fn settle<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        writes: &Writes,
        worker: &mut Worker<'_, D>,
    ) -> Result<bool, ExecuteError<E>> {
        let clears_empty = self.rules.cfg.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON);
        let view = worker.view_of(index);
        let mut keeps_fees = writes.keeps_fees;
        let mut settled = Vec::new();
        for (address, write) in &writes.accounts {
            let AccountWrite::Add(addition) = write else { continue };
            let database = |source| ExecuteError::Database { index: index as usize, source };
            let (before, _) = guarded(index, || view.account(*address).map_err(database))?;
            let Some(after) = addition.apply(before) else { return Ok(false) };
            keeps_fees &= *address != view.fees.beneficiary;
            settled.push((*address, Some(after).filter(|info| !clears_empty || !info.is_empty())));
        }
        for (address, after) in settled {
            view.store.accounts.change(address, |versions| versions.settle(index, after));
        }
        view.fees.pay(writes.fee, keeps_fees);
        Ok(true)
    }
}

/// Turns a panic of the state into an error.
pub(super) fn guarded<T, E: std::error::Error + 'static>(
    index: Index,
    read: impl FnOnce() -> Result<T, ExecuteError<E>>,
) -> Result<T, ExecuteError<E>> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    caught.unwrap_or_else(|panic| {
        let message = crate::worker::message(panic.as_ref());
        Err(ExecuteError::Panicked { index: index as usize, message })
    })
}

pub(super) fn publish(index: Index, writes: &Writes, store: &Store) {
    for address in &writes.resets {
        store.resets.change(*address, |resets| resets.push(index));
    }
    for (address, write) in &writes.accounts {
        store.accounts.change(*address, |versions| versions.insert(index, write.clone()));
    }
    for (address, slot, word) in &writes.slots {
        store.slots.change((*address, *slot), |versions| versions.insert(index, *word));
    }
}

/// Publishes what a transaction writes in its turn: nobody will ask for what stood before it again.
fn publish_final(index: Index, writes: &Writes, store: &Store) {
    for address in &writes.resets {
        store.resets.change(*address, |resets| resets.push(index));
    }
    for (address, write) in &writes.accounts {
        store.accounts.change(*address, |versions| match write {
            AccountWrite::Set(info) => versions.settle(index, info.clone()),
            AccountWrite::Add(_) => versions.insert(index, write.clone()),
        });
    }
    for (address, slot, word) in &writes.slots {
        store.slots.change((*address, *slot), |versions| versions.settle(index, *word));
    }
}

fn retract(index: Index, writes: &Writes, store: &Store) {
    for address in &writes.resets {
        store.resets.change(*address, |resets| resets.retain(|reset| *reset != index));
    }
    for (address, _) in &writes.accounts {
        store.accounts.change(*address, |versions| versions.remove(index));
    }
    for (address, slot, _) in &writes.slots {
        store.slots.change((*address, *slot), |versions| versions.remove(index));
    }
}

/// What was written last, when everything is final.
pub(super) fn collect<D: DatabaseRef>(
    store: &mut Store,
    fees: &Fees,
    spec: SpecId,
    state: &D,
) -> Result<FinalWrites, D::Error> {
    let mut writes = FinalWrites::default();
    let beneficiary = fees.beneficiary;
    let mut earner = None;
    for (address, versions) in store.accounts.drain() {
        if let Some(AccountWrite::Set(info)) = versions.last() {
            if address == beneficiary {
                earner = Some(info);
            } else {
                writes.accounts.push((address, info));
            }
        }
    }
    let before = match &earner {
        Some(info) => info.clone(),
        None => state.basic_ref(beneficiary)?,
    };
    let after = fees.add_to(beneficiary, before.clone(), spec);
    if earner.is_some() || after != before {
        writes.accounts.push((beneficiary, after));
    }
    let resets: AddressMap<Index> = (store.resets.drain())
        .filter_map(|(address, resets)| Some((address, resets.into_iter().max()?)))
        .collect();
    for (key, versions) in store.slots.drain() {
        if let Some((writer, word)) = versions.read(Index::MAX)
            && resets.get(&key.0).is_none_or(|reset| *reset <= writer)
        {
            writes.slots.push((key, word));
        }
    }
    writes.wiped = resets.into_keys().collect();
    Ok(writes)
}
