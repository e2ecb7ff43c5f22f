//! Compilations become a project.
//!
//! In: one [`Compilation`] after the other. Out: a [`Project`] whose sources are found and compared with the disk, whose
//! contracts are decoded and joined with what several artifacts know of them. Anything missing becomes a notice.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use alloy_primitives::Bytes;
use serde::Deserialize;

use super::source_store::{SourceStore, modified};
use crate::{
    artifact::{
        Characters, Compilation, Created, DecodedCode, RawCode, RawContract, RawMap, SyntaxTrees,
        VyperModule, created, declared_layout, decode_code, definition_in_text, is_library_code,
        parse_selector, place_span, vyper_positions, with_vyper_immutables,
    },
    error::Error,
    source_map::{Location, MapEntry, SourceId, SourceMap, SourceSpan, decode},
    storage_layout::{StorageLayout, parse_solc, parse_vyper},
    unit::{Compiler, Contract, ContractKind, DefinitionKind, ImmutablePlace, Notice, Origin, Project},
};

/// A project being put together.
pub(crate) struct Assembly {
    pub(crate) store: SourceStore,
    project: Project,
    notices: BTreeSet<Notice>,
    /// Contracts without a source map, by what to do about it.
    without_map: BTreeMap<String, BTreeSet<String>>,
    /// Contracts without a storage layout, by what to do about it.
    without_layout: BTreeMap<String, BTreeSet<String>>,
    described: BTreeSet<SourceId>,
    known: BTreeMap<(String, Bytes), usize>,
    /// The sources and names of the contracts that are wanted; all where there are none.
    wanted: Option<BTreeSet<(String, String)>>,
}

/// The sources of one compilation.
struct Sources<'a> {
    by_name: BTreeMap<String, SourceId>,
    by_index: BTreeMap<i64, SourceId>,
    trees: SyntaxTrees,
    modules: BTreeMap<SourceId, VyperModule>,
    compilation: &'a Compilation<'a>,
}

impl Sources<'_> {
    fn is_vyper(&self) -> bool {
        is_by_vyper(self.compilation)
    }
}

impl Assembly {
    pub(crate) fn new(store: SourceStore) -> Self {
        Self {
            project: Project { root: store.root.clone(), ..Project::default() },
            store,
            notices: BTreeSet::new(),
            without_map: BTreeMap::new(),
            without_layout: BTreeMap::new(),
            described: BTreeSet::new(),
            known: BTreeMap::new(),
            wanted: None,
        }
    }

    /// A project of some contracts alone, by source and name.
    pub(crate) fn of(store: SourceStore, wanted: BTreeSet<(String, String)>) -> Self {
        Self { wanted: Some(wanted), ..Self::new(store) }
    }

    /// Adds a notice; the same one is kept once.
    pub(crate) fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::MissingSourceMap { contracts, advice } => {
                self.without_map.entry(advice).or_default().extend(contracts);
            }
            Notice::MissingStorageLayout { contracts, advice } => {
                self.without_layout.entry(advice).or_default().extend(contracts);
            }
            notice => {
                self.notices.insert(notice);
            }
        }
    }

    /// Whether any contract or anything worth saying was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.project.contracts.is_empty()
    }

    /// Whether contracts were found that should have had bytecode.
    pub(crate) fn lacks_bytecode(&self) -> bool {
        self.notices.iter().any(|notice| matches!(notice, Notice::NoBytecode { .. }))
    }

    /// Takes over another project's sources and those of its contracts that `keep` wants. Its paths are displayed
    /// relative to this project's root.
    pub(crate) fn take(&mut self, other: Project, keep: impl Fn(&Contract) -> bool) {
        let prefix = other.root.strip_prefix(&self.store.root).ok().filter(|it| !it.as_os_str().is_empty());
        let prefix =
            prefix.map(|it| format!("{}/", it.to_string_lossy().replace('\\', "/"))).unwrap_or_default();
        let ids: Vec<SourceId> =
            other.sources.into_iter().map(|source| self.store.adopt(source, &prefix)).collect();
        let id = |source: SourceId| ids[source.0 as usize];
        let span = |it: SourceSpan| SourceSpan { source: id(it.source), ..it };
        let is_new = |described: &BTreeSet<SourceId>, source: SourceId| !described.contains(&id(source));
        for mut it in other.definitions {
            if is_new(&self.described, it.span.source) {
                it.span = span(it.span);
                it.bases.iter_mut().for_each(|base| base.source = id(base.source));
                self.project.definitions.push(it);
            }
        }
        for mut it in other.functions {
            if is_new(&self.described, it.span.source) {
                it.span = span(it.span);
                self.project.functions.push(it);
            }
        }
        for mut it in other.variables {
            if is_new(&self.described, it.span.source) {
                it.span = span(it.span);
                self.project.variables.push(it);
            }
        }
        let definitions = self.project.definitions.iter().map(|it| it.span.source);
        self.described.extend(definitions.collect::<Vec<_>>());
        for mut contract in other.contracts {
            if !keep(&contract) {
                continue;
            }
            contract.source = contract.source.map(id);
            contract.source_path.insert_str(0, &prefix);
            for mapped in contract.source_map.iter_mut().flat_map(|map| &mut map.instructions) {
                mapped.location = match mapped.location {
                    Location::Exact(it) => Location::Exact(span(it)),
                    Location::Container(it) => Location::Container(span(it)),
                    other => other,
                };
            }
            self.insert(contract);
        }
        let prefixed = |names: Vec<String>| names.into_iter().map(|name| format!("{prefix}{name}")).collect();
        for notice in other.notices {
            self.notice(match notice {
                Notice::MissingSourceMap { contracts, advice } => {
                    Notice::MissingSourceMap { contracts: prefixed(contracts), advice }
                }
                Notice::MissingStorageLayout { contracts, advice } => {
                    Notice::MissingStorageLayout { contracts: prefixed(contracts), advice }
                }
                notice => notice,
            });
        }
    }

    /// Adds a contract that is nothing but code.
    pub(crate) fn add_raw(
        &mut self,
        name: &str,
        path: Option<&Path>,
        code: DecodedCode,
    ) -> Result<(), Error> {
        let given = code.bytes.clone();
        let (code, immutables) = match created(&code) {
            None => (code, None),
            Some(Created::Runtime { code, immutables }) => (code, Some(immutables)),
            Some(Created::Copy) => return Err(Error::DeploysCopy { name: name.to_owned() }),
        };
        if let Some(immutables) = &immutables {
            self.report_creation(name, &code, immutables);
        }
        self.report_unlinked(name, &code);
        self.insert(Contract {
            name: name.to_owned(),
            source_path: name.to_owned(),
            source: None,
            origin: Origin::Project,
            kind: ContractKind::Raw,
            runtime: code.bytes,
            creation: immutables.is_some().then_some(given),
            immutables: immutables.unwrap_or_default(),
            unlinked: code.unlinked,
            abi: None,
            method_identifiers: BTreeMap::new(),
            storage_layout: None,
            source_map: None,
            generated_sources: Vec::new(),
            compiler: None,
            artifact: path.map(Path::to_path_buf),
        });
        Ok(())
    }

    /// Adds all that one run of a compiler produced.
    pub(crate) fn add(&mut self, mut compilation: Compilation<'_>) -> Result<(), Error> {
        let mut contracts = std::mem::take(&mut compilation.contracts);
        if let Some(wanted) = &self.wanted {
            contracts.retain(|it| {
                let path = compilation.user_names.get(&it.source_path).unwrap_or(&it.source_path);
                [path, &it.source_path]
                    .into_iter()
                    .any(|path| wanted.contains(&(path.clone(), it.name.clone())))
            });
        }
        for contract in &contracts {
            if let Some(metadata) = &contract.metadata {
                for (name, hash) in &metadata.hashes {
                    compilation.hashes.entry(name.clone()).or_insert(*hash);
                }
            }
        }
        let newest = contracts.iter().filter_map(|it| it.artifact.as_deref()).filter_map(modified).max();
        let sources = self.read_sources(&compilation, &contracts, newest);
        for contract in contracts {
            self.add_contract(contract, &sources)?;
        }
        Ok(())
    }

    /// The project, in order.
    pub(crate) fn finish(self) -> Project {
        let mut project = self.project;
        project.sources = self.store.sources;
        project.notices = self.notices.into_iter().collect();
        // What another file had after all is not missing; the names were gathered while files were still being read.
        let lacks = |names: BTreeSet<String>, has: fn(&Contract) -> bool| -> Vec<String> {
            let found: BTreeSet<String> =
                project.contracts.iter().filter(|it| !has(it)).map(Contract::qualified_name).collect();
            names.into_iter().filter(|name| found.contains(name)).collect()
        };
        let mut missing = Vec::new();
        for (advice, names) in self.without_map {
            let contracts = lacks(names, |it| it.source_map.is_some());
            missing.push(Notice::MissingSourceMap { contracts, advice });
        }
        for (advice, names) in self.without_layout {
            let contracts = lacks(names, |it| it.storage_layout.is_some());
            missing.push(Notice::MissingStorageLayout { contracts, advice });
        }
        let is_empty = |notice: &Notice| {
            matches!(notice, Notice::MissingSourceMap { contracts, .. } | Notice::MissingStorageLayout { contracts, .. }
                if contracts.is_empty())
        };
        project.notices.extend(missing.into_iter().filter(|notice| !is_empty(notice)));
        project.contracts.sort_by(|a, b| {
            (&a.source_path, &a.name, &a.artifact).cmp(&(&b.source_path, &b.name, &b.artifact))
        });
        project
    }

    fn read_sources<'a>(
        &mut self,
        compilation: &'a Compilation<'a>,
        contracts: &[RawContract<'_>],
        newest: Option<std::time::SystemTime>,
    ) -> Sources<'a> {
        let names: BTreeSet<&String> = compilation.files.values().chain(compilation.texts.keys()).collect();
        // Of what was compiled along with a contract only its own sources say whether it is of the text as it is now.
        let own: Option<Vec<BTreeSet<String>>> =
            contracts.iter().map(|contract| sources_of(contract, compilation)).collect();
        let concerns = |name: &String| own.as_ref().is_none_or(|own| own.iter().any(|it| it.contains(name)));
        let mut by_name = BTreeMap::new();
        for name in names {
            let (id, notices) = self.store.find(name, compilation, newest);
            let is_foreign = |it: &Notice| {
                let is_of_text = matches!(
                    it,
                    Notice::Stale { .. } | Notice::PerhapsStale { .. } | Notice::MissingSource { .. }
                );
                is_of_text && !concerns(name)
            };
            self.notices.extend(notices.into_iter().filter(|it| !is_foreign(it)));
            by_name.extend(id.map(|id| (name.clone(), id)));
        }
        for contract in contracts {
            // An artifact far from its build still names its own source.
            if !contract.source_path.is_empty()
                && !compilation.files.values().any(|it| *it == contract.source_path)
            {
                let (id, notices) = self.store.find(&contract.source_path, compilation, newest);
                self.notices.extend(notices);
                by_name.extend(id.map(|id| (contract.source_path.clone(), id)));
            }
        }
        let by_index = compilation.files.iter();
        let by_index =
            by_index.filter_map(|(&index, name)| Some((i64::from(index), *by_name.get(name)?))).collect();
        let mut malformed = Vec::new();
        let is_vyper = is_by_vyper(compilation);
        let nothing = BTreeMap::new();
        let trees = SyntaxTrees::parse(
            if is_vyper { &nothing } else { &compilation.syntax },
            &mut |part, message| {
                malformed.push((part.to_owned(), message));
            },
        );
        for (part, message) in malformed {
            self.notice(Notice::Malformed { artifact: compilation.name.clone(), part, message });
        }
        let mut sources = Sources { by_name, by_index, trees, modules: BTreeMap::new(), compilation };
        self.describe(&mut sources, is_vyper);
        sources
    }

    /// Takes over the declarations of sources that were not seen before.
    fn describe(&mut self, sources: &mut Sources<'_>, is_vyper: bool) {
        let mut found = BTreeMap::new();
        if is_vyper {
            for (name, raw) in &sources.compilation.syntax {
                let (Some(&id), Some(module)) = (sources.by_name.get(name), VyperModule::parse(raw.get()))
                else {
                    continue;
                };
                let source = &self.store.sources[id.0 as usize];
                found.insert(id, module.declarations(&stem(name), id, &source.text, &source.lines));
                sources.modules.insert(id, module);
            }
        } else {
            found = sources
                .trees
                .declarations(&sources.by_name, &|id, start, end| self.store.span(id, start, end));
        }
        for (id, declared) in found {
            if self.described.insert(id) {
                self.project.definitions.extend(declared.definitions);
                self.project.functions.extend(declared.functions);
                self.project.variables.extend(declared.variables);
            }
        }
    }

    fn add_contract(&mut self, raw: RawContract<'_>, sources: &Sources<'_>) -> Result<(), Error> {
        let compilation = sources.compilation;
        let source = sources.by_name.get(&raw.source_path).copied();
        let display = source.map(|id| self.store.sources[id.0 as usize].path.clone());
        let user_name = compilation.user_names.get(&raw.source_path).cloned();
        let source_path = user_name.or(display).unwrap_or_else(|| raw.source_path.clone());
        let qualified = format!("{source_path}:{}", raw.name);
        // Where a build keeps nothing but creation code, the runtime code is what that deploys.
        let Some(runtime) = raw.runtime.as_ref().or(raw.creation.as_ref().filter(|it| deploys(it))) else {
            // An interface has no bytecode even where the build has some; only a definition tells them apart.
            let notice = match self.definition_kind(&raw, source, sources) {
                Some(kind @ (DefinitionKind::Interface | DefinitionKind::Abstract)) => {
                    Notice::NotDeployable { contract: qualified, kind }
                }
                _ => Notice::NoBytecode { contract: qualified, command: compilation.command.clone() },
            };
            self.notice(notice);
            return Ok(());
        };
        let artifact_name =
            || raw.artifact.as_ref().map_or(compilation.name.clone(), |it| it.display().to_string());
        let wrong = |part: &str, error| Error::Malformed {
            name: artifact_name(),
            part: format!("the {part} of {qualified}"),
            message: super::raw::describe_hex_error(error),
        };
        let mut decoded =
            decode_code(&runtime.object, &runtime.links).map_err(|it| wrong("runtime code", it))?;
        for library in &mut decoded.unlinked {
            if let Some((path, name)) = library.name.rsplit_once(':') {
                let path = compilation.user_names.get(path).map_or(path, String::as_str);
                library.name = format!("{path}:{name}");
            }
        }
        if decoded.bytes.is_empty() {
            let kind = self.definition_kind(&raw, source, sources).unwrap_or(DefinitionKind::Interface);
            self.notice(Notice::NotDeployable { contract: qualified, kind });
            return Ok(());
        }
        let inside = match created(&decoded) {
            None | Some(Created::Copy) => None,
            Some(Created::Runtime { code, immutables }) => {
                decoded = code;
                self.report_creation(&qualified, &decoded, &immutables);
                Some(immutables)
            }
        };
        let creation = raw.creation.as_ref().map(|code| decode_code(&code.object, &code.links)).transpose();
        let creation = creation.map_err(|it| wrong("creation code", it))?.map(|it| it.bytes);
        let origin = source.map_or_else(
            || self.store.origin_of(&source_path),
            |id| self.store.sources[id.0 as usize].origin,
        );
        // Only the project's own contracts are worth a message; a dependency's are linked by whoever deploys them.
        if origin == Origin::Project {
            self.report_unlinked(&qualified, &decoded);
        }

        let malformed = |part: &str, message| Notice::Malformed {
            artifact: artifact_name(),
            part: format!("the {part} of {qualified}"),
            message,
        };
        let abi = raw.abi.as_deref().and_then(|text| match serde_json::from_str(text) {
            Ok(abi) => Some(abi),
            Err(error) => {
                self.notices.insert(malformed("ABI", error.to_string()));
                None
            }
        });
        let storage_layout = match self.layout(&raw, source, sources) {
            Ok(layout) => layout,
            Err(message) => {
                self.notices.insert(malformed("storage layout", message));
                None
            }
        };
        let map_of_code = || self.source_map(runtime, &decoded.bytes, sources);
        // The map of creation code says nothing of the code inside.
        let source_map = match if inside.is_some() { Ok(None) } else { map_of_code() } {
            Ok(map) => map,
            Err(message) => {
                self.notices.insert(malformed("source map", message));
                None
            }
        };
        let identifiers = raw.method_identifiers.iter();
        let method_identifiers =
            identifiers.filter_map(|(name, hex)| Some((name.clone(), parse_selector(hex)?))).collect();
        let is_library = self.definition_kind(&raw, source, sources) == Some(DefinitionKind::Library)
            || is_library_code(&decoded.bytes);
        let (runtime_bytes, immutables) = match inside {
            Some(immutables) => (decoded.bytes, immutables),
            None => with_vyper_immutables(&raw, decoded.bytes, &runtime.immutables),
        };
        if origin == Origin::Project {
            let contracts = || vec![qualified.clone()];
            if source_map.is_none() {
                let advice = format!("compile with `{}`", compilation.command);
                self.notice(Notice::MissingSourceMap { contracts: contracts(), advice });
            }
            if storage_layout.is_none() {
                let advice = raw.advice.to_owned();
                self.notice(Notice::MissingStorageLayout { contracts: contracts(), advice });
            }
        }
        self.insert(Contract {
            name: raw.name,
            source_path,
            source,
            origin,
            kind: if is_library { ContractKind::Library } else { ContractKind::Contract },
            runtime: runtime_bytes,
            creation,
            immutables,
            unlinked: decoded.unlinked,
            abi,
            method_identifiers,
            storage_layout,
            source_map,
            generated_sources: runtime.generated.clone(),
            compiler: raw.metadata.and_then(|it| it.compiler).or_else(|| compilation.compiler.clone()),
            artifact: raw.artifact,
        });
        Ok(())
    }

    fn definition_kind(
        &self,
        raw: &RawContract<'_>,
        source: Option<SourceId>,
        sources: &Sources<'_>,
    ) -> Option<DefinitionKind> {
        sources.trees.kind_of(&raw.source_path, &raw.name).or_else(|| {
            let text = &self.store.sources[source?.0 as usize].text;
            definition_in_text(text, &raw.name)
        })
    }

    fn report_creation(&mut self, contract: &str, code: &DecodedCode, immutables: &[ImmutablePlace]) {
        let (size, unknown) = (code.bytes.len(), immutables.len());
        self.notice(Notice::CreationCode { contract: contract.to_owned(), size, unknown });
    }

    fn report_unlinked(&mut self, contract: &str, code: &DecodedCode) {
        if !code.unlinked.is_empty() {
            let libraries = code.unlinked.iter().map(|it| it.name.clone()).collect();
            self.notice(Notice::UnlinkedLibraries { contract: contract.to_owned(), libraries });
        }
    }

    fn layout(
        &self,
        raw: &RawContract<'_>,
        source: Option<SourceId>,
        sources: &Sources<'_>,
    ) -> Result<Option<StorageLayout>, String> {
        if let Some(layout) = raw.vyper_layout {
            let module = source.and_then(|id| Some((id, sources.modules.get(&id)?)));
            let structs = module.map(|(id, module)| {
                let source = &self.store.sources[id.0 as usize];
                module.structs(&source.text, &source.lines)
            });
            return parse_vyper(layout.get(), &structs.unwrap_or_default()).map(Some);
        }
        match &raw.storage_layout {
            Some(layout) => parse_solc(layout, raw.transient_layout.as_deref()).map(Some),
            None => Ok(declared_layout(&sources.trees, &raw.source_path, &raw.name)),
        }
    }

    fn source_map(
        &self,
        runtime: &RawCode<'_>,
        code: &[u8],
        sources: &Sources<'_>,
    ) -> Result<Option<SourceMap>, String> {
        match &runtime.source_map {
            None => Ok(None),
            Some(RawMap::Instructions(text)) if text.is_empty() => Ok(None),
            Some(RawMap::Instructions(text)) => {
                let mut entries = decode(text).map_err(|error| error.to_string())?;
                if sources.is_vyper() {
                    self.count_bytes(&mut entries, sources);
                }
                Ok(Some(SourceMap::from_instructions(code, &entries, |entry| self.locate(entry, sources))))
            }
            Some(map @ RawMap::Positions(_)) => {
                let places = vyper_positions(map).ok_or("it has no positions")?;
                Ok(Some(SourceMap::from_positions(code, |pc| {
                    let found = places.get(&pc).and_then(|&(file, place)| {
                        let id = *sources.by_index.get(&file)?;
                        place_span(id, place, &self.store.sources[id.0 as usize].lines)
                    });
                    found.map_or(Location::Unknown, |span| self.weigh(span))
                })))
            }
        }
    }

    /// Turns the offsets of Vyper's source maps into bytes.
    fn count_bytes(&self, entries: &mut [MapEntry], sources: &Sources<'_>) {
        let mut known: BTreeMap<i64, Option<Characters>> = BTreeMap::new();
        for entry in entries.iter_mut().filter(|entry| entry.start >= 0) {
            let characters = known.entry(entry.file).or_insert_with(|| {
                let id = sources.by_index.get(&entry.file)?;
                Some(Characters::new(&self.store.sources[id.0 as usize].text))
            });
            if let Some(characters) = characters {
                *entry = characters.in_bytes(*entry);
            }
        }
    }

    fn locate(&self, entry: &MapEntry, sources: &Sources<'_>) -> Location {
        if entry.file < 0 || entry.length <= 0 {
            return Location::Unknown;
        }
        let Some(&id) = sources.by_index.get(&entry.file) else {
            let known = u32::try_from(entry.file).is_ok_and(|it| sources.compilation.files.contains_key(&it));
            // An index beyond the sources belongs to what the compiler added, whether or not its text was asked for.
            return if known { Location::Unknown } else { Location::Generated };
        };
        let (Ok(start), Ok(end)) = (u32::try_from(entry.start), u32::try_from(entry.end())) else {
            return Location::Unknown;
        };
        self.store.span(id, start, end).map_or(Location::Unknown, |span| self.weigh(span))
    }

    /// Tells a whole contract or module from something inside it.
    fn weigh(&self, span: SourceSpan) -> Location {
        let text = &self.store.sources[span.source.0 as usize].text[span.start as usize..span.end as usize];
        let whole_contract =
            ["contract ", "abstract ", "library ", "interface "].iter().any(|word| text.starts_with(word))
                && text.ends_with('}');
        let whole_file = text.len() == self.store.sources[span.source.0 as usize].text.len();
        if whole_contract || whole_file { Location::Container(span) } else { Location::Exact(span) }
    }

    /// Adds a contract, or completes the same one that another file already gave.
    fn insert(&mut self, contract: Contract) {
        let key = (contract.qualified_name(), contract.runtime.clone());
        let Some(&index) = self.known.get(&key) else {
            self.known.insert(key, self.project.contracts.len());
            self.project.contracts.push(contract);
            return;
        };
        let known = &mut self.project.contracts[index];
        known.source = known.source.or(contract.source);
        known.creation = known.creation.take().or(contract.creation);
        known.abi = known.abi.take().or(contract.abi);
        known.storage_layout = known.storage_layout.take().or(contract.storage_layout);
        known.source_map = known.source_map.take().or(contract.source_map);
        known.compiler = known.compiler.take().or(contract.compiler);
        if known.method_identifiers.is_empty() {
            known.method_identifiers = contract.method_identifiers;
        }
        if known.immutables.is_empty() {
            known.immutables = contract.immutables;
        }
        if known.generated_sources.is_empty() {
            known.generated_sources = contract.generated_sources;
        }
    }
}

/// Whether the compiler is Vyper, as far as it is known.
fn is_by_vyper(compilation: &Compilation<'_>) -> bool {
    compilation.compiler.as_ref().is_some_and(|it| it.compiler == Compiler::Vyper)
}

/// The sources that a contract was compiled from: what its metadata lists, else what its source imports, as far as that is
/// known.
fn sources_of(contract: &RawContract<'_>, compilation: &Compilation<'_>) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Tree {
        #[serde(default)]
        nodes: Vec<Node>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Node {
        node_type: String,
        #[serde(default)]
        absolute_path: Option<String>,
    }
    if let Some(metadata) = contract.metadata.as_ref().filter(|it| !it.hashes.is_empty()) {
        return Some(metadata.hashes.keys().cloned().collect());
    }
    let mut found = BTreeSet::new();
    let mut open = vec![contract.source_path.clone()];
    while let Some(name) = open.pop() {
        let tree: Tree = serde_json::from_str(compilation.syntax.get(&name)?.get()).ok()?;
        let imports = tree.nodes.into_iter().filter(|node| node.node_type == "ImportDirective");
        let imports: Vec<String> = imports.filter_map(|node| node.absolute_path).collect();
        found.insert(name);
        open.extend(imports.into_iter().filter(|import| !found.contains(import)));
    }
    Some(found)
}

/// Whether code that a compiler calls creation code deploys something that can be found.
fn deploys(code: &RawCode<'_>) -> bool {
    let decoded = decode_code(&code.object, &code.links);
    decoded.is_ok_and(|decoded| matches!(created(&decoded), Some(Created::Runtime { .. })))
}

/// The name of a file without folders and extension.
pub(crate) fn stem(name: &str) -> String {
    PathBuf::from(name)
        .file_stem()
        .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
