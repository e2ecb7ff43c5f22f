//! A state that is kept once it is read, and readers that read ahead.
//!
//! In: a state that takes its time, and predictions. Out: the same state, most of it at hand by the time it is needed.
//! Reading ahead changes nothing but the time: what was not predicted is read when it is asked for, and a reading that
//! fails is tried again by whoever needs it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, TxKind, U256};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    access_set::{AccessSet, AccountAccess},
    block::Transaction,
    predict::{BlockContext, Predictor, Scratch},
    store::lock,
};

/// The number of maps that keys share, so that threads seldom meet.
const SHARDS: usize = 64;

/// How long a reader waits that has nothing to read while others find out what to read.
const PAUSE: Duration = Duration::from_micros(50);

/// A state that is read once.
#[derive(Debug)]
pub struct CachedState<'a, D> {
    state: &'a D,
    accounts: Vec<Mutex<FxHashMap<Address, Option<AccountInfo>>>>,
    slots: Vec<Mutex<FxHashMap<(Address, U256), U256>>>,
    codes: Mutex<FxHashMap<B256, Bytecode>>,
    block_hashes: Mutex<FxHashMap<u64, B256>>,
}

/// Something to read ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Account(Address),
    Slot(Address, U256),
}

impl<'a, D: DatabaseRef> CachedState<'a, D> {
    /// A cache of `state`, which must not change while it is used.
    pub fn new(state: &'a D) -> Self {
        Self {
            state,
            accounts: (0..SHARDS).map(|_| Mutex::default()).collect(),
            slots: (0..SHARDS).map(|_| Mutex::default()).collect(),
            codes: Mutex::default(),
            block_hashes: Mutex::default(),
        }
    }
}

impl<D: DatabaseRef + Sync> CachedState<'_, D> {
    /// Reads what the predictions name, `readers` pieces at a time, in the order of the transactions, until all is read
    /// or `stop` is set.
    pub fn prefetch(
        &self,
        transactions: &[Transaction],
        hints: &[AccessSet],
        readers: usize,
        stop: &AtomicBool,
    ) {
        let mut wanted = Wanted::default();
        for (index, transaction) in transactions.iter().enumerate() {
            wanted.by_transaction(transaction);
            if let Some(hint) = hints.get(index) {
                wanted.by_prediction(hint);
            }
        }
        let wanted = wanted.pieces;
        let next = AtomicUsize::new(0);
        on_threads(readers, || {
            while let Some(piece) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                self.read(*piece);
            }
        });
    }

    /// Predicts the transactions and reads what the predictions name, `readers` things at a time, in the order of the
    /// transactions, until all is read or `stop` is set. Says how long predictions took, the waits of all readers added
    /// up.
    pub(crate) fn predict_ahead(
        &self,
        context: BlockContext<'_>,
        transactions: &[Transaction],
        predictor: &Predictor,
        readers: usize,
        stop: &AtomicBool,
    ) -> Duration {
        let mut wanted = Wanted::default();
        // What needs no prediction comes first: predictions will ask for it.
        for transaction in transactions {
            wanted.by_transaction(transaction);
        }
        let wanted = Mutex::new(wanted);
        let (next, open) = (AtomicUsize::new(0), AtomicUsize::new(transactions.len()));
        let took = AtomicU64::new(0);
        on_threads(readers, || {
            let mut scratch = Scratch::default();
            while !stop.load(Ordering::Relaxed) {
                let piece = lock(&wanted).take();
                if let Some(piece) = piece {
                    self.read(piece);
                    continue;
                }
                let Some(transaction) = transactions.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    if open.load(Ordering::Acquire) == 0 {
                        return;
                    }
                    // Others are about to find more to read.
                    thread::sleep(PAUSE);
                    continue;
                };
                let start = Instant::now();
                let predict = || predictor.predict_with(&mut scratch, &transaction.env, context, self);
                let set = catch_unwind(AssertUnwindSafe(predict));
                let time = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                took.fetch_add(time, Ordering::Relaxed);
                match set {
                    Ok(set) => lock(&wanted).by_prediction(&set),
                    // Whoever needs what makes the state panic meets the panic again.
                    Err(_) => scratch = Scratch::default(),
                }
                open.fetch_sub(1, Ordering::Release);
            }
        });
        Duration::from_nanos(took.into_inner())
    }

    /// Reads a piece to have it at hand. Whoever needs what cannot be read is told so.
    fn read(&self, piece: Piece) {
        match piece {
            Piece::Account(address) => {
                if let Ok(Some(info)) = self.basic_ref(address)
                    && !info.is_code_hash_empty_or_zero()
                {
                    drop(self.code_by_hash_ref(info.code_hash));
                }
            }
            Piece::Slot(address, slot) => drop(self.storage_ref(address, slot)),
        }
    }
}

/// Does the same on several threads, one of them this one. Whoever needs what makes the state panic meets the panic again.
fn on_threads(threads: usize, work: impl Fn() + Sync) {
    let work = || drop(catch_unwind(AssertUnwindSafe(&work)));
    thread::scope(|scope| {
        for _ in 1..threads {
            // With fewer readers it takes longer, that is all.
            drop(thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
}

/// Predicts all transactions of a block on the state before it, on several threads.
pub(crate) fn predict_all<D: DatabaseRef + Sync>(
    context: BlockContext<'_>,
    transactions: &[Transaction],
    state: &D,
    predictor: &Predictor,
    threads: usize,
) -> Vec<AccessSet> {
    // A few at a time, unless there are so many threads that some would have nothing.
    let batch = (transactions.len() / (2 * threads.max(1))).clamp(1, 8);
    let batches = transactions.len().div_ceil(batch);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(batches));
    let work = || {
        let mut scratch = Scratch::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = transactions.chunks(batch).nth(number) else { return };
            let predict = |it: &Transaction| predictor.predict_with(&mut scratch, &it.env, context, state);
            let sets: Vec<_> = part.iter().map(predict).collect();
            lock(&done).push((number, sets));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(batches) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().flat_map(|(_, sets)| sets).collect()
}

/// What is to be read, each piece once, and how far that has come.
#[derive(Debug, Default)]
struct Wanted {
    seen: FxHashSet<Piece>,
    pieces: Vec<Piece>,
    taken: usize,
}

impl Wanted {
    fn add(&mut self, piece: Piece) {
        if self.seen.insert(piece) {
            self.pieces.push(piece);
        }
    }

    fn by_transaction(&mut self, transaction: &Transaction) {
        self.add(Piece::Account(transaction.env.caller));
        if let TxKind::Call(to) = transaction.env.kind {
            self.add(Piece::Account(to));
        }
    }

    fn by_prediction(&mut self, set: &AccessSet) {
        for access in &set.accounts {
            let (AccountAccess::BalanceRead(address)
            | AccountAccess::BalanceCredit(address)
            | AccountAccess::BalanceDebit(address)
            | AccountAccess::NonceWrite(address)
            | AccountAccess::CodeRead(address)
            | AccountAccess::CodeWrite(address)) = *access;
            self.add(Piece::Account(address));
        }
        for &(address, slot) in set.reads.iter().chain(&set.writes) {
            self.add(Piece::Account(address));
            self.add(Piece::Slot(address, slot));
        }
    }

    fn take(&mut self) -> Option<Piece> {
        let piece = self.pieces.get(self.taken).copied()?;
        self.taken += 1;
        Some(piece)
    }
}

fn account_shard(address: &Address) -> usize {
    usize::from(address[19]) % SHARDS
}

fn slot_shard(address: &Address, slot: &U256) -> usize {
    (usize::from(address[19]) ^ slot.byte(0) as usize ^ slot.byte(31) as usize) % SHARDS
}

impl<D: DatabaseRef> DatabaseRef for CachedState<'_, D> {
    type Error = D::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, D::Error> {
        let shard = &self.accounts[account_shard(&address)];
        if let Some(info) = lock(shard).get(&address) {
            return Ok(info.clone());
        }
        let info = self.state.basic_ref(address)?;
        lock(shard).insert(address, info.clone());
        Ok(info)
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, D::Error> {
        if let Some(code) = lock(&self.codes).get(&hash) {
            return Ok(code.clone());
        }
        let code = self.state.code_by_hash_ref(hash)?;
        lock(&self.codes).insert(hash, code.clone());
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, D::Error> {
        let shard = &self.slots[slot_shard(&address, &slot)];
        if let Some(word) = lock(shard).get(&(address, slot)) {
            return Ok(*word);
        }
        let word = self.state.storage_ref(address, slot)?;
        lock(shard).insert((address, slot), word);
        Ok(word)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, D::Error> {
        if let Some(hash) = lock(&self.block_hashes).get(&number) {
            return Ok(*hash);
        }
        let hash = self.state.block_hash_ref(number)?;
        lock(&self.block_hashes).insert(number, hash);
        Ok(hash)
    }
}

/// A state each reading of which takes a while, as one on disk or across a network does.
#[derive(Clone, Copy, Debug)]
pub struct SlowState<'a, D> {
    /// The state.
    pub state: &'a D,
    /// How long a reading takes.
    pub latency: Duration,
}

impl<D: DatabaseRef> DatabaseRef for SlowState<'_, D> {
    type Error = D::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, D::Error> {
        thread::sleep(self.latency);
        self.state.basic_ref(address)
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, D::Error> {
        thread::sleep(self.latency);
        self.state.code_by_hash_ref(hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, D::Error> {
        thread::sleep(self.latency);
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, D::Error> {
        thread::sleep(self.latency);
        self.state.block_hash_ref(number)
    }
}
