//! The slots that a location in normal form can stand for in one concrete call, and whether a condition is met there.

use alloy_primitives::{U256, keccak256};
use deconflict_analyzer::{Condition, ExprId, Node, Projection, Root, Slot};

use crate::evaluate::Evaluator;

impl Evaluator<'_> {
    /// Whether the condition is met.
    pub(crate) fn holds(&mut self, condition: Condition) -> Option<bool> {
        Some(self.word(condition.expression)?.is_zero() != condition.holds)
    }

    /// Whether a location in normal form can stand for this slot; `None` where a part of it is not known.
    pub(crate) fn names(&mut self, slot: &Slot, number: U256) -> Option<bool> {
        // Seeds and keys of hand-packed layouts are shorter than words, which the form does not say.
        Some(self.slots(slot, false)?.contains(&number) || self.slots(slot, true)?.contains(&number))
    }

    /// Every slot number that the location can stand for: the form does not say whether key or slot was hashed first.
    fn slots(&mut self, slot: &Slot, shorter: bool) -> Option<Vec<U256>> {
        let mut candidates = match slot.root {
            Root::Fixed(number) => vec![number],
            Root::Raw(id) => vec![self.word(id)?],
            Root::Unknown(_) => return None,
        };
        for step in &slot.path {
            match *step {
                Projection::Mapping { key } => {
                    let keys = self.keys(key, shorter)?;
                    let mut next = Vec::new();
                    for root in candidates {
                        let root = root.to_be_bytes::<32>();
                        for root in widths(&root, shorter) {
                            for key in &keys {
                                next.push(hash(&[key, root]));
                                next.push(hash(&[root, key]));
                            }
                        }
                    }
                    candidates = next;
                }
                Projection::Element { index, stride } => {
                    let distance = self.word(index)?.wrapping_mul(U256::from(stride));
                    for root in &mut candidates {
                        *root = hash(&[&root.to_be_bytes::<32>()]).wrapping_add(distance);
                    }
                }
                Projection::Index { index, stride } => {
                    let distance = self.word(index)?.wrapping_mul(U256::from(stride));
                    for root in &mut candidates {
                        *root = root.wrapping_add(distance);
                    }
                }
                Projection::Offset(offset) => {
                    for root in &mut candidates {
                        *root = root.wrapping_add(offset);
                    }
                }
            }
        }
        Some(candidates)
    }

    /// The byte strings that a mapping key can have been hashed as.
    fn keys(&mut self, key: ExprId, shorter: bool) -> Option<Vec<Vec<u8>>> {
        if let Node::Bytes(bytes) = self.expressions.node(key) {
            return Some(vec![self.bytes(self.expressions.pieces(bytes))?]);
        }
        let word = self.word(key)?.to_be_bytes::<32>();
        Some(widths(&word, shorter).map(<[u8]>::to_vec).collect())
    }
}

/// The word, and with `shorter` also all its ends that leave out nothing but zeros.
fn widths(word: &[u8; 32], shorter: bool) -> impl Iterator<Item = &[u8]> {
    let zeros = word.iter().take_while(|byte| **byte == 0).count().min(31);
    (0..=if shorter { zeros } else { 0 }).map(|start| &word[start..])
}

fn hash(parts: &[&[u8]]) -> U256 {
    U256::from_be_bytes(keccak256(parts.concat()).0)
}
