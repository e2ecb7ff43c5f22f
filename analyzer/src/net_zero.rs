//! Slots that every successful call leaves as it found them: locks and temporaries.
//!
//! In: the drafts of all entries. Out: the write forms of such slots turned into [`WriteForm::NetZero`]. A lock cannot be
//! told from one function alone: that the slot holds the "free" value at entry follows only from every entry of the
//! contract leaving it there. What a constructor left is assumed to be that value too.

use std::collections::BTreeMap;

use crate::{
    access::{ByteRange, Condition, Effect, NetZero, WriteForm},
    expression::{Node as Word, Sources, Space},
    id::ExprId,
    location::Slot,
    simplify::Builder,
    summarize::{SummaryDraft, entry_word},
    update::bits_of,
    uses::field_of,
};

use revm_bytecode::opcode as op;

type Field = (Space, Slot, ByteRange);

/// What each entry that writes a field does there.
type Behaviours = BTreeMap<usize, Behaviour>;

/// What the writes of one entry to one field are like.
#[derive(Default)]
struct Behaviour {
    /// Words stored that are the same in every call.
    stored: Vec<ExprId>,
    /// Something other than these is stored.
    other: bool,
    expression: Option<ExprId>,
}

/// Finds locks and temporaries, and marks their writes.
pub(crate) fn mark_net_zero(builder: &mut Builder, drafts: &mut [SummaryDraft]) {
    let mut fields: BTreeMap<Field, Behaviours> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        for access in draft.summary.accesses.iter().filter(|access| !access.circumstance.reverts) {
            let Effect::Write { value, .. } = access.effect else { continue };
            if !access.slot.is_fixed() && access.space == Space::Storage {
                continue;
            }
            let field = (access.space, access.slot.clone(), access.bytes);
            let behaviour = fields.entry(field).or_default().entry(index).or_default();
            behaviour.expression = Some(access.expression);
            if !is_fixed(builder, value) {
                behaviour.other = true;
            } else if !behaviour.stored.contains(&value) {
                behaviour.stored.push(value);
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
    let mut unknown = Vec::new();
    for (field, behaviours) in &fields {
        let shared = overlapping.contains(field);
        match classify(builder, drafts, field, behaviours, shared) {
            Some(kinds) => mark(drafts, field, &kinds, |bytes| bytes == field.2),
            None if shared => unknown.push(field),
            None => {}
        }
    }
    for (field, behaviours) in joined(&fields, &unknown) {
        if let Some(kinds) = classify(builder, drafts, &field, &behaviours, false) {
            mark(drafts, &field, &kinds, |bytes| bytes.overlaps(field.2));
        }
    }
}

fn mark(
    drafts: &mut [SummaryDraft],
    field: &Field,
    kinds: &[(usize, NetZero)],
    concerns: impl Fn(ByteRange) -> bool,
) {
    for (index, kind) in kinds {
        for access in &mut drafts[*index].summary.accesses {
            if access.space == field.0
                && access.slot == field.1
                && concerns(access.bytes)
                && let Effect::Write { form, .. } = &mut access.effect
            {
                *form = WriteForm::NetZero(*kind);
            }
        }
    }
}

/// Ranges of one word that overlap, as one range each: a variable that is set alone and cleared with all that is beside
/// it. Ranges are only joined where nothing is known of any of them.
fn joined(fields: &BTreeMap<Field, Behaviours>, unknown: &[&Field]) -> Vec<(Field, Behaviours)> {
    let mut result: Vec<(Field, Behaviours)> = Vec::new();
    for (field @ (space, slot, bytes), behaviours) in fields {
        if !unknown.contains(&field) {
            continue;
        }
        let expressions = behaviours.iter().map(|(index, behaviour)| {
            let all = Behaviour { stored: Vec::new(), other: true, expression: behaviour.expression };
            (*index, all)
        });
        match result.last_mut() {
            Some(((last_space, last_slot, hull), all))
                if last_space == space && last_slot == slot && hull.overlaps(*bytes) =>
            {
                *hull = ByteRange { from: hull.from.min(bytes.from), to: hull.to.max(bytes.to) };
                all.extend(expressions);
            }
            _ => result.push((field.clone(), expressions.collect())),
        }
    }
    let apart = |(space, slot, hull): &Field| {
        let others = fields.keys().filter(|other| other.0 == *space && other.1 == *slot);
        others.filter(|other| other.2.overlaps(*hull)).all(|other| unknown.contains(&other))
    };
    result.retain(|(field, _)| apart(field));
    result
}

/// Whether a word is the same in every call: a constant, or the contract's own address, which some locks store.
fn is_fixed(builder: &Builder, word: ExprId) -> bool {
    let own = Sources::ADDRESS.with(Sources::CODE).with(Sources::IMMUTABLE);
    builder.value(word).is_some() || builder.expressions.sources(word).is_within(own)
}

/// The last content of the field on each successful exit of an entry that stores to it.
fn finals(builder: &mut Builder, draft: &SummaryDraft, field: &Field, expression: ExprId) -> Vec<ExprId> {
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
    drafts: &[SummaryDraft],
    field: &Field,
    behaviours: &Behaviours,
    shared: bool,
) -> Option<Vec<(usize, NetZero)>> {
    let mut result = Vec::new();
    let mut free: Option<ExprId> = None;
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
        let &[last] = finals.as_slice() else { return only_restored(result) };
        if !is_fixed(builder, last) || free.is_some_and(|free| free != last) {
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
        } else if builder.is_zero(last) && !shared {
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
fn is_checked(builder: &Builder, draft: &SummaryDraft, initial: ExprId, taken: ExprId, free: ExprId) -> bool {
    let is_initial = |tested: ExprId| {
        tested == initial
            || field_of(&builder.expressions, tested).is_some_and(|(word, mask)| {
                field_of(&builder.expressions, initial)
                    .map_or(word == initial, |(other, bits)| word == other && !(mask & bits).is_zero())
            })
    };
    draft.summary.requires.iter().any(|&Condition { expression, holds }| {
        let says = |tested, word, equal: bool| is_initial(tested) && word == if equal { free } else { taken };
        match builder.expressions.node(expression) {
            Word::Binary { op: op::EQ, a, b } => says(a, b, holds) || says(b, a, holds),
            _ => says(expression, builder.zero(), !holds),
        }
    })
}
