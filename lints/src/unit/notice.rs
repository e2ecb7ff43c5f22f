//! What makes a report poorer without stopping it.
//!
//! One variant for each thing that can be wrong with a build; its text says what it means and what to do.

use std::path::PathBuf;

use super::DefinitionKind;

/// Something that could not be read well, or was passed over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Notice {
    /// The artifact has no bytecode although the contract is one.
    #[error(
        "{contract}: the artifact has no bytecode (`forge lint` leaves such artifacts behind): run `{command}` to compile it"
    )]
    NoBytecode {
        /// `path:Name`.
        contract: String,
        /// The command that compiles it.
        command: String,
    },
    /// An abstract contract or an interface: it has no code of its own.
    #[error("{contract} is {}: it has no code of its own and was passed over", describe(*kind))]
    NotDeployable {
        /// `path:Name`.
        contract: String,
        /// What it is.
        kind: DefinitionKind,
    },
    /// Library addresses are missing from the code; calls to them go to the zero address.
    #[error(
        "{contract} is not linked with {}: calls to it are analysed as calls to an unknown contract",
        libraries.join(", ")
    )]
    UnlinkedLibraries {
        /// `path:Name`.
        contract: String,
        /// The libraries.
        libraries: Vec<String>,
    },
    /// A source differs from what was compiled.
    #[error("{source_path} has changed since it was compiled: run `{command}`; until then the report describes the old text{}",
        if *text_known { "" } else { " without showing lines of it" })]
    Stale {
        /// The source as displayed.
        source_path: String,
        /// The command that compiles it.
        command: String,
        /// Whether the compiled text is in the build, so that lines can still be shown.
        text_known: bool,
    },
    /// A source is newer than the artifact, and nothing says whether its text is the same.
    #[error("{source_path} is newer than its artifact: run `{command}` if it has changed")]
    PerhapsStale {
        /// The source as displayed.
        source_path: String,
        /// The command that compiles it.
        command: String,
    },
    /// The text of a source is neither in the build nor on disk.
    #[error("{source_path}: the source text was not found, so its lines cannot be shown")]
    MissingSource {
        /// The source as the compiler names it.
        source_path: String,
    },
    /// The file of a source is no text.
    #[error(
        "{source_path} is not UTF-8, so its lines cannot be shown: save it as UTF-8 and compile it again"
    )]
    NotUtf8 {
        /// The source as displayed.
        source_path: String,
    },
    /// Artifacts without a source map: findings name the contract and not a line.
    #[error("no source map for {}, so findings there have no line: {advice}", list(contracts))]
    MissingSourceMap {
        /// `path:Name` of each.
        contracts: Vec<String>,
        /// What to do.
        advice: String,
    },
    /// Artifacts with neither a storage layout nor a syntax tree: slots keep their numbers.
    #[error(
        "no storage layout for {}, so slots there have numbers instead of names: {advice}",
        list(contracts)
    )]
    MissingStorageLayout {
        /// `path:Name` of each.
        contracts: Vec<String>,
        /// What to do.
        advice: String,
    },
    /// A part of an artifact is not as the compiler writes it; the rest is used.
    #[error("{artifact}: {part} cannot be read ({message}), and is left out")]
    Malformed {
        /// The artifact or contract.
        artifact: String,
        /// Which part.
        part: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file or folder among others could not be read.
    #[error("{}: {message}; passed over", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The compiler printed something before its JSON.
    #[error("{name}: skipped what the compiler printed before its JSON: {text:?}")]
    Preamble {
        /// The input.
        name: String,
        /// What it printed.
        text: String,
    },
    /// The compiler reported errors, though some contracts were compiled.
    #[error("{name}: the compiler reported errors: {messages}")]
    CompilerErrors {
        /// The input.
        name: String,
        /// Its messages.
        messages: String,
    },
    /// What was given is creation code; the runtime code inside is looked at instead.
    #[error(
        "{contract} is creation code: what is analysed is the runtime code that it deploys ({size} bytes), and not its \
         constructor{}",
        describe_unknown(*unknown)
    )]
    CreationCode {
        /// `path:Name`, or the input.
        contract: String,
        /// How long the runtime code is.
        size: usize,
        /// How many places in it the constructor fills in with what is not known here.
        unknown: usize,
    },
    /// The code of an account that another one forwards to is looked at instead of its own.
    #[error("{from} forwards to {to} ({by}), whose code is looked at instead")]
    Forwarded {
        /// The account that forwards.
        from: String,
        /// What it forwards to.
        to: String,
        /// How it knows that.
        by: String,
    },
    /// An account hands calls on to others, which are not looked at.
    #[error("{account} {reason}")]
    HandsOn {
        /// The account.
        account: String,
        /// What it does, and what to do about it.
        reason: String,
    },
    /// The project could not be compiled for this.
    #[error("{} was read as it was built, since it cannot be compiled here ({reason}): run `{command}` there", root.display())]
    NotCompiled {
        /// The project.
        root: PathBuf,
        /// Why not.
        reason: String,
        /// What brings what is missing.
        command: String,
    },
    /// The project was compiled first.
    #[error("compiled {} with `{command}`", root.display())]
    Built {
        /// The project.
        root: PathBuf,
        /// What was run.
        command: String,
    },
}

impl Notice {
    /// Whether the developer should see this without asking: something can be done about it.
    pub fn is_warning(&self) -> bool {
        !self.is_note()
            && !matches!(self, Self::NotDeployable { .. } | Self::Preamble { .. } | Self::Built { .. })
    }

    /// What a build lacks that compiling the project again may bring.
    pub(crate) fn lack(&self) -> Option<String> {
        Some(match self {
            Self::Stale { source_path, .. } => format!("{source_path} has changed since it was compiled"),
            Self::PerhapsStale { source_path, .. } => format!("{source_path} is newer than its artifact"),
            Self::NoBytecode { contract, .. } => format!("the artifact of {contract} has no bytecode"),
            Self::MissingSource { source_path } => format!("{source_path} is not there any more"),
            Self::MissingSourceMap { contracts, .. } => {
                format!("there is no source map for {}", list(contracts))
            }
            Self::MissingStorageLayout { contracts, .. } => {
                format!("there is no storage layout for {}", list(contracts))
            }
            Self::Unreadable { path, message } => format!("{} cannot be read ({message})", path.display()),
            _ => return None,
        })
    }

    /// Whether it says that something else is looked at than what was named: nothing is wrong, and all must know.
    pub fn is_note(&self) -> bool {
        matches!(self, Self::CreationCode { .. } | Self::Forwarded { .. } | Self::HandsOn { .. })
    }
}

fn describe_unknown(places: usize) -> String {
    match places {
        0 => String::new(),
        1 => {
            "; one place that the constructor fills in, such as an immutable, is taken for unknown".to_owned()
        }
        more => format!(
            "; {more} places that the constructor fills in, such as immutables, are taken for unknown"
        ),
    }
}

fn describe(kind: DefinitionKind) -> &'static str {
    match kind {
        DefinitionKind::Contract => "a contract",
        DefinitionKind::Abstract => "an abstract contract",
        DefinitionKind::Interface => "an interface",
        DefinitionKind::Library => "a library",
    }
}

/// A few names, and how many more there are.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
