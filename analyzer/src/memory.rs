//! The byte-addressed memory of one path.
//!
//! Memory is a set of cells, each at `base + constant` for a symbolic base (zero for absolute addresses) and each holding
//! bytes whose meaning is known. A write removes every cell that it may overlap unless `linear` shows them apart: no
//! read may ever return stale bytes. What is not in a cell is unknown, except that memory starts as zeros.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;

use crate::{
    address_order::{Bounds, PhiOrder, small_signed},
    code::Pc,
    expression::{Piece, Sources},
    id::ExprId,
    simplify::{Builder, LENGTH_BITS},
};

/// Longest copy that is taken apart into words, in bytes.
const MAX_EXPANDED: u64 = 2048;

/// Longest constant-length range that is read piece by piece, in bytes.
const MAX_READ: u64 = 8192;

/// An address as `base + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The symbolic part, the zero constant for absolute addresses.
    pub(crate) base: ExprId,
    pub(crate) offset: i64,
}

/// How many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Fixed(u64),
    Symbolic(ExprId),
}

/// What a cell's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Bytes of a word, starting with byte `from` (0 is the most significant).
    Word { word: ExprId, from: u8 },
    /// Calldata from an offset on.
    Calldata { offset: ExprId },
    /// Bytes that nothing is known about but their sources, identified by an unknown word.
    Opaque { value: ExprId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) base: ExprId,
    pub(crate) offset: i64,
    pub(crate) length: Length,
    pub(crate) content: Content,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Sorted by base and offset, disjoint within a base.
    pub(crate) cells: Vec<Cell>,
    /// Something was written that no cell describes any more: uncovered bytes need not be zero.
    pub(crate) blurred: bool,
    /// What bytes that no cell describes may depend on.
    pub(crate) lost: Sources,
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        // It is copied to be written to.
        let mut cells = Vec::with_capacity(self.cells.len() + 4);
        cells.extend_from_slice(&self.cells);
        Self { cells, blurred: self.blurred, lost: self.lost }
    }
}

/// What an operation on memory needs beside memory.
pub(crate) struct Context<'a> {
    pub(crate) builder: &'a mut Builder,
    pub(crate) small: &'a [ExprId],
    pub(crate) order: &'a mut PhiOrder,
    /// Where the operation stands: identifies unknown words that it makes.
    pub(crate) node: u32,
    pub(crate) pc: Pc,
}

impl Context<'_> {
    fn bounds(&mut self) -> Bounds<'_> {
        Bounds { builder: self.builder, small: self.small, order: self.order }
    }
}

/// The address in cell form; `None` for a constant that no gas can pay for.
pub(crate) fn address(builder: &mut Builder, id: ExprId) -> Option<Address> {
    let zero = builder.zero();
    if let Some(value) = builder.value(id) {
        return (value.bit_len() <= LENGTH_BITS).then(|| Address { base: zero, offset: value.to::<i64>() });
    }
    let (base, constant) = builder.split_sum(id);
    Some(match small_signed(constant) {
        Some(offset) => Address { base, offset },
        None => Address { base: id, offset: 0 },
    })
}

pub(crate) fn length(builder: &Builder, id: ExprId) -> Option<Length> {
    match builder.value(id) {
        Some(value) => (value.bit_len() <= LENGTH_BITS).then(|| Length::Fixed(value.to::<u64>())),
        None => Some(Length::Symbolic(id)),
    }
}

impl Address {
    pub(crate) fn expression(self, builder: &mut Builder) -> ExprId {
        let offset = builder.constant(if self.offset >= 0 {
            U256::from(self.offset as u64)
        } else {
            U256::from(self.offset.unsigned_abs()).wrapping_neg()
        });
        builder.add(self.base, offset)
    }

    fn plus(self, bytes: u64) -> Self {
        Self { base: self.base, offset: self.offset + bytes as i64 }
    }
}

impl Memory {
    /// What the bytes of every cell may depend on, and what was lost.
    pub(crate) fn sources(&self, builder: &Builder) -> Sources {
        self.cells.iter().fold(self.lost, |all, cell| all.with(content_sources(builder, cell.content)))
    }

    fn drop_cell(&mut self, index: usize, builder: &Builder) {
        let cell = self.cells.remove(index);
        self.lose(builder, cell.content);
    }

    fn lose(&mut self, builder: &Builder, content: Content) {
        self.lost = self.lost.with(content_sources(builder, content));
    }

    /// Removes or cuts what a write of `length` bytes at `at` may overlap.
    fn clear(&mut self, cx: &mut Context<'_>, at: Address, length: Length) {
        let mut index = 0;
        let mut group: Option<(ExprId, Option<i128>, Option<i128>)> = None;
        while index < self.cells.len() {
            let cell = self.cells[index];
            if cell.base == at.base {
                index = self.clear_same_base(cx, index, at, length);
                continue;
            }
            let (above, below) = match group {
                Some((base, above, below)) if base == cell.base => (above, below),
                _ => {
                    let mut bounds = cx.bounds();
                    let above = bounds.difference(at.base, cell.base);
                    let below = bounds.difference(cell.base, at.base);
                    group = Some((cell.base, above, below));
                    (above, below)
                }
            };
            let write_after = above.is_some_and(|above| {
                let gap = above + i128::from(at.offset) - i128::from(cell.offset);
                match cell.length {
                    Length::Fixed(bytes) => gap >= i128::from(bytes),
                    Length::Symbolic(_) => false,
                }
            }) || Self::starts_after(cx, at, cell);
            let write_before = below.is_some_and(|below| {
                let gap = below + i128::from(cell.offset) - i128::from(at.offset);
                matches!(length, Length::Fixed(bytes) if gap >= i128::from(bytes))
            });
            if write_after || write_before || length == Length::Fixed(0) {
                index += 1;
            } else {
                self.blurred = true;
                self.drop_cell(index, cx.builder);
            }
        }
        let zero = cx.builder.zero();
        if at.base != zero || matches!(length, Length::Symbolic(_)) {
            self.blurred = true;
        }
    }

    /// Whether a write at `at` starts at or after the end of a cell of symbolic length.
    fn starts_after(cx: &mut Context<'_>, at: Address, cell: Cell) -> bool {
        let Length::Symbolic(length) = cell.length else { return false };
        let start = Address { base: cell.base, offset: cell.offset }.expression(cx.builder);
        let end = cx.builder.add(start, length);
        let at = at.expression(cx.builder);
        cx.bounds().difference(at, end).is_some_and(|gap| gap >= 0)
    }

    /// Handles the cell at `index`, on the base that is written; returns the index to go on with.
    fn clear_same_base(&mut self, cx: &mut Context<'_>, index: usize, at: Address, length: Length) -> usize {
        let cell = self.cells[index];
        match (cell.length, length) {
            (Length::Fixed(bytes), _) if cell.offset + bytes as i64 <= at.offset => index + 1,
            (_, Length::Fixed(written)) if at.offset + written as i64 <= cell.offset => index + 1,
            (Length::Fixed(bytes), Length::Fixed(written)) => {
                let (start, end) = (cell.offset, cell.offset + bytes as i64);
                let (cut, resume) = (at.offset, at.offset + written as i64);
                self.cells.remove(index);
                let mut next = index;
                if start < cut {
                    self.cells.insert(next, Cell { length: Length::Fixed((cut - start) as u64), ..cell });
                    next += 1;
                }
                if resume < end {
                    let skip = (resume - start) as u64;
                    let content = skip_bytes(cx.builder, cell.content, skip);
                    let rest = Length::Fixed((end - resume) as u64);
                    self.cells.insert(next, Cell { offset: resume, length: rest, content, ..cell });
                    next += 1;
                }
                next
            }
            (Length::Fixed(_), Length::Symbolic(_)) if cell.offset < at.offset => {
                let kept = (at.offset - cell.offset) as u64;
                self.cells[index].length = Length::Fixed(kept);
                index + 1
            }
            _ if Self::starts_after(cx, at, cell) => index + 1,
            _ => {
                self.blurred = true;
                self.drop_cell(index, cx.builder);
                index
            }
        }
    }

    fn insert(&mut self, cell: Cell) {
        let key = (cell.base, cell.offset);
        let index = self.cells.partition_point(|other| (other.base, other.offset) < key);
        self.cells.insert(index, cell);
    }

    /// Writes one word.
    pub(crate) fn store_word(&mut self, cx: &mut Context<'_>, at: Address, word: ExprId) {
        // The commonest case: the same word again.
        if let Ok(index) =
            self.cells.binary_search_by_key(&(at.base, at.offset), |cell| (cell.base, cell.offset))
            && self.cells[index].length == Length::Fixed(32)
            && at.base == cx.builder.zero()
            && self.cells.first().is_some_and(|cell| cell.base == at.base)
            && self.cells.last().is_some_and(|cell| cell.base == at.base)
        {
            self.cells[index].content = Content::Word { word, from: 0 };
            return;
        }
        self.clear(cx, at, Length::Fixed(32));
        self.insert(Cell {
            base: at.base,
            offset: at.offset,
            length: Length::Fixed(32),
            content: Content::Word { word, from: 0 },
        });
    }

    /// Writes the least significant byte of a word.
    pub(crate) fn store_byte(&mut self, cx: &mut Context<'_>, at: Address, word: ExprId) {
        self.clear(cx, at, Length::Fixed(1));
        let content = Content::Word { word, from: 31 };
        self.insert(Cell { base: at.base, offset: at.offset, length: Length::Fixed(1), content });
    }

    /// Writes a run of bytes with one meaning.
    pub(crate) fn store(&mut self, cx: &mut Context<'_>, at: Address, length: Length, content: Content) {
        if length == Length::Fixed(0) {
            return;
        }
        self.clear(cx, at, length);
        if let (Length::Fixed(bytes), Content::Calldata { offset }) = (length, content)
            && bytes <= MAX_EXPANDED
        {
            for start in (0..bytes).step_by(32) {
                let step = cx.builder.number(start);
                let source = cx.builder.add(offset, step);
                let word = cx.builder.calldata_word(source);
                self.insert(Cell {
                    base: at.base,
                    offset: at.offset + start as i64,
                    length: Length::Fixed((bytes - start).min(32)),
                    content: Content::Word { word, from: 0 },
                });
            }
            return;
        }
        self.insert(Cell { base: at.base, offset: at.offset, length, content });
    }

    /// Writes consecutive pieces of constant length, as read from elsewhere.
    pub(crate) fn store_pieces(&mut self, cx: &mut Context<'_>, at: Address, pieces: &[Piece]) {
        let mut at = at;
        for piece in pieces {
            match *piece {
                Piece::Word { word, from, to } => {
                    let length = Length::Fixed(u64::from(to - from));
                    self.clear(cx, at, length);
                    let content = Content::Word { word, from };
                    self.insert(Cell { base: at.base, offset: at.offset, length, content });
                    at = at.plus(u64::from(to - from));
                }
                Piece::Calldata { length, .. } | Piece::Opaque { length, .. } => {
                    let content = match *piece {
                        Piece::Calldata { offset, .. } => Content::Calldata { offset },
                        Piece::Opaque { value, .. } => Content::Opaque { value },
                        Piece::Word { .. } => return,
                    };
                    let Some(bytes) = self::length(cx.builder, length) else { return };
                    self.store(cx, at, bytes, content);
                    match bytes {
                        Length::Fixed(bytes) => at = at.plus(bytes),
                        Length::Symbolic(length) => {
                            let end = at.expression(cx.builder);
                            let end = cx.builder.add(end, length);
                            match address(cx.builder, end) {
                                Some(next) => at = next,
                                None => return,
                            }
                        }
                    }
                }
            }
        }
    }

    /// The 32 bytes at `at` as a word.
    pub(crate) fn load_word(&self, cx: &mut Context<'_>, at: Address) -> ExprId {
        if let Ok(index) =
            self.cells.binary_search_by_key(&(at.base, at.offset), |cell| (cell.base, cell.offset))
            && let Cell { length: Length::Fixed(32), content: Content::Word { word, from: 0 }, .. } =
                self.cells[index]
        {
            return word;
        }
        let pieces = self.read_fixed(cx, at, 32);
        self.join_pieces(cx, &pieces)
    }

    /// A word out of pieces that are 32 bytes long together.
    fn join_pieces(&self, cx: &mut Context<'_>, pieces: &[Piece]) -> ExprId {
        let mut result = cx.builder.zero();
        let mut position = 0usize;
        for piece in pieces {
            let Piece::Word { word, from, to } = *piece else {
                return self.unknown(cx);
            };
            let (from, to) = (usize::from(from), usize::from(to));
            let aligned = cx.builder.shr(8 * (32 - to), word);
            let width = to - from;
            let part = if width == 32 {
                aligned
            } else {
                cx.builder.and_mask(aligned, (U256::from(1) << (8 * width)) - U256::from(1))
            };
            position += width;
            let placed = cx.builder.shl(8 * (32 - position), part);
            result = cx.builder.binary(op::OR, result, placed);
        }
        result
    }

    fn unknown(&self, cx: &mut Context<'_>) -> ExprId {
        let sources = self.sources(cx.builder);
        let site = cx.builder.expressions.intern_site(cx.node, cx.pc);
        cx.builder.unknown(site, sources)
    }

    /// `bytes` bytes from `at`, in pieces.
    pub(crate) fn read_fixed(&self, cx: &mut Context<'_>, at: Address, bytes: u64) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if bytes > MAX_READ {
            let length = cx.builder.number(bytes);
            pieces.push(Piece::Opaque { value: self.unknown(cx), length });
            return pieces;
        }
        let (mut position, end) = (at.offset, at.offset + bytes as i64);
        let absolute = at.base == cx.builder.zero();
        let mut cells = self.cells.iter().filter(|cell| cell.base == at.base).peekable();
        while position < end {
            while let Some(cell) = cells.peek()
                && matches!(cell.length, Length::Fixed(bytes) if cell.offset + bytes as i64 <= position)
            {
                cells.next();
            }
            match cells.peek() {
                Some(cell) if cell.offset <= position => {
                    let Length::Fixed(length) = cell.length else {
                        // How far a copy of symbolic length reaches is not known: the rest may be anything.
                        let length = cx.builder.number((end - position) as u64);
                        pieces.push(Piece::Opaque { value: self.unknown(cx), length });
                        return pieces;
                    };
                    let skip = (position - cell.offset) as u64;
                    let take = (length - skip).min((end - position) as u64);
                    push_content(cx.builder, cell.content, skip, take, &mut pieces);
                    position += take as i64;
                }
                next => {
                    let until = next.map_or(end, |cell| cell.offset.min(end));
                    let gap = (until - position) as u64;
                    if absolute && !self.blurred {
                        let zero = cx.builder.zero();
                        for start in (0..gap).step_by(32) {
                            let to = (gap - start).min(32) as u8;
                            pieces.push(Piece::Word { word: zero, from: 0, to });
                        }
                    } else {
                        let length = cx.builder.number(gap);
                        pieces.push(Piece::Opaque { value: self.unknown(cx), length });
                    }
                    position = until;
                }
            }
        }
        pieces
    }

    /// `length` bytes from `at`, in pieces; what is not known is one opaque piece.
    pub(crate) fn read(&self, cx: &mut Context<'_>, at: Address, length: Length) -> Vec<Piece> {
        let total = match length {
            Length::Fixed(bytes) => return self.read_fixed(cx, at, bytes),
            Length::Symbolic(total) => total,
        };
        let mut pieces = Vec::new();
        let (mut here, mut remaining) = (at, total);
        for _ in 0..16 {
            let found = self.cells.iter().find(|cell| cell.base == here.base && cell.offset == here.offset);
            let Some(cell) = found else { break };
            let bytes = match cell.length {
                Length::Fixed(bytes) => cx.builder.number(bytes),
                Length::Symbolic(bytes) => bytes,
            };
            // The cell must not reach past the end of what is read.
            let rest = cx.builder.sub(remaining, bytes);
            if rest != cx.builder.zero() && cx.bounds().difference(remaining, bytes).is_none_or(|gap| gap < 0)
            {
                break;
            }
            match (cell.content, cell.length) {
                (content, Length::Fixed(bytes)) => push_content(cx.builder, content, 0, bytes, &mut pieces),
                (Content::Calldata { offset }, _) => pieces.push(Piece::Calldata { offset, length: bytes }),
                (Content::Opaque { value } | Content::Word { word: value, .. }, _) => {
                    pieces.push(Piece::Opaque { value, length: bytes });
                }
            }
            if rest == cx.builder.zero() {
                return pieces;
            }
            remaining = rest;
            let next = here.expression(cx.builder);
            let next = cx.builder.add(next, bytes);
            let Some(next) = address(cx.builder, next) else { break };
            here = next;
        }
        // The last word is often the slot of a mapping with a key of unknown length.
        let start = here.expression(cx.builder);
        let end = cx.builder.add(start, remaining);
        let word_size = cx.builder.number(32);
        let last = cx.builder.sub(end, word_size);
        let tail = address(cx.builder, last).and_then(|last| {
            self.cells.iter().find(|cell| {
                cell.base == last.base
                    && cell.offset == last.offset
                    && cell.length == Length::Fixed(32)
                    && matches!(cell.content, Content::Word { from: 0, .. })
            })
        });
        let value = self.unknown(cx);
        if let Some(Cell { content: Content::Word { word, .. }, .. }) = tail {
            let length = cx.builder.sub(remaining, word_size);
            pieces.push(Piece::Opaque { value, length });
            pieces.push(Piece::Word { word: *word, from: 0, to: 32 });
        } else {
            pieces.push(Piece::Opaque { value, length: remaining });
        }
        pieces
    }

    /// Every word that the given range may hold a part of, and whether it may also hold bytes that were lost.
    pub(crate) fn words_in(&self, cx: &mut Context<'_>, at: Address, length: Length) -> (Vec<ExprId>, bool) {
        if let Length::Fixed(bytes) = length
            && bytes <= MAX_READ
        {
            let pieces = self.read_fixed(cx, at, bytes);
            let mut words = Vec::new();
            let mut lost = false;
            for piece in &pieces {
                match *piece {
                    Piece::Word { word, .. } => words.push(word),
                    Piece::Calldata { .. } => {}
                    Piece::Opaque { value, .. } => {
                        words.push(value);
                        lost = true;
                    }
                }
            }
            return (words, lost);
        }
        // Everything that does not provably end before the range starts.
        let mut words = Vec::new();
        for cell in &self.cells {
            let before = match cell.length {
                Length::Fixed(bytes) => {
                    let gap = if cell.base == at.base {
                        Some(0)
                    } else {
                        cx.bounds().difference(at.base, cell.base)
                    };
                    gap.is_some_and(|gap| {
                        gap + i128::from(at.offset) - i128::from(cell.offset) >= i128::from(bytes)
                    })
                }
                Length::Symbolic(_) => false,
            };
            if !before {
                match cell.content {
                    Content::Word { word, .. } | Content::Opaque { value: word } => words.push(word),
                    Content::Calldata { .. } => {}
                }
            }
        }
        (words, true)
    }
}

fn content_sources(builder: &Builder, content: Content) -> Sources {
    match content {
        Content::Word { word, .. } | Content::Opaque { value: word } => builder.expressions.sources(word),
        Content::Calldata { offset } => builder.expressions.sources(offset).with(Sources::CALLDATA),
    }
}

/// The content of the same bytes without the first `skip`.
fn skip_bytes(builder: &mut Builder, content: Content, skip: u64) -> Content {
    match content {
        Content::Word { word, from } => Content::Word { word, from: from + skip as u8 },
        Content::Calldata { offset } => {
            let skip = builder.number(skip);
            Content::Calldata { offset: builder.add(offset, skip) }
        }
        // The unknown word only names the bytes: another word names what follows them.
        Content::Opaque { value } => {
            let skip = builder.number(skip);
            Content::Opaque { value: builder.add(value, skip) }
        }
    }
}

fn push_content(builder: &mut Builder, content: Content, skip: u64, take: u64, pieces: &mut Vec<Piece>) {
    match skip_bytes(builder, content, skip) {
        Content::Word { word, from } => pieces.push(Piece::Word { word, from, to: from + take as u8 }),
        Content::Calldata { offset } => {
            let mut start = 0;
            while start < take {
                let step = builder.number(start);
                let source = builder.add(offset, step);
                let word = builder.calldata_word(source);
                let to = (take - start).min(32) as u8;
                pieces.push(Piece::Word { word, from: 0, to });
                start += 32;
            }
        }
        Content::Opaque { value } => {
            let length = builder.number(take);
            pieces.push(Piece::Opaque { value, length });
        }
    }
}
