//! Files of text that a user writes or that other tools write for him.
//!
//! In: a path. Out: its text without a byte order mark, whichever of the encodings that `lints` knows it is in.

use std::{borrow::Cow, fs, io, path::Path};

use deconflict_lints::decode_text;

/// Reads a file of text.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    decode(&fs::read(path)?)
}

/// Text that was read from somewhere else.
pub(crate) fn decode(bytes: &[u8]) -> io::Result<String> {
    let text = decode_text(bytes).map(Cow::into_owned);
    text.map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))
}
