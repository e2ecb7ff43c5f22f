//! Makes executions final, one after the other, in the order of the block.
//!
//! In: executions that ran ahead. Out: final results and versions. What nobody has begun is run here, on a state that is
//! final, so that this thread alone is as fast as one thread can be. An execution that would not be the same now is
//! thrown away, and its transaction runs again in the same way.

use revm::{
    DatabaseRef,
    context_interface::{
        Cfg as _,
        result::{ExecutionResult, InvalidTransaction},
    },
    primitives::hardfork::SpecId,
};

use super::{
    ExecuteError, Watch,
    publish::{publish_final, retract, tell},
    shared::{Next, Shared, Speculation},
    trial::Trial,
};
use crate::{
    block::{BlobLimits, check_form},
    store::{AccountWrite, Index},
    tuning::LONG_BATCH,
    validate::{Validity, holds},
    view::{BatchState, Writes},
    worker::{Batch, BlockRules, Executed, Failure, Worker},
};

/// Makes executions final.
pub(super) struct Committer<'b, 'a, E> {
    shared: &'b Shared<'a, E>,
    rules: &'a BlockRules,
    watch: Watch<'a>,
    pub(super) results: Vec<ExecutionResult>,
    gas_used: u64,
    /// Transactions that ran ahead of their turn, and those of them that ran again in it.
    pub(super) ahead: u64,
    pub(super) reexecutions: u64,
    /// Additions to words that were made final.
    pub(super) deltas: u64,
    /// What the end of the block has written.
    pub(super) left: BatchState,
    /// Room for long batches.
    pub(super) room: BatchState,
}

impl<'b, 'a, E: std::error::Error + 'static> Committer<'b, 'a, E> {
    pub(super) fn new(
        shared: &'b Shared<'a, E>,
        rules: &'a BlockRules,
        watch: Watch<'a>,
        room: BatchState,
    ) -> Self {
        let results = Vec::with_capacity(shared.transactions.len());
        let left = BatchState::default();
        Self { shared, rules, watch, results, gas_used: 0, ahead: 0, reexecutions: 0, deltas: 0, left, room }
    }

    /// Makes everything final. With a `trial`, threads that help are started when that turns out to pay.
    pub(super) fn run<D: DatabaseRef<Error = E>>(
        &mut self,
        worker: &mut Worker<'_, D>,
        mut trial: Option<Trial<'_>>,
    ) -> Result<(), ExecuteError<E>> {
        let mut scratch = None;
        let mut index = 0;
        while (index as usize) < self.shared.transactions.len() {
            if trial.as_mut().is_some_and(|trial| trial.has_begun(index as usize)) {
                trial = None;
            }
            match self.shared.turn(index, worker, &mut scratch) {
                Next::Now => {
                    let end = self.run_from(index, index + 1, worker)?;
                    self.shared.complete(index..end);
                    self.shared.advance(end);
                    index = end;
                }
                Next::Speculated(ahead) => {
                    let Speculation { execution, speculative, watchings } = *ahead;
                    let count = execution.as_ref().map_or(1, |batch| batch.results.len());
                    let end = index + count as Index;
                    self.ahead += count as u64;
                    let check = self.check(index, execution, worker)?;
                    let validated = check == Validity::Holds;
                    // Where loads are to blame that may be parts of deltas, the next speculation will know better.
                    let is_new = match check {
                        Validity::Stale(sites) => self.shared.watch(&sites, watchings),
                        Validity::Holds => false,
                    };
                    if !is_new {
                        self.shared.record_outcome(index..end, speculative, validated);
                    }
                    if !validated {
                        self.reexecutions += count as u64;
                        self.run_all(index, end, worker)?;
                    }
                    self.shared.advance(end);
                    index = end;
                }
            }
        }
        Ok(())
    }

    /// Runs transactions in their turn, the first of which, up to `own`, are ours: as many as should run one after the other and
    /// nobody else has begun. Says where it stopped.
    fn run_from<D: DatabaseRef<Error = E>>(
        &mut self,
        index: Index,
        own: Index,
        worker: &mut Worker<'_, D>,
    ) -> Result<Index, ExecuteError<E>> {
        let last = self.shared.end_of_batch(index);
        let mut end = own;
        if last <= own {
            self.run_all(index, own, worker)?;
            return Ok(own);
        }
        // Room for a whole block is there for long batches; it would have to be swept after each of many short ones.
        let is_long = last - index > LONG_BATCH;
        if is_long {
            std::mem::swap(worker.batch_state(), &mut self.room);
        }
        worker.begin_batch();
        let mut next = index;
        while next < end {
            self.run_in_batch(next, worker)?;
            next += 1;
            if next == end && next < last && self.shared.may_run(next) {
                end += 1;
            }
        }
        self.end_batch(end, worker);
        if is_long && (end as usize) < self.shared.transactions.len() {
            std::mem::swap(worker.batch_state(), &mut self.room);
        }
        Ok(end)
    }

    /// Runs transactions that are ours in their turn.
    fn run_all<D: DatabaseRef<Error = E>>(
        &mut self,
        index: Index,
        end: Index,
        worker: &mut Worker<'_, D>,
    ) -> Result<(), ExecuteError<E>> {
        if end == index + 1 {
            return self.run_in_turn(index, worker);
        }
        worker.begin_batch();
        for next in index..end {
            self.run_in_batch(next, worker)?;
        }
        self.end_batch(end, worker);
        Ok(())
    }

    /// Tells others what a batch has come to that stopped before `end`. What comes last in the block nobody has to be told.
    fn end_batch<D: DatabaseRef<Error = E>>(&mut self, end: Index, worker: &mut Worker<'_, D>) {
        if end as usize == self.shared.transactions.len() {
            self.left = std::mem::take(worker.batch_state());
        } else {
            let store = worker.view().store();
            tell(end - 1, worker.batch_state(), store);
        }
        worker.end_batch();
    }

    /// Makes an execution final that ran ahead, if it would be the same now.
    fn check<D: DatabaseRef<Error = E>>(
        &mut self,
        index: Index,
        execution: Result<Batch, Failure<E>>,
        worker: &mut Worker<'_, D>,
    ) -> Result<Validity, ExecuteError<E>> {
        let Ok(executed) = execution else { return Ok(Validity::Stale(Vec::new())) };
        let last = index + executed.results.len() as Index - 1;
        let database = |source| ExecuteError::Database { index: index as usize, source };
        let mut validity =
            guarded(index, || holds(&executed.effects.reads, worker.view_of(index)).map_err(database))?;
        if validity == Validity::Holds && !self.settle(index, last, &executed.effects.writes, worker)? {
            validity = Validity::Stale(Vec::new());
        }
        if validity == Validity::Holds {
            self.deltas += executed.effects.writes.deltas.len() as u64;
            for (number, result) in (index..).zip(executed.results) {
                self.conclude(number, result)?;
            }
            self.shared.give_back(executed.effects);
            return Ok(validity);
        }
        retract(last, &executed.effects.writes, worker.view().store());
        self.shared.give_back(executed.effects);
        Ok(validity)
    }

    fn run_in_turn<D: DatabaseRef<Error = E>>(
        &mut self,
        index: Index,
        worker: &mut Worker<'_, D>,
    ) -> Result<(), ExecuteError<E>> {
        let executed = self.execute(index, worker)?;
        self.publish_last(index, &executed.effects.writes, worker)?;
        self.conclude(index, executed.result)?;
        worker.spare = executed.effects;
        Ok(())
    }

    /// Runs a transaction of a batch in its turn.
    fn run_in_batch<D: DatabaseRef<Error = E>>(
        &mut self,
        index: Index,
        worker: &mut Worker<'_, D>,
    ) -> Result<(), ExecuteError<E>> {
        self.admit(index)?;
        let transaction = &self.shared.transactions[index as usize].env;
        let database = |source| ExecuteError::Database { index: index as usize, source };
        if transaction.data.is_empty()
            && let Some(result) =
                guarded(index, || worker.transfer_in_batch(index, transaction).map_err(database))?
        {
            return self.conclude(index, result);
        }
        let executed = self.execute(index, worker)?;
        let writes = &executed.effects.writes;
        if worker.batch_state().settle(writes) {
            worker.view().fees.pay(writes.fee, true);
        } else {
            // What a batch cannot hold is told by itself, after what came before it.
            let store = worker.view().store();
            tell(index.saturating_sub(1), worker.batch_state(), store);
            self.publish_last(index, writes, worker)?;
        }
        self.conclude(index, executed.result)?;
        worker.spare = executed.effects;
        Ok(())
    }

    fn execute<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        worker: &mut Worker<'_, D>,
    ) -> Result<Executed, ExecuteError<E>> {
        let transaction = &self.shared.transactions[index as usize];
        self.admit(index)?;
        let executed = worker.run_in_turn(index, &transaction.env);
        let number = index as usize;
        executed.map_err(|failure| match failure {
            Failure::Engine(_) if self.watch.cancelled() => {
                ExecuteError::Cancelled { committed: self.results.len() }
            }
            Failure::Invalid(reason) => {
                ExecuteError::InvalidTransaction { index: number, sender: transaction.env.caller, reason }
            }
            Failure::Database(source) => ExecuteError::Database { index: number, source },
            Failure::Engine(reason) => ExecuteError::Engine { index: number, reason },
            Failure::Panic(message) => ExecuteError::Panicked { index: number, message },
        })
    }

    /// Tells others what the last transaction that is final has written.
    fn publish_last<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        writes: &Writes,
        worker: &mut Worker<'_, D>,
    ) -> Result<(), ExecuteError<E>> {
        publish_final(index, writes, worker.view().store());
        if self.settle(index, index, writes, worker)? {
            return Ok(());
        }
        let reason = "a balance or nonce leaves its range".to_owned();
        Err(ExecuteError::Engine { index: index as usize, reason })
    }

    /// Checks that the block has enough gas left for the transaction.
    fn admit(&self, index: Index) -> Result<(), ExecuteError<E>> {
        if self.watch.cancelled() {
            return Err(ExecuteError::Cancelled { committed: self.results.len() });
        }
        let transaction = &self.shared.transactions[index as usize];
        // Of what a transaction may have, revm does not look at this, and counts blobs itself.
        if let Err(problem) = check_form(transaction, self.rules.cfg.spec, BlobLimits::default()) {
            let (sender, reason) =
                (transaction.env.caller, InvalidTransaction::Str(problem.to_string().into()));
            return Err(ExecuteError::InvalidTransaction { index: index as usize, sender, reason });
        }
        let gas_limit = transaction.env.gas_limit;
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

    /// Turns what transactions from `index` to `last` add to accounts and slots into what they are, and pays their fees.
    /// False if that is not possible.
    fn settle<D: DatabaseRef<Error = E>>(
        &self,
        index: Index,
        last: Index,
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
        for (address, slot, addition) in &writes.deltas {
            let database = |source| ExecuteError::Database { index: index as usize, source };
            let (before, _) = guarded(index, || view.word(*address, *slot).map_err(database))?;
            let after = before.wrapping_add(*addition);
            view.store.slots.change((*address, *slot), |versions| versions.settle(last, after));
        }
        for (address, after) in settled {
            view.store.accounts.change(address, |versions| versions.settle(last, after));
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
