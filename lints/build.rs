//! Gives the crate a fingerprint of the analyzer and the rules that it is built with.
//!
//! In: the sources of both. Out: `DECONFLICT_RULES`, a number that is another one whenever they change, so that no result
//! of other rules is ever taken from a cache.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for folder in ["src", "../analyzer/src"] {
        // Without the analyzer's sources beside it, the version of the crate has to do.
        if Path::new(folder).is_dir() {
            println!("cargo::rerun-if-changed={folder}");
            list(Path::new(folder), &mut files)?;
        }
    }
    files.sort_unstable();
    let mut hasher = DefaultHasher::new();
    env::var_os("CARGO_PKG_VERSION").hash(&mut hasher);
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)?.hash(&mut hasher);
    }
    println!("cargo::rustc-env=DECONFLICT_RULES={:016x}", hasher.finish());
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
