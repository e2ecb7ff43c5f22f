//! Reading an input of any kind into a [`Project`].
//!
//! In: a path, or bytes from standard input. Out: a [`Project`], or an [`Error`] when there is nothing to analyse. Kinds
//! are told by content, never by file name. A new format of file is one file here and one line in [`FORMATS`]; a new
//! kind of project folder is one file and one line in [`FOLDERS`]. Only this module opens files and runs tools.

mod raw;
mod source_store;
mod assembly;
mod document;
mod standard_json;
mod build_info;
mod combined_json;
mod folder;
mod toolchain;
mod foundry_artifact;
mod foundry_profile;
mod foundry;
mod git;
mod hardhat_artifact;
mod hardhat;
mod not_code;

use std::{
    borrow::Cow,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use alloy_primitives::{hex, keccak256};

pub use git::{changed_files, repository_of};

use assembly::Assembly;
use document::{Content, Document};
use source_store::{Folders, SourceStore};

use crate::{
    error::Error,
    text::{decode_text, plain},
    unit::Project,
};

/// The formats of JSON files; the first that accepts a document reads it.
const FORMATS: &[Format] = &[
    build_info::FORMAT,
    build_info::SPLIT_FORMAT,
    foundry_artifact::FORMAT,
    hardhat_artifact::FORMAT,
    standard_json::FORMAT,
    combined_json::FORMAT,
    combined_json::VYPER_FORMAT,
    not_code::FORMAT,
];

/// The kinds of project folder; the first that accepts a folder reads it.
const FOLDERS: &[FolderKind] = &[foundry::KIND, hardhat::KIND];

/// How an input may be read. By default nothing is ever run: what was built is read as it is.
///
/// ```
/// use deconflict_lints::{Builds, LoadOptions};
///
/// let folder = std::env::temp_dir();
/// let builds = Builds { folder: &folder, offline: true, progress: &|line| eprintln!("{line}") };
/// let options = LoadOptions { builds: Some(builds), fresh: false };
/// assert!(LoadOptions::default().builds.is_none() && options.builds.is_some());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// Where projects are compiled whose own build is not of their text as it is now, or lacks names or lines.
    pub builds: Option<Builds<'a>>,
    /// Refuses a build that is not of the text as it is now.
    pub fresh: bool,
}

/// Compiling projects by their own tools into a folder that is not theirs.
#[derive(Clone, Copy)]
pub struct Builds<'a> {
    /// Below this each project has a folder, with what its tool keeps from one build to the next.
    pub folder: &'a Path,
    /// Whether a tool must not get a compiler that it does not have yet.
    pub offline: bool,
    /// Is told what a tool says it compiles.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

impl fmt::Debug for Builds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builds").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Builds<'_> {
    /// The folder of the project at `root`.
    fn of(&self, root: &Path) -> PathBuf {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
        let name: String = root.to_string_lossy().chars().map(plain).collect();
        // Names that differ in other letters alone must not share a folder, and long paths are no names of files.
        let hash = keccak256(root.as_os_str().as_encoded_bytes());
        let end = name.char_indices().rev().take(64).last().map_or(0, |(at, _)| at);
        self.folder.join(format!("{}-{}", name[end..].trim_start_matches('-'), hex::encode(&hash[..6])))
    }
}

/// A format of JSON file.
struct Format {
    /// Whether a document has this format.
    accepts: fn(&Document<'_>) -> bool,
    /// Reads it.
    read: fn(&Document<'_>, &mut Assembly) -> Result<(), Error>,
}

/// A kind of project folder.
struct FolderKind {
    /// Whether a folder is one.
    accepts: fn(&Path) -> bool,
    /// Reads the project in it.
    read: fn(&Path, LoadOptions<'_>) -> Result<Project, Error>,
}

/// Reads a project folder, a folder of artifacts, an artifact, or a file of bytecode. A source file or a folder inside
/// a project means the project, limited to the contracts of that file or folder.
///
/// Errors say what could not be read and what to do; what only makes a report poorer is a notice of the project.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_lints::{LoadOptions, load};
///
/// let artifact = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/artifacts/global-counter/Ticketing.json");
/// let project = load(Path::new(artifact), LoadOptions::default())?;
/// assert_eq!(project.contracts[0].name, "Ticketing");
/// # Ok::<(), deconflict_lints::Error>(())
/// ```
pub fn load(path: &Path, options: LoadOptions<'_>) -> Result<Project, Error> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound { path: path.to_owned() });
        }
        Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
    };
    if metadata.is_dir() {
        return load_folder(path, options);
    }
    if is_source_file(path) {
        return load_part(path, options)?.ok_or_else(|| Error::WrongKind {
            name: path.display().to_string(),
            what: "a source file outside any project".to_owned(),
            advice: "compile it and give the compiler's output, or give the project's folder".to_owned(),
        });
    }
    let bytes = read_file(path)?;
    let mut assembly = Assembly::new(store_for_file(path));
    read_bytes(&path.display().to_string(), Some(path), &bytes, &mut assembly)?;
    Ok(assembly.finish())
}

/// Reads what came on standard input (or from anywhere else); `name` is how messages call it.
///
/// ```
/// use deconflict_lints::load_bytes;
///
/// let project = load_bytes("stdin", b"0x6001335500")?;
/// assert_eq!(project.contracts.len(), 1);
/// assert!(load_bytes("stdin", b"hello").is_err());
/// # Ok::<(), deconflict_lints::Error>(())
/// ```
pub fn load_bytes(name: &str, bytes: &[u8]) -> Result<Project, Error> {
    let mut assembly = Assembly::new(SourceStore::new(PathBuf::new(), Folders::default()));
    let bytes = decoded(name, bytes)?;
    read_bytes(name, None, &bytes, &mut assembly)?;
    Ok(assembly.finish())
}

/// Reads the output of a compiler that was run for the project at `root`: its names are relative to that folder.
pub fn load_build(root: &Path, name: &str, bytes: &[u8]) -> Result<Project, Error> {
    let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let folders = foundry::folders_of(&root);
    let mut assembly = Assembly::new(SourceStore::new(root, folders));
    let bytes = decoded(name, bytes)?;
    read_bytes(name, None, &bytes, &mut assembly)?;
    Ok(assembly.finish())
}

/// Compiles the Foundry project at `root` into a folder that is not its own, and reads that.
pub fn compile_by_forge(root: &Path, builds: Builds<'_>) -> Result<Project, Error> {
    foundry::compile(root, builds)
}

/// The nearest project folder at or above `path`.
pub fn root_of(path: &Path) -> Option<PathBuf> {
    let absolute = fs::canonicalize(path).ok()?;
    let found = absolute.ancestors().find(|folder| FOLDERS.iter().any(|kind| (kind.accepts)(folder)));
    found.map(Path::to_path_buf)
}

/// The project folders at or below `folder`, outermost ones only.
pub fn projects_below(folder: &Path) -> Vec<PathBuf> {
    if FOLDERS.iter().any(|kind| (kind.accepts)(folder)) {
        return vec![folder.to_owned()];
    }
    folder::list(folder, true).projects
}

/// The content of a file: text as UTF-8, and all else as it is.
fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = match read_bounded(path).map_err(|source| Error::Read { path: path.to_owned(), source })? {
        Bounded::Whole(bytes) => bytes,
        Bounded::TooLarge { head, size } => {
            return Err(raw::refuse(&path.display().to_string(), &head, size));
        }
    };
    let read = match decoded(&path.display().to_string(), &bytes)? {
        Cow::Borrowed(rest) if rest.len() == bytes.len() => None,
        read => Some(read.into_owned()),
    };
    Ok(read.unwrap_or(bytes))
}

/// What was read of a file.
enum Bounded {
    Whole(Vec<u8>),
    /// Of a file that is too large: how it begins, and its size in bytes.
    TooLarge {
        head: Vec<u8>,
        size: usize,
    },
}

/// The bytes of a file, unless it is larger than any code is and does not look like JSON: then how it begins, and its
/// size. A build of a large project may be as large as it likes; an image of a disk is not read only to be refused.
fn read_bounded(path: &Path) -> io::Result<Bounded> {
    /// Longer than what comes before the JSON in the output of any tool.
    const HEAD: u64 = 64 * 1024;
    let mut file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    if size > raw::MAX_FILE {
        file.by_ref().take(HEAD).read_to_end(&mut bytes)?;
        if !bytes.contains(&b'{') {
            return Ok(Bounded::TooLarge { head: bytes, size: usize::try_from(size).unwrap_or(usize::MAX) });
        }
    }
    file.read_to_end(&mut bytes)?;
    Ok(Bounded::Whole(bytes))
}

/// The content of a file that holds nothing but text.
fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let text = decode_text(&bytes).map(Cow::into_owned);
    text.map_err(|problem| Error::Encoding { name: path.display().to_string(), problem })
}

fn decoded<'a>(name: &str, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
    plain(bytes).map_err(|problem| Error::Encoding { name: name.to_owned(), problem })
}

/// Reads one file of any format.
fn read_bytes(name: &str, path: Option<&Path>, bytes: &[u8], assembly: &mut Assembly) -> Result<(), Error> {
    match document::classify(name, path, bytes)? {
        Content::Json(document) => {
            if let Some(text) = document.preamble {
                let (name, text) = (name.to_owned(), text.to_owned());
                assembly.notice(crate::Notice::Preamble { name, text });
            }
            read_document(&document, assembly)
        }
        Content::Code(code) => assembly.add_raw(&raw::contract_name(name), path, code),
    }
}

fn read_document(document: &Document<'_>, assembly: &mut Assembly) -> Result<(), Error> {
    match FORMATS.iter().find(|format| (format.accepts)(document)) {
        Some(format) => (format.read)(document, assembly),
        None => Err(Error::WrongKind {
            name: document.name.to_owned(),
            what: format!("JSON of no known kind (its keys are {})", document.describe_keys()),
            advice: "give a Foundry or Hardhat artifact, build-info, or a compiler's JSON output".to_owned(),
        }),
    }
}

fn load_folder(path: &Path, options: LoadOptions<'_>) -> Result<Project, Error> {
    if let Some(kind) = FOLDERS.iter().find(|kind| (kind.accepts)(path)) {
        return (kind.read)(path, options);
    }
    match folder::read(path, options) {
        Err(error @ Error::NothingFound { .. }) => load_part(path, options)?.ok_or(error),
        read => read,
    }
}

/// Reads the project around `path` and keeps the contracts whose source lies at or below it.
fn load_part(path: &Path, options: LoadOptions<'_>) -> Result<Option<Project>, Error> {
    let Ok(absolute) = fs::canonicalize(path) else { return Ok(None) };
    for root in absolute.ancestors().skip(1) {
        let Some(kind) = FOLDERS.iter().find(|kind| (kind.accepts)(root)) else { continue };
        let mut project = (kind.read)(root, options)?;
        let sources = &project.sources;
        project.contracts.retain(|contract| {
            let source = contract.source.and_then(|id| sources[id.0 as usize].absolute.as_deref());
            source.is_some_and(|source| source.starts_with(&absolute))
        });
        if project.contracts.is_empty() {
            return Err(Error::NothingFound { path: path.to_owned() });
        }
        return Ok(Some(project));
    }
    Ok(None)
}

fn is_source_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sol" || extension == "vy")
}

/// A file's sources are looked for below the nearest project folder above it, and below the folders between.
fn store_for_file(path: &Path) -> SourceStore {
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folders: Vec<PathBuf> = absolute.ancestors().skip(1).take(6).map(Path::to_path_buf).collect();
    let root = folders.iter().find(|folder| FOLDERS.iter().any(|kind| (kind.accepts)(folder)));
    let root = root.or(folders.first()).cloned().unwrap_or_default();
    let mut store = SourceStore::new(root, Folders::default());
    store.search = folders.into_iter().take(3).collect();
    store
}
