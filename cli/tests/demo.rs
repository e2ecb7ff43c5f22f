//! The demo project through its life: check, baseline, a new hot counter, its suppression, and the budget beside it.
//!
//! The builds are committed, so that no compiler is needed.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

fn demo(moment: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    workspace.join("fixtures/demo").join(moment)
}

/// A copy of the project that can be changed.
struct Project {
    folder: TempDir,
}

impl Project {
    fn at(moment: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        project.turn(moment);
        project
    }

    /// Brings the project to another moment of its life; baseline and budget stay.
    fn turn(&self, moment: &str) {
        let files = ["foundry.toml", "src/Token.sol", "out/Token.sol/Token.json"];
        for file in files {
            let target = self.folder.path().join(file);
            fs::create_dir_all(target.parent().expect("a file in a folder")).expect("a writable folder");
            fs::copy(demo(moment).join(file), target)
                .unwrap_or_else(|error| panic!("{moment}/{file}: {error}"));
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("FOUNDRY_PROFILE")
            .env("DECONFLICT_CACHE_DIR", env!("CARGO_TARGET_TMPDIR"))
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// Runs Deconflict, expects the exit code, and gives standard output and standard error.
    fn expect(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let output = self.run(env!("CARGO_BIN_EXE_deconflict"), arguments);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
        (out, err)
    }

    fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let out = self.expect(code, &[arguments, &["--json"]].concat()).0;
        serde_json::from_str(&out).expect("standard output holds JSON alone")
    }

    fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
        let output = self.run("git", &[&identity, arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

const STRICT: &[&str] = &["check", "--deny", "warnings"];

#[test]
fn only_a_new_finding_fails_and_a_reason_lets_it_stay() {
    let project = Project::at("start");
    assert_eq!(project.json(0, &["check"])["summary"]["warnings"], 1);
    project.expect(1, STRICT);
    let (_, err) = project.expect(0, &["check", "--write-baseline"]);
    assert_eq!(err, "wrote 1 finding to deconflict-baseline.json\n");
    let (out, _) = project.expect(0, STRICT);
    assert_eq!(out, "nothing found in 1 contract (profile net-change); 1 known to the baseline\n");
    project.expect(1, &[STRICT, &["--no-baseline"]].concat());

    project.turn("counter");
    let document = project.json(1, STRICT);
    let diagnostics = document["diagnostics"].as_array().expect("a list");
    assert_eq!(diagnostics.len(), 1, "{document}");
    assert_eq!(diagnostics[0]["rule"], "global-accumulator");
    assert_eq!(diagnostics[0]["variable"], "totalVolume");
    assert_eq!(document["summary"]["known"], 1);

    project.turn("suppressed");
    let document = project.json(0, STRICT);
    assert_eq!(document["summary"]["suppressed"], 1);
    assert_eq!(document["diagnostics"].as_array().map(Vec::len), Some(0));
    let sarif: Value =
        serde_json::from_str(&project.expect(0, &["check", "--format", "sarif"]).0).expect("JSON");
    let suppression = &sarif["runs"][0]["results"][0]["suppressions"][0];
    assert_eq!(suppression["justification"], "the auditors want it, and transfers are few");

    // When the counter is gone again, the comment has nothing to suppress, and the baseline still holds.
    let text = project.read("src/Token.sol");
    project.turn("start");
    assert!(text.contains("deconflict: allow(global-accumulator)"));
    project.expect(0, STRICT);
}

#[test]
fn the_budget_names_the_pair_that_has_turnworse() {
    let project = Project::at("start");
    let (_, err) = project.expect(2, &["budget", "--check"]);
    assert!(err.contains("write it with `deconflict budget --write`"), "{err}");
    project.expect(0, &["budget", "--write"]);
    project.expect(0, &["budget", "--check"]);
    project.turn("counter");
    let (out, _) = project.expect(1, &["budget", "--check"]);
    assert!(out.contains("Token: transfer × transfer: was conditional ("), "{out}");
    assert!(out.contains("now always (totalVolume"), "{out}");
    let (table, _) = project.expect(1, &["budget", "--format", "markdown"]);
    assert!(
        table.contains("| worse | Token | `transfer(address,uint256)` × `transfer(address,uint256)` |"),
        "{table}"
    );
    let document = project.json(1, &["budget"]);
    assert_eq!(document["worse"].as_array().map(Vec::len), Some(1));
    project.expect(0, &["budget", "--write"]);
    project.expect(0, &["budget", "--check"]);
    project.turn("start");
    let (out, _) = project.expect(0, &["budget"]);
    assert!(out.contains("better: Token: transfer × transfer: was always"), "{out}");
}

#[test]
fn suppressions_are_written_where_they_belong() {
    let project = Project::at("counter");
    let source = project.read("src/Token.sol");
    let reason = "--add-allow=the auditors want it, and transfers are few";
    project.expect(0, &["check", "--allow", "all", "--warn", "C102", reason]);
    let written = project.read("src/Token.sol");
    assert_ne!(written, source);
    assert_eq!(written, fs::read_to_string(demo("suppressed").join("src/Token.sol")).expect("a source"));
    // The build does not know of the comment yet: writing again would go by lines that have moved.
    let (_, err) = project.expect(2, &["check", "--add-allow"]);
    assert!(err.contains("changed since it was compiled"), "{err}");
    assert_eq!(project.read("src/Token.sol"), written);
}

#[test]
fn only_what_a_revision_has_changed_is_reported() {
    let project = Project::at("start");
    let (_, err) = project.expect(2, &["check", "--changed-since", "HEAD"]);
    assert!(err.contains("lies in no git repository"), "{err}");
    project.git(&["init", "--quiet"]);
    project.git(&["add", "."]);
    project.git(&["commit", "--quiet", "--message", "Start"]);
    let document = project.json(0, &["check", "--changed-since", "HEAD"]);
    assert_eq!(document["diagnostics"].as_array().map(Vec::len), Some(0));
    assert_eq!(document["summary"]["unchanged"], 1);
    project.turn("counter");
    let document = project.json(0, &["check", "--changed-since", "HEAD"]);
    assert_eq!(document["diagnostics"].as_array().map(Vec::len), Some(2));
    let (_, err) = project.expect(2, &["check", "--changed-since", "no-such-revision"]);
    assert!(err.contains("no-such-revision"), "{err}");
}

#[test]
fn a_configuration_is_found_used_and_shown() {
    let project = Project::at("counter");
    project.expect(0, &["init"]);
    let (_, err) = project.expect(2, &["init"]);
    assert!(err.contains("--force"), "{err}");
    assert_eq!(project.json(0, &["check"])["summary"]["warnings"], 2, "the template changes nothing");
    let configure = |text: &str| fs::write(project.path("deconflict.toml"), text).expect("a writable file");
    configure("[rules]\nC101 = \"deny\"\nC102 = \"allow\"\n");
    assert_eq!(project.json(1, &["check"])["summary"]["errors"], 1);
    assert_eq!(project.json(0, &["check", "--no-config"])["summary"]["warnings"], 2);
    let (shown, _) = project.expect(0, &["check", "--show-config", "--deny", "P301"]);
    assert!(
        shown.contains("global-counter = \"deny\"") && shown.contains("false-sharing = \"deny\""),
        "{shown}"
    );
    configure("[[override]]\npaths = [\"src/\"]\nrules = { C101 = \"allow\" }\n");
    assert_eq!(project.json(0, &["check"])["summary"]["warnings"], 1);
    configure("[[override]]\ncontracts = [\"Other\"]\nrules = { C101 = \"allow\" }\n");
    assert_eq!(project.json(0, &["check"])["summary"]["warnings"], 2);
    configure("exclude = [\"src/Token.sol\"]\n");
    assert_eq!(project.json(0, &["check"])["summary"]["warnings"], 0);
    configure("admin = [\"Token.buy\"]\n");
    assert_eq!(project.json(0, &["check"])["summary"]["warnings"], 1);
    for (text, message) in [
        ("exlude = []", "deconflict.toml:1: there is no key `exlude`, did you mean `exclude`?"),
        ("[rules]\nglobal-conter = \"deny\"", "did you mean `global-counter`?"),
        ("version = 9", "has version 9"),
        ("= 1", "not valid TOML"),
    ] {
        configure(text);
        let (_, err) = project.expect(2, &["check"]);
        assert!(err.contains(message), "{err}");
    }
    fs::remove_file(project.path("deconflict.toml")).expect("the file is there");
    let foundry = project.read("foundry.toml") + "\n[profile.default.deconflict]\nexclude = [\"src/\"]\n";
    fs::write(project.path("foundry.toml"), foundry).expect("a writable file");
    assert_eq!(project.json(0, &["check"])["summary"]["warnings"], 0);
}

#[test]
fn files_that_are_not_what_they_should_be_are_told() {
    let project = Project::at("start");
    let write = |name: &str, text: &[u8]| fs::write(project.path(name), text).expect("a writable file");
    write("known.json", b"{");
    let (out, err) = project.expect(2, &["check", "--baseline", "known.json"]);
    assert!(out.is_empty() && err.contains("known.json is no baseline"), "{err}");
    let (out, _) = project.expect(2, &["check", "--baseline", "known.json", "--json"]);
    let document: Value = serde_json::from_str(&out).expect("JSON even then");
    assert_eq!(document["schema"], "deconflict/error/1");
    let (_, err) = project.expect(2, &["check", "--baseline", "none.json"]);
    assert!(err.contains("none.json") && err.contains("--write-baseline"), "{err}");
    // A slip must not cost an artifact.
    let artifact = project.read("out/Token.sol/Token.json");
    let (_, err) = project.expect(2, &["check", "--write-baseline=out/Token.sol/Token.json"]);
    assert!(err.contains("is not written over"), "{err}");
    assert_eq!(project.read("out/Token.sol/Token.json"), artifact);
    // A source that has changed, is no text, or is gone: the report says so, and goes on.
    let text = project.read("src/Token.sol");
    for (bytes, message) in [
        (text.replace("purchases += 1", "purchases += 2").into_bytes(), "has changed since it was compiled"),
        (b"\xff\xfe\x00".to_vec(), "is not UTF-8"),
    ] {
        write("src/Token.sol", &bytes);
        let (out, err) = project.expect(0, &["check", "--json"]);
        assert!(err.contains(message), "{err}");
        let document: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(document["summary"]["contracts"], 1);
    }
    fs::remove_file(project.path("src/Token.sol")).expect("the file is there");
    let (out, err) = project.expect(0, &["check", "--json"]);
    assert!(err.contains("was not found"), "{err}");
    serde_json::from_str::<Value>(&out).expect("JSON");
}

#[test]
fn every_format_is_written_and_no_other_command_takes_one() {
    let project = Project::at("counter");
    for format in ["human", "concise", "json", "sarif", "github", "gitlab", "markdown", "junit"] {
        let (out, _) = project.expect(0, &["check", "--format", format]);
        assert!(out.contains("totalVolume") && out.ends_with('\n'), "{format}: {out}");
        let (again, _) = project.expect(0, &["--format", format, "check"]);
        assert_eq!(out, again, "{format} is the same from run to run");
    }
    let (_, err) = project.expect(2, &["rules", "--format", "sarif"]);
    assert!(err.contains("is a format of `check`"), "{err}");
    let (_, err) = project.expect(2, &["check", "--format", "sariff"]);
    assert!(err.contains("sarif"), "{err}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(project.expect(0, &["completions", shell]).0.contains("write-baseline"), "{shell}");
    }
    assert!(project.expect(0, &["man"]).0.starts_with(".ie"));
}

#[test]
fn a_scenario_shows_waves_before_and_after() {
    let project = Project::at("counter");
    let (out, _) = project.expect(0, &["check", "--scenario=50", "--statistics"]);
    let line = "  Token.transfer(address,uint256)  50 waves (score 0)  1 wave (score 98)  without `totalVolume` (C102)";
    assert!(out.contains(line), "{out}");
    assert!(project.expect(0, &["check", "--scenario"]).0.contains("100 calls of one function"));
    let document = project.json(0, &["check", "--scenario=50"]);
    assert_eq!(document["diagnostics"][1]["effects"][0]["calls"], 50);
    project.expect(2, &["check", "--scenario=1"]);
}

#[test]
fn a_watched_project_is_checked_again() {
    const PATIENCE: Duration = Duration::from_mins(1);
    let project = Project::at("start");
    let mut child = Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .args(["check", "--watch", "--format", "concise"])
        .current_dir(project.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let first = lines.recv_timeout(PATIENCE).expect("the first check");
    assert!(first.contains("purchases"), "{first}");
    project.turn("counter");
    // A check that starts between two files of the copy sees the old build.
    let found = (0..10).any(|_| lines.recv_timeout(PATIENCE).is_ok_and(|line| line.contains("totalVolume")));
    child.kill().expect("it still runs");
    child.wait().expect("it ends");
    reader.join().expect("the reader ends with it");
    assert!(found, "the new counter is reported without another run");
}
