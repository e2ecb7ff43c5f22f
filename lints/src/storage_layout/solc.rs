//! solc's `storageLayout` and `transientStorageLayout`.
//!
//! In: their JSON. Out: a [`StorageLayout`]. Names of types that the document does not define are an error, so that an
//! id always resolves.

use std::{borrow::Cow, collections::BTreeMap};

use alloy_primitives::U256;
use serde::Deserialize;

use super::{Shape, StorageLayout, StorageType, StorageVariable, TypeId};

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    storage: Vec<Variable<'a>>,
    #[serde(borrow, default)]
    types: Option<BTreeMap<Cow<'a, str>, Type<'a>>>,
}

#[derive(Deserialize)]
struct Variable<'a> {
    #[serde(borrow)]
    label: Cow<'a, str>,
    #[serde(borrow, default)]
    contract: Cow<'a, str>,
    offset: u8,
    #[serde(borrow)]
    slot: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    type_name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Type<'a> {
    #[serde(borrow)]
    encoding: Cow<'a, str>,
    #[serde(borrow)]
    label: Cow<'a, str>,
    #[serde(borrow)]
    number_of_bytes: Cow<'a, str>,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    base: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    members: Option<Vec<Variable<'a>>>,
}

/// Parses `storageLayout`, and `transientStorageLayout` where the compiler writes one. The error says what is wrong.
pub(crate) fn parse_solc(storage: &str, transient: Option<&str>) -> Result<StorageLayout, String> {
    let parse = |text| serde_json::from_str::<Document<'_>>(text).map_err(|error| error.to_string());
    let storage = parse(storage)?;
    let transient = transient.map(parse).transpose()?;
    let mut named = storage.types.unwrap_or_default();
    let (transient, more) = transient.map_or_else(Default::default, |it| (it.storage, it.types));
    named.extend(more.unwrap_or_default());

    let ids: BTreeMap<&str, TypeId> =
        named.keys().enumerate().map(|(index, name)| (name.as_ref(), TypeId(index as u32))).collect();
    let types = named.values().map(|described| read_type(described, &ids)).collect::<Result<_, _>>()?;
    Ok(StorageLayout {
        storage: read_variables(&storage.storage, &ids)?,
        transient: read_variables(&transient, &ids)?,
        types,
    })
}

fn read_type(described: &Type<'_>, ids: &BTreeMap<&str, TypeId>) -> Result<StorageType, String> {
    let part = |name: &Option<Cow<'_, str>>| {
        let name = name.as_deref().ok_or_else(|| format!("type {} is incomplete", described.label))?;
        resolve(name, ids)
    };
    let shape = match described.encoding.as_ref() {
        "mapping" => Shape::Mapping { key: part(&described.key)?, value: part(&described.value)? },
        "dynamic_array" => Shape::DynamicArray { element: part(&described.base)? },
        "bytes" => Shape::Bytes,
        _ => match (&described.members, &described.base) {
            (Some(members), _) => Shape::Struct { members: read_variables(members, ids)? },
            (None, Some(_)) => Shape::Array { element: part(&described.base)? },
            (None, None) => Shape::Value,
        },
    };
    let bytes = number(&described.number_of_bytes)?;
    if bytes.is_zero() {
        return Err(format!("type {} takes no bytes", described.label));
    }
    Ok(StorageType { label: described.label.to_string(), bytes, shape })
}

fn read_variables(
    variables: &[Variable<'_>],
    ids: &BTreeMap<&str, TypeId>,
) -> Result<Vec<StorageVariable>, String> {
    let mut read = Vec::with_capacity(variables.len());
    for variable in variables {
        if variable.offset > 31 {
            return Err(format!("{} is at byte {} of a 32-byte slot", variable.label, variable.offset));
        }
        read.push(StorageVariable {
            label: variable.label.to_string(),
            contract: variable.contract.to_string(),
            slot: number(&variable.slot)?,
            offset: variable.offset,
            type_id: resolve(&variable.type_name, ids)?,
        });
    }
    read.sort_by_key(|variable| (variable.slot, variable.offset));
    Ok(read)
}

fn resolve(name: &str, ids: &BTreeMap<&str, TypeId>) -> Result<TypeId, String> {
    ids.get(name).copied().ok_or_else(|| format!("type {name} is used but not described"))
}

fn number(text: &str) -> Result<U256, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
