//! Analysed codes as a file, so that analysis need never run where hints are made.
//!
//! In: codes. Out: bytes with what analysis came to, for each code and form: the symbolic templates, to be read, and the
//! slices that predictions run on; and back into a folder of a [`SliceCache`]. The file is content-addressed: it ends in
//! the hash of all before, each template has the hash of its text, and each code is checked against its own. What is damaged,
//! or made by another analyzer, is refused whole.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, keccak256};
use deconflict_analyzer::{Slice, Variant};
use rayon::prelude::*;
use thiserror::Error;

use super::templates;
use crate::cache::{CacheError, SliceCache};

/// What the file begins with: its name and version, and what made it.
const HEAD: &str =
    concat!("deconflict/templates/1 ", env!("CARGO_PKG_VERSION"), " ", env!("DECONFLICT_ANALYZER"), "\n");

/// Why a file with analysed codes cannot be used.
#[derive(Debug, Error)]
pub enum SliceFileError {
    /// It is another kind of file.
    #[error("this is no file with analysed codes")]
    NotSlices,
    /// Another analyzer has made it.
    #[error("the codes were analysed by another version of the analyzer: export them again with this one")]
    OtherAnalyzer,
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

/// The symbolic templates of these codes as a document of their own, and its hash.
pub fn export_symbolic(codes: &[Bytes]) -> (Vec<u8>, B256) {
    let text = templates::render(&ordered(codes)).into_bytes();
    let hash = keccak256(&text);
    (text, hash)
}

/// The codes that there are, each once, by hash, so that the same codes always make the same file.
fn ordered(codes: &[Bytes]) -> Vec<&Bytes> {
    let mut codes: Vec<&Bytes> = codes.iter().filter(|code| !code.is_empty()).collect();
    codes.sort_by_cached_key(|code| keccak256(code));
    codes.dedup();
    codes
}

/// The file with all of these codes, analysed by all threads of rayon's pool, and its hash, which names its content.
pub fn export(codes: &[Bytes]) -> (Vec<u8>, B256) {
    let codes = ordered(codes);
    let slices: Vec<Slice> = codes
        .par_iter()
        .flat_map_iter(|code| {
            [Variant::Lean, Variant::Strict].map(|variant| Slice::compile(Bytes::clone(code), variant, false))
        })
        .collect();
    let mut bytes = HEAD.as_bytes().to_vec();
    let symbolic = templates::render(&codes);
    bytes.extend((symbolic.len() as u64).to_le_bytes());
    bytes.extend(symbolic.as_bytes());
    let body = postcard::to_stdvec(&slices).expect("slices are plain data, and memory does not fail");
    bytes.extend(body);
    let hash = keccak256(&bytes);
    bytes.extend(hash);
    (bytes, hash)
}

/// The symbolic templates in a file, `deconflict/templates/1`, once all of it has been checked.
pub fn symbolic(bytes: &[u8]) -> Result<&str, SliceFileError> {
    read(bytes).map(|(text, _)| text)
}

/// Puts the codes of a file into a cache, for every predictor that has it. How many there were.
pub fn import(bytes: &[u8], cache: &SliceCache) -> Result<usize, SliceFileError> {
    let (_, slices) = read(bytes)?;
    let codes = slices.iter().filter(|slice| slice.variant == Variant::Lean).count();
    for slice in slices {
        cache.store(&Arc::new(slice));
    }
    cache.flush()?;
    Ok(codes)
}

/// The parts of a file.
fn read(bytes: &[u8]) -> Result<(&str, Vec<Slice>), SliceFileError> {
    let name = &HEAD.as_bytes()[.."deconflict/templates/".len()];
    if !bytes.starts_with(name) {
        return Err(SliceFileError::NotSlices);
    }
    let (content, hash) = bytes.split_last_chunk::<32>().ok_or(SliceFileError::Damaged)?;
    let body = content.strip_prefix(HEAD.as_bytes()).ok_or(SliceFileError::OtherAnalyzer)?;
    if keccak256(content) != *hash {
        return Err(SliceFileError::Damaged);
    }
    let (length, rest) = body.split_first_chunk().ok_or(SliceFileError::Forged)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| SliceFileError::Forged)?;
    let (text, rest) = rest.split_at_checked(length).ok_or(SliceFileError::Forged)?;
    let text = std::str::from_utf8(text).map_err(|_| SliceFileError::Forged)?;
    let owners = templates::owners(text).ok_or(SliceFileError::Forged)?;
    let (slices, rest): (Vec<Slice>, _) =
        postcard::take_from_bytes(rest).map_err(|_| SliceFileError::Forged)?;
    if !rest.is_empty() || slices.par_iter().any(|slice| keccak256(&slice.code) != slice.hash) {
        return Err(SliceFileError::Forged);
    }
    // Every code has an entry at least, so that both parts are about the same ones.
    let mut codes: Vec<B256> = slices.iter().map(|slice| slice.hash).collect();
    codes.sort_unstable();
    codes.dedup();
    if codes != owners {
        return Err(SliceFileError::Forged);
    }
    Ok((text, slices))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, keccak256};

    use super::{HEAD, Slice, SliceFileError, Variant, export, import, symbolic};
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
        assert!(matches!(
            import(b"deconflict/templates/1 of others\n", &cache),
            Err(SliceFileError::OtherAnalyzer)
        ));
        assert!(cache.load(keccak256(&codes()[0]), Variant::Lean).is_none());
    }

    /// A file with this text and these slices, as the layout in the documentation has it.
    fn written(text: &str, slices: &[Slice]) -> Vec<u8> {
        let length = (text.len() as u64).to_le_bytes();
        let slices = postcard::to_stdvec(slices).expect("plain data");
        let content = [HEAD.as_bytes(), &length, text.as_bytes(), &slices].concat();
        [&content[..], &keccak256(&content)[..]].concat()
    }

    #[test]
    fn both_parts_are_about_the_same_codes() {
        let compile = |code: &Bytes| {
            [Variant::Lean, Variant::Strict].map(|variant| Slice::compile(code.clone(), variant, false))
        };
        let mut some = codes();
        some.sort_by_cached_key(|code| keccak256(code));
        let slices: Vec<Slice> = some.iter().flat_map(compile).collect();
        let (bytes, _) = export(&some);
        let text = symbolic(&bytes).expect("it is whole").to_owned();
        assert_eq!(written(&text, &slices), bytes, "the layout is the one that is documented");
        let forged = |text: &str, slices: &[Slice]| {
            matches!(symbolic(&written(text, slices)), Err(SliceFileError::Forged))
        };
        assert!(forged(&text, &slices[2..]), "a code is missing");
        assert!(forged("", &slices) && forged("{}", &slices), "there are no templates");
        let altered = text.replacen("\"always_reverts\":false", "\"always_reverts\":true", 1);
        assert!(altered != text && forged(&altered, &slices), "a template has not the hash that it has");
        let mut swapped = slices.clone();
        swapped[0].code = some[1].clone();
        assert!(forged(&text, &swapped), "a code has another hash");
        let longer = [&written(&text, &slices)[..], b"x"].concat();
        assert!(matches!(symbolic(&longer), Err(SliceFileError::Damaged)));
    }
}
