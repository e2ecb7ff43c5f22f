//! How parallel a project is agreed to be: which functions conflict with which, and when.
//!
//! In: the contracts of a project, or the text of a budget. Out: a [`Budget`], its text, and by `compare` what has become
//! worse. Only functions that users call and that change something are held to a budget: an administrator's calls are few,
//! and views are no transactions. The structs in `file` are the format; the file is read and written by whoever calls.

mod compare;
mod file;

use std::collections::{BTreeMap, BTreeSet};

use deconflict_analyzer::{
    Alias, CallKind, Cause, Conflict, ConflictKind, Effect, Permission, Render, Space, Summary, Verdict,
};

pub use compare::{Change, Comparison, compare};
pub use file::{BudgetError, parse, render};

use crate::{
    check::{Analyzed, analyze_contract},
    naming::ContractNames,
    settings::Settings,
    unit::{Contract, Project},
};

/// The conflicts of a project's contracts, by `path:Name`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// The contracts.
    pub contracts: BTreeMap<String, ContractBudget>,
}

/// The conflicts of one contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContractBudget {
    /// The functions that are held to it, by signature, with whether the analysis covers them in full.
    pub functions: BTreeMap<String, bool>,
    /// The pairs that conflict, each in order of their signatures; all others never do.
    pub conflicts: BTreeMap<(String, String), Terms>,
}

/// When two functions conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether always.
    pub always: bool,
    /// Whether, where they do not always, they may conflict in other ways than those named: one of them is not analysed
    /// in full.
    pub unknown: bool,
    /// What they conflict on always; where they do not, what they may conflict on.
    pub variables: BTreeSet<String>,
    /// When they conflict, where they do not always: any of these.
    pub conditions: BTreeSet<String>,
    /// Whether all of it goes away where commutative updates are merged.
    pub mergeable: bool,
}

/// Adds the budget of one contract; one in which no function changes anything has none.
pub fn contract_budget(
    project: &Project,
    contract: &Contract,
    settings: &Settings,
) -> Option<(String, ContractBudget)> {
    let names = ContractNames::new(project, contract);
    let Analyzed { analysis, conflicts } = analyze_contract(contract, &names);
    let summaries = &analysis.summaries;
    let held: Vec<bool> =
        summaries.iter().map(|summary| is_held(summary, &contract.name, &names, settings)).collect();
    let functions: BTreeMap<String, bool> = summaries
        .iter()
        .zip(&held)
        .filter(|&(_, &held)| held)
        .map(|(summary, _)| (names.signature(summary.entry), summary.is_complete()))
        .collect();
    if functions.is_empty() {
        return None;
    }
    let mut pairs = BTreeMap::new();
    for conflict in conflicts.iter().filter(|it| held[it.a] && held[it.b] && it.verdict != Verdict::Never) {
        // The pair is kept in order of the signatures, and the conditions with it.
        let signature = |index: usize| names.signature(summaries[index].entry);
        let (a, b) = (signature(conflict.a), signature(conflict.b));
        let swapped = b < a;
        let prefixes = if swapped { ["b.", "a."] } else { ["a.", "b."] };
        let render = |index: usize, prefix| Render {
            expressions: &analysis.expressions,
            names: &names,
            entry: summaries[index].entry,
            prefix,
        };
        let sides = [render(conflict.a, prefixes[0]), render(conflict.b, prefixes[1])];
        let is_known = [conflict.a, conflict.b].into_iter().all(|side| summaries[side].is_complete());
        if let Some(terms) = terms(conflict, is_known, sides, settings) {
            pairs.insert(if swapped { (b, a) } else { (a, b) }, terms);
        }
    }
    Some((contract.qualified_name(), ContractBudget { functions, conflicts: pairs }))
}

/// Whether users call the entry and it changes something.
fn is_held(summary: &Summary, contract: &str, names: &ContractNames<'_>, settings: &Settings) -> bool {
    let signature = names.signature(summary.entry);
    let open = match &summary.permission {
        Permission::Anyone => !settings.is_restricted(contract, &signature),
        Permission::Restricted(_) => settings.is_hot(contract, &signature),
    };
    let writes = summary.accesses.iter().any(|access| {
        access.space == Space::Storage
            && !access.circumstance.reverts
            && matches!(access.effect, Effect::Write { .. })
    });
    let calls = summary.calls.iter().any(|call| call.kind != CallKind::StaticCall);
    let acts = writes || calls || !summary.creations.is_empty() || summary.logs > 0 || !summary.is_complete();
    open && acts && !summary.always_reverts && !names.is_view(summary.entry)
}

/// When the pair conflicts, by the engine that the project runs on; `is_known` says whether both sides are analysed in
/// full.
fn terms(conflict: &Conflict, is_known: bool, [a, b]: [Render<'_>; 2], settings: &Settings) -> Option<Terms> {
    let causes: Vec<&Cause> =
        conflict.causes.iter().filter(|cause| settings.profile.counts(cause.kind)).collect();
    let always = causes.iter().any(|cause| cause.alias == Alias::Always);
    let mut terms = Terms {
        always,
        unknown: !always && !is_known,
        variables: BTreeSet::new(),
        conditions: BTreeSet::new(),
        mergeable: is_known
            && !causes.is_empty()
            && causes.iter().all(|cause| cause.kind == ConflictKind::Mergeable),
    };
    for cause in &causes {
        if always && cause.alias != Alias::Always {
            continue;
        }
        // A variable is named as its own function names it.
        terms.variables.insert(Render { prefix: "", ..a }.slot(&cause.slot_a, cause.bytes));
        match &cause.alias {
            Alias::Always => {}
            Alias::Unknown => {
                terms.conditions.insert("a slot that is not known".to_owned());
            }
            Alias::When(pairs) => {
                let sides = pairs.iter().map(|&(left, right)| {
                    let (left, right) = (a.expression(left), b.expression(right));
                    same(&left, &right).unwrap_or_else(|| {
                        let [first, second] =
                            if left.starts_with("b.") { [right, left] } else { [left, right] };
                        format!("{first} == {second}")
                    })
                });
                terms.conditions.insert(sides.collect::<Vec<_>>().join(" and "));
            }
        }
    }
    (terms.unknown || !causes.is_empty()).then_some(terms)
}

/// `a.to` and `b.to` as `same to`.
fn same(left: &str, right: &str) -> Option<String> {
    let plain = |text: &str| {
        text.split_once('.').filter(|(side, _)| ["a", "b"].contains(side)).map(|it| it.1.to_owned())
    };
    let (left, right) = (plain(left)?, plain(right)?);
    let simple = left.chars().all(|it| it.is_alphanumeric() || it == '_');
    (left == right && simple).then(|| format!("same {left}"))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn equal_keys_are_named_once() {
        assert_eq!(same("a.to", "b.to").as_deref(), Some("same to"));
        assert_eq!(same("a.caller", "b.to"), None);
        assert_eq!(same("a.x + a.y", "b.x + b.y"), None);
        assert_eq!(same("0x1", "b.to"), None);
    }
}
