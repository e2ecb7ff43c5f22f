//! The models: what is done when, if processors are as many as one likes.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::dag::Dag;

/// How long a schedule takes, and how many transactions were executed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheduled {
    pub(super) time: u64,
    pub(super) stale: usize,
}

/// Starts transactions as `known` allows, longest remaining path first. One that started before something in `truth`
/// that it depends on had ended is executed again in its turn.
pub(super) fn scheduled(
    known: &Dag,
    truth: &Dag,
    times: &[u64],
    priorities: &[u64],
    cores: usize,
) -> Scheduled {
    let after = known.after();
    let mut waits_for: Vec<usize> = known.before.iter().map(Vec::len).collect();
    let (mut starts, mut ends) = (vec![0; times.len()], vec![0; times.len()]);
    let mut ready: BinaryHeap<(u64, Reverse<usize>)> = BinaryHeap::new();
    ready.extend((0..times.len()).filter(|it| waits_for[*it] == 0).map(|it| (priorities[it], Reverse(it))));
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = 0;
    loop {
        while running.len() < cores
            && let Some((_, Reverse(index))) = ready.pop()
        {
            (starts[index], ends[index]) = (now, now + times[index]);
            running.push(Reverse((ends[index], index)));
        }
        let Some(Reverse((end, done))) = running.pop() else { break };
        now = end;
        for next in &after[done] {
            let next = *next as usize;
            waits_for[next] -= 1;
            if waits_for[next] == 0 {
                ready.push((priorities[next], Reverse(next)));
            }
        }
    }
    let (mut committed, mut again, mut stale) = (0, 0, 0);
    for index in 0..times.len() {
        committed = committed.max(ends[index]);
        if truth.before[index].iter().any(|before| ends[*before as usize] > starts[index]) {
            committed += times[index];
            ends[index] = committed;
            again += times[index];
            stale += 1;
        }
    }
    Scheduled { time: committed.max(now + again / cores as u64), stale }
}

/// Starts transactions in order. One that ends although something that it depends on ended after its start is executed
/// again when that is final.
pub(super) fn optimistic(truth: &Dag, times: &[u64], cores: usize) -> u64 {
    let after = truth.after();
    let mut ready: BinaryHeap<Reverse<usize>> = (0..times.len()).map(Reverse).collect();
    let mut running: BinaryHeap<Reverse<(u64, usize, u64)>> = BinaryHeap::new();
    let mut ends: Vec<Option<u64>> = vec![None; times.len()];
    let mut waiting = vec![false; times.len()];
    let mut now = 0;
    loop {
        while running.len() < cores
            && let Some(Reverse(index)) = ready.pop()
        {
            running.push(Reverse((now + times[index], index, now)));
        }
        let Some(Reverse((end, done, start))) = running.pop() else { return now };
        now = end;
        let before = &truth.before[done];
        if before.iter().any(|it| ends[*it as usize].is_none()) {
            waiting[done] = true;
        } else if before.iter().any(|it| ends[*it as usize].is_some_and(|end| end > start)) {
            ready.push(Reverse(done));
        } else {
            ends[done] = Some(now);
            for next in &after[done] {
                let next = *next as usize;
                let free = truth.before[next].iter().all(|it| ends[*it as usize].is_some());
                if waiting[next] && free {
                    waiting[next] = false;
                    ready.push(Reverse(next));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Scheduled, optimistic, scheduled};
    use crate::dag::Dag;

    #[test]
    fn what_is_not_known_is_executed_again() {
        let times = [10, 10, 10, 10];
        let free = Dag { before: vec![vec![]; 4] };
        let pair = Dag { before: vec![vec![], vec![0], vec![], vec![]] };
        let priorities = |dag: &Dag| dag.remaining(&times);
        assert_eq!(scheduled(&free, &free, &times, &priorities(&free), 2), Scheduled { time: 20, stale: 0 });
        assert_eq!(scheduled(&pair, &pair, &times, &priorities(&pair), 2), Scheduled { time: 20, stale: 0 });
        assert_eq!(scheduled(&free, &pair, &times, &priorities(&free), 4), Scheduled { time: 20, stale: 1 });
        assert_eq!(optimistic(&free, &times, 2), 20);
        assert_eq!(optimistic(&pair, &times, 4), 20);
        assert_eq!(optimistic(&pair, &times, 1), 40);
    }
}
