//! Runs transactions before their state is at hand, to find out what they will read.
//!
//! In: an execution, and what has been read for it so far. Out: what else its transactions ask for. A word that is not at
//! hand is taken to be zero, so that all readings are found at once whose places do not depend on it; the others are found
//! the next time. Transactions run one after the other on what the ones before them leave, so that counters count on:
//! where each transaction writes to the place that a counter names, no look at the state before the block can tell which
//! place that will be. Nothing that comes out here is ever a result.

use std::{
    sync::{Mutex, atomic::Ordering},
    time::Instant,
};

use super::{Find, Scene, Wanted, kept::Peek};
use crate::{
    store::{Index, lock},
    tuning::{IN_VAIN, LONG_REHEARSAL, PAUSE, REST},
    worker::Worker,
};

/// Transactions that are run again and again until they miss nothing.
pub(super) struct Rehearsal<'r> {
    scene: &'r Scene<'r>,
    peek: &'r Peek<'r>,
    worker: Worker<'r, Peek<'r>>,
    /// Whether a transaction has taken long and missed nothing.
    is_known: Vec<bool>,
    /// When it may be worth while to run them again.
    due: Instant,
    /// How often one after the other nothing new was missing.
    in_vain: u32,
}

impl<'r> Rehearsal<'r> {
    pub(super) fn new(scene: &'r Scene<'r>, peek: &'r Peek<'r>) -> Self {
        Self {
            scene,
            peek,
            worker: Worker::new(scene.rules, peek, scene.store, scene.fees).ended_by(scene.over),
            is_known: vec![false; scene.transactions.len()],
            due: Instant::now(),
            in_vain: 0,
        }
    }

    /// Runs what is not final, if it is time to, and wants what was missing. Nothing if nothing was.
    pub(super) fn step(&mut self, wanted: &Mutex<Wanted>) -> Find {
        let begin = Instant::now();
        if begin < self.due {
            return Find::Later;
        }
        self.run();
        let missing = self.peek.missing();
        if missing.is_empty() || self.peek.is_over() {
            return Find::Nothing;
        }
        let mut new = false;
        let mut wanted = lock(wanted);
        for piece in missing {
            new |= wanted.add(piece);
        }
        drop(wanted);
        self.in_vain = if new { 0 } else { self.in_vain + 1 };
        if self.in_vain > IN_VAIN {
            return Find::Nothing;
        }
        // What is missing takes its time to arrive.
        let end = Instant::now();
        self.due = end + (REST * (end - begin)).max(PAUSE * (1 << self.in_vain));
        if new { Find::Something } else { Find::Later }
    }

    fn run(&mut self) {
        let start = self.scene.committed.load(Ordering::Acquire);
        self.worker.begin_batch();
        let mut time = Instant::now();
        for (index, transaction) in self.scene.transactions.iter().enumerate().skip(start) {
            if self.is_known[index] {
                continue;
            }
            if self.scene.is_over() {
                break;
            }
            let missing = self.peek.count();
            // The state is the one before the first of them; what they leave to each other lies over it.
            if let Ok(executed) = self.worker.run_in_turn(start as Index, &transaction.env) {
                // What a batch cannot hold the next transactions do without.
                self.worker.batch_state().settle(&executed.effects.writes);
                self.worker.spare = executed.effects;
            }
            let end = Instant::now();
            self.is_known[index] = end - time > LONG_REHEARSAL && self.peek.count() == missing;
            time = end;
        }
        self.worker.end_batch();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use alloy_primitives::{Address, Bytes, TxKind, U256};
    use revm::{
        DatabaseRef as _,
        bytecode::Bytecode,
        context::{BlockEnv, CfgEnv, TxEnv},
        database::{CacheDB, EmptyDB},
        state::AccountInfo,
    };

    use super::{
        super::{CachedState, Piece},
        *,
    };
    use crate::{
        block::Transaction,
        store::{Answers, Fees, Store},
        worker::BlockRules,
    };

    const COUNTER: Address = Address::repeat_byte(0xcc);

    /// Counts in slot 0, and loads the slot 256 above the count that it has found: PUSH0 SLOAD DUP1 PUSH1 1 ADD PUSH0
    /// SSTORE PUSH2 256 ADD SLOAD STOP.
    const CODE: [u8; 15] = [0x5f, 0x54, 0x80, 0x60, 1, 0x01, 0x5f, 0x55, 0x61, 1, 0, 0x01, 0x54, 0x00, 0x00];

    #[test]
    fn what_a_counter_will_name_is_wanted_before_it_has_counted() {
        let mut state = CacheDB::new(EmptyDB::default());
        let code = Bytecode::new_raw(Bytes::from_static(&CODE));
        let info = AccountInfo { code_hash: code.hash_slow(), code: Some(code), ..AccountInfo::default() };
        state.insert_account_info(COUNTER, info);
        state.insert_account_storage(COUNTER, U256::ZERO, U256::from(7)).expect("it is in memory");
        let cached = CachedState::new(&state);
        let call = |from: u8| Transaction {
            hash: None,
            env: TxEnv {
                caller: Address::repeat_byte(from),
                kind: TxKind::Call(COUNTER),
                gas_limit: 100_000,
                ..TxEnv::default()
            },
        };
        let transactions = [1, 2, 3].map(call);
        let rules =
            BlockRules { block: BlockEnv::default(), cfg: CfgEnv::default(), answers: Answers::default() };
        let (store, fees) = (Store::default(), Fees::new(Address::ZERO));
        let (committed, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let scene = Scene {
            rules: &rules,
            transactions: &transactions,
            store: &store,
            fees: &fees,
            committed: &committed,
            over: &over,
            cancel: None,
        };
        let peek = Peek::new(&cached.kept, &over);
        let mut rehearsal = Rehearsal::new(&scene, &peek);
        let wanted = Mutex::new(Wanted::default());
        let mut step = |found: Find| {
            rehearsal.due = Instant::now();
            assert_eq!(rehearsal.step(&wanted), found);
            std::mem::take(&mut lock(&wanted).pieces)
        };
        // One after the other it is found out what is missing, and never waited for.
        assert!(step(Find::Something).contains(&Piece::Account(COUNTER)));
        for transaction in &transactions {
            cached.basic_ref(transaction.env.caller).expect("it is in memory");
        }
        cached.basic_ref(COUNTER).expect("it is in memory");
        cached.basic_ref(Address::ZERO).expect("it is in memory");
        let slot = |number: u64| Piece::Slot(COUNTER, U256::from(number));
        assert_eq!(step(Find::Something), [slot(0), slot(256), slot(257), slot(258)]);
        cached.storage_ref(COUNTER, U256::ZERO).expect("it is in memory");
        assert_eq!(step(Find::Something), [slot(263), slot(264), slot(265)]);
        for number in 263..266 {
            cached.storage_ref(COUNTER, U256::from(number)).expect("it is in memory");
        }
        assert_eq!(step(Find::Nothing), []);
    }
}
