//! Calls and their ends: what passes between the frames of a prediction. Creations are in `create`, precompiles in
//! `precompile`.
//!
//! In: the operands of a call instruction. Out: a new frame on top, or the result of the call where nothing is run.
//! A callee whose failure would revert its caller too is followed in the lean form of its code; every other in the
//! strict form, because then what its caller does next depends on whether it fails.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256, keccak256};
use deconflict_analyzer::{BinaryOp, CallSite, Operand, Slice, Variant};
use revm::DatabaseRef;
use revm_bytecode::opcode;

use super::codes::Runnable;
use super::frame::{Frame, Resume};
use super::gas::{Asked, Given, Left, Level};

use super::machine::{Event, Path, PredictionMachine};
use super::node::{NodeId, RecipeNode, TouchKind};
use super::precompile::Precompiled;
use super::recipe::{Trail, TrailMark};
use super::region::{MAX_MEMORY, Region};
use super::taint::Taint;
use super::touched_state::{AccountCode, AccountId, TouchedState, Warmth, Word};
use crate::access_set::{AccountAccess, ShortfallReason};

/// A call that is settled already: no frame is started for it.
struct Settled {
    /// Whether the path can be followed further.
    goes_on: bool,
}

impl Settled {
    /// Something is not known without which nothing more can be said.
    const LOST: Self = Self { goes_on: false };
}

/// What a call instruction asks for.
struct Request {
    target: Word,
    value: Word,
    gas: Word,
    /// Offset and length of what is handed over, in bytes.
    input: (usize, usize),
    /// Offset and length of where what comes back goes, in bytes.
    output: (usize, usize),
    /// Whether a failure of it is one of its caller too.
    lean: bool,
}

impl Request {
    /// Whether it may come with value.
    fn carries_value(&self) -> bool {
        !self.value.value.is_zero() || self.value.taint.is_unknown()
    }

    /// Whether the balance has to suffice for its value.
    fn moves_value(&self, site: &CallSite) -> bool {
        self.carries_value() && matches!(site.opcode, opcode::CALL | opcode::CALLCODE)
    }
}

/// Whom a call reaches.
struct Callee {
    address: Address,
    account: AccountId,
    node: NodeId,
    precompile: Option<Precompiled>,
    code: Runnable,
}

/// How deep calls go.
pub(super) const MAX_DEPTH: usize = 1_024;

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    /// Starts a call, or settles it at once. False if the path cannot be followed any further.
    pub(super) fn call(&mut self, path: &mut Path, slice: &Slice, site: &CallSite, to: u16) -> bool {
        self.start_call(path, slice, site, to).unwrap_or_else(|Settled { goes_on }| goes_on)
    }

    fn start_call(
        &mut self,
        path: &mut Path,
        slice: &Slice,
        site: &CallSite,
        to: u16,
    ) -> Result<bool, Settled> {
        let request = self.request(path, slice, site)?;
        path.frame.resume = Resume {
            to: path.frame.base + usize::from(to),
            output: request.output.0,
            output_length: request.output.1,
            success_required: site.success_required,
            ahead: site.ahead.into(),
        };
        let callee = self.callee(path, site, &request)?;
        if request.carries_value() {
            self.rely_on_advance(path);
        }
        let given = self.give(path, site, request.gas, request.carries_value(), request.lean);
        path.frame.left.take(&given.taken);
        if path.waiting.len() + 1 > MAX_DEPTH || !self.affords(path, site, &request) {
            return Ok(self.settle_unused(path, &given, false));
        }
        let checkpoint = path.touched.checkpoint();
        let trail_checkpoint = path.trail.as_deref().map_or_else(TrailMark::default, Trail::checkpoint);
        self.move_value(path, site, &request, &callee);
        if let Some(precompile) = callee.precompile {
            if let Some(trail) = &mut path.trail {
                trail.fix(&request.target);
            }
            let settled = self.run_precompile(path, precompile, request.input, &given, request.lean);
            return Ok(settled.unwrap_or_else(|| {
                path.touched.revert(checkpoint);
                revert_trail(&mut path.trail, trail_checkpoint);
                self.settle_empty(path, false)
            }));
        }
        let Runnable::Slice(code) = &callee.code else {
            if let Some(trail) = &mut path.trail {
                let node = trail.node(RecipeNode::IsPrecompile(callee.node));
                trail.branch(&Word { node, ..Word::default() });
            }
            return Ok(self.settle_unused(path, &given, true));
        };
        let mut next = self.next_frame(path, site, &request, &callee, Arc::clone(code));
        next.checkpoint = checkpoint;
        next.trail_checkpoint = trail_checkpoint;
        next.give(given);
        if let Some(trail) = &mut path.trail
            && next.slice.selectors.contains_key(&next.selector())
            && !next.call_data.taint(0, 4, &self.ledger.marks).is_unknown()
        {
            trail.fix_bytes(&next.call_data, 0, 4);
        }
        if !self.choose_entry(&mut next) {
            return Ok(false);
        }
        path.enter(next);
        Ok(true)
    }

    /// What a call asks for, once all of it is known that has to be, and memory reaches as far as it says.
    fn request(&mut self, path: &mut Path, slice: &Slice, site: &CallSite) -> Result<Request, Settled> {
        let base = path.frame.base;
        let word = |operand: Operand| read(&path.frame, slice, base, operand);
        let (target, value, gas) = (word(site.target), word(site.value), word(site.gas));
        let ranges = [site.input, site.input_length, site.output, site.output_length].map(word);
        let place = path.frame.place(site.pc);
        if !self.ledger.need(target.taint) {
            self.ledger.fall_short_of(target.taint, ShortfallReason::UnknownTarget, place);
            return Err(Settled::LOST);
        }
        let taint = ranges.iter().fold(Taint::CLEAN, |taint, word| taint.union(word.taint));
        if !self.ledger.need(taint) {
            self.ledger.fall_short_of(taint, ShortfallReason::UnknownMemory, place);
            return Err(Settled::LOST);
        }
        if let Some(trail) = &mut path.trail {
            for word in &ranges {
                trail.fix(word);
            }
            if !value.taint.is_unknown() {
                trail.branch(&value);
            }
        }
        let [input, input_length, output, output_length] = ranges.map(|word| word.value);
        let (Some(input), Some(output)) = (range(input, input_length), range(output, output_length)) else {
            return Err(Settled { goes_on: self.finish(path, Event::Halt) });
        };
        let lean = path.frame.slice.variant == Variant::Lean && site.success_required;
        let request = Request { target, value, gas, input, output, lean };
        if path.frame.is_static && site.opcode == opcode::CALL {
            if !self.ledger.need(value.taint) {
                self.ledger.fall_short_of(value.taint, ShortfallReason::UnknownTarget, place);
                return Err(Settled::LOST);
            }
            if request.carries_value() {
                return Err(Settled { goes_on: self.finish(path, Event::Halt) });
            }
        }
        for (offset, length) in [input, output] {
            let end = if length > 0 { offset + length } else { 0 };
            if let Some(goes_on) = self.grow(path, end) {
                return Err(Settled { goes_on });
            }
        }
        Ok(request)
    }

    /// Whom a call reaches and what that runs, once the call is paid for.
    fn callee(&mut self, path: &mut Path, site: &CallSite, request: &Request) -> Result<Callee, Settled> {
        let address = request.target.address();
        let account = path.touched.account(address);
        self.ledger.accounts.push(AccountAccess::CodeRead(address));
        let mut node = NodeId::CONSTANT;
        if let Some(trail) = &mut path.trail {
            node = trail.address(&request.target);
            trail.touch(TouchKind::CodeRead, node);
        }
        let precompile = self.precompile(&address);
        self.pay_for_call(path, site, request.value, &request.target, account);
        if path.is_starved() {
            return Err(Settled { goes_on: self.starve(path) });
        }
        if precompile.is_some() {
            return Ok(Callee { address, account, node, precompile, code: Runnable::Nothing });
        }
        let variant = if request.lean { Variant::Lean } else { Variant::Strict };
        let runnable = self.runnable(&mut path.touched, path.trail.as_deref_mut(), (account, node), variant);
        let Some((code, delegate)) = runnable else {
            self.ledger.fall_short(ShortfallReason::CodeUnavailable, path.frame.place(site.pc));
            return Err(Settled::LOST);
        };
        if let Some(warmth) = delegate {
            path.frame.left.spend(self.schedule.params.warm_storage_read_cost());
            path.frame.left.spend_each(self.schedule.account(warmth));
        }
        Ok(Callee { address, account, node, precompile, code })
    }

    /// Whether the balance suffices for what the call carries: only a call whose failure goes unnoticed makes a
    /// difference by that.
    fn affords(&mut self, path: &mut Path, site: &CallSite, request: &Request) -> bool {
        let (lean, value, place) = (request.lean, request.value, path.frame.place(site.pc));
        if !lean && !self.ledger.need(value.taint) {
            self.ledger.fall_short_of(value.taint, ShortfallReason::UnknownTarget, place);
        }
        if !request.moves_value(site) || value.taint.is_unknown() {
            return true;
        }
        let balance = path.touched.balance(path.frame.account, self.state, &mut self.ledger.sources);
        self.ledger.accounts.push(AccountAccess::BalanceRead(path.frame.address));
        let suffices = balance.value >= value.value || balance.taint.is_unknown();
        let matters = !lean || !suffices;
        if let Some(trail) = &mut path.trail {
            trail.touch(TouchKind::BalanceRead, path.frame.address_node);
            if matters {
                let balance = Word { node: trail.balance(path.frame.address_node), ..balance };
                let falls_short = trail.binary(BinaryOp::Lt, &balance, &value);
                trail.require(falls_short, U256::from(balance.value < value.value));
            }
        }
        if matters && !self.ledger.need(balance.taint.union(value.taint)) {
            self.ledger.fall_short_of(balance.taint, ShortfallReason::UnknownTarget, place);
        }
        suffices
    }

    /// Hands the value of a call over to its callee, if it may have any.
    fn move_value(&mut self, path: &mut Path, site: &CallSite, request: &Request, callee: &Callee) {
        let value = request.value;
        let may_move = site.opcode == opcode::CALL && (request.moves_value(site) || !value.taint.is_clean());
        if let Some(trail) = &mut path.trail {
            if may_move {
                trail.touch(TouchKind::BalanceDebit, path.frame.address_node);
                trail.touch(TouchKind::BalanceCredit, callee.node);
                trail.transfer(path.frame.address_node, callee.node, &value);
            }
            if !request.gas.taint.is_unknown() {
                trail.fix(&request.gas);
            }
        }
        if may_move {
            self.transfer(&mut path.touched, path.frame.account, callee.account, value);
        }
    }

    /// The frame that a callee's code runs in.
    fn next_frame(
        &mut self,
        path: &Path,
        site: &CallSite,
        request: &Request,
        callee: &Callee,
        code: Arc<Slice>,
    ) -> Box<Frame> {
        let mut next = self.spare.pop().unwrap_or_else(|| Box::new(blank(Arc::clone(&code))));
        next.start(code);
        let (offset, length) = request.input;
        next.call_data.take(&path.frame.memory, offset, length, &mut self.ledger.marks);
        next.is_static = path.frame.is_static || site.opcode == opcode::STATICCALL;
        if matches!(site.opcode, opcode::CALL | opcode::STATICCALL) {
            next.account = callee.account;
            next.address = callee.address;
            next.address_node = callee.node;
        } else {
            next.account = path.frame.account;
            next.address = path.frame.address;
            next.address_node = path.frame.address_node;
        }
        if site.opcode == opcode::DELEGATECALL {
            next.caller = path.frame.caller;
            next.caller_node = path.frame.caller_node;
            next.value = path.frame.value;
        } else {
            next.caller = path.frame.address;
            next.caller_node = path.frame.address_node;
            next.value = request.value;
        }
        next
    }

    /// Lets a frame start where its selector leads. False if the selector is not known.
    pub(super) fn choose_entry(&mut self, frame: &mut Frame) -> bool {
        if frame.slice.selectors.is_empty() || frame.call_data.len() < 4 {
            return true;
        }
        let Some(trace) = frame.slice.selectors.get(&frame.selector()).copied() else { return true };
        let taint = frame.call_data.taint(0, 4, &self.ledger.marks);
        if !self.ledger.need(taint) {
            // The code itself will say where that matters.
            return true;
        }
        frame.ip = trace.0 as usize;
        true
    }

    /// Ends the frame on top and hands its result down. False if it was the last one.
    pub(super) fn finish(&mut self, path: &mut Path, event: Event) -> bool {
        let mut event = event;
        loop {
            let (mut success, offset, mut length) = match event {
                Event::Return { offset, length } => (true, offset, length),
                Event::Revert { offset, length } => (false, offset, length),
                Event::SelfDestruct { beneficiary } => (self.self_destruct(path, beneficiary), 0, 0),
                _ => (false, 0, 0),
            };
            if success && path.frame.creates.is_some() {
                success = self.deploy(path, offset, length);
                // Code that is refused ends the creation as a halt does: its creator sees no byte of it.
                if !success {
                    length = 0;
                }
            }
            let mut halts = !success && !matches!(event, Event::Revert { .. });
            if !halts && path.frame.fails_alone() && !self.had_enough(path) {
                (success, halts, length) = (false, true, 0);
            }
            if !success {
                path.touched.revert(path.frame.checkpoint);
                revert_trail(&mut path.trail, path.frame.trail_checkpoint);
            }
            let Some(below) = path.waiting.pop() else {
                // What any state can make it cost: a recipe would otherwise answer with what it was learnt on, and
                // hints would differ by who was predicted first.
                let used = path.frame.given.at(Level::Other) - path.frame.left.at(Level::Other);
                let used = u64::try_from(used).unwrap_or_default();
                self.ledger.gas = self.ledger.gas.max(used);
                if let Some(trail) = &mut path.trail {
                    trail.finish(used);
                }
                return false;
            };
            let done = std::mem::replace(&mut path.frame, below);
            if done.fails_alone() {
                self.rely_on_gas(path, &done, halts);
            }
            // A frame that halts takes all the gas that it was given with it.
            if halts {
                path.burn(&done);
            } else {
                path.frame.left.return_from(&done.left);
            }
            let created = done.creates.is_some() && success;
            let address = done.address;
            if done.creates.is_none() || !success {
                path.frame.return_data.take(&done.memory, offset, length, &mut self.ledger.marks);
            } else {
                path.frame.return_data.clear();
            }
            self.spare.push(done);
            if !success && path.frame.resume.success_required && path.frame.slice.variant == Variant::Lean {
                event = Event::Halt;
                continue;
            }
            return if created { self.settle_created(path, address) } else { self.settle(path, success) };
        }
    }

    /// Gives the frame the result of a call that it made; its return data are in place.
    pub(super) fn settle(&mut self, path: &mut Path, success: bool) -> bool {
        if !success && path.frame.resume.success_required && path.frame.slice.variant == Variant::Lean {
            return self.finish(path, Event::Halt);
        }
        self.settle_word(path, Word::clean(U256::from(success)), Taint::CLEAN)
    }

    /// Gives the frame the result of a call that has no output and took no gas.
    pub(super) fn settle_unused(&mut self, path: &mut Path, given: &Given, success: bool) -> bool {
        path.frame.left.return_from(&given.left);
        self.settle_empty(path, success)
    }

    /// Gives the frame the result of a call that has no output.
    pub(super) fn settle_empty(&mut self, path: &mut Path, success: bool) -> bool {
        path.frame.return_data.clear();
        self.settle(path, success)
    }

    pub(super) fn settle_word(&mut self, path: &mut Path, result: Word, size_taint: Taint) -> bool {
        let Frame { resume, stack, memory, return_data, return_size_taint, left, .. } = &mut *path.frame;
        stack[resume.to] = result;
        left.spend(resume.ahead);
        let copied = resume.output_length.min(return_data.len());
        if copied > 0 {
            let taint = return_data.taint(0, copied, &self.ledger.marks);
            memory.blur_ends(resume.output, copied, taint, &mut self.ledger.marks);
            memory.copy_from(resume.output, return_data, 0, copied, &mut self.ledger.marks);
        }
        *return_size_taint = size_taint;
        path.frame.return_size_word = Word::default();
        true
    }

    /// Moves value from one account to another.
    pub(super) fn transfer(
        &mut self,
        touched: &mut TouchedState,
        from: AccountId,
        to: AccountId,
        value: Word,
    ) {
        self.ledger.accounts.push(AccountAccess::BalanceDebit(touched.address(from)));
        self.ledger.accounts.push(AccountAccess::BalanceCredit(touched.address(to)));
        touched.adjust_balance(from, value.value.wrapping_neg(), value.taint);
        touched.adjust_balance(to, value.value, value.taint);
    }

    /// What calling an account runs, and how warm the account is that it is delegated to; none where its code cannot be
    /// read.
    pub(super) fn runnable(
        &mut self,
        touched: &mut TouchedState,
        mut trail: Option<&mut Trail>,
        account: (AccountId, NodeId),
        variant: Variant,
    ) -> Option<(Runnable, Option<Warmth>)> {
        let code = self.code_of(touched, trail.as_deref_mut(), account, variant)?;
        let Runnable::Delegation(address) = code else { return Some((code, None)) };
        let delegate = touched.account(address);
        // The code that was required says which account that is.
        let warmth = self.warm(touched, delegate, true);
        self.ledger.accounts.push(AccountAccess::CodeRead(address));
        let mut node = NodeId::CONSTANT;
        if let Some(trail) = trail.as_deref_mut() {
            node = trail.operand(&Word::clean(address.into_word().into()));
            trail.touch(TouchKind::CodeRead, node);
        }
        // One step only: a designator that leads to another runs that as code, which halts at once.
        let code = match self.code_of(touched, trail, (delegate, node), variant)? {
            Runnable::Delegation(_) => {
                let designator = Bytes::from_static(&[0xef]);
                let hash = keccak256(&designator);
                self.compiled(hash, variant, || Ok::<_, std::convert::Infallible>(designator))?
            }
            code => code,
        };
        Some((code, Some(warmth)))
    }

    fn code_of(
        &mut self,
        touched: &mut TouchedState,
        trail: Option<&mut Trail>,
        (account, node): (AccountId, NodeId),
        variant: Variant,
    ) -> Option<Runnable> {
        let (code, taint) = touched.code(account, self.state, &mut self.ledger.sources);
        if !self.ledger.need(taint) {
            return None;
        }
        if let Some(trail) = trail {
            if let AccountCode::Stored(hash) = &code {
                let node = trail.node(RecipeNode::CodeHash(node));
                trail.require(node, (*hash).into());
            } else {
                trail.give_up();
            }
        }
        match code {
            AccountCode::Delegated(address) => Some(Runnable::Delegation(address)),
            AccountCode::New(bytes, hash) => {
                self.compiled(hash, variant, || Ok::<_, std::convert::Infallible>(bytes))
            }
            AccountCode::Stored(hash) => {
                let state = self.state;
                let bytes = || state.code_by_hash_ref(hash).map(|code| code.original_bytes());
                self.compiled(hash, variant, bytes)
            }
        }
    }
}

fn revert_trail(trail: &mut Option<Box<Trail>>, to: TrailMark) {
    if let Some(trail) = trail {
        trail.revert(to);
    }
}

/// A frame with nothing in it.
pub(super) fn blank(slice: Arc<Slice>) -> Frame {
    Frame {
        ip: slice.entry.0 as usize,
        slice,
        base: 0,
        height: 0,
        stack: Vec::new(),
        memory: Region::default(),
        call_data: Region::default(),
        return_data: Region::default(),
        return_size_taint: Taint::CLEAN,
        address_node: NodeId::CONSTANT,
        caller_node: NodeId::CONSTANT,
        return_size_word: Word::default(),
        account: 0,
        address: Address::ZERO,
        caller: Address::ZERO,
        value: Word::default(),
        is_static: false,
        checkpoint: TouchedState::default().checkpoint(),
        trail_checkpoint: TrailMark::default(),
        paid: 0,
        left: Left::default(),
        given: Left::default(),
        taken: Left::default(),
        asked: Asked::All,
        stipend: 0,
        outset: 0,
        trace_gas: 0,
        creates: None,
        resume: Resume::default(),
    }
}

pub(super) fn read(frame: &Frame, slice: &Slice, base: usize, operand: Operand) -> Word {
    match operand.as_constant() {
        Some(index) => Word::clean(slice.constants[index]),
        None => frame.stack[base + operand.index()],
    }
}

pub(super) fn range(offset: U256, length: U256) -> Option<(usize, usize)> {
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_MEMORY)?;
    if length == 0 {
        return Some((0, 0));
    }
    let offset = usize::try_from(offset).ok().filter(|offset| *offset <= MAX_MEMORY - length)?;
    Some((offset, length))
}
