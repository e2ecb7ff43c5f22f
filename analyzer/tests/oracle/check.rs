//! Compares what an execution did with what the summary of its entry says.
//!
//! In: an analysis, a world, a message and its trace. Out: one line for every claim of the summary that the execution
//! refutes. A summary that says it is incomplete claims nothing.

use alloy_primitives::{U256, hex};
use deconflict_analyzer::{
    Access, Analysis, ByteRange, Call, CallKind, Circumstance, Effect, NetZero, Permission, Space, Summary,
    WriteForm,
};
use revm::bytecode::opcode as op;
use std::collections::BTreeMap;

use crate::{
    evaluate::{Evaluator, selected},
    world::{Message, Outside, Touch, Trace, World},
};

/// What the execution refutes, and how many accesses it compared.
pub(crate) struct Verdict {
    pub(crate) refuted: Vec<String>,
    pub(crate) compared: usize,
}

/// Checks one execution.
pub(crate) fn check(
    analysis: &Analysis,
    world: &World,
    message: &Message,
    trace: &Trace,
    immutables: &BTreeMap<u32, U256>,
) -> Verdict {
    let mut check = Check {
        evaluator: Evaluator::new(&analysis.expressions, world, message, immutables),
        trace,
        world,
        refuted: Vec::new(),
    };
    let compared = match selected(analysis, message) {
        None => {
            if trace.success {
                check.refute("entry", 0, "succeeds, but no summary is for it");
            }
            0
        }
        Some(summary) if summary.is_complete() => {
            check.summary(summary);
            trace.touches.len()
        }
        Some(_) => 0,
    };
    Verdict { refuted: check.refuted, compared }
}

/// Whether the summary, if it claims to have all, has an access to transient storage that can be to this slot, by
/// whichever instruction.
pub(crate) fn check_transient(
    analysis: &Analysis,
    world: &World,
    message: &Message,
    immutables: &BTreeMap<u32, U256>,
    slot: U256,
    stores: bool,
) -> bool {
    let Some(summary) = selected(analysis, message).filter(|summary| summary.is_complete()) else {
        return true;
    };
    let mut evaluator = Evaluator::new(&analysis.expressions, world, message, immutables);
    summary.accesses.iter().any(|access| {
        access.space == Space::Transient
            && matches!(access.effect, Effect::Write { .. }) == stores
            && evaluator.word(access.expression).is_none_or(|number| number == slot)
    })
}

struct Check<'a> {
    evaluator: Evaluator<'a>,
    trace: &'a Trace,
    world: &'a World,
    refuted: Vec<String>,
}

impl Check<'_> {
    fn refute(&mut self, what: &str, pc: u32, why: impl std::fmt::Display) {
        self.refuted.push(format!("{what} at 0x{pc:x}: {why}"));
    }

    fn summary(&mut self, summary: &Summary) {
        for touch in &self.trace.touches {
            self.touch(summary, touch);
        }
        for outside in &self.trace.outside {
            self.outside(summary, outside);
        }
        if self.trace.success {
            self.success(summary);
        }
    }

    /// Whether nothing known about this call speaks against the circumstance.
    fn possible(&mut self, circumstance: &Circumstance) -> bool {
        let Circumstance { when, requires, reverts, .. } = circumstance;
        if *reverts && self.trace.success {
            return false;
        }
        when.iter().chain(requires).all(|condition| self.evaluator.holds(*condition) != Some(false))
    }

    fn touch(&mut self, summary: &Summary, touch: &Touch) {
        let space = if touch.transient { Space::Transient } else { Space::Storage };
        let mut found: Vec<&Access> = summary
            .accesses
            .iter()
            .filter(|access| access.position.pc.0 == touch.pc && access.space == space)
            .filter(|access| matches!(access.effect, Effect::Write { .. }) == touch.stored.is_some())
            .collect();
        if found.is_empty() {
            return self.refute("missing", touch.pc, format!("slot {:#x}", touch.slot));
        }
        found.retain(|access| self.evaluator.word(access.expression).is_none_or(|slot| slot == touch.slot));
        if found.is_empty() {
            return self.refute("slot", touch.pc, format!("{:#x} is none of the summary's", touch.slot));
        }
        for access in &found {
            if self.evaluator.word(access.expression).is_some()
                && self.evaluator.names(&access.slot, touch.slot) == Some(false)
            {
                let why = format!("{:?} is not {:#x}", access.slot, touch.slot);
                self.refute("normal form", touch.pc, why);
            }
        }
        found.retain(|access| self.possible(&access.circumstance));
        if found.is_empty() {
            return self.refute("circumstance", touch.pc, "no access is possible here");
        }
        match touch.stored {
            None => {
                let values: Vec<_> = found
                    .iter()
                    .map(|access| match access.effect {
                        Effect::Read { value, .. } | Effect::Write { value, .. } => {
                            self.evaluator.word(value)
                        }
                    })
                    .collect();
                if values.iter().all(|value| value.is_some_and(|value| value != touch.before)) {
                    let why = format!("loads {:#x}, the summary says {values:x?}", touch.before);
                    self.refute("loaded value", touch.pc, why);
                }
            }
            Some(stored) => {
                let kept = found.iter().fold(U256::MAX, |kept, access| kept & !bits(access.bytes));
                // What an earlier store changed may be put back: then the store is none to these bytes.
                let initial = self.world.stored(touch.slot);
                if !((touch.before ^ stored) & (initial ^ stored) & kept).is_zero() {
                    let why = format!("{:#x} over {:#x} changes other bytes", stored, touch.before);
                    self.refute("byte range", touch.pc, why);
                }
                self.content(&found, touch, stored);
            }
        }
    }

    /// The stored content of each byte range is the value of one of the accesses to it.
    fn content(&mut self, found: &[&Access], touch: &Touch, stored: U256) {
        let mut ranges: Vec<ByteRange> = found.iter().map(|access| access.bytes).collect();
        ranges.sort_unstable();
        ranges.dedup();
        // With overlapping ranges, which of them an execution writes is not known.
        if ranges.windows(2).any(|pair| pair[0].overlaps(pair[1])) {
            return;
        }
        for range in ranges {
            let width = bits(range) >> (8 * usize::from(range.from));
            let content = (stored >> (8 * usize::from(range.from))) & width;
            let mut claims = Vec::new();
            for access in found.iter().filter(|access| access.bytes == range) {
                let Effect::Write { value, .. } = access.effect else { continue };
                claims.push(self.evaluator.word(value).map(|value| value & width));
            }
            if claims.iter().all(|claim| claim.is_some_and(|claim| claim != content)) {
                self.refute("stored value", touch.pc, format!("{content:#x}, the summary says {claims:x?}"));
            }
        }
    }

    fn outside(&mut self, summary: &Summary, outside: &Outside) {
        let Outside { pc, opcode, account, ref input } = *outside;
        let kind = match opcode {
            op::CALL => Some(CallKind::Call),
            op::CALLCODE => Some(CallKind::CallCode),
            op::DELEGATECALL => Some(CallKind::DelegateCall),
            op::STATICCALL => Some(CallKind::StaticCall),
            _ => None,
        };
        let named = |word: Option<U256>| word.is_none_or(|word| address(word) == address(account));
        let covered = if let Some(kind) = kind {
            let at: Vec<&Call> =
                summary.calls.iter().filter(|call| call.position.pc.0 == pc && call.kind == kind).collect();
            at.iter().any(|call| {
                named(self.evaluator.word(call.target))
                    && self.input(call, input)
                    && self.possible(&call.circumstance)
            })
        } else {
            match opcode {
                op::CREATE | op::CREATE2 => summary
                    .creations
                    .iter()
                    .any(|creation| creation.position.pc.0 == pc && self.possible(&creation.circumstance)),
                op::SELFDESTRUCT => summary.self_destructs.iter().any(|destruct| {
                    destruct.position.pc.0 == pc
                        && named(self.evaluator.word(destruct.beneficiary))
                        && self.possible(&destruct.circumstance)
                }),
                _ => summary.balance_reads.iter().any(|read| {
                    read.position.pc.0 == pc
                        && named(self.evaluator.word(read.address))
                        && self.possible(&read.circumstance)
                }),
            }
        };
        if !covered {
            let why = format!("opcode 0x{opcode:x} on {account:#x}, input 0x{}", hex::encode(input));
            self.refute("outside", pc, why);
        }
    }

    /// Whether the call's selector and arguments can be what was sent.
    fn input(&mut self, call: &Call, input: &[u8]) -> bool {
        if let Some(selector) = call.selector
            && input.len() >= 4
            && input[..4] != selector
        {
            return false;
        }
        let arguments = input.get(if call.selector.is_some() { 4 } else { 0 }..).unwrap_or(&[]);
        call.arguments.iter().zip(arguments.chunks_exact(32)).all(|(claim, sent)| {
            self.evaluator.word(*claim).is_none_or(|claim| claim.to_be_bytes::<32>() == sent)
        })
    }

    /// What must be true because the execution succeeded.
    fn success(&mut self, summary: &Summary) {
        if summary.always_reverts {
            self.refute("always_reverts", 0, "the execution succeeds");
        }
        for condition in &summary.requires {
            if self.evaluator.holds(*condition) == Some(false) {
                self.refute("requires", 0, format!("{condition:?} does not hold"));
            }
        }
        let has_effect =
            !self.trace.outside.is_empty() || self.trace.touches.iter().any(|it| it.stored.is_some());
        if let Permission::Restricted(any) = &summary.permission
            && has_effect
            && any.iter().all(|condition| self.evaluator.holds(*condition) == Some(false))
        {
            self.refute("permission", 0, format!("none of {any:?} holds"));
        }
        for (index, word) in summary.returned.iter().enumerate() {
            let Some(returned) = self.trace.output.get(32 * index..32 * index + 32) else { continue };
            if let Some(claim) = self.evaluator.word(*word)
                && claim.to_be_bytes::<32>() != returned
            {
                self.refute(
                    "returned",
                    0,
                    format!("word {index} is 0x{}, not {claim:#x}", hex::encode(returned)),
                );
            }
        }
        for access in summary.accesses.iter().filter(|access| access.circumstance.always) {
            if !self.trace.executed.contains(&access.position.pc.0) {
                self.refute("always", access.position.pc.0, "was not executed");
            }
        }
        self.forms(summary);
    }

    /// What the forms of the writes say about the slot at the end.
    fn forms(&mut self, summary: &Summary) {
        // Code that runs in between may store as well.
        let is_alone = !self.trace.outside.iter().any(|outside| {
            matches!(
                outside.opcode,
                op::CALL | op::CALLCODE | op::DELEGATECALL | op::CREATE | op::CREATE2 | op::SELFDESTRUCT
            )
        });
        if !is_alone {
            return;
        }
        let stores: Vec<&Touch> =
            self.trace.touches.iter().filter(|touch| touch.stored.is_some() && !touch.transient).collect();
        for touch in &stores {
            let at_this: Vec<&Access> = summary
                .accesses
                .iter()
                .filter(|access| access.position.pc.0 == touch.pc && access.space == Space::Storage)
                .collect();
            let initial = self.world.stored(touch.slot);
            let last = self.trace.changed.get(&touch.slot).copied().unwrap_or(initial);
            let times = stores.iter().filter(|other| other.slot == touch.slot).count();
            for access in &at_this {
                let Effect::Write { form, .. } = &access.effect else { continue };
                // With several variants of one store, or an unknown slot, which of them ran is not known.
                let is_only = at_this.iter().filter(|other| other.bytes.overlaps(access.bytes)).count() == 1;
                if !is_only || self.evaluator.word(access.expression) != Some(touch.slot) {
                    continue;
                }
                let shift = 8 * usize::from(access.bytes.from);
                let width = bits(access.bytes) >> shift;
                let field = |word: U256| (word >> shift) & width;
                match *form {
                    WriteForm::Delta { amount, subtract, .. } | WriteForm::Increment { amount, subtract }
                        if times == 1 =>
                    {
                        let Some(amount) = self.evaluator.word(amount) else { continue };
                        let sum = if subtract {
                            field(initial).wrapping_sub(amount)
                        } else {
                            field(initial).wrapping_add(amount)
                        };
                        if sum & width != field(last) {
                            let why = format!("{initial:#x} became {last:#x}, amount {amount:#x}");
                            self.refute("sum", touch.pc, why);
                        }
                    }
                    WriteForm::NetZero(kind) => {
                        // Locks and temporaries are only promised to end as every call of the contract leaves them.
                        let promised = match kind {
                            NetZero::Restored => true,
                            NetZero::Cleared => field(initial).is_zero(),
                            NetZero::Guard => false,
                        };
                        if promised && field(initial) != field(last) {
                            self.refute("net zero", touch.pc, format!("{initial:#x} became {last:#x}"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

fn address(word: U256) -> U256 {
    word & (U256::MAX >> 96)
}

fn bits(bytes: ByteRange) -> U256 {
    let width = 8 * usize::from(bytes.to - bytes.from);
    (U256::MAX >> (256 - width)) << (8 * usize::from(bytes.from))
}
