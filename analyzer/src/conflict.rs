//! When two calls of one contract cannot run side by side: the matrix, entry by entry.
//!
//! In: the summaries of a contract. Out: for each pair of entries a [`Verdict`], and for each location that causes it the
//! accesses to blame and the condition over both calls' inputs. Two different hash preimages are assumed to hash apart.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    access::{Access, ByteRange, CallKind, Effect, WriteForm},
    analyze::Analysis,
    expression::{Expressions, Node as Word, Space},
    id::ExprId,
    location::{Projection, Root, Slot},
    slot::distance_in_list,
    summary::Summary,
};

/// One cell of the conflict matrix; `a <= b` index the summaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Index of the first entry's summary.
    pub a: usize,
    /// Index of the second entry's summary.
    pub b: usize,
    /// Whether two calls from different senders conflict.
    pub verdict: Verdict,
    /// Why: one cause a pair of aliasing locations, strongest first.
    pub causes: Vec<Cause>,
}

/// The answer. What is known of two functions decides it only where both are known in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The calls touch no common location, or only read what they share.
    Never,
    /// They conflict if a condition over both calls' inputs holds (see the causes), and not otherwise.
    When,
    /// One side may touch more than is known, and nothing that is known always conflicts. The causes say when the calls
    /// conflict at least; where none holds, they may conflict all the same.
    Unknown,
    /// They conflict whatever their inputs are.
    Always,
}

/// One pair of locations through which two calls conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The location as the first entry names it.
    pub slot_a: Slot,
    /// The location as the second entry names it.
    pub slot_b: Slot,
    /// Indexes of the accesses in the first summary that touch the location.
    pub accesses_a: Vec<usize>,
    /// Indexes of the accesses in the second summary that touch the location.
    pub accesses_b: Vec<usize>,
    /// The bytes in conflict (the union over the accesses).
    pub bytes: ByteRange,
    /// What the two sides do.
    pub kind: ConflictKind,
    /// When the locations coincide.
    pub alias: Alias,
}

/// What the two sides of a conflict do to the location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Both only add or subtract: an executor that merges commutative updates runs them side by side.
    Mergeable,
    /// One reads what the other writes.
    ReadWrite,
    /// Both write.
    WriteWrite,
    /// They share the word but touch different bytes of it.
    FalseSharing,
    /// Both write and leave the slot as they found it, as far as is known: a lock or a temporary.
    NetZero,
}

/// When two location expressions name the same slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alias {
    /// For any inputs.
    Always,
    /// If all pairs are equal: the left expression over the first call's inputs, the right one over the second's.
    When(Vec<(ExprId, ExprId)>),
    /// Cannot be told: one side is a slot that the analysis lost or that any value can take.
    Unknown,
}

/// A location that an entry touches.
struct Location {
    slot: Slot,
    accesses: Vec<usize>,
    /// Bytes whose old content matters.
    read: Option<ByteRange>,
    written: Option<ByteRange>,
    /// All writes commute and no read is for anything else.
    mergeable: bool,
    /// All writes leave the slot as it was.
    net_zero: bool,
}

/// The conflict matrix: cells `(a, b)` with `a <= b`, in order, [`Verdict::Never`] ones included.
///
/// There are `n (n + 1) / 2` cells for `n` summaries, since two calls of one function are a pair as well.
///
/// ```
/// use deconflict_analyzer::{Options, Verdict, analyze, conflicts};
///
/// // One counter for everybody: slot 0 = slot 0 + 1.
/// let counter = [0x60, 0x00, 0x54, 0x60, 0x01, 0x01, 0x60, 0x00, 0x55, 0x00];
/// let matrix = conflicts(&analyze(counter.into(), &Options::default()));
/// assert!(matrix.iter().any(|cell| cell.verdict == Verdict::Always));
///
/// // One counter for each caller: slot[caller] = slot[caller] + 1.
/// let counters = [0x33, 0x54, 0x60, 0x01, 0x01, 0x33, 0x55, 0x00];
/// let matrix = conflicts(&analyze(counters.into(), &Options::default()));
/// assert!(matrix.iter().all(|cell| cell.verdict != Verdict::Always));
/// ```
pub fn conflicts(analysis: &Analysis) -> Vec<Conflict> {
    let (expressions, summaries) = (&analysis.expressions, analysis.summaries.as_slice());
    let locations: Vec<Vec<Location>> = summaries.iter().map(locations_of).collect();
    let mut result = Vec::new();
    for a in 0..summaries.len() {
        for b in a..summaries.len() {
            result.push(cell(expressions, summaries, &locations, a, b));
        }
    }
    result
}

fn union(range: Option<ByteRange>, other: ByteRange) -> ByteRange {
    range.map_or(other, |range| ByteRange { from: range.from.min(other.from), to: range.to.max(other.to) })
}

fn locations_of(summary: &Summary) -> Vec<Location> {
    let mut result: Vec<Location> = Vec::new();
    let mut known: FxHashMap<&Slot, usize> = FxHashMap::default();
    // What the analysis did not get to may read a sum.
    let complete = summary.is_complete();
    for (index, access) in summary.accesses.iter().enumerate() {
        if !is_visible(access) {
            continue;
        }
        let position = *known.entry(&access.slot).or_insert_with(|| {
            result.push(Location {
                slot: access.slot.clone(),
                accesses: Vec::new(),
                read: None,
                written: None,
                mergeable: complete,
                net_zero: true,
            });
            result.len() - 1
        });
        let location = &mut result[position];
        location.accesses.push(index);
        match &access.effect {
            Effect::Read { escapes, .. } => {
                location.read = Some(union(location.read, access.bytes));
                location.mergeable &= escapes.is_within(
                    crate::access::Escapes::STORE_BACK.with(crate::access::Escapes::OVERFLOW_CHECK),
                );
            }
            Effect::Write { form, .. } => {
                location.written = Some(union(location.written, access.bytes));
                location.mergeable &= matches!(form, WriteForm::Delta { .. });
                location.net_zero &= matches!(form, WriteForm::NetZero(_));
            }
        }
    }
    for location in &mut result {
        location.net_zero &= location.written.is_some();
        location.mergeable &= location.written.is_some();
    }
    result
}

fn cell(
    expressions: &Expressions,
    summaries: &[Summary],
    locations: &[Vec<Location>],
    a: usize,
    b: usize,
) -> Conflict {
    if locations[a].len() * locations[b].len() > MAX_PAIRS {
        return too_many(summaries, locations, a, b);
    }
    let mut causes: Vec<Cause> = Vec::new();
    // A slot that the analysis lost may be any other: one cause for all that it may meet says as much as many.
    let mut lost: FxHashMap<(bool, Slot), usize> = FxHashMap::default();
    for left in &locations[a] {
        for right in &locations[b] {
            if left.written.is_none() && right.written.is_none() {
                continue;
            }
            let shared = |id| is_shared(expressions, &summaries[a], &summaries[b], id);
            let Some(alias) = relate(expressions, &left.slot, &right.slot, &shared) else { continue };
            let kind = kind_of(left, right);
            if alias == Alias::Unknown {
                let is_lost = |slot: &Slot| !matches!(slot.root, Root::Fixed(_));
                let key = if is_lost(&left.slot) {
                    Some((true, left.slot.clone()))
                } else if is_lost(&right.slot) {
                    Some((false, right.slot.clone()))
                } else {
                    None
                };
                if let Some(key) = key {
                    let next = causes.len();
                    let known = *lost.entry(key).or_insert(next);
                    if known < next {
                        let cause = &mut causes[known];
                        cause.accesses_a.extend(
                            left.accesses
                                .iter()
                                .filter(|index| !cause.accesses_a.contains(index))
                                .collect::<Vec<_>>(),
                        );
                        cause.accesses_b.extend(
                            right
                                .accesses
                                .iter()
                                .filter(|index| !cause.accesses_b.contains(index))
                                .collect::<Vec<_>>(),
                        );
                        continue;
                    }
                }
            }
            let touched = |location: &Location| match (location.read, location.written) {
                (read, Some(written)) => union(read, written),
                (read, None) => read.unwrap_or(ByteRange::WORD),
            };
            let (touched_a, touched_b) = (touched(left), touched(right));
            causes.push(Cause {
                slot_a: left.slot.clone(),
                slot_b: right.slot.clone(),
                accesses_a: left.accesses.clone(),
                accesses_b: right.accesses.clone(),
                bytes: union(Some(touched_a), touched_b),
                kind,
                alias,
            });
        }
    }
    for (this, other) in [(a, b), (b, a)] {
        causes.extend(delegate_cause(summaries, locations, this, other, this == a));
        if a == b {
            break;
        }
    }
    // A function with itself meets each pair of locations twice; the mirror image says nothing new.
    if a == b {
        let mut seen: FxHashSet<(Slot, Slot)> = FxHashSet::default();
        causes.retain(|cause| {
            let mirrored = seen.contains(&(cause.slot_b.clone(), cause.slot_a.clone()));
            seen.insert((cause.slot_a.clone(), cause.slot_b.clone()));
            !mirrored || cause.slot_a == cause.slot_b
        });
    }
    causes.sort_by_key(|cause| match cause.alias {
        Alias::Always => 0,
        Alias::When(_) => 1,
        Alias::Unknown => 2,
    });
    let verdict = match causes.first().map(|cause| &cause.alias) {
        Some(Alias::Always) => Verdict::Always,
        _ if !are_complete(summaries, a, b) => Verdict::Unknown,
        None => Verdict::Never,
        Some(Alias::When(_) | Alias::Unknown) => Verdict::When,
    };
    Conflict { a, b, verdict, causes }
}

/// Whether nothing that either entry touches is missing.
fn are_complete(summaries: &[Summary], a: usize, b: usize) -> bool {
    summaries[a].is_complete() && summaries[b].is_complete()
}

/// Pairs of locations that are compared for one cell.
const MAX_PAIRS: usize = 250_000;

/// The cell of two entries with more locations than can be compared; sound because it says that they may conflict.
fn too_many(summaries: &[Summary], locations: &[Vec<Location>], a: usize, b: usize) -> Conflict {
    let writes = |index: usize| locations[index].iter().any(|location| location.written.is_some());
    let complete = are_complete(summaries, a, b);
    if !writes(a) && !writes(b) {
        let verdict = if complete { Verdict::Never } else { Verdict::Unknown };
        return Conflict { a, b, verdict, causes: Vec::new() };
    }
    let all = |index: usize| locations[index].iter().flat_map(|location| location.accesses.clone()).collect();
    let anything = |index: usize| {
        let root = summaries[index]
            .accesses
            .first()
            .map_or(Root::Fixed(U256::ZERO), |access| Root::Unknown(access.expression));
        Slot { root, path: Vec::new() }
    };
    let cause = Cause {
        slot_a: anything(a),
        slot_b: anything(b),
        accesses_a: all(a),
        accesses_b: all(b),
        bytes: ByteRange::WORD,
        kind: ConflictKind::ReadWrite,
        alias: Alias::Unknown,
    };
    let verdict = if complete { Verdict::When } else { Verdict::Unknown };
    Conflict { a, b, verdict, causes: vec![cause] }
}

/// Code that runs by `DELEGATECALL` can touch any storage of this contract.
fn delegate_cause(
    summaries: &[Summary],
    locations: &[Vec<Location>],
    this: usize,
    other: usize,
    first: bool,
) -> Option<Cause> {
    let call = summaries[this].calls.iter().find(|call| {
        matches!(call.kind, CallKind::DelegateCall | CallKind::CallCode) && !call.circumstance.reverts
    })?;
    let touches_storage = !locations[other].is_empty()
        || summaries[other]
            .calls
            .iter()
            .any(|call| matches!(call.kind, CallKind::DelegateCall | CallKind::CallCode));
    if !touches_storage {
        return None;
    }
    let anything = Slot { root: Root::Unknown(call.target), path: Vec::new() };
    let accesses: Vec<usize> =
        locations[other].iter().flat_map(|location| location.accesses.clone()).collect();
    let (accesses_a, accesses_b) = if first { (Vec::new(), accesses) } else { (accesses, Vec::new()) };
    Some(Cause {
        slot_a: anything.clone(),
        slot_b: anything,
        accesses_a,
        accesses_b,
        bytes: ByteRange::WORD,
        kind: ConflictKind::ReadWrite,
        alias: Alias::Unknown,
    })
}

fn kind_of(left: &Location, right: &Location) -> ConflictKind {
    let only_net_zero = |location: &Location| location.written.is_none() || location.net_zero;
    if only_net_zero(left) && only_net_zero(right) {
        return ConflictKind::NetZero;
    }
    let hull = |location: &Location| match (location.read, location.written) {
        (read, Some(written)) => union(read, written),
        (read, None) => read.unwrap_or(ByteRange::WORD),
    };
    let meets = |written: Option<ByteRange>, other: &Location| {
        written.is_some_and(|written| written.overlaps(hull(other)))
    };
    if !meets(left.written, right) && !meets(right.written, left) {
        return ConflictKind::FalseSharing;
    }
    if left.mergeable && right.mergeable {
        return ConflictKind::Mergeable;
    }
    if left.read.is_none() && right.read.is_none() {
        return ConflictKind::WriteWrite;
    }
    ConflictKind::ReadWrite
}

/// Whether the word is the same in every transaction of a block, as long as neither entry changes what it is made of.
fn is_shared(expressions: &Expressions, a: &Summary, b: &Summary, id: ExprId) -> bool {
    !expressions.any(id, |part| match expressions.node(part) {
        Word::Constant(_)
        | Word::Immutable(_)
        | Word::Unary { .. }
        | Word::Binary { .. }
        | Word::Ternary { .. }
        | Word::Keccak(_)
        | Word::Bytes(_) => false,
        Word::Environment(environment) => !environment.is_block_constant(),
        Word::Load { space: Space::Storage, slot, .. } => {
            [a, b].iter().any(|summary| {
                !summary.is_complete()
                    || summary.accesses.iter().any(|access| {
                    access.expression == slot
                        && matches!(&access.effect, Effect::Write { form, .. } if !matches!(form, WriteForm::NetZero(_)))
                })
            })
        }
        _ => true,
    })
}

/// When two locations, one of each call, are the same slot; `None` if never.
fn relate(expressions: &Expressions, a: &Slot, b: &Slot, shared: &dyn Fn(ExprId) -> bool) -> Option<Alias> {
    let (Root::Fixed(root_a), Root::Fixed(root_b)) = (a.root, b.root) else {
        return relate_raw(expressions, a, b, shared);
    };
    let is_hash = |step: Option<&Projection>| {
        matches!(step, Some(Projection::Mapping { .. } | Projection::Element { .. }))
    };
    if root_a != root_b {
        let (first_a, first_b) = (a.path.first(), b.path.first());
        if is_folded_element(a, b) || is_folded_element(b, a) {
            return Some(Alias::Unknown);
        }
        if is_hash(first_a) || is_hash(first_b) {
            return None;
        }
        // Arrays of fixed size start at their root and go up.
        return match (first_a, first_b) {
            (Some(Projection::Index { .. }), Some(Projection::Index { .. })) => Some(Alias::Unknown),
            (Some(Projection::Index { .. }), None) if root_b > root_a => Some(Alias::Unknown),
            (None, Some(Projection::Index { .. })) if root_a > root_b => Some(Alias::Unknown),
            _ => None,
        };
    }
    let mut pairs = Vec::new();
    let longest = a.path.len().max(b.path.len());
    for index in 0..longest {
        match (a.path.get(index), b.path.get(index)) {
            (Some(Projection::Mapping { key: x }), Some(Projection::Mapping { key: y })) => {
                if !push_pair(expressions, *x, *y, shared, &mut pairs) {
                    return None;
                }
            }
            (
                Some(Projection::Element { index: x, stride: s } | Projection::Index { index: x, stride: s }),
                Some(Projection::Element { index: y, stride: t } | Projection::Index { index: y, stride: t }),
            ) => {
                if s != t {
                    return Some(Alias::Unknown);
                }
                if !push_pair(expressions, *x, *y, shared, &mut pairs) {
                    return None;
                }
            }
            (Some(Projection::Offset(x)), Some(Projection::Offset(y))) => {
                if x != y {
                    return None;
                }
            }
            // A place inside an array of fixed size against a plain offset of the same struct.
            (Some(Projection::Index { .. }), other) | (other, Some(Projection::Index { .. })) => {
                if is_hash(other) {
                    return None;
                }
                return Some(Alias::Unknown);
            }
            _ => return None,
        }
    }
    Some(if pairs.is_empty() { Alias::Always } else { Alias::When(pairs) })
}

/// Whether a long constant slot may be an element of a list: the start of the list is the hash of a slot that is known,
/// whether or not the code holds that hash as a constant.
fn is_folded_element(slot: &Slot, element: &Slot) -> bool {
    let (Root::Fixed(place), Root::Fixed(length)) = (slot.root, element.root) else { return false };
    let is_plain =
        !matches!(slot.path.first(), Some(Projection::Mapping { .. } | Projection::Element { .. }));
    let is_element = matches!(element.path.first(), Some(Projection::Element { .. }));
    is_plain && is_element && place.bit_len() > 64 && distance_in_list(length, place).is_some()
}

/// Adds the condition that two keys are equal. `false` if they never are.
fn push_pair(
    expressions: &Expressions,
    x: ExprId,
    y: ExprId,
    shared: &dyn Fn(ExprId) -> bool,
    pairs: &mut Vec<(ExprId, ExprId)>,
) -> bool {
    if let (Some(a), Some(b)) = (expressions.constant(x), expressions.constant(y)) {
        return a == b;
    }
    let cannot = |constant: ExprId, word: ExprId| {
        expressions.constant(constant).is_some_and(|value| !(value & !expressions.mask(word)).is_zero())
    };
    if cannot(x, y) || cannot(y, x) {
        return false;
    }
    if x == y && shared(x) {
        return true;
    }
    // keccak keys: equal hashes are equal inputs, and inputs of different shapes never are.
    let (x, y) = (unmasked(expressions, x), unmasked(expressions, y));
    if !pairs.contains(&(x, y)) {
        pairs.push((x, y));
    }
    true
}

/// Without the masks that only clean a value to its type.
fn unmasked(expressions: &Expressions, id: ExprId) -> ExprId {
    if let Word::Binary { op: op::AND, a, b } = expressions.node(id)
        && let Some(mask) = expressions.constant(b)
        && (mask & mask.wrapping_add(U256::from(1))).is_zero()
        && mask.bit_len() == 160
    {
        return a;
    }
    id
}

fn relate_raw(
    expressions: &Expressions,
    a: &Slot,
    b: &Slot,
    shared: &dyn Fn(ExprId) -> bool,
) -> Option<Alias> {
    if let (Root::Raw(x), Root::Raw(y)) = (a.root, b.root) {
        if a.path == b.path {
            let mut pairs = Vec::new();
            return push_pair(expressions, x, y, shared, &mut pairs).then_some(if pairs.is_empty() {
                Alias::Always
            } else {
                Alias::When(pairs)
            });
        }
        return Some(Alias::Unknown);
    }
    // A hash of an unfamiliar shape is no numbered slot, and no entry of a mapping with another input.
    let is_hash = |slot: &Slot| matches!(slot.root, Root::Raw(id) if expressions.preimage(id).is_some());
    let is_fixed = |slot: &Slot| matches!(slot.root, Root::Fixed(_));
    if (is_hash(a) && is_fixed(b)) || (is_hash(b) && is_fixed(a)) {
        return None;
    }
    Some(Alias::Unknown)
}

/// Whether an access is to storage and can be seen by other transactions.
fn is_visible(access: &Access) -> bool {
    access.space == Space::Storage
        && !(access.circumstance.reverts && matches!(access.effect, Effect::Write { .. }))
}
