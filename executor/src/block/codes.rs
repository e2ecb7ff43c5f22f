//! Codes by hash, from a file with one `["0x<hash>","0x<code>"]` a line.
//!
//! The file is indexed once and shared by all blocks that are read with it; a code is decoded, and its hash checked,
//! when a block names it for the first time.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use alloy_primitives::{B256, Bytes, hex, keccak256, map::B256Map};
use revm::bytecode::Bytecode;

use super::{bytes::read_bytes, error::BlockError};

/// The codes of one file.
#[derive(Debug)]
pub struct CodeStore {
    file: PathBuf,
    text: Vec<u8>,
    codes: B256Map<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The line, from 1.
    line: usize,
    /// Where the hex digits are in the text.
    digits: Range<usize>,
    decoded: OnceLock<Bytecode>,
}

impl CodeStore {
    /// Indexes a file.
    pub fn read(file: &Path) -> Result<Self, BlockError> {
        let text = read_bytes(file)?;
        let mut codes = B256Map::default();
        let mut start = 0;
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                let (hash, code): (B256, &str) =
                    serde_json::from_slice(line).map_err(|error| BlockError::Field {
                        file: file.to_owned(),
                        field: format!("line {}", index + 1),
                        problem: format!("{error}; each line is [\"0x<hash>\",\"0x<code>\"]"),
                    })?;
                // The digits were not copied, so that they lie in the line, and the line lies in the text.
                let offset = start + (code.as_ptr() as usize - line.as_ptr() as usize);
                let digits = offset..offset + code.len();
                codes.entry(hash).or_insert(Entry { line: index + 1, digits, decoded: OnceLock::new() });
            }
            start += line.len() + 1;
        }
        Ok(Self { file: file.to_owned(), text, codes })
    }

    /// The file that the codes are from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The code with this hash, if the file has it.
    pub fn get(&self, hash: B256) -> Result<Option<Bytecode>, BlockError> {
        let Some(entry) = self.codes.get(&hash) else { return Ok(None) };
        if let Some(code) = entry.decoded.get() {
            return Ok(Some(code.clone()));
        }
        let field = || format!("line {}", entry.line);
        let bytes = hex::decode(&self.text[entry.digits.clone()]).map_err(|error| BlockError::Field {
            file: self.file.clone(),
            field: field(),
            problem: format!("the code is not hexadecimal: {error}"),
        })?;
        let code = check(&self.file, field, hash, bytes.into())?;
        Ok(Some(entry.decoded.get_or_init(|| code).clone()))
    }
}

/// Makes code of bytes that are listed under a hash, if the hash is theirs.
pub(super) fn check(
    file: &Path,
    field: impl Fn() -> String,
    listed: B256,
    bytes: Bytes,
) -> Result<Bytecode, BlockError> {
    let actual = keccak256(&bytes);
    if actual != listed {
        return Err(BlockError::CodeHash { file: file.to_owned(), field: field(), listed, actual });
    }
    Bytecode::new_raw_checked(bytes).map_err(|error| BlockError::Field {
        file: file.to_owned(),
        field: field(),
        problem: format!("no account can have this code: {error}"),
    })
}
