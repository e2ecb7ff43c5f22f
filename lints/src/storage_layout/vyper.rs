//! Vyper's `layout`.
//!
//! In: the `layout` output (or its `storage_layout` alone) and the members of the structs that the module defines, by
//! name. Out: a [`StorageLayout`]. Vyper packs nothing: every value starts a slot, dynamic arrays, bytes and strings
//! keep their elements in place after a length.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use serde_json::Value;

use super::{Shape, StorageLayout, StorageType, StorageVariable, TypeId};

/// How deep a type's name may nest.
const MAX_DEPTH: usize = 32;

/// Parses a layout. `structs` has the members (name, type) of each struct in order. The error says what is wrong.
pub(crate) fn parse_vyper(
    layout: &str,
    structs: &BTreeMap<String, Vec<(String, String)>>,
) -> Result<StorageLayout, String> {
    let document: Value = serde_json::from_str(layout).map_err(|error| error.to_string())?;
    let mut reader = Reader { structs, layout: StorageLayout::default(), known: BTreeMap::new() };
    let storage = document.get("storage_layout").unwrap_or(&document);
    let storage = reader.variables(storage)?;
    let transient = match document.get("transient_storage_layout") {
        Some(transient) => reader.variables(transient)?,
        None => Vec::new(),
    };
    Ok(StorageLayout { storage, transient, ..reader.layout })
}

struct Reader<'a> {
    structs: &'a BTreeMap<String, Vec<(String, String)>>,
    layout: StorageLayout,
    known: BTreeMap<String, TypeId>,
}

impl Reader<'_> {
    fn variables(&mut self, document: &Value) -> Result<Vec<StorageVariable>, String> {
        let mut variables = Vec::new();
        self.collect(document, "", &mut variables, 0)?;
        variables.sort_by_key(|variable| variable.slot);
        Ok(variables)
    }

    /// Variables of the module and, one level deeper under its name, of each module it initialises.
    fn collect(
        &mut self,
        document: &Value,
        prefix: &str,
        variables: &mut Vec<StorageVariable>,
        depth: usize,
    ) -> Result<(), String> {
        let entries = document.as_object().filter(|_| depth < MAX_DEPTH);
        let entries = entries.ok_or("the layout is no object of variables")?;
        for (name, entry) in entries {
            let label = format!("{prefix}{name}");
            let Some(slot) = entry.get("slot") else {
                self.collect(entry, &format!("{label}."), variables, depth + 1)?;
                continue;
            };
            let slot = slot.as_u64().map(U256::from).or_else(|| slot.as_str()?.parse().ok());
            let slot = slot.ok_or_else(|| format!("the slot of {label} is no number"))?;
            let type_name = entry.get("type").and_then(Value::as_str);
            let type_name = type_name.ok_or_else(|| format!("{label} has no type"))?;
            let type_id = self.type_id(type_name, 0)?;
            let counted = entry.get("n_slots").and_then(Value::as_u64).map(U256::from);
            if let Some(slots) = counted.filter(|&slots| slots > self.layout.type_of(type_id).slots()) {
                // A type that is only known by name (an imported struct) still takes the room that it takes.
                self.layout.types[type_id.0 as usize].bytes = slots.saturating_mul(U256::from(32));
            }
            variables.push(StorageVariable { label, contract: String::new(), slot, offset: 0, type_id });
        }
        Ok(())
    }

    fn type_id(&mut self, name: &str, depth: usize) -> Result<TypeId, String> {
        let name = name.trim();
        if let Some(&known) = self.known.get(name) {
            return Ok(known);
        }
        if depth > MAX_DEPTH {
            return Err(format!("type {name} nests too deep"));
        }
        let (shape, slots) = self.shape(name, depth)?;
        let id = TypeId(self.layout.types.len() as u32);
        let bytes = slots.saturating_mul(U256::from(32));
        self.layout.types.push(StorageType { label: name.to_owned(), bytes, shape });
        self.known.insert(name.to_owned(), id);
        Ok(id)
    }

    fn shape(&mut self, name: &str, depth: usize) -> Result<(Shape, U256), String> {
        let one = U256::from(1);
        if let Some((key, value)) = arguments(name, "HashMap").and_then(split_first) {
            let (key, value) = (self.type_id(key, depth + 1)?, self.type_id(value, depth + 1)?);
            return Ok((Shape::Mapping { key, value }, one));
        }
        if let Some((element, count)) = arguments(name, "DynArray").and_then(split_last) {
            let element = self.type_id(element, depth + 1)?;
            let slots = self.layout.type_of(element).slots().saturating_mul(count);
            return Ok((Shape::CountedArray { element }, slots.saturating_add(one)));
        }
        if let Some(length) = arguments(name, "String").or_else(|| arguments(name, "Bytes")) {
            let length: U256 =
                length.trim().parse().map_err(|_| format!("the length of {name} is no number"))?;
            let element = self.type_id("bytes32", depth + 1)?;
            return Ok((
                Shape::CountedArray { element },
                length.div_ceil(U256::from(32)).saturating_add(one),
            ));
        }
        if let Some((element, count)) = name.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
            let count: U256 =
                count.trim().parse().map_err(|_| format!("the length of {name} is no number"))?;
            let element = self.type_id(element, depth + 1)?;
            return Ok((
                Shape::Array { element },
                self.layout.type_of(element).slots().saturating_mul(count),
            ));
        }
        let Some(members) = self.structs.get(name.strip_prefix("struct ").unwrap_or(name)) else {
            return Ok((Shape::Value, one));
        };
        let mut placed = Vec::new();
        let mut slot = U256::ZERO;
        for (label, member) in members {
            let type_id = self.type_id(member, depth + 1)?;
            let contract = String::new();
            placed.push(StorageVariable { label: label.clone(), contract, slot, offset: 0, type_id });
            slot = slot.saturating_add(self.layout.type_of(type_id).slots());
        }
        Ok((Shape::Struct { members: placed }, slot))
    }
}

/// What stands in the brackets of `constructor[…]`.
fn arguments<'a>(name: &'a str, constructor: &str) -> Option<&'a str> {
    name.strip_prefix(constructor)?.trim_start().strip_prefix('[')?.strip_suffix(']')
}

/// Splits at the first comma outside brackets.
fn split_first(arguments: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (offset, character) in arguments.char_indices() {
        match character {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return Some((&arguments[..offset], &arguments[offset + 1..])),
            _ => {}
        }
    }
    None
}

fn split_last(arguments: &str) -> Option<(&str, U256)> {
    let (element, count) = arguments.rsplit_once(',')?;
    Some((element, count.trim().parse().ok()?))
}
