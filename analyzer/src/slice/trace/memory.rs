//! What a trace knows of memory, and the instructions that load, store, hash and copy it.
//!
//! Words that were stored at a known offset are taken from there instead of from memory, and a store that nothing reads
//! before the next to the same place is left out. A write to a place that is not known forgets everything.

use revm_bytecode::opcode;
use revm_interpreter::instructions::gas;
use rustc_hash::FxHashMap;

use super::Tracer;
use crate::slice::program::{CopySource, Op};
use crate::slice::values::Value;

/// What the trace knows of memory: words at an offset from a base.
#[derive(Default)]
pub(super) struct KnownMemory {
    base: Option<Value>,
    words: FxHashMap<u64, Value>,
    /// Stores that nothing has read yet, by offset from the base.
    pub(super) unread: FxHashMap<u64, usize>,
}

impl KnownMemory {
    pub(super) fn forget(&mut self) {
        self.words.clear();
        self.unread.clear();
    }

    /// Makes `base` the base that offsets are from.
    fn rebase(&mut self, base: Option<Value>) {
        if self.base != base {
            self.forget();
            self.base = base;
        }
    }

    /// Notes that a word is read: stores to the same base that are apart from it stay unread.
    fn read_word(&mut self, address: Option<(Option<Value>, u64)>) {
        match address {
            Some((base, at)) if base == self.base => {
                self.unread.retain(|stored, _| stored.abs_diff(at) >= 32);
            }
            _ => self.unread.clear(),
        }
    }

    fn overwrite(&mut self, offset: u64, length: u64) {
        let end = offset.saturating_add(length);
        let apart = |at: u64| at.saturating_add(32) <= offset || at >= end;
        self.words.retain(|at, _| apart(*at));
        self.unread.retain(|at, _| apart(*at));
    }
}

impl Tracer<'_, '_> {
    pub(super) fn memory_word(&mut self, op: u8) {
        let offset = self.pop();
        let address = self.values.address(offset);
        match op {
            opcode::MSTORE => {
                let word = self.pop();
                let index = self.values.operations.len();
                self.values.effect(Op::MStore { offset, word });
                let Some((base, at)) = address else { return self.memory.forget() };
                self.memory.rebase(base);
                if !self.keeps_memory_size
                    && let Some(unread) = self.memory.unread.remove(&at)
                {
                    self.dead.insert(unread);
                }
                self.memory.overwrite(at, 32);
                self.memory.words.insert(at, word);
                self.memory.unread.insert(at, index);
            }
            opcode::MSTORE8 => {
                let word = self.pop();
                self.values.effect(Op::MStore8 { offset, word });
                let Some((base, at)) = address else { return self.memory.forget() };
                self.memory.rebase(base);
                self.memory.overwrite(at, 1);
            }
            opcode::MLOAD => {
                let forwarded = address.and_then(|(base, at)| self.known_word(base, at));
                let value = match forwarded {
                    Some(word) if !self.keeps_memory_size => word,
                    _ => {
                        self.memory.read_word(address);
                        self.values.effect(Op::MLoad { to: 0, offset })
                    }
                };
                self.stack.push(value);
            }
            _ => {
                let length = self.pop();
                let forwarded = match (address, self.values.offset(length)) {
                    (Some((base, at)), Some(64)) => {
                        let first = self.known_word(base, at);
                        first.zip(self.known_word(base, at + 32)).map(|(first, second)| Op::KeccakPair {
                            to: 0,
                            first,
                            second,
                        })
                    }
                    (Some((base, at)), Some(32)) => {
                        self.known_word(base, at).map(|word| Op::KeccakWord { to: 0, word })
                    }
                    _ => None,
                };
                let value = match forwarded {
                    Some(operation) if !self.keeps_memory_size => {
                        // Hashing the same words again costs the same again.
                        let words = if matches!(operation, Op::KeccakPair { .. }) { 2 } else { 1 };
                        self.charge(words * gas::KECCAK256WORD);
                        self.values.shared(operation)
                    }
                    _ => {
                        self.memory.unread.clear();
                        self.values.effect(Op::Keccak { to: 0, offset, length })
                    }
                };
                self.stack.push(value);
            }
        }
    }

    fn known_word(&self, base: Option<Value>, at: u64) -> Option<Value> {
        if self.memory.base == base { self.memory.words.get(&at).copied() } else { None }
    }

    pub(super) fn copy(&mut self, op: u8) {
        let (into, from, length) = (self.pop(), self.pop(), self.pop());
        let source = match op {
            opcode::CALLDATACOPY => CopySource::CallData,
            opcode::CODECOPY => CopySource::Code,
            opcode::RETURNDATACOPY => CopySource::ReturnData,
            _ => CopySource::Memory,
        };
        // Out of bounds, RETURNDATACOPY halts: it is kept even where nothing is copied.
        if self.values.offset(length) == Some(0) && source != CopySource::ReturnData {
            return;
        }
        if source == CopySource::Memory {
            self.memory.unread.clear();
        }
        self.values.effect(Op::Copy { source, into, from, length });
        self.written(into, length);
    }

    /// Notes that a range of memory holds other bytes now.
    pub(super) fn written(&mut self, offset: Value, length: Value) {
        if self.values.offset(length) == Some(0) {
            return;
        }
        match (self.values.address(offset), self.values.offset(length)) {
            (Some((base, at)), Some(length)) if base == self.memory.base => self.memory.overwrite(at, length),
            _ => self.memory.forget(),
        }
    }
}
