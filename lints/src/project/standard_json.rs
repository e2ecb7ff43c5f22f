//! The output of `solc --standard-json` and of Vyper's equivalent.
//!
//! In: the output, with the input that belongs to it where that is known. Out: a [`Compilation`].

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, assembly::Assembly, document::Document};
use crate::{
    artifact::{
        CodeOutput, Compilation, CompilerSettings, Metadata, RawContract, compiler_version, parse_part,
    },
    error::Error,
    unit::{Compiler, CompilerInfo, Notice},
};

/// Standard-JSON output: contracts by file and name.
pub(super) const FORMAT: Format = Format {
    accepts: |document| {
        let by_name = document.keys.get("contracts").and_then(|raw| first_key(raw));
        let combined = document.has("sourceList") || by_name.is_some_and(|key| key.contains(".sol:"));
        (document.has_object("contracts") && !combined) || (document.has("errors") && !document.has("abi"))
    },
    read,
};

/// What both halves of a compilation say together.
#[derive(Default)]
pub(super) struct Context {
    /// What it was compiled with, where more than the output says so.
    pub(super) compiler: Option<CompilerInfo>,
    /// The command that compiles it again.
    pub(super) command: String,
    /// The project's paths of sources that the compiler knew by another name.
    pub(super) user_names: BTreeMap<String, String>,
    /// What to do to get a storage layout.
    pub(super) advice: &'static str,
}

/// The input, as far as it is used.
#[derive(Deserialize)]
pub(super) struct StandardInput<'a> {
    #[serde(default)]
    pub(super) language: Option<String>,
    #[serde(borrow, default)]
    pub(super) sources: BTreeMap<String, InputSource<'a>>,
    #[serde(default)]
    pub(super) settings: Option<CompilerSettings>,
}

/// One source of the input.
#[derive(Deserialize)]
pub(super) struct InputSource<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<Text<'a>>,
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The output.
#[derive(Deserialize)]
pub(super) struct StandardOutput<'a> {
    #[serde(borrow, default)]
    contracts: Option<BTreeMap<String, BTreeMap<String, ContractOutput<'a>>>>,
    #[serde(borrow, default)]
    sources: Option<BTreeMap<String, OutputSource<'a>>>,
    #[serde(default)]
    errors: Option<Vec<Message>>,
    #[serde(default)]
    compiler: Option<String>,
}

#[derive(Deserialize)]
struct OutputSource<'a> {
    #[serde(default)]
    id: Option<u32>,
    #[serde(borrow, default)]
    ast: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    severity: Option<String>,
    #[serde(default, rename = "formattedMessage")]
    formatted: Option<String>,
    #[serde(default, rename = "message")]
    plain: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContractOutput<'a> {
    #[serde(borrow, default)]
    abi: Option<&'a RawValue>,
    #[serde(borrow, default)]
    evm: Option<EvmOutput<'a>>,
    #[serde(default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    storage_layout: Option<&'a RawValue>,
    #[serde(borrow, default)]
    transient_storage_layout: Option<&'a RawValue>,
    #[serde(borrow, default)]
    layout: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EvmOutput<'a> {
    #[serde(borrow, default)]
    bytecode: Option<CodeOutput<'a>>,
    #[serde(borrow, default)]
    deployed_bytecode: Option<CodeOutput<'a>>,
    #[serde(default)]
    method_identifiers: Option<BTreeMap<String, String>>,
}

fn read(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    let output = StandardOutput {
        contracts: document.read("contracts")?,
        sources: document.read("sources")?,
        errors: document.read("errors")?,
        compiler: document.read("compiler")?,
    };
    let context = Context {
        command: "solc --standard-json".to_owned(),
        advice: "ask the compiler for `storageLayout`",
        ..Context::default()
    };
    let compilation = compilation(document, output, None, context, assembly)?;
    assembly.add(compilation)
}

/// Joins output and input to one compilation.
pub(super) fn compilation<'a>(
    document: &Document<'_>,
    output: StandardOutput<'a>,
    input: Option<StandardInput<'a>>,
    context: Context,
    assembly: &mut Assembly,
) -> Result<Compilation<'a>, Error> {
    let contracts = output.contracts.unwrap_or_default();
    report_errors(document.name, output.errors.unwrap_or_default(), contracts.is_empty(), assembly)?;
    let mut compilation = Compilation {
        name: document.name.to_owned(),
        compiler: context.compiler,
        user_names: context.user_names,
        command: context.command,
        ..Compilation::default()
    };
    let language = input.as_ref().and_then(|it| it.language.clone());
    let is_vyper = output.compiler.as_deref().is_some_and(|it| it.starts_with("vyper"))
        || language.as_deref() == Some("Vyper");
    let mut settings = None;
    if let Some(input) = input {
        let texts = input.sources.into_iter();
        compilation.texts = texts.filter_map(|(name, source)| Some((name, source.content?.0))).collect();
        settings = input.settings;
    }
    if is_vyper {
        let version = output.compiler.as_deref().unwrap_or_default();
        compilation.compiler = Some(compiler_version(Compiler::Vyper, version, settings.unwrap_or_default()));
    }
    for (name, source) in output.sources.unwrap_or_default() {
        compilation.files.extend(source.id.map(|id| (id, name.clone())));
        compilation.syntax.extend(source.ast.map(|ast| (name, ast)));
    }
    for (source_path, named) in contracts {
        for (name, contract) in named {
            let qualified = format!("{source_path}:{name}");
            let mut problem = |part: &str, message: String| {
                let (artifact, part) = (document.name.to_owned(), format!("{part} of {qualified}"));
                assembly.notice(Notice::Malformed { artifact, part, message });
            };
            let mut raw = contract.into_raw(&mut problem);
            (raw.name, raw.source_path) = (name, source_path.clone());
            raw.artifact = document.path.map(ToOwned::to_owned);
            raw.advice = context.advice;
            compilation.contracts.push(raw);
        }
    }
    Ok(compilation)
}

impl<'a> ContractOutput<'a> {
    fn into_raw(self, problem: &mut dyn FnMut(&str, String)) -> RawContract<'a> {
        let text = |raw: Option<&'a RawValue>| {
            raw.filter(|raw| raw.get() != "null").map(|raw| Cow::Borrowed(raw.get()))
        };
        let mut raw = RawContract {
            abi: text(self.abi),
            storage_layout: text(self.storage_layout),
            transient_layout: text(self.transient_storage_layout),
            vyper_layout: self.layout,
            metadata: self.metadata.and_then(|raw| read_metadata(raw, problem)),
            ..RawContract::default()
        };
        if let Some(evm) = self.evm {
            raw.creation = evm.bytecode.and_then(|code| code.into_code(problem));
            raw.runtime = evm.deployed_bytecode.and_then(|code| code.into_code(problem));
            raw.method_identifiers = evm.method_identifiers.unwrap_or_default();
        }
        raw
    }
}

/// Reads metadata that is a text with JSON in it, or an object.
pub(super) fn read_metadata(raw: &RawValue, problem: &mut dyn FnMut(&str, String)) -> Option<Metadata> {
    let text = match raw.get().as_bytes().first() {
        Some(b'"') => Cow::Owned(parse_part::<String>(raw, "metadata", problem)?),
        Some(b'{') => Cow::Borrowed(raw.get()),
        _ => return None,
    };
    // Abstract contracts have the empty text; Vyper has metadata of its own that no field here is read from.
    if text.trim().is_empty() {
        return None;
    }
    Metadata::parse(&text).map_err(|message| problem("metadata", message)).ok()
}

fn report_errors(
    name: &str,
    messages: Vec<Message>,
    fatal: bool,
    assembly: &mut Assembly,
) -> Result<(), Error> {
    let errors = messages.into_iter().filter(|message| message.severity.as_deref() == Some("error"));
    let texts: Vec<String> =
        errors.filter_map(|it| it.formatted.or(it.plain)).map(|it| it.trim().to_owned()).collect();
    let name = name.to_owned();
    if fatal {
        if texts.is_empty() {
            let (what, advice) =
                ("compiler output without contracts", "ask the compiler for `evm.deployedBytecode`");
            return Err(Error::WrongKind { name, what: what.to_owned(), advice: advice.to_owned() });
        }
        return Err(Error::CompilationFailed { name, messages: texts.join("\n") });
    }
    if !texts.is_empty() {
        assembly.notice(Notice::CompilerErrors { name, messages: texts.join("\n") });
    }
    Ok(())
}

fn first_key(raw: &RawValue) -> Option<String> {
    let keys: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get()).ok()?;
    keys.into_keys().next()
}
