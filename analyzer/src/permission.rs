//! Which entries only an administrator can call.
//!
//! In: the drafts of all entries. Out: [`Permission::Restricted`] where every successful path needs the caller to be an
//! address held in storage (or in the code), or to hold a role, and only entries that are restricted themselves can
//! change that storage. A check against something that any user can set is no restriction. An entry that can succeed
//! once only, such as an initialiser, is restricted as well: it is no part of what users do all the time.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use std::collections::BTreeSet;

use crate::{
    access::{Access, ByteRange, CallKind, Circumstance, Condition, Effect, Escapes, WriteForm},
    expression::{Environment, Expressions, Node as Word, Sources, Space},
    flow::field_of,
    id::ExprId,
    location::{Projection, Root, Slot},
    simplify::Builder,
    slot::normalise,
    summarize::Draft,
    summary::{Permission, Summary},
    update::hull,
};

/// What a check of the caller relies on: mappings are named by the slot that they start from.
type Authority = (Root, Vec<usize>);

/// Some bytes of a slot.
type Field = (Slot, ByteRange);

/// Decides the permission of every entry.
pub(crate) fn decide(builder: &mut Builder, drafts: &mut [Draft]) {
    let mut candidates: Vec<Vec<(Condition, Option<Field>)>> =
        drafts.iter().map(|draft| checks(builder, &draft.summary)).collect();
    for (index, draft) in drafts.iter().enumerate() {
        candidates[index].extend(once(builder, drafts, draft).map(|condition| (condition, None)));
    }
    // Start from the largest set and take entries out whose authority an unrestricted entry can change.
    let mut restricted: BTreeSet<usize> =
        (0..drafts.len()).filter(|index| !candidates[*index].is_empty()).collect();
    loop {
        let open: Vec<usize> = (0..drafts.len()).filter(|index| !restricted.contains(index)).collect();
        let before = restricted.len();
        restricted = restricted
            .iter()
            .copied()
            .filter(|index| {
                candidates[*index].iter().any(|(_, authority)| {
                    authority.as_ref().is_none_or(|field| {
                        !open.iter().any(|other| can_change(&builder.expressions, &drafts[*other], field))
                    })
                })
            })
            .collect();
        if restricted.len() == before {
            break;
        }
    }
    for index in restricted {
        if let Some((condition, _)) = candidates[index].first() {
            drafts[index].summary.permission = Permission::Restricted(*condition);
        }
    }
}

/// The condition that a call of the entry needs and takes away for good: that a word of storage is still zero, which no
/// entry ever makes zero again, or still holds what an initialiser replaces by a constant.
fn once(builder: &mut Builder, drafts: &[Draft], draft: &Draft) -> Option<Condition> {
    let lasting = |access: &&Access| {
        access.space == Space::Storage && !access.circumstance.reverts && access.slot.is_fixed()
    };
    let sets: Vec<(&Access, ExprId)> = (draft.summary.accesses.iter().filter(lasting))
        .filter_map(|access| match &access.effect {
            Effect::Write { value, form } if !matches!(form, WriteForm::NetZero(_)) => Some((access, *value)),
            _ => None,
        })
        .collect();
    // Only ever the same word is stored: a state that goes back and forth is none of an initialiser.
    let is_flag = |access: &Access, set: ExprId| {
        drafts.iter().flat_map(|it| &it.summary.accesses).filter(lasting).all(|other| {
            let same = other.slot == access.slot && other.bytes.overlaps(access.bytes);
            match other.effect {
                Effect::Write { value, .. } if same => {
                    value == set && builder.expressions.constant(value).is_some_and(|it| !it.is_zero())
                }
                _ => true,
            }
        })
    };
    let is_kept = |access: &Access| {
        drafts.iter().flat_map(|it| &it.summary.accesses).filter(lasting).all(|other| {
            let same = other.slot == access.slot && other.bytes.overlaps(access.bytes);
            !same || !matches!(other.effect, Effect::Write { value, .. } if builder.expressions.constant(value) == Some(U256::ZERO))
        })
    };
    let flags: Vec<Field> =
        sets.iter().filter(|it| is_flag(it.0, it.1)).map(|it| (it.0.slot.clone(), it.0.bytes)).collect();
    let kept: Vec<Field> =
        sets.iter().filter(|it| is_kept(it.0)).map(|it| (it.0.slot.clone(), it.0.bytes)).collect();
    let among = |fields: &[Field], field: &Option<Field>| {
        field
            .as_ref()
            .is_some_and(|(slot, bytes)| fields.iter().any(|it| it.0 == *slot && it.1.overlaps(*bytes)))
    };
    for condition in draft.summary.requires.clone() {
        let field = loaded_field(builder, condition.expression);
        if !condition.holds && (among(&flags, &field) || among(&kept, &field)) {
            return Some(condition);
        }
    }
    // An initialiser may ask for more than that its flag is unset, such as for a lower version.
    let asks = draft.summary.accesses.iter().filter(lasting).any(|access| match access.effect {
        Effect::Read { escapes, .. } => {
            escapes.intersects(Escapes::REQUIRE.with(Escapes::BRANCH))
                && flags.iter().any(|it| it.0 == access.slot && it.1.overlaps(access.bytes))
        }
        Effect::Write { .. } => false,
    });
    if !asks {
        return None;
    }
    let about: Vec<Condition> = sets
        .iter()
        .flat_map(|it| it.0.circumstance.requires.iter().chain(&it.0.circumstance.when))
        .copied()
        .collect();
    let first = about.into_iter().find(|condition| {
        let mut found = None;
        builder.expressions.any(condition.expression, |part| {
            if matches!(builder.expressions.node(part), Word::Load { space: Space::Storage, .. }) {
                found = Some(part);
            }
            found.is_some()
        });
        found.is_some_and(|load| {
            let field = loaded_field(builder, load);
            among(&flags, &field)
        })
    })?;
    // What else the entry does needs the same: a call that goes on without it is none of an initialiser.
    let under = |circumstance: &Circumstance| {
        circumstance.reverts || circumstance.requires.iter().chain(&circumstance.when).any(|it| *it == first)
    };
    let stores =
        |access: &&Access| access.space == Space::Storage && matches!(access.effect, Effect::Write { .. });
    let all = draft.summary.accesses.iter().filter(stores).all(|access| under(&access.circumstance))
        && draft.summary.calls.iter().all(|call| under(&call.circumstance));
    all.then_some(first)
}

/// Conditions that tie the caller to something: the authority is the slot that holds it, `None` for the code itself.
fn checks(builder: &mut Builder, summary: &Summary) -> Vec<(Condition, Option<Field>)> {
    let mut result = Vec::new();
    for condition in &summary.requires {
        if let Word::Binary { op: op::EQ, a, b } = builder.expressions.node(condition.expression)
            && condition.holds
        {
            for (caller, other) in [(a, b), (b, a)] {
                if !is_caller(&builder.expressions, caller) {
                    continue;
                }
                let whole = field_of(&builder.expressions, other).map_or(other, |field| field.0);
                // The contract's calls to itself are made by functions that are judged on their own.
                let is_code = matches!(
                    builder.expressions.node(whole),
                    Word::Immutable(_) | Word::Environment(Environment::Address)
                );
                let is_code = is_code || is_named_elsewhere(builder, summary, whole);
                if is_code || builder.value(other).is_some_and(|value| !value.is_zero()) {
                    result.push((*condition, None));
                } else if let Some(field) = loaded_field(builder, other)
                    && field.0.keys().all(|key| !depends_on_input(&builder.expressions, key))
                {
                    result.push((*condition, Some(field)));
                }
            }
        }
        // A role: a flag in a mapping keyed by the caller.
        let (flag, granted) = match builder.expressions.node(condition.expression) {
            Word::Binary { op: op::EQ, a, b } if builder.value(b).is_some_and(|value| !value.is_zero()) => {
                (a, condition.holds)
            }
            _ => (condition.expression, condition.holds),
        };
        if granted
            && let Some(field) = loaded_field(builder, flag)
            && field.0.keys().any(|key| is_caller(&builder.expressions, key))
            && field.0.keys().all(|key| is_given(builder, key))
        {
            result.push((*condition, Some(field)));
        }
    }
    result
}

/// Whether a key of a role is none that the caller brings along: the caller itself, something fixed, or what is stored
/// as the role that administers another one. Who has no role at all has none of whatever name that is.
fn is_given(builder: &mut Builder, key: ExprId) -> bool {
    is_caller(&builder.expressions, key)
        || !depends_on_input(&builder.expressions, key)
        || loaded_field(builder, key).is_some()
}

/// Whether another contract says who it is, asked without an argument: the configurator of an address book.
fn is_named_elsewhere(builder: &Builder, summary: &Summary, word: ExprId) -> bool {
    let Word::ReturnWord { site, .. } = builder.expressions.node(word) else { return false };
    let pc = builder.expressions.site_pc(site);
    summary.calls.iter().filter(|call| call.position.pc == pc).any(|call| {
        call.kind == CallKind::StaticCall
            && call.selector.is_some()
            && call.arguments.is_empty()
            && !depends_on_input(&builder.expressions, call.target)
    })
}

fn is_caller(expressions: &Expressions, id: ExprId) -> bool {
    matches!(expressions.node(id), Word::Environment(Environment::Caller))
}

fn depends_on_input(expressions: &Expressions, id: ExprId) -> bool {
    expressions.any(id, |part| {
        expressions.sources(part).intersects(
            Sources::CALLDATA
                .with(Sources::CALLER)
                .with(Sources::TRANSACTION)
                .with(Sources::CALL_VALUE)
                .with(Sources::UNKNOWN)
                .with(Sources::RETURN_DATA),
        )
    })
}

/// The slot whose word, or a field of it, `id` is, and which bytes of it.
fn loaded_field(builder: &mut Builder, id: ExprId) -> Option<Field> {
    let (word, mask) = field_of(&builder.expressions, id).unwrap_or((id, U256::MAX));
    match builder.expressions.node(word) {
        Word::Load { space: Space::Storage, slot, .. } => {
            Some((normalise(builder, slot, &|_, _| None), hull(mask).unwrap_or(ByteRange::WORD)))
        }
        _ => None,
    }
}

fn authority(slot: &Slot) -> Authority {
    let shape = slot
        .path
        .iter()
        .map(|step| match step {
            Projection::Mapping { .. } => 0,
            Projection::Element { .. } => 1,
            Projection::Index { .. } => 2,
            Projection::Offset(offset) => 3 + usize::try_from(*offset).unwrap_or(usize::MAX - 3),
        })
        .collect();
    (slot.root, shape)
}

/// Whether a successful call of the entry can give the caller, or anyone, what is checked. Clearing it cannot.
fn can_change(expressions: &Expressions, draft: &Draft, (slot, bytes): &Field) -> bool {
    let wanted = authority(slot);
    draft.summary.accesses.iter().any(|access| {
        let Effect::Write { value, .. } = access.effect else { return false };
        !access.circumstance.reverts
            && access.space == Space::Storage
            && expressions.constant(value) != Some(U256::ZERO)
            && match access.slot.root {
                Root::Unknown(_) => true,
                // A slot computed from input may be any slot; an unfamiliar hash is only itself.
                Root::Raw(id) if expressions.preimage(id).is_none() => true,
                Root::Raw(_) | Root::Fixed(_) => {
                    authority(&access.slot) == wanted && access.bytes.overlaps(*bytes)
                }
            }
    })
}
