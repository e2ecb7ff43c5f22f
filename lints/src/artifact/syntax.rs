//! solc's syntax trees, cut down to declarations.
//!
//! In: the `ast` of each source of one compilation. Out: contract, function and variable declarations with their spans,
//! and an index by solc's node numbers for what needs types. Function bodies and expressions are never kept.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parse_part;
use crate::{
    source_map::{SourceId, SourceSpan},
    unit::{
        Base, ContractDefinition, DefinitionKind, FunctionDefinition, StateVariable, VariablePlace,
        Visibility,
    },
};

/// A node of the tree; which fields are there depends on its type.
#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Node {
    #[serde(rename = "nodeType")]
    pub(super) tag: Option<String>,
    pub(super) id: Option<i64>,
    src: Option<String>,
    pub(super) name: Option<String>,
    pub(super) nodes: Option<Vec<Node>>,
    pub(super) members: Option<Vec<Node>>,
    contract_kind: Option<String>,
    #[serde(rename = "abstract")]
    is_abstract: Option<bool>,
    fully_implemented: Option<bool>,
    pub(super) linearized_base_contracts: Option<Vec<i64>>,
    pub(super) storage_layout: Option<serde::de::IgnoredAny>,
    visibility: Option<String>,
    kind: Option<String>,
    is_constructor: Option<bool>,
    function_selector: Option<String>,
    constant: Option<bool>,
    mutability: Option<String>,
    storage_location: Option<String>,
    pub(super) type_descriptions: Option<TypeDescriptions>,
    pub(super) type_name: Option<Box<Node>>,
    pub(super) base_type: Option<Box<Node>>,
    pub(super) key_type: Option<Box<Node>>,
    pub(super) value_type: Option<Box<Node>>,
    pub(super) underlying_type: Option<Box<Node>>,
    pub(super) referenced_declaration: Option<i64>,
    pub(super) length: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TypeDescriptions {
    pub(super) type_string: Option<String>,
}

impl Node {
    pub(super) fn is(&self, node_type: &str) -> bool {
        self.tag.as_deref() == Some(node_type)
    }

    pub(super) fn children(&self) -> &[Node] {
        self.nodes.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    pub(super) fn type_string(&self) -> &str {
        self.type_descriptions.as_ref().and_then(|it| it.type_string.as_deref()).unwrap_or_default()
    }

    /// Where a state variable is kept.
    pub(super) fn place(&self) -> VariablePlace {
        match (self.mutability.as_deref(), self.storage_location.as_deref()) {
            (Some("constant"), _) => VariablePlace::Constant,
            (Some("immutable"), _) => VariablePlace::Immutable,
            _ if self.constant == Some(true) => VariablePlace::Constant,
            (_, Some("transient")) => VariablePlace::Transient,
            _ => VariablePlace::Storage,
        }
    }

    fn definition_kind(&self) -> DefinitionKind {
        match self.contract_kind.as_deref() {
            Some("interface") => DefinitionKind::Interface,
            Some("library") => DefinitionKind::Library,
            _ if self.is_abstract == Some(true) || self.fully_implemented == Some(false) => {
                DefinitionKind::Abstract
            }
            _ => DefinitionKind::Contract,
        }
    }
}

/// The syntax trees of one compilation.
pub(crate) struct SyntaxTrees {
    trees: BTreeMap<String, Node>,
}

/// What the sources declare.
#[derive(Default)]
pub(crate) struct Declared {
    pub(crate) definitions: Vec<ContractDefinition>,
    pub(crate) functions: Vec<FunctionDefinition>,
    pub(crate) variables: Vec<StateVariable>,
}

impl SyntaxTrees {
    /// Parses the trees by the name of their source. One that does not parse is reported and left out.
    pub(crate) fn parse(raw: &BTreeMap<String, &RawValue>, problem: &mut dyn FnMut(&str, String)) -> Self {
        let mut trees = BTreeMap::new();
        for (name, raw) in raw {
            let part = format!("syntax tree of {name}");
            if let Some(tree) = parse_part::<Node>(raw, &part, problem).filter(|tree| tree.is("SourceUnit")) {
                trees.insert(name.clone(), tree);
            }
        }
        Self { trees }
    }

    /// The declarations of the sources in `sources`. `span` turns the compiler's offsets into a span of a source, and
    /// refuses what lies outside it.
    pub(crate) fn declarations(
        &self,
        sources: &BTreeMap<String, SourceId>,
        span: &dyn Fn(SourceId, u32, u32) -> Option<SourceSpan>,
    ) -> BTreeMap<SourceId, Declared> {
        let mut contracts = BTreeMap::new();
        for (name, node) in self.contracts() {
            if let (Some(id), Some(&source)) = (node.id, sources.get(name)) {
                contracts.insert(id, Base { source, name: node.name().to_owned() });
            }
        }
        let mut declared = BTreeMap::new();
        for (name, tree) in &self.trees {
            let Some(&source) = sources.get(name) else { continue };
            let mut reader = Reader {
                contracts: &contracts,
                span: &|node| node_span(node, source, span),
                found: Declared::default(),
            };
            reader.unit(tree);
            declared.insert(source, reader.found);
        }
        declared
    }

    /// The node of a contract.
    pub(super) fn contract(&self, source: &str, name: &str) -> Option<&Node> {
        let mut children = self.trees.get(source)?.children().iter();
        children.find(|node| node.is("ContractDefinition") && node.name() == name)
    }

    /// What a contract says it is.
    pub(crate) fn kind_of(&self, source: &str, name: &str) -> Option<DefinitionKind> {
        self.contract(source, name).map(Node::definition_kind)
    }

    /// Contracts and types by solc's node numbers, contracts with the name of their source.
    pub(super) fn index(&self) -> BTreeMap<i64, (&str, &Node)> {
        let mut index = BTreeMap::new();
        for (source, tree) in &self.trees {
            for node in tree.children() {
                let inner = if node.is("ContractDefinition") { node.children() } else { &[] };
                for node in std::iter::once(node).chain(inner) {
                    index.extend(node.id.map(|id| (id, (source.as_str(), node))));
                }
            }
        }
        index
    }

    fn contracts(&self) -> impl Iterator<Item = (&str, &Node)> {
        let units = self.trees.iter();
        units.flat_map(|(name, tree)| {
            tree.children()
                .iter()
                .filter(|node| node.is("ContractDefinition"))
                .map(move |node| (name.as_str(), node))
        })
    }
}

struct Reader<'a> {
    contracts: &'a BTreeMap<i64, Base>,
    span: &'a dyn Fn(&Node) -> Option<SourceSpan>,
    found: Declared,
}

impl Reader<'_> {
    fn unit(&mut self, unit: &Node) {
        for node in unit.children() {
            if node.is("ContractDefinition") {
                self.contract(node);
            } else if node.is("FunctionDefinition") {
                self.function(node, None);
            }
        }
    }

    fn contract(&mut self, node: &Node) {
        let Some(span) = (self.span)(node) else { return };
        let bases = node.linearized_base_contracts.iter().flatten();
        self.found.definitions.push(ContractDefinition {
            name: node.name().to_owned(),
            span,
            kind: node.definition_kind(),
            bases: bases.filter_map(|id| self.contracts.get(id).cloned()).collect(),
        });
        for child in node.children() {
            match child.tag.as_deref() {
                Some("FunctionDefinition" | "ModifierDefinition") => self.function(child, Some(node.name())),
                Some("VariableDeclaration") => self.variable(child, node.name()),
                _ => {}
            }
        }
    }

    fn function(&mut self, node: &Node, contract: Option<&str>) {
        let Some(span) = (self.span)(node) else { return };
        let name = match (node.kind.as_deref(), node.name()) {
            (Some(kind @ ("constructor" | "fallback" | "receive")), "") => kind,
            (_, "") if node.is_constructor == Some(true) => "constructor",
            (_, "") => "fallback",
            (_, name) => name,
        };
        let visibility = match node.visibility.as_deref() {
            Some("external") => Visibility::External,
            Some("internal") => Visibility::Internal,
            Some("private") => Visibility::Private,
            _ => Visibility::Public,
        };
        let selector = node.function_selector.as_deref().and_then(parse_selector);
        self.found.functions.push(FunctionDefinition {
            name: name.to_owned(),
            contract: contract.map(ToOwned::to_owned),
            span,
            visibility,
            selector,
            is_modifier: node.is("ModifierDefinition"),
        });
    }

    fn variable(&mut self, node: &Node, contract: &str) {
        let Some(span) = (self.span)(node) else { return };
        self.found.variables.push(StateVariable {
            name: node.name().to_owned(),
            contract: contract.to_owned(),
            type_name: node.type_string().to_owned(),
            span,
            place: node.place(),
        });
    }
}

/// Reads a selector written as eight hex digits, with `0x` or without.
pub(crate) fn parse_selector(text: &str) -> Option<[u8; 4]> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let plain =
        !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| plain).map(u32::to_be_bytes)
}

fn node_span(
    node: &Node,
    source: SourceId,
    span: &dyn Fn(SourceId, u32, u32) -> Option<SourceSpan>,
) -> Option<SourceSpan> {
    let mut parts = node.src.as_deref()?.split(':');
    let start: u32 = parts.next()?.parse().ok()?;
    let length: u32 = parts.next()?.parse().ok()?;
    span(source, start, start.checked_add(length)?)
}
