//! A storage location as an expression a developer would write.
//!
//! In: the slot where a path starts, the steps from it, and the bytes that are accessed. Out: a [`Located`] such as
//! `positions[id].owner` of type `address`, or nothing where the layout does not have such a place.

use alloy_primitives::U256;

use super::{Shape, StorageLayout, StorageVariable, TypeId};

/// One step from a slot to another; keys and indexes are text already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A mapping entry.
    Key(&'a str),
    /// An element of a dynamic array, `bytes` or `string`; elements take `stride` slots.
    Element {
        /// The index in units of `stride`.
        index: &'a str,
        /// Slots per element.
        stride: u32,
    },
    /// `index` times `stride` slots further: an element of an array in place.
    Index {
        /// The index in units of `stride`.
        index: &'a str,
        /// Slots per element.
        stride: u32,
    },
    /// A fixed number of slots further.
    Offset(U256),
}

/// A storage location with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<'a> {
    /// The variable that the path starts at.
    pub variable: &'a StorageVariable,
    /// The whole path: `positions[id].owner`.
    pub path: String,
    /// The type of what the path ends at.
    pub type_id: TypeId,
    /// The members or variables that share the accessed bytes, where these are more than one value.
    pub members: Vec<&'a str>,
}

/// How deep types may nest in place; real ones stay far below, and a malformed layout may go in circles.
const MAX_DEPTH: usize = 64;

/// A value of type `type_id` whose first slot is `delta` slots back.
struct Cursor {
    path: String,
    type_id: TypeId,
    delta: U256,
    /// The slot index into an array with several elements a slot: which of them is meant depends on the bytes.
    open: Option<String>,
}

/// Bytes `[from, to)` of a word.
#[derive(Clone, Copy)]
struct Bytes {
    from: u8,
    to: u8,
}

const WORD: Bytes = Bytes { from: 0, to: 32 };

impl StorageLayout {
    /// Names bytes `[from, to)` of the location that `steps` lead to from `slot`. Where several variables share the
    /// bytes of a plain slot, the path is the first one and all of them are `members`.
    pub fn locate(
        &self,
        slot: U256,
        steps: &[Step<'_>],
        from: u8,
        to: u8,
        transient: bool,
    ) -> Option<Located<'_>> {
        // Only the last location is accessed in part; what a path starts at fills its slot.
        let bytes = Bytes { from, to };
        let start = if steps.is_empty() { bytes } else { WORD };
        let candidates = self.variables_at(slot, start.from, start.to, transient);
        let variable = *candidates.first()?;
        if candidates.len() > 1 {
            if !steps.is_empty() {
                return None;
            }
            let members = candidates.iter().map(|it| it.label.as_str()).collect();
            return Some(Located {
                variable,
                path: variable.label.clone(),
                type_id: variable.type_id,
                members,
            });
        }
        let mut cursor = Cursor {
            path: variable.label.clone(),
            type_id: variable.type_id,
            delta: slot - variable.slot,
            open: None,
        };
        for step in steps {
            cursor = self.step(cursor, step)?;
        }
        let bytes = if steps.is_empty() { bytes.after(variable.offset) } else { bytes };
        let mut members = Vec::new();
        let mut end = self.settle(cursor, bytes, &mut members)?;
        if matches!(self.type_of(end.type_id).shape, Shape::DynamicArray { .. } | Shape::CountedArray { .. })
        {
            end.path.push_str(".length");
        }
        Some(Located { variable, path: end.path, type_id: end.type_id, members })
    }

    fn step(&self, cursor: Cursor, step: &Step<'_>) -> Option<Cursor> {
        match *step {
            Step::Offset(slots) => Some(Cursor { delta: cursor.delta.checked_add(slots)?, ..cursor }),
            Step::Key(key) => {
                let cursor = self.settle(cursor, WORD, &mut Vec::new())?;
                let Shape::Mapping { value, .. } = self.type_of(cursor.type_id).shape else { return None };
                Some(cursor.part(&format!("[{key}]"), value, U256::ZERO))
            }
            Step::Element { index, stride } => {
                let cursor = self.settle(cursor, WORD, &mut Vec::new())?;
                match self.type_of(cursor.type_id).shape {
                    Shape::DynamicArray { element } => {
                        self.element(&cursor, element, index, stride, U256::ZERO)
                    }
                    Shape::Bytes => Some(cursor),
                    _ => None,
                }
            }
            Step::Index { index, stride } => {
                let cursor = self.array_of_stride(cursor, U256::from(stride))?;
                let (element, counted) = self.array_in_place(cursor.type_id)?;
                let delta = cursor.delta.checked_sub(counted)?;
                self.element(&cursor, element, index, stride, delta)
            }
        }
    }

    /// Element `index` of the array at `array`, where a constant part of the index is already in `delta` slots.
    fn element(
        &self,
        array: &Cursor,
        element: TypeId,
        index: &str,
        stride: u32,
        delta: U256,
    ) -> Option<Cursor> {
        let slots = self.type_of(element).slots();
        if U256::from(stride) != slots {
            return None;
        }
        let (skipped, rest) = delta.div_rem(slots);
        let index = if skipped.is_zero() { index.to_owned() } else { format!("{index} + {skipped}") };
        if self.per_slot(element) > 1 {
            return Some(Cursor { open: Some(index), ..array.part("", element, U256::ZERO) });
        }
        Some(array.part(&format!("[{index}]"), element, rest))
    }

    /// Goes down to the array in place whose elements take `stride` slots.
    fn array_of_stride(&self, mut cursor: Cursor, stride: U256) -> Option<Cursor> {
        for _ in 0..MAX_DEPTH {
            if let Shape::Struct { members } = &self.type_of(cursor.type_id).shape {
                let member = members.iter().rev().find(|member| member.slot <= cursor.delta)?;
                let delta = cursor.delta - member.slot;
                cursor = cursor.part(&format!(".{}", member.label), member.type_id, delta);
                continue;
            }
            let (element, counted) = self.array_in_place(cursor.type_id)?;
            let slots = self.type_of(element).slots();
            if slots == stride {
                return Some(cursor);
            }
            let (index, delta) = cursor.delta.checked_sub(counted)?.div_rem(slots);
            cursor = cursor.part(&format!("[{index}]"), element, delta);
        }
        None
    }

    /// The element's type of an array in place, and how many slots stand before its first element.
    fn array_in_place(&self, id: TypeId) -> Option<(TypeId, U256)> {
        match self.type_of(id).shape {
            Shape::Array { element } => Some((element, U256::ZERO)),
            Shape::CountedArray { element } => Some((element, U256::from(1))),
            _ => None,
        }
    }

    /// Goes down through structs and arrays in place to the smallest value that holds these bytes of the slot. The
    /// members that share them, if there are several, are added to `shared`.
    fn settle<'a>(
        &'a self,
        mut cursor: Cursor,
        mut bytes: Bytes,
        shared: &mut Vec<&'a str>,
    ) -> Option<Cursor> {
        if let Some(slot_index) = cursor.open.take() {
            let index = self.packed_index(cursor.type_id, &slot_index, bytes);
            return Some(cursor.part(&format!("[{index}]"), cursor.type_id, U256::ZERO));
        }
        for _ in 0..MAX_DEPTH {
            let current = self.type_of(cursor.type_id);
            if cursor.delta >= current.slots() {
                return None;
            }
            cursor = match &current.shape {
                Shape::Struct { members } => {
                    let holds =
                        |member: &&StorageVariable| self.covers(member, cursor.delta, bytes.from, bytes.to);
                    let mut found = members.iter().filter(holds);
                    let (member, others) = (found.next(), found.count());
                    let Some(member) = member.filter(|_| others == 0) else {
                        shared.extend(members.iter().filter(holds).map(|member| member.label.as_str()));
                        return Some(cursor);
                    };
                    bytes = bytes.after(member.offset);
                    cursor.part(&format!(".{}", member.label), member.type_id, cursor.delta - member.slot)
                }
                Shape::Array { element } if self.per_slot(*element) > 1 => {
                    let index = self.packed_index(*element, &cursor.delta.to_string(), bytes);
                    return Some(cursor.part(&format!("[{index}]"), *element, U256::ZERO));
                }
                Shape::CountedArray { .. } if cursor.delta.is_zero() => return Some(cursor),
                Shape::Array { .. } | Shape::CountedArray { .. } => {
                    let (element, counted) = self.array_in_place(cursor.type_id)?;
                    let (index, delta) = (cursor.delta - counted).div_rem(self.type_of(element).slots());
                    cursor.part(&format!("[{index}]"), element, delta)
                }
                Shape::Value | Shape::Bytes | Shape::Mapping { .. } | Shape::DynamicArray { .. } => {
                    return Some(cursor);
                }
            };
        }
        None
    }

    /// How many elements of a type solc puts into one slot of an array.
    fn per_slot(&self, element: TypeId) -> u64 {
        let element = self.type_of(element);
        match u64::try_from(element.bytes) {
            Ok(size @ 1..=16) if element.shape == Shape::Value => 32 / size,
            _ => 1,
        }
    }

    /// The index of the element that holds `bytes` in slot `slot_index` of an array with several elements a slot.
    fn packed_index(&self, element: TypeId, slot_index: &str, bytes: Bytes) -> String {
        let per_slot = self.per_slot(element);
        let size = u64::try_from(self.type_of(element).bytes).unwrap_or(32).clamp(1, 32);
        let first = u64::from(bytes.from) / size;
        let last = (u64::from(bytes.to.max(1)) - 1) / size;
        let last = last.min(per_slot - 1);
        let base = slot_index.parse::<u64>().ok().and_then(|index| index.checked_mul(per_slot));
        match (base, first == last) {
            (Some(base), true) => format!("{}", base.saturating_add(first)),
            (Some(base), false) => format!("{}..={}", base.saturating_add(first), base.saturating_add(last)),
            (None, true) if first == 0 => format!("{slot_index} * {per_slot}"),
            (None, true) => format!("{slot_index} * {per_slot} + {first}"),
            (None, false) => format!("{slot_index} * {per_slot}.."),
        }
    }
}

impl Cursor {
    /// The part of this value that `name` selects.
    fn part(&self, name: &str, type_id: TypeId, delta: U256) -> Self {
        Self { path: format!("{}{name}", self.path), type_id, delta, open: None }
    }
}

impl Bytes {
    /// The same bytes counted from byte `offset`.
    fn after(self, offset: u8) -> Self {
        Self { from: self.from.saturating_sub(offset), to: self.to.saturating_sub(offset) }
    }
}
