//! What a condition says about who calls.
//!
//! In: a condition of a path. Out: the [`CallerCheck`]s that it establishes: that the caller is an address held in the code or
//! in storage, or holds a role in a mapping, or that something has not been set up yet. Whether users can change what is
//! relied on is decided where all entries are known.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;

use crate::{
    access::{ByteRange, Call, CallKind, Condition, Effect},
    expression::{Environment, Expressions, Node as Word, Sources, Space},
    facts::strip,
    id::ExprId,
    location::Slot,
    simplify::Builder,
    slot::normalise,
    summary::Summary,
    update::hull,
    uses::field_of,
};

/// Some bytes of a slot.
pub(crate) type Field = (Slot, ByteRange);

/// A condition that not every caller can meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallerCheck {
    pub(crate) condition: Condition,
    /// What it relies on, all of it: nothing if only the code says who may call.
    pub(crate) fields: Vec<Field>,
    /// It says that its fields are not set yet, and restricts if they are set for good.
    pub(crate) is_set_up: bool,
}

/// An edge that ties the caller, by each of these.
pub(crate) type Gate = Vec<CallerCheck>;

/// How many joins deep a check is looked for.
const MAX_DEPTH: u32 = 4;

/// What the condition ties the caller to. Conditions are in the form that facts have.
pub(crate) fn caller_checks(builder: &mut Builder, calls: &[Call], condition: Condition) -> Vec<CallerCheck> {
    find(builder, calls, condition, MAX_DEPTH)
}

fn find(builder: &mut Builder, calls: &[Call], condition: Condition, depth: u32) -> Vec<CallerCheck> {
    let mut result = Vec::new();
    match builder.expressions.node(condition.expression) {
        Word::Binary { op: op::EQ, a, b } if condition.holds => {
            let fields = [(a, b), (b, a)].into_iter().filter_map(|it| named(builder, calls, it.0, it.1));
            result.extend(fields.map(|fields| CallerCheck { condition, fields, is_set_up: false }));
        }
        // Either of two checks, or both of them.
        Word::Binary { op: op::OR, a, b } if condition.holds && depth > 0 => {
            result.extend(all_of(builder, calls, condition, &[a, b], depth));
        }
        Word::Phi { .. } if depth > 0 => {
            let operands = builder.expressions.phi_operands(condition.expression).to_vec();
            result.extend(all_of(builder, calls, condition, &operands, depth));
        }
        _ => {}
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
        result.push(CallerCheck { condition, fields: vec![field], is_set_up: false });
    }
    if condition.holds
        && let Some(fields) = granted_elsewhere(builder, calls, condition.expression)
    {
        result.push(CallerCheck { condition, fields, is_set_up: false });
    }
    // A word that is not set yet, in form of `x == 0` or `x < 1`.
    let unset = match builder.expressions.node(condition.expression) {
        Word::Binary { op: op::LT, a, b } if condition.holds && builder.value(b) == Some(U256::ONE) => {
            Some(a)
        }
        _ => (!condition.holds).then_some(condition.expression),
    };
    if let Some(word) = unset
        && let Some(field) = loaded_field(builder, word)
        && field.0.is_fixed()
    {
        result.push(CallerCheck { condition, fields: vec![field], is_set_up: true });
    }
    // The contract has no code yet: its constructor runs.
    if let Word::CodeSize(address) = builder.expressions.node(condition.expression)
        && !condition.holds
        && matches!(builder.expressions.node(address), Word::Environment(Environment::Address))
    {
        result.push(CallerCheck { condition, fields: Vec::new(), is_set_up: false });
    }
    result
}

/// What the condition relies on if its word is any of `words`, each of which has to tie the caller by itself.
fn all_of(
    builder: &mut Builder,
    calls: &[Call],
    condition: Condition,
    words: &[ExprId],
    depth: u32,
) -> Option<CallerCheck> {
    let mut fields = Vec::new();
    for word in words {
        // A constant that cannot be what holds is none of the ways.
        if builder.value(*word).is_some_and(|value| value.is_zero() == condition.holds) {
            continue;
        }
        let part = strip(builder, *word, condition.holds);
        let check = find(builder, calls, part, depth - 1).into_iter().find(|check| !check.is_set_up)?;
        fields.extend(check.fields);
    }
    Some(CallerCheck { condition, fields, is_set_up: false })
}

/// What says that `caller` is who calls, if `other` names who may: the code where there are no fields.
fn named(builder: &mut Builder, calls: &[Call], caller: ExprId, other: ExprId) -> Option<Vec<Field>> {
    if !is_caller(&builder.expressions, caller) {
        return None;
    }
    let whole = field_of(&builder.expressions, other).map_or(other, |field| field.0);
    // The contract's calls to itself are made by functions that are judged on their own.
    let is_code = matches!(
        builder.expressions.node(whole),
        Word::Immutable(_) | Word::Environment(Environment::Address)
    );
    if is_code
        || is_named_elsewhere(builder, calls, whole)
        || builder.value(other).is_some_and(|value| !value.is_zero())
    {
        return Some(Vec::new());
    }
    let field = loaded_field(builder, other)?;
    let is_chosen = field.0.keys().any(|key| depends_on_input(&builder.expressions, key));
    (!is_chosen).then(|| vec![field])
}

/// Whether a key of a role is none that the caller brings along: the caller itself, something fixed, or what is stored
/// as the role that administers another one. Who has no role at all has none of whatever name that is.
fn is_given(builder: &mut Builder, key: ExprId) -> bool {
    is_caller(&builder.expressions, key)
        || !depends_on_input(&builder.expressions, key)
        || loaded_field(builder, key).is_some()
}

/// Whether another contract says who it is, asked without an argument: the configurator of an address book.
fn is_named_elsewhere(builder: &Builder, calls: &[Call], word: ExprId) -> bool {
    let Word::ReturnWord { site, .. } = builder.expressions.node(word) else { return false };
    let pc = builder.expressions.site_pc(site);
    calls.iter().filter(|call| call.position.pc == pc).any(|call| {
        call.kind == CallKind::StaticCall
            && call.selector.is_some()
            && call.arguments.is_empty()
            && !depends_on_input(&builder.expressions, call.target)
    })
}

/// What decides who is asked, if the word is the "yes" of another contract to who calls and what for. One that is asked
/// for nothing but the caller may as well say what the caller owns.
fn granted_elsewhere(builder: &mut Builder, calls: &[Call], word: ExprId) -> Option<Vec<Field>> {
    let expressions = &builder.expressions;
    let Word::ReturnWord { site, .. } = expressions.node(word) else { return None };
    let pc = expressions.site_pc(site);
    let is_own = |argument: ExprId| {
        let bare = field_of(expressions, argument).map_or(argument, |field| field.0);
        is_caller(expressions, bare)
    };
    let call = calls.iter().filter(|call| call.position.pc == pc).find(|call| {
        let own = call.arguments.iter().filter(|argument| is_own(**argument)).count();
        let mut others = call.arguments.iter().filter(|argument| !is_own(**argument)).peekable();
        call.kind == CallKind::StaticCall
            && call.selector.is_some()
            && own > 0
            && others.peek().is_some()
            && others.all(|argument| !depends_on_input(expressions, *argument))
            && !depends_on_input(expressions, call.target)
    })?;
    let target = call.target;
    is_decoded_flag(expressions, word).then(|| loaded_field(builder, target).into_iter().collect())
}

/// Whether the code checks that the word is zero or one.
fn is_decoded_flag(expressions: &Expressions, word: ExprId) -> bool {
    let not = |a: ExprId| expressions.find(Word::Unary { op: op::ISZERO, a });
    let equal = |a: ExprId, b: ExprId| expressions.find(Word::Binary { op: op::EQ, a, b }).is_some();
    not(word).and_then(not).is_some_and(|flag| equal(word, flag) || equal(flag, word))
}

/// Whether it is who calls, or who has signed the transaction, or whom a forwarder names behind the calldata in its place
/// (ERC-2771).
fn is_caller(expressions: &Expressions, id: ExprId) -> bool {
    let is_plain = |id: ExprId| {
        matches!(expressions.node(id), Word::Environment(Environment::Caller | Environment::Origin))
    };
    let is_sender = |id: ExprId| is_plain(id) || is_appended(expressions, id);
    // The address in the word of a join.
    let id = field_of(expressions, id).map_or(id, |field| field.0);
    match expressions.node(id) {
        Word::Phi { .. } => {
            let operands = expressions.phi_operands(id);
            !operands.is_empty() && operands.iter().all(|&operand| is_sender(operand))
        }
        _ => is_sender(id),
    }
}

/// Whether it is read from the end of the calldata, wherever that is.
fn is_appended(expressions: &Expressions, id: ExprId) -> bool {
    let is_end = |offset: ExprId| {
        expressions.any(offset, |part| {
            matches!(expressions.node(part), Word::Environment(Environment::CalldataSize))
        })
    };
    let reads_end = |part: ExprId| match expressions.node(part) {
        Word::CalldataWord { offset } => is_end(offset),
        _ => false,
    };
    let bare = field_of(expressions, id).map_or(id, |field| field.0);
    [id, bare].into_iter().any(|id| match expressions.node(id) {
        Word::Binary { op: op::SHR, b, .. } => reads_end(b),
        _ => reads_end(id),
    })
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
pub(crate) fn loaded_field(builder: &mut Builder, id: ExprId) -> Option<Field> {
    let (word, mask) = field_of(&builder.expressions, id).unwrap_or((id, U256::MAX));
    match builder.expressions.node(word) {
        Word::Load { space: Space::Storage, slot, .. } => {
            Some((normalise(builder, slot, &|_, _| None), hull(mask).unwrap_or(ByteRange::WORD)))
        }
        _ => None,
    }
}

/// Whether the entry sets the field, and no entry ever clears it again.
pub(crate) fn is_set_for_good<'s>(
    builder: &mut Builder,
    entries: impl IntoIterator<Item = &'s Summary>,
    entry: usize,
    (slot, bytes): &Field,
) -> bool {
    let mut is_set = false;
    for (index, summary) in entries.into_iter().enumerate() {
        for access in &summary.accesses {
            let Effect::Write { value, .. } = access.effect else { continue };
            let same = access.slot == *slot && access.bytes.overlaps(*bytes);
            if !same || access.space != Space::Storage || access.circumstance.reverts {
                continue;
            }
            // What is stored in the bytes that both have.
            let from = access.bytes.from.max(bytes.from);
            let shift = 8 * usize::from(from - access.bytes.from);
            let length = 8 * usize::from(access.bytes.to.min(bytes.to) - from);
            match can_be_zero(builder, value, shift, length, MAX_DEPTH) {
                Some(true) => return false,
                Some(false) => {
                    is_set |=
                        index == entry && (access.circumstance.always || access.circumstance.when.is_empty());
                }
                None => {}
            }
        }
    }
    is_set
}

/// Whether `length` bits of a word from `shift` on are zero in one of the values that it can take: `None` if that is not
/// known of any, and it is not zero in all of them.
fn can_be_zero(builder: &mut Builder, word: ExprId, shift: usize, length: usize, depth: u32) -> Option<bool> {
    if depth > 0 && matches!(builder.expressions.node(word), Word::Phi { .. }) {
        let operands = builder.expressions.phi_operands(word).to_vec();
        let parts: Vec<Option<bool>> =
            operands.into_iter().map(|it| can_be_zero(builder, it, shift, length, depth - 1)).collect();
        return if parts.contains(&Some(true)) {
            Some(true)
        } else {
            parts.iter().all(|part| *part == Some(false)).then_some(false)
        };
    }
    let mask = builder.constant(U256::MAX >> (256 - length));
    let part = builder.shr(shift, word);
    let part = builder.binary(op::AND, part, mask);
    builder.value(part).map(|value| value.is_zero())
}
