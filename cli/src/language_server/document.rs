//! An open document, and where what was compiled has moved to since.
//!
//! In: the edits that the client sends. Out: the present text, and for a range of the compiled text the range that is
//! left of it. Nothing is lost while the user types: a range shrinks with its text and goes only when all of it is gone.

use std::{collections::BTreeMap, sync::Arc};

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

    /// One text has become another, nobody knows how: what both begin and end with stays, and between these the lines
    /// that both have once, in the same order.
    pub(super) fn between(old: &str, new: &str) -> Self {
        if old == new {
            return Self::identity(old.len());
        }
        let mut start = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
        // No character may be cut in two.
        while !old.is_char_boundary(start) || !new.is_char_boundary(start) {
            start -= 1;
        }
        let most = old.len().min(new.len()) - start;
        let mut end = old.bytes().rev().zip(new.bytes().rev()).take(most).take_while(|(a, b)| a == b).count();
        while !old.is_char_boundary(old.len() - end) || !new.is_char_boundary(new.len() - end) {
            end -= 1;
        }
        let mut pieces = vec![Piece { old: 0, new: 0, length: start }];
        let kept = common_lines(&old[start..old.len() - end], &new[start..new.len() - end]);
        pieces.extend(kept.into_iter().map(|it| Piece { old: it.old + start, new: it.new + start, ..it }));
        pieces.push(Piece { old: old.len() - end, new: new.len() - end, length: end });
        pieces.retain(|piece| piece.length > 0);
        Self { pieces }
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

/// The lines that two texts have in common, and their neighbours as far as these are the same.
fn common_lines(old: &str, new: &str) -> Vec<Piece> {
    let (old, new) = (lines_of(old), lines_of(new));
    let mut places: BTreeMap<&str, [Vec<usize>; 2]> = BTreeMap::new();
    for (side, text) in [&old, &new].into_iter().enumerate() {
        for (index, (_, line)) in text.iter().enumerate() {
            places.entry(line).or_default()[side].push(index);
        }
    }
    let mut anchors: Vec<(usize, usize)> = places
        .values()
        .filter_map(|[old, new]| match (old.as_slice(), new.as_slice()) {
            (&[old], &[new]) => Some((old, new)),
            _ => None,
        })
        .collect();
    anchors.sort_unstable();
    let anchors = increasing(&anchors);
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let ends = anchors.iter().skip(1).copied().chain([(old.len(), new.len())]);
    for (&(mut a, mut b), next) in anchors.iter().zip(ends) {
        // Back to the pair before, then on to the next anchor.
        let before = pairs.last().map_or((0, 0), |&(a, b)| (a + 1, b + 1));
        let back = (0..).take_while(|&by| {
            a > before.0 + by && b > before.1 + by && old[a - by - 1].1 == new[b - by - 1].1
        });
        let back = back.count();
        (a, b) = (a - back, b - back);
        while a < next.0 && b < next.1 && old[a].1 == new[b].1 {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        }
    }
    pairs.iter().map(|&(a, b)| Piece { old: old[a].0, new: new[b].0, length: old[a].1.len() }).collect()
}

/// The lines of a text with where they start.
fn lines_of(text: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        at += line.len();
        (at - line.len(), line)
    });
    lines.collect()
}

/// The longest run of pairs, ordered by their first numbers, whose second numbers increase.
fn increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length the pair that ends such a run with the least second number, and for each pair its predecessor.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (index, &(_, second)) in pairs.iter().enumerate() {
        let length = tails.partition_point(|&tail| pairs[tail].1 < second);
        before.push(length.checked_sub(1).map(|it| tails[it]));
        if length == tails.len() {
            tails.push(index);
        } else {
            tails[length] = index;
        }
    }
    let mut run = Vec::new();
    let mut at = tails.last().copied();
    while let Some(index) = at {
        run.push(pairs[index]);
        at = before[index];
    }
    run.reverse();
    run
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
    fn lines_are_found_again_after_a_text_was_replaced() {
        let old = "a\nb\n}\nc\n}\nd\ne\n";
        let new = "x\nb\n}\nnew\n}\nd\ny\n";
        let shift = Shift::between(old, new);
        assert_eq!(shift.range(2, 3), Some((2, 3)));
        assert_eq!(shift.range(10, 11), Some((12, 13)));
        assert_eq!(shift.range(8, 9), Some((10, 11)), "the bracket before a line that was found");
        assert_eq!(shift.range(6, 7), None);
        assert_eq!(shift.range(12, 13), None);
        assert_eq!(Shift::between("ü\nb\n", "û\nb\nz").range(3, 4), Some((3, 4)));
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
