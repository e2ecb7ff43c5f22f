//! Abstract interpreter over EVM bytecode: storage-access summaries and conflict matrices.
//!
//! [`analyze()`] turns runtime bytecode into one [`Summary`] an entry point: which storage slots it reads and writes, as
//! expressions over calldata, caller and storage, under which conditions, and where the analysis fell short.
//! [`conflicts`] compares the summaries of a contract two by two. The crate does no I/O, has no clock and starts no
//! threads; any byte string is valid input.

pub mod standards;
mod code;
mod immutable;
mod incomplete;
mod id;
mod location;
mod expression;
mod access;
mod fold;
mod evaluate;
mod deploy;
mod slice;
mod simplify;
mod address_order;
mod slot;
mod memory;
mod size;
mod table;
mod facts;
mod state;
mod summary;
mod graph;
mod step;
mod explore;
mod uses;
mod update;
mod authority;
mod summarize;
mod net_zero;
mod permission;
mod analyze;
mod conflict;
mod render;

pub use access::{
    Access, BalanceRead, ByteRange, Call, CallKind, Circumstance, Condition, Creation, Effect, Escapes,
    NetZero, Position, SelfDestruct, WriteForm,
};
pub use analyze::{Analysis, Options, analyze};
pub use code::{Code, Instruction, Pc, Selector};
pub use conflict::{Alias, Cause, Conflict, ConflictKind, Verdict, conflicts};
pub use deploy::{CopiedBytes, Deployed, Deployment, UnknownBytes, deployed};
pub use evaluate::evaluate;
pub use expression::{Environment, Expressions, Node, Piece, Sources, Space};
pub use id::{BytesId, ConstantId, Epoch, ExprId, Site};
pub use immutable::Immutable;
pub use incomplete::{Incomplete, Reason};
pub use location::{Projection, Root, Slot};
pub use render::{Names, Plain, Render};
pub use slice::{
    BinaryOp, CallSite, CopySource, CreateSite, FrameWord, Op, Operand, QueryOp, Slice, TraceId, UnaryOp,
    Variant,
};
pub use summary::{Entry, Permission, Step, Summary};

/// The page of the crate, whose example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Page;
