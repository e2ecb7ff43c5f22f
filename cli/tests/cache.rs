//! Results that are kept from one run to the next: the same report with them and without, whatever lies in their file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn artifact(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    workspace.join("fixtures/artifacts").join(name)
}

fn check(input: &Path, cache: &Path, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_deconflict"))
        .args(["check", "--json", "--no-config", "--quiet"])
        .arg(input)
        .args(more)
        .env("DECONFLICT_CACHE_DIR", cache)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cache.join("check")) else { return Vec::new() };
    entries.map(|entry| entry.expect("a readable entry").path()).collect()
}

#[test]
fn results_are_kept_and_nothing_that_is_wrong_with_them_shows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cache, input) = (folder.path().join("cache"), folder.path().join("Project.json"));
    // Findings across contracts have to survive as well: they are made from what is kept.
    fs::copy(artifact("dapps/StakingVault.json"), &input).expect("a fixture");
    let without = check(&input, &cache, &["--no-cache"]);
    assert!(files(&cache).is_empty(), "nothing is kept where nothing is to be");
    assert!(without.contains("VaultBook.entries"), "{without}");

    let first = check(&input, &cache, &[]);
    assert_eq!(first, without);
    let [file] = files(&cache).try_into().expect("one file for one project");
    let written = fs::read(&file).expect("a readable cache");
    assert_eq!(check(&input, &cache, &[]), without);
    assert_eq!(fs::read(&file).expect("a readable cache"), written, "what is known is not written again");

    let damaged: Vec<u8> = written.iter().map(|byte| byte ^ 0x55).collect();
    for wrong in [&written[..written.len() / 2], &damaged, b"somebody else's file", b""] {
        fs::write(&file, wrong).expect("a writable cache");
        assert_eq!(check(&input, &cache, &[]), without);
        assert_eq!(fs::read(&file).expect("a readable cache"), written, "what is wrong is built anew");
    }
}

#[test]
fn what_has_changed_is_checked_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cache, input) = (folder.path().join("cache"), folder.path().join("Project.json"));
    fs::copy(artifact("global-counter/Ticketing.json"), &input).expect("a fixture");
    let before = check(&input, &cache, &[]);
    fs::copy(artifact("global-counter/TicketingSharded.json"), &input).expect("a fixture");
    let after = check(&input, &cache, &[]);
    assert!(before.contains("global-counter") && !after.contains("\"global-counter\""), "{after}");
    assert_eq!(after, check(&input, &cache, &["--no-cache"]));
}

#[test]
fn a_folder_that_cannot_be_written_is_done_without() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = folder.path().join("cache");
    fs::write(&cache, "a file where a folder should be").expect("a writable folder");
    let input = artifact("global-counter/Ticketing.json");
    assert_eq!(check(&input, &cache, &[]), check(&input, &cache, &["--no-cache"]));
}
