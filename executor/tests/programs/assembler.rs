//! Puts bytecode together, with labels.
//!
//! In: instructions, constants and labels in order. Out: bytes. It knows nothing of stacks or forks beyond which of two
//! ways there are to push a zero.

use alloy_primitives::U256;
use revm::bytecode::opcode as op;

/// A place to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// Bytecode in the making.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
    /// Where each label stands.
    places: Vec<usize>,
    /// Where two bytes have to be filled in, and from which label.
    holes: Vec<(usize, Label)>,
    has_push0: bool,
}

impl Assembler {
    /// Nothing yet. Zeros are pushed by `PUSH0` where that is defined.
    pub(crate) fn new(has_push0: bool) -> Self {
        Self { has_push0, ..Self::default() }
    }

    /// Adds bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    /// Pushes a constant in the shortest way.
    pub(crate) fn push(&mut self, word: U256) {
        let length = word.byte_len().max(usize::from(!self.has_push0));
        self.code.push(op::PUSH0 + length as u8);
        self.raw(&word.to_be_bytes::<32>()[32 - length..]);
    }

    /// A label that stands nowhere yet.
    pub(crate) fn label(&mut self) -> Label {
        self.places.push(0);
        Label(self.places.len() - 1)
    }

    /// Pushes where a label stands.
    pub(crate) fn push_label(&mut self, label: Label) {
        self.code.push(op::PUSH2);
        self.holes.push((self.code.len(), label));
        self.raw(&[0, 0]);
    }

    /// Puts a label here, as data.
    pub(crate) fn place_data(&mut self, label: Label) {
        self.places[label.0] = self.code.len();
    }

    /// Puts a label here, to jump to.
    pub(crate) fn place(&mut self, label: Label) {
        self.place_data(label);
        self.code.push(op::JUMPDEST);
    }

    /// The bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (hole, label) in &self.holes {
            let place = self.places[label.0] as u16;
            self.code[*hole..*hole + 2].copy_from_slice(&place.to_be_bytes());
        }
        self.code
    }
}
