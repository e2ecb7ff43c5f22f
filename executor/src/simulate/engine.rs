//! How fast the bundled executor would be on more processors, with all that it costs to execute in parallel.
//!
//! In: a block, its true and its predicted dependencies. Out: times. What each transaction takes in its turn and ahead of
//! it, what two processors take from each other by sharing memory, and what a block costs apart from its transactions is
//! measured on this machine; only who does what when is imagined. More than two processors are taken to disturb each other
//! as two do, which is the least that they will.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    block::Block,
    dag::Dag,
    run::{Config, Executor, Mode, Predictions, Watch},
    state::BlockState,
    store::lock,
    tuning::{LONG_PART, LOOK},
};

/// How often each way to execute is timed; the shortest time counts.
const TIMINGS: usize = 3;

/// What the executor takes for a block, in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Costs {
    /// Each transaction in its turn.
    in_turn: Vec<u64>,
    /// Each transaction ahead of its turn, with all that makes it final afterwards; none if it is left to its turn.
    ahead: Vec<Option<u64>>,
    /// What comes on top for the block.
    block: u64,
    /// How much longer everything takes while other processors are at work.
    slowdown: f64,
}

/// Measures what a block costs; none if it cannot be executed.
pub(super) fn measure(block: &Block, state: &BlockState) -> Option<Costs> {
    let count = block.transactions.len();
    let (mut in_turn, mut serial, mut eager) = (vec![u64::MAX; count], u64::MAX, u64::MAX);
    let one =
        |mode, may_fall_back| Executor::new(Config { threads: 1, mode, may_fall_back, ..Config::default() });
    let (plain, ahead) = (one(Mode::Serial, true), one(Mode::Optimistic, false));
    for _ in 0..TIMINGS {
        let (whole, each) = time(&plain, block, state)?;
        serial = serial.min(whole);
        in_turn.iter_mut().zip(each).for_each(|(least, time)| *least = (*least).min(time));
        eager = eager.min(time(&ahead, block, state)?.0);
    }
    let sum: u64 = in_turn.iter().sum();
    let is_left = |index: usize| block.transactions[index].env.data.is_empty();
    // What is left to its turn in any case takes the same in both.
    let left: u64 = (0..count).filter(|it| is_left(*it)).map(|it| in_turn[it]).sum();
    let factor = eager.saturating_sub(left) as f64 / serial.saturating_sub(left).max(1) as f64;
    let ahead =
        (0..count).map(|index| (!is_left(index)).then(|| (in_turn[index] as f64 * factor.max(1.0)) as u64));
    let (mut together, helper) = (u64::MAX, one(Mode::Serial, true));
    for _ in 0..TIMINGS {
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(|| Some(time(&helper, block, state)?.0));
            let own = time(&plain, block, state)?.0;
            Some(own.max(other.join().ok()??))
        });
        together = together.min(both?);
    }
    let thread = (0..TIMINGS).map(|_| {
        let start = Instant::now();
        std::thread::scope(|scope| drop(scope.spawn(|| ()).join()));
        nanoseconds(start.elapsed())
    });
    Some(Costs {
        ahead: ahead.collect(),
        block: serial.saturating_sub(sum) + thread.min().unwrap_or(0),
        slowdown: (together as f64 / serial.max(1) as f64).max(1.0),
        in_turn,
    })
}

/// The time of an execution, and of each transaction from the one before it on.
fn time(executor: &Executor, block: &Block, state: &BlockState) -> Option<(u64, Vec<u64>)> {
    let ends = Mutex::new(Vec::with_capacity(block.transactions.len() + 1));
    let note = |_: usize, _: &_| lock(&ends).push(Instant::now());
    let watch = Watch { committed: Some(&note), cancel: None };
    lock(&ends).push(Instant::now());
    let (env, rules, transactions) = (block.env(), block.rules(), &block.transactions);
    let executed = executor.execute_watched(env, rules, transactions, state, Predictions::None, watch);
    let whole = nanoseconds(executed.ok()?.figures.execute);
    let ends = lock(&ends);
    Some((whole, ends.windows(2).map(|pair| nanoseconds(pair[1] - pair[0])).collect()))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// It runs or ran ahead, from one time to another.
    Ahead(u64, u64),
    Final,
}

/// How far transactions are.
struct Scene {
    stages: Vec<Stage>,
    /// When others find what a transaction writes.
    there: Vec<u64>,
}

/// The nanoseconds that the executor would take on so many processors: one makes transactions final in order and runs what
/// nobody has begun, the others run ahead what has nothing to wait for by what is `known`.
pub(super) fn executed(costs: &Costs, known: &Dag, truth: &Dag, cores: usize) -> u64 {
    let count = costs.in_turn.len();
    if cores < 2 {
        return costs.in_turn.iter().sum::<u64>() + costs.block;
    }
    let slow = |time: u64| (time as f64 * costs.slowdown) as u64;
    let mut scene = Scene { stages: vec![Stage::Open; count], there: vec![u64::MAX; count] };
    let mut helpers = vec![0_u64; cores - 1];
    // What takes long is begun first.
    let all: u64 = costs.in_turn.iter().sum();
    let mut giants: Vec<usize> = (0..count).filter(|it| costs.in_turn[*it] > all / LONG_PART).collect();
    giants.sort_unstable_by_key(|it| std::cmp::Reverse(costs.in_turn[*it]));
    let (mut now, mut next) = (0, 0);
    // Runs something ahead, and says until when; nothing if there is nothing to run at that time.
    let run_ahead = |scene: &mut Scene, next: usize, time: u64| {
        let Scene { stages, there } = scene;
        let near = next + 1..count.min(next + 1 + LOOK);
        let far = giants.iter().copied().filter(|index| *index > next);
        let index = far.chain(near).find(|&index| {
            stages[index] == Stage::Open
                && costs.ahead[index].is_some()
                && known.before[index].iter().all(|before| there[*before as usize] <= time)
        })?;
        let end = time + slow(costs.ahead[index]?);
        (stages[index], there[index]) = (Stage::Ahead(time, end), end);
        Some(end)
    };
    while next < count {
        // Whoever is free first does something first; who finds nothing to do looks again when something is final.
        while let Some(helper) = helpers.iter_mut().min().filter(|helper| **helper <= now) {
            *helper = run_ahead(&mut scene, next, *helper).unwrap_or(now + 1);
        }
        let mut runs = true;
        if let Stage::Ahead(start, end) = scene.stages[next] {
            while now < end {
                now = run_ahead(&mut scene, next, now).unwrap_or(end);
            }
            runs = truth.before[next].iter().any(|before| scene.there[*before as usize] > start);
        }
        if runs {
            now += slow(costs.in_turn[next]);
            scene.there[next] = now;
        }
        scene.stages[next] = Stage::Final;
        next += 1;
    }
    now + costs.block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processors_share_what_does_not_depend_on_each_other() {
        let costs = Costs { in_turn: vec![10; 8], ahead: vec![Some(10); 8], block: 5, slowdown: 1.0 };
        let free = Dag { before: vec![vec![]; 8] };
        let chain = Dag { before: (0..8_u32).map(|it| it.checked_sub(1).into_iter().collect()).collect() };
        assert_eq!(executed(&costs, &free, &free, 1), 85);
        assert_eq!(executed(&costs, &free, &free, 2), 45);
        assert_eq!(executed(&costs, &chain, &chain, 2), 85);
        // What was not known costs nothing but the other processor's time.
        assert!((85..=95).contains(&executed(&costs, &free, &chain, 2)));
        let slower = Costs { slowdown: 1.5, ..costs };
        assert_eq!(executed(&slower, &free, &free, 2), 65);
    }
}
