//! The arrows between crates and modules run one way only: what `docs/architecture.md` promises, checked.

mod modules;
mod rule_names;
mod standards;
mod terms;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// Names of all packages that the crate in `folder` may link on some platform, by the lock file. Development
/// dependencies of the workspace's own crates are in the lock file too, so for those the manifests speak.
fn linked(folder: &str) -> BTreeSet<String> {
    let read = |path: PathBuf| -> toml::Table {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.parse().expect("cargo's files are TOML")
    };
    let lock = read(workspace().join("Cargo.lock"));
    let packages = lock["package"].as_array().expect("a list of packages");
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name").to_owned();
        let dependencies = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        let names = dependencies.filter_map(|it| it.as_str()?.split(' ').next()).map(str::to_owned);
        graph.entry(name).or_default().extend(names);
    }
    for own in ["analyzer", "lints"] {
        let manifest = read(workspace().join(own).join("Cargo.toml"));
        let name = manifest["package"]["name"].as_str().expect("a name").to_owned();
        let dependencies = manifest["dependencies"].as_table().expect("a table").keys().cloned().collect();
        graph.insert(name, dependencies);
    }
    let mut found = BTreeSet::new();
    let mut open = vec![format!("deconflict-{folder}")];
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            open.extend(graph[&name].iter().cloned());
        }
    }
    found
}

#[test]
fn nothing_below_the_executor_links_an_execution_engine() {
    let engines =
        ["revm", "revm-handler", "revm-context", "revm-inspector", "revm-precompile", "revm-database"];
    for package in ["analyzer", "lints"] {
        let linked = linked(package);
        assert!(linked.contains("revm-bytecode"), "the walk over the dependencies of {package} works");
        for engine in engines.iter().chain(&["deconflict-executor", "deconflict"]) {
            assert!(!linked.contains(*engine), "{package} links {engine}");
        }
    }
}

/// All Rust files at or below a place, with their text.
fn files(place: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![place.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a readable folder");
            open.extend(entries.map(|entry| entry.expect("a readable entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            found.push((path, text));
        }
    }
    found.sort();
    found
}

/// All Rust files below a folder, with their text up to the tests at their foot, without comments.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let code = |text: &str| {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.collect::<Vec<_>>().join("\n")
    };
    files(folder).into_iter().map(|(path, text)| (path, code(&text))).collect()
}

#[test]
fn the_analyzer_reaches_nothing_outside() {
    let forbidden = ["fs", "net", "time", "thread", "env", "process", "io", "os"];
    let mut checked = 0;
    for (path, code) in sources(&workspace().join("analyzer/src")) {
        for module in imported(&code, "std::") {
            assert!(!forbidden.contains(&module.as_str()), "{} uses std::{module}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 5, "imports are read");
}

#[test]
fn lints_start_no_threads() {
    for (path, code) in sources(&workspace().join("lints/src")) {
        assert!(
            !code.contains("std::thread") && !code.contains("rayon"),
            "{} starts threads",
            path.display()
        );
    }
}

/// The names that follow a root such as `crate::` in a file: `crate::a::B` and each branch of `crate::{a::B, c}`.
fn imported(code: &str, root: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
    };
    let mut found = BTreeSet::new();
    for rest in code.split(root).skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 0_u32;
        let mut branch = String::new();
        for letter in list.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.insert(word(branch.trim()));
                    branch.clear();
                    continue;
                }
                _ => {}
            }
            branch.push(letter);
        }
        found.insert(word(branch.trim()));
    }
    found.remove("");
    found
}

/// The crates, and the files that they start at.
const CRATES: [&str; 5] = [
    "analyzer/src/lib.rs",
    "lints/src/lib.rs",
    "executor/src/lib.rs",
    "executor/alloy-evm/src/lib.rs",
    "cli/src/main.rs",
];

#[test]
fn modules_import_only_what_stands_above_them() {
    let mut wrong = Vec::new();
    for root in CRATES {
        let tree = modules::Tree::read(&workspace().join(root));
        assert!(tree.modules() > 3 && tree.imports() > 2, "the modules of {root} and their imports are read");
        wrong.extend(tree.upward().into_iter().map(|it| format!("{root}: {it}")));
    }
    assert!(wrong.is_empty(), "{} imports go up:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_import_that_goes_up_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    write("lib.rs", "mod first;\nmod second;\npub use second::Second;\n");
    write("first.rs", "pub struct First;\n");
    write("second.rs", "use crate::first::First;\npub struct Second(First);\n");
    let upward = || modules::Tree::read(&folder.path().join("lib.rs")).upward();
    assert_eq!(upward(), Vec::<String>::new());
    // By the module, by a name that the root has of it, and within an expression.
    for text in ["use crate::second::Second;", "use crate::{Second};", "fn f() -> u8 { super::second::f() }"]
    {
        write("first.rs", &format!("pub struct First;\n{text}\n"));
        assert_eq!(upward(), ["`first` imports `second`, which stands below it"], "{text}");
    }
    // In a list the order says nothing, but nothing may come back to where it started.
    write("lib.rs", "// A list, no order.\nmod first;\nmod second;\n");
    assert_eq!(upward(), ["`first`, `second` import each other in a circle"]);
    write("second.rs", "pub struct Second;\n");
    assert_eq!(upward(), Vec::<String>::new());
}

/// The sources of each crate.
const SOURCES: [&str; 5] = ["analyzer/src", "lints/src", "executor/src", "executor/alloy-evm/src", "cli/src"];

#[test]
fn names_that_the_glossary_retires_are_gone() {
    let glossary = fs::read_to_string(workspace().join("docs/glossary.md")).expect("a readable file");
    let retired = terms::Retired::read(&glossary, &workspace());
    assert!(retired.len() > 50, "{} rows were understood", retired.len());
    let mut found = Vec::new();
    for folder in SOURCES {
        let names = terms::Names::read(&workspace().join(folder));
        assert!(names.count() > 20, "{folder} has {} names", names.count());
        found.extend(names.retired(&retired));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn retired_names_are_noticed() {
    let glossary = fs::read_to_string(workspace().join("docs/glossary.md")).expect("a readable file");
    let retired = terms::Retired::read(&glossary, &workspace());
    let mut names = terms::Names::default();
    let file = workspace().join("executor/src/run/commit.rs");
    let text = "struct Board { is_guess: bool } fn length_of_rows() {} #[cfg(test)] mod tests { fn guess() {} } \
                #[derive(Serialize)] struct Written { stale: u64 }";
    names.add(&file, text);
    assert_eq!(names.retired(&retired).len(), 3, "{:#?}", names.retired(&retired));
}

#[test]
fn no_two_types_that_other_files_see_have_one_name() {
    let of = |folder: &&str| terms::Names::read(&workspace().join(folder)).ambiguous();
    let ambiguous: Vec<String> = SOURCES.iter().flat_map(of).collect();
    assert!(ambiguous.is_empty(), "{ambiguous:#?}");
}

/// Where contracts are judged: by what standards fix, and never by a number that stands there for it.
const JUDGES: [&str; 8] = [
    "lints/src/rules",
    "lints/src/view",
    "lints/src/view.rs",
    "lints/src/check",
    "lints/src/check.rs",
    "lints/src/finding.rs",
    "lints/src/scenario.rs",
    "lints/src/rewrite",
];

#[test]
fn what_standards_fix_has_one_spelling() {
    let mut wrong = Vec::new();
    let mut read = 0;
    for place in JUDGES.map(|it| workspace().join(it)) {
        let files = files(&place);
        assert!(!files.is_empty(), "{} has files", place.display());
        for (path, code) in files {
            read += 1;
            let found =
                standards::numbers(&code).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            wrong.extend(found.into_iter().map(|it| format!("{}: {it}", path.display())));
        }
    }
    assert!(read > 80, "{read} files were read");
    assert!(wrong.is_empty(), "`deconflict_analyzer::standards` is the place for {wrong:#?}");
}

#[test]
fn numbers_of_standards_are_noticed() {
    let found = |code: &str| standards::numbers(code).expect("code");
    for code in [
        "const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];",
        "fn f(it: [u8; 4]) -> bool { matches!(it, [0xa9, 5, 0x9c, 0xbb]) }",
        "fn f(it: [u8; 4]) -> bool { match it { [0xa9, 5, 0x9c, 0xbb] => true, _ => false } }",
        "fn f(it: &[u8]) -> bool { it == b\"\\xa9\\x05\\x9c\\xbb\" }",
        "fn f(it: u32) -> bool { it == 0xa905_9cbb }",
        "const TRANSFER: &[u8] = &hex!(\"a9059cbb\");",
        "fn f(it: &str) -> bool { it == \"0xa9059cbb\" }",
        "const SLOT: U256 = uint!(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc_U256);",
        "fn f(bits: u32) -> bool { bits == 160 }",
        "fn f(bits: u32) -> bool { assert!(bits < 160); true }",
    ] {
        assert_eq!(found(code).len(), 1, "{code}: {:?}", found(code));
    }
    let harmless = "const A: [u32; 3] = [1, 2, 3]; const B: u32 = 64; fn f() -> &'static str { \"0x0 and 160\" } \
                    fn g(it: &str) -> String { format!(\"uint160({it}) {}\", \"deadlock\") }";
    assert_eq!(found(harmless), Vec::<String>::new());
}

#[test]
fn rules_are_referred_to_and_not_spelt_out() {
    let names: Vec<&str> = deconflict_lints::all_rules().flat_map(|rule| [rule.name, rule.code]).collect();
    assert!(names.len() > 100, "{} names are looked for", names.len());
    let mut wrong = Vec::new();
    for (path, code) in SOURCES.iter().flat_map(|folder| files(&workspace().join(folder))) {
        // A file of tests alone stands beside what it tests.
        if path.ends_with("tests.rs") {
            continue;
        }
        let found = rule_names::spelt_out(&code, &names);
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        wrong.extend(found.into_iter().map(|it| format!("{}: {it}", path.display())));
    }
    assert!(wrong.is_empty(), "the declaration of a rule has its name, not {wrong:#?}");
}

#[test]
fn a_rule_that_is_spelt_out_is_noticed() {
    let found = |code: &str| rule_names::spelt_out(code, &["some-rule", "X1"]).expect("code");
    for code in [
        "fn f(it: &str) -> bool { it == \"some-rule\" }",
        "fn f(it: &str) -> bool { match it { \"X1\" => true, _ => false } }",
        "fn f(it: &str) -> bool { matches!(it, \"some-rule\" | \"other\") }",
    ] {
        assert_eq!(found(code).len(), 1, "{code}");
    }
    let declaration =
        "const RULE: Rule = Rule { code: \"X1\", name: \"some-rule\" }; const A: &str = \"not some-rule\";";
    assert_eq!(found(declaration), Vec::<String>::new());
}
