//! Where the tests find blocks: the committed ones, and the real ones where they are at hand.

#![expect(clippy::print_stdout, reason = "a test says what it skips")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// The folder of the real blocks, which `DECONFLICT_DATA` names or which lies beside the workspace.
pub(crate) fn data() -> PathBuf {
    env::var_os("DECONFLICT_DATA").map_or_else(|| workspace().join("../shared/data"), PathBuf::from)
}

/// The real blocks, in the order of their names; none where they are not at hand.
pub(crate) fn real_blocks() -> Vec<PathBuf> {
    let folder = data().join("blocks");
    if !folder.is_dir() {
        println!(
            "SKIPPED: there are no real blocks in {}; name their folder by DECONFLICT_DATA",
            folder.display()
        );
        return Vec::new();
    }
    let found = blocks(&folder);
    println!("{} real blocks", found.len());
    found
}

/// The block files of a folder, in the order of their names.
pub(crate) fn blocks(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    found.retain(|path| {
        let name = path.to_string_lossy();
        name.ends_with(".json") || name.ends_with(".json.zst")
    });
    assert!(!found.is_empty(), "{} holds no blocks", folder.display());
    found.sort();
    found
}
