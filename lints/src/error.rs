//! What stops an input from being read at all.
//!
//! Every variant says what was being done, on which file, and what to do next. What merely makes a report poorer (no
//! source map, an unlinked library) is a [`crate::Notice`], never an error.

use std::{io, path::PathBuf};

use crate::text::NotText;

/// Why an input could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such file or folder.
    #[error("{} does not exist: give a project folder, an artifact, a file of bytecode, or `-`", path.display())]
    NotFound {
        /// What was asked for.
        path: PathBuf,
    },
    /// The input holds nothing.
    #[error("{name} is empty: expected a compiler artifact or runtime bytecode")]
    Empty {
        /// The file, or `standard input`.
        name: String,
    },
    /// A file of text in an encoding that is not read, or that is damaged.
    #[error("{name}: {problem}")]
    Encoding {
        /// The file, or `standard input`.
        name: String,
        /// What is wrong with it.
        problem: NotText,
    },
    /// JSON that does not parse.
    #[error("{name} is not valid JSON: {message}; compile again if a build was interrupted")]
    Json {
        /// The file, or `standard input`.
        name: String,
        /// What is wrong and where.
        message: String,
    },
    /// JSON of the right kind with a part that is not as the compiler writes it.
    #[error(
        "{name}: {part}: {message}; compile again, or report the compiler's version if that does not help"
    )]
    Malformed {
        /// The file, or `standard input`.
        name: String,
        /// The part of the document.
        part: String,
        /// What is wrong with it.
        message: String,
    },
    /// Well-formed input of a kind that holds no bytecode.
    #[error("{name} is {what}: {advice}")]
    WrongKind {
        /// The file, or `standard input`.
        name: String,
        /// What it is instead.
        what: String,
        /// What to give instead.
        advice: String,
    },
    /// Neither JSON, nor hex, nor plausible bytecode.
    #[error(
        "{name} is not recognised ({found}): expected a compiler artifact (JSON), bytecode in hex, or binary bytecode"
    )]
    Unrecognised {
        /// The file, or `standard input`.
        name: String,
        /// How the content begins.
        found: String,
    },
    /// Hex with a character that is not hex.
    #[error(
        "{name}: character {character:?} at byte {offset} is not hexadecimal: give runtime bytecode as hex digits"
    )]
    Hex {
        /// The file, or `standard input`.
        name: String,
        /// The offending character.
        character: char,
        /// Where it stands.
        offset: usize,
    },
    /// Half a byte at the end of a hex string.
    #[error("{name}: an odd number of hexadecimal digits ({digits}): the bytecode is cut off")]
    OddHex {
        /// The file, or `standard input`.
        name: String,
        /// How many digits there are.
        digits: usize,
    },
    /// Creation code whose runtime code is not in it.
    #[error(
        "{name} is creation code that deploys a copy of another account's code: give the code of that account, or the \
         address of the contract with `--rpc-url`"
    )]
    DeploysCopy {
        /// The file, or `standard input`.
        name: String,
    },
    /// More bytes than any contract has.
    #[error("{name} has {size} bytes of code, more than the {limit} that are read: is this bytecode?")]
    TooLarge {
        /// The file, or `standard input`.
        name: String,
        /// Its size.
        size: usize,
        /// The most that is read.
        limit: usize,
    },
    /// The compiler's own output says that the compilation failed.
    #[error("{name}: the compilation failed: {messages}")]
    CompilationFailed {
        /// The file, or `standard input`.
        name: String,
        /// The compiler's errors.
        messages: String,
    },
    /// `foundry.toml` that does not parse.
    #[error("{}: {message}", path.display())]
    Configuration {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A project that was not compiled, and may not be compiled now.
    #[error("no build in {}: run `{command}` there first", root.display())]
    NotBuilt {
        /// The project.
        root: PathBuf,
        /// The command that compiles it.
        command: String,
    },
    /// A project whose artifacts have no bytecode.
    #[error(
        "the artifacts in {} have no bytecode (`forge lint` leaves such artifacts behind): run `{command}` there first",
        root.display()
    )]
    NoBytecode {
        /// The project.
        root: PathBuf,
        /// The command that compiles it.
        command: String,
    },
    /// The project's own build failed.
    #[error("`{command}` failed in {}: {output}", root.display())]
    BuildFailed {
        /// The project.
        root: PathBuf,
        /// What was run.
        command: String,
        /// The end of what it printed.
        output: String,
    },
    /// A project whose build is not of its text as it is now, where it has to be.
    #[error("the build in {} is not fresh: {reason}; run `{command}` there", root.display())]
    NotFresh {
        /// The project.
        root: PathBuf,
        /// What is not as it is to be.
        reason: String,
        /// The command that compiles it.
        command: String,
    },
    /// A folder without anything that could be analysed.
    #[error(
        "{} holds no compiled contract: run the compiler first, or give a Foundry or Hardhat project, an artifact, or bytecode",
        path.display()
    )]
    NothingFound {
        /// The folder.
        path: PathBuf,
    },
    /// git could not say what has changed.
    #[error("cannot tell what has changed since {revision}: {message}")]
    Git {
        /// The revision that was asked for.
        revision: String,
        /// What git said.
        message: String,
    },
}

impl Error {
    /// Whether all that is wrong is that nothing was built yet.
    pub(crate) fn is_unbuilt(&self) -> bool {
        matches!(self, Self::NotBuilt { .. } | Self::NoBytecode { .. })
    }
}
