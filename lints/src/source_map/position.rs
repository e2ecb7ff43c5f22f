//! Byte offsets as lines and columns, and back.
//!
//! In: a source's text. Out: 1-based lines and 1-based columns counted in UTF-8 bytes. Lines end at `\n`, with or without
//! `\r` before it; a byte-order mark takes no column.

/// A place in a text as people count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineColumn {
    /// The line, from 1.
    pub line: u32,
    /// The column in UTF-8 bytes, from 1.
    pub column: u32,
}

/// Where each line of a text starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    starts: Vec<u32>,
    mark: u32,
    length: u32,
}

impl Lines {
    /// Finds the lines of `text`.
    pub(crate) fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(offset, _)| offset as u32 + 1)).collect();
        let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { starts, mark, length: text.len() as u32 }
    }

    /// The place of byte `offset`; an offset past the end is the end.
    pub(crate) fn position(&self, offset: u32) -> LineColumn {
        let offset = offset.min(self.length);
        let line = self.starts.partition_point(|&start| start <= offset) - 1;
        let mark = if line == 0 { self.mark } else { 0 };
        LineColumn { line: line as u32 + 1, column: (offset - self.starts[line]).saturating_sub(mark) + 1 }
    }

    /// The byte offset of a place, or `None` where the text has no such line or the line no such column.
    pub(crate) fn offset(&self, place: LineColumn) -> Option<u32> {
        let line = place.line.checked_sub(1)? as usize;
        let start = *self.starts.get(line)?;
        let mark = if line == 0 { self.mark } else { 0 };
        let end = self.starts.get(line + 1).copied().unwrap_or(self.length);
        let offset = start.checked_add(mark)?.checked_add(place.column.checked_sub(1)?)?;
        (offset <= end).then_some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, needle: &str, line: u32, column: u32) {
        let lines = Lines::new(text);
        let offset = text.find(needle).expect("the needle is in the text") as u32;
        let place = LineColumn { line, column };
        assert_eq!(lines.position(offset), place);
        assert_eq!(lines.offset(place), Some(offset));
    }

    #[test]
    fn columns_count_bytes() {
        check("a\n日本 x = 1;\n", "x", 2, 8);
        check("a\r\nb\r\n  😀 y", "y", 3, 8);
        check("\u{feff}pragma", "pragma", 1, 1);
        check("\u{feff}a\nb", "b", 2, 1);
        check("x", "x", 1, 1);
    }

    #[test]
    fn places_outside_the_text() {
        let lines = Lines::new("ab\nc");
        assert_eq!(lines.position(99), LineColumn { line: 2, column: 2 });
        assert_eq!(lines.offset(LineColumn { line: 3, column: 1 }), None);
        assert_eq!(lines.offset(LineColumn { line: 2, column: 9 }), None);
        assert_eq!(lines.offset(LineColumn { line: 0, column: 1 }), None);
        assert_eq!(Lines::new("").position(5), LineColumn { line: 1, column: 1 });
    }
}
