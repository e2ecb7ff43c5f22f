//! Vyper's syntax tree and its source map.
//!
//! In: the `ast` of a module and the `sourceMap` of its code. Out: structs and declarations, and locations by program
//! counter. Vyper's `src` counts characters, so lines and columns (in UTF-8 bytes) are used instead; where a version has
//! nothing else, as in the source maps before 0.4.0, [`Characters`] tells which bytes are meant.

use std::{collections::BTreeMap, ops::Range};

use alloy_primitives::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Declared, RawContract, RawMap};
use crate::{
    source_map::{LineColumn, Lines, MapEntry, SourceId, SourceSpan},
    unit::{
        ContractDefinition, DefinitionKind, FunctionDefinition, ImmutablePlace, StateVariable, VariablePlace,
        Visibility,
    },
};

/// A statement of the module, as far as declarations need it.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct Node {
    ast_type: Option<String>,
    name: Option<String>,
    lineno: Option<u32>,
    col_offset: Option<u32>,
    end_lineno: Option<u32>,
    end_col_offset: Option<u32>,
    body: Option<Vec<Node>>,
    target: Option<Box<Name>>,
    annotation: Option<Box<Annotation>>,
    decorator_list: Option<Vec<Name>>,
    is_constant: Option<bool>,
    is_immutable: Option<bool>,
    is_transient: Option<bool>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct Name {
    id: Option<String>,
}

/// A type, or before 0.3.2 a call of what the variable is (`public(…)`) with its type.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct Annotation {
    lineno: Option<u32>,
    col_offset: Option<u32>,
    end_lineno: Option<u32>,
    end_col_offset: Option<u32>,
    func: Option<Name>,
    args: Option<Vec<Annotation>>,
}

impl Annotation {
    /// What the variable is said to be, outermost first, and its type.
    fn unwrapped(&self) -> (Vec<&str>, &Self) {
        let mut kinds = Vec::new();
        let mut inner = self;
        while let (Some(kind), Some([argument])) = (inner.kind(), inner.args.as_deref()) {
            kinds.push(kind);
            inner = argument;
        }
        (kinds, inner)
    }

    fn kind(&self) -> Option<&str> {
        let kind = self.func.as_ref()?.id.as_deref();
        kind.filter(|kind| ["public", "constant", "immutable", "transient"].contains(kind))
    }
}

/// A module's declarations.
pub(crate) struct VyperModule {
    module: Node,
}

impl VyperModule {
    /// Parses a syntax tree; `None` where it is not Vyper's.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let module: Node = serde_json::from_str(text).ok()?;
        (module.ast_type.as_deref() == Some("Module")).then_some(Self { module })
    }

    /// The members (name, type) of each struct.
    pub(crate) fn structs(&self, text: &str, lines: &Lines) -> BTreeMap<String, Vec<(String, String)>> {
        let body = self.module.body.iter().flatten();
        let structs = body.filter(|node| node.ast_type.as_deref() == Some("StructDef"));
        let read = structs.filter_map(|node| {
            let members = node.body.iter().flatten().filter_map(|member| {
                Some((member.target()?.to_owned(), member.annotation(text, lines)?.to_owned()))
            });
            Some((node.name.clone()?, members.collect()))
        });
        read.collect()
    }

    /// The declarations of the module called `name`.
    pub(crate) fn declarations(&self, name: &str, source: SourceId, text: &str, lines: &Lines) -> Declared {
        let whole = SourceSpan { source, start: 0, end: text.len() as u32 };
        let mut declared = Declared::default();
        let bases = vec![crate::unit::Base { source, name: name.to_owned() }];
        declared.definitions.push(ContractDefinition {
            name: name.to_owned(),
            span: whole,
            kind: DefinitionKind::Contract,
            bases,
        });
        for node in self.module.body.iter().flatten() {
            let Some(span) = node.span(source, lines) else { continue };
            match node.ast_type.as_deref() {
                Some("FunctionDef") => declared.functions.push(node.function(name, span)),
                Some("VariableDecl" | "AnnAssign") => {
                    declared.variables.extend(node.variable(name, span, text, lines));
                }
                _ => {}
            }
        }
        declared
    }
}

impl Node {
    fn target(&self) -> Option<&str> {
        self.target.as_ref()?.id.as_deref()
    }

    fn span(&self, source: SourceId, lines: &Lines) -> Option<SourceSpan> {
        place_span(source, [self.lineno?, self.col_offset?, self.end_lineno?, self.end_col_offset?], lines)
    }

    /// The text of the type, without `public(…)` and the like around it.
    fn annotation<'a>(&self, text: &'a str, lines: &Lines) -> Option<&'a str> {
        let (_, place) = self.annotation.as_ref()?.unwrapped();
        let place = [place.lineno?, place.col_offset?, place.end_lineno?, place.end_col_offset?];
        let span = place_span(SourceId(0), place, lines)?;
        text.get(span.start as usize..span.end as usize)
    }

    fn function(&self, module: &str, span: SourceSpan) -> FunctionDefinition {
        let decorated = |name: &str| {
            self.decorator_list.iter().flatten().any(|decorator| decorator.id.as_deref() == Some(name))
        };
        let name = match self.name.as_deref() {
            Some("__init__") => "constructor",
            Some("__default__") => "fallback",
            name => name.unwrap_or_default(),
        };
        FunctionDefinition {
            name: name.to_owned(),
            contract: Some(module.to_owned()),
            span,
            visibility: if decorated("external") { Visibility::External } else { Visibility::Internal },
            selector: None,
            is_modifier: false,
        }
    }

    fn variable(&self, module: &str, span: SourceSpan, text: &str, lines: &Lines) -> Option<StateVariable> {
        let kinds = self.annotation.as_ref().map(|it| it.unwrapped().0).unwrap_or_default();
        let is = |flag: Option<bool>, kind: &str| flag == Some(true) || kinds.contains(&kind);
        let place = if is(self.is_constant, "constant") {
            VariablePlace::Constant
        } else if is(self.is_immutable, "immutable") {
            VariablePlace::Immutable
        } else if is(self.is_transient, "transient") {
            VariablePlace::Transient
        } else {
            VariablePlace::Storage
        };
        Some(StateVariable {
            name: self.target()?.to_owned(),
            contract: module.to_owned(),
            type_name: self.annotation(text, lines).unwrap_or_default().to_owned(),
            span,
            place,
        })
    }
}

#[derive(Deserialize)]
struct PositionMap {
    #[serde(default)]
    pc_pos_map: BTreeMap<u32, Option<[u32; 4]>>,
    #[serde(default)]
    pc_ast_map: BTreeMap<u32, [i64; 2]>,
}

/// The place (line, column, end line, end column) of each program counter, with the compiler's file index.
pub(crate) fn vyper_positions(map: &RawMap<'_>) -> Option<BTreeMap<u32, (i64, [u32; 4])>> {
    let RawMap::Positions(raw) = map else { return None };
    let parsed: PositionMap = serde_json::from_str(raw.get()).ok()?;
    let files = parsed.pc_ast_map;
    let located = parsed
        .pc_pos_map
        .into_iter()
        .filter_map(|(pc, place)| Some((pc, (files.get(&pc).map_or(0, |&[file, _]| file), place?))));
    Some(located.collect())
}

/// Which bytes of a text the offsets in the source maps of Vyper before 0.4.0 mean: such an offset is the number of
/// characters before the line, and of bytes in it.
pub(crate) struct Characters {
    /// The first character and the first byte of each line.
    lines: Vec<(u32, u32)>,
    length: u32,
}

impl Characters {
    /// Counts the characters of `text`.
    pub(crate) fn new(text: &str) -> Self {
        let mut lines = vec![(0, 0)];
        let (mut characters, mut bytes) = (0, 0);
        for line in text.split_inclusive('\n') {
            characters += line.chars().count() as u32;
            bytes += line.len() as u32;
            if line.ends_with('\n') {
                lines.push((characters, bytes));
            }
        }
        Self { lines, length: bytes }
    }

    /// The byte that an offset means.
    pub(crate) fn byte(&self, offset: u32) -> u32 {
        let line = self.lines.partition_point(|line| line.0 <= offset).saturating_sub(1);
        let (characters, bytes) = self.lines[line];
        (bytes + (offset - characters)).min(self.length)
    }

    /// An entry of a source map with offsets that count bytes.
    pub(crate) fn in_bytes(&self, entry: MapEntry) -> MapEntry {
        let (Ok(start), Ok(end)) = (u32::try_from(entry.start), u32::try_from(entry.end())) else {
            return entry;
        };
        let (start, end) = (i64::from(self.byte(start)), i64::from(self.byte(end)));
        MapEntry { start, length: end - start, ..entry }
    }
}

/// The span of (line from 1, column from 0, end line, end column), columns in bytes.
pub(crate) fn place_span(source: SourceId, place: [u32; 4], lines: &Lines) -> Option<SourceSpan> {
    let [line, column, end_line, end_column] = place;
    let start = lines.offset(LineColumn { line, column: column.checked_add(1)? })?;
    let end = lines.offset(LineColumn { line: end_line, column: end_column.checked_add(1)? })?;
    (start <= end).then_some(SourceSpan { source, start, end })
}

/// Vyper appends its immutables to the runtime code at deployment; here their place is filled with zeros.
pub(crate) fn with_vyper_immutables(
    raw: &RawContract<'_>,
    code: Bytes,
    immutables: &[ImmutablePlace],
) -> (Bytes, Vec<ImmutablePlace>) {
    let mut places = immutables.to_vec();
    // A range outside the code would be no range of it.
    places.retain(|place| place.range.end as usize <= code.len());
    let data = raw.vyper_layout.map(RawValue::get).and_then(vyper_data).unwrap_or_default();
    let Some(length) = data.iter().map(|range| range.end).max().filter(|&it| it > 0 && it <= 0x6000) else {
        return (code, places);
    };
    let base = code.len() as u32;
    let appended = data.iter().enumerate();
    places.extend(
        appended
            .map(|(id, range)| ImmutablePlace { id: id as u32, range: base + range.start..base + range.end }),
    );
    let mut bytes = code.to_vec();
    bytes.resize(code.len() + length as usize, 0);
    (bytes.into(), places)
}

/// Where Vyper puts immutables in the data behind the code.
fn vyper_data(layout: &str) -> Option<Vec<Range<u32>>> {
    let document: serde_json::Value = serde_json::from_str(layout).ok()?;
    let entries = document.get("code_layout")?.as_object()?.values();
    let ranges = entries.filter_map(|entry| {
        let number = |field| entry.get(field)?.as_u64().and_then(|it| u32::try_from(it).ok());
        let start: u32 = number("offset")?;
        Some(start..start.checked_add(number("length")?)?)
    });
    Some(ranges.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_the_characters_of_the_lines_before() {
        let text = "# \u{e4}\u{1f600}\nx = 1  # \u{e4}\ny = 2\n";
        let characters = Characters::new(text);
        let at = |needle: &str| text.find(needle).expect("it is in the text") as u32;
        // Four characters and a break stand before the second line, ten and a break in it.
        assert_eq!(characters.byte(5), at("x = 1"));
        assert_eq!(characters.byte(5 + 4), at("1  #"));
        assert_eq!(characters.byte(5 + 11), at("y = 2"));
        assert_eq!(characters.byte(1000), text.len() as u32);
        let entry = MapEntry {
            start: 16,
            length: 5,
            file: 0,
            jump: crate::source_map::Jump::Regular,
            modifier_depth: 0,
        };
        let entry = characters.in_bytes(entry);
        assert_eq!(&text[entry.start as usize..entry.end() as usize], "y = 2");
        let nowhere = MapEntry { start: -1, length: -1, ..entry };
        assert_eq!(characters.in_bytes(nowhere), nowhere);
    }

    #[test]
    fn variables_of_old_versions_are_declared() {
        let text = "LIMIT: constant(uint256) = 1\nhits: public(uint256)\n";
        let place = |line: u32, from: u32, to: u32| {
            format!(
                "\"lineno\": {line}, \"col_offset\": {from}, \"end_lineno\": {line}, \"end_col_offset\": {to}"
            )
        };
        let declared = |line: u32, name: &str, kind: &str, ends: [u32; 4]| {
            let [end, from, to, outer] = ends;
            format!(
                "{{\"ast_type\": \"AnnAssign\", {}, \"target\": {{\"id\": \"{name}\"}}, \"annotation\": {{\"ast_type\": \"Call\", {}, \"func\": {{\"id\": \"{kind}\"}}, \"args\": [{{\"ast_type\": \"Name\", {}}}]}}}}",
                place(line, 0, end),
                place(line, 7, outer),
                place(line, from, to)
            )
        };
        let body = [
            declared(1, "LIMIT", "constant", [28, 16, 23, 24]),
            declared(2, "hits", "public", [21, 13, 20, 21]),
        ];
        let module = format!("{{\"ast_type\": \"Module\", \"body\": [{}]}}", body.join(", "));
        let module = VyperModule::parse(&module).expect("it is a module");
        let found = module.declarations("Old", SourceId(0), text, &Lines::new(text)).variables;
        let found: Vec<_> =
            found.iter().map(|it| (it.name.as_str(), it.type_name.as_str(), it.place)).collect();
        assert_eq!(
            found,
            [("LIMIT", "uint256", VariablePlace::Constant), ("hits", "uint256", VariablePlace::Storage)]
        );
    }
}
