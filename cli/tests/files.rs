//! Files that commands write: whole or not at all, never over an input, and never over what nobody named.

#![cfg(feature = "serve")]
#![cfg(unix)]

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .args(arguments)
        .current_dir(folder)
        .env("DECONFLICT_CACHE_DIR", folder.join("cache"))
        .output()
        .expect("the binary runs")
}

/// Runs a command that has to say with which of these words it does not do it.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let output = run(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?} does not say {word:?}: {text}");
    }
}

/// Everything below a folder but the cache, with its content if it is a file.
fn everything(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<_> = entries
        .filter(|path| !path.ends_with("cache"))
        .map(|path| {
            let is_file = path.symlink_metadata().is_ok_and(|it| it.is_file());
            let content = is_file.then(|| fs::read(&path).expect("a readable file"));
            (path, content)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_socket_takes_the_place_of_nothing_but_a_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str| folder.path().join(name);
    fs::copy(fixture("blocks/2-tokens.json"), of("b.json")).expect("a fixture");
    fs::create_dir(of("folder")).expect("room");
    symlink("b.json", of("link")).expect("room");
    symlink("nothing", of("lost")).expect("room");
    assert!(Command::new("mkfifo").arg(of("pipe")).status().expect("it is there").success());
    drop(UnixListener::bind(of("socket")).expect("room"));
    symlink("socket", of("indirect")).expect("room");
    let _busy = UnixListener::bind(of("busy")).expect("room");
    let before = everything(folder.path());
    let cases = [
        ("b.json", "is a file"),
        ("folder", "is a folder"),
        ("link", "is a link"),
        ("lost", "is a link"),
        ("indirect", "is a link"),
        ("pipe", "is a pipe"),
        ("/dev/null", "is a device"),
        ("busy", "is in use"),
    ];
    for (path, word) in cases {
        refused(
            folder.path(),
            &["serve", "--ipc", path, "--block", "b.json"],
            &[path, word, "name another path"],
        );
        assert_eq!(everything(folder.path()), before, "{path}");
    }
}

#[test]
fn an_input_is_never_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str| folder.path().join(name);
    fs::copy(fixture("blocks/2-tokens.json"), of("b.json")).expect("a fixture");
    fs::write(of("txs"), "").expect("room");
    fs::write(of("codes.jsonl.zst"), "codes").expect("room");
    symlink("b.json", of("link")).expect("room");
    let before = everything(folder.path());
    for arguments in [
        &["hints", "--block", "b.json", "-o", "b.json"][..],
        &["hints", "--block", "b.json", "-o", "link"],
        &["hints", "--block", "link", "-o", "./b.json"],
        &["hints", "--block", "b.json", "--transactions", "txs", "-o", "txs"],
        &["hints", "--block", "b.json", "--export-templates", "b.json"],
        &["hints", "--block", "b.json", "-o", "codes.jsonl.zst"],
    ] {
        refused(folder.path(), arguments, &["is read here and is not written over"]);
        assert_eq!(everything(folder.path()), before, "{arguments:?}");
    }
    fs::remove_file(of("codes.jsonl.zst")).expect("it is there");
    let good = run(folder.path(), &["hints", "--block", "b.json", "-o", "new.json"]);
    assert!(good.status.success(), "{good:?}");
    // What takes what is written to it takes it as it did.
    let piped = run(folder.path(), &["hints", "--block", "b.json", "-o", "/dev/stdout"]);
    assert_eq!(piped.stdout, fs::read(of("new.json")).expect("it is there"));
    let text = "deconflict=$1; echo first > out; \"$deconflict\" hints --block b.json -o /dev/stdout >> out";
    let shell = Command::new("sh")
        .args(["-c", text, "sh", env!("CARGO_BIN_EXE_deconflict")])
        .current_dir(folder.path())
        .env("DECONFLICT_CACHE_DIR", of("cache"))
        .status();
    assert!(shell.expect("a shell").success());
    assert_eq!(fs::read(of("out")).expect("it is there"), [b"first\n", piped.stdout.as_slice()].concat());
}

#[test]
fn a_full_disk_and_a_killed_process_leave_the_old_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let block = fixture("blocks/2-tokens.json");
    // A process may write files up to a limit: it is refused more where it looks away, and killed where it does not.
    for (trap, code) in [("trap '' XFSZ;", Some(2)), ("", None)] {
        fs::write(folder.path().join("out.json"), "old").expect("room");
        let text = format!(
            "{trap} ulimit -c 0; ulimit -f 4; exec \"$1\" hints --no-cache --block \"$2\" -o out.json"
        );
        let output = Command::new("sh")
            .args(["-c", &text, "sh", env!("CARGO_BIN_EXE_deconflict")])
            .arg(&block)
            .current_dir(folder.path())
            .output()
            .expect("a shell");
        assert_eq!(output.status.code(), code, "{output:?}");
        assert_eq!(fs::read_to_string(folder.path().join("out.json")).expect("it is there"), "old");
        if code.is_some() {
            assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write out.json"), "{output:?}");
            assert_eq!(everything(folder.path()).len(), 1, "nothing is left over");
        }
    }
}

#[test]
fn what_nobody_named_is_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str| folder.path().join(name);
    let artifact = fixture("artifacts/global-counter/Ticketing.json");
    let artifact = artifact.to_string_lossy();
    for name in ["deconflict-baseline.json", "deconflict-budget.json"] {
        fs::write(of(name), "{\"somebody\": \"else's\"}").expect("room");
    }
    fs::write(of("code.hex"), "0x60005400").expect("room");
    fs::write(of("deconflict.toml"), "# mine\n").expect("room");
    fs::create_dir(of("sub")).expect("room");
    symlink("nothing", of("sub/deconflict.toml")).expect("room");
    let before = everything(folder.path());
    let check = |more: &[&str], words: &[&str]| {
        refused(folder.path(), &[&["check", &artifact, "--no-config", "--no-cache"], more].concat(), words);
        assert_eq!(everything(folder.path()), before, "{more:?}");
    };
    check(&["--write-baseline"], &["deconflict-baseline.json", "another kind of file"]);
    check(&["--write-baseline=code.hex"], &["code.hex", "another kind of file"]);
    check(&["--write-baseline=sub"], &["sub", "a folder"]);
    refused(
        folder.path(),
        &["budget", &artifact, "--write", "--no-config"],
        &["deconflict-budget.json", "another kind"],
    );
    refused(folder.path(), &["init"], &["deconflict.toml is there already"]);
    refused(folder.path(), &["init", "sub"], &["deconflict.toml is there already"]);
    refused(folder.path(), &["init", "sub", "--force"], &["a link to something that is not there"]);
    assert_eq!(everything(folder.path()), before);
    assert!(!of("sub/nothing").exists());
    // What is ours is written anew, also where it holds the marks of a merge.
    fs::write(of("known.json"), "<<<<<<< ours\n{\"schema\": \"deconflict/baseline/1\",\n").expect("room");
    let written =
        run(folder.path(), &["check", &artifact, "--no-config", "--no-cache", "--write-baseline=known.json"]);
    assert!(written.status.success(), "{written:?}");
    assert!(fs::read_to_string(of("known.json")).expect("it is there").starts_with("{\n  \"schema\""));
    assert!(run(folder.path(), &["init", "--force"]).status.success());
    assert_ne!(fs::read(of("deconflict.toml")).expect("it is there"), b"# mine\n");
}

#[test]
fn a_baseline_of_a_part_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let git = |arguments: &[&str]| {
        let name = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let git = Command::new("git").args(name).args(arguments).current_dir(folder.path()).output();
        assert!(git.expect("git is there").status.success(), "{arguments:?}");
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "first"]);
    let artifact = fixture("artifacts/global-counter/Ticketing.json");
    let arguments =
        ["check", &artifact.to_string_lossy(), "--write-baseline=known.json", "--changed-since", "HEAD"];
    refused(folder.path(), &arguments, &["--changed-since", "leaves some out"]);
    assert!(!folder.path().join("known.json").exists());
}

#[test]
fn lanes_are_bounded_and_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let block = fixture("blocks/2-tokens.json");
    let block = block.to_string_lossy();
    for lanes in ["0", "1025", "99999999999", "99999999999999999999999", "-1", "x"] {
        let lanes = format!("--lanes={lanes}");
        refused(folder.path(), &["hints", "--block", &block, &lanes], &["--lanes"]);
        refused(folder.path(), &["serve", "--block", &block, &lanes], &["--lanes"]);
    }
    refused(folder.path(), &["hints", "--block", &block, "--lanes", "1025"], &["1024 lanes at most"]);
    assert!(run(folder.path(), &["hints", "--block", &block, "--lanes", "1024"]).status.success());
}
