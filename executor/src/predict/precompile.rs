//! Calls to precompiles.
//!
//! In: which one, and its input in memory. Out: the result of the call. Those that check curves and signatures cost more
//! than all else, and mostly decide nothing but whether the transaction reverts: they are put off, or not computed.

use alloy_primitives::{Address, U256};
use revm::DatabaseRef;

use super::frame::Frame;
use super::gas::{Asked, Given, Level};
use super::machine::{Path, PredictionMachine};
use super::node::NodeId;
use super::price::{depends_on_input, price};
use super::recipe::Trail;
use super::taint::Taint;
use super::touched_state::Word;

/// Gas that every precompile does with, on any input that a transaction can afford.
const AMPLE_GAS: u64 = 5_000_000;

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    pub(super) fn precompile(&self, address: &Address) -> Option<Precompiled> {
        if address.0[..18] != [0; 18] {
            return None;
        }
        self.precompiles.get(address).map(|_| Precompiled(*address))
    }

    /// Settles a call to a precompile. Those that check curves and signatures cost more than all else, and mostly
    /// decide nothing but whether the transaction reverts. A signer is recovered when one is asked for; the others are
    /// not computed at all.
    pub(super) fn run_precompile(
        &mut self,
        path: &mut Path,
        Precompiled(address): Precompiled,
        (input, input_length): (usize, usize),
        given: &Given,
        lean: bool,
    ) -> Option<bool> {
        let number = u16::from_be_bytes([address.0[18], address.0[19]]);
        let taint = path.frame.memory.taint(input, input_length, &self.ledger.marks);
        let deferred_length = match number {
            0x01 | 0x08 | 0x0f | 0x100 => Some(32),
            0x06 | 0x07 | 0x09 | 0x0a => Some(64),
            0x0b | 0x0c | 0x10 => Some(128),
            0x0d | 0x0e | 0x11 => Some(256),
            // The result is as long as the modulus, whose length is in the third word.
            0x05 if !taint.is_unknown() => {
                let length = path.frame.memory.word(input + 64);
                usize::try_from(length).ok().filter(|length| input_length >= 96 && *length <= 1_024)
            }
            _ => None,
        };
        let deferred = if number == 0x01 { Taint::SIGNATURE } else { Taint::CURVE };
        let left = path.frame.left;
        if !self.pay_for_precompile(path, (number, input, input_length), taint, given, lean) {
            return None;
        }
        // A limit that was meant may be too low, and one that fails burns all the gas it was given, which matters to a
        // caller that goes on: then it is computed whether it fails.
        let is_meant = matches!(given.asked, Asked::Number(number) if number <= AMPLE_GAS);
        let deferred_length =
            deferred_length.filter(|_| if number == 0x01 { !self.eager } else { lean && !is_meant });
        if let Some(length) = deferred_length {
            let taint = taint.union(deferred);
            path.frame.return_data.set_tainted(&[0; 1_024][..length], self.ledger.marks.mark(taint));
            if path.trail.is_some() {
                path.frame.return_data.set_unknown();
            }
            // Recovering a signature never fails; the others do on points that are off their curve.
            let result = if number == 0x01 {
                Word::clean(U256::from(1))
            } else {
                Word { node: NodeId::UNKNOWN, ..Word::new(U256::from(1), taint) }
            };
            return Some(self.settle_word(path, result, taint));
        }
        if number == 0x04 {
            let Frame { memory, return_data, .. } = &mut *path.frame;
            return_data.take(memory, input, input_length, &mut self.ledger.marks);
            return Some(self.settle(path, true));
        }
        let bytes = path.frame.memory.bytes().get(input..input + input_length).unwrap_or_default();
        let gas = self.tx.gas_limit.min(super::MAX_GAS);
        let mark = self.ledger.marks.mark(taint);
        if let Some(result) = self.ledger.results.precompile(self.rules, number, bytes, gas) {
            path.frame.return_data.set_tainted(&result.bytes, mark);
            let about = if taint.is_unknown() { taint } else { Taint::CLEAN };
            let mut size_word = Word::default();
            if let Some(trail) = &mut path.trail {
                let input = input..input + input_length;
                let frame = &mut path.frame;
                size_word = note_precompile(trail, number, frame, input, (result.bytes.len(), taint));
            }
            let node = if taint.is_unknown() { NodeId::UNKNOWN } else { NodeId::CONSTANT };
            let result = Word { node, ..Word::new(U256::from(1), about) };
            let goes_on = self.settle_word(path, result, about);
            path.frame.return_size_word = size_word;
            Some(goes_on)
        } else {
            if let Some(trail) = &mut path.trail {
                trail.give_up();
            }
            if !path.frame.resume.success_required {
                self.ledger.need(taint);
            }
            // It burns what it was given, of which the rest was taken for returned.
            path.frame.left = left;
            None
        }
    }

    /// Spends what a precompile costs. False if it is sure not to have enough, and its caller goes on.
    fn pay_for_precompile(
        &mut self,
        path: &mut Path,
        (number, input, input_length): (u16, usize, usize),
        taint: Taint,
        given: &Given,
        lean: bool,
    ) -> bool {
        let bytes = path.frame.memory.bytes().get(input..input + input_length).unwrap_or_default();
        let price =
            price(self.rules, number, bytes).filter(|_| !depends_on_input(number) || !taint.is_unknown());
        let Some(price) = price else {
            // It fails whatever it is given, or its price is not known.
            if taint.is_unknown() {
                path.gas_sources = path.gas_sources.union(Taint::UNKNOWN);
                if !lean {
                    self.announce_gas(path);
                }
            }
            return true;
        };
        if depends_on_input(number) && !taint.is_clean() {
            self.ledger.decide(taint);
        }
        let mut left = given.left;
        left.spend(price);
        if !lean && left.at(Level::Any) < 0 {
            if left.at(Level::Here) >= 0 {
                self.decide_gas(path);
            } else if path.knows_gas() {
                self.decide_gas(path);
                if let Some(trail) = &mut path.trail {
                    trail.give_up();
                }
                return false;
            } else {
                self.announce_gas(path);
            }
            left.rebase();
        }
        if !lean {
            let price = price as i64;
            self.rely_on(path, |_| price, (given.asked, given.stipend, given.taken));
        }
        path.frame.left.return_from(&left);
        true
    }
}

/// Writes down what a precompile returned. A word that is not zero where it returned so much.
fn note_precompile(
    trail: &mut Trail,
    number: u16,
    frame: &mut Frame,
    input: std::ops::Range<usize>,
    (length, taint): (usize, Taint),
) -> Word {
    let words = length.div_ceil(32);
    let (nodes, returned) = trail.precompile(number, &frame.memory, input, words as u32);
    frame.return_data.set_nodes(&nodes);
    match (number, nodes.first()) {
        // A signature that nobody made gives nothing, which only matters where something asks for the length; the two
        // hashes always succeed.
        (0x01, Some(signer)) => Word { node: *signer, ..Word::clean(frame.return_data.word(0)) },
        (0x02 | 0x03, _) => Word::default(),
        // These return as much for any input, if they do not fail, which is unknown already where the input is.
        (0x06..=0x08, _) if taint.is_unknown() => Word::default(),
        _ => {
            trail.require(returned, U256::from(length));
            Word::default()
        }
    }
}

/// The address of a precompile that is active.
#[derive(Clone, Copy, Debug)]
pub(super) struct Precompiled(Address);
