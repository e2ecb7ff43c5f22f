//! Reads Solidity projects and lints them.

mod error;
mod source_map;
mod storage_layout;
mod unit;
mod artifact;
mod project;

mod diagnostic;
mod settings;
mod place;
mod folded;
mod naming;
mod view;
mod scenario;
mod rule;
mod finding;
pub mod rules;
mod config;
mod check;
mod inspect;
pub mod report;

pub use error::Error;
pub use project::{LoadOptions, load, load_bytes};
pub use source_map::{
    Attribution, Jump, LineColumn, Lines, Location, MapEntry, MapError, Mapped, SourceId, SourceMap,
    SourceSpan, decode, program_counters,
};
pub use storage_layout::{
    Located, Shape, Step, StorageLayout, StorageType, StorageVariable, TypeId, parse_solc, parse_vyper,
};
pub use unit::{
    Base, Compiler, CompilerInfo, Contract, ContractDefinition, ContractKind, DefinitionKind,
    FunctionDefinition, GeneratedSource, ImmutablePlace, LibraryReference, Notice, Origin, Project, Source,
    StateVariable, VariablePlace, Visibility,
};

pub use check::{
    Analyzed, Checked, Report, analyze_contract, check_analyzed, check_contract, is_checked, merge,
};
pub use config::{Level, Levels, UnknownSelector, default_level, unknown};
pub use diagnostic::{Confidence, Diagnostic, Effect, Label, Severity, fingerprint};
pub use inspect::{
    AccessInspection, AccessKind, CallInspection, Cell, FunctionInspection, Inspection, inspect, is_called,
};
pub use naming::ContractNames;
pub use rule::{Finding, Group, Rule};
pub use settings::{Profile, Settings};
pub use view::Field;
