//! All that two threads can do to the store and to the turns of transactions, one interleaving after the other, by loom.
//!
//! The sources themselves are compiled here, on loom's locks and atomics instead of the standard library's.

/// What the sources are built of.
mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
    };

    /// Few, so that keys meet and a model stays small.
    pub(crate) const TABLE_SHARDS: usize = 2;
    /// Few, so that keys meet and a model stays small.
    pub(crate) const TABLE_WORDS: usize = 2;
}

#[path = "../src/store/table.rs"]
mod table;
#[path = "../src/run/turns.rs"]
mod turns;

use loom::{sync::Arc, thread};

use table::{Table, lock};
use turns::{Stage, Turns};

type Versions = Table<u64, Vec<u32>>;

#[test]
fn what_is_published_before_the_end_is_found_after_it() {
    loom::model(|| {
        let shared = Arc::new((Versions::default(), Turns::new(1)));
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let (table, turns) = &*other;
            assert!(turns.claim(0));
            table.change(7, |versions| versions.push(0));
            turns.finish(0);
        });
        let (table, turns) = &*shared;
        if turns.stage(0) == Stage::Done {
            assert_eq!(table.with(&7, Clone::clone), Some(vec![0]));
        }
        writer.join().expect("it does not panic");
        assert_eq!(table.with(&7, Clone::clone), Some(vec![0]));
    });
}

#[test]
fn nobody_loses_what_the_other_writes() {
    loom::model(|| {
        let table = Arc::new(Versions::default());
        let other = Arc::clone(&table);
        let writer = thread::spawn(move || {
            other.change(1, |versions| versions.push(1));
            other.change(2, |versions| versions.push(1));
        });
        table.change(2, |versions| versions.push(2));
        table.change(3, |versions| versions.push(2));
        writer.join().expect("it does not panic");
        let Ok(mut table) = Arc::try_unwrap(table) else { panic!("nobody else has it") };
        table.reserve(10);
        assert!(table.bytes() > 0);
        let mut all: Vec<_> = table.drain().collect();
        all.sort();
        all[1].1.sort_unstable();
        assert_eq!(all, [(1, vec![1]), (2, vec![1, 2]), (3, vec![2])]);
        assert_eq!(table.with(&1, Vec::len), None);
    });
}

#[test]
fn a_transaction_is_claimed_once() {
    loom::model(|| {
        let turns = Arc::new((Turns::new(2), loom::sync::Mutex::new(0)));
        let claim = |turns: &(Turns, loom::sync::Mutex<u32>)| {
            for index in 0..2 {
                if turns.0.claim(index) {
                    *lock(&turns.1) += 1;
                }
            }
        };
        let other = Arc::clone(&turns);
        let helper = thread::spawn(move || claim(&other));
        claim(&turns);
        helper.join().expect("it does not panic");
        assert_eq!(*lock(&turns.1), 2);
        assert_eq!(turns.0.stage(0), Stage::Claimed);
    });
}

#[test]
fn whoever_waits_is_told_of_the_end() {
    loom::model(|| {
        let turns = Arc::new(Turns::new(1));
        assert!(turns.claim(0));
        assert_eq!(turns.stage(0), Stage::Claimed);
        let other = Arc::clone(&turns);
        let helper = thread::spawn(move || other.finish(0));
        let waits = turns.await_end(0);
        let told = helper.join().expect("it does not panic");
        // Either the one sees the end, or the other sees that somebody waits.
        assert!(!waits || told);
        turns.stop_waiting();
        assert_eq!(turns.stage(0), Stage::Done);
        assert!(!turns.claim(0));
    });
}

#[test]
fn a_row_ends_with_what_it_has_executed() {
    loom::model(|| {
        let shared = Arc::new((Versions::default(), Turns::new(3)));
        let other = Arc::clone(&shared);
        let helper = thread::spawn(move || {
            let (table, turns) = &*other;
            assert!((0..3).all(|index| turns.claim(index)));
            table.change(7, |versions| versions.push(1));
            // The last one did not fit, and is free before anybody can come to it.
            turns.release(2..3);
            turns.complete(1..2);
            turns.finish(0);
        });
        let (table, turns) = &*shared;
        if turns.stage(0) == Stage::Done {
            assert_eq!(table.with(&7, Clone::clone), Some(vec![1]));
            assert_eq!(turns.stage(1), Stage::Done);
            assert!(turns.claim(2));
        }
        helper.join().expect("it does not panic");
        assert_eq!(turns.stage(0), Stage::Done);
    });
}
