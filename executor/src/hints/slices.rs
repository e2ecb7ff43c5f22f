//! Analysed codes as a file, so that analysis need never run where hints are made.
//!
//! In: codes. Out: bytes with what analysis came to, for each code and form; and back into a folder of a
//! [`SliceCache`]. The file is content-addressed: it ends in the hash of all before, and each code is checked against its
//! own hash. What is damaged, or made by another analyser, is refused whole.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, keccak256};
use deconflict_analyzer::{Slice, Variant};
use rayon::prelude::*;
use thiserror::Error;

use crate::cache::{CacheError, SliceCache};

/// What the file begins with: its name and version, and what made it.
const HEAD: &str =
    concat!("deconflict/slices/1 ", env!("CARGO_PKG_VERSION"), " ", env!("DECONFLICT_ANALYSER"), "\n");

/// Why a file with analysed codes cannot be used.
#[derive(Debug, Error)]
pub enum SliceFileError {
    /// It is another kind of file.
    #[error("this is no file with analysed codes")]
    NotSlices,
    /// Another analyser has made it.
    #[error("the codes were analysed by another version of the analyser: export them again with this one")]
    OtherAnalyser,
    /// It is not what was written.
    #[error("the file is damaged: its content does not have the hash that it ends with")]
    Damaged,
    /// It says that a code has another hash than it has, or leaves something behind.
    #[error("the file holds something that is no analysed code")]
    Forged,
    /// Nothing can be kept in the folder of the cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The file with all of these codes, analysed by all threads of rayon's pool, and its hash, which names its content.
pub fn export(codes: &[Bytes]) -> (Vec<u8>, B256) {
    let mut codes: Vec<&Bytes> = codes.iter().filter(|code| !code.is_empty()).collect();
    // By hash, so that the same codes always make the same file.
    codes.sort_by_cached_key(|code| keccak256(code));
    codes.dedup();
    let slices: Vec<Slice> = codes
        .par_iter()
        .flat_map_iter(|code| {
            [Variant::Lean, Variant::Strict].map(|variant| Slice::compile(Bytes::clone(code), variant, false))
        })
        .collect();
    let mut bytes = HEAD.as_bytes().to_vec();
    let body = postcard::to_stdvec(&slices).expect("slices are plain data, and memory does not fail");
    bytes.extend(body);
    let hash = keccak256(&bytes);
    bytes.extend(hash);
    (bytes, hash)
}

/// Puts the codes of a file into a cache, for every predictor that has it. How many there were.
pub fn import(bytes: &[u8], cache: &SliceCache) -> Result<usize, SliceFileError> {
    let name = &HEAD.as_bytes()[.."deconflict/slices/".len()];
    if !bytes.starts_with(name) {
        return Err(SliceFileError::NotSlices);
    }
    let (content, hash) = bytes.split_last_chunk::<32>().ok_or(SliceFileError::Damaged)?;
    let body = content.strip_prefix(HEAD.as_bytes()).ok_or(SliceFileError::OtherAnalyser)?;
    if keccak256(content) != *hash {
        return Err(SliceFileError::Damaged);
    }
    let (slices, rest): (Vec<Slice>, _) =
        postcard::take_from_bytes(body).map_err(|_| SliceFileError::Forged)?;
    if !rest.is_empty() || slices.par_iter().any(|slice| keccak256(&slice.code) != slice.hash) {
        return Err(SliceFileError::Forged);
    }
    let codes = slices.iter().filter(|slice| slice.variant == Variant::Lean).count();
    for slice in slices {
        cache.store(&Arc::new(slice));
    }
    cache.flush()?;
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, keccak256};

    use super::{SliceFileError, Variant, export, import};
    use crate::cache::SliceCache;

    /// Codes that load a slot each.
    fn codes() -> Vec<Bytes> {
        (0..4).map(|number| Bytes::from(vec![0x60, number, 0x54, 0x50, 0x00])).collect()
    }

    #[test]
    fn what_was_exported_is_found_after_import() {
        let (bytes, hash) = export(&codes());
        let mut backwards = codes();
        backwards.reverse();
        assert_eq!(export(&backwards).1, hash, "the order of codes does not matter");
        let folder = tempfile::tempdir().expect("a folder");
        let cache = SliceCache::open_in(folder.path()).expect("nothing is in the way");
        assert_eq!(import(&bytes, &cache).expect("it is whole"), 4);
        for code in codes() {
            for variant in [Variant::Lean, Variant::Strict] {
                let slice = cache.load(keccak256(&code), variant).expect("it was imported");
                assert_eq!(slice.code, code);
            }
        }
    }

    #[test]
    fn damage_is_refused() {
        let (bytes, _) = export(&codes());
        let folder = tempfile::tempdir().expect("a folder");
        let cache = SliceCache::open_in(folder.path()).expect("nothing is in the way");
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(import(&damaged, &cache).is_err(), "byte {at}");
            assert!(import(&bytes[..at], &cache).is_err(), "{at} bytes");
        }
        assert!(matches!(import(b"{}", &cache), Err(SliceFileError::NotSlices)));
        assert!(cache.load(keccak256(&codes()[0]), Variant::Lean).is_none());
    }
}
