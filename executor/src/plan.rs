//! Planning a block while it is being built: who waits for whom, what can run side by side, what to fetch ahead.
//!
//! In: what transactions touch ([`Touches`], made of predictions), one transaction or bundle after the other, anywhere in
//! the order. Out, after each step: dependencies, groups, lanes, the critical path, and keys to fetch ahead. Every answer
//! depends on the order and the touches alone, never on the steps that led to them. Nothing is executed, and a plan that
//! is wrong costs time, never correctness: whoever executes by it has to check.

mod touches;
mod uses;
mod groups;
mod timeline;

pub use timeline::{Lanes, Preview};
pub use touches::{Reach, Rules, Touches};

use alloy_primitives::{Address, U256};
use rustc_hash::FxHashMap;

use crate::access_set::StateKey;
use groups::Groups;
use timeline::Timeline;
use uses::{Kind, Rank, Uses};

/// A transaction in a plan. Stays what it is when others come, go or move; is never given to another.
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
#[derive(Clone, Debug)]
pub struct Planner {
    keys: FxHashMap<StateKey, u32>,
    names: Vec<StateKey>,
    uses: Vec<Uses>,
    nodes: Vec<Node>,
    bundles: Vec<Vec<TransactionId>>,
    order: Vec<TransactionId>,
    /// Transactions whose touches are not all known, in no particular order.
    vague: Vec<TransactionId>,
    gas: u64,
    groups: Groups,
    timeline: Timeline,
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

/// The distance between the ranks of neighbours, which leaves room for others in between.
const GAP: Rank = 1 << 24;

impl Planner {
    /// An empty block, whose lanes are counted up to `lanes`.
    pub fn new(lanes: usize) -> Self {
        Self {
            keys: FxHashMap::default(),
            names: Vec::new(),
            uses: Vec::new(),
            nodes: Vec::new(),
            bundles: Vec::new(),
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
        self.bundles[bundle.0 as usize][0]
    }

    /// Adds transactions that stay together. A place that does not exist any more counts as the end.
    pub fn insert(&mut self, touches: &[Touches], place: Place) -> BundleId {
        let bundle = BundleId(self.bundles.len() as u32);
        let mut members = Vec::with_capacity(touches.len());
        for touches in touches {
            members.push(TransactionId(self.nodes.len() as u32));
            let keys = self.intern(touches);
            let (reach, gas) = (touches.reach.clone(), touches.gas);
            self.nodes.push(Node { bundle, rank: None, keys, reach, gas });
        }
        self.bundles.push(members);
        self.link(bundle, place);
        bundle
    }

    /// Takes a bundle out. False if it was not in. It can come back by [`Planner::reinsert`].
    pub fn remove(&mut self, bundle: BundleId) -> bool {
        let Some(start) = self.position_of(bundle) else { return false };
        let count = self.bundles[bundle.0 as usize].len();
        for id in self.order.drain(start..start + count).collect::<Vec<_>>() {
            let node = &mut self.nodes[id.0 as usize];
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

    /// Puts a bundle that was taken out back in. False if it is in already, or was never made.
    pub fn reinsert(&mut self, bundle: BundleId, place: Place) -> bool {
        let known = self.bundles.get(bundle.0 as usize).is_some_and(|members| !members.is_empty());
        if !known || self.position_of(bundle).is_some() {
            return false;
        }
        self.link(bundle, place);
        true
    }

    /// Moves a bundle elsewhere. False if it is not in.
    pub fn relocate(&mut self, bundle: BundleId, place: Place) -> bool {
        if place == Place::Before(bundle) {
            return self.position_of(bundle).is_some();
        }
        self.remove(bundle) && self.reinsert(bundle, place)
    }

    /// The bundle that a transaction belongs to.
    pub fn bundle_of(&self, id: TransactionId) -> Option<BundleId> {
        self.nodes.get(id.0 as usize).map(|node| node.bundle)
    }

    /// The transactions of a bundle.
    pub fn members(&self, bundle: BundleId) -> &[TransactionId] {
        self.bundles.get(bundle.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// The transactions in their order.
    pub fn order(&self) -> &[TransactionId] {
        &self.order
    }

    /// Where a transaction stands in the order.
    pub fn position(&self, id: TransactionId) -> Option<usize> {
        let rank = self.nodes.get(id.0 as usize)?.rank?;
        self.order.binary_search_by_key(&Some(rank), |other| self.nodes[other.0 as usize].rank).ok()
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
        let Some(node) = self.nodes.get(id.0 as usize) else { return Vec::new() };
        let Some(rank) = node.rank else { return Vec::new() };
        let mut possible: Vec<TransactionId> = if node.reach == Reach::Known {
            self.vague.iter().copied().filter(|other| self.may_write_for(*other, id)).collect()
        } else {
            self.order.iter().copied().filter(|other| self.may_write_for(*other, id)).collect()
        };
        possible.retain(|other| {
            self.nodes[other.0 as usize].rank.is_some_and(|it| it < rank) && !certain.contains(other)
        });
        possible.sort_unstable_by_key(|other| self.nodes[other.0 as usize].rank);
        possible
    }

    /// Whether it is so unclear what a transaction touches that it had better run on its own.
    pub fn is_serial(&self, id: TransactionId) -> bool {
        self.nodes.get(id.0 as usize).is_some_and(|node| node.reach == Reach::Anything)
    }

    /// Transactions that can influence each other, in whatever order they stand; whoever shares nothing that is written is
    /// in a group of its own. Transactions that may touch anything join nobody, see [`Planner::is_serial`].
    pub fn groups(&mut self) -> Vec<Vec<TransactionId>> {
        self.groups.refresh(self.nodes.len(), &self.uses, self.order.len());
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
        self.nodes.get(id.0 as usize)?.rank?;
        self.groups.refresh(self.nodes.len(), &self.uses, self.order.len());
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
            if kind != Kind::Add {
                uses.writers_before(Rank::MAX, false, &mut waits_for);
            }
        }
        self.in_order(&mut waits_for);
        self.timeline.preview(waits_for, touches.gas, hub_gas)
    }

    /// What a transaction is predicted to touch: what to fetch before it runs, sorted.
    pub fn prefetch_of(&self, id: TransactionId) -> Vec<StateKey> {
        let node = self.nodes.get(id.0 as usize);
        let mut keys: Vec<StateKey> =
            node.into_iter().flat_map(|it| &it.keys).map(|(key, _)| self.names[*key as usize]).collect();
        keys.sort_unstable();
        keys
    }

    /// What a transaction is the first in the order to touch, sorted: what its coming has added to what is to be fetched.
    pub fn first_touched_by(&self, id: TransactionId) -> Vec<StateKey> {
        let Some(node) = self.nodes.get(id.0 as usize) else { return Vec::new() };
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
            let next = self.names.len() as u32;
            let number = *self.keys.entry(*key).or_insert(next);
            if number == next {
                self.names.push(*key);
                self.uses.push(Uses::default());
            }
            (number, kind)
        });
        uses::merged(keys.collect())
    }

    fn position_of(&self, bundle: BundleId) -> Option<usize> {
        self.position(*self.bundles.get(bundle.0 as usize)?.first()?)
    }

    /// Puts a bundle that is not in the order into it.
    fn link(&mut self, bundle: BundleId, place: Place) {
        let position = match place {
            Place::First => 0,
            Place::Before(other) => self.position_of(other).unwrap_or(self.order.len()),
            Place::Last => self.order.len(),
        };
        let members = self.bundles[bundle.0 as usize].clone();
        let rank_at = |index: usize| self.order.get(index).and_then(|id| self.nodes[id.0 as usize].rank);
        let before = position.checked_sub(1).and_then(rank_at).unwrap_or(0);
        let after = rank_at(position).unwrap_or_else(|| before + GAP * (members.len() as Rank + 1));
        let step = (after - before) / (members.len() as Rank + 1);
        let last = position == self.order.len();
        self.order.splice(position..position, members.iter().copied());
        for (index, id) in members.iter().enumerate() {
            let node = &mut self.nodes[id.0 as usize];
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
                let node = &self.nodes[id.0 as usize];
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
            let rank = GAP * (index as Rank + 1);
            let node = &mut self.nodes[id.0 as usize];
            node.rank = Some(rank);
            for &(key, kind) in &node.keys {
                self.uses[key as usize].insert(rank, *id, kind, node.gas);
            }
        }
        self.groups.forget();
    }

    fn writers_before(&self, id: TransactionId, all: bool) -> Vec<TransactionId> {
        let Some(node) = self.nodes.get(id.0 as usize) else { return Vec::new() };
        let Some(rank) = node.rank else { return Vec::new() };
        let mut found = Vec::new();
        for (key, kind) in &node.keys {
            if *kind != Kind::Add {
                self.uses[*key as usize].writers_before(rank, all, &mut found);
            }
        }
        self.in_order(&mut found);
        found
    }

    fn in_order(&self, ids: &mut Vec<TransactionId>) {
        ids.sort_unstable_by_key(|id| self.nodes[id.0 as usize].rank);
        ids.dedup();
    }

    /// Whether `writer` may write something that `reader` may read, as far as it is not known what one of them touches.
    fn may_write_for(&self, writer: TransactionId, reader: TransactionId) -> bool {
        let (first, second) = (&self.nodes[writer.0 as usize], &self.nodes[reader.0 as usize]);
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
        timeline.refresh(&self.order, self.nodes.len(), |id| {
            (self.dependencies(id), self.nodes[id.0 as usize].gas)
        });
        self.timeline = timeline;
    }
}
