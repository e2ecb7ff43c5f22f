//! Byte offsets and the positions of the protocol.
//!
//! In: a text and an offset into it, or a position. Out: the other of the two, in the unit that client and server have
//! agreed to count in. Offsets and positions outside the text, or inside a character, become the nearest one before.

use gen_lsp_types::{Position, Range};

/// What a position's characters are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of two bytes: what every client knows.
    #[default]
    Utf16,
}

impl Encoding {
    /// The best of those that the client offers.
    pub(super) fn choose<'a>(mut offered: impl Iterator<Item = &'a str>) -> Self {
        if offered.any(|it| it == "utf-8") { Self::Utf8 } else { Self::Utf16 }
    }

    /// Its name in the protocol.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16 => "utf-16",
        }
    }

    fn width(self, letter: char) -> usize {
        match self {
            Self::Utf8 => letter.len_utf8(),
            Self::Utf16 => letter.len_utf16(),
        }
    }
}

/// Where the lines of a text start.
#[derive(Clone, Debug, Default)]
pub(super) struct LineStarts(Vec<usize>);

impl LineStarts {
    /// Finds them: a line ends at `\n`, `\r\n` or a lone `\r`.
    pub(super) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes
            .iter()
            .enumerate()
            .filter(|&(at, &byte)| byte == b'\n' || (byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')));
        Self(std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect())
    }

    /// The position of a byte offset.
    pub(super) fn position(&self, text: &str, offset: usize, encoding: Encoding) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.0.partition_point(|&start| start <= offset) - 1;
        let character =
            text[self.0[line]..offset].chars().map(|letter| encoding.width(letter)).sum::<usize>();
        Position { line: line as u32, character: character as u32 }
    }

    /// The byte offset of a position.
    pub(super) fn offset(&self, text: &str, position: Position, encoding: Encoding) -> usize {
        let Some(&start) = self.0.get(position.line as usize) else { return text.len() };
        let end = self.0.get(position.line as usize + 1).copied().unwrap_or(text.len());
        let line = text[start..end].trim_end_matches(['\r', '\n']);
        let mut left = position.character as usize;
        for (at, letter) in line.char_indices() {
            let width = encoding.width(letter);
            if left < width {
                return start + at;
            }
            left -= width;
        }
        start + line.len()
    }

    /// The range of two byte offsets.
    pub(super) fn range(&self, text: &str, bytes: (usize, usize), encoding: Encoding) -> Range {
        Range { start: self.position(text, bytes.0, encoding), end: self.position(text, bytes.1, encoding) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_counts_its_own_way() {
        let text = "a\r\nüx€😀y\rz";
        let lines = LineStarts::new(text);
        let at = text.find('y').expect("it is there");
        for (encoding, character) in [(Encoding::Utf8, 10), (Encoding::Utf16, 5)] {
            let position = Position { line: 1, character };
            assert_eq!(lines.position(text, at, encoding), position);
            assert_eq!(lines.offset(text, position, encoding), at);
        }
        assert_eq!(lines.position(text, text.len(), Encoding::Utf16), Position { line: 2, character: 1 });
    }

    #[test]
    fn positions_outside_are_the_nearest_inside() {
        let text = "ab\n😀\n";
        let lines = LineStarts::new(text);
        let offset = |line, character| lines.offset(text, Position { line, character }, Encoding::Utf16);
        assert_eq!(offset(0, 99), 2);
        assert_eq!(offset(1, 1), 3, "the middle of a character is its start");
        assert_eq!(offset(9, 0), text.len());
        assert_eq!(lines.position(text, 5, Encoding::Utf16), Position { line: 1, character: 0 });
        assert_eq!(lines.position(text, 999, Encoding::Utf8), Position { line: 2, character: 0 });
    }
}
