//! Mapping entries whose slot the compiler has already computed.
//!
//! An optimiser hashes `balances[TREASURY]` at compile time when the key is a constant, so that the code holds nothing but
//! a slot number. In: a project and a contract. Out: the numbers of the entries under keys that the sources name as
//! constants, and under small numbers. Only what hashes to the very number is recognised; nothing is guessed.

use std::collections::BTreeMap;

use alloy_primitives::{U256, keccak256};

use crate::{
    storage_layout::{Shape, StorageLayout},
    unit::{Project, VariablePlace},
};

/// A mapping entry with a constant key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoldedEntry {
    /// The mapping's own slot.
    pub(crate) mapping: U256,
    /// The key.
    pub(crate) key: U256,
    /// The key as the source names it.
    pub(crate) name: String,
}

/// Every entry under a constant key of the project, by slot number.
pub(crate) fn folded_entries(project: &Project, layout: &StorageLayout) -> BTreeMap<U256, FoldedEntry> {
    const SMALL_KEYS: u64 = 16;
    let small = (0..SMALL_KEYS).map(|key| (key.to_string(), U256::from(key)));
    let keys: Vec<(String, U256)> = small.chain(constants(project)).collect();
    let mappings = layout.storage.iter().filter(|variable| {
        let Shape::Mapping { key, .. } = layout.type_of(variable.type_id).shape else { return false };
        layout.type_of(key).shape == Shape::Value
    });
    let mut entries = BTreeMap::new();
    for variable in mappings {
        for (name, key) in &keys {
            let mut preimage = [0; 64];
            preimage[..32].copy_from_slice(&key.to_be_bytes::<32>());
            preimage[32..].copy_from_slice(&variable.slot.to_be_bytes::<32>());
            let slot = U256::from_be_bytes(keccak256(preimage).0);
            entries.entry(slot).or_insert_with(|| FoldedEntry {
                mapping: variable.slot,
                key: *key,
                name: name.clone(),
            });
        }
    }
    entries
}

/// The constants of the sources whose value is written out as a number or as the hash of a text.
fn constants(project: &Project) -> Vec<(String, U256)> {
    let declared = project.variables.iter().filter(|variable| variable.place == VariablePlace::Constant);
    let values = declared.filter_map(|variable| {
        let (_, value) = project.text(variable.span).split_once('=')?;
        Some((variable.name.clone(), literal(value.trim().trim_end_matches(';').trim())?))
    });
    values.collect()
}

/// The value of `0x…`, `123`, `address(0x…)` or `keccak256("…")`.
fn literal(text: &str) -> Option<U256> {
    if let Some(inner) = text.strip_prefix("keccak256(").and_then(|rest| rest.strip_suffix(')')) {
        let inner = inner.strip_prefix('"')?.strip_suffix('"')?;
        return (!inner.contains('\\')).then(|| U256::from_be_bytes(keccak256(inner).0));
    }
    let inner = text.strip_prefix("address(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    let digits = inner.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) => U256::from_str_radix(hex, 16).ok(),
        None => U256::from_str_radix(&digits, 10).ok().filter(|_| !digits.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_the_compiler_reads_them() {
        assert_eq!(literal("0xFF"), Some(U256::from(255)));
        assert_eq!(literal("address(0x10)"), Some(U256::from(16)));
        assert_eq!(literal("1_000"), Some(U256::from(1000)));
        assert_eq!(literal("keccak256(\"MINTER\")"), Some(U256::from_be_bytes(keccak256("MINTER").0)));
        assert_eq!(literal("OTHER + 1"), None);
        assert_eq!(literal(""), None);
    }
}
