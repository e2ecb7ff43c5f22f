//! Reads Solidity projects and lints them.

mod error;
mod source_map;
mod storage_layout;
mod unit;

pub use error::Error;
pub use source_map::{
    Attribution, Jump, LineColumn, Lines, Location, MapEntry, MapError, Mapped, SourceId, SourceMap, SourceSpan,
    decode, program_counters,
};
pub use storage_layout::{
    Located, Shape, Step, StorageLayout, StorageType, StorageVariable, TypeId, parse_solc, parse_vyper,
};
pub use unit::{
    Base, Compiler, CompilerInfo, Contract, ContractDefinition, ContractKind, DefinitionKind, FunctionDefinition,
    GeneratedSource, LibraryReference, Notice, Origin, Project, Source, StateVariable, VariablePlace, Visibility,
};
