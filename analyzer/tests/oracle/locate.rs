//! The slots that a location in normal form can stand for in one concrete call, and whether a condition is met there.

use alloy_primitives::{U256, keccak256};
use deconflict_analyzer::{Condition, ExprId, Node, Projection, Root, Slot};

use crate::evaluate::Evaluator;

impl Evaluator<'_> {
    /// Whether the condition is met.
    pub(crate) fn holds(&mut self, condition: Condition) -> Option<bool> {
        Some(self.word(condition.expression)?.is_zero() != condition.holds)
    }

    /// Every slot number that a location in normal form can stand for: the form does not say in which order, and in how
    /// many bytes, key and slot were hashed. `None` where a part of it is not known.
    pub(crate) fn slots(&mut self, slot: &Slot) -> Option<Vec<U256>> {
        let mut candidates = match slot.root {
            Root::Fixed(number) => vec![number],
            Root::Raw(id) => vec![self.word(id)?],
            Root::Unknown(_) => return None,
        };
        for step in &slot.path {
            match *step {
                Projection::Mapping { key } => {
                    let keys = self.keys(key)?;
                    let mut next = Vec::new();
                    for root in candidates {
                        let root = root.to_be_bytes::<32>();
                        // Seeds of hand-packed layouts are shorter than a word.
                        for start in (0..32).filter(|start| root[..*start].iter().all(|byte| *byte == 0)) {
                            for key in &keys {
                                next.push(hash(&[key, &root[start..]]));
                                next.push(hash(&[&root[start..], key]));
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
    fn keys(&mut self, key: ExprId) -> Option<Vec<Vec<u8>>> {
        if let Node::Bytes(bytes) = self.expressions.node(key) {
            return Some(vec![self.bytes(self.expressions.pieces(bytes))?]);
        }
        let word = self.word(key)?.to_be_bytes::<32>();
        let shorter = (0..32).filter(|start| word[..*start].iter().all(|byte| *byte == 0));
        Some(shorter.map(|start| word[start..].to_vec()).collect())
    }
}

fn hash(parts: &[&[u8]]) -> U256 {
    U256::from_be_bytes(keccak256(parts.concat()).0)
}
