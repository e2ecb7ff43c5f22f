//! The numbers by which the engine is tuned: when threads are worth while, how much is handed over at a time, how long
//! somebody waits before he does something else. One place, so that they can be seen together and weighed together.
//!
//! In: nothing. Out: constants. None of them may reach a result: each decides about time or memory only. The limits of
//! predictions stand with `predict`, because those do decide what a prediction says.
//!
//! Each says what it decides, and ends with the measurement that set it, or with "Not measured" where none is on record:
//! such a number was chosen by its reason, and only the whole is measured, by the tables of `docs/benchmarks.md`. Where
//! a row of a table shows what a number does, the row is named.

use std::time::Duration;

// What transactions take: `schedule`.

/// What a call takes at the least, in nanoseconds. Set by times of serial execution on the real blocks.
pub(crate) const CALL_TIME: u64 = 1_500;

/// What a plain transfer takes, in nanoseconds. Set by times of serial execution on the real blocks; in a batch it is
/// 200 to 500, by `execute`, rows `transfers-*`.
pub(crate) const TRANSFER_TIME: u64 = 500;

/// The gas that takes a nanosecond, beyond what a transaction costs anyway. Set by times of serial execution on the real
/// blocks.
pub(crate) const GAS_PER_NANOSECOND: u64 = 5;

// Whether several threads are worth while: `run`, `run/trial`.

/// The estimated nanoseconds of execution from which on it pays to start threads. Not measured by itself; what blocks
/// below it come to is told under `execute`: most at 0.9 to 1.1 of plain revm.
pub(crate) const WORTH_THREADS: u64 = 400_000;

/// The estimated nanoseconds of execution from which on threads are started at once: what transactions may use says too
/// little of what they do use to be sure of less. Not measured.
pub(crate) const SURELY_WORTH_THREADS: u64 = 2_000_000;

/// The number of calls of contracts from which on it pays to start threads. Set by `examples/node.rs`: to start a thread
/// for four calls cost half of the time that they take.
pub(crate) const WORTH_CALLS: usize = 6;

/// How long a block runs on one thread at least that may turn out to be worth threads. Not measured by itself; rows
/// `block 6196166` and `block 4330482` of `execute` are such blocks.
pub(crate) const TRIAL: Duration = Duration::from_micros(30);

/// How much has to be left after that for threads to be worth while. Not measured by itself; the same rows show it.
pub(crate) const WORTH_LEFT: Duration = Duration::from_micros(200);

/// How many transactions the committing thread runs one after the other while there is nobody else yet: the clock of the
/// trial is looked at between two of these. Not measured.
pub(crate) const FIRST_BATCH: u32 = 2;

// Speculation: `run/dispatcher`, `run/conflicts_by_callee`.

/// How many speculations it takes to tell whether speculating is good enough. Not measured by itself; what is tried in
/// vain is what `execute` says of `mint-counter`, `orders-global-book` and `lending-shared-index` over one thread.
pub(crate) const SPECULATIONS: u64 = 16;

/// How many transactions may become final while all that could be speculated on has to wait, before speculating is given
/// up. Not measured by itself; the same rows show it.
pub(crate) const PATIENCE: usize = 32;

/// What may use more than this part of the gas of all calls is begun first: begun late, it would be waited for in the
/// end. Not measured.
pub(crate) const LONG_PART: u64 = 16;

/// How many transactions are looked at to find one to speculate on, where some are known to conflict. Not measured by
/// itself; row `hybrid-30-hot` of `execute` depends on it.
pub(crate) const LOOK: usize = 64;

/// How many speculations on calls of one contract must have been aborted for its calls to wait for each other. Not
/// measured by itself; row `amm-ten-pools` of `execute` depends on it.
pub(crate) const CALLEE_ABORTS: u32 = 2;

/// One in how many of them must have been, besides. Not measured.
pub(crate) const CALLEE_ABORTED_PART: u32 = 3;

// Batches: `run/dispatcher`, `run/commit`, `run/shared`.

/// The nanoseconds that transactions one after the other should take together, so that handing them over costs little.
/// Set by `execute`, rows `erc20-*`: to hand one over costs 1 to 2 µs, where a transfer of tokens takes 3.
pub(crate) const BATCH_TIME: u64 = 50_000;

/// The most transactions one after the other in a batch that runs ahead. Not measured.
pub(crate) const LONGEST_BATCH: u32 = 32;

/// How many batches ahead of the last final transaction a batch begins at most. Not measured.
pub(crate) const BATCHES_AHEAD: usize = 8;

/// The length of batches where everything runs ahead, which only `Config` can ask for. Not measured.
pub(crate) const EAGER_BATCH: u32 = 3;

/// How many transactions the committing thread runs one after the other while predictions decide what others do. Not
/// measured.
pub(crate) const PLANNED_BATCH: u32 = 8;

/// How many transactions the committing thread runs one after the other where others have nothing to do. Not measured by
/// itself; column *processor* of `execute`, rows `mint-counter` and `amm-one-pool`, depends on it.
pub(crate) const ALONE: u32 = 128;

/// From how many transactions on a batch uses room that is kept for the next. Not measured.
pub(crate) const LONG_BATCH: u32 = 64;

/// By which part the time of the slowest transaction of late is taken to shrink with each batch. Not measured.
pub(crate) const PACE_FADES: u64 = 16;

// Predictions beside execution: `run/dispatcher`.

/// How many transactions are predicted at a time. Not measured.
pub(crate) const PREDICTIONS: usize = 8;

/// How many predictions are taken in at a time that are there already. Not measured.
pub(crate) const GIVEN_PREDICTIONS: usize = 256;

/// How far ahead of the last final transaction predictions are made while nothing can be run. Not measured.
pub(crate) const FARTHEST: usize = 256;

/// How many predictions it takes to tell whether they lead to anything. Not measured by itself; column *predicted* of
/// `execute`, row `amm-one-pool`, depends on it.
pub(crate) const SAMPLE: usize = 32;

/// One in how many predicted transactions has to run ahead and hold for predictions to lead anywhere. Not measured.
pub(crate) const GOOD_PART: usize = 8;

/// How many times as many transactions as have been predicted in vain pass before more are predicted. Not measured by
/// itself; column *processor* of `execute`, row `mint-counter`, depends on it.
pub(crate) const FRUITLESS_PAUSE: usize = 8;

/// How many transactions pass before one is run again that should have to wait, doubled by each that did not hold more
/// than held. Not measured by itself; column *wrong hints* of `execute` shows what it bounds.
pub(crate) const PROBE_PAUSE: usize = 8;

/// How many transactions that ran by prediction must not have held for the predictions to be called wrong. Not measured
/// by itself; column *wrong hints* of `execute` shows what it bounds.
pub(crate) const MISSES: u64 = 4;

/// One in how many of them must not have held, besides; and of speculations, for predictions to be called too careful,
/// at most one in as many. Not measured by itself; the same column shows it.
pub(crate) const MISSED_PART: u64 = 4;

// Waiting: `run/shared`.

/// How often a thread looks again before it lets go of its processor. Not measured.
pub(crate) const SPINS: u32 = 3_000;

/// How often a helper that has found nothing to do looks away for a moment before it sleeps. Not measured.
pub(crate) const GLANCES: u32 = 10;

/// How long a thread sleeps that has found nothing to do, at first and at most. Not measured.
pub(crate) const NAPS: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(1)];

// Memory that threads share, and that each has of its own: `store`, `view`, `worker`.

/// The number of maps that the keys of a table share, so that threads seldom meet. Not measured.
pub(crate) const TABLE_SHARDS: usize = 64;

/// The number of words of a table's filter: 64 thousand bits are several times the pieces that a full block writes. Not
/// measured.
pub(crate) const TABLE_WORDS: usize = 1024;

/// The number of hashes of two words that a thread keeps: 24 KiB, few enough to stay where memory is fastest. Not
/// measured.
pub(crate) const KEPT_HASHES: usize = 256;

/// From which run of a code on a thread that runs ahead has a copy of its own: codes are counted by who uses them, and two
/// threads that count in one place hold each other up. Copying costs as much as a few transactions that do so. Not
/// measured by itself; row `amm-independent` of `execute` depends on it.
pub(crate) const OWN_CODE: u32 = 24;

/// Precompiles that are done sooner than looked up: hashes, and copying. Not measured.
pub(crate) const QUICK_PRECOMPILES: [u16; 4] = [0x02, 0x03, 0x04, 0x09];

// Reading ahead over a slow state: `prefetch`.

/// How many pieces of a slow state are read at a time. Not measured by itself; the tables over a slow state of
/// `docs/benchmarks.md` were made with it.
pub const READERS: usize = 32;

/// The number of maps that the pieces of a state share which are kept, so that threads seldom meet. Not measured.
pub(crate) const KEPT_SHARDS: usize = 64;

/// How long a reader waits that has nothing to read while others find out what to read. Not measured.
pub(crate) const PAUSE: Duration = Duration::from_micros(50);

/// From which time on a transaction that misses nothing is not rehearsed again. Not measured.
pub(crate) const LONG_REHEARSAL: Duration = Duration::from_micros(200);

/// How many times as long as it has taken a rehearsal is not made again: others need the processor, too. Set by `execute`
/// over a slow state: made one after the other, rehearsals took the processor from the threads that execute.
pub(crate) const REST: u32 = 3;

/// How often one after the other nothing new may be missing, before what is missing is taken to be unreadable. Not
/// measured.
pub(crate) const IN_VAIN: u32 = 12;

// Plans that live on: `plan`.

/// How many bundles are known that were taken out and may come back: it bounds memory, which a test of `plan` holds over
/// 20,000 that come and go. Not measured.
pub(crate) const GONE: usize = 4_096;

/// The distance between the ranks of neighbours, which leaves room for 24 others one before the other. Not measured.
pub(crate) const RANK_GAP: u64 = 1 << 24;

#[cfg(test)]
mod tests {
    #[test]
    fn each_number_says_what_set_it() {
        let source = include_str!("tuning.rs").split("#[cfg(test)]").next().expect("there is a first part");
        let (mut comment, mut count) = (String::new(), 0);
        for line in source.lines() {
            if let Some(text) = line.strip_prefix("///") {
                comment.push_str(text);
            } else if line.contains("const ") {
                assert!(
                    comment.contains("Set by ") || comment.contains(" Not measured"),
                    "{line}: {comment}"
                );
                count += 1;
                comment.clear();
            }
        }
        assert!(count > 30, "{count}");
    }
}
