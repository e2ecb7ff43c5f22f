//! Bytecode without any artifact: hex text or plain bytes.
//!
//! In: a file's content. Out: runtime code, or an error for what is plainly something else.

use std::path::Path;

use crate::{
    artifact::{DecodedCode, HexError, decode_hex, is_hex_text},
    error::Error,
};

/// The most code that is read: forty times what the main network accepts today.
const MAX_CODE: usize = 1024 * 1024;

/// The largest file that can hold so much code: two digits a byte, two bytes a digit, and as much space again.
pub(super) const MAX_FILE: u64 = 8 * MAX_CODE as u64;

/// How files of other kinds begin.
const OTHER_FILES: &[(&[u8], &str)] = &[
    (b"\x7fELF", "an ELF program"),
    (b"\x89PNG", "a PNG image"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"%PDF", "a PDF document"),
];

/// Reads hex text.
pub(super) fn text(name: &str, bytes: &[u8], text: &str) -> Result<DecodedCode, Error> {
    if !is_hex_text(text) {
        // Bytes below 0x80 are valid text, and code may happen to have no others; but then some are control characters.
        if bytes.iter().any(|&byte| byte < 9) {
            return binary(name, bytes);
        }
        let found = format!("it begins {:?}", text.trim().chars().take(24).collect::<String>());
        return Err(Error::Unrecognised { name: name.to_owned(), found });
    }
    let code = decode_hex(text).map_err(|error| match error {
        HexError::Character(character, offset) => Error::Hex { name: name.to_owned(), character, offset },
        HexError::Odd(digits) => Error::OddHex { name: name.to_owned(), digits },
    })?;
    checked(name, code)
}

/// Takes bytes as they are.
pub(super) fn binary(name: &str, bytes: &[u8]) -> Result<DecodedCode, Error> {
    match other_kind(name, bytes) {
        Some(error) => Err(error),
        None => checked(name, DecodedCode { bytes: bytes.to_vec().into(), unlinked: Vec::new() }),
    }
}

/// Why a file that begins like this, and is too large for any code, is not read.
pub(super) fn refuse(name: &str, head: &[u8], size: usize) -> Error {
    other_kind(name, head).unwrap_or_else(|| too_large(name, size))
}

fn other_kind(name: &str, bytes: &[u8]) -> Option<Error> {
    let (_, what) = OTHER_FILES.iter().find(|(magic, _)| bytes.starts_with(magic))?;
    Some(Error::WrongKind {
        name: name.to_owned(),
        what: (*what).to_owned(),
        advice: "give a compiler artifact or runtime bytecode".to_owned(),
    })
}

fn checked(name: &str, code: DecodedCode) -> Result<DecodedCode, Error> {
    match code.bytes.len() {
        0 => Err(Error::Empty { name: name.to_owned() }),
        size if size > MAX_CODE => Err(too_large(name, size)),
        _ => Ok(code),
    }
}

fn too_large(name: &str, size: usize) -> Error {
    Error::TooLarge { name: name.to_owned(), size, limit: MAX_CODE }
}

/// The name of a contract that is only known by its file.
pub(super) fn contract_name(name: &str) -> String {
    Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// A hex error as part of a longer message.
pub(super) fn describe_hex_error(error: HexError) -> String {
    match error {
        HexError::Character(character, offset) => {
            format!("character {character:?} at {offset} is not hexadecimal")
        }
        HexError::Odd(digits) => format!("it has an odd number of digits ({digits}), so it is cut off"),
    }
}
