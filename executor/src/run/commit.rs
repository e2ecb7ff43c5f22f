//! Makes executions final, one after the other, in the order of the block.
//!
//! In: executions that ran ahead. Out: final results and versions. An execution that would not be the same now is thrown
//! away, and its transaction runs again on the spot, on a state that is final.

use std::sync::{
    Mutex, TryLockError,
    atomic::{AtomicBool, AtomicUsize, Ordering, fence},
};

use alloy_primitives::map::AddressMap;
use revm::{
    DatabaseRef,
    context_interface::{Cfg as _, result::ExecutionResult},
    primitives::hardfork::SpecId,
};

use super::{ExecuteError, Watch};
use crate::{
    block::Transaction,
    changes::FinalWrites,
    fees::Fees,
    store::{AccountWrite, Index, Store, lock},
    validate::holds,
    worker::{Executed, Failure, Rules, Worker, Writes},
};

/// Makes executions final.
pub(super) struct Committer<'a, E: std::error::Error + 'static> {
    transactions: &'a [Transaction],
    rules: &'a Rules,
    watch: Watch<'a>,
    ahead: Vec<Ahead<E>>,
    /// The number of transactions that are final.
    next: AtomicUsize,
    over: AtomicBool,
    progress: Mutex<Progress<E>>,
}

/// An execution that ran ahead.
struct Ahead<E> {
    there: AtomicBool,
    execution: Mutex<Option<Result<Executed, Failure<E>>>>,
}

struct Progress<E: std::error::Error + 'static> {
    results: Vec<ExecutionResult>,
    gas_used: u64,
    reexecutions: u64,
    error: Option<ExecuteError<E>>,
}

/// The final results, and how many transactions ran again.
pub(super) type Finished<E> = Result<(Vec<ExecutionResult>, u64), ExecuteError<E>>;

impl<'a, E: std::error::Error + 'static> Committer<'a, E> {
    pub(super) fn new(transactions: &'a [Transaction], rules: &'a Rules, watch: Watch<'a>) -> Self {
        let ahead = || Ahead { there: AtomicBool::new(false), execution: Mutex::new(None) };
        let progress = Progress {
            results: Vec::with_capacity(transactions.len()),
            gas_used: 0,
            reexecutions: 0,
            error: None,
        };
        Self {
            transactions,
            rules,
            watch,
            ahead: transactions.iter().map(|_| ahead()).collect(),
            next: AtomicUsize::new(0),
            over: AtomicBool::new(transactions.is_empty()),
            progress: Mutex::new(progress),
        }
    }

    /// Whether there is nothing left to do.
    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The transaction with an index.
    pub(super) fn transaction(&self, index: Index) -> &'a Transaction {
        &self.transactions[index as usize]
    }

    /// Runs everything in order.
    pub(super) fn run_all<D: DatabaseRef<Error = E>>(self, worker: &mut Worker<'_, D>) -> Finished<E> {
        let mut progress = lock(&self.progress);
        for index in 0..self.transactions.len() as Index {
            self.run_in_turn(index, worker, &mut progress)?;
        }
        drop(progress);
        self.finish()
    }

    /// Takes in an execution that ran ahead, and publishes what it writes.
    pub(super) fn take<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        execution: Result<Executed, Failure<E>>,
        worker: &Worker<'_, D>,
    ) {
        if let Ok(executed) = &execution {
            publish(index, &executed.writes, worker.view().store());
        }
        let ahead = &self.ahead[index as usize];
        *lock(&ahead.execution) = Some(execution);
        ahead.there.store(true, Ordering::Release);
    }

    /// Makes final what can be made final, unless another thread is at it. Tells whether everything is over.
    pub(super) fn advance<D: DatabaseRef<Error = E>>(&self, worker: &mut Worker<'_, D>) -> bool {
        loop {
            // Whoever fails to get the lock has said before that its execution is there; whoever gives the lock back
            // looks again afterwards. One of the two sees the other.
            fence(Ordering::SeqCst);
            let mut progress = match self.progress.try_lock() {
                Ok(progress) => progress,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return self.over(),
            };
            while !self.over() && self.is_there(self.next.load(Ordering::Relaxed)) {
                let index = self.next.load(Ordering::Relaxed);
                if let Err(error) = self.commit(index as Index, worker, &mut progress) {
                    progress.error = Some(error);
                    self.over.store(true, Ordering::Release);
                    break;
                }
                self.next.store(index + 1, Ordering::Release);
                if index + 1 == self.transactions.len() {
                    self.over.store(true, Ordering::Release);
                }
            }
            drop(progress);
            fence(Ordering::SeqCst);
            if self.over() || !self.is_there(self.next.load(Ordering::Acquire)) {
                return self.over();
            }
        }
    }

    /// Ends the work of all threads, because one of them cannot go on.
    pub(super) fn stop(&self, error: ExecuteError<E>) {
        lock(&self.progress).error.get_or_insert(error);
        self.over.store(true, Ordering::Release);
    }

    /// The final results.
    pub(super) fn finish(self) -> Finished<E> {
        let progress = self.progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match progress.error {
            Some(error) => Err(error),
            None => Ok((progress.results, progress.reexecutions)),
        }
    }

    fn is_there(&self, index: usize) -> bool {
        self.ahead.get(index).is_some_and(|ahead| ahead.there.load(Ordering::Acquire))
    }

    fn commit<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        worker: &mut Worker<'_, D>,
        progress: &mut Progress<E>,
    ) -> Result<(), ExecuteError<E>> {
        let execution = lock(&self.ahead[index as usize].execution).take();
        let database = |source| ExecuteError::Database { index: index as usize, source };
        if let Some(Ok(executed)) = execution {
            let valid = guarded(index, || holds(&executed.reads, worker.view_of(index)).map_err(database))?;
            if valid && self.settle(index, &executed.writes, worker)? {
                return self.conclude(index, executed.result, progress);
            }
            retract(index, &executed.writes, worker.view().store());
        }
        progress.reexecutions += 1;
        self.run_in_turn(index, worker, progress)
    }

    fn run_in_turn<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        worker: &mut Worker<'_, D>,
        progress: &mut Progress<E>,
    ) -> Result<(), ExecuteError<E>> {
        let transaction = self.transaction(index);
        self.admit(index, progress)?;
        let executed = worker.run_in_turn(index, &transaction.env);
        let index = index as usize;
        let executed = executed.map_err(|failure| match failure {
            Failure::Invalid(reason) => {
                ExecuteError::InvalidTransaction { index, sender: transaction.env.caller, reason }
            }
            Failure::Database(source) => ExecuteError::Database { index, source },
            Failure::Engine(reason) => ExecuteError::Engine { index, reason },
            Failure::Panic(message) => ExecuteError::Panicked { index, message },
        })?;
        publish(index as Index, &executed.writes, worker.view().store());
        if !self.settle(index as Index, &executed.writes, worker)? {
            let reason = "a balance or nonce leaves its range".to_owned();
            return Err(ExecuteError::Engine { index, reason });
        }
        self.conclude(index as Index, executed.result, progress)
    }

    /// Checks that the block has enough gas left for the transaction.
    fn admit(&self, index: Index, progress: &Progress<E>) -> Result<(), ExecuteError<E>> {
        if self.watch.cancelled() {
            return Err(ExecuteError::Cancelled { committed: progress.results.len() });
        }
        let gas_limit = self.transaction(index).env.gas_limit;
        let left = self.rules.block.gas_limit.saturating_sub(progress.gas_used);
        if gas_limit > left && !self.rules.cfg.is_block_gas_limit_disabled() {
            return Err(ExecuteError::BlockGas { index: index as usize, gas_limit, left });
        }
        Ok(())
    }

    fn conclude(
        &self,
        index: Index,
        result: ExecutionResult,
        progress: &mut Progress<E>,
    ) -> Result<(), ExecuteError<E>> {
        self.admit(index, progress)?;
        progress.gas_used += result.tx_gas_used();
        if let Some(committed) = self.watch.committed {
            committed(index as usize, &result);
        }
        progress.results.push(result);
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
            view.store.accounts.change(address, |versions| versions.insert(index, AccountWrite::Set(after)));
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

fn publish(index: Index, writes: &Writes, store: &Store) {
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
    store: Store,
    fees: &Fees,
    spec: SpecId,
    state: &D,
) -> Result<FinalWrites, D::Error> {
    let mut writes = FinalWrites::default();
    let beneficiary = fees.beneficiary;
    let mut earner = None;
    for (address, versions) in store.accounts.into_cells() {
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
    let resets: AddressMap<Index> = (store.resets.into_cells())
        .filter_map(|(address, resets)| Some((address, resets.into_iter().max()?)))
        .collect();
    for (key, versions) in store.slots.into_cells() {
        if let Some((writer, word)) = versions.read(Index::MAX)
            && resets.get(&key.0).is_none_or(|reset| *reset <= writer)
        {
            writes.slots.push((key, word));
        }
    }
    writes.wiped = resets.into_keys().collect();
    Ok(writes)
}
