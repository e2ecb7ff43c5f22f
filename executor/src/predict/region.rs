//! A run of bytes of which it is known where they come from: memory, calldata, return data.
//!
//! Bytes are exact; their sources are kept for four bytes at a time, because calldata puts its words four bytes off
//! after the selector. Storing part of such a cell adds to its sources and never takes any away.

use alloy_primitives::U256;

use super::node::{CALL_DATA, NodeId};
use super::taint::{Mark, Marks, Taint};

/// How many bytes share a mark.
const CELL: usize = 4;

/// No frame pays for more memory than this: beyond it the EVM is out of gas.
pub(super) const MAX_MEMORY: usize = 1 << 24;

/// Of no region with more bytes than this it is noted which word each byte belongs to.
const MAX_NODES: usize = 1 << 18;

/// No transaction has this much calldata: each byte costs gas.
const MAX_CALL_DATA: usize = 1 << 30;

/// How much room a region keeps when it is used again.
const MAX_ROOM: usize = 1 << 18;

/// Bytes and where they come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Region {
    bytes: Vec<u8>,
    /// A mark a cell, or nothing while all bytes are clean.
    marks: Vec<Mark>,
    /// While a path is recorded, the word that each byte belongs to and which of its bytes it is, the most significant
    /// first; or nothing while all bytes are constant.
    nodes: Vec<(NodeId, u32)>,
    /// Whether this is the transaction's calldata, on a path that is recorded.
    is_call_data: bool,
    /// Whether there are too many bytes to say of each which word it belongs to.
    has_lost_nodes: bool,
}

impl Region {
    /// Forgets the content but not the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
        self.nodes.clear();
        self.is_call_data = false;
        self.has_lost_nodes = false;
        // Room is kept for what is usual only.
        self.bytes.shrink_to(MAX_ROOM);
        self.marks.shrink_to(MAX_ROOM);
        self.nodes.shrink_to(MAX_ROOM);
    }

    /// Makes the content these bytes, all of them clean.
    pub(super) fn set(&mut self, bytes: &[u8]) {
        self.clear();
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Makes the content the transaction's calldata, on a path that is recorded.
    pub(super) fn set_call_data(&mut self, bytes: &[u8]) {
        self.set(bytes);
        self.is_call_data = true;
    }

    /// Whether some bytes may differ between the transactions of a path.
    pub(super) fn has_nodes(&self) -> bool {
        self.is_call_data || self.has_lost_nodes || !self.nodes.is_empty()
    }

    /// Makes room for a node a byte. False if there are too many bytes for that.
    fn hold_nodes(&mut self) -> bool {
        if self.has_lost_nodes || self.bytes.len() > MAX_NODES {
            self.has_lost_nodes = true;
            self.nodes = Vec::new();
            return false;
        }
        self.nodes.resize(self.bytes.len(), (NodeId::CONSTANT, 0));
        true
    }

    /// The word that a byte belongs to, and which of its bytes it is.
    pub(super) fn node(&self, at: usize) -> (NodeId, u32) {
        if self.is_call_data {
            // No transaction has so much calldata that there is anything but zeros further on.
            return if at < MAX_CALL_DATA { (CALL_DATA, at as u32) } else { (NodeId::CONSTANT, 0) };
        }
        if self.has_lost_nodes {
            return (NodeId::UNKNOWN, 0);
        }
        self.nodes.get(at).copied().unwrap_or_default()
    }

    /// The byte at an offset; zero past the end.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    /// Notes which word the bytes at an offset are; `skip` of its first bytes are left out.
    pub(super) fn set_node(&mut self, offset: usize, skip: usize, node: NodeId) {
        if node == NodeId::CONSTANT && self.nodes.is_empty() || !self.hold_nodes() {
            return;
        }
        for (at, byte) in (skip..32).enumerate() {
            if let Some(entry) = self.nodes.get_mut(offset + at) {
                *entry = if node == NodeId::CONSTANT { (node, 0) } else { (node, byte as u32) };
            }
        }
    }

    /// Notes which words the content is.
    pub(super) fn set_nodes(&mut self, nodes: &[NodeId]) {
        for (index, node) in nodes.iter().enumerate() {
            self.set_node(32 * index, 0, *node);
        }
    }

    /// Notes that nothing is known of the content.
    pub(super) fn set_unknown(&mut self) {
        self.nodes.clear();
        if self.hold_nodes() {
            self.nodes.fill((NodeId::UNKNOWN, 0));
        }
    }

    /// Notes which words the bytes of a range are that were copied from another region.
    fn copy_nodes(&mut self, into: usize, other: &Self, from: usize, length: usize) {
        if !other.has_nodes() && self.nodes.is_empty() || !self.hold_nodes() {
            return;
        }
        for (at, entry) in self.nodes[into..into + length].iter_mut().enumerate() {
            *entry = other.node(from.saturating_add(at));
        }
    }

    /// Grows to hold `end` bytes, rounded up to words.
    #[inline]
    pub(super) fn grow(&mut self, end: usize) {
        if end > self.bytes.len() {
            let size = end.next_multiple_of(32);
            self.bytes.resize(size, 0);
            if !self.marks.is_empty() {
                self.marks.resize(size / CELL, 0);
            }
            if !self.nodes.is_empty() {
                self.hold_nodes();
            }
        }
    }

    fn cells(offset: usize, length: usize) -> std::ops::Range<usize> {
        offset / CELL..(offset + length).div_ceil(CELL)
    }

    /// Where a range comes from; what is past the end comes from nowhere.
    pub(super) fn taint(&self, offset: usize, length: usize, marks: &Marks) -> Taint {
        if self.marks.is_empty() || length == 0 {
            return Taint::CLEAN;
        }
        let cells = Self::cells(offset, length);
        let end = cells.end.min(self.marks.len());
        marks.union(self.marks.get(cells.start.min(end)..end).unwrap_or_default())
    }

    /// The word at an offset; zeros past the end.
    #[inline]
    pub(super) fn word(&self, offset: usize) -> U256 {
        if let Some(bytes) = self.bytes.get(offset..offset.saturating_add(32)) {
            return U256::from_be_slice(bytes);
        }
        let mut word = [0; 32];
        if let Some(rest) = self.bytes.get(offset..) {
            word[..rest.len()].copy_from_slice(rest);
        }
        U256::from_be_bytes(word)
    }

    /// Stores a word; the region has to be large enough.
    #[inline]
    pub(super) fn store(&mut self, offset: usize, word: &U256, mark: Mark) {
        self.bytes[offset..offset + 32].copy_from_slice(&word.to_be_bytes::<32>());
        self.set_mark(offset, 32, mark);
    }

    /// Stores a byte; the region has to be large enough.
    pub(super) fn store_byte(&mut self, offset: usize, byte: u8, taint: Taint, marks: &mut Marks) {
        self.bytes[offset] = byte;
        let before = self.taint(offset, 1, marks);
        let mark = marks.mark(before.union(taint));
        if mark != 0 {
            self.mark_cells(Self::cells(offset, 1), mark);
        }
    }

    /// Marks a range that has been overwritten. Cells at its ends that are overwritten in part only would lose what
    /// the rest of them comes from, so a range that does not start and end with a cell takes the slow way.
    #[inline]
    fn set_mark(&mut self, offset: usize, length: usize, mark: Mark) {
        if mark == 0 && self.marks.is_empty() {
            return;
        }
        self.mark_cells(offset.div_ceil(CELL)..(offset + length) / CELL, mark);
    }

    fn mark_cells(&mut self, cells: std::ops::Range<usize>, mark: Mark) {
        if self.marks.is_empty() {
            self.marks.resize(self.bytes.len().div_ceil(CELL), 0);
        }
        if let Some(cells) = self.marks.get_mut(cells) {
            cells.fill(mark);
        }
    }

    /// Adds sources to the cells that a range covers in part.
    pub(super) fn blur_ends(&mut self, offset: usize, length: usize, taint: Taint, marks: &mut Marks) {
        for (at, whole) in
            [(offset, offset.is_multiple_of(CELL)), (offset + length, (offset + length).is_multiple_of(CELL))]
        {
            if !whole {
                let before = self.taint(at, 1, marks);
                let mark = marks.mark(before.union(taint));
                if mark != 0 {
                    self.mark_cells(Self::cells(at, 1), mark);
                }
            }
        }
    }

    /// Copies `length` bytes from another region, zeros where that ends; this one has to be large enough.
    pub(super) fn copy_from(
        &mut self,
        into: usize,
        other: &Self,
        from: usize,
        length: usize,
        marks: &mut Marks,
    ) {
        let present = other.bytes.len().saturating_sub(from).min(length);
        if present > 0 {
            self.bytes[into..into + present].copy_from_slice(&other.bytes[from..from + present]);
        }
        self.bytes[into + present..into + length].fill(0);
        self.copy_nodes(into, other, from, length);
        if other.marks.is_empty() {
            self.set_mark(into, length, 0);
            return;
        }
        let mut at = into;
        if into.is_multiple_of(CELL) && from.is_multiple_of(CELL) {
            if self.marks.is_empty() {
                self.marks.resize(self.bytes.len().div_ceil(CELL), 0);
            }
            let source = &other.marks[(from / CELL).min(other.marks.len())..];
            let whole = &mut self.marks[into / CELL..(into + length) / CELL];
            let (marked, clean) = whole.split_at_mut(source.len().min(whole.len()));
            marked.copy_from_slice(&source[..marked.len()]);
            clean.fill(0);
            at += length / CELL * CELL;
        }
        // Where the cells of the two do not meet, each takes what lies below it.
        while at < into + length {
            let end = (at / CELL * CELL + CELL).min(into + length);
            let taint = other.taint(from + (at - into), end - at, marks);
            let whole = at.is_multiple_of(CELL) && end.is_multiple_of(CELL);
            let before = if whole { Taint::CLEAN } else { self.taint(at, end - at, marks) };
            let mark = marks.mark(before.union(taint));
            if mark != 0 || !self.marks.is_empty() {
                self.mark_cells(Self::cells(at, end - at), mark);
            }
            at = end;
        }
    }

    /// Copies within the region, as `MCOPY` does; it has to be large enough.
    pub(super) fn copy_within(&mut self, into: usize, from: usize, length: usize, marks: &mut Marks) {
        let mut source = Self::default();
        source.bytes.resize(length, 0);
        source.copy_from(0, self, from, length, marks);
        self.copy_from(into, &source, 0, length, marks);
    }

    /// Copies clean bytes, zeros where they end; the region has to be large enough.
    pub(super) fn copy_bytes(&mut self, into: usize, other: &[u8], from: usize, length: usize) {
        let present = other.len().saturating_sub(from).min(length);
        if present > 0 {
            self.bytes[into..into + present].copy_from_slice(&other[from..from + present]);
        }
        self.bytes[into + present..into + length].fill(0);
        if !self.nodes.is_empty() {
            self.nodes[into..into + length].fill((NodeId::CONSTANT, 0));
        }
        self.set_mark(into, length, 0);
    }

    /// Makes the content a range of another region, zeros where that ends.
    pub(super) fn take(&mut self, other: &Self, from: usize, length: usize, marks: &mut Marks) {
        self.clear();
        self.bytes.resize(length, 0);
        self.copy_from(0, other, from, length, marks);
    }

    /// Makes the content these bytes, all from the same source.
    pub(super) fn set_tainted(&mut self, bytes: &[u8], mark: Mark) {
        self.set(bytes);
        if mark != 0 && !bytes.is_empty() {
            self.marks.resize(bytes.len().div_ceil(CELL), mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same with a set a byte, and nothing clever.
    #[derive(Default)]
    struct Plain(Vec<(u8, Taint)>);

    proptest! {
        #[test]
        fn sources_are_never_lost(
            steps in proptest::collection::vec((0..4_u8, 0..90_usize, 0..90_usize, 0..70_usize, 0..6_usize), 1..40),
        ) {
            let mut marks = Marks::default();
            let mut region = Region::default();
            region.grow(192);
            let mut plain = Plain(vec![(0, Taint::CLEAN); 192]);
            for (kind, into, from, length, source) in steps {
                let taint = if source == 0 { Taint::CLEAN } else { Taint::source(source) };
                match kind {
                    0 => {
                        let word = U256::from(into as u64 * 77 + 1) << 128;
                        let mark = marks.mark(taint);
                        region.blur_ends(into, 32, taint, &mut marks);
                        region.store(into, &word, mark);
                        for (index, byte) in word.to_be_bytes::<32>().into_iter().enumerate() {
                            plain.0[into + index] = (byte, taint);
                        }
                    }
                    1 => {
                        region.store_byte(into, 9, taint, &mut marks);
                        plain.0[into] = (9, taint);
                    }
                    2 => {
                        region.copy_within(into, from, length, &mut marks);
                        let copied = plain.0[from..from + length].to_vec();
                        plain.0[into..into + length].copy_from_slice(&copied);
                    }
                    _ => {
                        region.blur_ends(into, length, Taint::CLEAN, &mut marks);
                        region.copy_bytes(into, &[1, 2, 3], 0, length);
                        for index in 0..length {
                            plain.0[into + index] = ([1, 2, 3].get(index).copied().unwrap_or(0), Taint::CLEAN);
                        }
                    }
                }
                for (index, (byte, taint)) in plain.0.iter().enumerate() {
                    prop_assert_eq!(region.bytes()[index], *byte);
                    let found = region.taint(index, 1, &marks);
                    prop_assert_eq!(found.union(*taint), found, "byte {}", index);
                }
            }
        }
    }
}
