//! What contracts came to the last time, in the user's folder for caches.
//!
//! In: a project. Out: the results of contracts that have not changed since. The file is never needed and never trusted:
//! it carries a checksum, keys hold everything that a result was made from and the rules that made it, and what is
//! missing, damaged or somebody else's is computed again and written anew. A cache that cannot be used is no error.

use std::{
    collections::BTreeMap,
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

use deconflict_lints::{Checked, Project, ResultCache};
use etcetera::BaseStrategy as _;

use crate::files;

/// What the file begins with.
const MAGIC: &[u8] = b"deconflict/check-results/1\n";

/// The variable that names the folder.
const FOLDER_VARIABLE: &str = "DECONFLICT_CACHE_DIR";

/// The results of the contracts of one project, as bytes by their keys.
pub(crate) struct Results {
    path: Option<PathBuf>,
    known: BTreeMap<u128, Vec<u8>>,
}

impl Results {
    /// No cache.
    pub(crate) fn none() -> Self {
        Self { path: None, known: BTreeMap::new() }
    }

    /// What is known of the project that was read from `input`.
    pub(crate) fn open(project: &Project, input: &Path) -> Self {
        let Some(folder) = folder() else { return Self::none() };
        let mut hasher = DefaultHasher::new();
        (&project.root, input).hash(&mut hasher);
        let path = folder.join(format!("{:016x}.results", hasher.finish()));
        let known = fs::read(&path).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        Self { path: Some(path), known }
    }
}

impl ResultCache for Results {
    fn get(&self, key: u128) -> Option<Checked> {
        self.known.get(&key).and_then(|bytes| Checked::from_bytes(bytes))
    }

    /// Writes nothing where nothing has changed. A cache that cannot be written is done without.
    fn replace(&self, found: BTreeMap<u128, Option<Vec<u8>>>) {
        let Some(path) = &self.path else { return };
        let same = found.len() == self.known.len() && found.values().all(Option::is_none);
        if same {
            return;
        }
        let kept = |(key, bytes): (u128, Option<Vec<u8>>)| {
            Some((key, bytes.or_else(|| self.known.get(&key).cloned())?))
        };
        let entries: BTreeMap<u128, Vec<u8>> = found.into_iter().filter_map(kept).collect();
        let written = || {
            fs::create_dir_all(path.parent()?).ok()?;
            files::write(path, &encode(&entries)).ok()
        };
        let _ = written();
    }
}

/// The folder in which projects are compiled that their own build does not show as they are.
pub(crate) fn builds() -> Option<PathBuf> {
    Some(cache()?.join("builds"))
}

fn folder() -> Option<PathBuf> {
    Some(cache()?.join("check"))
}

/// The folder for everything that can be had again.
fn cache() -> Option<PathBuf> {
    let named = env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("deconflict")))
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

fn encode(entries: &BTreeMap<u128, Vec<u8>>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (key, entry) in entries {
        bytes.extend(key.to_le_bytes());
        bytes.extend((entry.len() as u64).to_le_bytes());
        bytes.extend(entry);
    }
    let checksum = checksum(&bytes);
    bytes.extend(checksum);
    bytes
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<u128, Vec<u8>>> {
    let (body, sum) = bytes.split_last_chunk::<8>()?;
    if checksum(body) != *sum {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    let mut entries = BTreeMap::new();
    while !rest.is_empty() {
        let (key, behind) = rest.split_first_chunk::<16>()?;
        let (length, behind) = behind.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (entry, behind) = behind.split_at_checked(length)?;
        entries.insert(u128::from_le_bytes(*key), entry.to_vec());
        rest = behind;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let entries = BTreeMap::from([(1, vec![1, 2, 3]), (u128::MAX, Vec::new())]);
        let bytes = encode(&entries);
        assert_eq!(decode(&bytes), Some(entries));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "the first {at} bytes");
        }
        assert_eq!(decode(b""), None);
    }
}
