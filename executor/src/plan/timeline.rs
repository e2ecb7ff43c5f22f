//! When transactions could run, in gas instead of time.
//!
//! In: the order, and for each transaction what it waits for and its gas. Out: the critical path and a schedule on a given
//! number of lanes. What was computed for the start of the order is kept when something behind it changes.

use rustc_hash::FxHashMap;

use super::TransactionId;

/// A schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes {
    /// The transactions of each lane that has any, in the order in which they run.
    pub lanes: Vec<Vec<TransactionId>>,
    /// When the last of them ends, in gas since the start of the block.
    pub makespan_gas: u64,
}

/// What would become of a transaction behind everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The transactions that it would wait for, in the order of the block.
    pub waits_for: Vec<TransactionId>,
    /// When the last of those ends on the lanes, in gas since the start of the block.
    pub ready: u64,
    /// When it would start: not before a lane is free.
    pub start: u64,
    /// When it would end.
    pub finish: u64,
    /// When the last of all transactions ends so far. It adds nothing to the block's time if it ends before.
    pub makespan: u64,
    /// The length of the critical path if it came, however many lanes there are.
    pub critical_path: u64,
    /// The gas of all transactions that write the piece of state which most is written of what it touches.
    pub hub_gas: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    count: usize,
    /// When each lane is free, behind the transactions that are scheduled.
    free: Vec<u64>,
    /// By transaction: when it ends with as many lanes as there could be, when it ends on its lane, and which that is.
    slots: FxHashMap<TransactionId, Slot>,
    /// How many transactions from the start are scheduled.
    valid: usize,
    /// Whether `free` and `longest` stand for more than the part that is scheduled.
    rewound: bool,
    longest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    depth: u64,
    finish: u64,
    lane: usize,
}

impl Timeline {
    pub(super) fn new(lanes: usize) -> Self {
        let count = lanes.max(1);
        Self { count, free: vec![0; count], ..Self::default() }
    }

    /// A transaction is not known any more.
    pub(super) fn forget(&mut self, id: TransactionId) {
        self.slots.remove(&id);
    }

    /// How much is held.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Something at this position, or behind it, is not what it was.
    pub(super) fn change_at(&mut self, position: usize) {
        if position < self.valid {
            self.valid = position;
            self.rewound = true;
        }
    }

    /// Schedules what is not scheduled. `ask` gives what a transaction waits for, and its gas.
    pub(super) fn refresh(
        &mut self,
        order: &[TransactionId],
        ask: impl Fn(TransactionId) -> (Vec<TransactionId>, u64),
    ) {
        if std::mem::take(&mut self.rewound) {
            self.free.fill(0);
            self.longest = 0;
            for id in &order[..self.valid] {
                let slot = self.slots[id];
                self.free[slot.lane] = self.free[slot.lane].max(slot.finish);
                self.longest = self.longest.max(slot.depth);
            }
        }
        for id in &order[self.valid..] {
            let (waits_for, gas) = ask(*id);
            let (depth, ready) = self.ready(&waits_for);
            let (lane, start) = self.choose(ready, self.latest(&waits_for));
            let slot = Slot { depth: depth + gas, finish: start + gas, lane };
            self.free[lane] = slot.finish;
            self.longest = self.longest.max(slot.depth);
            self.slots.insert(*id, slot);
        }
        self.valid = order.len();
    }

    pub(super) fn critical_path_gas(&self, order: &[TransactionId]) -> u64 {
        order.iter().map(|id| self.slots[id].depth).max().unwrap_or(0)
    }

    /// The transaction at the end of the critical path.
    pub(super) fn last_to_finish(&self, order: &[TransactionId]) -> Option<TransactionId> {
        // The first of those that end last.
        order.iter().rev().copied().max_by_key(|id| self.slots[id].depth)
    }

    /// The one that ends last of these, by the critical path; of equals the first.
    pub(super) fn latest(&self, ids: &[TransactionId]) -> Option<TransactionId> {
        self.last_to_finish(ids)
    }

    pub(super) fn lanes(&self, order: &[TransactionId]) -> Lanes {
        let mut lanes = vec![Vec::new(); self.count];
        for id in order {
            lanes[self.slots[id].lane].push(*id);
        }
        lanes.retain(|lane| !lane.is_empty());
        Lanes { lanes, makespan_gas: self.makespan() }
    }

    pub(super) fn preview(&self, waits_for: Vec<TransactionId>, gas: u64, hub_gas: u64) -> Preview {
        let (depth, ready) = self.ready(&waits_for);
        let (_, start) = self.choose(ready, None);
        Preview {
            waits_for,
            ready,
            start,
            finish: start + gas,
            makespan: self.makespan(),
            critical_path: self.longest.max(depth + gas),
            hub_gas,
        }
    }

    fn makespan(&self) -> u64 {
        self.free.iter().copied().max().unwrap_or(0)
    }

    /// When all of these are done: without end of lanes, and on those that there are.
    fn ready(&self, ids: &[TransactionId]) -> (u64, u64) {
        let slots = ids.iter().map(|id| self.slots[id]);
        slots.fold((0, 0), |(depth, finish), slot| (depth.max(slot.depth), finish.max(slot.finish)))
    }

    /// The lane on which something starts earliest: that of whom it waits for if it loses nothing there, else the one that
    /// has been free for the shortest time.
    fn choose(&self, ready: u64, after: Option<TransactionId>) -> (usize, u64) {
        if let Some(id) = after {
            let lane = self.slots[&id].lane;
            if self.free[lane] <= ready {
                return (lane, ready);
            }
        }
        let by_start =
            |lane: &usize| (self.free[*lane].max(ready), ready.saturating_sub(self.free[*lane]), *lane);
        let lane = (0..self.count).min_by_key(by_start).unwrap_or(0);
        (lane, self.free[lane].max(ready))
    }
}
