//! What comparisons say of the length of calldata, in whatever form a compiler writes them.
//!
//! In: a word and the lengths that are still possible. Out: the range that the word is then in; and the other way round,
//! the lengths for which a word is in a range. Only words that are made of the length and constants have a range; no
//! answer is ever narrower than what executions can show.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;

use crate::{
    expression::{Environment, Node, Sources},
    id::ExprId,
    simplify::Builder,
};

/// The longest calldata that is thought of: this many bytes cost more gas than any transaction has, and a call of a
/// contract pays for as much memory.
const LONGEST: u64 = u32::MAX as u64;

/// Words deeper than this are made of more than a length and a few constants.
const MAX_DEPTH: u32 = 8;

/// The lengths of calldata that are possible on a path, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    least: u64,
    most: u64,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { least: 0, most: LONGEST }
    }
}

/// Numbers from the first to the second, both included.
type Range = (U256, U256);

const FALSE: Range = (U256::ZERO, U256::ZERO);
const TRUE: Range = (U256::ONE, U256::ONE);
const EITHER: Range = (U256::ZERO, U256::ONE);

impl Lengths {
    /// Whether one of the lengths from `least` to `most` is possible.
    pub(crate) fn allows(self, least: u64, most: u64) -> bool {
        self.least <= most && least <= self.most
    }

    /// Leaves the lengths from `least` to `most`. `false` if there are none.
    pub(crate) fn restrict(&mut self, least: u64, most: u64) -> bool {
        self.least = self.least.max(least);
        self.most = self.most.min(most);
        self.least <= self.most
    }

    /// What either path allows.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    /// Whether the word is zero (false) or not (true) for all these lengths.
    pub(crate) fn truth(self, builder: &Builder, id: ExprId) -> Option<bool> {
        if !builder.expressions.sources(id).intersects(Sources::CALLDATA) {
            return None;
        }
        let (least, most) = self.range(builder, id, MAX_DEPTH)?;
        if most.is_zero() {
            Some(false)
        } else if least.is_zero() {
            None
        } else {
            Some(true)
        }
    }

    /// Leaves the lengths for which the word is non-zero (`holds`) or zero. `false` if there are none.
    pub(crate) fn assume(&mut self, builder: &Builder, id: ExprId, holds: bool) -> bool {
        if !builder.expressions.sources(id).intersects(Sources::CALLDATA) {
            return true;
        }
        let within = if holds { (U256::ONE, U256::MAX) } else { FALSE };
        self.narrow(builder, id, within, MAX_DEPTH)
    }

    /// The range of a word that is made of the length and constants.
    fn range(self, builder: &Builder, id: ExprId, depth: u32) -> Option<Range> {
        if let Some(value) = builder.value(id) {
            return Some((value, value));
        }
        let depth = depth.checked_sub(1)?;
        let of = |part| self.range(builder, part, depth);
        match builder.expressions.node(id) {
            Node::Environment(Environment::CalldataSize) => {
                Some((U256::from(self.least), U256::from(self.most)))
            }
            Node::Unary { op: op::ISZERO, a } => {
                let (least, most) = of(a)?;
                Some(truth_value(most.is_zero(), !least.is_zero()))
            }
            Node::Unary { op: op::NOT, a } => of(a).map(|(least, most)| (!most, !least)),
            Node::Binary { op: op::AND, a, b } => match (of(a), of(b)) {
                (Some(a), Some(b)) => Some(masked(a, b)),
                (Some(FALSE), None) | (None, Some(FALSE)) => Some(FALSE),
                _ => None,
            },
            Node::Binary { op: op::OR, a, b } => match (of(a), of(b)) {
                (Some(a), Some(b)) => Some((a.0.max(b.0), fill(a.1 | b.1))),
                (Some((least, _)), None) | (None, Some((least, _))) if !least.is_zero() => {
                    Some((least, U256::MAX))
                }
                _ => None,
            },
            Node::Binary { op, a, b } => calculated(op, of(a)?, of(b)?),
            _ => None,
        }
    }

    /// Leaves the lengths for which the word is in the range. `false` if there are none.
    fn narrow(&mut self, builder: &Builder, id: ExprId, (least, most): Range, depth: u32) -> bool {
        if least > most {
            return false;
        }
        if let Some(value) = builder.value(id) {
            return least <= value && value <= most;
        }
        let Some(depth) = depth.checked_sub(1) else { return true };
        let lengths = *self;
        let of = |part| lengths.range(builder, part, depth);
        let node = builder.expressions.node(id);
        let (is_true, is_false) = (!least.is_zero(), most.is_zero());
        match node {
            Node::Environment(Environment::CalldataSize) => {
                self.least = self.least.max(u64::try_from(least).unwrap_or(u64::MAX));
                self.most = self.most.min(u64::try_from(most).unwrap_or(u64::MAX));
                self.least <= self.most
            }
            Node::Unary { op: op::ISZERO, a } if is_true => self.narrow(builder, a, FALSE, depth),
            Node::Unary { op: op::ISZERO, a } if is_false => {
                self.narrow(builder, a, (U256::ONE, U256::MAX), depth)
            }
            Node::Binary { op: op::ADD, a, b } => match (of(a), builder.value(b)) {
                // The sum wraps around for all lengths or for none.
                (Some(range), Some(number))
                    if range.0.overflowing_add(number).1 == range.1.overflowing_add(number).1 =>
                {
                    let (from, to) = (range.0.wrapping_add(number), range.1.wrapping_add(number));
                    let (least, most) = (least.max(from), most.min(to));
                    let back = |sum: U256| sum.wrapping_sub(number);
                    least <= most && self.narrow(builder, a, (back(least), back(most)), depth)
                }
                _ => true,
            },
            Node::Binary { op: op::SHR, a, b } => match builder.value(a) {
                Some(count) if count < U256::from(256) => {
                    let (count, full) = (count.to::<usize>(), (U256::ONE << count.to::<usize>()) - U256::ONE);
                    let most = if most.leading_zeros() < count { U256::MAX } else { (most << count) | full };
                    least.leading_zeros() >= count && self.narrow(builder, b, (least << count, most), depth)
                }
                _ => true,
            },
            Node::Binary { op: op::DIV, a, b } => match builder.value(b) {
                Some(number) if !number.is_zero() => {
                    let next = most.checked_add(U256::ONE).and_then(|it| it.checked_mul(number));
                    let most = next.map_or(U256::MAX, |next| next - U256::ONE);
                    least
                        .checked_mul(number)
                        .is_some_and(|least| self.narrow(builder, a, (least, most), depth))
                }
                _ => true,
            },
            Node::Binary { op: op::AND, a, b } => match (of(a), builder.value(b)) {
                (Some(range), Some(mask)) if keeps_order(range, mask) => {
                    // What the mask leaves has none of the bits that it cuts off.
                    let cut = fill(range.1) & !mask;
                    let least = least.checked_add(cut).map(|it| it & !cut);
                    least.is_some_and(|least| self.narrow(builder, a, (least, most | cut), depth))
                }
                _ => true,
            },
            Node::Binary { op: op::LT, a, b } if is_true || is_false => {
                self.order(builder, (a, b), (of(a), of(b)), is_true, depth)
            }
            Node::Binary { op: op::SLT, a, b } if is_true || is_false => {
                let plain = |range: &Range| !range.1.bit(255);
                let sides = (of(a).filter(plain), of(b).filter(plain));
                if sides.0.is_none() || sides.1.is_none() {
                    return true;
                }
                self.order(builder, (a, b), sides, is_true, depth)
            }
            Node::Binary { op: op::EQ, a, b } if is_true => {
                let sides = (of(a), of(b));
                sides.1.is_none_or(|range| self.narrow(builder, a, range, depth))
                    && sides.0.is_none_or(|range| self.narrow(builder, b, range, depth))
            }
            Node::Binary { op: op::EQ, a, b } if is_false => match (of(a), builder.value(b)) {
                (Some((from, to)), Some(value)) if from == value => {
                    from < to && self.narrow(builder, a, (from + U256::ONE, to), depth)
                }
                (Some((from, to)), Some(value)) if to == value => {
                    self.narrow(builder, a, (from, to - U256::ONE), depth)
                }
                _ => true,
            },
            _ => true,
        }
    }

    /// Leaves the lengths for which the first side is less than the second, or is not.
    fn order(
        &mut self,
        builder: &Builder,
        (a, b): (ExprId, ExprId),
        ranges: (Option<Range>, Option<Range>),
        less: bool,
        depth: u32,
    ) -> bool {
        let (for_a, for_b) = if less {
            let below = ranges.1.map(|(_, most)| most.checked_sub(U256::ONE).map(|most| (U256::ZERO, most)));
            let above =
                ranges.0.map(|(least, _)| least.checked_add(U256::ONE).map(|least| (least, U256::MAX)));
            (below, above)
        } else {
            (
                ranges.1.map(|(least, _)| Some((least, U256::MAX))),
                ranges.0.map(|(_, most)| Some((U256::ZERO, most))),
            )
        };
        let mut narrow = |side, range: Option<Option<Range>>| match range {
            None => true,
            Some(None) => false,
            Some(Some(range)) => self.narrow(builder, side, range, depth),
        };
        narrow(a, for_a) && narrow(b, for_b)
    }
}

fn truth_value(is_true: bool, is_false: bool) -> Range {
    match (is_true, is_false) {
        (true, _) => TRUE,
        (_, true) => FALSE,
        _ => EITHER,
    }
}

/// The number with all bits below its highest set.
fn fill(number: U256) -> U256 {
    U256::MAX >> (256 - number.bit_len())
}

/// Whether the mask takes only lowest bits off the words of a range, or none: then a larger word stays no smaller.
fn keeps_order((_, most): Range, mask: U256) -> bool {
    let cut = fill(most) & !mask;
    (cut & cut.wrapping_add(U256::ONE)).is_zero()
}

fn masked(a: Range, b: Range) -> Range {
    let [range, mask] = if a.0 == a.1 { [b, a] } else { [a, b] };
    if mask.0 == mask.1 && keeps_order(range, mask.0) {
        return (range.0 & mask.0, range.1 & mask.0);
    }
    if (a, b) == (TRUE, TRUE) {
        return TRUE;
    }
    (U256::ZERO, a.1.min(b.1))
}

/// The range of a calculation with two ranges; none where it runs around the end of the numbers for some.
fn calculated(op: u8, a: Range, b: Range) -> Option<Range> {
    match op {
        op::ADD => {
            let (least, most) = (a.0.overflowing_add(b.0), a.1.overflowing_add(b.1));
            (least.1 == most.1).then_some((least.0, most.0))
        }
        op::SUB => {
            let (least, most) = (a.0.overflowing_sub(b.1), a.1.overflowing_sub(b.0));
            (least.1 == most.1).then_some((least.0, most.0))
        }
        op::MUL => Some((a.0.checked_mul(b.0)?, a.1.checked_mul(b.1)?)),
        op::DIV => Some((a.0.checked_div(b.1)?, a.1.checked_div(b.0)?)),
        op::MOD if a.1 < b.0 => Some(a),
        op::MOD => Some((U256::ZERO, b.1.checked_sub(U256::ONE)?)),
        op::SHR if a.0 == a.1 => {
            let count = usize::try_from(a.0).ok().filter(|count| *count < 256)?;
            Some((b.0 >> count, b.1 >> count))
        }
        op::SHL if a.0 == a.1 => {
            let count = usize::try_from(a.0).ok().filter(|count| *count < 256)?;
            (b.1.leading_zeros() >= count).then(|| (b.0 << count, b.1 << count))
        }
        op::XOR => Some((U256::from(u64::from(a.1 < b.0 || b.1 < a.0)), fill(a.1 | b.1))),
        op::EQ => Some(truth_value(a == b && a.0 == a.1, a.1 < b.0 || b.1 < a.0)),
        op::LT => Some(truth_value(a.1 < b.0, a.0 >= b.1)),
        op::SLT => {
            // With the sign turned over, signed words are in order.
            let sign = U256::ONE << 255;
            let whole = |range: &Range| range.0.bit(255) == range.1.bit(255);
            let [a, b] = [a, b].map(|range| Some(range).filter(whole).map(|it| (it.0 ^ sign, it.1 ^ sign)));
            calculated(op::LT, a?, b?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(builder: &mut Builder, value: u64) -> ExprId {
        builder.number(value)
    }

    /// Every way of asking whether there are four bytes, with what it says if there are.
    fn questions(builder: &mut Builder) -> Vec<(ExprId, bool)> {
        let size = builder.environment(Environment::CalldataSize);
        let [three, four, two] = [3, 4, 2].map(|value| number(builder, value));
        let mut asked = vec![
            (builder.binary(op::LT, size, four), false),
            (builder.binary(op::LT, three, size), true),
            (builder.binary(op::GT, size, three), true),
            (builder.binary(op::GT, four, size), false),
            (builder.binary(op::SLT, size, four), false),
            (builder.binary(op::SGT, size, three), true),
            (builder.binary(op::SHR, two, size), true),
            (builder.binary(op::DIV, size, four), true),
            (builder.unary(op::ISZERO, size), false),
            (size, true),
        ];
        for wrong in 0..4 {
            let wrong = number(builder, wrong);
            asked.push((builder.binary(op::EQ, size, wrong), false));
            asked.push((builder.binary(op::SUB, size, wrong), true));
            asked.push((builder.binary(op::XOR, size, wrong), true));
        }
        let all_but_two = builder.constant(!U256::from(3));
        asked.push((builder.binary(op::AND, size, all_but_two), true));
        for mask in [u64::from(u32::MAX), u64::MAX] {
            let mask = builder.number(mask);
            let cut = builder.binary(op::AND, size, mask);
            asked.push((builder.binary(op::LT, cut, four), false));
        }
        // What decoders ask: whether the arguments behind the selector are there.
        let minus_four = builder.binary(op::SUB, size, four);
        let zero = builder.zero();
        asked.push((builder.binary(op::SLT, minus_four, zero), false));
        for at in 0..asked.len() {
            let (id, holds) = asked[at];
            asked.push((builder.unary(op::ISZERO, id), !holds));
        }
        asked
    }

    #[test]
    fn all_forms_of_a_question_are_answered() {
        let mut builder = Builder::default();
        let asked = questions(&mut builder);
        let long = Lengths { least: 4, most: LONGEST };
        for &(id, holds) in &asked {
            assert_eq!(
                long.truth(&builder, id),
                Some(holds).filter(|_| builder.value(id).is_none()),
                "{id:?}"
            );
            assert_eq!(Lengths::default().truth(&builder, id), None);
        }
    }

    #[test]
    fn all_forms_of_a_question_say_the_same() {
        let mut builder = Builder::default();
        let size = builder.environment(Environment::CalldataSize);
        let four = number(&mut builder, 4);
        let short = builder.binary(op::LT, size, four);
        let (three, two) = (number(&mut builder, 3), number(&mut builder, 2));
        let all_but_two = builder.constant(!U256::from(3));
        let long = [
            builder.binary(op::LT, three, size),
            builder.binary(op::SGT, size, three),
            builder.binary(op::SHR, two, size),
            builder.binary(op::DIV, size, four),
            builder.binary(op::AND, size, all_but_two),
            builder.unary(op::ISZERO, short),
        ];
        for id in long {
            let mut lengths = Lengths::default();
            assert!(lengths.assume(&builder, id, true));
            assert_eq!(lengths, Lengths { least: 4, most: LONGEST }, "{id:?}");
            let mut lengths = Lengths::default();
            assert!(lengths.assume(&builder, id, false));
            assert_eq!(lengths, Lengths { least: 0, most: 3 }, "{id:?}");
            assert!(!lengths.assume(&builder, id, true), "{id:?}");
        }
        let mut lengths = Lengths { least: 4, most: LONGEST };
        let other = builder.binary(op::SUB, size, four);
        assert!(lengths.assume(&builder, other, true));
        assert_eq!(lengths.least, 5, "it is not four, and no less");
    }

    #[test]
    fn no_answer_is_narrower_than_what_lengths_show() {
        use crate::fold::Folder;
        let mut builder = Builder::default();
        let size = builder.environment(Environment::CalldataSize);
        let mut folder = Folder::default();
        let numbers = [0, 1, 2, 3, 4, 5, 31, 32, 36, 255];
        let constants: Vec<U256> = (numbers.into_iter().map(U256::from))
            .chain([!U256::from(3), U256::MAX, U256::MAX - U256::from(3), U256::ONE << 255])
            .collect();
        let operations = [
            op::ADD,
            op::SUB,
            op::MUL,
            op::DIV,
            op::MOD,
            op::AND,
            op::OR,
            op::XOR,
            op::EQ,
            op::LT,
            op::GT,
            op::SLT,
            op::SGT,
            op::SHR,
            op::SHL,
        ];
        let mut apply = |op: u8, left: U256, right: U256| folder.fold(op, &[left, right]).expect("known");
        for first in operations {
            for &by in &constants {
                for turned in [false, true] {
                    for second in operations {
                        for &with in &[U256::ZERO, U256::ONE, U256::from(4), U256::from(32), U256::MAX] {
                            let by_id = builder.constant(by);
                            let with_id = builder.constant(with);
                            let inner = if turned {
                                builder.binary(first, by_id, size)
                            } else {
                                builder.binary(first, size, by_id)
                            };
                            let outer = builder.binary(second, inner, with_id);
                            let mut holding = [Lengths::default(); 2];
                            let possible =
                                [0, 1].map(|side: usize| holding[side].assume(&builder, outer, side == 1));
                            for length in (0..70).chain([LONGEST]) {
                                let word = U256::from(length);
                                let word =
                                    if turned { apply(first, by, word) } else { apply(first, word, by) };
                                let word = apply(second, word, with);
                                let side = usize::from(!word.is_zero());
                                let Lengths { least, most } = holding[side];
                                assert!(
                                    possible[side] && least <= length && length <= most,
                                    "{first:#x} {by} {turned} {second:#x} {with}: {length} is lost"
                                );
                                for (least, most) in [(0, LONGEST), (4, LONGEST), (0, 3), (length, length)] {
                                    if least <= length && length <= most {
                                        let known = Lengths { least, most }.truth(&builder, outer);
                                        assert_ne!(
                                            known,
                                            Some(word.is_zero()),
                                            "{first:#x} {by} {turned} {second:#x} {with}: {length}"
                                        );
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
