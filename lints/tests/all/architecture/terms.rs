//! The names that a crate gives to its types, functions, fields and modules, held against `docs/glossary.md`.
//!
//! In: the table of retired names in the glossary, and the sources. Out: names that are retired, and names that two types
//! of one crate have although other files can see both. Names of tests are sentences and are left out, and so are the
//! fields of structs that are written or read by serde: they are the names of outputs.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Field, Ident, ImplItemFn, Item, ItemFn, Meta, TraitItemFn, Variant, Visibility,
    visit::{self, Visit},
};

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Type,
    Function,
    Field,
    Module,
    Variant,
    Constant,
}

/// A name that a file gives.
#[derive(Debug)]
struct Name {
    kind: Kind,
    text: String,
    file: PathBuf,
    /// Whether it is a type that other files can see.
    shared: bool,
}

/// A row of the glossary's table of retired names.
#[derive(Debug)]
pub(crate) struct Retired {
    text: String,
    folder: PathBuf,
}

/// All names of a crate.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Name>);

impl Names {
    /// Reads the sources below a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut names = Self::default();
        let mut open = vec![folder.to_owned()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(
                    fs::read_dir(&path).expect("a readable folder").map(|it| it.expect("an entry").path()),
                );
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                names.add(&path, &text);
            }
        }
        names
    }

    /// Adds the names of one file.
    pub(crate) fn add(&mut self, file: &Path, text: &str) {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Collector { names: &mut self.0, file }.visit_file(&parsed);
    }

    /// The number of names.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The names that are retired where they stand.
    pub(crate) fn retired(&self, retired: &[Retired]) -> Vec<String> {
        let mut found = Vec::new();
        for name in &self.0 {
            for row in retired.iter().filter(|row| row.covers(&name.file) && row.is(name)) {
                found.push(format!(
                    "{}: `{}` ({:?}): {}",
                    name.file.display(),
                    name.text,
                    name.kind,
                    row.text
                ));
            }
        }
        found.sort();
        found
    }

    /// Names that several types have which other files can see.
    pub(crate) fn ambiguous(&self) -> Vec<String> {
        let mut files: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
        for name in self.0.iter().filter(|it| it.kind == Kind::Type && it.shared) {
            files.entry(&name.text).or_default().push(&name.file);
        }
        let several = files.into_iter().filter(|(_, files)| files.len() > 1);
        several.map(|(name, files)| format!("`{name}`: {files:?}")).collect()
    }
}

impl Retired {
    /// The rows of the glossary.
    pub(crate) fn read(glossary: &str, workspace: &Path) -> Vec<Self> {
        let table =
            glossary.split("## Names that are retired").nth(1).expect("the glossary has that chapter");
        let rows = table.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let text = cells.next()?.trim_end_matches('`').to_owned();
            Some(Self { text, folder: workspace.join(cells.next()?) })
        });
        rows.collect()
    }

    /// Whether a file is in the folder, or is the file of the module that has the name of the folder.
    fn covers(&self, file: &Path) -> bool {
        assert!(self.folder.exists(), "{} in the glossary does not exist", self.folder.display());
        file.starts_with(&self.folder) || file.with_extension("") == self.folder
    }

    fn is(&self, name: &Name) -> bool {
        if let Some(module) = self.text.strip_suffix(".rs") {
            return name.kind == Kind::Module && name.text == module;
        }
        if self.text.starts_with(char::is_uppercase) || self.text.contains('_') {
            return name.text == self.text;
        }
        words(&name.text).contains(&self.text)
    }
}

/// The words that a name is made of.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = letter.is_lowercase();
        if letter != '_' {
            words.last_mut().expect("there is one").extend(letter.to_lowercase());
        }
    }
    words
}

struct Collector<'a> {
    names: &'a mut Vec<Name>,
    file: &'a Path,
}

impl Collector<'_> {
    fn note(&mut self, kind: Kind, name: &Ident, shared: bool) {
        let file = self.file.to_owned();
        let text = name.to_string().trim_start_matches("r#").to_owned();
        self.names.push(Name { kind, text, file, shared });
    }
}

pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().segments.last().is_some_and(|last| last.ident == "test")
            || matches!(&it.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

/// Whether serde writes or reads a struct, so that its fields are the names of an output or an input.
fn is_written(attributes: &[Attribute]) -> bool {
    let derives = attributes.iter().filter_map(|it| match &it.meta {
        Meta::List(list) if list.path.is_ident("derive") => Some(list.tokens.to_string()),
        _ => None,
    });
    derives.into_iter().any(|it| it.contains("Serialize") || it.contains("Deserialize"))
}

fn is_shared(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Struct(it) => {
                self.note(Kind::Type, &it.ident, is_shared(&it.vis));
                if is_written(&it.attrs) {
                    return;
                }
            }
            Item::Enum(it) => self.note(Kind::Type, &it.ident, is_shared(&it.vis)),
            Item::Trait(it) => self.note(Kind::Type, &it.ident, is_shared(&it.vis)),
            Item::Type(it) => self.note(Kind::Type, &it.ident, is_shared(&it.vis)),
            Item::Const(it) => self.note(Kind::Constant, &it.ident, false),
            Item::Mod(it) if is_test(&it.attrs) => return,
            Item::Mod(it) => self.note(Kind::Module, &it.ident, false),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_test(&function.attrs) {
            self.note(Kind::Function, &function.sig.ident, false);
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.note(Kind::Function, &function.sig.ident, false);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        self.note(Kind::Function, &function.sig.ident, false);
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if let Some(name) = &field.ident {
            self.note(Kind::Field, name, false);
        }
        visit::visit_field(self, field);
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        self.note(Kind::Variant, &variant.ident, false);
        visit::visit_variant(self, variant);
    }
}
