//! Operations on the bytes of the frame: its memory, its calldata, what calls returned, its code; hashes of them.
//!
//! In: offsets and lengths, which have to be known. Out: words in registers, and bytes in memory, which grows and is paid
//! for as it does; a frame that asks for more than anybody can pay for halts.

use alloy_primitives::U256;
use deconflict_analyzer::{CopySource, Operand, Variant};
use revm::DatabaseRef;

use super::super::environment::clamp;
use super::super::gas::growth_gas;
use super::super::machine::Event;
use super::super::region::MAX_MEMORY;
use super::super::touched_state::Word;
use super::{Done, FrameRun};
use crate::access_set::ShortfallReason;

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    /// A number that memory can have as offset or length.
    #[inline]
    pub(super) fn number(&mut self, operand: Operand) -> Done<&U256> {
        self.require(self.taint(operand), ShortfallReason::UnknownMemory, self.trace_pc)?;
        if RECORDS {
            let word = self.word(operand);
            if let Some(trail) = self.pen.trail() {
                trail.fix(&word);
            }
        }
        Ok(self.value(operand))
    }

    /// Lets memory reach to an end.
    #[inline]
    fn grow(&mut self, end: usize) -> Done {
        if end > self.frame.memory.len() {
            if end > self.frame.paid {
                self.pay(growth_gas(self.frame.paid, end))?;
                self.frame.paid = end.next_multiple_of(32);
            }
            self.frame.memory.grow(end);
        }
        Ok(())
    }

    /// A range of memory, which grows to hold it.
    #[inline]
    pub(super) fn range(&mut self, offset: Operand, length: Operand) -> Done<(usize, usize)> {
        let length = *self.number(length)?;
        let offset = *self.number(offset)?;
        let (offset, length) = memory_range(&offset, &length).ok_or(Event::Halt)?;
        if length > 0 {
            self.grow(offset + length)?;
        }
        Ok((offset, length))
    }

    /// So many bytes of memory from an offset, which grows to hold them.
    #[inline]
    fn cell(&mut self, offset: Operand, length: usize) -> Done<usize> {
        let offset = small(self.number(offset)?).ok_or(Event::Halt)?;
        self.grow(offset + length)?;
        Ok(offset)
    }

    #[inline]
    pub(super) fn load(&mut self, to: u16, offset: Operand) -> Done {
        let offset = self.cell(offset, 32)?;
        let result = &mut self.frame.stack[self.base + usize::from(to)];
        result.value = self.frame.memory.word(offset);
        result.taint = self.frame.memory.taint(offset, 32, &self.ledger.marks);
        if let Some(trail) = self.pen.trail() {
            result.node = trail.word_of(&self.frame.memory, offset);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn store(&mut self, offset: Operand, word: Operand) -> Done {
        let offset = self.cell(offset, 32)?;
        let taint = self.taint(word);
        let mark = self.ledger.marks.mark(taint);
        if mark != 0 && !offset.is_multiple_of(4) {
            self.frame.memory.blur_ends(offset, 32, taint, &mut self.ledger.marks);
        }
        let value = match word.as_constant() {
            Some(index) => &self.slice.constants[index],
            None => &self.frame.stack[self.base + word.index()].value,
        };
        self.frame.memory.store(offset, value, mark);
        if RECORDS {
            let node = self.word(word).node;
            self.frame.memory.set_node(offset, 0, node);
        }
        Ok(())
    }

    pub(super) fn store_byte(&mut self, offset: Operand, word: Operand) -> Done {
        let offset = self.cell(offset, 1)?;
        let word = self.word(word);
        self.frame.memory.store_byte(offset, word.value.byte(0), word.taint, &mut self.ledger.marks);
        if RECORDS {
            self.frame.memory.set_node(offset, 31, word.node);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn keccak_pair(&mut self, to: u16, first: Operand, second: Operand) {
        let (first, second) = (self.word(first), self.word(second));
        let value = self.ledger.results.keccak_pair(first.value, second.value);
        let node = self.pen.node(|trail| trail.pair(&first, &second));
        self.put(to, Word { value, taint: first.taint.union(second.taint), node });
    }

    pub(super) fn keccak_word(&mut self, to: u16, word: Operand) {
        let word = self.word(word);
        let node = self.pen.node(|trail| trail.hash_of_word(&word));
        let value = self.ledger.results.keccak(&word.value.to_be_bytes::<32>());
        self.put(to, Word { value, taint: word.taint, node });
    }

    pub(super) fn keccak(&mut self, to: u16, offset: Operand, length: Operand) -> Done {
        let (offset, length) = self.range(offset, length)?;
        self.pay(6 * length.div_ceil(32) as u64)?;
        let bytes = &self.frame.memory.bytes()[offset..offset + length];
        let value = self.ledger.results.keccak(bytes);
        let taint = self.frame.memory.taint(offset, length, &self.ledger.marks);
        let node = self.pen.node(|trail| trail.hash(&self.frame.memory, offset, length));
        self.put(to, Word { value, taint, node });
        Ok(())
    }

    #[inline]
    pub(super) fn call_data_load(&mut self, to: u16, offset: Operand) -> Done {
        let offset = self.word(offset);
        self.require(offset.taint, ShortfallReason::UnknownMemory, self.trace_pc)?;
        if let Some(trail) = self.pen.trail() {
            trail.fix(&offset);
        }
        let at = clamp(offset.value);
        let value = self.frame.call_data.word(at);
        let taint = self.frame.call_data.taint(at, 32, &self.ledger.marks);
        let node = self.pen.node(|trail| trail.word_of(&self.frame.call_data, at));
        self.put(to, Word { value, taint, node });
        Ok(())
    }

    pub(super) fn copy(&mut self, source: CopySource, into: Operand, from: Operand, length: Operand) -> Done {
        let from = *self.number(from)?;
        let (into, length) = self.range(into, length)?;
        if source == CopySource::ReturnData {
            self.check_returned(from.saturating_add(U256::from(length)))?;
        }
        if length == 0 {
            return Ok(());
        }
        self.pay(3 * length.div_ceil(32) as u64)?;
        let from = clamp(from);
        if source == CopySource::Memory {
            if from > MAX_MEMORY - length {
                return Err(Event::Halt);
            }
            self.grow(from + length)?;
        }
        let (frame, marks) = (&mut *self.frame, &mut self.ledger.marks);
        match source {
            CopySource::Code => frame.memory.copy_bytes(into, &self.slice.code, from, length),
            CopySource::CallData => frame.memory.copy_from(into, &frame.call_data, from, length, marks),
            CopySource::ReturnData => frame.memory.copy_from(into, &frame.return_data, from, length, marks),
            CopySource::Memory => frame.memory.copy_within(into, from, length, marks),
        }
        Ok(())
    }

    /// Goes on only if so many bytes were returned.
    fn check_returned(&mut self, end: U256) -> Done {
        // A precompile that was put off may have failed and returned nothing: copying then halts, which matters where a
        // caller goes on.
        let taint = self.frame.return_size_taint;
        if taint.is_unknown() && self.slice.variant == Variant::Strict {
            self.require(taint, ShortfallReason::UnknownMemory, self.trace_pc)?;
        }
        if let Some(trail) = self.pen.trail() {
            trail.branch(&self.frame.return_size_word);
        }
        if end > U256::from(self.frame.return_data.len()) { Err(Event::Halt) } else { Ok(()) }
    }
}

/// A range of memory, or none where the EVM would run out of gas.
#[inline]
pub(super) fn memory_range(offset: &U256, length: &U256) -> Option<(usize, usize)> {
    let length = usize::try_from(*length).ok().filter(|length| *length <= MAX_MEMORY)?;
    if length == 0 {
        return Some((0, 0));
    }
    let offset = usize::try_from(*offset).ok().filter(|offset| *offset <= MAX_MEMORY - length)?;
    Some((offset, length))
}

/// An offset of a word in memory, or none where the EVM would run out of gas.
#[inline]
fn small(offset: &U256) -> Option<usize> {
    let limbs = offset.as_limbs();
    let fits = limbs[1] | limbs[2] | limbs[3] == 0 && limbs[0] <= (MAX_MEMORY - 32) as u64;
    fits.then_some(limbs[0] as usize)
}
