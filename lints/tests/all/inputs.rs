//! Real build outputs of every kind of input become projects (the data and its versions: `tests/data/README.md`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::U256;
use deconflict_lints::{
    Contract, ContractKind, Error, LoadOptions, Location, Notice, Origin, Project, Step, StorageLayout,
    VariablePlace, load, load_bytes,
};

const NO_BUILD: LoadOptions<'_> = LoadOptions { builds: None, fresh: false };

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(name: &str) -> Project {
    load(&data(name), NO_BUILD).expect("the data is readable")
}

fn contract<'a>(project: &'a Project, name: &str) -> &'a Contract {
    project.contracts.iter().find(|it| it.name == name).expect("the contract is there")
}

/// The distinct texts that a contract's instructions come from.
fn texts<'a>(project: &'a Project, contract: &Contract) -> Vec<&'a str> {
    let map = contract.source_map.as_ref().expect("a source map");
    let spans = map.instructions.iter().filter_map(|mapped| match mapped.location {
        Location::Exact(span) => Some(span),
        _ => None,
    });
    let mut texts: Vec<&str> = spans.map(|span| project.text(span)).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// Every variable as `slot:offset label: type`, with its name found again from its place.
fn lines_of(layout: &StorageLayout) -> Vec<String> {
    let line = |it: &deconflict_lints::StorageVariable| {
        let described = layout.type_of(it.type_id);
        format!("{}:{} {}: {} ({})", it.slot, it.offset, it.label, described.label, described.bytes)
    };
    layout.storage.iter().map(line).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a writable folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn every_project_kind_gives_the_same_contracts() {
    for (name, source) in [
        ("foundry-full", "src/Bank.sol"),
        ("foundry-plain", "src/Bank.sol"),
        ("hardhat-2", "contracts/Bank.sol"),
        ("hardhat-3", "contracts/Bank.sol"),
    ] {
        let project = read(name);
        let bank = contract(&project, "Bank");
        assert_eq!(bank.source_path, source, "{name}");
        assert_eq!((bank.kind, bank.origin), (ContractKind::Contract, Origin::Project), "{name}");
        assert_eq!(
            bank.method_identifiers.get("deposit(uint256)"),
            Some(&[0xb6, 0xb5, 0x5f, 0x25]),
            "{name}"
        );
        assert_eq!(bank.immutables.len(), 1, "{name}");
        assert!(bank.abi.as_ref().is_some_and(|abi| abi.functions().count() == 1), "{name}");
        assert_eq!(bank.compiler.as_ref().map(ToString::to_string).as_deref(), Some("solc 0.8.30"), "{name}");
        assert_eq!(contract(&project, "Sums").kind, ContractKind::Library, "{name}");
        let unlinked = &contract(&project, "UsesLibrary").unlinked;
        assert_eq!(unlinked[0].name, format!("{source}:Sums"), "{name}");
        let texts = texts(&project, bank);
        for expected in ["total += amount", "low += 1", "_bump(2)", "locked += by"] {
            assert!(texts.contains(&expected), "{name}: {expected} is not among {texts:?}");
        }
        let passed_over =
            project.notices.iter().filter(|it| matches!(it, Notice::NotDeployable { .. })).count();
        assert_eq!(passed_over, 2, "{name}: {:?}", project.notices);
        assert!(!project.notices.iter().any(|it| matches!(it, Notice::Stale { .. })), "{name}");
    }
}

#[test]
fn spans_survive_multi_byte_text() {
    let project = read("foundry-plain");
    let bank = contract(&project, "Bank");
    let map = bank.source_map.as_ref().expect("a source map");
    let find = |text: &str| {
        map.instructions.iter().find_map(|mapped| match mapped.location {
            Location::Exact(span) if project.text(span) == text => Some(span),
            _ => None,
        })
    };
    let span = find("low += 1").expect("the line is mapped");
    let place = project.source(span.source).position(span.start);
    assert_eq!((place.line, place.column), (43, 9));
}

#[test]
fn a_declared_layout_is_the_compilers() {
    let printed = read("foundry-full");
    let printed = contract(&printed, "Bank").storage_layout.as_ref().expect("printed by the compiler");
    for name in ["hardhat-2", "hardhat-3"] {
        let project = read(name);
        let computed =
            contract(&project, "Bank").storage_layout.as_ref().expect("computed from declarations");
        assert_eq!(lines_of(computed), lines_of(printed), "{name}");
        let scratch = &computed.transient[0];
        assert_eq!((scratch.label.as_str(), scratch.slot), ("scratch", U256::ZERO));
    }
    assert!(contract(&read("foundry-plain"), "Bank").storage_layout.is_none());
}

#[test]
fn locations_have_names() {
    let project = read("foundry-full");
    let layout = contract(&project, "Bank").storage_layout.as_ref().expect("a layout");
    let slot = |label: &str| layout.storage.iter().find(|it| it.label == label).expect("a variable").slot;
    let name = |slot: U256, steps: &[Step<'_>], from, to| {
        layout
            .locate(slot, steps, from, to, false)
            .map(|it| (it.path, layout.type_of(it.type_id).label.clone()))
    };
    let some = |path: &str, type_name: &str| Some((path.to_owned(), type_name.to_owned()));
    let one = U256::from(1);
    assert_eq!(name(slot("total"), &[], 0, 32), some("total", "uint256"));
    assert_eq!(name(slot("low"), &[], 0, 16), some("low", "uint128"));
    assert_eq!(name(slot("low"), &[], 16, 32), some("high", "uint128"));
    assert_eq!(name(slot("balances"), &[Step::Key("to")], 0, 32), some("balances[to]", "uint256"));
    let entry = [Step::Key("caller"), Step::Key("id")];
    let positions = slot("positions");
    assert_eq!(name(positions, &entry, 0, 20), some("positions[caller][id].owner", "address"));
    assert_eq!(name(positions, &entry, 20, 32), some("positions[caller][id].size", "uint96"));
    let shared = layout.locate(positions, &entry, 0, 32, false).expect("a struct");
    assert_eq!((shared.path.as_str(), shared.members), ("positions[caller][id]", vec!["owner", "size"]));
    let fills = [&entry[..], &[Step::Offset(one)]].concat();
    assert_eq!(name(positions, &fills, 0, 32), some("positions[caller][id].fills.length", "uint256[]"));
    let fill = [&fills[..], &[Step::Element { index: "i", stride: 1 }]].concat();
    assert_eq!(name(positions, &fill, 0, 32), some("positions[caller][id].fills[i]", "uint256"));
    let queue = [Step::Element { index: "n", stride: 3 }, Step::Offset(U256::from(2))];
    assert_eq!(name(slot("queue"), &queue, 0, 1), some("queue[n].kind", "enum Bank.Kind"));
    assert_eq!(name(slot("queue"), &[], 0, 32), some("queue.length", "struct Bank.Position[]"));
    assert_eq!(name(slot("lanes") + one, &[], 8, 16), some("lanes[5]", "uint64"));
    assert_eq!(name(slot("pair") + U256::from(3), &[], 0, 20), some("pair[1].owner", "address"));
    let pair = [Step::Index { index: "i", stride: 3 }];
    assert_eq!(name(slot("pair") + U256::from(2), &pair, 0, 1), some("pair[i].kind", "enum Bank.Kind"));
    assert_eq!(name(slot("paused"), &[], 1, 21), some("peer", "contract Guard"));
    assert_eq!(name(U256::from(4000), &[], 0, 32), None);
    assert_eq!(name(slot("total"), &[Step::Key("x")], 0, 32), None);
}

#[test]
fn declarations_come_from_syntax_trees() {
    let project = read("foundry-full");
    let bank = contract(&project, "Bank");
    let found: Vec<_> = project.declarations_of(bank, "locked").map(|it| project.text(it.span)).collect();
    assert_eq!(found, ["uint256 internal locked"]);
    let place = |name: &str| project.declarations_of(bank, name).next().map(|it| it.place);
    assert_eq!(place("fee"), Some(VariablePlace::Immutable));
    assert_eq!(place("LIMIT"), Some(VariablePlace::Constant));
    assert_eq!(place("scratch"), Some(VariablePlace::Transient));
    let deposit =
        project.functions.iter().find(|it| it.name == "deposit" && it.contract.as_deref() == Some("Bank"));
    let deposit = deposit.expect("the function");
    assert_eq!(deposit.selector, Some([0xb6, 0xb5, 0x5f, 0x25]));
    assert_eq!(project.function_at(deposit.span), Some(deposit));
    assert_eq!(project.definition_of(bank).map(|it| it.bases.len()), Some(3));
    assert_eq!(project.function_of(bank, [0xb6, 0xb5, 0x5f, 0x25]), Some(deposit));
    assert_eq!(project.function_of(bank, [0; 4]), None);
    let mentions = project.mentions(deposit.span, "amount");
    assert_eq!(mentions.len(), 3);
    assert!(mentions.iter().all(|&it| project.text(it) == "amount"));
}

#[test]
fn artifacts_left_by_forge_lint_are_explained() {
    let error = load(&data("foundry-lint"), NO_BUILD).expect_err("there is no bytecode");
    assert!(matches!(error, Error::NoBytecode { .. }), "{error}");
    assert!(error.to_string().contains("forge build"), "{error}");
    let one = load(&data("foundry-lint/out/Bank.sol/Bank.json"), NO_BUILD).expect("the artifact is readable");
    assert!(one.contracts.is_empty());
    // A fresh checkout may have written the sources after the artifacts, so age alone proves nothing here.
    let other_than_age: Vec<_> =
        one.notices.iter().filter(|it| !matches!(it, Notice::PerhapsStale { .. })).collect();
    assert!(matches!(other_than_age.as_slice(), [Notice::NoBytecode { .. }]), "{:?}", one.notices);
}

#[test]
fn one_artifact_finds_its_build_and_sources() {
    for file in [
        "foundry-plain/out/Bank.sol/Bank.json",
        "hardhat-2/artifacts/contracts/Bank.sol/Bank.json",
        "hardhat-3/artifacts/contracts/Bank.sol/Bank.json",
    ] {
        let project = read(file);
        let names: Vec<_> = project.contracts.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["Bank"], "{file}");
        assert!(texts(&project, &project.contracts[0]).contains(&"low += 1"), "{file}");
    }
}

#[test]
fn a_source_file_means_its_contracts() {
    let project = read("foundry-full/src/Bank.sol");
    let names: Vec<_> = project.contracts.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["Bank", "Sums", "UsesLibrary"]);
    let tests = read("foundry-full/test");
    assert_eq!(tests.contracts.len(), 1);
}

#[test]
fn a_folder_of_projects_holds_all_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&data("foundry-plain"), &folder.path().join("a"));
    copy(&data("hardhat-2"), &folder.path().join("b"));
    copy(&data("standard-json"), &folder.path().join("c"));
    fs::write(folder.path().join("package.json"), "{\"name\": \"x\"}").expect("written");
    fs::write(folder.path().join("broken.json"), "{\"abi\": [").expect("written");
    let project = load(folder.path(), NO_BUILD).expect("a project");
    let names: Vec<_> = project.contracts.iter().map(Contract::qualified_name).collect();
    for expected in ["a/src/Bank.sol:Bank", "b/contracts/Bank.sol:Bank", "bank.vy:bank", "old.sol:A"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
    assert!(
        project
            .notices
            .iter()
            .any(|it| matches!(it, Notice::Unreadable { path, .. } if path.ends_with("broken.json")))
    );
    for contract in &project.contracts {
        if contract.name == "Bank" {
            assert!(texts(&project, contract).contains(&"low += 1"), "{}", contract.qualified_name());
        }
    }
}

#[test]
fn compiler_output_beside_its_sources() {
    let project = read("standard-json/beside/output.json");
    assert!(project.notices.iter().any(|it| matches!(it, Notice::Preamble { .. })), "{:?}", project.notices);
    let counter = contract(&project, "Counter");
    assert!(counter.compiler.as_ref().is_some_and(|it| it.via_ir));
    let texts = texts(&project, counter);
    // Optimised code from the intermediate representation has few exact locations.
    assert_eq!(texts, ["msg.sender"]);
    assert!(counter.storage_layout.is_some());
    let combined = read("standard-json/beside/combined.json");
    let other = contract(&combined, "Counter");
    assert_eq!((other.runtime.clone(), other.source_map.is_some()), (counter.runtime.clone(), true));
    assert_eq!(other.storage_layout, counter.storage_layout);
}

#[test]
fn old_solc() {
    let project = read("standard-json/solc-0.4.26.json");
    let a = contract(&project, "A");
    assert_eq!(a.unlinked[0].name, "old.sol:L");
    assert!(texts(&project, a).iter().any(|text| text.starts_with("n = L.f(n)")), "{:?}", texts(&project, a));
    let layout = a.storage_layout.as_ref().expect("computed from declarations");
    assert_eq!(lines_of(layout), ["0:0 n: uint256 (32)", "1:0 b: mapping(address => uint256) (32)"]);
}

#[test]
fn vyper() {
    let project = read("standard-json/vyper-0.4.3.json");
    let bank = contract(&project, "bank");
    assert_eq!(bank.compiler.as_ref().map(ToString::to_string).as_deref(), Some("vyper 0.4.3"));
    assert_eq!(bank.immutables.len(), 1);
    let texts = texts(&project, bank);
    assert!(texts.iter().any(|text| *text == "self.total += 1" || *text == "self.total"), "{texts:?}");
    let layout = bank.storage_layout.as_ref().expect("a layout");
    let name = |slot: u64, steps: &[Step<'_>]| {
        layout.locate(U256::from(slot), steps, 0, 32, false).map(|it| it.path)
    };
    assert_eq!(name(1, &[Step::Key("to")]).as_deref(), Some("balances[to]"));
    let position = [Step::Key("a"), Step::Key("b"), Step::Offset(U256::from(1))];
    assert_eq!(name(2, &position).as_deref(), Some("positions[a][b].size"));
    assert_eq!(name(7, &[]).as_deref(), Some("queue.length"));
    assert_eq!(name(11, &[]).as_deref(), Some("queue[1].size"));
    assert_eq!(name(8, &[Step::Index { index: "i", stride: 2 }]).as_deref(), Some("queue[i].owner"));
    let total = project.declarations_of(bank, "total").next().expect("declared");
    assert_eq!(project.text(total.span), "total: public(uint256)");
    assert!(layout.transient.iter().any(|it| it.label == "scratch"));
}

#[test]
fn a_changed_source_is_stale() {
    for (name, source, text_known) in
        [("foundry-plain", "src/Bank.sol", false), ("hardhat-2", "contracts/Bank.sol", true)]
    {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&data(name), folder.path());
        let path = folder.path().join(source);
        let text = fs::read_to_string(&path).expect("a source");
        fs::write(&path, format!("// changed\n{text}")).expect("written");
        let project = load(folder.path(), NO_BUILD).expect("a project");
        let stale = project.notices.iter().find_map(|it| match it {
            Notice::Stale { source_path, text_known, .. } => Some((source_path.as_str(), *text_known)),
            _ => None,
        });
        assert_eq!(stale, Some((source, text_known)), "{name}");
        let bank = contract(&project, "Bank");
        assert_eq!(texts(&project, bank).contains(&"low += 1"), text_known, "{name}");
    }
}

#[test]
fn other_line_ends_are_no_change() {
    for (name, source) in [("foundry-plain", "src/Bank.sol"), ("hardhat-2", "contracts/Bank.sol")] {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&data(name), folder.path());
        let path = folder.path().join(source);
        let text = fs::read_to_string(&path).expect("a source");
        for mark in ["", "\u{feff}"] {
            fs::write(&path, format!("{mark}{}", text.replace('\n', "\r\n"))).expect("written");
            let project = load(folder.path(), NO_BUILD).expect("a project");
            assert!(!project.notices.iter().any(|it| matches!(it, Notice::Stale { .. })), "{name}");
            assert!(texts(&project, contract(&project, "Bank")).contains(&"low += 1"), "{name}");
        }
    }
}

#[test]
fn an_unbuilt_project_names_the_command() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("foundry.toml"), "[profile.default]\n").expect("written");
    let error = load(folder.path(), NO_BUILD).expect_err("nothing is built").to_string();
    assert!(error.contains("forge build"), "{error}");
    fs::write(folder.path().join("foundry.toml"), "[profile.default\n").expect("written");
    assert!(matches!(load(folder.path(), NO_BUILD), Err(Error::Configuration { .. })));
    fs::remove_file(folder.path().join("foundry.toml")).expect("removed");
    assert!(matches!(load(folder.path(), NO_BUILD), Err(Error::NothingFound { .. })));
    fs::write(folder.path().join("hardhat.config.ts"), "").expect("written");
    let error = load(folder.path(), NO_BUILD).expect_err("nothing is built").to_string();
    assert!(error.contains("npx hardhat compile"), "{error}");
}

#[test]
fn raw_code_and_bad_input() {
    let raw = load_bytes("-", b" 0x60 01\n5b").expect("code");
    assert_eq!(
        (raw.contracts[0].runtime.as_ref(), raw.contracts[0].kind),
        (&[0x60, 1, 0x5b][..], ContractKind::Raw)
    );
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        load(&path, NO_BUILD)
    };
    assert!(matches!(check("empty.json", b""), Err(Error::Empty { .. })));
    assert!(matches!(check("binary.json", &[0xff, 0, 1]), Err(Error::Json { .. })));
    assert!(check("code.bin", &[0x60, 0x80, 0xff]).is_ok());
    assert!(matches!(
        check("failed.json", br#"{"errors":[{"severity":"error","message":"no"}]}"#),
        Err(Error::CompilationFailed { .. })
    ));
    assert!(matches!(
        check("input.json", br#"{"language":"Solidity","sources":{}}"#),
        Err(Error::WrongKind { .. })
    ));
    assert!(matches!(check("deep.json", "[".repeat(100_000).as_bytes()), Err(Error::Json { .. })));
    let nested = format!(
        "{{\"abi\":{}{},\"bytecode\":\"0x\",\"deployedBytecode\":\"0x6001\"}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let nested = check("nested.json", nested.as_bytes()).expect("the code is readable");
    assert!(nested.notices.iter().any(|it| matches!(it, Notice::Malformed { .. })));
    let artifact = fs::read(data("foundry-full/out/Bank.sol/Bank.json")).expect("an artifact");
    for length in (0..artifact.len()).step_by(997) {
        assert!(check("cut.json", &artifact[..length]).is_err(), "{length} bytes");
    }
    assert!(matches!(load(Path::new("no such file"), NO_BUILD), Err(Error::NotFound { .. })));
    assert!(matches!(check("lonely.sol", b"contract A {}"), Err(Error::WrongKind { .. })));
}

/// A text in the encodings that editors and shells write, with marks and, in UTF-16, without.
#[test]
fn files_that_are_too_large_for_code_are_not_read() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = |name: &str, head: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, head).expect("a file can be written");
        // More than fits into memory, none of it on the disk.
        let file = fs::OpenOptions::new().write(true).open(&path).expect("it is there");
        file.set_len(1 << 40).expect("a file may have holes");
        load(&path, NO_BUILD).expect_err("no code is that large")
    };
    let error = file("large.bin", &[0x60, 0x80]);
    assert!(matches!(error, Error::TooLarge { size, .. } if size == 1 << 40), "{error}");
    let error = file("archive.bin", b"PK\x03\x04");
    assert!(matches!(error, Error::WrongKind { .. }), "{error}");
}

fn encodings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = |text: &str, to_bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to_bytes).collect();
    let marked = format!("\u{feff}{text}");
    vec![
        ("UTF-8 with a mark", marked.clone().into_bytes()),
        ("UTF-16LE with a mark", utf16(&marked, u16::to_le_bytes)),
        ("UTF-16BE with a mark", utf16(&marked, u16::to_be_bytes)),
        ("UTF-16LE", utf16(text, u16::to_le_bytes)),
        ("UTF-16BE", utf16(text, u16::to_be_bytes)),
    ]
}

#[test]
fn every_encoding_is_read() {
    let code = "0X6001 60005401\r\n600055\r\n00\r\n";
    let plain = load_bytes("x", code.as_bytes()).expect("code");
    let artifact = fs::read_to_string(data("foundry-full/out/Bank.sol/Bank.json")).expect("an artifact");
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in encodings(code) {
        let read = load_bytes("x", &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.contracts[0].runtime, plain.contracts[0].runtime, "{name}");
    }
    for (name, bytes) in encodings(&artifact) {
        let path = folder.path().join("Bank.json");
        fs::write(&path, &bytes).expect("written");
        let read = load(&path, NO_BUILD).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(contract(&read, "Bank").immutables.len(), 1, "{name}");
    }
    let project = folder.path().join("project");
    copy(&data("foundry-plain"), &project);
    let settings = fs::read_to_string(project.join("foundry.toml")).expect("settings");
    for (name, bytes) in encodings(&settings) {
        fs::write(project.join("foundry.toml"), bytes).expect("written");
        assert!(load(&project, NO_BUILD).is_ok(), "{name}");
    }
    // What is no text in the encoding that it claims, or seems to have, is named, and never taken for code.
    let broken: [&[u8]; 4] = [
        b"\xff\xfe6\x00\x00\xd80\x00",
        b"\xff\xfe\x00\x006\x00\x00\x000\x00\x00\x00",
        b"6001600054016000\xa055",
        b"\xff\xfe\x21\x20\x22\x20\x23\x20",
    ];
    for bytes in broken {
        let error = load_bytes("x", bytes).expect_err("no code").to_string();
        assert!(error.contains("UTF") || error.contains("not recognised"), "{error}");
    }
}

#[test]
fn creation_code_is_looked_into() {
    let read = |creation: &str| {
        let project = load_bytes("input", creation.as_bytes())?;
        let note = project.notices.iter().find(|it| matches!(it, Notice::CreationCode { .. })).cloned();
        Ok::<_, Error>((project, note))
    };
    let bank: serde_json::Value =
        serde_json::from_slice(&fs::read(data("foundry-full/out/Bank.sol/Bank.json")).expect("an artifact"))
            .expect("JSON");
    let creation = bank["bytecode"]["object"].as_str().expect("code");
    let whole = contract(&self::read("foundry-full"), "Bank").clone();

    // As it stands, and with the constructor's argument behind it, as in a transaction that deploys.
    let argument = format!("{:064x}", 7);
    for (text, unknown) in [(creation.to_owned(), 1), (format!("{creation}{argument}"), 0)] {
        let (project, note) = read(&text).expect("code");
        let inside = &project.contracts[0];
        assert_eq!(inside.runtime.len(), whole.runtime.len());
        let Some(Notice::CreationCode { size, unknown: places, .. }) = note else { panic!("it is said") };
        assert_eq!((size, places), (whole.runtime.len(), unknown));
        if unknown > 0 {
            let ranges = |contract: &Contract| -> Vec<_> {
                contract.immutables.iter().map(|it| it.range.clone()).collect()
            };
            assert_eq!(ranges(inside), ranges(&whole), "what a constructor fills in is no zero");
        }
    }
    // An artifact whose runtime field has it, and one that has nothing else.
    for text in [
        format!("{{\"abi\":[],\"bytecode\":\"{creation}\",\"deployedBytecode\":\"{creation}\"}}"),
        format!("{{\"abi\":[],\"bytecode\":{{\"object\":\"{creation}\"}}}}"),
    ] {
        let (project, note) = read(&text).expect("code");
        assert!(note.is_some(), "{text}");
        assert_eq!(project.contracts[0].runtime.len(), whole.runtime.len());
    }
    let (_, note) = read(&whole.runtime.to_string()).expect("code");
    assert_eq!(note, None, "runtime code is runtime code");
    let error = read("333b805f5f333c5ff3").expect_err("nothing is in it").to_string();
    assert!(error.contains("another account's code"), "{error}");
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_an_error() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("made");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
    // A privileged user may read it all the same, and finds nothing.
    let read = load(&closed, NO_BUILD);
    assert!(matches!(read, Err(Error::Read { .. } | Error::NothingFound { .. })), "{read:?}");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("opened");
}
