//! What an editor shows beside the lines of one contract: who reads and writes a variable, what a function touches, and
//! with whom it conflicts.
//!
//! In: a contract and its analysis. Out: [`ContractFacts`], plain data with every expression already in words and with
//! the spans of declarations. It judges nothing, and never looks at what rules say.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use deconflict_analyzer::{Alias, ByteRange, Cause, Conflict, Effect, Entry, Slot, Space, Verdict};

use crate::{
    check::Analyzed,
    inspect::{Cell, FunctionInspection, Inspection, describe_conflict, inspect_analyzed},
    naming::ContractNames,
    source_map::SourceSpan,
    storage_layout::{StorageLayout, StorageVariable},
    unit::{Contract, Project},
};

/// One contract.
#[derive(Clone, Debug, Default)]
pub struct ContractFacts {
    /// Its name.
    pub name: String,
    /// Its entry points: functions by selector, then receive and fallback.
    pub functions: Vec<FunctionFacts>,
    /// Its variables in storage, in order of slot and offset.
    pub variables: Vec<VariableFacts>,
}

/// One entry point.
#[derive(Clone, Debug)]
pub struct FunctionFacts {
    /// Its signature, or its selector where it has no name.
    pub name: String,
    /// Its definition, which another contract may hold.
    pub span: Option<SourceSpan>,
    /// Whether the compiler says that it changes nothing.
    pub is_view: bool,
    /// What the caller has to be, if not everybody can call it.
    pub restricted_to: Option<String>,
    /// No call succeeds.
    pub always_reverts: bool,
    /// Why not all that it touches is known; none if all of it is.
    pub incomplete: Vec<String>,
    /// What it reads, in words, in order of the code.
    pub reads: Vec<String>,
    /// What it writes, in words, in order of the code.
    pub writes: Vec<String>,
    /// How two calls of it conflict.
    pub with_itself: Option<Clash>,
    /// With which other functions that change something it conflicts.
    pub with_others: Vec<Clash>,
}

/// A conflict, as one of its sides sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The other side.
    pub with: String,
    /// Always, for some calls only, or not known.
    pub verdict: Verdict,
    /// For which calls, at least: any of these. `a` is the side that looks, or the first one.
    pub when: Vec<String>,
    /// The locations.
    pub variables: Vec<String>,
    /// Whether it goes away where commutative updates are merged.
    pub mergeable: bool,
}

/// One variable.
#[derive(Clone, Debug)]
pub struct VariableFacts {
    /// Its name.
    pub name: String,
    /// Its type as the compiler prints it.
    pub type_name: String,
    /// Its declaration.
    pub span: Option<SourceSpan>,
    /// Its first slot.
    pub slot: U256,
    /// Its first byte in that slot, counted from the least significant one.
    pub offset: u8,
    /// How many bytes it takes in place.
    pub bytes: U256,
    /// The functions that read it.
    pub readers: Vec<String>,
    /// The functions that write it.
    pub writers: Vec<String>,
    /// The functions that may do either, because not all that they touch is known.
    pub perhaps: Vec<String>,
    /// The pairs of functions that conflict on it, those that always do first.
    pub conflicts: Vec<(String, Clash)>,
    /// The variables that share its slot.
    pub neighbours: Vec<String>,
}

impl VariableFacts {
    /// Whether some pair of calls always conflicts on it.
    pub fn is_hot(&self) -> bool {
        self.conflicts.iter().any(|(_, clash)| clash.verdict == Verdict::Always)
    }
}

/// Gathers the facts of a contract whose code has been analysed.
pub fn facts(
    project: &Project,
    contract: &Contract,
    names: &ContractNames<'_>,
    analyzed: &Analyzed,
) -> ContractFacts {
    let inspection = inspect_analyzed(contract, names, analyzed);
    let subject = Subject { project, contract, names, analyzed, inspection: &inspection };
    let functions = (0..inspection.functions.len()).map(|index| subject.function(index)).collect();
    let variables = contract.storage_layout.as_ref().map(|it| subject.variables(it)).unwrap_or_default();
    ContractFacts { name: contract.name.clone(), functions, variables }
}

struct Subject<'a> {
    project: &'a Project,
    contract: &'a Contract,
    names: &'a ContractNames<'a>,
    analyzed: &'a Analyzed,
    inspection: &'a Inspection,
}

impl Subject<'_> {
    fn entry(&self, index: usize) -> Entry {
        self.analyzed.analysis.summaries[index].entry
    }

    /// The functions that transactions call and that are not known in full.
    fn open(&self) -> impl Iterator<Item = String> + '_ {
        let functions = self.inspection.functions.iter().enumerate();
        let open = functions.filter(|(index, function)| !function.incomplete.is_empty() && self.acts(*index));
        open.map(|(_, function)| function.name.clone())
    }

    /// Whether a transaction would call it: a view is called by those who wait for no block.
    fn acts(&self, index: usize) -> bool {
        !self.names.is_view(self.entry(index)) && !self.inspection.functions[index].always_reverts
    }

    fn function(&self, index: usize) -> FunctionFacts {
        let described: &FunctionInspection = &self.inspection.functions[index];
        let distinct = |texts: &mut dyn Iterator<Item = String>| {
            let mut seen = BTreeSet::new();
            texts.filter(|text| seen.insert(text.clone())).collect::<Vec<_>>()
        };
        let mut with_itself = None;
        let mut with_others = Vec::new();
        for conflict in &self.analyzed.conflicts {
            if conflict.verdict == Verdict::Never || (conflict.a != index && conflict.b != index) {
                continue;
            }
            let turned = (conflict.a != index).then(|| from_other_side(conflict));
            let conflict = turned.as_ref().unwrap_or(conflict);
            let Some((_, clash)) = self.clash(conflict, &|_| true) else { continue };
            if conflict.a == conflict.b {
                with_itself = Some(clash);
            } else if self.acts(conflict.b) {
                with_others.push(clash);
            }
        }
        with_others.sort_by_key(|clash| clash.variables.is_empty());
        let span = match self.entry(index) {
            Entry::Function(selector) => {
                self.project.function_of(self.contract, selector.0).map(|it| it.span)
            }
            Entry::Receive => self.special("receive"),
            Entry::Fallback => self.special("fallback"),
        };
        FunctionFacts {
            name: described.name.clone(),
            span,
            is_view: self.names.is_view(self.entry(index)),
            restricted_to: described.restricted_to.clone(),
            always_reverts: described.always_reverts,
            incomplete: distinct(&mut described.incomplete.iter().map(|(reason, _)| reason.to_string())),
            reads: distinct(&mut described.reads.iter().map(|it| it.expression.clone())),
            writes: distinct(&mut described.writes.iter().map(|it| it.expression.clone())),
            with_itself,
            with_others,
        }
    }

    /// What those causes of a conflict come to that `concern`; where some of them always do, the others add nothing.
    /// Where one side is not known in full, none of them need be there.
    fn clash(&self, conflict: &Conflict, concern: &dyn Fn(&Cause) -> bool) -> Option<(String, Clash)> {
        let is_open = conflict.verdict == Verdict::Unknown;
        let concerned: Vec<&Cause> = conflict.causes.iter().filter(|it| concern(it)).collect();
        let is_always = |cause: &&&Cause| cause.alias == Alias::Always;
        let always: Vec<&Cause> = concerned.iter().filter(is_always).copied().collect();
        let (verdict, causes) = if always.is_empty() {
            let sides = [conflict.a, conflict.b].map(|side| &self.analyzed.analysis.summaries[side]);
            let is_known = sides.iter().all(|summary| summary.is_complete());
            (if is_known { Verdict::When } else { Verdict::Unknown }, concerned)
        } else {
            (Verdict::Always, always)
        };
        if causes.is_empty() && !is_open {
            return None;
        }
        let causes = causes.into_iter().cloned().collect();
        let part = Conflict { a: conflict.a, b: conflict.b, verdict, causes };
        let Cell { a, b, verdict, conditions, variables, mergeable, .. } =
            describe_conflict(&part, self.names, self.analyzed);
        Some((a, Clash { with: b, verdict, when: conditions, variables, mergeable }))
    }

    /// The contract's own `receive` or `fallback`, else the nearest one it inherits.
    fn special(&self, name: &str) -> Option<SourceSpan> {
        let definition = self.project.definition_of(self.contract)?;
        definition.bases.iter().find_map(|base| {
            let functions = self.project.functions.iter();
            let mut here = functions.filter(|it| {
                it.span.source == base.source && it.contract.as_deref() == Some(base.name.as_str())
            });
            here.find(|it| it.name == name).map(|it| it.span)
        })
    }

    fn variables(&self, layout: &StorageLayout) -> Vec<VariableFacts> {
        let mut found: Vec<VariableFacts> =
            layout.storage.iter().map(|it| self.declared(layout, it)).collect();
        let place =
            |variable: &StorageVariable| layout.storage.iter().position(|it| std::ptr::eq(it, variable));
        let at = |slot: &Slot, bytes: ByteRange| place(self.names.variable(slot, bytes)?);
        let mut uses: BTreeMap<usize, [BTreeSet<String>; 2]> = BTreeMap::new();
        for (index, summary) in self.analyzed.analysis.summaries.iter().enumerate() {
            let lasting = summary.accesses.iter().filter(|it| it.space == Space::Storage);
            for access in lasting.filter(|it| !it.circumstance.reverts) {
                let Some(variable) = at(&access.slot, access.bytes) else { continue };
                let side = usize::from(matches!(access.effect, Effect::Write { .. }));
                uses.entry(variable).or_default()[side].insert(self.inspection.functions[index].name.clone());
            }
        }
        let open: Vec<String> = self.open().collect();
        for variable in &mut found {
            variable.perhaps.clone_from(&open);
        }
        for (variable, [readers, writers]) in uses {
            found[variable].readers = readers.into_iter().collect();
            found[variable].writers = writers.into_iter().collect();
        }
        for conflict in &self.analyzed.conflicts {
            if conflict.verdict == Verdict::Never || !self.acts(conflict.a) || !self.acts(conflict.b) {
                continue;
            }
            let causes = conflict.causes.iter();
            let concerned: BTreeSet<usize> = causes.filter_map(|it| at(&it.slot_a, it.bytes)).collect();
            for variable in concerned {
                found[variable]
                    .conflicts
                    .extend(self.clash(conflict, &|it| at(&it.slot_a, it.bytes) == Some(variable)));
            }
        }
        for variable in &mut found {
            variable.conflicts.sort_by_key(|(_, clash)| clash.verdict != Verdict::Always);
        }
        found
    }

    fn declared(&self, layout: &StorageLayout, variable: &StorageVariable) -> VariableFacts {
        let ty = layout.type_of(variable.type_id);
        let neighbours = layout.storage.iter().filter(|it| {
            it.slot == variable.slot && it.offset != variable.offset && !std::ptr::eq(*it, variable)
        });
        // Private variables of two bases may share a name; the layout says whose it is.
        let owner = variable.contract.rsplit(':').next().unwrap_or_default();
        let mut declarations = self.project.declarations_of(self.contract, &variable.label).peekable();
        let first = declarations.peek().map(|it| it.span);
        let span = declarations.find(|it| it.contract == owner).map(|it| it.span).or(first);
        VariableFacts {
            name: variable.label.clone(),
            type_name: ty.label.clone(),
            span,
            slot: variable.slot,
            offset: variable.offset,
            bytes: ty.bytes,
            readers: Vec::new(),
            writers: Vec::new(),
            perhaps: Vec::new(),
            conflicts: Vec::new(),
            neighbours: neighbours.map(|it| it.label.clone()).collect(),
        }
    }
}

/// The conflict as the second function sees it.
fn from_other_side(conflict: &Conflict) -> Conflict {
    let turn = |alias: &Alias| match alias {
        Alias::When(pairs) => Alias::When(pairs.iter().map(|&(left, right)| (right, left)).collect()),
        Alias::Always | Alias::Unknown => alias.clone(),
    };
    let causes = conflict.causes.iter().map(|cause| Cause {
        slot_a: cause.slot_b.clone(),
        slot_b: cause.slot_a.clone(),
        accesses_a: cause.accesses_b.clone(),
        accesses_b: cause.accesses_a.clone(),
        alias: turn(&cause.alias),
        ..cause.clone()
    });
    Conflict { a: conflict.b, b: conflict.a, causes: causes.collect(), ..conflict.clone() }
}

#[cfg(test)]
mod tests {
    use deconflict_analyzer::{ConflictKind, ExprId};

    use super::*;

    #[test]
    fn the_other_side_has_its_own_keys_first() {
        let (to, caller) = (ExprId::numbered(1), ExprId::numbered(2));
        let cause = Cause {
            slot_a: Slot::fixed(U256::ONE),
            slot_b: Slot::fixed(U256::from(2)),
            accesses_a: vec![3],
            accesses_b: vec![4, 5],
            bytes: ByteRange::WORD,
            kind: ConflictKind::ReadWrite,
            alias: Alias::When(vec![(to, caller)]),
        };
        let conflict = Conflict { a: 0, b: 1, verdict: Verdict::When, causes: vec![cause] };
        let other = from_other_side(&conflict);
        assert_eq!((other.a, other.b, other.verdict), (1, 0, Verdict::When));
        let [cause] = other.causes.as_slice() else { panic!("one cause") };
        assert_eq!(cause.alias, Alias::When(vec![(caller, to)]));
        assert_eq!((&cause.slot_a, &cause.accesses_a), (&Slot::fixed(U256::from(2)), &vec![4, 5]));
        assert_eq!(from_other_side(&other), conflict);
    }
}
