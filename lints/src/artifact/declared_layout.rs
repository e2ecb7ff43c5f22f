//! The storage layout that declarations imply, for builds that keep syntax trees but no layout.
//!
//! In: the syntax trees of one compilation and a contract. Out: the layout solc would print, or nothing where that
//! cannot be told exactly (a moved base slot, a type that is not in the trees). It never guesses.

use std::collections::BTreeMap;

use alloy_primitives::U256;

use super::syntax::{Node, SyntaxTrees};
use crate::{
    storage_layout::{Shape, StorageLayout, StorageType, StorageVariable, TypeId},
    unit::VariablePlace,
};

/// How deep types may nest.
const MAX_DEPTH: usize = 64;

/// Lays out the state variables of contract `name` of `source`.
pub(crate) fn declared_layout(trees: &SyntaxTrees, source: &str, name: &str) -> Option<StorageLayout> {
    let contract = trees.contract(source, name)?;
    let mut planner =
        Planner { index: trees.index(), layout: StorageLayout::default(), known: BTreeMap::new() };
    let mut storage = Placer::default();
    let mut transient = Placer::default();
    for base in contract.linearized_base_contracts.as_ref()?.iter().rev() {
        let &(base_source, node) = planner.index.get(base)?;
        if node.storage_layout.is_some() {
            return None;
        }
        for variable in node.children().iter().filter(|child| child.is("VariableDeclaration")) {
            let placer = match variable.place() {
                VariablePlace::Storage => &mut storage,
                VariablePlace::Transient => &mut transient,
                VariablePlace::Constant | VariablePlace::Immutable => continue,
            };
            let type_id = planner.type_id(variable.type_name.as_deref()?, 0)?;
            let contract = format!("{base_source}:{}", node.name());
            placer.place(variable.name(), contract, type_id, &planner.layout);
        }
    }
    Some(StorageLayout { storage: storage.placed, transient: transient.placed, ..planner.layout })
}

/// Puts variables or members one after the other, packed as solc packs them.
#[derive(Default)]
struct Placer {
    slot: U256,
    used: u64,
    placed: Vec<StorageVariable>,
}

impl Placer {
    fn place(&mut self, label: &str, contract: String, type_id: TypeId, layout: &StorageLayout) {
        let described = layout.type_of(type_id);
        let starts_slot = matches!(described.shape, Shape::Struct { .. } | Shape::Array { .. });
        let bytes = u64::try_from(described.bytes).unwrap_or(u64::MAX);
        if self.used > 0 && (starts_slot || bytes > 32 - self.used) {
            self.next_slot();
        }
        let (label, offset) = (label.to_owned(), self.used as u8);
        self.placed.push(StorageVariable { label, contract, slot: self.slot, offset, type_id });
        if starts_slot {
            self.slot = self.slot.wrapping_add(described.slots());
        } else {
            self.used += bytes;
            if self.used >= 32 {
                self.next_slot();
            }
        }
    }

    fn next_slot(&mut self) {
        self.slot = self.slot.wrapping_add(U256::from(1));
        self.used = 0;
    }

    /// The slots taken so far.
    fn slots(&self) -> U256 {
        self.slot.wrapping_add(U256::from(u8::from(self.used > 0)))
    }
}

struct Planner<'a> {
    index: BTreeMap<i64, (&'a str, &'a Node)>,
    layout: StorageLayout,
    known: BTreeMap<String, TypeId>,
}

impl<'a> Planner<'a> {
    fn type_id(&mut self, node: &Node, depth: usize) -> Option<TypeId> {
        if depth > MAX_DEPTH {
            return None;
        }
        let label = node.type_string();
        let label =
            label.strip_suffix(" storage ref").or(label.strip_suffix(" storage pointer")).unwrap_or(label);
        // Two structs may print alike; the declaration's number tells them apart.
        let key = format!("{label}#{:?}", declaration(node));
        if let Some(&known) = self.known.get(&key) {
            return Some(known);
        }
        let label = if label.is_empty() { node.name().to_owned() } else { label.to_owned() };
        if let Some(declared) = self.struct_of(node) {
            // A struct may hold a mapping or dynamic array of itself, so its number is known before its members.
            let type_id = self.push(StorageType { label, bytes: U256::from(32), shape: Shape::Value });
            self.known.insert(key, type_id);
            let mut placer = Placer::default();
            for member in declared.members.as_deref()? {
                let member_type = self.type_id(member.type_name.as_deref()?, depth + 1)?;
                placer.place(member.name(), String::new(), member_type, &self.layout);
            }
            let bytes = placer.slots().checked_mul(U256::from(32))?;
            let entry = &mut self.layout.types[type_id.0 as usize];
            entry.shape = Shape::Struct { members: placer.placed };
            entry.bytes = bytes.max(U256::from(32));
            return Some(type_id);
        }
        let (bytes, shape) = self.shape(node, &label, depth)?;
        let type_id = self.push(StorageType { label, bytes, shape });
        self.known.insert(key, type_id);
        Some(type_id)
    }

    fn push(&mut self, described: StorageType) -> TypeId {
        self.layout.types.push(described);
        TypeId(self.layout.types.len() as u32 - 1)
    }

    fn shape(&mut self, node: &Node, label: &str, depth: usize) -> Option<(U256, Shape)> {
        let word = U256::from(32);
        match node.tag.as_deref()? {
            "ElementaryTypeName" => match node.name() {
                "bytes" | "string" => Some((word, Shape::Bytes)),
                name => Some((U256::from(value_size(name)?), Shape::Value)),
            },
            "FunctionTypeName" => {
                let external = label.split_whitespace().any(|part| part == "external");
                Some((U256::from(if external { 24 } else { 8 }), Shape::Value))
            }
            "Mapping" => {
                let key = self.type_id(node.key_type.as_deref()?, depth + 1)?;
                let value = self.type_id(node.value_type.as_deref()?, depth + 1)?;
                Some((word, Shape::Mapping { key, value }))
            }
            "ArrayTypeName" => {
                let element = self.type_id(node.base_type.as_deref()?, depth + 1)?;
                if node.length.is_none() {
                    return Some((word, Shape::DynamicArray { element }));
                }
                let length: U256 = label.strip_suffix(']')?.rsplit_once('[')?.1.parse().ok()?;
                let described = self.layout.type_of(element);
                let slots = match u64::try_from(described.bytes).ok()? {
                    size @ 1..=16 if described.shape == Shape::Value => {
                        length.div_ceil(U256::from(32 / size))
                    }
                    _ => length.checked_mul(described.slots())?,
                };
                Some((slots.checked_mul(word)?, Shape::Array { element }))
            }
            "UserDefinedTypeName" => {
                let &(_, declared) = self.index.get(&declaration(node)?)?;
                match declared.tag.as_deref()? {
                    "ContractDefinition" => Some((U256::from(20), Shape::Value)),
                    "EnumDefinition" => {
                        let members = declared.members.as_deref()?.len();
                        Some((U256::from(if members > 256 { 2 } else { 1 }), Shape::Value))
                    }
                    "UserDefinedValueTypeDefinition" => {
                        let size = value_size(declared.underlying_type.as_deref()?.name())?;
                        Some((U256::from(size), Shape::Value))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn struct_of(&self, node: &Node) -> Option<&'a Node> {
        let &(_, declared) = self.index.get(&declaration(node)?)?;
        declared.is("StructDefinition").then_some(declared)
    }
}

/// The declaration that a type's name stands for.
fn declaration(node: &Node) -> Option<i64> {
    node.is("UserDefinedTypeName").then_some(node.referenced_declaration).flatten()
}

/// How many bytes an elementary type takes.
fn value_size(name: &str) -> Option<u64> {
    let bits = |digits: &str| match digits {
        "" => Some(32),
        digits => digits
            .parse::<u64>()
            .ok()
            .filter(|bits| bits % 8 == 0 && (8..=256).contains(bits))
            .map(|it| it / 8),
    };
    match name {
        "bool" | "byte" => Some(1),
        "address" | "address payable" => Some(20),
        _ => {
            if let Some(digits) = name.strip_prefix("bytes") {
                return digits.parse().ok().filter(|size| (1..=32).contains(size));
            }
            bits(name.strip_prefix("uint").or_else(|| name.strip_prefix("int"))?)
        }
    }
}
