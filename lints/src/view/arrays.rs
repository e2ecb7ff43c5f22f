//! Which slots are elements of lists that know their length, wherever a compiler puts them.
//!
//! In: a slot. Out: the list's length and the element's index. Solidity hashes the slot of the length to find the
//! elements, Vyper puts them behind it; in the latter case nothing but the declared layout tells a list from a sum.

use alloy_primitives::U256;
use deconflict_analyzer::{ExprId, Node, Projection, Root, Slot, Sources};
use revm_bytecode::opcode;

use super::{ComparedWords, ContractView, Touch};

/// An element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    /// The slot of the list's length.
    pub(crate) length: Slot,
    /// Which element; counted from one where a compiler has drawn the two together.
    pub(crate) index: ExprId,
}

impl ContractView<'_> {
    /// The list that `slot` is an element of.
    pub(crate) fn element(&self, slot: &Slot) -> Option<Element> {
        match slot.path.first() {
            Some(&Projection::Element { index, .. }) => {
                Some(Element { length: Slot { root: slot.root, path: Vec::new() }, index })
            }
            _ => self.in_place(slot),
        }
    }

    /// Whether the call appends what it stores to a list, or takes it off: no call replaces what another has put there.
    pub(crate) fn is_appended(&self, touch: &Touch<'_>) -> bool {
        self.element(&touch.access.slot).is_some_and(|element| {
            let writes = self.writes();
            writes.iter().any(|it| it.function == touch.function && it.access.slot == element.length)
        })
    }

    /// The same of a list whose elements stand behind its length.
    fn in_place(&self, slot: &Slot) -> Option<Element> {
        let expressions = &self.analysis.expressions;
        let (start, index) = match (slot.root, slot.path.first()) {
            (Root::Fixed(start), Some(&Projection::Index { index, .. })) => (start, index),
            (Root::Raw(word), None) => match expressions.node(word) {
                Node::Binary { op: opcode::ADD, a, b } => {
                    match (expressions.constant(a), expressions.constant(b)) {
                        (Some(start), None) => (start, b),
                        (None, Some(start)) => (start, a),
                        _ => return None,
                    }
                }
                // The last element of the list at slot zero.
                Node::Load { slot, .. } if expressions.constant(slot).is_some_and(|it| it.is_zero()) => {
                    (expressions.constant(slot)?, word)
                }
                _ => return None,
            },
            _ => return None,
        };
        if !self.names.has_layout() {
            if start.is_zero() {
                // A pointer that is only ever counted is the length of a list.
                let length = Slot::fixed(start);
                return self.is_counted(&length).then_some(Element { length, index });
            }
            // The last element: what stands behind the length and one element back is drawn together.
            let length = Slot::fixed(start);
            if self.depends_on(index, &length) {
                return Some(Element { length, index });
            }
            // An index that the word before the first element has decided, or bounds, is that of a list.
            let length = Slot::fixed(start.checked_sub(U256::ONE)?);
            let is_list = self.depends_on(index, &length) || self.is_compared_with(index, &length);
            return is_list.then_some(Element { length, index });
        }
        let length = Slot::fixed(self.names.counted_list(start)?);
        // Only the length can make up for an element that would stand where the length does.
        let is_inside = length.number() != Some(start) || self.depends_on(index, &length);
        is_inside.then_some(Element { length, index })
    }

    /// Whether users change what stands in `slot`, by one at a time only.
    fn is_counted(&self, slot: &Slot) -> bool {
        let mut changes = self.writes().into_iter().filter(|touch| touch.access.slot == *slot).peekable();
        let by_one = |touch: Touch<'_>| {
            touch
                .sum()
                .is_some_and(|(amount, _)| self.analysis.expressions.constant(amount) == Some(U256::ONE))
        };
        self.all_known && changes.peek().is_some() && changes.all(by_one)
    }

    /// Whether some call has to fulfil that the word is less, or no less, than what stands in `slot`.
    fn is_compared_with(&self, word: ExprId, slot: &Slot) -> bool {
        let counts = self.analysis.expressions.sources(word).is_within(Sources::PHI);
        self.users().any(|(function, _)| {
            // A loop may go on until its counter is the length.
            let compared = self.comparisons(function).into_iter().filter(|it| counts || !it.is_equality());
            let mut sides = compared.flat_map(ComparedWords::sides);
            // The first rounds of a loop compare the length with their own numbers.
            let is_counter = |index: ExprId| counts && self.analysis.expressions.constant(index).is_some();
            sides.any(|(index, end)| (index == word || is_counter(index)) && self.depends_on(end, slot))
        })
    }
}
