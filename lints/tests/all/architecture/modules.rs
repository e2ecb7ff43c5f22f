//! The modules of a crate, what each imports, and whether the imports keep to the order in which modules are declared.
//!
//! In: the file that a crate starts at. Out: the imports that go up. A module may import what stands above it in the list
//! that declares both, whatever encloses it, and what it encloses itself; names that are only passed on count as those of
//! the module that defines them. In a list that is marked `// A list, no order.` only circles are wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use petgraph::{Graph, algo::tarjan_scc};
use syn::{
    Attribute, Item, UseTree,
    visit::{self, Visit},
};

/// The marker of a list whose order says nothing.
const UNORDERED: &str = "// A list, no order.";

/// The way to a module from the root of its crate.
type Way = Vec<String>;

/// A module.
#[derive(Debug, Default)]
struct Module {
    /// The modules that it declares, in order.
    children: Vec<String>,
    /// Whether that order says nothing.
    unordered: bool,
    /// Names that it passes on, and where they are from.
    passed_on: BTreeMap<String, Way>,
    /// All paths that start at the crate, as they are written.
    imports: BTreeSet<Way>,
}

/// The modules of a crate.
#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<Way, Module>);

impl Tree {
    /// Reads the crate that starts at a file.
    pub(crate) fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        let folder = root.parent().expect("a file lies in a folder").to_owned();
        tree.read_file(root, &folder, &Vec::new());
        tree
    }

    /// The number of modules.
    pub(crate) fn modules(&self) -> usize {
        self.0.len()
    }

    /// The number of imports.
    pub(crate) fn imports(&self) -> usize {
        self.0.values().map(|module| module.imports.len()).sum()
    }

    fn read_file(&mut self, file: &Path, folder: &Path, way: &Way) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.read_items(&syntax.items, folder, way);
        self.0.get_mut(way).expect("it was just read").unordered = text.contains(UNORDERED);
    }

    fn read_items(&mut self, items: &[Item], folder: &Path, way: &Way) {
        let mut module = Module::default();
        let declared = items.iter().filter_map(|item| match item {
            Item::Mod(it) => Some(it.ident.to_string()),
            _ => None,
        });
        let mut paths = Paths { way, children: declared.collect(), found: BTreeSet::new() };
        for item in items {
            match item {
                Item::Mod(it) if !is_test(&it.attrs) => {
                    let name = it.ident.to_string();
                    let inner: Way = way.iter().chain([&name]).cloned().collect();
                    let below = folder.join(&name);
                    match &it.content {
                        Some((_, items)) => self.read_items(items, &below, &inner),
                        None => self.read_file(&file_of(folder, &name), &below, &inner),
                    }
                    module.children.push(name);
                }
                Item::Use(it) => {
                    let mut leaves = Vec::new();
                    flatten(&it.tree, Vec::new(), &mut leaves);
                    for (name, path) in leaves {
                        let Some(path) = paths.absolute(&path) else { continue };
                        if !matches!(it.vis, syn::Visibility::Inherited) {
                            module.passed_on.insert(name, path.clone());
                        }
                        paths.found.insert(path);
                    }
                }
                Item::Mod(_) => {}
                other => paths.visit_item(other),
            }
        }
        module.imports = paths.found;
        self.0.insert(way.clone(), module);
    }

    /// The module that defines what a path leads to.
    fn definer(&self, path: &Way) -> Way {
        let mut at = Way::new();
        let mut path: Way = path.clone();
        for _ in 0..64 {
            let Some(name) = path.first().cloned() else { break };
            let module = &self.0[&at];
            if module.children.contains(&name) {
                at.push(name);
                path.remove(0);
            } else if let Some(from) = module.passed_on.get(&name) {
                path = from.iter().chain(&path[1..]).cloned().collect();
                at.clear();
            } else {
                break;
            }
        }
        at
    }

    /// The imports that go up, in words.
    pub(crate) fn upward(&self) -> Vec<String> {
        let mut wrong = BTreeSet::new();
        // In lists without an order: which of their modules imports which.
        let mut lists: BTreeMap<&[String], BTreeSet<(u32, u32)>> = BTreeMap::new();
        for (way, module) in &self.0 {
            for import in &module.imports {
                let target = self.definer(import);
                let common = way.iter().zip(&target).take_while(|(own, other)| own == other).count();
                let (Some(own), Some(other)) = (way.get(common), target.get(common)) else { continue };
                let list = &way[..common];
                let parent = &self.0[list];
                let place = |name: &String| parent.children.iter().position(|child| child == name);
                let (Some(own_place), Some(other_place)) = (place(own), place(other)) else {
                    panic!("`{own}` and `{other}` are declared in one list");
                };
                if parent.unordered {
                    lists.entry(list).or_default().insert((own_place as u32, other_place as u32));
                } else if other_place > own_place {
                    wrong.insert(format!(
                        "`{}` imports `{}`, which stands below it",
                        way.join("::"),
                        target.join("::")
                    ));
                }
            }
        }
        for (list, imports) in lists {
            let graph = Graph::<(), ()>::from_edges(imports);
            for circle in tarjan_scc(&graph).into_iter().filter(|part| part.len() > 1) {
                let mut names: Vec<_> =
                    circle.iter().map(|it| format!("`{}`", self.0[list].children[it.index()])).collect();
                names.sort();
                wrong.insert(format!("{} import each other in a circle", names.join(", ")));
            }
        }
        wrong.into_iter().collect()
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let flat = folder.join(format!("{name}.rs"));
    if flat.exists() { flat } else { folder.join(name).join("mod.rs") }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().is_ident("cfg") && it.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
    })
}

/// The names that an import brings in, each with its whole path.
fn flatten(tree: &UseTree, mut before: Way, leaves: &mut Vec<(String, Way)>) {
    match tree {
        UseTree::Path(it) => {
            before.push(it.ident.to_string());
            flatten(&it.tree, before, leaves);
        }
        UseTree::Name(it) => {
            let name = it.ident.to_string();
            if name != "self" {
                before.push(name.clone());
            }
            leaves.push((before.last().cloned().unwrap_or(name), before));
        }
        UseTree::Rename(it) => {
            if it.ident != "self" {
                before.push(it.ident.to_string());
            }
            leaves.push((it.rename.to_string(), before));
        }
        UseTree::Glob(_) => leaves.push(("*".to_owned(), before)),
        UseTree::Group(it) => it.items.iter().for_each(|tree| flatten(tree, before.clone(), leaves)),
    }
}

/// Collects paths that start at the crate.
struct Paths<'w> {
    way: &'w Way,
    /// The modules that the file declares, by whose names paths may start as well.
    children: BTreeSet<String>,
    found: BTreeSet<Way>,
}

impl Paths<'_> {
    /// A path from the root of the crate; none if it starts elsewhere.
    fn absolute(&self, path: &[String]) -> Option<Way> {
        let mut start = match path.first()?.as_str() {
            "crate" => Way::new(),
            "self" | "super" => self.way.clone(),
            name if self.children.contains(name) => self.way.clone(),
            _ => return None,
        };
        let ups = path.iter().take_while(|name| *name == "super").count();
        start.truncate(start.len().checked_sub(ups)?);
        start.extend(path.iter().filter(|it| !["crate", "self", "super"].contains(&it.as_str())).cloned());
        Some(start)
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Way = path.segments.iter().map(|it| it.ident.to_string()).collect();
        if names.len() > 1 {
            let found = self.absolute(&names);
            self.found.extend(found);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // What a macro is given need not be Rust; paths are told by their look.
        let text = call.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':') {
            let names: Way = word.split("::").map(str::to_owned).collect();
            if names.len() > 1 {
                let found = self.absolute(&names);
                self.found.extend(found);
            }
        }
        visit::visit_macro(self, call);
    }
}
