//! Plans that were changed step by step are those that would have been made at once.
//!
//! Random bundles come, go, come back and move; after each step every answer of the planner is held against one that is
//! computed from the order alone, by rules that are written down here again.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, U256};
use deconflict_executor::{
    StateKey,
    plan::{BundleId, Place, Planner, Reach, Touches, TransactionId},
};
use proptest::prelude::*;

const LANES: usize = 3;

fn account(number: u8) -> Address {
    Address::with_last_byte(number)
}

/// One of few keys, so that transactions meet.
fn key() -> impl Strategy<Value = StateKey> {
    prop_oneof![
        (0..4_u8, 0..3_u8).prop_map(|(at, slot)| StateKey::Storage(account(at), U256::from(slot))),
        (0..4_u8).prop_map(|at| StateKey::Balance(account(at))),
    ]
}

fn reach() -> impl Strategy<Value = Reach> {
    prop_oneof![
        8 => Just(Reach::Known),
        1 => prop::collection::btree_set(0..4_u8, 1..3)
            .prop_map(|list| Reach::StorageOf(list.into_iter().map(account).collect())),
        1 => Just(Reach::Anything),
    ]
}

fn touches() -> impl Strategy<Value = Touches> {
    let keys = || prop::collection::vec(key(), 0..4);
    (keys(), prop::collection::vec(key(), 0..2), prop::collection::vec(key(), 0..2), reach(), 1..100_u64)
        .prop_map(|(reads, writes, deltas, reach, gas)| Touches { reads, writes, deltas, reach, gas })
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<Touches>, Where),
    Remove(prop::sample::Index),
    Reinsert(prop::sample::Index, Where),
    Relocate(prop::sample::Index, Where),
}

#[derive(Clone, Debug)]
enum Where {
    First,
    Last,
    Before(prop::sample::Index),
}

fn place() -> impl Strategy<Value = Where> {
    prop_oneof![1 => Just(Where::First), 2 => Just(Where::Last), 1 => any::<prop::sample::Index>().prop_map(Where::Before)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::collection::vec(touches(), 1..4), place()).prop_map(|(all, at)| Step::Insert(all, at)),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => (any::<prop::sample::Index>(), place()).prop_map(|(which, at)| Step::Reinsert(which, at)),
        2 => (any::<prop::sample::Index>(), place()).prop_map(|(which, at)| Step::Relocate(which, at)),
    ]
}

/// The plan as it should be: what is in it, in order.
#[derive(Debug, Default)]
struct Model {
    made: Vec<Vec<(TransactionId, Touches)>>,
    order: Vec<BundleId>,
}

impl Model {
    fn place(&self, at: &Where) -> Place {
        match at {
            Where::First => Place::First,
            Where::Last => Place::Last,
            Where::Before(_) if self.made.is_empty() => Place::Last,
            Where::Before(index) => Place::Before(BundleId(index.index(self.made.len()) as u32)),
        }
    }

    fn put(&mut self, bundle: BundleId, place: Place) {
        let at = match place {
            Place::First => 0,
            Place::Last => self.order.len(),
            Place::Before(other) => self.order.iter().position(|it| *it == other).unwrap_or(self.order.len()),
        };
        self.order.insert(at, bundle);
    }

    fn transactions(&self) -> Vec<&(TransactionId, Touches)> {
        self.order.iter().flat_map(|bundle| &self.made[bundle.0 as usize]).collect()
    }
}

fn does(list: &[StateKey], key: &StateKey) -> bool {
    list.contains(key)
}

/// Whether it looks at the key, and whether it leaves something else there than an addition to what was there.
fn looks(touches: &Touches, key: &StateKey) -> bool {
    does(&touches.reads, key) || does(&touches.writes, key)
}

fn only_adds(touches: &Touches, key: &StateKey) -> bool {
    does(&touches.deltas, key) && !looks(touches, key)
}

fn changes(touches: &Touches, key: &StateKey) -> bool {
    does(&touches.deltas, key) || does(&touches.writes, key)
}

fn keys(touches: &Touches) -> BTreeSet<StateKey> {
    touches.reads.iter().chain(&touches.writes).chain(&touches.deltas).copied().collect()
}

fn dependencies(all: &[&(TransactionId, Touches)], index: usize, every: bool) -> Vec<TransactionId> {
    let mut found = BTreeSet::new();
    for key in keys(&all[index].1) {
        if !looks(&all[index].1, &key) {
            continue;
        }
        for at in (0..index).rev() {
            if changes(&all[at].1, &key) {
                found.insert(at);
                if !only_adds(&all[at].1, &key) && !every {
                    break;
                }
            }
        }
    }
    found.into_iter().map(|at| all[at].0).collect()
}

fn groups(all: &[&(TransactionId, Touches)]) -> Vec<BTreeSet<TransactionId>> {
    let mut groups: Vec<BTreeSet<TransactionId>> = all.iter().map(|(id, _)| BTreeSet::from([*id])).collect();
    let every: BTreeSet<StateKey> = all.iter().flat_map(|(_, touches)| keys(touches)).collect();
    for key in every {
        let users: BTreeSet<TransactionId> =
            all.iter().filter(|(_, it)| keys(it).contains(&key)).map(|(id, _)| *id).collect();
        let changed = all.iter().any(|(_, it)| changes(it, &key));
        let seen = all.iter().any(|(_, it)| looks(it, &key));
        if changed && seen {
            let (joined, mut apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|group| !group.is_disjoint(&users));
            apart.push(joined.into_iter().flatten().collect());
            groups = apart;
        }
    }
    groups.sort();
    groups
}

fn possible(all: &[&(TransactionId, Touches)], index: usize) -> Vec<TransactionId> {
    let certain = dependencies(all, index, false);
    let in_accounts = |touches: &Touches, list: &[Address], changed: bool| {
        keys(touches).iter().any(|key| match key {
            StateKey::Storage(address, _) => list.contains(address) && (!changed || changes(touches, key)),
            _ => false,
        })
    };
    let me = &all[index].1;
    let may = |other: &Touches| match (&other.reach, &me.reach) {
        (Reach::Known, Reach::Known) => false,
        (Reach::Anything, _) | (_, Reach::Anything) => true,
        (Reach::StorageOf(list), Reach::Known) => in_accounts(me, list, false),
        (Reach::Known, Reach::StorageOf(list)) => in_accounts(other, list, true),
        (Reach::StorageOf(ours), Reach::StorageOf(theirs)) => {
            ours.iter().any(|it| theirs.contains(it))
                || in_accounts(me, ours, false)
                || in_accounts(other, theirs, true)
        }
    };
    all[..index].iter().filter(|(id, it)| may(it) && !certain.contains(id)).map(|(id, _)| *id).collect()
}

fn check(planner: &mut Planner, model: &Model) {
    let all = model.transactions();
    assert_eq!(planner.order(), all.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    assert_eq!(planner.gas(), all.iter().map(|(_, touches)| touches.gas).sum::<u64>());
    let mut depth: BTreeMap<TransactionId, u64> = BTreeMap::new();
    for (index, (id, touches)) in all.iter().enumerate() {
        assert_eq!(planner.position(*id), Some(index));
        let before = dependencies(&all, index, false);
        assert_eq!(planner.dependencies(*id), before, "of {index}");
        assert_eq!(planner.all_dependencies(*id), dependencies(&all, index, true), "of {index}");
        assert_eq!(planner.possible(*id), possible(&all, index), "of {index}");
        assert_eq!(planner.is_serial(*id), touches.reach == Reach::Anything);
        assert_eq!(planner.prefetch_of(*id), keys(touches).into_iter().collect::<Vec<_>>());
        let earlier: BTreeSet<StateKey> = all[..index].iter().flat_map(|(_, it)| keys(it)).collect();
        let fresh: Vec<StateKey> = keys(touches).into_iter().filter(|key| !earlier.contains(key)).collect();
        assert_eq!(planner.first_touched_by(*id), fresh, "of {index}");
        let start = before.iter().map(|other| depth[other]).max().unwrap_or(0);
        depth.insert(*id, start + touches.gas);
    }
    let longest = depth.values().copied().max().unwrap_or(0);
    assert_eq!(planner.critical_path_gas(), longest);
    let path = planner.critical_path();
    let gas_of = |id: &TransactionId| all.iter().find(|(other, _)| other == id).map_or(0, |it| it.1.gas);
    assert_eq!(path.iter().map(gas_of).sum::<u64>(), longest);
    let every: BTreeSet<StateKey> = all.iter().flat_map(|(_, touches)| keys(touches)).collect();
    assert_eq!(planner.prefetch(), every.into_iter().collect::<Vec<_>>());
    let mut found: Vec<BTreeSet<TransactionId>> =
        planner.groups().into_iter().map(|group| group.into_iter().collect()).collect();
    found.sort();
    assert_eq!(found, groups(&all));
    check_lanes(planner, &all);
}

/// Lanes hold every transaction once and in order, nobody starts before what it waits for has ended, and all of it is as
/// a planner says that has never known anything else.
fn check_lanes(planner: &mut Planner, all: &[&(TransactionId, Touches)]) {
    let lanes = planner.lanes();
    assert!(lanes.lanes.len() <= LANES);
    let mut listed: Vec<TransactionId> = lanes.lanes.iter().flatten().copied().collect();
    listed.sort_unstable();
    let mut expected: Vec<TransactionId> = all.iter().map(|(id, _)| *id).collect();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let total: u64 = all.iter().map(|(_, it)| it.gas).sum();
    assert!(lanes.makespan_gas >= planner.critical_path_gas());
    assert!(lanes.makespan_gas >= total.div_ceil(LANES as u64) && lanes.makespan_gas <= total);
    let mut fresh = Planner::new(LANES);
    let ids: Vec<TransactionId> = all.iter().map(|(_, touches)| fresh.push(touches)).collect();
    let name = |id: &TransactionId| ids.iter().position(|it| it == id).expect("it was pushed");
    let at_once: Vec<Vec<usize>> =
        fresh.lanes().lanes.iter().map(|lane| lane.iter().map(name).collect()).collect();
    let position = |id: &TransactionId| planner.position(*id).expect("it is in");
    let in_steps: Vec<Vec<usize>> =
        lanes.lanes.iter().map(|lane| lane.iter().map(position).collect()).collect();
    assert_eq!(in_steps, at_once);
    assert_eq!(fresh.lanes().makespan_gas, lanes.makespan_gas);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn steps_come_to_what_would_be_made_at_once(steps in prop::collection::vec(step(), 1..25)) {
        let mut planner = Planner::new(LANES);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Insert(all, at) => {
                    let place = model.place(&at);
                    let bundle = planner.insert(&all, place);
                    let ids = planner.members(bundle).to_vec();
                    model.made.push(ids.into_iter().zip(all).collect());
                    model.put(bundle, place);
                }
                Step::Remove(which) if !model.made.is_empty() => {
                    let bundle = BundleId(which.index(model.made.len()) as u32);
                    let was_in = model.order.contains(&bundle);
                    model.order.retain(|other| *other != bundle);
                    prop_assert_eq!(planner.remove(bundle), was_in);
                }
                Step::Reinsert(which, at) if !model.made.is_empty() => {
                    let bundle = BundleId(which.index(model.made.len()) as u32);
                    let place = model.place(&at);
                    let was_in = model.order.contains(&bundle);
                    if !was_in {
                        model.put(bundle, place);
                    }
                    prop_assert_eq!(planner.reinsert(bundle, place), !was_in);
                }
                Step::Relocate(which, at) if !model.made.is_empty() => {
                    let bundle = BundleId(which.index(model.made.len()) as u32);
                    let place = model.place(&at);
                    let was_in = model.order.contains(&bundle);
                    if was_in && place != Place::Before(bundle) {
                        model.order.retain(|other| *other != bundle);
                        model.put(bundle, place);
                    }
                    prop_assert_eq!(planner.relocate(bundle, place), was_in);
                }
                _ => {}
            }
            check(&mut planner, &model);
        }
    }

    #[test]
    fn a_preview_is_what_comes_of_it(all in prop::collection::vec(touches(), 1..20)) {
        let mut planner = Planner::new(LANES);
        for touches in &all {
            let preview = planner.preview(touches);
            let before = planner.lanes().makespan_gas;
            prop_assert_eq!(preview.makespan, before);
            let id = planner.push(touches);
            prop_assert_eq!(&preview.waits_for, &planner.dependencies(id));
            prop_assert_eq!(preview.critical_path, planner.critical_path_gas());
            prop_assert_eq!(preview.finish.max(before), planner.lanes().makespan_gas);
            prop_assert_eq!(preview.finish - preview.start, touches.gas);
            prop_assert!(preview.start >= preview.ready);
        }
    }
}

#[test]
fn a_place_between_neighbours_never_runs_out() {
    let mut planner = Planner::new(LANES);
    let touches = Touches { writes: vec![StateKey::Nonce(account(1))], gas: 1, ..Touches::default() };
    let first = planner.insert(std::slice::from_ref(&touches), Place::Last);
    let mut last = planner.insert(std::slice::from_ref(&touches), Place::Last);
    for _ in 0..200 {
        last = planner.insert(std::slice::from_ref(&touches), Place::Before(last));
    }
    assert_eq!(planner.order()[0], planner.members(first)[0]);
    assert_eq!(planner.order()[1], planner.members(last)[0]);
    assert_eq!(planner.critical_path_gas(), 202);
    assert_eq!(planner.critical_path().len(), 202);
}
