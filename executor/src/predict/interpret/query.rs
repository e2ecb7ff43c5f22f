//! Questions to the state about other accounts, and about blocks.
//!
//! In: a word that says which account or which block. Out: the answer in its register, or bytes in memory; and what was
//! touched by asking. Where it is not known who is asked about, the answer is not known either.

use alloy_primitives::U256;
use deconflict_analyzer::{Operand, QueryOp};
use revm::DatabaseRef;
use revm_bytecode::opcode;

use super::super::environment::{block_hash, clamp};
use super::super::machine::Event;
use super::super::node::{NodeId, RecipeNode, TouchKind};
use super::super::taint::Taint;
use super::super::touched_state::{AccountCode, Word};
use super::{Done, FrameRun};
use crate::access_set::{AccountAccess, ShortfallReason};

impl<D: DatabaseRef, const RECORDS: bool> FrameRun<'_, D, RECORDS> {
    pub(super) fn query(&mut self, op: QueryOp, to: u16, a: Operand) {
        let a = self.word(a);
        let word = if self.ledger.need(a.taint) {
            match op {
                QueryOp::BlobHash => self.blob_hash(&a),
                QueryOp::BlockHash => self.block_hash(&a),
                QueryOp::Balance => self.balance(&a),
                QueryOp::ExtCodeSize => self.code_size(&a),
                QueryOp::ExtCodeHash => self.code_hash(&a),
            }
        } else {
            if matches!(op, QueryOp::Balance | QueryOp::ExtCodeSize | QueryOp::ExtCodeHash) {
                // Which account it is says whether it was touched before.
                *self.gas_sources = self.gas_sources.union(Taint::UNKNOWN);
                let at_most =
                    self.schedule.instruction(opcode::EXTCODESIZE) + self.schedule.cold_account + 700;
                self.frame.left.spend(at_most);
            }
            Word { node: NodeId::UNKNOWN, ..Word::new(U256::ZERO, Taint::UNKNOWN.union(a.taint)) }
        };
        self.put(to, word);
    }

    fn blob_hash(&mut self, a: &Word) -> Word {
        let hash = self.tx.blob_hashes.get(clamp(a.value));
        let node = self.pen.node(|trail| trail.question(a, RecipeNode::BlobHash));
        Word { node, ..Word::clean(hash.map_or(U256::ZERO, |hash| (*hash).into())) }
    }

    fn block_hash(&mut self, a: &Word) -> Word {
        let node = self.pen.node(|trail| trail.question(a, RecipeNode::BlockHash));
        let (word, asked) = block_hash(a.value, self.block, self.state);
        if let Some(number) = asked {
            self.ledger.sources.add_block_hash(number);
        }
        // A hash that is not to be had is no expression of anything.
        if word.taint.is_unknown() { word } else { Word { node, ..word } }
    }

    fn balance(&mut self, a: &Word) -> Word {
        let account = self.touched.account(a.address());
        self.spend(self.schedule.instruction(opcode::BALANCE));
        self.touch(account, a);
        self.ledger.accounts.push(AccountAccess::BalanceRead(a.address()));
        let node = self.pen.node(|trail| {
            let address = trail.operand(a);
            trail.touch(TouchKind::BalanceRead, address);
            trail.balance(address)
        });
        Word { node, ..self.touched.balance(account, self.state, &mut self.ledger.sources) }
    }

    fn code_size(&mut self, a: &Word) -> Word {
        let account = self.touched.account(a.address());
        self.spend(self.schedule.instruction(opcode::EXTCODESIZE));
        self.touch(account, a);
        self.ledger.accounts.push(AccountAccess::CodeRead(a.address()));
        let (code, taint) = self.touched.code(account, self.state, &mut self.ledger.sources);
        let node = self.pen.node(|trail| {
            let address = trail.operand(a);
            trail.touch(TouchKind::CodeRead, address);
            trail.node(RecipeNode::CodeSize(address))
        });
        if let Some(bytes) = code.bytes(self.state) {
            return Word { value: U256::from(bytes.len()), taint, node };
        }
        self.ledger.fall_short(ShortfallReason::CodeUnavailable, self.frame.place(self.trace_pc));
        Word { node: NodeId::UNKNOWN, ..Word::new(U256::ZERO, Taint::UNAVAILABLE) }
    }

    fn code_hash(&mut self, a: &Word) -> Word {
        let account = self.touched.account(a.address());
        self.spend(self.schedule.instruction(opcode::EXTCODEHASH));
        self.touch(account, a);
        self.ledger.accounts.push(AccountAccess::CodeRead(a.address()));
        let (code, taint) = self.touched.code(account, self.state, &mut self.ledger.sources);
        if let Some(trail) = self.pen.trail() {
            let address = trail.operand(a);
            trail.touch(TouchKind::CodeRead, address);
            // What an account without code hashes to depends on more than its code.
            if let (false, AccountCode::Stored(hash)) = (code.is_nothing(), &code) {
                let node = trail.node(RecipeNode::CodeHash(address));
                trail.require(node, (*hash).into());
            } else {
                trail.give_up();
            }
        }
        let (empty, about) = self.touched.is_empty(account, self.state, &mut self.ledger.sources);
        // An account with code is there, whatever else it has.
        let taint = if code.is_nothing() { taint.union(about) } else { taint };
        let value = if empty { U256::ZERO } else { code.hash() };
        Word { value, taint, node: NodeId::CONSTANT }
    }

    /// Copies the code of another account into memory.
    pub(super) fn copy_code_of(&mut self, site: u32) -> Done {
        let site = &self.slice.calls[site as usize];
        let from = clamp(*self.number(site.input)?);
        let (into, length) = self.range(site.output, site.output_length)?;
        let target = self.word(site.target);
        self.require(target.taint, ShortfallReason::UnknownTarget, site.pc)?;
        let account = self.touched.account(target.address());
        self.spend(self.schedule.instruction(opcode::EXTCODECOPY));
        self.pay(3 * length.div_ceil(32) as u64)?;
        self.touch(account, &target);
        self.ledger.accounts.push(AccountAccess::CodeRead(target.address()));
        let (code, taint) = self.touched.code(account, self.state, &mut self.ledger.sources);
        self.ledger.need(taint);
        if let Some(trail) = self.pen.trail() {
            let address = trail.operand(&target);
            trail.touch(TouchKind::CodeRead, address);
            if let AccountCode::Stored(hash) = &code {
                let node = trail.node(RecipeNode::CodeHash(address));
                trail.require(node, (*hash).into());
            } else {
                trail.give_up();
            }
        }
        let Some(bytes) = code.bytes(self.state) else {
            self.ledger.fall_short(ShortfallReason::CodeUnavailable, self.frame.place(site.pc));
            return Err(Event::Abandon);
        };
        if length > 0 {
            self.frame.memory.copy_bytes(into, &bytes, from, length);
        }
        Ok(())
    }
}
