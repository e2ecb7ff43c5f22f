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
#[path = "../src/run/claims.rs"]
mod claims;

use loom::{sync::Arc, thread};

use claims::{Claims, Stage};
use table::{Table, lock};

type Versions = Table<u64, Vec<u32>>;

#[test]
fn what_is_published_before_the_end_is_found_after_it() {
    loom::model(|| {
        let shared = Arc::new((Versions::default(), Claims::new(1)));
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            let (table, claims) = &*other;
            assert!(claims.claim(0));
            table.change(7, |versions| versions.push(0));
            claims.finish(0);
        });
        let (table, claims) = &*shared;
        if claims.stage(0) == Stage::Done {
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
        let claims = Arc::new((Claims::new(2), loom::sync::Mutex::new(0)));
        let claim = |claims: &(Claims, loom::sync::Mutex<u32>)| {
            for index in 0..2 {
                if claims.0.claim(index) {
                    *lock(&claims.1) += 1;
                }
            }
        };
        let other = Arc::clone(&claims);
        let helper = thread::spawn(move || claim(&other));
        claim(&claims);
        helper.join().expect("it does not panic");
        assert_eq!(*lock(&claims.1), 2);
        assert_eq!(claims.0.stage(0), Stage::Claimed);
    });
}

#[test]
fn whoever_waits_is_told_of_the_end() {
    loom::model(|| {
        let claims = Arc::new(Claims::new(1));
        assert!(claims.claim(0));
        assert_eq!(claims.stage(0), Stage::Claimed);
        let other = Arc::clone(&claims);
        let helper = thread::spawn(move || other.finish(0));
        let waits = claims.await_end(0);
        let told = helper.join().expect("it does not panic");
        // Either the one sees the end, or the other sees that somebody waits.
        assert!(!waits || told);
        claims.stop_waiting();
        assert_eq!(claims.stage(0), Stage::Done);
        assert!(!claims.claim(0));
    });
}

#[test]
fn a_row_ends_with_what_it_has_executed() {
    loom::model(|| {
        let shared = Arc::new((Versions::default(), Claims::new(3)));
        let other = Arc::clone(&shared);
        let helper = thread::spawn(move || {
            let (table, claims) = &*other;
            assert!((0..3).all(|index| claims.claim(index)));
            table.change(7, |versions| versions.push(1));
            // The last one did not fit, and is free before anybody can come to it.
            claims.release(2..3);
            claims.complete(1..2);
            claims.finish(0);
        });
        let (table, claims) = &*shared;
        if claims.stage(0) == Stage::Done {
            assert_eq!(table.with(&7, Clone::clone), Some(vec![1]));
            assert_eq!(claims.stage(1), Stage::Done);
            assert!(claims.claim(2));
        }
        helper.join().expect("it does not panic");
        assert_eq!(claims.stage(0), Stage::Done);
    });
}
