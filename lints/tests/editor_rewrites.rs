//! The rewrites that an editor offers, on the fixtures: each changes the text as it says.

use std::path::Path;

use deconflict_lints::{Levels, LoadOptions, Rewrite, Settings, check_contract, load, merge, rewrites};

/// The rewrites offered for the findings of a rule in a fixture, and the text after the first.
fn offered(rule: &str, file: &str) -> (Vec<Rewrite>, String) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace").join("fixtures");
    let path = fixtures.join("artifacts").join(rule).join(file).with_extension("json");
    let project = load(&path, LoadOptions { no_build: true }).unwrap_or_else(|error| panic!("{error}"));
    let checked: Vec<_> =
        project.contracts.iter().map(|it| check_contract(&project, it, &Settings::default())).collect();
    let report = merge(&project, checked, &Levels::default());
    let finding = report.diagnostics.iter().find(|it| it.rule == rule).expect("the fixture shows its rule");
    let found = rewrites(&project, finding);
    let source = finding.primary.as_ref().expect("it has a line").span.source;
    let mut text = project.source(source).text.to_string();
    for (span, new) in found.iter().take(1).flat_map(|it| it.edits.iter().rev()) {
        text.replace_range(span.start as usize..span.end as usize, new);
    }
    (found, text)
}

#[test]
fn packed_variables_are_set_apart() {
    let (found, text) = offered("false-sharing", "Quotes");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(text.contains("    uint256 private _slotBefore_"), "{text}");
}

#[test]
fn creations_get_a_salt() {
    let file = std::fs::read_dir(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/artifacts/create-nonce-address"),
    );
    let names = file.expect("a folder").filter_map(Result::ok).map(|it| it.path());
    let mut names: Vec<_> = names.filter_map(|it| Some(it.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    let name = names.first().expect("a fixture");
    let (found, text) = offered("create-nonce-address", name);
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    assert!(text.contains("{salt: bytes32(uint256(uint160(msg.sender)))}("), "{text}");
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
            primary: Some(deconflict_lints::Label { span, text: String::new() }),
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
    let project = load(&fixtures, LoadOptions { no_build: true }).expect("a fixture");
    let checked: Vec<_> =
        project.contracts.iter().map(|it| check_contract(&project, it, &Settings::default())).collect();
    merge(&project, checked, &Levels::default()).diagnostics.swap_remove(0)
}
