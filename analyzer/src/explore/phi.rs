//! What becomes of words that differ where paths meet: phis, with what is known of how they grow.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::address_order::{Bounds, PhiOrder};
use crate::code::Pc;
use crate::expression::{Expressions, Node as Word};
use crate::id::{ExprId, Site};
use crate::simplify::Builder;
use crate::state::{Meet, Place};

/// The phis of one node, as `join` asks for them.
pub(super) struct NodeMeet<'e> {
    pub(super) number: u32,
    pub(super) pc: Pc,
    pub(super) phis: &'e mut FxHashMap<Place, ExprId>,
    pub(super) collapse: bool,
    pub(super) order: &'e mut PhiOrder,
    pub(super) refuted: &'e mut FxHashSet<ExprId>,
    /// Nodes whose proofs relied on a floor that no longer holds.
    pub(super) recheck: &'e mut Vec<u32>,
    pub(super) small: &'e [&'e [ExprId]],
}

impl Meet for NodeMeet<'_> {
    fn meet(&mut self, builder: &mut Builder, place: Place, values: &[ExprId]) -> ExprId {
        let known = self.phis.get(&place).copied();
        if known.is_none() || self.collapse {
            // A value that only meets itself coming round is no phi.
            let mut others = values.iter().copied().filter(|value| Some(*value) != known);
            if let Some(first) = others.next()
                && others.all(|other| other == first)
            {
                return first;
            }
        }
        let phi = known.unwrap_or_else(|| {
            let variable = self.phis.len() as u32;
            builder.leaf(Word::Phi { node: self.number, variable })
        });
        self.phis.insert(place, phi);
        let mut operands: Vec<ExprId> = Vec::with_capacity(values.len());
        for value in values {
            if !operands.contains(value) {
                operands.push(*value);
            }
        }
        if matches!(place, Place::Stack(_) | Place::Memory(..)) && !self.refuted.contains(&phi) {
            let floor = *self.order.floor.entry(phi).or_insert(values[0]);
            for (value, small) in values.iter().zip(self.small) {
                let mut bounds = Bounds { builder, small, order: self.order };
                let grows = *value == phi || bounds.difference(*value, floor).is_some_and(|gap| gap >= 0);
                if !grows {
                    self.refuted.insert(phi);
                    self.order.floor.remove(&phi);
                    self.recheck.extend(self.order.users.remove(&phi).unwrap_or_default());
                    break;
                }
            }
        }
        let sources = operands
            .iter()
            .fold(crate::expression::Sources::PHI, |all, id| all.with(builder.expressions.sources(*id)));
        builder.expressions.add_sources(phi, sources);
        builder.expressions.set_phi_operands(phi, operands);
        phi
    }

    fn site(&mut self, builder: &mut Builder) -> Site {
        // The join of a block has a site of its own, apart from the block's first instruction.
        builder.expressions.intern_site(self.number, Pc(self.pc.0 | Expressions::JOIN))
    }
}
