//! Creations and the ends of accounts.
//!
//! In: the operands of a creation, or what creation code returned. Out: a frame that runs creation code, or an account
//! with code. Nothing of it is written down for later transactions, but for the end of an account.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, keccak256};
use deconflict_analyzer::{CreateSite, Operand, Slice, Variant};
use revm::{
    DatabaseRef,
    primitives::{eip170, eip3860, eip7954, hardfork::SpecId},
};
use revm_bytecode::opcode;

use super::call::{MAX_DEPTH, blank, range, read};
use super::codes::Runnable;
use super::frame::{Frame, Resume};
use super::gas::{Asked, Given, Level};

use super::machine::{Event, Path, PredictionMachine};
use super::node::TouchKind;
use super::taint::Taint;
use super::touched_state::{AccountCode, AccountId, TouchedState, Word};
use crate::access_set::{AccountAccess, ShortfallReason};

/// A nonce that is further from its limit than this does not reach it before the transaction.
const NEAR_LIMIT: u64 = 1 << 32;

/// The longest code that an account can have, by EIP-170 and EIP-7954.
fn max_code(spec: SpecId) -> usize {
    if spec.is_enabled_in(SpecId::AMSTERDAM) { eip7954::MAX_CODE_SIZE } else { eip170::MAX_CODE_SIZE }
}

/// The longest code that a creation can have, by EIP-3860.
fn max_initcode(spec: SpecId) -> usize {
    if spec.is_enabled_in(SpecId::AMSTERDAM) {
        eip7954::MAX_INITCODE_SIZE
    } else {
        eip3860::MAX_INITCODE_SIZE
    }
}

impl<D: DatabaseRef> PredictionMachine<'_, D> {
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
        if self.spec.is_enabled_in(SpecId::SHANGHAI) && length > max_initcode(self.spec) {
            return self.finish(path, Event::Halt);
        }
        if let Some(goes_on) = self.grow(path, if length > 0 { offset + length } else { 0 }) {
            return goes_on;
        }
        path.frame.resume = Resume {
            to: base + usize::from(to),
            output: 0,
            output_length: 0,
            success_required: site.success_required,
            ahead: site.ahead.into(),
        };
        self.pay_for_creation(path, site, length);
        if path.is_starved() {
            return self.starve(path);
        }
        let given = self.schedule.give(&path.frame.left, Asked::All, 0);
        path.frame.left.take(&given.taken);
        let taint = path.frame.memory.taint(offset, length, &self.ledger.marks);
        if !self.ledger.need(taint) {
            self.ledger.fall_short_of(taint, ShortfallReason::UnknownTarget, place);
            return false;
        }
        let code = Bytes::copy_from_slice(&path.frame.memory.bytes()[offset..offset + length]);
        if path.waiting.len() + 1 > MAX_DEPTH {
            return self.settle_unused(path, &given, false);
        }
        let creator = path.frame.account;
        if value.taint.is_unknown() && !self.ledger.need(value.taint) {
            self.ledger.fall_short_of(value.taint, ShortfallReason::UnknownTarget, place);
        }
        let may_carry_value = !value.value.is_zero() || !value.taint.is_clean();
        if may_carry_value && !value.taint.is_unknown() {
            let balance = path.touched.balance(creator, self.state, &mut self.ledger.sources);
            let suffices = balance.value >= value.value;
            if !(site.success_required && suffices) {
                self.ledger.need(balance.taint.union(value.taint));
            }
            if !suffices {
                return self.settle_unused(path, &given, false);
            }
        }
        let hash = keccak256(&code);
        let (nonce, nonce_taint) = path.touched.nonce(creator, self.state, &mut self.ledger.sources);
        if nonce >= u64::MAX - NEAR_LIMIT {
            self.ledger.need(nonce_taint);
        }
        if nonce == u64::MAX {
            return self.settle_unused(path, &given, false);
        }
        path.touched.increment_nonce(creator);
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
        let account = path.touched.account(address);
        self.warm(&mut path.touched, account, false);
        match self.creation(&mut path.touched, code, hash, address, (creator, caller, value), (lean, given)) {
            // The address is taken: all the gas that the creation was given is gone.
            Creation::Fails => self.settle_empty(path, false),
            Creation::Empty(account) => {
                path.touched.set_code(account, AccountCode::New(Bytes::new(), KECCAK256_EMPTY));
                path.frame.left.return_from(&given.left);
                self.settle_created(path, address)
            }
            Creation::Runs(frame) => {
                path.enter(frame);
                true
            }
        }
    }

    /// Spends what a creation costs before its code runs.
    fn pay_for_creation(&mut self, path: &mut Path, site: &CreateSite, length: usize) {
        let params = &self.schedule.params;
        let (op, create) = match site.salt {
            Some(_) => (opcode::CREATE2, params.create2_cost(length)),
            None => (opcode::CREATE, params.create_cost()),
        };
        let is_metered = self.spec.is_enabled_in(SpecId::SHANGHAI);
        let cost = self.schedule.instruction(op)
            + create
            + if is_metered { params.initcode_cost(length) } else { 0 }
            + params.create_state_gas();
        path.gas_left = path.gas_left.saturating_sub(create);
        path.frame.left.restore(site.ahead.into());
        path.frame.left.spend(cost);
    }

    /// Prepares the frame that runs creation code.
    pub(super) fn creation(
        &mut self,
        touched: &mut TouchedState,
        code: Bytes,
        hash: B256,
        address: Address,
        (creator, caller, value): (AccountId, Address, Word),
        (lean, given): (bool, Given),
    ) -> Creation {
        let account = touched.account(address);
        let (nonce, nonce_taint) = touched.nonce(account, self.state, &mut self.ledger.sources);
        let (present, taint) = touched.code(account, self.state, &mut self.ledger.sources);
        self.ledger.need(nonce_taint.union(taint));
        self.ledger.accounts.push(AccountAccess::CodeWrite(address));
        if nonce != 0 || !present.is_nothing() {
            return Creation::Fails;
        }
        let checkpoint = touched.checkpoint();
        touched.create(account);
        if self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            touched.increment_nonce(account);
        }
        if !value.value.is_zero() || !value.taint.is_clean() {
            self.transfer(touched, creator, account, value);
        }
        let variant = if lean { Variant::Lean } else { Variant::Strict };
        let compiled = self.compiled(hash, variant, || Ok::<_, std::convert::Infallible>(code));
        let Some(Runnable::Slice(slice)) = compiled else { return Creation::Empty(account) };
        let mut frame = self.spare.pop().unwrap_or_else(|| Box::new(blank(Arc::clone(&slice))));
        frame.start(slice);
        frame.give(given);
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
        let taint = path.frame.memory.taint(offset, length, &self.ledger.marks);
        if !self.ledger.need(taint) {
            let place = path.frame.place(0);
            self.ledger.fall_short_of(taint, ShortfallReason::UnknownTarget, place);
        }
        let refused = (self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) && length > max_code(self.spec))
            || (self.spec.is_enabled_in(SpecId::LONDON) && bytes.first() == Some(&0xef));
        if refused {
            return false;
        }
        let params = &self.schedule.params;
        let before = path.frame.left;
        path.frame.left.spend(params.code_deposit_cost(length) + params.code_deposit_state_gas(length));
        if !self.schedule.is_exact() {
            path.frame.left.spend(params.keccak256_cost(length));
        }
        if !self.spec.is_enabled_in(SpecId::HOMESTEAD) && path.frame.left.at(Level::Any) < 0 {
            // Before EIP-2 an account whose code cannot be paid for stays, without code.
            if path.frame.left.at(Level::Here) >= 0 || path.knows_gas() {
                self.decide_gas(path);
            } else {
                self.announce_gas(path);
            }
            if path.frame.left.at(Level::Here) < 0 && before.at(Level::Here) >= 0 {
                path.frame.left = before;
                return true;
            }
        }
        let hash = keccak256(&bytes);
        path.touched.set_code(account, AccountCode::New(bytes, hash));
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
        let heir = path.touched.account(beneficiary.address());
        let mut balance = path.touched.balance(path.frame.account, self.state, &mut self.ledger.sources);
        let always = path.trail.as_deref().is_none_or(|trail| trail.is_constant(&beneficiary));
        self.pay_for_end(path, heir, always, &balance);
        if let Some(trail) = &mut path.trail {
            let (from, to) = (path.frame.address_node, trail.operand(&beneficiary));
            balance.node = trail.balance(from);
            trail.transfer(from, to, &balance);
            trail.touch(TouchKind::BalanceDebit, from);
            trail.touch(TouchKind::BalanceCredit, to);
            trail.touch(TouchKind::BalanceRead, from);
            trail.touch(TouchKind::CodeWrite, from);
        }
        self.transfer(&mut path.touched, path.frame.account, heir, balance);
        self.ledger.accounts.push(AccountAccess::BalanceRead(path.frame.address));
        self.ledger.accounts.push(AccountAccess::CodeWrite(path.frame.address));
        true
    }
}

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    /// Spends what the end of an account costs.
    fn pay_for_end(&mut self, path: &mut Path, heir: AccountId, always: bool, balance: &Word) {
        let (schedule, state) = (self.schedule, self.state);
        let fixed = schedule.instruction(opcode::SELFDESTRUCT);
        path.gas_left = path.gas_left.saturating_sub(fixed);
        path.frame.left.spend(fixed);
        let warmth = self.warm(&mut path.touched, heir, always);
        let cold = |warm: bool| if warm { 0 } else { schedule.params.selfdestruct_cold_cost() };
        let elsewhere = cold(warmth.elsewhere);
        path.frame.left.spend_each([cold(warmth.here), cold(warmth.any), elsewhere, elsewhere]);
        let sources = &mut self.ledger.sources;
        let gas =
            schedule.params.new_account_cost_for_selfdestruct() + schedule.params.new_account_state_gas();
        let (applies, taint) = if self.spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            let (empty, about) = path.touched.is_empty(heir, state, sources);
            (empty && !balance.value.is_zero(), about.union(balance.taint))
        } else {
            // An account that the transaction has touched is there from then on, which is not followed.
            (!path.touched.exists(heir, state, sources), Taint::UNKNOWN)
        };
        let here = if applies || taint.is_unknown() { gas } else { 0 };
        path.frame.left.spend_each([here, gas, gas, gas]);
        path.gas_sources = path.gas_sources.union(taint);
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
