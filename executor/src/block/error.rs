//! What can be wrong with a block file or a code file: what it is, where, and what to do about it.

use std::{io, path::PathBuf};

use alloy_primitives::B256;
use thiserror::Error;

use crate::text::NotText;

/// A file that could not be made a block.
#[derive(Debug, Error)]
pub enum BlockError {
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The zstd frame ends early.
    #[error("{} is cut short: its zstd data ends before the end of the frame; get the file again", file.display())]
    CutShort {
        /// The file.
        file: PathBuf,
    },
    /// The zstd frame is broken.
    #[error("{} is damaged: its zstd data cannot be decompressed; get the file again", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text of the file is in an encoding that is not read, or is damaged.
    #[error("{}: {problem}", file.display())]
    Encoding {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: NotText,
    },
    /// It is another kind of file about blocks.
    #[error(
        "{} is {what}, and not a block file: a block with the state before it, in the format of docs/blocks.md and \
         docs/schemas/block.schema.json, which `deconflict fetch` writes",
        file.display()
    )]
    OtherKind {
        /// The file.
        file: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A field is missing, has the wrong type or makes no sense.
    #[error("{}: {field}: {problem}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The field, as a path from the root.
        field: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An account has a code that is nowhere to be found.
    #[error(
        "{}: {field}: there is no code with the hash {hash}{}; put it into `codes`, name a file that has it with \
         --codes, or list the hash in `code_absent` if the code never runs",
        file.display(),
        searched.as_ref().map(|it| format!(" in `codes` or in {}", it.display())).unwrap_or_default()
    )]
    CodeMissing {
        /// The block file.
        file: PathBuf,
        /// The field that names the code.
        field: String,
        /// The hash of the code.
        hash: B256,
        /// The code file that was searched besides the block file.
        searched: Option<PathBuf>,
    },
    /// A code does not have the hash that it is listed under.
    #[error("{}: {field}: the code that is listed as {listed} has the hash {actual}; correct one of them", file.display())]
    CodeHash {
        /// The file that lists the code.
        file: PathBuf,
        /// Where in that file.
        field: String,
        /// The hash under which the code is listed.
        listed: B256,
        /// The hash that it has.
        actual: B256,
    },
}
