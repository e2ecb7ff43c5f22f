//! Creations and the ends of accounts.
//!
//! In: the operands of a creation, or what creation code returned. Out: a frame that runs creation code, or an account
//! with code. Nothing of it is written down for later transactions, but for the end of an account.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, keccak256};
use deconflict_analyzer::{CreateSite, Operand, Slice, Variant};
use revm::{DatabaseRef, primitives::hardfork::SpecId};

use super::call::{MAX_DEPTH, blank, range, read};
use super::codes::Runnable;
use super::frame::{Frame, Resume};
use super::machine::{Event, Machine, Path};
use super::taint::Taint;
use super::template::TouchKind;
use super::world::{AccountCode, AccountId, Word, World};
use crate::access_set::{AccountAccess, ShortfallReason};

/// The longest code that an account can have, by EIP-170.
const MAX_CODE: usize = 24_576;

impl<D: DatabaseRef> Machine<'_, D> {
    /// Starts a creation, or settles it at once. False if the path cannot be followed any further.
    pub(super) fn create(&mut self, path: &mut Path, slice: &Slice, site: &CreateSite, to: u16) -> bool {
        if let Some(trail) = &mut path.trail {
            trail.give_up();
        }
        let base = path.frame.base;
        let word = |operand: Operand| read(&path.frame, slice, base, operand);
        let (value, offset, length) = (word(site.value), word(site.offset), word(site.length));
        let salt = site.salt.map(word);
        let place = path.frame.place(site.pc);
        let taint = offset.taint.union(length.taint).union(salt.map_or(Taint::CLEAN, |salt| salt.taint));
        if !self.ledger.need(taint) {
            self.ledger.fall_short_of(taint, ShortfallReason::UnknownMemory, place);
            return false;
        }
        let Some((offset, length)) = range(offset.value, length.value) else {
            return self.finish(path, Event::Halt);
        };
        if path.frame.is_static {
            return self.finish(path, Event::Halt);
        }
        let end = if length > 0 { offset + length } else { 0 };
        let cost = path.frame.memory.growth_gas(end);
        if cost > path.gas_left.saturating_add(path.frame.trace_gas) {
            path.gas_left = 0;
            return self.run_out(path);
        }
        path.gas_left = path.gas_left.saturating_sub(cost);
        path.frame.memory.grow(end);
        path.frame.resume = Resume {
            to: base + usize::from(to),
            output: 0,
            output_length: 0,
            success_required: site.success_required,
        };
        path.frame.gas += 32_000;
        let taint = path.frame.memory.taint(offset, length, &self.ledger.marks);
        if !self.ledger.need(taint) {
            self.ledger.fall_short_of(taint, ShortfallReason::UnknownTarget, place);
            return false;
        }
        let code = Bytes::copy_from_slice(&path.frame.memory.bytes()[offset..offset + length]);
        if path.waiting.len() + 1 >= MAX_DEPTH {
            return self.settle_empty(path, false);
        }
        let creator = path.frame.account;
        if value.taint.is_unknown() && !self.ledger.need(value.taint) {
            self.ledger.fall_short_of(value.taint, ShortfallReason::UnknownTarget, place);
        }
        let may_carry_value = !value.value.is_zero() || !value.taint.is_clean();
        if may_carry_value && !value.taint.is_unknown() {
            let balance = path.world.balance(creator, self.state, &mut self.ledger.sources);
            let suffices = balance.value >= value.value;
            if !(site.success_required && suffices) {
                self.ledger.need(balance.taint.union(value.taint));
            }
            if !suffices {
                return self.settle_empty(path, false);
            }
        }
        let hash = keccak256(&code);
        let (nonce, nonce_taint) = path.world.nonce(creator, self.state, &mut self.ledger.sources);
        path.world.increment_nonce(creator);
        self.ledger.accounts.push(AccountAccess::NonceWrite(path.frame.address));
        let address = if let Some(salt) = salt {
            path.frame.address.create2(B256::from(salt.value), hash)
        } else {
            if !self.ledger.need(nonce_taint) {
                self.ledger.fall_short_of(nonce_taint, ShortfallReason::UnknownTarget, place);
                return false;
            }
            path.frame.address.create(nonce)
        };
        let lean = path.frame.slice.variant == Variant::Lean && site.success_required;
        let caller = path.frame.address;
        let limit = if lean { u64::MAX } else { self.gas_at_hand(path) };
        match self.creation(&mut path.world, code, hash, address, (creator, caller, value), (lean, limit)) {
            Creation::Fails => {
                // The address is taken: all the gas that the creation was given is gone.
                if !lean {
                    path.frame.gas += limit;
                }
                self.settle_empty(path, false)
            }
            Creation::Empty(account) => {
                path.world.set_code(account, AccountCode::New(Bytes::new(), KECCAK256_EMPTY));
                self.settle_created(path, address)
            }
            Creation::Runs(frame) => {
                path.waiting.push(std::mem::replace(&mut path.frame, frame));
                true
            }
        }
    }

    /// Prepares the frame that runs creation code.
    pub(super) fn creation(
        &mut self,
        world: &mut World,
        code: Bytes,
        hash: B256,
        address: Address,
        (creator, caller, value): (AccountId, Address, Word),
        (lean, gas_limit): (bool, u64),
    ) -> Creation {
        let account = world.account(address);
        let (nonce, nonce_taint) = world.nonce(account, self.state, &mut self.ledger.sources);
        let (present, taint) = world.code(account, self.state, &mut self.ledger.sources);
        self.ledger.need(nonce_taint.union(taint));
        self.ledger.accounts.push(AccountAccess::CodeWrite(address));
        if nonce != 0 || !present.is_nothing() {
            return Creation::Fails;
        }
        let checkpoint = world.checkpoint();
        world.create(account);
        if self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            world.increment_nonce(account);
        }
        if !value.value.is_zero() || !value.taint.is_clean() {
            self.transfer(world, creator, account, value);
        }
        let variant = if lean { Variant::Lean } else { Variant::Strict };
        let compiled = self.compiled(hash, variant, || Ok::<_, std::convert::Infallible>(code));
        let Some(Runnable::Slice(slice)) = compiled else { return Creation::Empty(account) };
        let mut frame = self.spare.pop().unwrap_or_else(|| Box::new(blank(Arc::clone(&slice))));
        frame.start(slice);
        frame.gas_limit = gas_limit;
        frame.call_data.clear();
        frame.checkpoint = checkpoint;
        frame.is_static = false;
        frame.account = account;
        frame.address = address;
        frame.caller = caller;
        frame.value = value;
        frame.creates = Some(account);
        Creation::Runs(frame)
    }

    pub(super) fn settle_created(&mut self, path: &mut Path, address: Address) -> bool {
        let word = Word::clean(address.into_word().into());
        path.frame.return_data.clear();
        self.settle_word(path, word, Taint::CLEAN)
    }

    /// Puts what creation code returned into the account. False where the EVM would refuse it.
    pub(super) fn deploy(&mut self, path: &mut Path, offset: usize, length: usize) -> bool {
        let Some(account) = path.frame.creates else { return false };
        let bytes = Bytes::copy_from_slice(&path.frame.memory.bytes()[offset..offset + length]);
        let refused = (self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) && length > MAX_CODE)
            || (self.spec.is_enabled_in(SpecId::LONDON) && bytes.first() == Some(&0xef));
        if refused {
            return false;
        }
        let taint = path.frame.memory.taint(offset, length, &self.ledger.marks);
        if !self.ledger.need(taint) {
            let place = path.frame.place(0);
            self.ledger.fall_short_of(taint, ShortfallReason::UnknownTarget, place);
        }
        path.frame.gas += 200 * length as u64;
        let hash = keccak256(&bytes);
        path.world.set_code(account, AccountCode::New(bytes, hash));
        true
    }

    /// Moves the balance of an account that ends to its heir. False where the EVM would refuse it.
    pub(super) fn self_destruct(&mut self, path: &mut Path, beneficiary: Word) -> bool {
        if path.frame.is_static {
            return false;
        }
        if !self.ledger.need(beneficiary.taint) {
            let place = path.frame.place(0);
            self.ledger.fall_short_of(beneficiary.taint, ShortfallReason::UnknownTarget, place);
            return true;
        }
        let heir = path.world.account(beneficiary.address());
        let mut balance = path.world.balance(path.frame.account, self.state, &mut self.ledger.sources);
        if let Some(trail) = &mut path.trail {
            let (from, to) = (path.frame.address_node, trail.operand(&beneficiary));
            balance.node = trail.balance(from);
            trail.transfer(from, to, &balance);
            trail.touch(TouchKind::BalanceDebit, from);
            trail.touch(TouchKind::BalanceCredit, to);
            trail.touch(TouchKind::BalanceRead, from);
            trail.touch(TouchKind::CodeWrite, from);
        }
        self.transfer(&mut path.world, path.frame.account, heir, balance);
        self.ledger.accounts.push(AccountAccess::BalanceRead(path.frame.address));
        self.ledger.accounts.push(AccountAccess::CodeWrite(path.frame.address));
        true
    }
}

/// How a creation starts.
pub(super) enum Creation {
    /// The address is taken.
    Fails,
    /// There is no creation code.
    Empty(AccountId),
    /// The creation code runs.
    Runs(Box<Frame>),
}
