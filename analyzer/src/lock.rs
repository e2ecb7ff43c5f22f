//! Slots that every successful call leaves as it found them: locks and temporaries.
//!
//! In: the drafts of all entries. Out: the write forms of such slots turned into [`WriteForm::NetZero`]. A lock cannot be
//! told from one function alone: that the slot holds the "free" value at entry follows only from every entry of the
//! contract leaving it there. What a constructor left is assumed to be that value too.

use alloy_primitives::U256;
use std::collections::BTreeMap;

use crate::{
    access::{ByteRange, Condition, Effect, NetZero, WriteForm},
    expression::{Node as Word, Space},
    flow::field_of,
    id::ExprId,
    location::Slot,
    simplify::Builder,
    summarize::{Draft, entry_word},
    update::bits_of,
};

use revm_bytecode::opcode as op;

type Field = (Space, Slot, ByteRange);

/// What the writes of one entry to one field are like.
#[derive(Default)]
struct Behaviour {
    /// Constants stored.
    stored: Vec<U256>,
    /// Something other than a constant is stored.
    other: bool,
    expression: Option<ExprId>,
}

/// Finds locks and temporaries, and marks their writes.
pub(crate) fn mark_net_zero(builder: &mut Builder, drafts: &mut [Draft]) {
    let mut fields: BTreeMap<Field, BTreeMap<usize, Behaviour>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        for access in draft.summary.accesses.iter().filter(|access| !access.circumstance.reverts) {
            let Effect::Write { value, .. } = access.effect else { continue };
            if !access.slot.is_fixed() && access.space == Space::Storage {
                continue;
            }
            let field = (access.space, access.slot.clone(), access.bytes);
            let behaviour = fields.entry(field).or_default().entry(index).or_default();
            behaviour.expression = Some(access.expression);
            match builder.value(value) {
                Some(constant) if !behaviour.stored.contains(&constant) => behaviour.stored.push(constant),
                Some(_) => {}
                None => behaviour.other = true,
            }
        }
    }
    // A field that is also written as part of a larger range is not described by its own writes alone.
    let overlapping: Vec<Field> = fields
        .keys()
        .filter(|(space, slot, bytes)| {
            fields.keys().any(|(s, k, b)| s == space && k == slot && b != bytes && b.overlaps(*bytes))
        })
        .cloned()
        .collect();
    for (field, behaviours) in &fields {
        let shared = overlapping.contains(field);
        let Some(kind) = classify(builder, drafts, field, behaviours, shared) else { continue };
        for (index, draft_kind) in kind {
            for access in &mut drafts[index].summary.accesses {
                if access.space == field.0
                    && access.slot == field.1
                    && access.bytes == field.2
                    && let Effect::Write { form, .. } = &mut access.effect
                {
                    *form = WriteForm::NetZero(draft_kind);
                }
            }
        }
    }
}

/// The last content of the field on each successful exit of an entry that stores to it.
fn finals(builder: &mut Builder, draft: &Draft, field: &Field, expression: ExprId) -> Vec<ExprId> {
    let mut result = Vec::new();
    for exit in &draft.exits {
        if let Some(written) = exit.iter().find(|written| written.0 == field.0 && written.1 == expression) {
            // Paths that met after their last stores left one of several words.
            for word in alternatives(builder, written.2) {
                let content = field_content(builder, word, field.2);
                if !result.contains(&content) {
                    result.push(content);
                }
            }
        }
    }
    result
}

/// How many words that met are looked at one by one.
const MAX_ALTERNATIVES: usize = 16;

/// The words that a phi can be; any other word is only itself.
fn alternatives(builder: &Builder, word: ExprId) -> Vec<ExprId> {
    let mut seen = vec![word];
    let mut result = Vec::new();
    let mut next = 0;
    while let Some(&id) = seen.get(next) {
        next += 1;
        match builder.expressions.node(id) {
            Word::Phi { .. } if seen.len() <= MAX_ALTERNATIVES => {
                for operand in builder.expressions.phi_operands(id) {
                    if !seen.contains(operand) {
                        seen.push(*operand);
                    }
                }
            }
            _ => result.push(id),
        }
    }
    result
}

fn field_content(builder: &mut Builder, word: ExprId, bytes: ByteRange) -> ExprId {
    if bytes == ByteRange::WORD {
        return word;
    }
    let shifted = builder.shr(8 * usize::from(bytes.from), word);
    builder.and_mask(shifted, bits_of(bytes) >> (8 * usize::from(bytes.from)))
}

fn classify(
    builder: &mut Builder,
    drafts: &[Draft],
    field: &Field,
    behaviours: &BTreeMap<usize, Behaviour>,
    shared: bool,
) -> Option<Vec<(usize, NetZero)>> {
    let mut result = Vec::new();
    let mut free: Option<U256> = None;
    for (index, behaviour) in behaviours {
        let expression = behaviour.expression?;
        let draft = &drafts[*index];
        let finals = finals(builder, draft, field, expression);
        if draft.exits.is_empty() {
            continue;
        }
        let initial = entry_word(builder, field.0, expression);
        let initial = field_content(builder, initial, field.2);
        if !finals.is_empty() && finals.iter().all(|content| *content == initial) {
            result.push((*index, NetZero::Restored));
            continue;
        }
        let [content] = finals.as_slice() else { return only_restored(result) };
        let Some(last) = builder.value(*content) else { return only_restored(result) };
        if free.is_some_and(|free| free != last) {
            return only_restored(result);
        }
        free = Some(last);
        if behaviour.stored == [last] && !behaviour.other {
            // It only sets the free value: an initialiser, which is an ordinary write.
            continue;
        }
        let taken = behaviour.stored.iter().copied().find(|value| *value != last);
        let checked = !behaviour.other
            && behaviour.stored.len() == 2
            && taken.is_some_and(|taken| is_checked(builder, draft, initial, taken, last));
        if checked {
            result.push((*index, NetZero::Guard));
        } else if last.is_zero() && !shared {
            result.push((*index, NetZero::Cleared));
        } else {
            return only_restored(result);
        }
    }
    (!result.is_empty()).then_some(result)
}

fn only_restored(mut result: Vec<(usize, NetZero)>) -> Option<Vec<(usize, NetZero)>> {
    result.retain(|entry| entry.1 == NetZero::Restored);
    (!result.is_empty()).then_some(result)
}

/// Whether every successful call requires that the field does not hold `taken` at entry.
fn is_checked(builder: &mut Builder, draft: &Draft, initial: ExprId, taken: U256, free: U256) -> bool {
    let requires = draft.summary.requires.clone();
    requires.iter().any(|Condition { expression, holds }| {
        let (tested, constant, equal) = match builder.expressions.node(*expression) {
            Word::Binary { op: op::EQ, a, b } => match builder.value(b) {
                Some(constant) => (a, constant, *holds),
                None => return false,
            },
            _ => (*expression, U256::ZERO, !*holds),
        };
        let same = tested == initial
            || field_of(&builder.expressions, tested).is_some_and(|(word, mask)| {
                field_of(&builder.expressions, initial)
                    .map_or(word == initial, |(other, bits)| word == other && !(mask & bits).is_zero())
            });
        same && ((equal && constant == free) || (!equal && constant == taken))
    })
}
