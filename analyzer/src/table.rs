//! Rows of tables that stand in the code: what a copy of code from a computed place can bring.
//!
//! In: the word that says where a copy begins, of which few values are possible. Out: the word that is read there, as one
//! of few constants, and what such words and words made of them can be. A set of values never leaves out one that an
//! execution can see; where a set would become large, there is no answer.

use std::collections::BTreeSet;

use alloy_primitives::U256;
use revm_bytecode::opcode as op;

use crate::{
    expression::{Node, Sources},
    id::ExprId,
    simplify::Builder,
};

/// Values of one word that are looked at one by one: more than any contract has functions.
const MAX_VALUES: usize = 512;

/// Words deeper than this do not say where a row of a table is.
const MAX_DEPTH: u32 = 10;

/// Words that may be looked at, and sums that may be made, to find the values of one word.
const MAX_WORK: u32 = 4_096;

/// An upper bound of a word, where the path knows one.
pub(crate) type Bound<'a> = &'a dyn Fn(&Builder, ExprId) -> Option<U256>;

/// The constants that a word can be, in order, if they are few.
pub(crate) fn values(builder: &mut Builder, id: ExprId, bound: Bound<'_>) -> Option<Vec<U256>> {
    let mut work = MAX_WORK;
    let mut rows = BTreeSet::new();
    rows_in(builder, id, &mut rows, MAX_DEPTH, &mut work)?;
    let mut found = BTreeSet::new();
    match rows.into_iter().collect::<Vec<_>>().as_slice() {
        [] => found = spread(builder, id, bound, MAX_DEPTH, &mut work)?,
        // One row decides the word wherever it is a part of it: a bucket's place and its size belong together.
        &[row] => {
            for value in builder.expressions.phi_operands(row).to_vec() {
                let one = with_row(builder, id, (row, value), MAX_DEPTH, &mut work)?;
                found.extend(spread(builder, one, bound, MAX_DEPTH, &mut work)?);
            }
        }
        _ => return None,
    }
    (found.len() <= MAX_VALUES).then(|| found.into_iter().collect())
}

/// A word that is one of `contents`, which stand in the code where `from` says.
pub(crate) fn row(builder: &mut Builder, from: ExprId, mut contents: Vec<U256>) -> ExprId {
    contents.sort_unstable();
    contents.dedup();
    let contents: Vec<ExprId> = contents.into_iter().map(|value| builder.constant(value)).collect();
    match *contents.as_slice() {
        [only] => only,
        _ => builder.row(from, contents),
    }
}

/// The rows that a word is made of. Nothing where there is too much to look at.
fn rows_in(
    builder: &Builder,
    id: ExprId,
    found: &mut BTreeSet<ExprId>,
    depth: u32,
    work: &mut u32,
) -> Option<()> {
    *work = work.checked_sub(1)?;
    if !builder.expressions.sources(id).intersects(Sources::PHI) {
        return Some(());
    }
    if builder.is_row(id) {
        found.insert(id);
    } else if let Some(depth) = depth.checked_sub(1) {
        for part in builder.expressions.operands(id) {
            rows_in(builder, part, found, depth, work)?;
        }
    }
    Some(())
}

/// The word where a row has a value.
fn with_row(
    builder: &mut Builder,
    id: ExprId,
    (row, value): (ExprId, ExprId),
    depth: u32,
    work: &mut u32,
) -> Option<ExprId> {
    *work = work.checked_sub(1)?;
    if id == row {
        return Some(value);
    }
    let Some(depth) = depth.checked_sub(1) else { return Some(id) };
    if !builder.expressions.sources(id).intersects(Sources::PHI) {
        return Some(id);
    }
    Some(match builder.expressions.node(id) {
        Node::Unary { op, a } => {
            let a = with_row(builder, a, (row, value), depth, work)?;
            builder.unary(op, a)
        }
        Node::Binary { op, a, b } => {
            let a = with_row(builder, a, (row, value), depth, work)?;
            let b = with_row(builder, b, (row, value), depth, work)?;
            builder.binary(op, a, b)
        }
        _ => id,
    })
}

/// Every value of a word that has few: because of how it is made, because of its bits, or because the path bounds it.
fn spread(
    builder: &mut Builder,
    id: ExprId,
    bound: Bound<'_>,
    depth: u32,
    work: &mut u32,
) -> Option<BTreeSet<U256>> {
    *work = work.checked_sub(1)?;
    if let Some(value) = builder.value(id) {
        return Some(BTreeSet::from([value]));
    }
    let depth = depth.checked_sub(1)?;
    let limit = U256::from(MAX_VALUES);
    let mask = builder.expressions.mask(id);
    let below = |end: U256| {
        let numbers = (0..end.to::<u64>()).map(U256::from).filter(|number| (number & !mask).is_zero());
        numbers.collect::<BTreeSet<U256>>()
    };
    if let Node::Binary { op, a, b } = builder.expressions.node(id) {
        let combines = matches!(
            op,
            op::ADD | op::SUB | op::MUL | op::DIV | op::MOD | op::AND | op::OR | op::XOR | op::SHL | op::SHR
        );
        if combines
            && let Some(left) = spread(builder, a, bound, depth, work)
            && let Some(right) = spread(builder, b, bound, depth, work)
            && left.len() * right.len() <= MAX_VALUES
        {
            *work = work.checked_sub((left.len() * right.len()) as u32)?;
            let mut found = BTreeSet::new();
            for &x in &left {
                for &y in &right {
                    let (x, y) = (builder.constant(x), builder.constant(y));
                    let combined = builder.binary(op, x, y);
                    found.insert(builder.value(combined)?);
                }
            }
            return Some(found);
        }
        if let (op::MOD, Some(end)) = (op, builder.value(b))
            && end <= limit
        {
            return Some(below(end));
        }
    }
    if mask < limit {
        return Some(below(mask + U256::ONE));
    }
    let most = bound(builder, id)?;
    (most < limit).then(|| below(most + U256::ONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_BOUND: Bound<'static> = &|_, _| None;

    fn numbers(values: &[u64]) -> Vec<U256> {
        values.iter().copied().map(U256::from).collect()
    }

    #[test]
    fn a_place_in_a_table_is_one_of_few() {
        let mut builder = Builder::default();
        let zero = builder.zero();
        let word = builder.calldata_word(zero);
        let [three, start, size] = [3, 1000, 5].map(|value| builder.number(value));
        let bucket = builder.binary(op::MOD, word, three);
        let distance = builder.binary(op::MUL, bucket, size);
        let place = builder.add(start, distance);
        assert_eq!(values(&mut builder, place, NO_BOUND), Some(numbers(&[1000, 1005, 1010])));
        assert_eq!(values(&mut builder, word, NO_BOUND), None);
        let two: Bound<'_> = &|_, _| Some(U256::from(2));
        assert_eq!(values(&mut builder, word, two), Some(numbers(&[0, 1, 2])));
    }

    #[test]
    fn a_row_is_the_same_wherever_it_is_used() {
        let mut builder = Builder::default();
        let zero = builder.zero();
        let word = builder.calldata_word(zero);
        // Where a bucket is, in the byte above, and how many rows it has.
        let header = row(&mut builder, word, numbers(&[0x1002, 0x4001]));
        assert_eq!(row(&mut builder, word, numbers(&[0x4001, 0x1002, 0x1002])), header);
        assert_ne!(row(&mut builder, zero, numbers(&[0x1002, 0x4001])), header);
        let rows = builder.and_mask(header, U256::from(0xff));
        let at = builder.shr(8, header);
        let index = builder.binary(op::MOD, word, rows);
        let place = builder.add(at, index);
        assert_eq!(values(&mut builder, place, NO_BOUND), Some(numbers(&[0x10, 0x11, 0x40])));
        assert_eq!(values(&mut builder, at, NO_BOUND), Some(numbers(&[0x10, 0x40])));
    }
}
