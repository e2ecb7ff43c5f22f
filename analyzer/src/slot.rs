//! Brings slot expressions to normal form, and tells slots apart.
//!
//! In: the slot expression of an `SLOAD` or `SSTORE`. Out: a [`Slot`] such as `slot 3[caller] + 1`. Two slots are said to
//! be apart only where different byte strings would have to hash to the same or neighbouring words for them to meet.

use alloy_primitives::{U256, keccak256};
use revm_bytecode::opcode as op;
use rustc_hash::FxHashMap;
use std::sync::LazyLock;

use crate::{
    address_order::small_signed,
    expression::{Expressions, Node, Piece},
    id::ExprId,
    location::{Projection, Root, Slot},
    simplify::Builder,
};

/// Constants from here on are hashes, or roots derived from hashes, rather than numbers of variables.
const HASHED: usize = 64;

/// Slots below this need not be seen to be known for lengths of lists.
const NUMBERED: u64 = 256;

/// `keccak256` of the words 0 to 255 and the word, sorted: where compilers put the data of dynamic arrays.
static ARRAY_ROOTS: LazyLock<Vec<(U256, u64)>> = LazyLock::new(|| {
    let mut roots: Vec<_> = (0..NUMBERED)
        .map(|slot| (U256::from_be_bytes(keccak256(U256::from(slot).to_be_bytes::<32>()).0), slot))
        .collect();
    roots.sort_unstable();
    roots
});

/// How far behind the start of an array's data a constant still counts as one of its elements.
const ARRAY_REACH: u64 = 1 << 32;

fn array_root(value: U256) -> Option<(u64, u64)> {
    let index = ARRAY_ROOTS.partition_point(|root| root.0 <= value).checked_sub(1)?;
    let (root, slot) = ARRAY_ROOTS[index];
    let distance = value - root;
    (distance < U256::from(ARRAY_REACH)).then(|| (slot, distance.to::<u64>()))
}

/// Brings a slot expression to normal form; `bound` gives an upper bound of an index where the path knows one.
pub(crate) fn normalise(
    builder: &mut Builder,
    slot: ExprId,
    bound: &dyn Fn(&Builder, ExprId) -> Option<U256>,
) -> Slot {
    let (base, constant) = builder.split_sum(slot);
    if let Some(value) = builder.value(slot) {
        return constant_slot(builder, slot, value);
    }
    if builder.expressions.preimage(base).is_some() {
        let mut path = hashed(builder, base, bound);
        push_offset(builder, &mut path, constant);
        return path;
    }
    if let Some(slot) = stepping(builder, slot, bound) {
        return slot;
    }
    if let Node::Unknown(_) = builder.expressions.node(base) {
        return Slot { root: Root::Unknown(slot), path: Vec::new() };
    }
    // root + index · stride + constant
    if let Some((root, index)) = symbolic_root(builder, base) {
        let mut path = normalise(builder, root, bound);
        let (index, stride) = scaled(&builder.expressions, index);
        let element = match path.path.last() {
            Some(&Projection::Element { index: start, .. }) if builder.is_zero(start) => {
                path.path.pop();
                Projection::Element { index, stride }
            }
            _ => Projection::Index { index, stride },
        };
        path.path.push(element);
        push_offset(builder, &mut path, constant);
        return path;
    }
    if constant.is_zero() {
        let (index, stride) = scaled(&builder.expressions, base);
        if is_index(builder, index, bound) {
            return Slot { root: Root::Fixed(U256::ZERO), path: vec![Projection::Index { index, stride }] };
        }
    } else {
        let (index, stride) = scaled(&builder.expressions, base);
        if let Some(element) = folded_element(builder, constant, index, stride) {
            return element;
        }
        // A number of a variable plus an index: an array of fixed size if the path bounds the index, else anything.
        if constant.bit_len() > HASHED || is_index(builder, index, bound) {
            let mut path = constant_slot(builder, slot, constant);
            path.path.push(Projection::Index { index, stride });
            return path;
        }
    }
    Slot { root: Root::Raw(slot), path: Vec::new() }
}

/// `keccak(slot) + index · stride + n`, with the hash folded to a constant and a small `n` that may be negative: the last
/// element of an array is at `keccak(slot) + length - 1`.
fn folded_element(builder: &mut Builder, constant: U256, index: ExprId, stride: u32) -> Option<Slot> {
    let (mut path, distance) = list_behind(builder, constant.wrapping_add(U256::from(BEFORE)))?;
    path.path.push(Projection::Element { index, stride });
    push_offset(builder, &mut path, U256::from(distance).wrapping_sub(U256::from(BEFORE)));
    Some(path)
}

/// How far before the start of an array's data a constant still counts as the place of an element.
const BEFORE: u64 = 64;

/// The list whose data starts at or shortly before the constant, and how far before it.
fn list_behind(builder: &mut Builder, value: U256) -> Option<(Slot, u64)> {
    if let Some((slot, distance)) = array_root(value) {
        return Some((Slot::fixed(U256::from(slot)), distance));
    }
    let (word, distance) = builder.list_root(value, ARRAY_REACH)?;
    Some((normalise(builder, word, &|_, _| None), distance))
}

/// Whether a word is small enough for the index of an array of fixed size.
fn is_index(builder: &Builder, index: ExprId, bound: &dyn Fn(&Builder, ExprId) -> Option<U256>) -> bool {
    largest(builder, index, bound, 4).is_some_and(|largest| largest.bit_len() <= 32)
}

/// An upper bound of a word: from its bits, from the path, or from those of its parts.
fn largest(
    builder: &Builder,
    id: ExprId,
    bound: &dyn Fn(&Builder, ExprId) -> Option<U256>,
    depth: u32,
) -> Option<U256> {
    let mask = builder.expressions.mask(id);
    if mask.bit_len() <= 32 {
        return Some(mask);
    }
    if let Some(found) = bound(builder, id) {
        return Some(found);
    }
    let depth = depth.checked_sub(1)?;
    let Node::Binary { op, a, b } = builder.expressions.node(id) else { return None };
    let of = |part| largest(builder, part, bound, depth).filter(|found| found.bit_len() <= 64);
    match op {
        op::ADD => Some(of(a)? + of(b)?),
        op::MUL => Some(of(a)? * of(b)?),
        op::SHL => Some(of(b)? << builder.value(a).filter(|count| count.bit_len() <= 6)?.to::<usize>()),
        op::SHR => Some(of(b)? >> builder.value(a).filter(|count| count.bit_len() <= 8)?.to::<usize>()),
        op::DIV => of(a),
        _ => None,
    }
}

/// A slot that a loop steps through: all values are `start + n · step` from one start.
fn stepping(
    builder: &mut Builder,
    slot: ExprId,
    bound: &dyn Fn(&Builder, ExprId) -> Option<U256>,
) -> Option<Slot> {
    let (phi, offset) = builder.split_sum(slot);
    let Node::Phi { .. } = builder.expressions.node(phi) else { return None };
    let operands = builder.expressions.phi_operands(phi).to_vec();
    let mut start = None;
    let mut stride = 1;
    for operand in operands {
        let (base, step) = builder.split_sum(operand);
        if base == phi {
            stride = small_signed(step).filter(|step| (1..=64).contains(step)).unwrap_or(1);
        } else if start.is_some_and(|start| start != operand) {
            return None;
        } else {
            start = Some(operand);
        }
    }
    let start = start?;
    let first = builder.split_sum(start).0;
    // Only hashes start runs of slots that cannot be confused with other variables.
    if builder.expressions.preimage(first).is_none()
        && builder.value(first).is_none_or(|value| value.bit_len() <= HASHED)
        && symbolic_root(builder, first).is_none()
    {
        return None;
    }
    let mut path = normalise(builder, start, bound);
    let last = path.path.pop()?;
    let stride = stride as u32;
    match last {
        Projection::Element { .. } => path.path.push(Projection::Element { index: phi, stride }),
        other => {
            path.path.push(other);
            path.path.push(Projection::Index { index: phi, stride });
        }
    }
    push_offset(builder, &mut path, offset);
    Some(path)
}

fn constant_slot(builder: &mut Builder, id: ExprId, value: U256) -> Slot {
    if value.bit_len() > HASHED {
        if builder.expressions.preimage(id).is_some() {
            return hashed(builder, id, &|_, _| None);
        }
        if let Some((mut list, distance)) = list_behind(builder, value) {
            let index = builder.number(distance);
            list.path.push(Projection::Element { index, stride: 1 });
            return list;
        }
    }
    Slot::fixed(value)
}

fn push_offset(builder: &mut Builder, slot: &mut Slot, offset: U256) {
    if offset.is_zero() {
        return;
    }
    // Elements of one slot have no members: what is added moves on to another element.
    if let Some(Projection::Element { index, stride: 1 } | Projection::Index { index, stride: 1 }) =
        slot.path.last_mut()
    {
        let offset = builder.constant(offset);
        *index = builder.add(*index, offset);
        return;
    }
    if let Some(Projection::Offset(last)) = slot.path.last_mut() {
        *last = last.wrapping_add(offset);
        return;
    }
    match &mut slot.root {
        Root::Fixed(number) if slot.path.is_empty() => *number = number.wrapping_add(offset),
        _ => slot.path.push(Projection::Offset(offset)),
    }
}

/// The slot behind a hash.
fn hashed(builder: &mut Builder, hash: ExprId, bound: &dyn Fn(&Builder, ExprId) -> Option<U256>) -> Slot {
    if builder.nesting >= MAX_NESTING {
        let root = builder.value(hash).map_or(Root::Raw(hash), Root::Fixed);
        return Slot { root, path: Vec::new() };
    }
    builder.nesting += 1;
    let slot = unhashed(builder, hash, bound);
    builder.nesting -= 1;
    slot
}

fn unhashed(builder: &mut Builder, hash: ExprId, bound: &dyn Fn(&Builder, ExprId) -> Option<U256>) -> Slot {
    let pieces = builder.expressions.preimage(hash).unwrap_or(&[]).to_vec();
    match pieces.as_slice() {
        [Piece::Word { word, from: 0, to: 32 }] => {
            let mut slot = normalise(builder, *word, bound);
            let index = builder.zero();
            slot.path.push(Projection::Element { index, stride: 1 });
            slot
        }
        [.., Piece::Word { word, from, to }] if is_slot_like(builder, *word) && pieces.len() > 1 => {
            let root = right_aligned(builder, *word, *from, *to);
            let key = key_of(builder, &pieces[..pieces.len() - 1]);
            entry(builder, root, key, bound)
        }
        [Piece::Word { word, from: 0, to: 32 }, ..] if is_slot_like(builder, *word) && pieces.len() > 1 => {
            let key = key_of(builder, &pieces[1..]);
            entry(builder, *word, key, bound)
        }
        _ => Slot { root: Root::Raw(hash), path: Vec::new() },
    }
}

fn entry(
    builder: &mut Builder,
    root: ExprId,
    key: ExprId,
    bound: &dyn Fn(&Builder, ExprId) -> Option<U256>,
) -> Slot {
    let mut slot = normalise(builder, root, bound);
    slot.path.push(Projection::Mapping { key });
    slot
}

/// Whether a word can be the slot part of a mapping hash: a constant, a hash, or a hash plus something.
fn is_slot_like(builder: &Builder, word: ExprId) -> bool {
    if builder.value(word).is_some() || builder.expressions.preimage(word).is_some() {
        return true;
    }
    let (base, _) = builder.split_sum(word);
    builder.expressions.preimage(base).is_some() || symbolic_root(builder, base).is_some()
}

/// The bytes `[from, to)` of a constant as a number; other words as they are.
fn right_aligned(builder: &mut Builder, word: ExprId, from: u8, to: u8) -> ExprId {
    let shifted = builder.shr(8 * (32 - usize::from(to)), word);
    let width = 8 * usize::from(to - from);
    if width >= 256 { shifted } else { builder.and_mask(shifted, (U256::from(1) << width) - U256::from(1)) }
}

/// A mapping key: the word that the pieces are the low bytes of, else the byte string.
fn key_of(builder: &mut Builder, pieces: &[Piece]) -> ExprId {
    if let [Piece::Word { word, from, to }] = *pieces {
        return right_aligned(builder, word, from, to);
    }
    builder.key_of(pieces)
}

/// `hash + rest`, where one term of a sum is a hash.
fn symbolic_root(builder: &Builder, sum: ExprId) -> Option<(ExprId, ExprId)> {
    let Node::Binary { op: op::ADD, a, b } = builder.expressions.node(sum) else { return None };
    let is_root = |id| {
        builder.expressions.preimage(id).is_some()
            || builder.expressions.preimage(builder.split_sum(id).0).is_some()
    };
    if is_root(a) {
        Some((a, b))
    } else if is_root(b) {
        Some((b, a))
    } else {
        None
    }
}

/// `index · stride`.
pub(crate) fn scaled(expressions: &Expressions, product: ExprId) -> (ExprId, u32) {
    if let Node::Binary { op, a, b } = expressions.node(product) {
        match op {
            op::SHL => {
                if let Some(count) = expressions.constant(a).filter(|count| *count < U256::from(16)) {
                    return (b, 1 << count.to::<u32>());
                }
            }
            op::MUL => {
                if let Some(stride) = expressions.constant(b).filter(|stride| stride.bit_len() <= 16) {
                    return (a, stride.to::<u32>());
                }
            }
            _ => {}
        }
    }
    (product, 1)
}

/// Whether two slot expressions of one call provably name different slots, assuming that different byte strings hash
/// to different, unrelated words.
pub(crate) fn are_apart(builder: &Builder, a: ExprId, b: ExprId) -> bool {
    apart(builder, a, b, MAX_NESTING)
}

/// Hashes of hashes deeper than this are neither taken apart nor told apart: nobody nests mappings so.
const MAX_NESTING: u32 = 8;

fn apart(builder: &Builder, a: ExprId, b: ExprId, nesting: u32) -> bool {
    if a == b {
        return false;
    }
    let (base_a, offset_a) = builder.split_sum(a);
    let (base_b, offset_b) = builder.split_sum(b);
    if base_a == base_b {
        return offset_a != offset_b;
    }
    match (builder.value(a), builder.value(b)) {
        (Some(x), Some(y)) => return x != y,
        (Some(number), None) => return is_apart_from_constant(builder, number, a, base_b, nesting),
        (None, Some(number)) => return is_apart_from_constant(builder, number, b, base_a, nesting),
        (None, None) => {}
    }
    let near = |offset| small_signed(offset).is_some();
    if let (Some(left), Some(right)) =
        (builder.expressions.preimage(base_a), builder.expressions.preimage(base_b))
        && near(offset_a)
        && near(offset_b)
    {
        return offset_a != offset_b || are_pieces_apart(builder, left, right, nesting);
    }
    false
}

fn is_apart_from_constant(
    builder: &Builder,
    number: U256,
    constant: ExprId,
    base: ExprId,
    nesting: u32,
) -> bool {
    let Some(pieces) = builder.expressions.preimage(base) else {
        // hash + index against a number of a variable: an index never wraps around the space of hashes.
        return number.bit_len() <= HASHED && symbolic_root(builder, base).is_some();
    };
    match builder.expressions.preimage(constant) {
        Some(known) => are_pieces_apart(builder, known, pieces, nesting),
        // Hashes that a compiler folded have got their preimage back in `recover_preimage`; what is left is no entry.
        None => true,
    }
}

/// Mappings at slots beyond this are not looked for behind folded hashes.
const FOLDED_SLOTS: u64 = 64;

/// Mapping entries that a compiler may have folded: what it hashes is the key and the slot.
pub(crate) struct FoldedEntries {
    keys: Vec<U256>,
    /// The key and the slot behind each hash, made when the first hash is looked up.
    hashes: Option<FxHashMap<U256, (U256, u64)>>,
    /// Constants of the code that may be the slot of a list's length: roots of namespaces, and what stands behind them.
    lengths: Vec<U256>,
    /// Where the data of these lists would start, and the slot of the length, sorted; made when first asked for.
    lists: Option<Vec<(U256, U256)>>,
    /// The same of the slots that the code loads or stores, as far as it has been seen.
    used: Vec<(U256, U256)>,
    /// Long constants in places of slots that nothing has explained so far, sorted.
    open: Vec<U256>,
}

/// The entries of the keys 0, 1 and 2, which every code is taken to use.
static SMALL_ENTRIES: LazyLock<FxHashMap<U256, (U256, u64)>> =
    LazyLock::new(|| (0..3).map(U256::from).flat_map(entries_of).collect());

/// The hashes of the entries with this key.
fn entries_of(key: U256) -> impl Iterator<Item = (U256, (U256, u64))> {
    (0..FOLDED_SLOTS).map(move |slot| {
        let mut input = [0u8; 64];
        input[..32].copy_from_slice(&key.to_be_bytes::<32>());
        input[32..].copy_from_slice(&U256::from(slot).to_be_bytes::<32>());
        (U256::from_be_bytes(keccak256(input).0), (key, slot))
    })
}

impl FoldedEntries {
    /// Entries with one of `keys`, or with a very small number, and lists whose length is at one of `lengths`.
    pub(crate) fn new(keys: Vec<U256>, lengths: Vec<U256>) -> Self {
        Self { keys, hashes: None, lengths, lists: None, used: Vec::new(), open: Vec::new() }
    }

    /// The slot of the length of the list that has an element at `place`, or shortly behind it.
    fn find_list(&mut self, place: U256) -> Option<U256> {
        let hash = |slot: &U256| (list_start(*slot), *slot);
        let lengths = &self.lengths;
        let lists = self.lists.get_or_insert_with(|| {
            let mut lists: Vec<_> = lengths.iter().map(hash).collect();
            lists.sort_unstable();
            lists
        });
        list_at(lists, place).or_else(|| list_at(&self.used, place))
    }

    /// Takes note of a slot that the code uses: it may be that of the length of a list. `true` if elements of that list
    /// have been come across before.
    fn see(&mut self, slot: U256) -> bool {
        let list = (list_start(slot), slot);
        let Err(place) = self.used.binary_search(&list) else { return false };
        self.used.insert(place, list);
        let first = self.open.partition_point(|place| place.wrapping_add(U256::from(BEFORE)) < list.0);
        self.open.get(first).is_some_and(|place| list_at(&[list], *place).is_some())
    }

    /// Takes note of a long constant that stands for no list or entry that is known.
    fn leave_open(&mut self, place: U256) {
        if let Err(at) = self.open.binary_search(&place) {
            self.open.insert(at, place);
        }
    }

    fn find(&mut self, hash: U256) -> Option<(U256, u64)> {
        let keys = &self.keys;
        SMALL_ENTRIES
            .get(&hash)
            .or_else(|| {
                let make = || keys.iter().copied().flat_map(entries_of).collect();
                self.hashes.get_or_insert_with(make).get(&hash)
            })
            .copied()
    }
}

/// Where the data of the list starts whose length is in a slot.
pub(crate) fn list_start(slot: U256) -> U256 {
    U256::from_be_bytes(keccak256(slot.to_be_bytes::<32>()).0)
}

/// The slot of the length of the one among `lists`, sorted by where they start, that has an element at `place`, or shortly
/// behind it.
fn list_at(lists: &[(U256, U256)], place: U256) -> Option<U256> {
    let end = place.wrapping_add(U256::from(BEFORE));
    let (start, slot) = lists[lists.partition_point(|list| list.0 <= end).checked_sub(1)?];
    (end - start < U256::from(ARRAY_REACH)).then_some(slot)
}

/// How far `place` lies behind the start of the list whose length is in `slot`, if it may be one of its elements.
pub(crate) fn distance_in_list(slot: U256, place: U256) -> Option<U256> {
    let distance = place.wrapping_sub(list_start(slot));
    let before = distance.wrapping_add(U256::from(BEFORE));
    (before < U256::from(ARRAY_REACH)).then_some(distance)
}

/// Takes note of a slot that the code loads or stores: what it hashes to is the start of a list, if it is a length, and
/// compilers put that hash into the code wherever the slot is.
pub(crate) fn see_slot(builder: &mut Builder, slot: U256, folded: &mut FoldedEntries) {
    // The first numbers are in a table of their own.
    if slot >= U256::from(NUMBERED) && folded.see(slot) {
        let word = builder.constant(slot);
        builder.keccak(vec![Piece::Word { word, from: 0, to: 32 }]);
    }
}

/// Finds what a compiler hashed at compile time to get `constant`: a mapping entry with one of the keys, or the start of
/// a list, both of constants of the code. Without this, the entry of a constant key would not alias the same entry of a
/// computed key, and the elements of a list in a namespace would have nothing to do with its length.
pub(crate) fn recover_preimage(builder: &mut Builder, constant: U256, folded: &mut FoldedEntries) {
    if constant.bit_len() <= HASHED || array_root(constant).is_some() {
        return;
    }
    if let Some((key, slot)) = folded.find(constant) {
        let key = builder.constant(key);
        let slot = builder.number(slot);
        let piece = |word| Piece::Word { word, from: 0, to: 32 };
        builder.keccak(vec![piece(key), piece(slot)]);
    } else if let Some(length) = folded.find_list(constant) {
        let word = builder.constant(length);
        builder.keccak(vec![Piece::Word { word, from: 0, to: 32 }]);
    } else {
        folded.leave_open(constant);
    }
}

/// The normal form of a slot that was taken for a slot of its own before the list that it is an element of was known.
pub(crate) fn element_behind(builder: &mut Builder, slot: &Slot) -> Option<Slot> {
    let Root::Fixed(number) = slot.root else { return None };
    let is_plain =
        !matches!(slot.path.first(), Some(Projection::Mapping { .. } | Projection::Element { .. }));
    if number.bit_len() <= HASHED || !is_plain {
        return None;
    }
    let id = builder.constant(number);
    let mut found = constant_slot(builder, id, number);
    if found == Slot::fixed(number) {
        return None;
    }
    for step in &slot.path {
        match *step {
            Projection::Offset(offset) => push_offset(builder, &mut found, offset),
            // The index of what was taken for an array of fixed size counts on from the element.
            Projection::Index { index, stride } => match found.path.last_mut() {
                Some(Projection::Element { index: start, stride: width }) => {
                    let is_first = builder.is_zero(*start);
                    if stride != 1 && !is_first {
                        return None;
                    }
                    *start = builder.add(*start, index);
                    *width = stride;
                }
                _ => found.path.push(*step),
            },
            Projection::Mapping { .. } | Projection::Element { .. } => found.path.push(*step),
        }
    }
    Some(found)
}

fn are_pieces_apart(builder: &Builder, left: &[Piece], right: &[Piece], nesting: u32) -> bool {
    let Some(nesting) = nesting.checked_sub(1) else { return false };
    let length = |pieces: &[Piece]| {
        pieces.iter().try_fold(0usize, |total, piece| match piece {
            Piece::Word { from, to, .. } => Some(total + usize::from(to - from)),
            _ => None,
        })
    };
    if let (Some(left), Some(right)) = (length(left), length(right))
        && left != right
    {
        return true;
    }
    let same_shape = left.len() == right.len()
        && left.iter().zip(right).all(|(a, b)| match (a, b) {
            (Piece::Word { from: f1, to: t1, .. }, Piece::Word { from: f2, to: t2, .. }) => {
                f1 == f2 && t1 == t2
            }
            _ => false,
        });
    // The last pieces of equal length stand at the same distance from the end.
    let is_last_whole = matches!(
        (left.last(), right.last()),
        (Some(Piece::Word { from: 0, to: 32, .. }), Some(Piece::Word { from: 0, to: 32, .. }))
    );
    let last_apart = match (left.last(), right.last()) {
        (Some(Piece::Word { word: a, .. }), Some(Piece::Word { word: b, .. })) if is_last_whole => {
            are_words_apart(builder, *a, *b, nesting)
        }
        _ => false,
    };
    last_apart
        || (same_shape
            && left.iter().zip(right).rev().skip(usize::from(is_last_whole)).any(|(a, b)| match (a, b) {
                (Piece::Word { word: a, from: 0, to: 32 }, Piece::Word { word: b, .. }) => {
                    are_words_apart(builder, *a, *b, nesting)
                }
                (Piece::Word { word: a, from, to }, Piece::Word { word: b, .. }) => {
                    match (builder.value(*a), builder.value(*b)) {
                        (Some(x), Some(y)) => {
                            x.to_be_bytes::<32>()[usize::from(*from)..usize::from(*to)]
                                != y.to_be_bytes::<32>()[usize::from(*from)..usize::from(*to)]
                        }
                        _ => false,
                    }
                }
                _ => false,
            }))
}

/// Whether two words provably differ: constants, or hashes of byte strings that do.
fn are_words_apart(builder: &Builder, a: ExprId, b: ExprId, nesting: u32) -> bool {
    if a == b {
        return false;
    }
    if let (Some(x), Some(y)) = (builder.value(a), builder.value(b)) {
        return x != y;
    }
    let hashed = |id| builder.expressions.preimage(builder.split_sum(id).0).is_some();
    (hashed(a) || hashed(b)) && apart(builder, a, b, nesting)
}
