//! Runs the slices of one transaction on concrete words.
//!
//! In: a transaction, its block and a view of the state. Out: what the transaction touches, in a [`Ledger`] and one or
//! more [`TouchedState`]s. Words that are not known are carried along as such; where one decides a branch both arms are
//! followed, and where one decides a key, a target or a place in memory the prediction says that it falls short. Gas is not
//! counted, but for a lower bound that ends what no execution can reach. The loop itself is in `interpret`.

use alloy_primitives::{B256, Bytes};
use deconflict_analyzer::{Slice, TraceId, Variant};
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};
use std::sync::Arc;

use super::Limits;
use super::codes::{CodeCache, CodesAtHand, Runnable};
use super::frame::{Frame, Frames};
use super::gas::{GasSchedule, Level, UNBOUNDED};
use super::ledger::Ledger;
use super::recipe::{RecipesAtHand, Replay, Trail};
use super::taint::Taint;
use super::touched_state::{TouchedState, Word};
use crate::access_set::{AccessSet, ShortfallReason};

/// How many paths of a transaction are followed where unknown words decide branches.
const MAX_PATHS: u32 = 12;

/// How many paths are followed before signers are recovered.
const MAX_UNSIGNED_PATHS: u32 = 4;

/// One way that the transaction may go.
#[derive(Clone)]
pub(super) struct Path {
    pub touched: TouchedState,
    pub frame: Box<Frame>,
    /// The frames that wait, the outermost first.
    pub waiting: Frames,
    /// The gas that the instructions may still cost, at the least that they do cost.
    pub gas_left: u64,
    /// Whether more may be left than that: a frame has halted, and how much it had burned by then is not known.
    pub may_have_more: bool,
    /// What made instructions cost more or less on this state than they may on another; unknown where gas is not
    /// counted to the unit.
    pub gas_sources: Taint,
    /// What it does is written down here, if it is.
    pub trail: Option<Box<Trail>>,
}

impl Path {
    /// Whether the gas that is left on the state at hand is known to the unit.
    pub(super) fn knows_gas(&self) -> bool {
        !self.gas_sources.is_unknown()
    }

    /// Whether the frame on top is sure to be out of gas, which it alone may be.
    pub(super) fn is_starved(&self) -> bool {
        self.frame.fails_alone() && self.frame.left.at(Level::Here) < 0 && self.knows_gas()
    }

    /// Puts a frame on top.
    pub(super) fn enter(&mut self, mut next: Box<Frame>) {
        next.outset = self.gas_left;
        self.waiting.push(std::mem::replace(&mut self.frame, next));
    }

    /// Counts what a frame that has halted has burned instead of what its instructions would have cost: where it ran out of
    /// gas is not known, so that it may have been followed further than it came.
    pub(super) fn burn(&mut self, halted: &Frame) {
        let taken = u64::try_from(halted.taken.at(Level::Here)).unwrap_or(0);
        if self.knows_gas() {
            let burned = if taken < UNBOUNDED { taken } else { 0 };
            self.gas_left = self.gas_left.max(halted.outset.saturating_sub(burned));
        } else {
            self.may_have_more = true;
        }
    }
}

/// What is kept from one prediction to the next: room, hashes, and codes at hand.
#[derive(Default)]
pub(super) struct Workspace {
    pub ledger: Ledger,
    pub at_hand: CodesAtHand,
    pub spare: Frames,
    pub touched: TouchedState,
    pub recipes: RecipesAtHand,
    pub replay: Replay,
    /// The set of an answer while it is made; what is handed out takes no more memory than it needs.
    pub draft: AccessSet,
    /// How many predictions a recipe has answered, and for how many code was followed.
    pub answered: u64,
    pub followed: u64,
}

/// A prediction under way.
pub(super) struct PredictionMachine<'a, D> {
    pub codes: &'a CodeCache,
    pub at_hand: &'a mut CodesAtHand,
    pub spare: &'a mut Frames,
    pub ledger: &'a mut Ledger,
    pub tx: &'a TxEnv,
    pub block: &'a BlockEnv,
    pub spec: SpecId,
    pub chain_id: u64,
    pub state: &'a D,
    pub precompiles: &'static Precompiles,
    /// The rules that they follow.
    pub rules: PrecompileSpecId,
    /// Whether signers are recovered at once.
    pub eager: bool,
    pub pending: Vec<Path>,
    pub paths: u32,
    /// The gas that the transaction costs before its first instruction.
    pub intrinsic: u64,
    /// What instructions cost.
    pub schedule: &'static GasSchedule,
    /// What was written down of paths that have ended.
    pub trails: Vec<Trail>,
    /// How many trails there are.
    pub numbers: usize,
    /// How many shortfalls have been written down.
    pub noted_shortfalls: usize,
    /// A code that computes jump targets in a way that was not seen when it was compiled.
    pub widen: Option<Arc<Slice>>,
    pub limits: Limits<'a>,
    /// Asked while a code is analysed: whether that is to be given up as well.
    pub ends: &'a dyn Fn() -> bool,
    /// How many traces were entered.
    pub ticks: u32,
    /// Whether the prediction was given up.
    pub stopped: bool,
}

/// The bits of the number of traces that are zero where it is asked again whether to go on: asking may mean to read a clock.
pub(super) const TICKS: u32 = 63;

impl<D> PredictionMachine<'_, D> {
    /// What a code leads to. None where that is not known, or may not be found out within the limits.
    pub(super) fn compiled<E>(
        &mut self,
        hash: B256,
        variant: Variant,
        bytes: impl FnOnce() -> Result<Bytes, E>,
    ) -> Option<Runnable> {
        if !self.limits.analyses && !self.codes.has(self.at_hand, hash, variant) {
            self.stopped = true;
            return None;
        }
        let found = self.codes.get(self.at_hand, hash, variant, bytes, self.ends).ok()?;
        self.stopped |= found.is_none();
        found
    }
}

/// How a frame ends, or what it waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// It starts a call.
    Call { site: u32, to: u16 },
    /// It starts a creation.
    Create { site: u32, to: u16 },
    /// It ends well, with this part of its memory as output.
    Return { offset: usize, length: usize },
    /// It ends badly, with this part of its memory as output.
    Revert { offset: usize, length: usize },
    /// It ends badly.
    Halt,
    /// It ends well, and its account with it.
    SelfDestruct { beneficiary: Word },
    /// A branch that an unknown word decides: one arm is taken, the other is this trace.
    Fork { other: TraceId, pc: u32, taint: Taint },
    /// It jumps to a computed target.
    Computed { target: Word, pc: u32 },
    /// Its instructions cost more gas than the transaction has.
    OutOfGas,
    /// It may fail alone, and has less gas than it took.
    Starved,
    /// It cannot be followed any further.
    Abandon,
}

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    /// Follows a path to its end, or until it cannot be followed.
    pub(super) fn follow(&mut self, path: &mut Path) {
        loop {
            let slice = Arc::clone(&path.frame.slice);
            let event = if path.trail.is_some() {
                self.run::<true>(path, &slice)
            } else {
                self.run::<false>(path, &slice)
            };
            self.note_shortfalls(path);
            let goes_on = match event {
                Event::Call { site, to } => self.call(path, &slice, &slice.calls[site as usize], to),
                Event::Create { site, to } => self.create(path, &slice, &slice.creates[site as usize], to),
                Event::Fork { other, pc, taint } => self.fork(path, other, pc, taint),
                Event::Computed { target, pc } => self.land(path, &slice, target, pc),
                Event::OutOfGas => self.run_out(path),
                Event::Starved => self.starve(path),
                Event::Abandon => false,
                end => self.finish(path, end),
            };
            if !goes_on || self.stopped || self.ledger.wants_signers && !self.eager || self.widen.is_some() {
                return;
            }
        }
    }

    /// Follows both arms of a branch: this path takes one, another path the other.
    fn fork(&mut self, path: &mut Path, other: TraceId, pc: u32, taint: Taint) -> bool {
        if taint.awaits_signer() && self.paths >= MAX_UNSIGNED_PATHS {
            // By now recovering the signer costs less than doing without it.
            self.ledger.wants_signers = true;
            return false;
        }
        if self.paths >= MAX_PATHS {
            // What is left out is announced, so that the likeliest way is as good as a dozen.
            for mut left_out in self.pending.drain(..) {
                self.trails.extend(left_out.trail.take().map(|trail| *trail));
            }
            self.ledger.fall_short(ShortfallReason::TooManyBranches, path.frame.place(pc));
            self.note_shortfalls(path);
            return true;
        }
        self.paths += 1;
        let mut trail = path.trail.take();
        let mut arm = path.clone();
        arm.frame.ip = other.0 as usize;
        if let Some(trail) = &mut trail {
            let numbers = (self.numbers, self.numbers + 1);
            self.numbers += 2;
            let (first, second) = trail.fork(numbers);
            path.trail = Some(Box::new(first));
            arm.trail = Some(Box::new(second));
        }
        self.trails.extend(trail.map(|trail| *trail));
        self.pending.push(arm);
        true
    }

    /// Writes down what the prediction said of itself since the last time.
    pub(super) fn note_shortfalls(&mut self, path: &mut Path) {
        if let Some(trail) = &mut path.trail {
            trail.shortfalls(&self.ledger.shortfalls[self.noted_shortfalls..]);
            self.noted_shortfalls = self.ledger.shortfalls.len();
        }
    }

    /// No execution gets here with the gas it has. Where a guard was left out that failed, everything reverted there;
    /// where a frame may fail on its own, what its caller does then is not known.
    pub(super) fn run_out(&mut self, path: &mut Path) -> bool {
        if let Some(trail) = &mut path.trail {
            let all = self.tx.gas_limit.saturating_sub(self.intrinsic);
            trail.run_out(all);
            trail.finish(all);
        }
        let all_lean = |frames: &Frames| frames.iter().all(|frame| frame.slice.variant == Variant::Lean);
        let bounded = self.tx.gas_limit > super::MAX_GAS;
        if bounded
            || path.may_have_more
            || path.frame.slice.variant == Variant::Strict
            || !all_lean(&path.waiting)
        {
            self.ledger.fall_short(ShortfallReason::StepBudget, path.frame.place(0));
        }
        false
    }

    /// Ends the frame on top, which is sure to be out of gas.
    pub(super) fn starve(&mut self, path: &mut Path) -> bool {
        let enough = self.had_enough(path);
        debug_assert!(!enough, "it is known to have too little");
        self.finish(path, Event::Halt)
    }

    /// Goes on at a computed target.
    fn land(&mut self, path: &mut Path, slice: &Slice, target: Word, pc: u32) -> bool {
        if !self.ledger.need(target.taint) {
            let place = path.frame.place(pc);
            self.ledger.fall_short_of(target.taint, ShortfallReason::UnknownJump, place);
            return false;
        }
        let destination = u32::try_from(target.value).ok();
        if let Some(trail) = &mut path.trail {
            trail.fix(&target);
        }
        match destination.and_then(|pc| slice.destinations.get(&pc)) {
            Some(trace) => {
                path.frame.ip = trace.0 as usize;
                true
            }
            None if slice.all_destinations || destination.is_none() => self.finish(path, Event::Halt),
            None => {
                self.widen = Some(Arc::clone(&path.frame.slice));
                false
            }
        }
    }
}
