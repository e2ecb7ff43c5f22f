//! One call or creation while it is followed.

use std::sync::Arc;

use alloy_primitives::Address;
use deconflict_analyzer::{Slice, Variant};

use super::gas::{Asked, Given, Left};
use super::ledger::LedgerPlace;
use super::node::NodeId;
use super::recipe;
use super::region::Region;
use super::taint::Taint;
use super::touched_state::{AccountId, Checkpoint, Word};

/// Frames that wait or are spare. Each has a place of its own: they change hands at every call, and are large.
pub(super) type Frames = Vec<Box<Frame>>;

/// The state of one frame.
#[derive(Clone)]
pub(super) struct Frame {
    pub slice: Arc<Slice>,
    /// The operation that comes next.
    pub ip: usize,
    /// Where the window of the trace starts on the stack.
    pub base: usize,
    /// How many words of `stack` are the machine's stack; above them are registers.
    pub height: usize,
    pub stack: Vec<Word>,
    pub memory: Region,
    pub call_data: Region,
    pub return_data: Region,
    /// Where the length of the return data comes from.
    pub return_size_taint: Taint,
    /// The expressions of its address and its caller, while a path is recorded.
    pub address_node: NodeId,
    pub caller_node: NodeId,
    /// A word that is not zero where the return data has the length that it has; constant if nothing decides that.
    pub return_size_word: Word,
    /// Whose storage is touched.
    pub account: AccountId,
    pub address: Address,
    pub caller: Address,
    pub value: Word,
    pub is_static: bool,
    /// The state to come back to if the frame fails.
    pub checkpoint: Checkpoint,
    pub trail_checkpoint: recipe::TrailMark,
    /// How many bytes of memory are paid for, those that nothing kept touches included.
    pub paid: usize,
    /// The gas that is left.
    pub left: Left,
    /// The gas that it started with.
    pub given: Left,
    /// What its caller is short of for it, and what that caller named.
    pub taken: Left,
    pub asked: Asked,
    /// What it got beside for the value that it was sent.
    pub stipend: u64,
    /// The gas that the transaction had left at most when the frame started.
    pub outset: u64,
    /// The gas that the instructions of the trace it is in take at the least.
    pub trace_gas: u64,
    /// The account that is being created, if this runs creation code.
    pub creates: Option<AccountId>,
    /// What to do with the result of the frame above.
    pub resume: Resume,
}

/// What a frame does with the result of the one that it started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resume {
    /// The register that takes success or the address.
    pub to: usize,
    /// Where the output goes.
    pub output: usize,
    /// How much of it.
    pub output_length: usize,
    /// Whether this frame fails if the other does.
    pub success_required: bool,
    /// The gas of instructions behind the call that is counted as spent already.
    pub ahead: u64,
}

impl Frame {
    /// A frame with room from an earlier one, about to run `slice` from its start.
    pub(super) fn start(&mut self, slice: Arc<Slice>) {
        self.ip = slice.entry.0 as usize;
        self.slice = slice;
        self.base = 0;
        self.height = 0;
        self.memory.clear();
        self.return_data.clear();
        self.return_size_taint = Taint::CLEAN;
        self.address_node = NodeId::CONSTANT;
        self.caller_node = NodeId::CONSTANT;
        self.return_size_word = Word::default();
        self.trail_checkpoint = recipe::TrailMark::default();
        self.paid = 0;
        self.give(Given::default());
        self.trace_gas = 0;
        self.creates = None;
        self.resume = Resume::default();
    }

    /// Lets the frame start with what it was given.
    pub(super) fn give(&mut self, given: Given) {
        let Given { asked, taken, left, stipend } = given;
        (self.left, self.given, self.taken) = (left, left, taken);
        (self.asked, self.stipend) = (asked, stipend);
    }

    /// Whether it may fail while its caller goes on.
    pub(super) fn fails_alone(&self) -> bool {
        self.slice.variant == Variant::Strict
    }

    /// Where the frame is, at a program counter.
    pub(super) fn place(&self, pc: u32) -> LedgerPlace {
        LedgerPlace { code_hash: self.slice.hash, selector: self.selector(), pc }
    }

    /// The first four bytes of calldata, zeros where there are fewer.
    pub(super) fn selector(&self) -> [u8; 4] {
        self.call_data.bytes().first_chunk().copied().unwrap_or_default()
    }
}
