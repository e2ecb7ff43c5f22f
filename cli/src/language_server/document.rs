//! An open document, and where what was compiled has moved to since.
//!
//! In: the edits that the client sends. Out: the present text, and for a range of the compiled text the range that is
//! left of it. Nothing is lost while the user types: a range shrinks with its text and goes only when all of it is gone.

use std::sync::Arc;

use gen_lsp_types::{Range, Uri};

use super::encoding::{Encoding, LineStarts};

/// A piece of the old text that is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    old: usize,
    new: usize,
    length: usize,
}

/// From the old text's offsets to the new one's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    pieces: Vec<Piece>,
}

impl Shift {
    /// Nothing has moved.
    pub(super) fn identity(length: usize) -> Self {
        Self { pieces: vec![Piece { old: 0, new: 0, length }] }
    }

    /// One text has become another in one edit.
    pub(super) fn between(old: &str, new: &str) -> Self {
        let mut shift = Self::identity(old.len());
        if old == new {
            return shift;
        }
        let start = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
        let most = old.len().min(new.len()) - start;
        let end = old.bytes().rev().zip(new.bytes().rev()).take(most).take_while(|(a, b)| a == b).count();
        shift.edit(start, old.len() - end, new.len() - start - end);
        shift
    }

    /// Takes account of an edit: the new text's bytes `[start, end)` become `length` bytes.
    pub(super) fn edit(&mut self, start: usize, end: usize, length: usize) {
        let mut pieces = Vec::with_capacity(self.pieces.len() + 1);
        for piece in &self.pieces {
            let before = start.saturating_sub(piece.new).min(piece.length);
            if before > 0 {
                pieces.push(Piece { length: before, ..*piece });
            }
            let skipped = end.saturating_sub(piece.new).min(piece.length).max(before);
            if skipped < piece.length {
                let new = piece.new + skipped + length - (end - start);
                pieces.push(Piece { old: piece.old + skipped, new, length: piece.length - skipped });
            }
        }
        self.pieces = pieces;
    }

    /// What is left of the old text's bytes `[start, end)`; `None` where nothing is.
    pub(super) fn range(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        if start >= end {
            return self.range(start, start + 1).map(|(at, _)| (at, at));
        }
        let left = self.pieces.iter().filter(|piece| piece.old < end && start < piece.old + piece.length);
        let mut ends = left.map(|piece| {
            let from = start.max(piece.old) - piece.old;
            let to = end.min(piece.old + piece.length) - piece.old;
            (piece.new + from, piece.new + to)
        });
        let first = ends.next()?;
        Some((first.0, ends.next_back().unwrap_or(first).1))
    }

    /// Where a byte of the new text stood in the old one; `None` for text that is new.
    pub(super) fn back(&self, offset: usize) -> Option<usize> {
        let mut pieces = self.pieces.iter();
        let piece = pieces.rfind(|piece| piece.new <= offset && offset <= piece.new + piece.length)?;
        Some(piece.old + offset - piece.new)
    }
}

/// An open document.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// What the client calls it.
    pub(super) uri: Uri,
    /// The client's version.
    pub(super) version: i32,
    /// The present text.
    pub(super) text: String,
    /// Its lines.
    pub(super) lines: LineStarts,
    /// The text that findings are about, and what has become of it.
    compiled: Option<(Arc<str>, Shift)>,
}

impl Document {
    /// A document that was just opened.
    pub(super) fn new(uri: Uri, version: i32, text: String) -> Self {
        let lines = LineStarts::new(&text);
        Self { uri, version, text, lines, compiled: None }
    }

    /// Takes over a new text, or a new text for a range.
    pub(super) fn change(&mut self, range: Option<Range>, text: &str, encoding: Encoding) {
        let (start, end) = match range {
            Some(range) => {
                let start = self.lines.offset(&self.text, range.start, encoding);
                let end = self.lines.offset(&self.text, range.end, encoding);
                (start.min(end), start.max(end))
            }
            None => (0, self.text.len()),
        };
        if range.is_none() {
            if let Some((compiled, shift)) = &mut self.compiled {
                *shift = Shift::between(compiled, text);
            }
            text.clone_into(&mut self.text);
        } else {
            if let Some((_, shift)) = &mut self.compiled {
                shift.edit(start, end, text.len());
            }
            self.text.replace_range(start..end, text);
        }
        self.lines = LineStarts::new(&self.text);
    }

    /// Says which text findings are about from now on.
    pub(super) fn follow(&mut self, compiled: &Arc<str>) {
        let known =
            self.compiled.as_ref().is_some_and(|(text, _)| Arc::ptr_eq(text, compiled) || text == compiled);
        if !known {
            self.compiled = Some((Arc::clone(compiled), Shift::between(compiled, &self.text)));
        }
    }

    /// What has become of a text, if it is the one that findings are about.
    pub(super) fn shift_of(&self, compiled: &Arc<str>) -> Option<&Shift> {
        let (text, shift) = self.compiled.as_ref()?;
        (Arc::ptr_eq(text, compiled) || text == compiled).then_some(shift)
    }
}

#[cfg(test)]
mod tests {
    use gen_lsp_types::Position;

    use super::*;

    #[test]
    fn ranges_move_with_their_text() {
        let mut shift = Shift::identity(100);
        shift.edit(10, 10, 5);
        assert_eq!(shift.range(20, 30), Some((25, 35)));
        assert_eq!(shift.range(5, 12), Some((5, 17)), "a range grows with what is typed into it");
        shift.edit(26, 33, 0);
        assert_eq!(shift.range(20, 30), Some((25, 28)), "what is left of it");
        assert_eq!(shift.range(22, 26), None, "all of it is gone");
        assert_eq!(shift.back(12), None);
        assert_eq!(shift.back(40), Some(42));
    }

    #[test]
    fn a_thousand_keystrokes_leave_two_pieces() {
        let mut shift = Shift::identity(1000);
        for at in 0..1000 {
            shift.edit(500 + at, 500 + at, 1);
        }
        assert_eq!(shift.pieces.len(), 2);
        assert_eq!(shift.range(600, 610), Some((1600, 1610)));
    }

    #[test]
    fn whole_texts_are_compared() {
        let shift = Shift::between("one two three", "one 2 three");
        assert_eq!(shift.range(8, 13), Some((6, 11)));
        assert_eq!(shift.range(0, 3), Some((0, 3)));
        assert_eq!(Shift::between("aaa", "aa").range(0, 3), Some((0, 2)));
    }

    #[test]
    fn edits_arrive_in_the_agreed_unit() {
        let uri = Uri("file:///a.sol".to_owned());
        let mut document = Document::new(uri, 1, "ü x\ny".to_owned());
        let compiled = Arc::from("ü x\ny");
        document.follow(&compiled);
        let at = |line, character| Position { line, character };
        document.change(Some(Range { start: at(0, 2), end: at(0, 3) }), "😀", Encoding::Utf16);
        assert_eq!(document.text, "ü 😀\ny");
        document.change(Some(Range { start: at(0, 4), end: at(1, 0) }), "", Encoding::Utf16);
        assert_eq!(document.text, "ü 😀y");
        assert_eq!(document.shift_of(&compiled).and_then(|it| it.range(5, 6)), Some((7, 8)));
    }
}
