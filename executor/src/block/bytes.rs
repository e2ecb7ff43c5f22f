//! The bytes of a file, plain or compressed, as text in UTF-8.
//!
//! In: a path. Out: what the file holds, or why it cannot be read. Nothing here knows what it is about.

use std::{
    borrow::Cow,
    fs,
    io::{ErrorKind, Read as _},
    path::Path,
};

use super::error::BlockError;
use crate::text::utf8;

/// The content of a file, decompressed if it is a zstd frame by its first bytes.
pub(super) fn read_bytes(file: &Path) -> Result<Vec<u8>, BlockError> {
    const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let raw = fs::read(file).map_err(|source| BlockError::Unreadable { file: file.to_owned(), source })?;
    if !raw.starts_with(&ZSTD) {
        return without_mark(file, raw);
    }
    let mut bytes = Vec::with_capacity(raw.len().saturating_mul(4));
    let damaged = |source| BlockError::Damaged { file: file.to_owned(), source };
    let mut decoder = zstd::Decoder::with_buffer(raw.as_slice()).map_err(damaged)?;
    match decoder.read_to_end(&mut bytes) {
        Ok(_) => without_mark(file, bytes),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(BlockError::CutShort { file: file.to_owned() })
        }
        Err(error) => Err(damaged(error)),
    }
}

/// The text of a file in UTF-8, whatever wrote it.
pub(super) fn text<'a>(file: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, BlockError> {
    utf8(bytes).map_err(|problem| BlockError::Encoding { file: file.to_owned(), problem })
}

/// The same of a file that need not be kept as it is.
fn without_mark(file: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, BlockError> {
    let changed = match text(file, &bytes)? {
        Cow::Borrowed(rest) if rest.len() == bytes.len() => None,
        changed => Some(changed.into_owned()),
    };
    Ok(changed.unwrap_or(bytes))
}
