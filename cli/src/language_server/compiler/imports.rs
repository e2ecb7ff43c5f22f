//! Which source imports which, as the compiler resolves it.
//!
//! In: a project's folder and its remappings. Out: for a file, the names and files that it imports; for changed files,
//! the ones that depend on them. Import directives are found in the text: comments and strings are told apart, the rest
//! of the language does not matter here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

/// A source as the compiler calls it, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    /// The compiler's name.
    pub(super) name: String,
    /// The file.
    pub(super) path: PathBuf,
}

/// What stands for the start of a path in an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remapping {
    /// How the names of the sources begin for which it holds; empty for all.
    pub(super) context: String,
    /// How the path begins.
    pub(super) prefix: String,
    /// What it begins with instead.
    pub(super) target: String,
}

impl Remapping {
    /// Reads `context:prefix=target`, of which the context may be missing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (from, target) = text.trim().split_once('=')?;
        let (context, prefix) = from.split_once(':').unwrap_or(("", from));
        let part = str::to_owned;
        (!prefix.is_empty()).then(|| Self {
            context: part(context),
            prefix: part(prefix),
            target: part(target),
        })
    }
}

impl std::fmt::Display for Remapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.context.is_empty() {
            write!(f, "{}:", self.context)?;
        }
        write!(f, "{}={}", self.prefix, self.target)
    }
}

/// The imports of a project.
#[derive(Debug)]
pub(super) struct Imports {
    root: PathBuf,
    remappings: Vec<Remapping>,
    libraries: Vec<PathBuf>,
    read: BTreeMap<PathBuf, Option<String>>,
}

impl Imports {
    /// Imports below `root`.
    pub(super) fn new(root: &Path, remappings: &[Remapping], libraries: &[String]) -> Self {
        let mut folders: Vec<PathBuf> = libraries.iter().map(|folder| root.join(folder)).collect();
        folders.extend(root.ancestors().map(|folder| folder.join("node_modules")));
        Self {
            root: root.to_owned(),
            remappings: remappings.to_vec(),
            libraries: folders,
            read: BTreeMap::new(),
        }
    }

    /// A file of the project under the name that it has when it is compiled.
    pub(super) fn unit(&self, path: &Path) -> Unit {
        let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        Unit { name, path: path.to_owned() }
    }

    /// The text of a file.
    pub(super) fn text(&mut self, path: &Path) -> Option<&str> {
        let read = self.read.entry(path.to_owned()).or_insert_with(|| fs::read_to_string(path).ok());
        read.as_deref()
    }

    /// What a source imports, as far as it is there.
    pub(super) fn of(&mut self, unit: &Unit) -> Vec<Unit> {
        let paths = self.text(&unit.path).map(directives).unwrap_or_default();
        paths.iter().filter_map(|import| self.resolve(unit, import)).collect()
    }

    /// The files among `changed` and `checked` that have to be compiled when `changed` have changed.
    pub(super) fn dependents(
        &mut self,
        changed: &BTreeSet<PathBuf>,
        checked: &BTreeSet<PathBuf>,
    ) -> BTreeSet<PathBuf> {
        let mut importers: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut open: Vec<Unit> = checked.iter().map(|path| self.unit(path)).collect();
        let mut seen: BTreeSet<PathBuf> = checked.clone();
        while let Some(unit) = open.pop() {
            for import in self.of(&unit) {
                importers.entry(import.path.clone()).or_default().insert(unit.path.clone());
                if seen.insert(import.path.clone()) {
                    open.push(import);
                }
            }
        }
        let mut found = BTreeSet::new();
        let mut open: Vec<PathBuf> = changed.iter().cloned().collect();
        while let Some(path) = open.pop() {
            if found.insert(path.clone()) {
                open.extend(importers.get(&path).into_iter().flatten().cloned());
            }
        }
        found.retain(|path| path.is_file() && (checked.contains(path) || changed.contains(path)));
        found
    }

    fn resolve(&self, from: &Unit, import: &str) -> Option<Unit> {
        let name = if import.starts_with("./") || import.starts_with("../") {
            let folder = Path::new(&from.name).parent().unwrap_or(Path::new(""));
            normal(&folder.join(import))
        } else {
            import.to_owned()
        };
        // As the compiler chooses: the closest context, then the longest prefix, and of equal ones the last.
        let fitting = self
            .remappings
            .iter()
            .filter(|it| from.name.starts_with(it.context.as_str()) && name.starts_with(it.prefix.as_str()));
        let name = match fitting.max_by_key(|it| (it.context.len(), it.prefix.len())) {
            Some(it) => format!("{}{}", it.target, &name[it.prefix.len()..]),
            None => name,
        };
        // A relative import leads to a file beside its own one, wherever that is.
        let beside = from.path.parent().filter(|_| import.starts_with('.')).map(|it| it.join(import));
        let in_libraries = self.libraries.iter().map(|folder| folder.join(&name));
        let mut places = std::iter::once(self.root.join(&name)).chain(beside).chain(in_libraries);
        let path = places.find(|path| path.is_file())?;
        Some(Unit { name, path: path.canonicalize().unwrap_or(path) })
    }
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::RootDir => parts.push(String::new()),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

/// The paths of all import directives.
fn directives(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut in_import = false;
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = &rest[rest[2..].find("*/").map_or(rest.len(), |at| at + 4)..];
        } else if letter == '"' || letter == '\'' {
            let end = string_end(rest, letter);
            if in_import {
                found.push(rest[1..end].to_owned());
                in_import = false;
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        } else if letter.is_alphanumeric() || letter == '_' || letter == '$' {
            let word = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
            let length = rest.find(|it| !word(it)).unwrap_or(rest.len());
            in_import |= &rest[..length] == "import";
            rest = &rest[length..];
        } else {
            in_import &= letter != ';';
            rest = &rest[letter.len_utf8()..];
        }
    }
    found
}

/// Where the string at the start of `text` ends.
fn string_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return at,
            _ if letter == quote => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_and_nothing_else() {
        let text = r#"// import "./no.sol";
            import "./a.sol"; /* import "./no.sol"; */
            import {B as C, D} from '../b.sol';
            import * as E from "@lib/e.sol";
            contract X { string s = "import './no.sol'"; string t = "\"import"; }"#;
        assert_eq!(directives(text), ["./a.sol", "../b.sol", "@lib/e.sol"]);
        assert_eq!(directives("import \"cut"), ["cut"]);
    }

    #[test]
    fn what_depends_on_a_change_is_compiled_with_it() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path().canonicalize().expect("it is there");
        for (name, text) in [
            ("src/base/A.sol", "contract A {}"),
            ("src/B.sol", "import './base/A.sol';"),
            ("src/C.sol", "import {B} from \"src/B.sol\";"),
            ("src/D.sol", "import 'lib/x.sol';"),
            ("vendor/x.sol", ""),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
        }
        let remappings: Vec<_> = ["lib/=vendor/"].iter().filter_map(|it| Remapping::parse(it)).collect();
        let mut imports = Imports::new(&root, &remappings, &[]);
        let all = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<BTreeSet<_>>();
        let checked = all(&["src/base/A.sol", "src/B.sol", "src/C.sol", "src/D.sol"]);
        let found = imports.dependents(&all(&["src/base/A.sol"]), &checked);
        assert_eq!(found, all(&["src/base/A.sol", "src/B.sol", "src/C.sol"]));
        assert_eq!(
            imports.dependents(&all(&["vendor/x.sol"]), &checked),
            all(&["src/D.sol", "vendor/x.sol"])
        );
    }

    #[test]
    fn remappings_hold_in_their_context() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path().canonicalize().expect("it is there");
        for (name, text) in [
            ("src/A.sol", "import 'x/x.sol';"),
            ("lib/old/B.sol", "import 'x/x.sol';"),
            ("one/x.sol", ""),
            ("two/x.sol", ""),
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
        }
        let texts = ["x/=one/", "lib/old/:x/=two/", "lib/older:x/=none/"];
        let remappings: Vec<_> = texts.iter().filter_map(|it| Remapping::parse(it)).collect();
        assert_eq!(remappings.iter().map(ToString::to_string).collect::<Vec<_>>(), texts);
        let mut imports = Imports::new(&root, &remappings, &[]);
        let names = |imports: &mut Imports, from: &str| -> Vec<String> {
            let unit = imports.unit(&root.join(from));
            imports.of(&unit).into_iter().map(|it| it.name).collect()
        };
        assert_eq!(names(&mut imports, "src/A.sol"), ["one/x.sol"]);
        assert_eq!(names(&mut imports, "lib/old/B.sol"), ["two/x.sol"]);
        assert_eq!(Remapping::parse("no remapping"), None);
        assert_eq!(Remapping::parse("context:=target"), None);
    }
}
