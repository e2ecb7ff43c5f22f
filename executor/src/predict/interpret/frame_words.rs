//! Words that the frame, its transaction or the block has.
//!
//! In: which word. Out: it, in its register.

use alloy_primitives::U256;
use deconflict_analyzer::FrameWord;
use revm::DatabaseRef;

use super::super::environment::{block_source, block_word};
use super::super::gas::Level;
use super::super::machine::Event;
use super::super::node::{NodeId, RecipeNode, TouchKind};
use super::super::taint::Taint;
use super::super::touched_state::Word;
use super::{Done, FrameRun, address_word};
use crate::access_set::AccountAccess;

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    pub(super) fn frame_word(&mut self, word: FrameWord, to: u16) {
        let frame = &*self.frame;
        let word = match word {
            FrameWord::Address => Word { node: frame.address_node, ..address_word(frame.address) },
            FrameWord::Caller => Word { node: frame.caller_node, ..address_word(frame.caller) },
            FrameWord::CallValue => frame.value,
            FrameWord::CallDataSize => {
                let size = U256::from(frame.call_data.len());
                let node = self.pen.node(|trail| {
                    // Other frames get what was decided to be as long as it is.
                    if self.is_outermost { trail.node(RecipeNode::CallDataSize) } else { NodeId::CONSTANT }
                });
                Word { node, ..Word::clean(size) }
            }
            FrameWord::CodeSize => Word::clean(U256::from(self.slice.code.len())),
            other => {
                let node = self.pen.node(|trail| trail.node(RecipeNode::Frame(other)));
                let value = block_word(other, self.tx, self.block, self.chain_id);
                let taint = block_source(other, self.tx).map(Taint::environment);
                Word { node, ..Word::new(value, taint.unwrap_or_default()) }
            }
        };
        self.put(to, word);
    }

    pub(super) fn self_balance(&mut self, to: u16) {
        let mut word = self.touched.balance(self.frame.account, self.state, &mut self.ledger.sources);
        self.ledger.accounts.push(AccountAccess::BalanceRead(self.frame.address));
        if let Some(trail) = self.pen.trail() {
            trail.touch(TouchKind::BalanceRead, self.frame.address_node);
            word.node = trail.balance(self.frame.address_node);
        }
        self.put(to, word);
    }

    pub(super) fn return_data_size(&mut self, to: u16) {
        let value = U256::from(self.frame.return_data.len());
        let taint = self.frame.return_size_taint;
        if let Some(trail) = self.pen.trail() {
            trail.branch(&self.frame.return_size_word);
        }
        let node = if RECORDS && taint.is_unknown() { NodeId::UNKNOWN } else { NodeId::CONSTANT };
        self.put(to, Word { value, taint, node });
    }

    pub(super) fn gas(&mut self, to: u16, ahead: u32) -> Done {
        let left = self.frame.left.at(Level::Here) + i64::from(ahead);
        let left = u64::try_from(left).unwrap_or_default();
        if left == 0 && !self.ledger.shortfalls.is_empty() {
            // What is announced need not be followed beyond its likely end.
            return Err(Event::Abandon);
        }
        self.put(to, Word { value: U256::from(left), taint: Taint::GAS, node: NodeId::UNKNOWN });
        Ok(())
    }
}
