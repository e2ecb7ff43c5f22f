//! Reads Solidity projects and lints them.
//!
//! The way of a project, in the order of the modules below:
//!
//! 1. `project` reads a folder, an artifact or bytecode ([`load`]), by one file a format; `artifact`, `source_map` and
//!    `storage_layout` bring all formats down to one [`Project`] of contracts, sources and layouts.
//! 2. [`ContractNames`] names what a contract keeps; [`analyze_contract`] has `deconflict-analyzer` summarise its code
//!    and compare all pairs of functions.
//! 3. `view` is what a rule may see of that; each file of [`rules`] is one rule: documentation, declaration, one pure
//!    function. [`check_contract`] runs them all, [`merge`] puts the findings of contracts together.
//! 4. [`Configuration`], suppressions, [`Baseline`] and [`budget`] take out of a [`Report`] what somebody has decided;
//!    [`check_project`] is the whole way to here, for the command line and editors alike.
//! 5. [`inspect()`](inspect::inspect) describes a contract, [`report`] writes either for people and for machines.
//!
//! What always holds: only `project` opens files or runs tools; a rule sees summaries, names and places, and never text,
//! bytes or files; formats decide nothing; nothing here prints, starts a thread or looks at a clock. The words are those
//! of `docs/glossary.md`, the map is `docs/architecture.md`.

mod text;
mod error;
mod source_map;
mod storage_layout;
mod unit;
mod artifact;
mod project;

mod diagnostic;
mod settings;
mod place;
mod constant_keys;
mod naming;
mod view;
mod scenario;
mod rule;
mod finding;
pub mod rules;
mod hygiene;
mod config;
mod check;
mod suppress;
mod pipeline;
mod baseline;
mod changes;
mod inspect;
mod tokens;
mod editor_facts;
mod scope;
mod rewrite;
pub mod budget;
pub mod report;

pub use error::Error;
pub use project::{
    Builds, LoadOptions, changed_files, compile_by_forge, load, load_build, load_bytes, projects_below,
    repository_of, root_of,
};
pub use source_map::{LineColumn, Location, Mapped, SourceId, SourceMap, SourceSpan};
pub use storage_layout::{Located, Step, StorageLayout, StorageType, StorageVariable, TypeId};
pub use unit::{
    Base, Compiler, CompilerInfo, Contract, ContractDefinition, ContractKind, DefinitionKind,
    FunctionDefinition, ImmutablePlace, LibraryReference, Notice, Origin, Project, Source, StateVariable,
    VariablePlace,
};

pub use baseline::{Baseline, BaselineError};
pub use changes::keep_changed;
pub use check::{
    Analyzed, Checked, ProjectKey, Report, Suppressed, analysis_key, analyze_contract, check_analyzed,
    check_contract, is_checked, merge,
};
pub use config::{
    Configuration, ConfigurationError, FILE_NAME, Level, Levels, UnknownSelector, all_rules, effective,
    find_rule, template, unknown,
};
pub use diagnostic::{Confidence, Diagnostic, Effect, Label, Severity};
pub use editor_facts::{Clash, ContractFacts, FunctionFacts, VariableFacts, facts};
pub use hygiene::UNUSED_SUPPRESSION;
pub use inspect::{
    AccessInspection, AccessKind, CallInspection, Cell, FunctionInspection, Inspection, inspect, is_called,
};
pub use naming::ContractNames;
pub use pipeline::{Each, NoCache, ResultCache, check_project, in_turn, judged, report_of};
pub use rewrite::{Rewrite, rewrites};
pub use rule::{Group, Rule};
pub use scope::{Meaning, meaning};
pub use settings::{Profile, Settings};
pub use suppress::{Insertion, allow_comments, apply as apply_suppressions, insert_comments};
pub use text::{NotText, decode_text};

/// The page of the crate, whose example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Page;
