//! Sources: where their text is, and whether it is still the text that was compiled.
//!
//! In: a name as the compiler has it. Out: a [`Source`] with the compiled text, or a notice that says why there is none.
//! A text is only ever shown with offsets that were computed for it.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use alloy_primitives::keccak256;

use crate::{
    artifact::Compilation,
    source_map::{Lines, SourceId, SourceSpan},
    unit::{Notice, Origin, Source},
};

/// Which folders of a project hold what; relative to its root.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) libraries: Vec<String>,
    pub(crate) tests: Vec<String>,
    pub(crate) scripts: Vec<String>,
}

impl Default for Folders {
    fn default() -> Self {
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            libraries: all(&["lib", "node_modules"]),
            tests: all(&["test", "tests"]),
            scripts: all(&["script", "scripts"]),
        }
    }
}

/// The sources found so far.
pub(crate) struct SourceStore {
    pub(crate) root: PathBuf,
    pub(crate) folders: Folders,
    /// Other folders that compiler names may be relative to.
    pub(crate) search: Vec<PathBuf>,
    pub(crate) sources: Vec<Source>,
    known: BTreeMap<(String, Arc<str>), SourceId>,
}

impl SourceStore {
    pub(crate) fn new(root: PathBuf, folders: Folders) -> Self {
        Self { root, folders, search: Vec::new(), sources: Vec::new(), known: BTreeMap::new() }
    }

    /// Bytes `[start, end)` of a source, where it has them.
    pub(crate) fn span(&self, source: SourceId, start: u32, end: u32) -> Option<SourceSpan> {
        let text = &self.sources[source.0 as usize].text;
        text.get(start as usize..end as usize).map(|_| SourceSpan { source, start, end })
    }

    /// The source that the compiler calls `name`, if its text is known.
    pub(crate) fn find(
        &mut self,
        name: &str,
        compilation: &Compilation<'_>,
        built: Option<SystemTime>,
    ) -> (Option<SourceId>, Vec<Notice>) {
        let mut notices = Vec::new();
        let user_name = compilation.user_names.get(name).map_or(name, String::as_str);
        let absolute = self.on_disk(user_name);
        let display = self.display(user_name, absolute.as_deref());
        let bytes = absolute.as_deref().and_then(|path| fs::read(path).ok());
        let no_text = bytes.as_ref().is_some_and(|bytes| std::str::from_utf8(bytes).is_err());
        let disk = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let command = || compilation.command.clone();
        let text: Arc<str> = match (compilation.texts.get(name), disk) {
            (Some(text), disk) => {
                if disk.is_some_and(|disk| !same_text(&disk, text)) {
                    let source_path = display.clone();
                    notices.push(Notice::Stale { source_path, command: command(), text_known: true });
                }
                Arc::from(text.as_ref())
            }
            (None, Some(disk)) => {
                let hash = compilation.hashes.get(name);
                let unmarked = disk.strip_prefix('\u{feff}').unwrap_or(&disk);
                if let Some(hash) = hash {
                    let mut readings = [disk.as_str(), unmarked].into_iter().map(Cow::Borrowed).chain(
                        [disk.as_str(), unmarked].into_iter().flat_map(with_other_line_ends).map(Cow::Owned),
                    );
                    let Some(compiled) = readings.find(|text| keccak256(text.as_bytes()) == *hash) else {
                        let source_path = display;
                        notices.push(Notice::Stale { source_path, command: command(), text_known: false });
                        return (None, notices);
                    };
                    Arc::from(&*compiled)
                } else {
                    let written = absolute.as_deref().and_then(modified);
                    if matches!((written, built), (Some(written), Some(built)) if written > built) {
                        let source_path = display.clone();
                        notices.push(Notice::PerhapsStale { source_path, command: command() });
                    }
                    Arc::from(disk)
                }
            }
            (None, None) if no_text => {
                notices.push(Notice::NotUtf8 { source_path: display });
                return (None, notices);
            }
            (None, None) => {
                notices.push(Notice::MissingSource { source_path: name.to_owned() });
                return (None, notices);
            }
        };
        (Some(self.insert(display, absolute, text)), notices)
    }

    /// Whose code a path is, judged by the folders it lies in.
    pub(crate) fn origin_of(&self, display: &str) -> Origin {
        let display = display.strip_prefix("./").unwrap_or(display);
        let inside = |folders: &[String]| {
            folders.iter().any(|folder| Path::new(display).starts_with(folder.trim_start_matches("./")))
        };
        // Package names stand for folders below `node_modules`, and so do Hardhat 3's `npm/…` names.
        let package =
            display.starts_with('@') || display.starts_with("npm/") || display.contains("node_modules/");
        if package || display == "hardhat/console.sol" || inside(&self.folders.libraries) {
            return Origin::Library;
        }
        if inside(&self.folders.tests) || display.ends_with(".t.sol") {
            return Origin::Test;
        }
        if inside(&self.folders.scripts) || display.ends_with(".s.sol") {
            return Origin::Script;
        }
        Origin::Project
    }

    /// Takes over a source of another project, whose paths get a prefix. It stays whose code it was there.
    pub(crate) fn adopt(&mut self, source: Source, prefix: &str) -> SourceId {
        let path = format!("{prefix}{}", source.path);
        let id = self.insert(path, source.absolute, source.text);
        self.sources[id.0 as usize].origin = source.origin;
        id
    }

    fn insert(&mut self, path: String, absolute: Option<PathBuf>, text: Arc<str>) -> SourceId {
        let key = (path.clone(), Arc::clone(&text));
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let id = SourceId(self.sources.len() as u32);
        self.known.insert(key, id);
        let (lines, origin) = (Lines::new(&text), self.origin_of(&path));
        self.sources.push(Source { id, path, absolute, text, lines, origin });
        id
    }

    /// Where a source lies on this machine.
    fn on_disk(&self, name: &str) -> Option<PathBuf> {
        if self.root.as_os_str().is_empty() {
            return None;
        }
        let plain = name.strip_prefix("project/").unwrap_or(name);
        let folders = std::iter::once(&self.root).chain(&self.search);
        let mut candidates = folders.flat_map(|folder| {
            [folder.join(name), folder.join(plain), folder.join("node_modules").join(name)]
        });
        candidates.find(|path| path.is_file())
    }

    fn display(&self, name: &str, absolute: Option<&Path>) -> String {
        let relative = absolute.and_then(|path| path.strip_prefix(&self.root).ok());
        relative.map_or_else(|| name.to_owned(), |path| path.to_string_lossy().replace('\\', "/"))
    }
}

/// Whether two texts are the same but for a byte-order mark and how lines end: a checkout may change both, and neither
/// moves a line.
fn same_text(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(|text| text.trim_start_matches('\u{feff}'));
    a == b || a.lines().eq(b.lines())
}

/// The text with each line ended as Unix does, and as Windows does.
fn with_other_line_ends(text: &str) -> [String; 2] {
    let unix = text.replace("\r\n", "\n");
    let windows = unix.replace('\n', "\r\n");
    [unix, windows]
}

/// When a file was last written.
pub(crate) fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}
