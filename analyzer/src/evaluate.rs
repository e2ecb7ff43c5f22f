//! The value of an expression where somebody knows the words that it is made of.
//!
//! In: an expression, and a source that knows leaves such as storage words. Out: its value, by revm's own instructions, or
//! nothing where the source does not know a leaf or the expression stands for several values.

use alloy_primitives::{U256, keccak256};

use crate::{
    expression::{Expressions, Node, Piece},
    fold::Folder,
    id::ExprId,
};

/// Expressions deeper than this are given up.
const MAX_DEPTH: usize = 64;

/// Computes the value of `id`; `leaf` is asked for whatever is no operation on other words.
///
/// `None` where `leaf` does not know a word that the value depends on, and where the expression stands for several values.
///
/// ```
/// use alloy_primitives::U256;
/// use deconflict_analyzer::{Environment, Node, Options, analyze, evaluate};
///
/// // slot[caller + 7] = 1.
/// let code = [0x60, 0x01, 0x60, 0x07, 0x33, 0x01, 0x55, 0x00];
/// let analysis = analyze(code.into(), &Options::default());
/// let deconflict_analyzer::Slot { root, .. } = &analysis.summaries[0].accesses[0].slot;
/// let deconflict_analyzer::Root::Raw(slot) = root else { panic!("a sum is no mapping: {root:?}") };
/// let caller = U256::from(100);
/// let known = |leaf| match analysis.expressions.node(leaf) {
///     Node::Environment(Environment::Caller) => Some(caller),
///     _ => None,
/// };
/// assert_eq!(evaluate(&analysis.expressions, *slot, &mut { known }), Some(U256::from(107)));
/// ```
pub fn evaluate(
    expressions: &Expressions,
    id: ExprId,
    leaf: &mut dyn FnMut(ExprId) -> Option<U256>,
) -> Option<U256> {
    let mut folder = Folder::default();
    Evaluator { expressions, folder: &mut folder, leaf }.word(id, 0)
}

struct Evaluator<'a> {
    expressions: &'a Expressions,
    folder: &'a mut Folder,
    leaf: &'a mut dyn FnMut(ExprId) -> Option<U256>,
}

impl Evaluator<'_> {
    fn word(&mut self, id: ExprId, depth: usize) -> Option<U256> {
        if let Some(constant) = self.expressions.constant(id) {
            return Some(constant);
        }
        let depth = Some(depth + 1).filter(|depth| *depth <= MAX_DEPTH)?;
        match self.expressions.node(id) {
            Node::Unary { op, a } => {
                let a = self.word(a, depth)?;
                self.folder.fold(op, &[a])
            }
            Node::Binary { op, a, b } => {
                let (a, b) = (self.word(a, depth)?, self.word(b, depth)?);
                self.folder.fold(op, &[a, b])
            }
            Node::Ternary { op, a, b, c } => {
                let (a, b, c) = (self.word(a, depth)?, self.word(b, depth)?, self.word(c, depth)?);
                self.folder.fold(op, &[a, b, c])
            }
            Node::Keccak(bytes) => {
                let mut content = Vec::new();
                for piece in self.expressions.pieces(bytes) {
                    let Piece::Word { word, from, to } = *piece else { return None };
                    let word = self.word(word, depth)?.to_be_bytes::<32>();
                    content.extend_from_slice(&word[usize::from(from)..usize::from(to)]);
                }
                Some(U256::from_be_bytes(keccak256(content).0))
            }
            Node::Phi { .. } => {
                // Where all ways bring the same word, it is that word.
                let mut words = Vec::new();
                for operand in self.expressions.phi_operands(id) {
                    words.push(self.word(*operand, depth)?);
                }
                let (first, rest) = words.split_first()?;
                rest.iter().all(|word| word == first).then_some(*first)
            }
            _ => (self.leaf)(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;

    use super::*;
    use crate::{
        analyze::{Options, analyze},
        expression::Space,
    };

    #[test]
    fn a_target_in_storage_is_computed() {
        // DELEGATECALL to the low 20 bytes of slot 3, shifted by 8.
        let code =
            Bytes::from_static(&[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 3, 0x54, 0x60, 8, 0x1c, 0x5a, 0xf4, 0x00]);
        let analysis = analyze(code, &Options::default());
        let call = analysis.summaries.iter().flat_map(|it| &it.calls).next().expect("it calls");
        let stored = |word: U256| {
            let expressions = &analysis.expressions;
            let mut leaf = |id| match expressions.node(id) {
                Node::Load { space: Space::Storage, slot, .. } => {
                    (expressions.constant(slot) == Some(U256::from(3))).then_some(word)
                }
                _ => None,
            };
            evaluate(expressions, call.target, &mut leaf)
        };
        assert_eq!(stored(U256::from(0xc0ff)), Some(U256::from(0xc0)));
        assert_eq!(evaluate(&analysis.expressions, call.target, &mut |_| None), None);
    }
}
