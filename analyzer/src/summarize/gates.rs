//! The branches that every successful path passes one of, where each ties the caller to something.
//!
//! In: the graph, and the summary of what it does. Out: [`Gate`]s that cut the start off from every success. A check of
//! the owner that is only made of who is no operator is found this way, and so is one in code that was not explored to
//! its end: what is not explored counts as a success.

use super::{Summarizer, atoms_of, dominators::Shape};
use crate::{
    access::Condition,
    authority::{Gate, caller_checks, is_set_for_good},
    expression::Sources,
    facts::strip,
    graph::Exit,
    id::ExprId,
    summary::Summary,
};

impl Summarizer<'_> {
    /// Sets of gates, each of which every successful path passes one of: by who calls alone, and by what is set up once
    /// as well.
    pub(super) fn gates(&mut self, summary: &Summary) -> Vec<Vec<Gate>> {
        let graph = self.graph;
        let mut found: Vec<(u32, u32, Gate)> = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let Exit::Branch { condition } = node.exit else { continue };
            if !self.may_check_caller(condition) {
                continue;
            }
            for &(to, holds) in &node.arms {
                if node.arms.contains(&(to, !holds)) || !self.shape.live[to as usize] {
                    continue;
                }
                let conditions = atoms_of(self.builder, condition, holds);
                let gate = self.gate(summary, &conditions);
                if !gate.is_empty() {
                    found.push((index as u32, to, gate));
                }
            }
        }
        found.sort_by_key(|(from, to, _)| (*from, *to));
        let by_caller = found.iter().map(|(from, to, gate)| {
            (*from, *to, gate.iter().filter(|check| !check.is_set_up).cloned().collect::<Gate>())
        });
        let by_caller: Vec<_> = by_caller.filter(|it| !it.2.is_empty()).collect();
        let mut result: Vec<Vec<Gate>> = Vec::new();
        for gates in [by_caller, found] {
            let barrier = self.barrier(summary, gates);
            if !barrier.is_empty() && !result.contains(&barrier) {
                result.push(barrier);
            }
        }
        result
    }

    fn gate(&mut self, summary: &Summary, conditions: &[Condition]) -> Gate {
        let mut gate = Gate::new();
        for condition in conditions {
            gate.extend(caller_checks(self.builder, &summary.calls, *condition));
        }
        let builder = &mut *self.builder;
        gate.retain(|check| {
            !check.is_set_up || check.fields.iter().all(|field| is_set_for_good(builder, [summary], 0, field))
        });
        gate
    }

    /// Arms of branches that are gates for whoever has not passed one just before: `a || b` tests what `b` says, or what
    /// is known where `a` holds.
    fn behind_gates(&mut self, summary: &Summary, gates: &[(u32, u32, Gate)]) -> Vec<(u32, u32, Gate)> {
        let is_gate = |from: u32, to: u32| gates.iter().any(|gate| (gate.0, gate.1) == (from, to));
        let graph = self.graph;
        let mut result = Vec::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            let (Exit::Branch { condition }, index) = (&node.exit, index as u32) else { continue };
            if !node.met.iter().any(|(from, _)| is_gate(*from, index)) {
                continue;
            }
            let same = strip(self.builder, *condition, true).holds;
            for &(to, holds) in &node.arms {
                if node.arms.contains(&(to, !holds)) || is_gate(index, to) {
                    continue;
                }
                let mut gate = Gate::new();
                let mut is_tied = true;
                for (_, word) in node.met.iter().filter(|(from, _)| !is_gate(*from, index)) {
                    let part = strip(self.builder, *word, holds == same);
                    let found = self.gate(summary, &[part]).into_iter().find(|check| !check.is_set_up);
                    is_tied &= found.is_some();
                    gate.extend(found);
                }
                // One word decides for all ways: what they rely on has to stand together.
                if let (true, [first, others @ ..]) = (is_tied, gate.as_slice()) {
                    let mut check = first.clone();
                    check.fields.extend(others.iter().flat_map(|other| other.fields.clone()));
                    result.push((index, to, vec![check]));
                }
            }
        }
        result
    }

    /// Those of the gates that the start reaches, if it reaches no success without passing one.
    fn barrier(&mut self, summary: &Summary, mut gates: Vec<(u32, u32, Gate)>) -> Vec<Gate> {
        if gates.is_empty() {
            return Vec::new();
        }
        let behind = self.behind_gates(summary, &gates);
        gates.extend(behind);
        gates.sort_by_key(|(from, to, _)| (*from, *to));
        let closed = |from: u32, to: u32| gates.binary_search_by_key(&(from, to), |it| (it.0, it.1)).is_ok();
        let Some(reached) = Shape::reached_without(self.graph, closed) else { return Vec::new() };
        gates.into_iter().filter(|(from, ..)| reached[*from as usize]).map(|(.., gate)| gate).collect()
    }

    /// Whether who calls may have a part in the word, or only the contract.
    fn may_check_caller(&self, condition: ExprId) -> bool {
        let caller = Sources::CALLER.with(Sources::TRANSACTION).with(Sources::RETURN_DATA);
        let own = Sources::STORAGE.with(Sources::ADDRESS).with(Sources::CODE);
        let sources = self.builder.expressions.sources(condition);
        sources.intersects(caller) || sources.is_within(own)
    }
}
