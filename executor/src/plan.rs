//! Planning a block while it is being built: who waits for whom, what can run side by side, what to fetch ahead.
//!
//! In: what transactions touch ([`Touches`], made of predictions), one transaction or bundle after the other, anywhere in
//! the order. Out, after each step: dependencies, groups, lanes, the critical path, and keys to fetch ahead. Every answer
//! depends on the order and the touches alone, never on the steps that led to them. Nothing is executed, and a plan that
//! is wrong costs time, never correctness: whoever executes by it has to check.

mod uses;
mod touches;
mod groups;
mod timeline;

pub use timeline::{Lanes, Preview};
pub use touches::{Reach, Rules, Touches};

use std::collections::VecDeque;

use alloy_primitives::{Address, U256};
use rustc_hash::FxHashMap;

use crate::{
    access_set::StateKey,
    tuning::{GONE, RANK_GAP},
};
use groups::Groups;
use timeline::Timeline;
use uses::{Kind, Rank, Uses};

/// A transaction in a plan. Stays what it is when others come, go or move; is not given to another while it is known, and
/// long after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u32);

/// Transactions that stay together and in order; a transaction of its own is a bundle of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(pub u32);

/// Where a bundle goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before everything.
    First,
    /// Right before another bundle.
    Before(BundleId),
    /// Behind everything.
    Last,
}

/// A block in the making.
///
/// ```
/// use alloy_primitives::{Address, U256};
/// use deconflict_executor::{
///     StateKey,
///     plan::{Planner, Touches},
/// };
///
/// let pool = StateKey::Storage(Address::repeat_byte(1), U256::ZERO);
/// let swap = Touches { writes: vec![pool], gas: 100_000, ..Touches::default() };
/// let other = Touches { gas: 21_000, ..Touches::default() };
/// let mut planner = Planner::new(2);
/// let (first, second, third) = (planner.push(&swap), planner.push(&swap), planner.push(&other));
/// assert_eq!(planner.dependencies(second), [first]);
/// assert!(planner.dependencies(third).is_empty());
/// assert_eq!(planner.critical_path_gas(), 200_000);
/// ```
#[derive(Clone, Debug)]
pub struct Planner {
    keys: FxHashMap<StateKey, u32>,
    names: Vec<StateKey>,
    uses: Vec<Uses>,
    /// How many transactions know each piece of state, and the numbers of those that none knows any more.
    known_by: Vec<u32>,
    free: Vec<u32>,
    nodes: FxHashMap<TransactionId, Node>,
    bundles: FxHashMap<BundleId, Bundle>,
    /// The numbers that transactions and bundles are looked for from.
    next: (u32, u32),
    /// What was taken out and can come back, in that order, with the number of its leaving.
    gone: VecDeque<(BundleId, u64)>,
    leavings: u64,
    order: Vec<TransactionId>,
    /// Transactions whose touches are not all known, in no particular order.
    vague: Vec<TransactionId>,
    gas: u64,
    groups: Groups,
    timeline: Timeline,
}

/// Transactions that stay together.
#[derive(Clone, Debug)]
struct Bundle {
    members: Vec<TransactionId>,
    /// The number of its last leaving, if it is out.
    left: Option<u64>,
}

/// A transaction, whether or not it is in the plan at present.
#[derive(Clone, Debug)]
struct Node {
    bundle: BundleId,
    rank: Option<Rank>,
    keys: Vec<(u32, Kind)>,
    reach: Reach,
    gas: u64,
}

impl Planner {
    /// An empty block, whose lanes are counted up to `lanes`.
    pub fn new(lanes: usize) -> Self {
        Self {
            keys: FxHashMap::default(),
            names: Vec::new(),
            uses: Vec::new(),
            known_by: Vec::new(),
            free: Vec::new(),
            nodes: FxHashMap::default(),
            bundles: FxHashMap::default(),
            next: (0, 0),
            gone: VecDeque::new(),
            leavings: 0,
            order: Vec::new(),
            vague: Vec::new(),
            gas: 0,
            groups: Groups::default(),
            timeline: Timeline::new(lanes),
        }
    }

    /// Adds a transaction behind everything.
    pub fn push(&mut self, touches: &Touches) -> TransactionId {
        let bundle = self.insert(std::slice::from_ref(touches), Place::Last);
        self.bundles[&bundle].members[0]
    }

    /// Adds transactions that stay together. A place that does not exist any more counts as the end.
    pub fn insert(&mut self, touches: &[Touches], place: Place) -> BundleId {
        let bundle =
            BundleId(unused(&mut self.next.1, |number| self.bundles.contains_key(&BundleId(number))));
        let mut members = Vec::with_capacity(touches.len());
        for touches in touches {
            let is_known = |number| self.nodes.contains_key(&TransactionId(number));
            let id = TransactionId(unused(&mut self.next.0, is_known));
            members.push(id);
            let keys = self.intern(touches);
            let (reach, gas) = (touches.reach.clone(), touches.gas);
            self.nodes.insert(id, Node { bundle, rank: None, keys, reach, gas });
        }
        self.bundles.insert(bundle, Bundle { members, left: None });
        self.link(bundle, place);
        bundle
    }

    /// Takes a bundle out. False if it was not in. It can come back by [`Planner::reinsert`] until some thousands of others
    /// were taken out after it; then nothing is known of it any more, as if it had been forgotten.
    pub fn remove(&mut self, bundle: BundleId) -> bool {
        if !self.unlink(bundle) {
            return false;
        }
        self.leavings += 1;
        if let Some(it) = self.bundles.get_mut(&bundle) {
            it.left = Some(self.leavings);
        }
        self.gone.push_back((bundle, self.leavings));
        if self.gone.len() > GONE
            && let Some((oldest, left)) = self.gone.pop_front()
            // It may have come back since, and even have left again.
            && self.bundles.get(&oldest).is_some_and(|it| it.left == Some(left))
        {
            self.free(oldest);
        }
        true
    }

    /// Takes a bundle out for good, if it is in, and frees what it took. False if it is not known.
    pub fn forget(&mut self, bundle: BundleId) -> bool {
        self.unlink(bundle);
        self.free(bundle)
    }

    /// How many transactions take memory: those that are in, and those that could come back.
    pub fn known(&self) -> usize {
        self.nodes.len()
    }

    fn free(&mut self, bundle: BundleId) -> bool {
        let Some(Bundle { members, .. }) = self.bundles.remove(&bundle) else { return false };
        for id in members {
            self.timeline.forget(id);
            for (key, _) in self.nodes.remove(&id).map(|node| node.keys).unwrap_or_default() {
                let count = &mut self.known_by[key as usize];
                *count -= 1;
                if *count == 0 {
                    self.keys.remove(&self.names[key as usize]);
                    // What it held of memory goes with it.
                    self.uses[key as usize] = Uses::default();
                    self.free.push(key);
                }
            }
        }
        true
    }

    /// Takes a bundle out of the order. False if it was not in.
    fn unlink(&mut self, bundle: BundleId) -> bool {
        let Some(start) = self.position_of(bundle) else { return false };
        let count = self.bundles[&bundle].members.len();
        for id in self.order.drain(start..start + count).collect::<Vec<_>>() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            let Some(rank) = node.rank.take() else { continue };
            self.gas -= node.gas;
            for &(key, kind) in &node.keys {
                self.uses[key as usize].remove(rank, kind, node.gas);
            }
            self.vague.retain(|other| *other != id);
        }
        self.groups.forget();
        self.timeline.change_at(start);
        true
    }

    /// Puts a bundle that was taken out back in. False if it is in already, or nothing is known of it.
    pub fn reinsert(&mut self, bundle: BundleId, place: Place) -> bool {
        if self.position_of(bundle).is_some() {
            return false;
        }
        let Some(known) = self.bundles.get_mut(&bundle).filter(|it| !it.members.is_empty()) else {
            return false;
        };
        known.left = None;
        self.link(bundle, place);
        true
    }

    /// Moves a bundle elsewhere. False if it is not in.
    pub fn relocate(&mut self, bundle: BundleId, place: Place) -> bool {
        if place == Place::Before(bundle) {
            return self.position_of(bundle).is_some();
        }
        self.unlink(bundle) && self.reinsert(bundle, place)
    }

    /// The bundle that a transaction belongs to.
    pub fn bundle_of(&self, id: TransactionId) -> Option<BundleId> {
        self.nodes.get(&id).map(|node| node.bundle)
    }

    /// The transactions of a bundle.
    pub fn members(&self, bundle: BundleId) -> &[TransactionId] {
        self.bundles.get(&bundle).map_or(&[], |it| it.members.as_slice())
    }

    /// The transactions in their order.
    pub fn order(&self) -> &[TransactionId] {
        &self.order
    }

    /// Where a transaction stands in the order.
    pub fn position(&self, id: TransactionId) -> Option<usize> {
        let rank = self.nodes.get(&id)?.rank?;
        self.order.binary_search_by_key(&Some(rank), |other| self.nodes[other].rank).ok()
    }

    /// The gas that all transactions are likely to use.
    pub fn gas(&self) -> u64 {
        self.gas
    }

    /// The earlier transactions that one has to wait for, in the order of the block: the last that write what it reads, and
    /// those that only add to it since.
    pub fn dependencies(&self, id: TransactionId) -> Vec<TransactionId> {
        self.writers_before(id, false)
    }

    /// All earlier transactions that write what one reads, in the order of the block, also where others write it in between.
    pub fn all_dependencies(&self, id: TransactionId) -> Vec<TransactionId> {
        self.writers_before(id, true)
    }

    /// The earlier transactions that one may have to wait for beside its dependencies, in the order of the block, because
    /// it is not fully known what it or they touch.
    pub fn possible(&self, id: TransactionId) -> Vec<TransactionId> {
        self.possible_beside(id, &self.dependencies(id))
    }

    /// The same, where the dependencies are known.
    pub(crate) fn possible_beside(&self, id: TransactionId, certain: &[TransactionId]) -> Vec<TransactionId> {
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let Some(rank) = node.rank else { return Vec::new() };
        let mut possible: Vec<TransactionId> = if node.reach == Reach::Known {
            self.vague.iter().copied().filter(|other| self.may_write_for(*other, id)).collect()
        } else {
            self.order.iter().copied().filter(|other| self.may_write_for(*other, id)).collect()
        };
        possible
            .retain(|other| self.nodes[other].rank.is_some_and(|it| it < rank) && !certain.contains(other));
        possible.sort_unstable_by_key(|other| self.nodes[other].rank);
        possible
    }

    /// Whether it is so unclear what a transaction touches that it had better run on its own.
    pub fn is_serial(&self, id: TransactionId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.reach == Reach::Anything)
    }

    /// Transactions that can influence each other, in whatever order they stand; whoever shares nothing that is written is
    /// in a group of its own. Transactions that may touch anything join nobody, see [`Planner::is_serial`].
    pub fn groups(&mut self) -> Vec<Vec<TransactionId>> {
        self.groups.refresh(&self.uses, self.order.len());
        let mut numbers: FxHashMap<u32, usize> = FxHashMap::default();
        let mut groups: Vec<Vec<TransactionId>> = Vec::new();
        for id in &self.order {
            let number = *numbers.entry(self.groups.find(id.0)).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[number].push(*id);
        }
        groups
    }

    /// Which group a transaction is in: the same number for all of it, until something is added or removed.
    pub fn group(&mut self, id: TransactionId) -> Option<u32> {
        self.nodes.get(&id)?.rank?;
        self.groups.refresh(&self.uses, self.order.len());
        Some(self.groups.find(id.0))
    }

    /// The most gas that has to be used one transaction after the other, however many lanes there are.
    pub fn critical_path_gas(&mut self) -> u64 {
        self.refresh();
        self.timeline.critical_path_gas(&self.order)
    }

    /// The transactions of a critical path, in the order of the block.
    pub fn critical_path(&mut self) -> Vec<TransactionId> {
        self.refresh();
        let Some(mut at) = self.timeline.last_to_finish(&self.order) else { return Vec::new() };
        let mut path = vec![at];
        while let Some(before) = self.timeline.latest(&self.dependencies(at)) {
            path.push(before);
            at = before;
        }
        path.reverse();
        path
    }

    /// The transactions of each lane: each starts in the order of the block, when what it waits for is done and a lane is
    /// free.
    pub fn lanes(&mut self) -> Lanes {
        self.refresh();
        self.timeline.lanes(&self.order)
    }

    /// What would become of a transaction behind everything, without adding it.
    pub fn preview(&mut self, touches: &Touches) -> Preview {
        self.refresh();
        let mut waits_for = Vec::new();
        let mut hub_gas = 0;
        let known = touches.by_kind().filter_map(|(key, kind)| Some((*self.keys.get(key)?, kind)));
        for (key, kind) in uses::merged(known.collect()) {
            let uses = &self.uses[key as usize];
            hub_gas = hub_gas.max(uses.written_gas());
            if kind != Kind::Delta {
                uses.writers_before(Rank::MAX, false, &mut waits_for);
            }
        }
        self.in_order(&mut waits_for);
        self.timeline.preview(waits_for, touches.gas, hub_gas)
    }

    /// What a transaction is predicted to touch: what to fetch before it runs, sorted.
    pub fn prefetch_of(&self, id: TransactionId) -> Vec<StateKey> {
        let node = self.nodes.get(&id);
        let mut keys: Vec<StateKey> =
            node.into_iter().flat_map(|it| &it.keys).map(|(key, _)| self.names[*key as usize]).collect();
        keys.sort_unstable();
        keys
    }

    /// What a transaction is the first in the order to touch, sorted: what its coming has added to what is to be fetched.
    pub fn first_touched_by(&self, id: TransactionId) -> Vec<StateKey> {
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let first = |(key, _): &&(u32, Kind)| self.uses[*key as usize].first() == node.rank;
        let mut keys: Vec<StateKey> =
            node.keys.iter().filter(first).map(|(key, _)| self.names[*key as usize]).collect();
        keys.sort_unstable();
        keys
    }

    /// All that is predicted to be touched, sorted.
    pub fn prefetch(&self) -> Vec<StateKey> {
        let used = self.uses.iter().zip(&self.names).filter(|(uses, _)| uses.first().is_some());
        let mut keys: Vec<StateKey> = used.map(|(_, name)| *name).collect();
        keys.sort_unstable();
        keys
    }

    /// The same by account: each with its slots, all of it sorted.
    pub fn prefetch_by_account(&self) -> Vec<(Address, Vec<U256>)> {
        let mut places: FxHashMap<Address, usize> = FxHashMap::default();
        let mut found: Vec<(Address, Vec<U256>)> = Vec::new();
        let mut at = 0;
        for (uses, name) in self.uses.iter().zip(&self.names) {
            if uses.first().is_none() {
                continue;
            }
            let address = name.address();
            // Pieces of one account often follow each other.
            if found.get(at).is_none_or(|(last, _)| *last != address) {
                at = *places.entry(address).or_insert_with(|| {
                    found.push((address, Vec::new()));
                    found.len() - 1
                });
            }
            if let StateKey::Storage(_, slot) = name {
                found[at].1.push(*slot);
            }
        }
        for (_, slots) in &mut found {
            slots.sort_unstable();
        }
        found.sort_unstable_by_key(|(address, _)| *address);
        found
    }

    /// Makes room for transactions that touch so many pieces of state.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.keys.reserve(keys);
        self.names.reserve(keys);
        self.uses.reserve(keys);
        self.known_by.reserve(keys);
    }

    /// The pieces of state that more than one transaction writes, with the gas of all that do; the largest first.
    pub fn hubs(&self) -> Vec<(StateKey, u64)> {
        let hubs = self.uses.iter().zip(&self.names).filter(|(uses, _)| uses.writers().len() > 1);
        let mut hubs: Vec<(StateKey, u64)> = hubs.map(|(uses, name)| (*name, uses.written_gas())).collect();
        hubs.sort_unstable_by_key(|(name, gas)| (std::cmp::Reverse(*gas), *name));
        hubs
    }

    /// The numbers of what a transaction touches; what nobody has touched before gets one.
    fn intern(&mut self, touches: &Touches) -> Vec<(u32, Kind)> {
        let keys = touches.by_kind().map(|(key, kind)| {
            let next = self.free.last().copied().unwrap_or(self.names.len() as u32);
            let number = *self.keys.entry(*key).or_insert(next);
            if number == next {
                if self.free.pop().is_some() {
                    self.names[next as usize] = *key;
                } else {
                    self.names.push(*key);
                    self.uses.push(Uses::default());
                    self.known_by.push(0);
                }
            }
            (number, kind)
        });
        let keys = uses::merged(keys.collect());
        for (key, _) in &keys {
            self.known_by[*key as usize] += 1;
        }
        keys
    }

    fn position_of(&self, bundle: BundleId) -> Option<usize> {
        self.position(*self.bundles.get(&bundle)?.members.first()?)
    }

    /// Puts a bundle that is not in the order into it.
    fn link(&mut self, bundle: BundleId, place: Place) {
        let position = match place {
            Place::First => 0,
            Place::Before(other) => self.position_of(other).unwrap_or(self.order.len()),
            Place::Last => self.order.len(),
        };
        let members = self.bundles[&bundle].members.clone();
        let rank_at = |index: usize| self.order.get(index).and_then(|id| self.nodes[id].rank);
        let before = position.checked_sub(1).and_then(rank_at).unwrap_or(0);
        let after = rank_at(position).unwrap_or_else(|| before + RANK_GAP * (members.len() as Rank + 1));
        let step = (after - before) / (members.len() as Rank + 1);
        let last = position == self.order.len();
        self.order.splice(position..position, members.iter().copied());
        for (index, id) in members.iter().enumerate() {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            self.gas += node.gas;
            if node.reach != Reach::Known {
                self.vague.push(*id);
            }
            node.rank = Some(before + step * (index as Rank + 1));
        }
        if step == 0 {
            self.rank_anew();
        } else {
            for id in members {
                let node = &self.nodes[&id];
                let Some(rank) = node.rank else { continue };
                for &(key, kind) in &node.keys {
                    let uses = &mut self.uses[key as usize];
                    uses.insert(rank, id, kind, node.gas);
                    self.groups.touched(key, uses);
                }
            }
        }
        if !last {
            self.timeline.change_at(position);
        }
    }

    /// Spreads the ranks of all transactions out, when there is no room left between two.
    fn rank_anew(&mut self) {
        self.uses.iter_mut().for_each(Uses::clear);
        for (index, id) in self.order.iter().enumerate() {
            let rank = RANK_GAP * (index as Rank + 1);
            let Some(node) = self.nodes.get_mut(id) else { continue };
            node.rank = Some(rank);
            for &(key, kind) in &node.keys {
                self.uses[key as usize].insert(rank, *id, kind, node.gas);
            }
        }
        self.groups.forget();
    }

    fn writers_before(&self, id: TransactionId, all: bool) -> Vec<TransactionId> {
        let Some(node) = self.nodes.get(&id) else { return Vec::new() };
        let Some(rank) = node.rank else { return Vec::new() };
        let mut found = Vec::new();
        for (key, kind) in &node.keys {
            if *kind != Kind::Delta {
                self.uses[*key as usize].writers_before(rank, all, &mut found);
            }
        }
        self.in_order(&mut found);
        found
    }

    fn in_order(&self, ids: &mut Vec<TransactionId>) {
        ids.sort_unstable_by_key(|id| self.nodes[id].rank);
        ids.dedup();
    }

    /// Whether `writer` may write something that `reader` may read, as far as it is not known what one of them touches.
    fn may_write_for(&self, writer: TransactionId, reader: TransactionId) -> bool {
        let (first, second) = (&self.nodes[&writer], &self.nodes[&reader]);
        let slots_in = |node: &Node, accounts: &[_], only_written: bool| {
            node.keys.iter().any(|(key, kind)| match self.names[*key as usize] {
                StateKey::Storage(address, _) => {
                    (!only_written || *kind != Kind::Read) && accounts.binary_search(&address).is_ok()
                }
                _ => false,
            })
        };
        match (&first.reach, &second.reach) {
            (Reach::Known, Reach::Known) => false,
            (Reach::Anything, _) | (_, Reach::Anything) => true,
            (Reach::StorageOf(accounts), Reach::Known) => slots_in(second, accounts, false),
            (Reach::Known, Reach::StorageOf(accounts)) => slots_in(first, accounts, true),
            (Reach::StorageOf(ours), Reach::StorageOf(theirs)) => {
                ours.iter().any(|account| theirs.binary_search(account).is_ok())
                    || slots_in(second, ours, false)
                    || slots_in(first, theirs, true)
            }
        }
    }

    fn refresh(&mut self) {
        let mut timeline = std::mem::take(&mut self.timeline);
        timeline.refresh(&self.order, |id| (self.dependencies(id), self.nodes[&id].gas));
        self.timeline = timeline;
    }
}

/// The next number that is not in use. They start anew after the last: by then nobody has the first in mind.
fn unused(next: &mut u32, is_used: impl Fn(u32) -> bool) -> u32 {
    loop {
        let number = *next;
        *next = next.wrapping_add(1);
        if !is_used(number) {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a piece of state of its own, and one of a few that all share.
    fn touches(number: u64) -> Touches {
        let key = |slot: u64| StateKey::Storage(Address::with_last_byte(1), U256::from(slot));
        Touches { writes: vec![key(1_000 + number), key(number % 7)], gas: 1, ..Touches::default() }
    }

    fn sizes(planner: &Planner) -> [usize; 9] {
        [
            planner.keys.len(),
            planner.names.len(),
            planner.uses.len(),
            planner.nodes.len(),
            planner.bundles.len(),
            planner.gone.len(),
            planner.timeline.len(),
            planner.groups.len(),
            planner.order.len(),
        ]
    }

    #[test]
    fn what_has_left_is_freed_however_many_come_and_go() {
        let mut planner = Planner::new(4);
        let stays = planner.push(&touches(0));
        for number in 0..20_000_u64 {
            let id = planner.push(&touches(number));
            if number % 100 == 0 {
                planner.lanes();
                planner.groups();
            }
            let bundle = planner.bundle_of(id).expect("it is in");
            assert!(if number % 3 == 0 { planner.forget(bundle) } else { planner.remove(bundle) });
        }
        planner.lanes();
        planner.groups();
        for size in sizes(&planner) {
            assert!(size <= GONE + 10, "{:?}", sizes(&planner));
        }
        assert_eq!(planner.known(), GONE + 1);
        assert_eq!((planner.order(), planner.gas()), (&[stays][..], 1));
        assert_eq!(planner.prefetch_of(stays).len(), 2);
    }

    #[test]
    fn what_left_last_can_come_back_and_what_is_forgotten_cannot() {
        let mut planner = Planner::new(4);
        let bundles: Vec<BundleId> = (0..=GONE as u64)
            .map(|number| {
                let id = planner.push(&touches(number));
                planner.bundle_of(id).expect("it is in")
            })
            .collect();
        // Moving is no leaving, and neither is coming back.
        assert!(planner.relocate(bundles[0], Place::First));
        assert!(planner.remove(bundles[0]) && planner.reinsert(bundles[0], Place::Last));
        for bundle in bundles.iter().rev() {
            assert!(planner.remove(*bundle));
        }
        assert!(planner.reinsert(bundles[0], Place::First), "its last leaving counts");
        assert!(!planner.reinsert(bundles[0], Place::First), "it is in");
        assert!(planner.forget(bundles[0]) && !planner.forget(bundles[0]));
        assert!(!planner.reinsert(bundles[0], Place::First));
        assert!(planner.members(bundles[0]).is_empty());
        assert!(!planner.reinsert(bundles[GONE], Place::First), "all others have left after it");
        assert!(planner.reinsert(bundles[GONE - 1], Place::First));
        assert_eq!(planner.order().len(), 1);
    }

    #[test]
    fn numbers_start_anew_without_meeting() {
        let used = [0, 1, u32::MAX];
        let mut next = u32::MAX - 1;
        let found = [(); 3].map(|()| unused(&mut next, |number| used.contains(&number)));
        assert_eq!(found, [u32::MAX - 1, 2, 3]);
    }
}
