//! Where loaded words go: the uses of every load and balance read of one entry.
//!
//! In: the words that reach something visible (branches, slots, stores, logs, return data, calls). Out: for each loaded
//! word and each set of its bits, the kinds of places it reaches. Over-approximates: a word that may reach a place is
//! said to reach it.

use alloy_primitives::U256;
use revm_bytecode::opcode as op;
use rustc_hash::FxHashMap;

use crate::{
    access::Escapes,
    expression::{Expressions, Node, Sources},
    id::ExprId,
};

/// One kind of use of some bits of a loaded word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    /// The bits of the loaded word that are used.
    pub(crate) mask: U256,
    pub(crate) escape: Escapes,
}

/// The uses of all loaded words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    uses: FxHashMap<ExprId, Vec<Use>>,
    seen: Vec<u32>,
    round: u32,
    /// For each word, the places that it is known to reach.
    reached: Vec<Escapes>,
    /// Room for words whose parts are still to be looked at.
    open: Vec<ExprId>,
}

/// A loaded word or balance found below an expression, and the bits of it that are used there.
pub(crate) type Found = (ExprId, U256);

/// What a word depends on if it is loaded, or may be made from a loaded word.
const LOADED: Sources =
    Sources(Sources::STORAGE.0 | Sources::TRANSIENT.0 | Sources::BALANCE.0 | Sources::PHI.0);

impl Flow {
    /// Every loaded word that `root` is computed from, without following the keys of loads.
    pub(crate) fn loads_in(&mut self, expressions: &Expressions, root: ExprId) -> Vec<Found> {
        self.round += 1;
        self.seen.resize(expressions.len().max(self.seen.len()), 0);
        let mut found = Vec::new();
        let mut stack = vec![(root, U256::MAX)];
        while let Some((id, mask)) = stack.pop() {
            // A load shows in the sources of all that is made from it, and through joins that they are joins.
            if !expressions.sources(id).intersects(LOADED) {
                continue;
            }
            let node = expressions.node(id);
            if let Node::Load { .. } | Node::Balance { .. } = node {
                if !found.contains(&(id, mask)) {
                    found.push((id, mask));
                }
                continue;
            }
            // Extracting a field uses only its bits.
            if let Some((inner, used)) = field_of(expressions, id)
                && matches!(expressions.node(inner), Node::Load { .. })
            {
                let used = used & if used == U256::MAX { mask } else { U256::MAX };
                if !found.contains(&(inner, used)) {
                    found.push((inner, used));
                }
                continue;
            }
            let seen = &mut self.seen[id.0 as usize];
            if *seen == self.round {
                continue;
            }
            *seen = self.round;
            if let Node::Phi { .. } = node {
                stack.extend(expressions.phi_operands(id).iter().map(|operand| (*operand, U256::MAX)));
            } else {
                expressions.each_operand(id, |operand| stack.push((operand, U256::MAX)));
            }
        }
        found
    }

    /// Records that `root` reaches a place.
    pub(crate) fn reach(&mut self, expressions: &Expressions, root: ExprId, escape: Escapes) {
        self.reached.resize(expressions.len().max(self.reached.len()), Escapes::default());
        let mut open = std::mem::take(&mut self.open);
        open.push(root);
        while let Some(id) = open.pop() {
            if !expressions.sources(id).intersects(LOADED) {
                continue;
            }
            // What a word is made of reaches every place that the word has reached.
            let reached = &mut self.reached[id.0 as usize];
            if reached.with(escape) == *reached {
                continue;
            }
            *reached = reached.with(escape);
            match expressions.node(id) {
                Node::Load { .. } | Node::Balance { .. } => self.add(id, U256::MAX, escape),
                Node::Phi { .. } => open.extend_from_slice(expressions.phi_operands(id)),
                _ => match field_of(expressions, id) {
                    // Extracting a field uses only its bits.
                    Some((inner, used)) if matches!(expressions.node(inner), Node::Load { .. }) => {
                        self.add(inner, used, escape);
                    }
                    _ => expressions.each_operand(id, |operand| open.push(operand)),
                },
            }
        }
        self.open = open;
    }

    pub(crate) fn add(&mut self, load: ExprId, mask: U256, escape: Escapes) {
        let uses = self.uses.entry(load).or_default();
        match uses.iter_mut().find(|entry| entry.mask == mask) {
            Some(entry) => entry.escape = entry.escape.with(escape),
            None => uses.push(Use { mask, escape }),
        }
    }

    /// Where the given bits of a loaded word go.
    pub(crate) fn escapes(&self, load: ExprId, bits: U256) -> Escapes {
        self.uses_of(load)
            .iter()
            .filter(|entry| !(entry.mask & bits).is_zero())
            .fold(Escapes::default(), |all, entry| all.with(entry.escape))
    }

    /// The uses of a loaded word.
    pub(crate) fn uses_of(&self, load: ExprId) -> &[Use] {
        self.uses.get(&load).map_or(&[], Vec::as_slice)
    }
}

/// `(word >> n) & m` as the word and the bits of it that are used.
pub(crate) fn field_of(expressions: &Expressions, id: ExprId) -> Option<(ExprId, U256)> {
    let constant = |id| expressions.constant(id);
    match expressions.node(id) {
        Node::Binary { op: op::AND, a, b } => {
            let mask = constant(b)?;
            match expressions.node(a) {
                Node::Binary { op: op::SHR, a: count, b: word } => {
                    Some((word, mask << constant(count)?.to::<usize>()))
                }
                Node::Binary { op: op::SHL, a: count, b: word } => {
                    Some((word, mask >> constant(count)?.to::<usize>()))
                }
                _ => Some((a, mask)),
            }
        }
        Node::Binary { op: op::SHR, a, b } => Some((b, U256::MAX << constant(a)?.to::<usize>())),
        Node::Binary { op: op::SHL, a, b } => Some((b, U256::MAX >> constant(a)?.to::<usize>())),
        _ => None,
    }
}
