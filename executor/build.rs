//! Gives the crate a fingerprint of the analyzer that it is built with.
//!
//! In: the sources of the analyzer. Out: `DECONFLICT_ANALYZER`, a number that is another one whenever they change, so that
//! nothing compiled by another analyzer is ever taken from a cache.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let folder = Path::new("../analyzer/src");
    let mut files = Vec::new();
    // Without the sources beside it, the version of the crate has to do.
    if folder.is_dir() {
        println!("cargo::rerun-if-changed=../analyzer/src");
        println!("cargo::rerun-if-changed=../analyzer/Cargo.toml");
        list(folder, &mut files)?;
        files.push("../analyzer/Cargo.toml".into());
    }
    files.sort_unstable();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)?.hash(&mut hasher);
    }
    println!("cargo::rustc-env=DECONFLICT_ANALYZER={:016x}", hasher.finish());
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
