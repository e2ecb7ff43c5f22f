//! Looking at files for clients that cannot watch them.
//!
//! In: a project's folder. Out: a stamp that changes when its configuration does, or when it is built. Only the files
//! that every build and every configuration touches are looked at, so that it costs nothing to look every now and then.

use std::{fs, path::Path, time::SystemTime};

/// What is looked at, relative to the project's folder.
const PLACES: [&str; 7] = [
    "deconflict.toml",
    "deconflict-baseline.json",
    "foundry.toml",
    "remappings.txt",
    "cache/solidity-files-cache.json",
    "out",
    "artifacts/build-info",
];

/// When each of the places was last changed.
pub(super) type Stamp = [Option<SystemTime>; PLACES.len()];

/// Looks at a project.
pub(super) fn stamp(root: &Path) -> Stamp {
    PLACES.map(|place| fs::metadata(root.join(place)).and_then(|it| it.modified()).ok())
}
