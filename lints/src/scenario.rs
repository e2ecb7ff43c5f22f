//! What a conflict costs: how many of many calls of one function, by distinct callers with distinct arguments, can run
//! at once.
//!
//! In: the conflict matrix and what is thought to be no longer shared. Out: [`Effect`]s. The number is an upper bound from
//! the matrix alone: every engine runs what does not conflict at once, and none runs what does. It never executes.

use deconflict_analyzer::{Alias, Cause, ExprId, Root, Sources};

use crate::{
    diagnostic::Effect,
    view::{ContractView, Field, Touch},
};

/// Words that differ from call to call where callers and arguments do.
const CHOSEN: Sources = Sources(
    Sources::CALLER.0
        | Sources::CALLDATA.0
        | Sources::TRANSACTION.0
        | Sources::CALL_VALUE.0
        | Sources::RETURN_DATA.0
        | Sources::UNKNOWN.0,
);

impl ContractView<'_> {
    /// What it would change for `function` if nothing in `fields` was shared any longer.
    pub(crate) fn effect(&self, function: usize, fields: &[Field]) -> Effect {
        let entry = self.analysis.summaries[function].entry;
        Effect {
            function: self.names.signature(entry),
            calls: self.settings.calls,
            before: self.at_once(function, &[]),
            after: self.at_once(function, fields),
            complete: self.analysis.summaries[function].is_complete(),
        }
    }

    /// How many calls of `function` can run at once if nothing in `relieved` was shared.
    pub(crate) fn at_once(&self, function: usize, relieved: &[Field]) -> u32 {
        let cells = self.conflicts.iter().filter(|cell| cell.a == function && cell.b == function);
        // Whoever schedules has to take calls that nobody knows in full for calls that conflict.
        if !self.analysis.summaries[function].is_complete() {
            return 1;
        }
        let causes = cells.flat_map(|cell| &cell.causes);
        let open = causes.filter(|cause| !relieved.iter().any(|field| concerns(cause, field)));
        open.map(|cause| self.lanes(function, cause)).min().unwrap_or(self.settings.calls).max(1)
    }

    /// How many calls of `function` can run at once as far as this cause goes.
    fn lanes(&self, function: usize, cause: &Cause) -> u32 {
        let calls = self.settings.calls;
        if !self.settings.profile.counts(cause.kind) || self.is_rare(function, cause) {
            return calls;
        }
        match &cause.alias {
            // A slot that may be any slot: whoever schedules has to take it for the same one.
            Alias::Always | Alias::Unknown => 1,
            Alias::When(pairs) => {
                pairs.iter().map(|&(a, b)| self.choices(a).min(self.choices(b))).max().unwrap_or(1).min(calls)
            }
        }
    }

    /// How many different words `key` is in as many calls: one for each call that can choose, as many as its bits allow.
    fn choices(&self, key: ExprId) -> u32 {
        let expressions = &self.analysis.expressions;
        let sources = expressions.sources(key);
        if !sources.intersects(CHOSEN.with(Sources::STORAGE).with(Sources::PHI)) {
            return 1;
        }
        if self.is_shared_word(key) {
            return 1;
        }
        1u32.checked_shl(expressions.bits(key).min(31)).unwrap_or(u32::MAX).min(self.settings.calls)
    }

    /// Whether only the first call of a block writes there.
    fn is_rare(&self, function: usize, cause: &Cause) -> bool {
        let accesses = &self.analysis.summaries[function].accesses;
        let touches = cause.accesses_a.iter().chain(&cause.accesses_b);
        let mut writes = touches
            .filter_map(|&index| accesses.get(index))
            .map(|access| Touch { function, access })
            .filter(|touch| touch.is_write() && !touch.is_net_zero())
            .peekable();
        writes.peek().is_some() && writes.all(|touch| self.is_once_per_block(&touch))
    }
}

/// Whether the cause lies in `field`. A field of a slot that nobody knows stands for all such slots.
fn concerns(cause: &Cause, field: &Field) -> bool {
    let lost = |root: Root| !matches!(root, Root::Fixed(_));
    let same = cause.slot_a == field.slot || cause.slot_b == field.slot;
    (same && cause.bytes.overlaps(field.bytes)) || (lost(field.slot.root) && cause.alias == Alias::Unknown)
}
