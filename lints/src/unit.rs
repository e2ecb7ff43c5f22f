//! What a project is once it has been read: contracts, sources, and what could not be read well.
//!
//! Plain data that every later stage reads; nothing here opens a file or knows which tool wrote the artifacts.

mod notice;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use alloy_json_abi::JsonAbi;
use alloy_primitives::Bytes;

pub use notice::Notice;

use words::words;

use crate::{
    source_map::{LineColumn, Lines, SourceId, SourceMap, SourceSpan},
    storage_layout::StorageLayout,
};

/// All that one input holds.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The folder that displayed paths are relative to; empty for standard input.
    pub root: PathBuf,
    /// The contracts in order of source path and name, without what has no code of its own.
    pub contracts: Vec<Contract>,
    /// The sources; a [`SourceId`] is an index here.
    pub sources: Vec<Source>,
    /// Contract, interface and library definitions, from the compiler's syntax trees.
    pub definitions: Vec<ContractDefinition>,
    /// Function and modifier definitions.
    pub functions: Vec<FunctionDefinition>,
    /// State variable declarations.
    pub variables: Vec<StateVariable>,
    /// What could not be read well, and what was passed over.
    pub notices: Vec<Notice>,
}

impl Project {
    /// What the build that this was read from lacks, if compiling it again may bring that.
    pub(crate) fn lack(&self) -> Option<String> {
        self.notices.iter().find_map(Notice::lack)
    }

    /// The source of a span.
    pub fn source(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }

    /// What was not read as it is now, so that nothing said of the project holds for that: contracts without bytecode,
    /// sources that have changed since they were compiled, files that could not be read.
    pub fn unjudged(&self) -> Vec<String> {
        let is_unjudged = |notice: &&Notice| {
            matches!(notice, Notice::NoBytecode { .. } | Notice::Stale { .. } | Notice::Unreadable { .. })
        };
        self.notices.iter().filter(is_unjudged).filter_map(Notice::lack).collect()
    }

    /// The text of a span.
    pub fn text(&self, span: SourceSpan) -> &str {
        &self.source(span.source).text[span.start as usize..span.end as usize]
    }

    /// Whether a span lies in the project's own code.
    pub fn is_own(&self, span: SourceSpan) -> bool {
        self.source(span.source).origin == Origin::Project
    }

    /// The function or modifier that a span lies in.
    pub fn function_at(&self, span: SourceSpan) -> Option<&FunctionDefinition> {
        innermost(&self.functions, span, |function| function.span)
    }

    /// The contract, interface or library that a span lies in.
    pub fn definition_at(&self, span: SourceSpan) -> Option<&ContractDefinition> {
        innermost(&self.definitions, span, |definition| definition.span)
    }

    /// The definition that a contract was compiled from.
    pub fn definition_of(&self, contract: &Contract) -> Option<&ContractDefinition> {
        let source = contract.source?;
        self.definitions.iter().find(|it| it.span.source == source && it.name == contract.name)
    }

    /// The function that answers to `selector` in a contract: its own, else the most derived one it inherits.
    pub fn function_of(&self, contract: &Contract, selector: [u8; 4]) -> Option<&FunctionDefinition> {
        let bases = self.definition_of(contract).map(|it| it.bases.as_slice()).unwrap_or_default();
        bases.iter().find_map(|base| {
            let inside = |it: &&FunctionDefinition| {
                it.span.source == base.source && it.contract.as_deref() == Some(base.name.as_str())
            };
            // A declaration without a body is followed by the function that implements it further down the list.
            let with_body = |it: &&FunctionDefinition| self.text(it.span).ends_with('}');
            self.functions.iter().filter(inside).filter(with_body).find(|it| it.selector == Some(selector))
        })
    }

    /// Where `name` is mentioned inside a span, comments and strings left aside. Optimised code from the intermediate
    /// representation often has no location but the contract; then this is as near as the sources alone come.
    pub fn mentions(&self, span: SourceSpan, name: &str) -> Vec<SourceSpan> {
        let found = words(self.text(span)).filter(|&(_, word)| word == name);
        let found = found.map(|(at, word)| (span.start + at as u32, word.len() as u32));
        found.map(|(start, length)| SourceSpan { source: span.source, start, end: start + length }).collect()
    }

    /// Whether `caller` may come to run `callee`, as far as names tell: it mentions it, or another function that does.
    pub(crate) fn may_run(&self, caller: &FunctionDefinition, callee: &FunctionDefinition) -> bool {
        let mut open = vec![caller];
        let mut seen = BTreeSet::from([caller.span]);
        while let Some(function) = open.pop() {
            let named: BTreeSet<&str> = words(self.text(function.span)).map(|(_, word)| word).collect();
            if named.contains(callee.name.as_str()) {
                return true;
            }
            let next = self.functions.iter().filter(|it| named.contains(it.name.as_str()));
            open.extend(next.filter(|it| seen.insert(it.span)));
        }
        false
    }

    /// The declarations of a variable called `label` that `contract` may inherit, its own first.
    pub fn declarations_of<'a>(
        &'a self,
        contract: &'a Contract,
        label: &'a str,
    ) -> impl Iterator<Item = &'a StateVariable> {
        let definition = self.definition_of(contract);
        let bases = definition.map(|it| it.bases.as_slice()).unwrap_or_default();
        bases.iter().flat_map(move |base| {
            let declared = self.variables.iter().filter(move |it| it.name == label);
            declared.filter(move |it| it.contract == base.name && it.span.source == base.source)
        })
    }
}

fn innermost<T>(all: &[T], span: SourceSpan, outer: impl Fn(&T) -> SourceSpan) -> Option<&T> {
    all.iter().filter(|it| outer(it).contains(&span)).min_by_key(|it| outer(it).end - outer(it).start)
}

/// One source file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its place in [`Project::sources`].
    pub id: SourceId,
    /// The path to display: relative to the project's root where it lies below it, else as the compiler names it.
    pub path: String,
    /// Where the file is, when it is on this machine.
    pub absolute: Option<PathBuf>,
    /// The text that was compiled.
    pub text: Arc<str>,
    /// Where its lines start.
    pub(crate) lines: Lines,
    /// Whose code it is.
    pub origin: Origin,
}

impl Source {
    /// Where a byte offset stands.
    pub fn position(&self, offset: u32) -> LineColumn {
        self.lines.position(offset)
    }
}

/// Whose code a file or contract is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The project's own.
    Project,
    /// A dependency (`lib/`, `node_modules/`).
    Library,
    /// A test.
    Test,
    /// A deployment script.
    Script,
    /// Written by the compiler or a build tool.
    Generated,
}

/// One contract that has runtime code.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name; the file's name for raw bytecode.
    pub name: String,
    /// The source as the compiler names it; the input's name where the source is not known.
    pub source_path: String,
    /// The source, where its text is known.
    pub source: Option<SourceId>,
    /// Whose code it is.
    pub origin: Origin,
    /// What kind of contract it is.
    pub kind: ContractKind,
    /// The runtime code, with zeros where libraries and immutables are filled in at deployment.
    pub runtime: Bytes,
    /// The creation code, with zeros where libraries are filled in.
    pub creation: Option<Bytes>,
    /// Where the runtime code holds immutables, in order of place.
    pub immutables: Vec<ImmutablePlace>,
    /// The libraries whose addresses are missing from the runtime code, in order of their name.
    pub unlinked: Vec<LibraryReference>,
    /// The interface.
    pub abi: Option<JsonAbi>,
    /// Selectors by function signature.
    pub method_identifiers: BTreeMap<String, [u8; 4]>,
    /// The names and types of the storage slots.
    pub storage_layout: Option<StorageLayout>,
    /// The locations of the runtime code's instructions.
    pub source_map: Option<SourceMap>,
    /// What the compiler added to the sources.
    pub(crate) generated_sources: Vec<GeneratedSource>,
    /// What it was compiled with.
    pub compiler: Option<CompilerInfo>,
    /// The file it was read from; `None` for standard input.
    pub artifact: Option<PathBuf>,
}

impl Contract {
    /// The name that tells it from all others: `path:Name`.
    pub fn qualified_name(&self) -> String {
        format!("{}:{}", self.source_path, self.name)
    }
}

/// What kind of contract runtime code belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContractKind {
    /// A contract that is deployed on its own.
    Contract,
    /// A library that is deployed on its own.
    Library,
    /// Code without any metadata.
    Raw,
}

/// A place in the runtime code where deployment writes an immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmutablePlace {
    /// Tells the contract's immutables apart; one immutable may stand in several places.
    pub id: u32,
    /// The bytes.
    pub range: Range<u32>,
}

/// A library whose address is missing from the code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LibraryReference {
    /// `path:Name` as the compiler says, or the placeholder's own text where it does not.
    pub name: String,
    /// The byte offsets of the 20-byte holes.
    pub offsets: Vec<u32>,
}

/// A piece of source that the compiler added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GeneratedSource {
    /// Its file index in the compiler's numbering.
    pub id: u32,
    /// Its name, such as `#utility.yul`.
    pub name: String,
    /// Its text.
    pub text: Arc<str>,
}

/// The compiler and the settings that change the shape of its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompilerInfo {
    /// Which one.
    pub compiler: Compiler,
    /// Its version, such as `0.8.30`.
    pub version: String,
    /// Whether code went through the intermediate representation.
    pub via_ir: bool,
    /// Whether the optimiser ran; `None` where the artifact does not say.
    pub optimized: Option<bool>,
    /// The hard fork compiled for, such as `cancun`.
    pub evm_version: Option<String>,
}

/// A compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compiler {
    /// The Solidity (and Yul) compiler.
    Solc,
    /// The Vyper compiler.
    Vyper,
}

impl fmt::Display for CompilerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.compiler {
            Compiler::Solc => "solc",
            Compiler::Vyper => "vyper",
        };
        write!(f, "{name} {}{}", self.version, if self.via_ir { " via-IR" } else { "" })
    }
}

/// A contract, interface or library as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractDefinition {
    /// Its name.
    pub name: String,
    /// All of it.
    pub span: SourceSpan,
    /// What it says it is.
    pub kind: DefinitionKind,
    /// Itself and what it inherits, most derived first, where those are known.
    pub bases: Vec<Base>,
}

/// A contract in an inheritance list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The file it is defined in.
    pub source: SourceId,
    /// Its name.
    pub name: String,
}

/// What a definition says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefinitionKind {
    /// `contract`, or a Vyper module.
    Contract,
    /// `abstract contract`, or a contract with functions that have no body.
    Abstract,
    /// `interface`.
    Interface,
    /// `library`.
    Library,
}

/// A function or modifier as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDefinition {
    /// Its name; `constructor`, `fallback` and `receive` for those.
    pub name: String,
    /// The contract around it; `None` for a free function.
    pub contract: Option<String>,
    /// All of it, body included.
    pub span: SourceSpan,
    /// Who may call it.
    pub(crate) visibility: Visibility,
    /// Its selector, where it has one and the compiler says so.
    pub selector: Option<[u8; 4]>,
    /// Whether this is a modifier.
    pub is_modifier: bool,
}

/// Who may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Visibility {
    /// Any account and the contract itself.
    Public,
    /// Any account.
    External,
    /// The contract and what inherits it.
    Internal,
    /// The contract alone.
    Private,
}

/// A state variable as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateVariable {
    /// Its name.
    pub name: String,
    /// The contract that declares it.
    pub contract: String,
    /// Its type as the compiler prints it.
    pub type_name: String,
    /// Its declaration.
    pub span: SourceSpan,
    /// Where its value is kept.
    pub place: VariablePlace,
}

/// Where a state variable's value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VariablePlace {
    /// In storage.
    Storage,
    /// In transient storage.
    Transient,
    /// In the code: a constant.
    Constant,
    /// In the code, from deployment on.
    Immutable,
}
