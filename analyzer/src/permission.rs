//! Which entries only an administrator can call.
//!
//! In: the drafts of all entries. Out: [`Permission::Restricted`] where every successful path that does anything needs the
//! caller to be an address held in storage (or in the code), or to hold a role, and only entries that are restricted
//! themselves can change that storage. Different paths may need different ones: the owner or an operator. A check against something
//! that any user can set is no restriction. An entry that can succeed once only, such as an initialiser, is restricted as
//! well: it is no part of what users do all the time.

use std::collections::BTreeSet;

use alloy_primitives::U256;

use crate::{
    access::{Access, Circumstance, Condition, Effect, Escapes, WriteForm},
    authority::{CallerCheck, Field, Gate, caller_checks, is_set_for_good, loaded_field},
    expression::{Expressions, Node as Word, Space},
    id::ExprId,
    location::{Projection, Root, Slot},
    simplify::Builder,
    summarize::SummaryDraft,
    summary::Permission,
};

/// What a check of the caller relies on: mappings are named by the slot that they start from.
type Authority = (Root, Vec<usize>);

/// What every successful path passes: at least one of these gates.
type Barrier = Vec<Gate>;

/// Decides the permission of every entry.
pub(crate) fn decide(builder: &mut Builder, drafts: &mut [SummaryDraft]) {
    let candidates: Vec<Vec<Barrier>> =
        (0..drafts.len()).map(|index| barriers(builder, drafts, index)).collect();
    // Start from the largest set and take entries out whose authority an unrestricted entry can change.
    let mut restricted: BTreeSet<usize> =
        (0..drafts.len()).filter(|index| !candidates[*index].is_empty()).collect();
    loop {
        let open: Vec<usize> = (0..drafts.len()).filter(|index| !restricted.contains(index)).collect();
        let before = restricted.len();
        restricted.retain(|index| {
            still_restricting(&builder.expressions, drafts, &open, &candidates[*index]).is_some()
        });
        if restricted.len() == before {
            for index in restricted {
                if let Some(by) = still_restricting(&builder.expressions, drafts, &open, &candidates[index]) {
                    drafts[index].summary.permission = Permission::Restricted(by);
                }
            }
            return;
        }
    }
}

/// What may make the entry one that not anyone can call, every way by itself.
fn barriers(builder: &mut Builder, drafts: &[SummaryDraft], index: usize) -> Vec<Barrier> {
    let draft = &drafts[index];
    let mut result = Vec::new();
    for condition in &draft.summary.requires {
        let caller_checks = caller_checks(builder, &draft.summary.calls, *condition)
            .into_iter()
            .filter(|check| !check.is_set_up);
        result.extend(caller_checks.map(|check| vec![vec![check]]));
    }
    result.extend(
        once(builder, drafts, draft)
            .map(|condition| vec![vec![CallerCheck { condition, fields: Vec::new(), is_set_up: false }]]),
    );
    for mut gates in draft.gates.clone() {
        for gate in &mut gates {
            gate.retain(|check| {
                let mut fields = check.fields.iter();
                let all = || drafts.iter().map(|it| &it.summary);
                !check.is_set_up || fields.all(|field| is_set_for_good(builder, all(), index, field))
            });
            // Nobody can change what has been set.
            gate.iter_mut().filter(|check| check.is_set_up).for_each(|check| check.fields.clear());
        }
        result.push(gates);
    }
    result
}

/// The conditions of the first barrier that stands: each of its gates has a tie that no open entry can change.
fn still_restricting(
    expressions: &Expressions,
    drafts: &[SummaryDraft],
    open: &[usize],
    barriers: &[Barrier],
) -> Option<Vec<Condition>> {
    let holds = |check: &&CallerCheck| {
        let mut fields = check.fields.iter();
        !fields.any(|field| open.iter().any(|other| can_change(expressions, &drafts[*other], field)))
    };
    let conditions = |barrier: &Barrier| {
        let each = barrier.iter().map(|gate| gate.iter().find(holds).map(|check| check.condition));
        let mut conditions: Vec<Condition> = each.collect::<Option<_>>()?;
        let mut seen = BTreeSet::new();
        conditions.retain(|condition| seen.insert(*condition));
        Some(conditions)
    };
    barriers.iter().find_map(conditions)
}

/// The condition that a call of the entry needs and takes away for good: that a word of storage is still zero, which no
/// entry ever makes zero again, or still holds what an initialiser replaces by a constant.
fn once(builder: &mut Builder, drafts: &[SummaryDraft], draft: &SummaryDraft) -> Option<Condition> {
    let lasting = |access: &&Access| {
        access.space == Space::Storage && !access.circumstance.reverts && access.slot.is_fixed()
    };
    let sets: Vec<(&Access, ExprId)> = (draft.summary.accesses.iter().filter(lasting))
        .filter_map(|access| match &access.effect {
            // What only some calls set is there for those before them: a sale that its last buyer closes has many.
            Effect::Write { value, form }
                if !matches!(form, WriteForm::NetZero(_))
                    && (access.circumstance.always || access.circumstance.when.is_empty()) =>
            {
                Some((access, *value))
            }
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
fn can_change(expressions: &Expressions, draft: &SummaryDraft, (slot, bytes): &Field) -> bool {
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
