//! The rewrites that an editor offers, on the fixtures: each changes the text as it says.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use deconflict_lints::{
    Compiler, CompilerInfo, Diagnostic, Level, Levels, LoadOptions, Project, Rewrite, Settings,
    check_contract, load, merge, rewrites,
};

/// The text after a rewrite.
fn applied(text: &str, rewrite: &Rewrite) -> String {
    let mut text = text.to_owned();
    for (span, new) in rewrite.edits.iter().rev() {
        text.replace_range(span.start as usize..span.end as usize, new);
    }
    text
}

/// The lines that two texts do not share, in the middle of what they do.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    // The longest common subsequence, row by row from the end.
    let mut longest = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            longest[a][b] = if old[a] == new[b] {
                longest[a + 1][b + 1] + 1
            } else {
                longest[a + 1][b].max(longest[a][b + 1])
            };
        }
    }
    let (mut a, mut b, mut text) = (0, 0, String::new());
    while a < old.len() || b < new.len() {
        if a < old.len() && b < new.len() && old[a] == new[b] {
            (a, b) = (a + 1, b + 1);
        } else if b == new.len() || (a < old.len() && longest[a + 1][b] >= longest[a][b + 1]) {
            text.extend(["  -", old[a], "\n"]);
            a += 1;
        } else {
            text.extend(["  +", new[b], "\n"]);
            b += 1;
        }
    }
    text
}

fn compiler() -> CompilerInfo {
    CompilerInfo {
        compiler: Compiler::Solc,
        version: "0.8.30".to_owned(),
        via_ir: false,
        optimized: Some(true),
        evm_version: Some("prague".to_owned()),
    }
}

fn findings(project: &Project) -> Vec<Diagnostic> {
    let all: Vec<_> = deconflict_lints::all_rules().map(|rule| (rule.name, Level::Warn)).collect();
    let mut levels = Levels::default();
    for (rule, level) in all {
        levels.set(rule, level).expect("a rule");
    }
    let checked: Vec<_> =
        project.contracts.iter().map(|it| check_contract(project, it, &Settings::default())).collect();
    merge(project, checked, &levels).diagnostics
}

#[test]
fn every_rewrite_of_every_fixture() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/artifacts");
    let mut files: Vec<_> = fs::read_dir(&fixtures)
        .expect("fixtures")
        .flat_map(|folder| fs::read_dir(folder.expect("an entry").path()).into_iter().flatten())
        .map(|file| file.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    let (mut shown, mut rules) = (String::new(), BTreeSet::new());
    for path in files {
        let mut project = load(&path, LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        for contract in &mut project.contracts {
            // These artifacts do not say what they were compiled with.
            contract.compiler = Some(compiler());
        }
        for finding in findings(&project) {
            let Some(label) = &finding.primary else { continue };
            let source = project.source(label.span.source);
            for rewrite in rewrites(&project, &finding) {
                let mut ends = rewrite.edits.iter().map(|(span, _)| (span.start, span.end));
                assert!(
                    rewrite.edits.iter().all(|(span, _)| span.source == source.id),
                    "edits are of one file"
                );
                let first = ends.next().expect("a rewrite has edits");
                ends.fold(first, |before, next| {
                    assert!(before.1 <= next.0, "edits overlap: {rewrite:?}");
                    next
                });
                let line = source.position(label.span.start).line;
                let change = difference(&source.text, &applied(&source.text, &rewrite));
                let _ = write!(shown, "{}:{line} {}: {}\n{change}", source.path, finding.rule, rewrite.title);
                rules.insert(finding.rule);
            }
        }
    }
    insta::assert_snapshot!(shown);
    // What a fixture shows is tested here; the guard of a package and useless comments are below.
    assert_eq!(rules.len(), 15, "{rules:?}");
}

#[test]
fn what_would_change_more_than_the_finding_is_not_offered() {
    for (rule, file, why) in [
        ("storage-reentrancy-guard", "dapps/Pair", "the open state is asked for: zero would be closed"),
        ("temp-in-storage", "temp-in-storage/RestoredRate", "what is put back is not zero"),
        ("global-accumulator", "global-accumulator/Staking", "it goes down as well"),
        ("global-counter", "global-counter/PausableCounter", "it goes down as well"),
        ("global-accumulator", "global-accumulator/PackedVolume", "neighbours in its slot would move"),
        ("array-push", "array-push/Raffle", "the list is read"),
        ("array-push", "array-push/StructPush", "the appended element is written later"),
        ("false-sharing", "false-sharing/LastSeen", "members of a structure"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/artifacts").join(file);
        let mut project = load(&path.with_extension("json"), LoadOptions::default()).expect("a fixture");
        for contract in &mut project.contracts {
            contract.compiler = Some(compiler());
        }
        let found: Vec<_> = findings(&project).into_iter().filter(|it| it.rule == rule).collect();
        assert!(!found.is_empty(), "{file} shows {rule}");
        for finding in found {
            assert_eq!(rewrites(&project, &finding), [], "{file}: {why}");
        }
    }
}

#[test]
fn older_chains_and_compilers_have_no_transient_storage() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/artifacts/temp-in-storage/FlashLender.json");
    for (version, chain, offered) in
        [("0.8.28", None, 1), ("0.8.27", None, 0), ("0.8.30", Some("paris"), 0), ("0.8.30", Some("osaka"), 1)]
    {
        let mut project = load(&path, LoadOptions::default()).expect("a fixture");
        for contract in &mut project.contracts {
            let evm_version = chain.map(str::to_owned);
            contract.compiler = Some(CompilerInfo { version: version.to_owned(), evm_version, ..compiler() });
        }
        let finding = findings(&project).into_iter().find(|it| it.rule == "temp-in-storage");
        let found = rewrites(&project, &finding.expect("the fixture shows it"));
        assert_eq!(found.len(), offered, "{version} for {chain:?}");
    }
}

#[test]
fn comments_that_suppress_nothing_go_with_their_line() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/artifacts/last-touched/Pokes.json");
    let mut project = load(&path, LoadOptions::default()).expect("a fixture");
    let finding = findings(&project).swap_remove(0);
    let mut label = finding.primary.clone().expect("it has a line");
    for (text, after) in [
        ("a;\n  // deconflict: allow(x)\nb;\n", "a;\nb;\n"),
        ("a = \"//\"; // deconflict: allow(x) reason=\"y\"\nb;\n", "a = \"//\";\nb;\n"),
        ("/// @custom:deconflict allow x\nb;\n", "b;\n"),
        ("// deconflict: allow(x, y)\n", "// deconflict: allow(y)\n"),
        ("// deconflict: allow(y, x)\n", "// deconflict: allow(y)\n"),
    ] {
        let source = &mut project.sources[label.span.source.0 as usize];
        source.text = text.into();
        let start = text.find('x').expect("the rule that suppresses nothing");
        let end = start + 1;
        (label.span.start, label.span.end) = (start as u32, end as u32);
        let finding =
            Diagnostic { rule: "unused-suppression", primary: Some(label.clone()), ..finding.clone() };
        let found = rewrites(&project, &finding);
        assert_eq!(found.len(), 1);
        assert_eq!(applied(text, &found[0]), after);
    }
}

#[test]
fn guards_of_packages_become_transient() {
    let project = |import: &str| {
        let text = format!(
            "import {{ReentrancyGuard}} from \"{import}\";\n/// ReentrancyGuard stays in comments.\ncontract C is ReentrancyGuard {{}}\n"
        );
        let metadata =
            r#"{"compiler":{"version":"0.8.30+commit"},"language":"Solidity","settings":{},"sources":{}}"#;
        let output = serde_json::json!({
            "input": { "language": "Solidity", "sources": { "C.sol": { "content": text } }, "settings": {} },
            "solcVersion": "0.8.30",
            "output": {
                "sources": { "C.sol": { "id": 0 } },
                "contracts": { "C.sol": { "C": {
                    "abi": [],
                    "metadata": metadata,
                    "evm": { "deployedBytecode": { "object": "600160005500", "sourceMap": "0:1:0:-:0" } },
                } } },
            },
        });
        deconflict_lints::load_bytes("test", output.to_string().as_bytes()).expect("a build-info")
    };
    let finding = |project: &deconflict_lints::Project| {
        let source = project.sources[0].id;
        let span = deconflict_lints::SourceSpan { source, start: 0, end: 6 };
        deconflict_lints::Diagnostic {
            rule: "storage-reentrancy-guard",
            contract: "C".to_owned(),
            primary: Some(deconflict_lints::Label::new(span, String::new())),
            related: Vec::new(),
            ..some_finding()
        }
    };
    let own = project("@openzeppelin/contracts/utils/ReentrancyGuard.sol");
    let found = rewrites(&own, &finding(&own));
    assert_eq!(found.len(), 1);
    let texts: Vec<_> = found[0].edits.iter().map(|(span, new)| (own.text(*span), new.as_str())).collect();
    assert_eq!(texts, [("ReentrancyGuard", "ReentrancyGuardTransient"); 3]);
    let other = project("./ReentrancyGuard.sol");
    assert_eq!(rewrites(&other, &finding(&other)), []);
}

/// Some finding, to be changed.
fn some_finding() -> deconflict_lints::Diagnostic {
    let fixtures =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/artifacts/false-sharing/Quotes.json");
    let project = load(&fixtures, LoadOptions::default()).expect("a fixture");
    let checked: Vec<_> =
        project.contracts.iter().map(|it| check_contract(&project, it, &Settings::default())).collect();
    merge(&project, checked, &Levels::default()).diagnostics.swap_remove(0)
}
