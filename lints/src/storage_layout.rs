//! Which variable, member or element a storage location is.
//!
//! In: the compiler's storage layout (solc's or Vyper's). Out: a [`StorageLayout`] that turns a slot and the steps that
//! were taken from it into `positions[id].owner`. It knows nothing of bytecode: keys and indexes come as text.

mod describe;
mod solc;
mod vyper;

use alloy_primitives::U256;

pub use describe::{Located, Step};
pub(crate) use solc::parse_solc;
pub(crate) use vyper::parse_vyper;

/// The variables of one contract and their types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageLayout {
    /// Variables in storage, in order of slot and offset.
    pub storage: Vec<StorageVariable>,
    /// Variables in transient storage, in order of slot and offset.
    pub transient: Vec<StorageVariable>,
    /// The types that variables name.
    pub(crate) types: Vec<StorageType>,
}

/// A type: its index in its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// A state variable in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageVariable {
    /// Its name.
    pub label: String,
    /// The contract that declares it, as `path:Name`; empty where the compiler does not say.
    pub contract: String,
    /// Its first slot.
    pub slot: U256,
    /// Its first byte in that slot, counted from the least significant one.
    pub offset: u8,
    /// Its type.
    pub type_id: TypeId,
}

/// A type as it is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageType {
    /// Its name as the compiler prints it.
    pub label: String,
    /// How many bytes it takes in place; more than 32 means whole slots.
    pub bytes: U256,
    /// Its shape.
    pub(crate) shape: Shape,
}

impl StorageType {
    /// How many slots it takes in place.
    pub(crate) fn slots(&self) -> U256 {
        self.bytes.div_ceil(U256::from(32)).max(U256::from(1))
    }
}

/// The shape of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A value of at most a word.
    Value,
    /// `bytes` or `string`.
    Bytes,
    /// A mapping.
    Mapping {
        /// The key's type.
        key: TypeId,
        /// The value's type.
        value: TypeId,
    },
    /// A struct.
    Struct {
        /// Its members; their slots count from the struct's first.
        members: Vec<StorageVariable>,
    },
    /// An array of fixed length.
    Array {
        /// The element's type.
        element: TypeId,
    },
    /// An array whose elements are found by hashing its slot.
    DynamicArray {
        /// The element's type.
        element: TypeId,
    },
    /// A length followed by elements in place (Vyper's `DynArray`, `Bytes` and `String`).
    CountedArray {
        /// The element's type; a word of bytes for `Bytes` and `String`.
        element: TypeId,
    },
}

impl StorageLayout {
    /// The type of an id.
    pub fn type_of(&self, id: TypeId) -> &StorageType {
        &self.types[id.0 as usize]
    }

    /// The variables that share a byte with bytes `[from, to)` of a slot, in order.
    pub fn variables_at(&self, slot: U256, from: u8, to: u8, transient: bool) -> Vec<&StorageVariable> {
        let variables = if transient { &self.transient } else { &self.storage };
        variables.iter().filter(|variable| self.covers(variable, slot, from, to)).collect()
    }

    fn covers(&self, variable: &StorageVariable, slot: U256, from: u8, to: u8) -> bool {
        let size = self.type_of(variable.type_id);
        if size.bytes > U256::from(32) {
            return slot.checked_sub(variable.slot).is_some_and(|delta| delta < size.slots());
        }
        let end = U256::from(variable.offset) + size.bytes;
        slot == variable.slot && U256::from(from) < end && variable.offset < to
    }
}
