//! Expressions, slots and conditions as text that a Solidity developer reads.
//!
//! In: an expression and a [`Names`] that knows the contract's variables and parameters. Out: `balances[caller]`,
//! `slot 3[arg0]`, `a.caller == b.to`. Text is for people: nothing may parse it back.

use alloy_primitives::U256;

use crate::{
    access::{ByteRange, Condition},
    expression::{ExprId, Expressions},
    slot::Slot,
    summary::Entry,
};

/// Names that only the compiler's output knows.
pub trait Names {
    /// The name of the variable, with the path to the accessed part, such as `balances[to]` or `config.fee`; `key`
    /// renders the key or index expressions on the slot's path. `None` leaves the synthetic name.
    fn slot(&self, slot: &Slot, bytes: ByteRange, key: &mut dyn FnMut(ExprId) -> String) -> Option<String>;

    /// The parameter whose word stands at byte `offset` of the calldata of `entry` (the first one at 4).
    fn parameter(&self, entry: Entry, offset: U256) -> Option<String>;
}

/// No names: `slot 3[arg0]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Names for Plain {
    fn slot(&self, _: &Slot, _: ByteRange, _: &mut dyn FnMut(ExprId) -> String) -> Option<String> {
        None
    }

    fn parameter(&self, _: Entry, _: U256) -> Option<String> {
        None
    }
}

/// Renders what belongs to one entry of a contract.
#[derive(Clone, Copy)]
pub struct Render<'a> {
    /// The arena.
    pub expressions: &'a Expressions,
    /// The names.
    pub names: &'a dyn Names,
    /// Whose calldata a calldata word is.
    pub entry: Entry,
}

impl Render<'_> {
    /// A word.
    pub fn expression(&self, id: ExprId) -> String {
        let _ = id;
        String::new()
    }

    /// A location; the byte range is shown by its field's name, else as `{0..20}` when it is not the whole word.
    pub fn slot(&self, slot: &Slot, bytes: ByteRange) -> String {
        let _ = (slot, bytes);
        String::new()
    }

    /// A path condition, such as `from != 0`.
    pub fn condition(&self, condition: Condition) -> String {
        let _ = condition;
        String::new()
    }
}
