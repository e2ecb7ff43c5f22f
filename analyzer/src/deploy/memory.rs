//! Memory of a constructor: for each byte its value, whether that is known, and where it was copied from.
//!
//! In: words and stretches of code. Out: the same words, and cells for whoever looks at single bytes. Nothing here decides
//! what is known.

use alloy_primitives::U256;

/// A word, which is a guess where its tag is not zero; equal tags mean equal words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Word {
    pub(super) value: U256,
    pub(super) tag: u32,
}

impl Word {
    /// A word that every deployment has.
    pub(super) fn known(value: U256) -> Self {
        Self { value, tag: 0 }
    }
}

/// Where a byte was copied from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ByteOrigin {
    /// Not from code.
    #[default]
    Elsewhere,
    /// From this offset of the creation code.
    Code(u32),
    /// From this offset of another account's code.
    OtherCode(u32),
}

/// One byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CodeByte {
    pub(super) value: u8,
    /// The tag of the word that it is part of.
    pub(super) tag: u32,
    /// Which byte of that word, from its most significant one.
    pub(super) part: u8,
    pub(super) origin: ByteOrigin,
}

impl CodeByte {
    /// The byte, or zero where it is a guess.
    pub(super) fn known_value(&self) -> u8 {
        if self.tag == 0 { self.value } else { 0 }
    }
}

/// The memory.
#[derive(Clone, Debug, Default)]
pub(super) struct ConstructorMemory {
    cells: Vec<CodeByte>,
}

/// The most that is kept: a constructor that needs more is given up.
const LIMIT: usize = 4 * 1024 * 1024;

impl ConstructorMemory {
    /// How long it is, in bytes, as `MSIZE` has it.
    pub(super) fn size(&self) -> usize {
        self.cells.len()
    }

    /// The cells of a stretch, which becomes part of the memory; `None` where it is beyond all bounds.
    pub(super) fn stretch(&mut self, at: U256, length: U256) -> Option<&mut [CodeByte]> {
        let length = usize::try_from(length).ok()?;
        if length == 0 {
            return Some(&mut []);
        }
        let at = usize::try_from(at).ok()?;
        let end = at.checked_add(length).filter(|end| *end <= LIMIT)?;
        if self.cells.len() < end {
            self.cells.resize(end.div_ceil(32) * 32, CodeByte::default());
        }
        Some(&mut self.cells[at..end])
    }

    /// Stores a word.
    pub(super) fn store(&mut self, at: U256, word: Word) -> Option<()> {
        let bytes = word.value.to_be_bytes::<32>();
        let cells = self.stretch(at, U256::from(32))?;
        for ((part, cell), value) in (0..).zip(cells).zip(bytes) {
            *cell = CodeByte { value, tag: word.tag, part, origin: ByteOrigin::Elsewhere };
        }
        Some(())
    }

    /// Loads a word: as it was stored, or by `mixed` where its bytes are parts of several that are not all known.
    pub(super) fn load(&mut self, at: U256, mixed: impl FnOnce(U256) -> Word) -> Option<Word> {
        let cells = self.stretch(at, U256::from(32))?;
        let mut bytes = [0; 32];
        for (byte, cell) in bytes.iter_mut().zip(cells.iter()) {
            *byte = cell.value;
        }
        let value = U256::from_be_bytes(bytes);
        let tag = cells[0].tag;
        let is_whole = (0..).zip(cells.iter()).all(|(part, cell)| cell.tag == tag && cell.part == part);
        if cells.iter().all(|cell| cell.tag == 0) {
            return Some(Word::known(value));
        }
        Some(if is_whole { Word { value, tag } } else { mixed(value) })
    }
}
