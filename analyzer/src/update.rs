//! How a stored word relates to the word it replaces, field by field.
//!
//! In: the stored word and the load it is made from. Out: the byte ranges that may change, and for each whether the new
//! content is a sum with the old one, made from it in another way, or independent of it. Bytes that are kept are exactly
//! those that the stored word takes unchanged from the load.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use rustc_hash::FxHashSet;

use crate::{access::ByteRange, expression::Node, id::ExprId, simplify::Builder, uses::field_of};

/// What becomes of one field of a stored word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) bytes: ByteRange,
    /// The new content, shifted down to bit 0.
    pub(crate) content: ExprId,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Independent of the replaced word.
    Plain,
    /// The field plus or minus an amount that does not depend on the field, though it may on other fields of the word.
    Delta { amount: ExprId, subtract: bool },
    /// Depends on the replaced word in another way.
    Other,
}

/// The bits of a byte range.
pub(crate) fn bits_of(bytes: ByteRange) -> U256 {
    let width = 8 * usize::from(bytes.to - bytes.from);
    let low = if width >= 256 { U256::MAX } else { (U256::from(1) << width) - U256::from(1) };
    low << (8 * usize::from(bytes.from))
}

/// The smallest byte range that holds all the bits.
pub(crate) fn hull(bits: U256) -> Option<ByteRange> {
    if bits.is_zero() {
        return None;
    }
    Some(ByteRange { from: (bits.trailing_zeros() / 8) as u8, to: bits.bit_len().div_ceil(8) as u8 })
}

/// Splits a store of `value` over the word `old` (a load of the same slot) into the fields that change.
pub(crate) fn updates(builder: &mut Builder, value: ExprId, old: ExprId) -> Vec<Update> {
    if value == old {
        return Vec::new();
    }
    if !builder.expressions.contains(value, old) {
        return vec![Update { bytes: ByteRange::WORD, content: value, form: Form::Plain }];
    }
    let mut parts = Vec::new();
    flatten_or(builder, value, &mut parts);
    let mut kept = U256::ZERO;
    parts.retain(|part| match builder.expressions.node(*part) {
        Node::Binary { op: op::AND, a, b } if a == old => builder.value(b).is_none_or(|mask| {
            kept |= mask;
            false
        }),
        _ => true,
    });
    let reached = parts.iter().fold(U256::ZERO, |all, part| all | builder.expressions.mask(*part));
    // Bits that are kept and also set by a part are not kept: the old content still shows through in them.
    let changed = !(kept & !reached);
    let mixed = builder.and_mask(old, kept & reached);
    if !builder.is_zero(mixed) {
        parts.push(mixed);
    }
    let masks: Vec<U256> = parts.iter().map(|part| builder.expressions.mask(*part)).collect();
    let changed = runs(changed);
    // Bits that are kept in bytes that change are part of what the bytes come to.
    let beside = changed.iter().fold(U256::ZERO, |all, run| all | bits_of(*run)) & kept & !reached;
    let beside = builder.and_mask(old, beside);
    if !builder.is_zero(beside) {
        parts.push(beside);
    }
    let mut result = Vec::new();
    for bytes in changed.into_iter().flat_map(|run| fields(run, &masks)) {
        let bits = bits_of(bytes);
        let mut content = builder.zero();
        for part in &parts {
            let piece = builder.and_mask(*part, bits);
            content = builder.binary(op::OR, content, piece);
        }
        let mut content = builder.shr(8 * usize::from(bytes.from), content);
        // Where a run is not byte-aligned, its bytes also hold kept bits.
        let exact = (bits & kept & !reached).is_zero();
        let width_mask = bits >> (8 * usize::from(bytes.from));
        if let Node::Binary { op: op::AND, a, b } = builder.expressions.node(content)
            && builder.value(b) == Some(width_mask)
        {
            content = a;
        }
        let form = if !exact {
            Form::Other
        } else if builder.expressions.contains(content, old) {
            let field = builder.shr(8 * usize::from(bytes.from), old);
            let field = builder.and_mask(field, width_mask);
            delta_form(builder, content, field, old, bits)
        } else {
            Form::Plain
        };
        result.push(Update { bytes, content, form });
    }
    result
}

/// The fields that a run of changed bytes is put together from: one for each part, where every part has bytes of its
/// own. Members that are next to each other and stored at once are told apart in this way.
fn fields(run: ByteRange, masks: &[U256]) -> Vec<ByteRange> {
    let bits = bits_of(run);
    let mut pieces: Vec<ByteRange> = masks.iter().filter_map(|mask| hull(*mask & bits)).collect();
    pieces.sort_unstable();
    let apart = pieces.windows(2).all(|pair| pair[0].to <= pair[1].from);
    if !apart || pieces.len() < 2 {
        return vec![run];
    }
    // Bytes that no part reaches are zeroed; they go with the part below them.
    let starts = std::iter::once(run.from).chain(pieces[1..].iter().map(|piece| piece.from));
    let ends = pieces[1..].iter().map(|piece| piece.from).chain([run.to]);
    starts.zip(ends).map(|(from, to)| ByteRange { from, to }).collect()
}

/// The parts of a disjunction, those under a mask too: the next member of a struct is stored over what the one before
/// it was put together to.
fn flatten_or(builder: &mut Builder, id: ExprId, parts: &mut Vec<ExprId>) {
    match builder.expressions.node(id) {
        Node::Binary { op: op::OR, a, b } => {
            flatten_or(builder, a, parts);
            flatten_or(builder, b, parts);
        }
        Node::Binary { op: op::AND, a, b }
            if let (Node::Binary { op: op::OR, .. }, Some(mask)) =
                (builder.expressions.node(a), builder.value(b)) =>
        {
            let mut inner = Vec::new();
            flatten_or(builder, a, &mut inner);
            for part in inner {
                let part = builder.and_mask(part, mask);
                if !builder.is_zero(part) {
                    parts.push(part);
                }
            }
        }
        _ => parts.push(id),
    }
}

/// Runs of bytes with a bit set.
fn runs(bits: U256) -> Vec<ByteRange> {
    let mut result: Vec<ByteRange> = Vec::new();
    for byte in 0..32u8 {
        if ((bits >> (8 * usize::from(byte))) & U256::from(0xff)).is_zero() {
            continue;
        }
        match result.last_mut() {
            Some(last) if last.to == byte => last.to = byte + 1,
            _ => result.push(ByteRange { from: byte, to: byte + 1 }),
        }
    }
    result
}

/// `field ± amount`, where the amount does not depend on the `bits` of `old`, which the field takes.
fn delta_form(builder: &mut Builder, content: ExprId, field: ExprId, old: ExprId, bits: U256) -> Form {
    let mut terms = Vec::new();
    collect(builder, content, false, &mut terms);
    let Some(position) = terms.iter().position(|term| *term == (field, false)) else { return Form::Other };
    terms.remove(position);
    if terms.is_empty() || terms.iter().any(|term| depends_on_bits(builder, term.0, old, bits)) {
        return Form::Other;
    }
    let subtract =
        terms.iter().all(|term| term.1 != builder.value(term.0).is_some_and(|value| value.bit(255)));
    let mut amount = builder.zero();
    for (term, negative) in terms {
        amount = if negative == subtract { builder.add(amount, term) } else { builder.sub(amount, term) };
    }
    Form::Delta { amount, subtract }
}

/// Whether a word is made from any of the `bits` of `old`; the fields beside them do not count.
fn depends_on_bits(builder: &Builder, word: ExprId, old: ExprId, bits: U256) -> bool {
    if !builder.expressions.contains(word, old) {
        return false;
    }
    let mut seen = FxHashSet::default();
    let mut open = vec![word];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        match field_of(&builder.expressions, id) {
            Some((word, mask)) if word == old && (mask & bits).is_zero() => {}
            _ if id == old => return true,
            _ => {
                open.extend(builder.expressions.operands(id));
                open.extend_from_slice(builder.expressions.phi_operands(id));
            }
        }
    }
    false
}

/// The terms of a sum with their signs.
fn collect(builder: &Builder, id: ExprId, negative: bool, terms: &mut Vec<(ExprId, bool)>) {
    match builder.expressions.node(id) {
        Node::Binary { op: op::ADD, a, b } if terms.len() < 16 => {
            collect(builder, a, negative, terms);
            collect(builder, b, negative, terms);
        }
        Node::Binary { op: op::SUB, a, b } if terms.len() < 16 => {
            collect(builder, a, negative, terms);
            collect(builder, b, !negative, terms);
        }
        _ => terms.push((id, negative)),
    }
}

/// Whether a condition only guards the sum stored back to a field against leaving its range: a comparison between the
/// field, the amounts and the bounds of the type. Each amount comes with the bits of the field that it is added to.
pub(crate) fn is_range_check(
    builder: &Builder,
    condition: ExprId,
    old: ExprId,
    amounts: &[(ExprId, U256)],
) -> bool {
    match builder.expressions.node(condition) {
        Node::Binary { op: op::LT | op::SLT | op::EQ, a, b } => {
            [a, b].into_iter().all(|side| is_range_term(builder, side, old, amounts, 0))
        }
        Node::Binary { op: op::OR | op::AND, a, b } => [a, b].into_iter().all(|side| {
            !builder.expressions.contains(side, old) || is_range_check(builder, side, old, amounts)
        }),
        Node::Unary { op: op::ISZERO, a } => is_range_check(builder, a, old, amounts),
        // The field itself: the check of a decrement against zero.
        _ => is_range_term(builder, condition, old, amounts, 0),
    }
}

fn is_range_term(builder: &Builder, id: ExprId, old: ExprId, amounts: &[(ExprId, U256)], depth: u32) -> bool {
    if id == old || amounts.iter().any(|(amount, _)| *amount == id) {
        return true;
    }
    // Another field of the same word is a limit of the program.
    if let Some((word, mask)) = field_of(&builder.expressions, id)
        && word == old
    {
        return amounts.iter().any(|(_, bits)| !(*bits & mask).is_zero());
    }
    if depth > 8 {
        return false;
    }
    if let Some(value) = builder.value(id) {
        // Zero, 2^k - 1 and their negations are bounds of types; anything else is a limit of the program.
        let is_bound = |value: U256| (value & value.wrapping_add(U256::from(1))).is_zero();
        return is_bound(value)
            || is_bound(!value)
            || amounts.iter().filter_map(|(amount, _)| builder.value(*amount)).any(|amount| {
                amount == value || amount.wrapping_neg() == value || is_bound(value.wrapping_add(amount))
            });
    }
    if amounts.iter().any(|(amount, _)| builder.expressions.contains(*amount, id)) {
        return true;
    }
    match builder.expressions.node(id) {
        Node::Binary { op: op::ADD | op::SUB | op::AND | op::SHR | op::SHL, a, b } => {
            let shift = |part| builder.value(part).is_some();
            [a, b].into_iter().all(|part| {
                // Masks and shift counts are constants of the field; addends are not.
                let is_layout = shift(part)
                    && !matches!(builder.expressions.node(id), Node::Binary { op: op::ADD | op::SUB, .. });
                is_layout || is_range_term(builder, part, old, amounts, depth + 1)
            })
        }
        Node::Unary { op: op::NOT | op::ISZERO, a } => is_range_term(builder, a, old, amounts, depth + 1),
        _ => false,
    }
}
