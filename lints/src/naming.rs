//! Names that only the compiler's output knows: variables by storage layout, functions and parameters by ABI.
//!
//! In: a contract as it was read. Out: [`Names`] for the analyzer's renderer, and the signatures of entry points. What
//! the compiler does not say has no name here; synthetic names are the renderer's business.

use std::collections::BTreeMap;

use alloy_json_abi::{Function, JsonAbi, Param, StateMutability};
use alloy_primitives::U256;
use deconflict_analyzer::{ByteRange, Entry, ExprId, Names, Pc, Projection, Root, Selector, Slot};

use crate::{
    constant_keys::{FoldedEntry, folded_entries},
    source_map::{Location, Mapped},
    storage_layout::{Located, Shape, Step, StorageLayout, StorageVariable},
    text::without_parameters,
    unit::{Compiler, Contract, Project, VariablePlace},
};

/// The names of one contract.
#[derive(Clone, Debug, Default)]
pub struct ContractNames<'a> {
    layout: Option<&'a StorageLayout>,
    functions: BTreeMap<Selector, &'a Function>,
    signatures: BTreeMap<Selector, String>,
    immutables: BTreeMap<u32, String>,
    folded: BTreeMap<U256, FoldedEntry>,
    is_vyper: bool,
}

/// Vyper's only function without a selector: it answers all calldata that no other does. The compiler lists it among
/// those that have one.
const DEFAULT: &str = "__default__()";

impl<'a> ContractNames<'a> {
    /// Gathers what the artifact of `contract` and its sources name.
    pub fn new(project: &Project, contract: &'a Contract) -> Self {
        let functions: BTreeMap<_, _> = contract
            .abi
            .iter()
            .flat_map(JsonAbi::functions)
            .map(|function| (Selector(function.selector().0), function))
            .collect();
        let mut signatures: BTreeMap<_, _> =
            functions.iter().map(|(&selector, function)| (selector, function.signature())).collect();
        let is_vyper = match &contract.compiler {
            Some(info) => info.compiler == Compiler::Vyper,
            None => contract.method_identifiers.contains_key(DEFAULT),
        };
        let has_selector = |signature: &str| !is_vyper || !signature.starts_with("__");
        let called = contract.method_identifiers.iter().filter(|(signature, _)| has_selector(signature));
        for (signature, &selector) in called {
            signatures.entry(Selector(selector)).or_insert_with(|| signature.clone());
        }
        let layout = contract.storage_layout.as_ref();
        let immutables = immutables(project, contract);
        let folded = layout.map(|layout| folded_entries(project, layout)).unwrap_or_default();
        Self { layout, functions, signatures, immutables, folded, is_vyper }
    }

    /// Whether one function answers all calldata that no other does, empty calldata too.
    pub(crate) fn has_one_default(&self) -> bool {
        self.is_vyper
    }

    /// The slots at which variables begin.
    pub(crate) fn slots(&self) -> Vec<U256> {
        self.layout.into_iter().flat_map(|layout| &layout.storage).map(|variable| variable.slot).collect()
    }

    /// The selectors that have a name.
    pub fn selectors(&self) -> Vec<Selector> {
        self.signatures.keys().copied().collect()
    }

    /// The entry point as `buy(uint256)`; its selector where it has no name.
    pub fn signature(&self, entry: Entry) -> String {
        match entry {
            Entry::Function(selector) => {
                self.signatures.get(&selector).cloned().unwrap_or_else(|| selector.to_string())
            }
            Entry::Receive | Entry::Fallback if self.is_vyper => DEFAULT.to_owned(),
            Entry::Receive => "receive()".to_owned(),
            Entry::Fallback => "fallback()".to_owned(),
        }
    }

    /// The entry point as `buy`, the way sentences name it.
    pub fn short(&self, entry: Entry) -> String {
        let signature = self.signature(entry);
        without_parameters(&signature).to_owned()
    }

    /// Whether the compiler says that the function changes nothing.
    pub fn is_view(&self, entry: Entry) -> bool {
        let Entry::Function(selector) = entry else { return false };
        let mutability = self.functions.get(&selector).map(|function| function.state_mutability);
        matches!(mutability, Some(StateMutability::View | StateMutability::Pure))
    }

    /// The type of a state variable as the compiler prints it.
    pub(crate) fn type_name(&self, variable: &StorageVariable) -> Option<&'a str> {
        Some(self.layout?.type_of(variable.type_id).label.as_str())
    }

    /// Whether the compiler says where variables are.
    pub(crate) fn has_layout(&self) -> bool {
        self.layout.is_some()
    }

    /// The slot of the length of a list that has its elements behind it and covers `number`.
    pub(crate) fn counted_list(&self, number: U256) -> Option<U256> {
        let layout = self.layout?;
        let variable = layout.variables_at(number, 0, 32, false).into_iter().next()?;
        matches!(layout.type_of(variable.type_id).shape, Shape::CountedArray { .. }).then_some(variable.slot)
    }

    /// Whether the slot holds a string or a byte string, or its length.
    pub(crate) fn is_text(&self, slot: &Slot) -> bool {
        let Some((layout, number)) = self.layout.zip(slot.number()) else { return false };
        let found = layout.locate(number, &[], 0, 32, false);
        found.is_some_and(|found| {
            found.members.is_empty() && matches!(layout.type_of(found.type_id).shape, Shape::Bytes)
        })
    }

    /// The name of an immutable.
    pub(crate) fn immutable_name(&self, id: u32) -> Option<&str> {
        self.immutables.get(&id).map(String::as_str)
    }

    /// The mapping entry that a plain slot number stands for, if it is one under a constant key.
    pub(crate) fn folded(&self, slot: &Slot) -> Option<&FoldedEntry> {
        self.folded.get(&slot.number()?)
    }

    /// The state variable at which the path of `slot` starts.
    pub fn variable(&self, slot: &Slot, bytes: ByteRange) -> Option<&'a StorageVariable> {
        let Root::Fixed(number) = slot.root else { return None };
        let layout = self.layout?;
        if let Some(entry) = self.folded(slot) {
            return layout.variables_at(entry.mapping, 0, 32, false).into_iter().next();
        }
        let bytes = if slot.path.is_empty() { bytes } else { ByteRange::WORD };
        layout.variables_at(number, bytes.from, bytes.to, false).into_iter().next()
    }
}

impl Names for ContractNames<'_> {
    fn slot(&self, slot: &Slot, bytes: ByteRange, key: &mut dyn FnMut(ExprId) -> String) -> Option<String> {
        let Root::Fixed(number) = slot.root else { return None };
        let layout = self.layout?;
        let mut texts: Vec<String> = slot.keys().map(&mut *key).collect();
        shift_indexes(slot, &mut texts);
        let mut texts = texts.iter().map(String::as_str);
        let mut next = || texts.next().expect("there is one key for each step that takes one");
        let steps = slot.path.iter().enumerate().filter_map(|(at, step)| match *step {
            Projection::Mapping { .. } => Some(Step::Key(next())),
            Projection::Element { stride, .. } => Some(Step::Element { index: next(), stride }),
            Projection::Index { stride, .. } => Some(Step::Index { index: next(), stride }),
            Projection::Offset(_) if shift(slot, at).is_some() => None,
            Projection::Offset(slots) => Some(Step::Offset(slots)),
        });
        let steps: Vec<Step<'_>> = steps.collect();
        let found = layout.locate(number, &steps, bytes.from, bytes.to, false);
        let found = found.or_else(|| {
            let entry = self.folded(slot)?;
            layout.locate(entry.mapping, &[Step::Key(&entry.name)], bytes.from, bytes.to, false)
        });
        found.map(|found| describe(layout, &found))
    }

    fn element(
        &self,
        start: U256,
        stride: u32,
        index: &dyn Fn() -> String,
        bytes: ByteRange,
    ) -> Option<String> {
        let layout = self.layout?;
        self.counted_list(start)?;
        let index = index();
        let found =
            layout.locate(start, &[Step::Index { index: &index, stride }], bytes.from, bytes.to, false)?;
        Some(describe(layout, &found))
    }

    fn parameter(&self, entry: Entry, offset: U256) -> Option<String> {
        let Entry::Function(selector) = entry else { return None };
        let function = self.functions.get(&selector)?;
        let mut words = Words { at: 4, wanted: usize::try_from(offset).ok()? };
        function.inputs.iter().find_map(|input| words.visit(input, input.name.clone()))
    }

    fn immutable(&self, id: u32) -> Option<String> {
        self.immutables.get(&id).cloned()
    }
}

/// The names of immutables: where one is pushed, the source map points at the variable.
fn immutables(project: &Project, contract: &Contract) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    let declared = |name: &str| {
        project.variables.iter().any(|it| it.place == VariablePlace::Immutable && it.name == name)
    };
    for place in &contract.immutables {
        let push = Pc(place.range.start.saturating_sub(1));
        let mapped = contract.source_map.as_ref().and_then(|map| map.instruction(push));
        if let Some(Mapped { location: Location::Exact(span), .. }) = mapped
            && declared(project.text(*span))
        {
            names.entry(place.id).or_insert_with(|| project.text(*span).to_owned());
        }
    }
    names
}

/// By how many elements an offset moves the index before it, where it moves it back: `array[length]` and then one
/// element back is `array[length - 1]`.
fn shift(slot: &Slot, at: usize) -> Option<U256> {
    let Projection::Offset(offset) = slot.path[at] else { return None };
    let stride = match slot.path[..at].last()? {
        Projection::Element { stride, .. } | Projection::Index { stride, .. } => U256::from(*stride),
        Projection::Mapping { .. } | Projection::Offset(_) => return None,
    };
    let back = offset.wrapping_neg();
    (back.bit_len() <= 64 && !stride.is_zero() && (back % stride).is_zero()).then(|| back / stride)
}

fn shift_indexes(slot: &Slot, texts: &mut [String]) {
    let mut keys: usize = 0;
    for (at, step) in slot.path.iter().enumerate() {
        if let (Some(elements), Some(text)) =
            (shift(slot, at), keys.checked_sub(1).and_then(|at| texts.get_mut(at)))
        {
            *text = format!("{text} - {elements}");
        }
        keys += usize::from(!matches!(step, Projection::Offset(_)));
    }
}

fn describe(layout: &StorageLayout, found: &Located<'_>) -> String {
    match layout.type_of(found.type_id).shape {
        Shape::Struct { .. } if !found.members.is_empty() => {
            format!("{}.{{{}}}", found.path, found.members.join(", "))
        }
        _ if found.members.len() > 1 => found.members.join(", "),
        _ => found.path.clone(),
    }
}

/// Walks the head of an ABI-encoded argument list.
struct Words {
    at: usize,
    wanted: usize,
}

impl Words {
    /// The name of the wanted word if it belongs to `param`, which is called `name`.
    fn visit(&mut self, param: &Param, name: String) -> Option<String> {
        let Some(words) = static_words(&param.ty, &param.components) else {
            let found = self.wanted == self.at;
            self.at += 32;
            return (found && !name.is_empty()).then(|| format!("{name}.offset"));
        };
        if param.ty == "tuple" {
            return param
                .components
                .iter()
                .find_map(|part| self.visit(part, format!("{name}.{}", part.name)));
        }
        let start = self.at;
        self.at += 32 * words;
        let inside = (start..self.at).contains(&self.wanted) && (self.wanted - start).is_multiple_of(32);
        (inside && !name.is_empty()).then(|| match words {
            1 if !param.ty.ends_with(']') => name,
            _ => format!("{name}[{}]", (self.wanted - start) / 32),
        })
    }
}

/// How many words a type takes in the head, or `None` where it is encoded in the tail.
fn static_words(ty: &str, components: &[Param]) -> Option<usize> {
    if let Some(array) = ty.strip_suffix(']') {
        let (element, length) = array.rsplit_once('[')?;
        return Some(length.parse::<usize>().ok()?.saturating_mul(static_words(element, components)?));
    }
    match ty {
        "bytes" | "string" => None,
        "tuple" => components.iter().map(|part| static_words(&part.ty, &part.components)).sum(),
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameter(inputs: &serde_json::Value, offset: u64) -> Option<String> {
        let function = json!({
            "type": "function", "name": "f", "inputs": inputs, "outputs": [], "stateMutability": "view",
        });
        let function: Function =
            serde_json::from_value(function).expect("a function as the compiler writes it");
        let selector = Selector(function.selector().0);
        let functions = BTreeMap::from([(selector, &function)]);
        let names = ContractNames { functions, ..ContractNames::default() };
        assert!(names.is_view(Entry::Function(selector)));
        names.parameter(Entry::Function(selector), U256::from(offset))
    }

    #[test]
    fn parameters_are_found_by_their_place_in_the_head() {
        let inputs = json!([
            { "name": "pair", "type": "uint256[2]" },
            { "name": "order", "type": "tuple", "components": [
                { "name": "to", "type": "address" },
                { "name": "fee", "type": "uint96" },
            ] },
            { "name": "data", "type": "bytes" },
            { "name": "list", "type": "uint256[]" },
            { "name": "flag", "type": "bool" },
            { "name": "", "type": "int256" },
        ]);
        let expected = [
            (4, Some("pair[0]")),
            (5, None),
            (36, Some("pair[1]")),
            (68, Some("order.to")),
            (100, Some("order.fee")),
            (132, Some("data.offset")),
            (196, Some("flag")),
            (228, None),
            (260, None),
        ];
        for (offset, name) in expected {
            assert_eq!(parameter(&inputs, offset).as_deref(), name, "at {offset}");
        }
        assert_eq!(parameter(&json!([{ "name": "one", "type": "uint8[1]" }]), 4).as_deref(), Some("one[0]"));
    }

    #[test]
    fn entries_without_a_name_show_their_selector() {
        let names = ContractNames::default();
        assert_eq!(names.signature(Entry::Function(Selector([0xde, 0xad, 0, 1]))), "0xdead0001");
        assert_eq!(names.short(Entry::Receive), "receive");
    }
}
