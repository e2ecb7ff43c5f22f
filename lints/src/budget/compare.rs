//! What has become of a budget.
//!
//! In: what was agreed to and what there is. Out: the pairs that conflict more, and those that conflict less. A pair
//! conflicts more if it conflicts where it did not, always where it did sometimes, on one more variable or under one more
//! condition, or in a way that no executor can merge any longer. That a pair is no longer known is as bad as that it
//! conflicts more. A function that is new may conflict sometimes (as two calls about the same key do), never always.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Budget, ContractBudget, Terms};
use crate::text::without_parameters;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What fails the check.
    pub worse: Vec<Change>,
    /// What does not.
    pub better: Vec<Change>,
    /// How many pairs were compared.
    pub pairs: usize,
}

/// One pair whose terms have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// `path:Name`.
    pub contract: String,
    /// The first function.
    pub a: String,
    /// The second function.
    pub b: String,
    /// When they conflicted, in words.
    pub was: String,
    /// When they do now, in words.
    pub now: String,
}

impl Change {
    /// `transfer × transfer: was conditional (same to), now always (totalVolume)`.
    pub fn sentence(&self) -> String {
        format!(
            "{} × {}: was {}, now {}",
            without_parameters(&self.a),
            without_parameters(&self.b),
            self.was,
            self.now
        )
    }

    /// The contract's name without its path.
    pub fn contract_name(&self) -> &str {
        self.contract.rsplit_once(':').map_or(self.contract.as_str(), |(_, name)| name)
    }
}

/// Compares what there is with what was agreed to. A contract that is gone is nothing to complain about.
///
/// ```
/// use deconflict_lints::budget::{Budget, compare};
///
/// let comparison = compare(&Budget::default(), &Budget::default());
/// assert!(comparison.worse.is_empty());
/// ```
pub fn compare(agreed: &Budget, actual: &Budget) -> Comparison {
    let mut comparison = Comparison::default();
    let nothing = ContractBudget::default();
    for (name, after) in &actual.contracts {
        let before = agreed.contracts.get(name).unwrap_or(&nothing);
        compare_contract(name, before, after, &mut comparison);
    }
    comparison
}

fn compare_contract(name: &str, before: &ContractBudget, after: &ContractBudget, found: &mut Comparison) {
    let change = |a: &str, b: &str, was: String, now: String| Change {
        contract: name.to_owned(),
        a: a.to_owned(),
        b: b.to_owned(),
        was,
        now,
    };
    let names: Vec<&String> = after.functions.keys().collect();
    found.pairs += names.len() * (names.len() + 1) / 2;
    let pairs: BTreeSet<&(String, String)> = before.conflicts.keys().chain(after.conflicts.keys()).collect();
    for pair @ (a, b) in pairs {
        let is_known = |name| before.functions.contains_key(name);
        if !after.functions.contains_key(a) || !after.functions.contains_key(b) {
            continue;
        }
        let was = agreed(before, pair);
        let (was, now) = (was.as_ref(), after.conflicts.get(pair));
        if !is_known(a) || !is_known(b) {
            if let Some(terms) = now.filter(|terms| terms.always || terms.unknown) {
                found.worse.push(change(a, b, "not there".to_owned(), describe(terms, None)));
            }
            continue;
        }
        match (was, now) {
            (None, Some(terms)) => {
                found.worse.push(change(a, b, "never".to_owned(), describe(terms, None)));
            }
            (Some(terms), None) => {
                found.better.push(change(a, b, describe(terms, None), "never".to_owned()));
            }
            (Some(was), Some(now)) if is_worse(was, now) => {
                found.worse.push(change(a, b, describe(was, None), describe(now, Some(was))));
            }
            (Some(was), Some(now)) if is_worse(now, was) && !now.unknown => {
                found.better.push(change(a, b, describe(was, Some(now)), describe(now, None)));
            }
            _ => {}
        }
    }
    for (function, &complete) in &after.functions {
        if !complete && before.functions.get(function) == Some(&true) {
            let (was, now) = ("analysed in full".to_owned(), "not".to_owned());
            found.worse.push(change(function, function, was, now));
        }
    }
}

/// What was agreed to for a pair. Whatever the budget says, of a function that was not analysed in full no more was known
/// than when its calls conflict at least.
fn agreed(budget: &ContractBudget, pair: &(String, String)) -> Option<Terms> {
    let open = [&pair.0, &pair.1].into_iter().any(|name| budget.functions.get(name) == Some(&false));
    let terms = budget.conflicts.get(pair).cloned();
    if !open {
        return terms;
    }
    let mut terms = terms.unwrap_or_else(|| Terms {
        always: false,
        unknown: true,
        variables: BTreeSet::new(),
        conditions: BTreeSet::new(),
        mergeable: false,
    });
    terms.unknown = !terms.always;
    Some(terms)
}

/// Whether `now` is more of a conflict than `was`. Variables and conditions are counted, not compared: that a parameter or
/// a variable has a new name makes nothing worse.
fn is_worse(was: &Terms, now: &Terms) -> bool {
    let unmerged = was.mergeable && !now.mergeable;
    match (was.always, now.always) {
        (false, true) => true,
        // What is not known may be as bad.
        (true, false) => false,
        (false, false) if was.unknown != now.unknown => now.unknown,
        (true, true) => now.variables.len() > was.variables.len() || unmerged,
        (false, false) => {
            let (before, after) = (strengths(was), strengths(now));
            let weaker = before.iter().zip(&after).any(|(before, after)| after < before);
            after.len() > before.len() || after.len() == before.len() && weaker || unmerged
        }
    }
}

/// How many keys have to be the same for each condition to hold, in ascending order.
fn strengths(terms: &Terms) -> Vec<usize> {
    let keys = |condition: &String| {
        let parts = condition.split(" and ");
        parts.filter(|part| part.starts_with("same ") || part.contains(" == ")).count()
    };
    let mut strengths: Vec<usize> = terms.conditions.iter().map(keys).collect();
    strengths.sort_unstable();
    strengths
}

/// The terms in words. Beside other terms of the same kind, what is new is what is said.
fn describe(terms: &Terms, beside: Option<&Terms>) -> String {
    const SHOWN: usize = 3;
    let all = if terms.always { &terms.variables } else { &terms.conditions };
    let known = beside.filter(|it| (it.always, it.unknown) == (terms.always, terms.unknown));
    let known = known.map(|it| if it.always { &it.variables } else { &it.conditions });
    let new: Vec<&str> =
        all.iter().filter(|it| known.is_none_or(|known| !known.contains(*it))).map(String::as_str).collect();
    let grown = known.is_some_and(|known| all.len() > known.len());
    let (shown, also) = if new.is_empty() || known.is_some() && !grown {
        (all.iter().map(String::as_str).collect(), "")
    } else {
        (new, if known.is_some() { "also " } else { "" })
    };
    let more = shown.len().saturating_sub(SHOWN);
    let mut text = shown[..shown.len().min(SHOWN)].join(if terms.always { ", " } else { " or " });
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    let verdict = match terms {
        Terms { always: true, .. } => "always",
        Terms { unknown: true, .. } => "unknown",
        Terms { .. } => "conditional",
    };
    if text.is_empty() {
        // Nothing is known but that not all is.
        return verdict.to_owned();
    }
    let least = if terms.unknown { "at least " } else { "" };
    let merged = if terms.mergeable { ", mergeable" } else { "" };
    format!("{also}{verdict} ({least}{text}{merged})")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(ToString::to_string).collect()
    }

    fn when(conditions: &[&str]) -> Terms {
        Terms {
            always: false,
            unknown: false,
            variables: set(&["balances"]),
            conditions: set(conditions),
            mergeable: false,
        }
    }

    fn always(variables: &[&str]) -> Terms {
        Terms {
            always: true,
            unknown: false,
            variables: set(variables),
            conditions: set(&[]),
            mergeable: false,
        }
    }

    fn unknown(conditions: &[&str]) -> Terms {
        Terms { unknown: true, ..when(conditions) }
    }

    fn budget(functions: &[&str], terms: Option<Terms>) -> Budget {
        let functions: BTreeMap<_, _> = functions.iter().map(|name| ((*name).to_owned(), true)).collect();
        let pair = ("transfer(address)".to_owned(), "transfer(address)".to_owned());
        let conflicts = terms.into_iter().map(|terms| (pair.clone(), terms)).collect();
        let contract = ContractBudget { functions, conflicts };
        Budget { contracts: BTreeMap::from([("src/Token.sol:Token".to_owned(), contract)]) }
    }

    /// The sentences of what is worse and the number of what is better.
    fn check(was: Option<Terms>, now: Option<Terms>) -> (Vec<String>, usize) {
        let functions = &["transfer(address)"];
        let found = compare(&budget(functions, was), &budget(functions, now));
        (found.worse.iter().map(Change::sentence).collect(), found.better.len())
    }

    fn worse(was: impl Into<Option<Terms>>, now: impl Into<Option<Terms>>, sentence: &str) {
        let (was, now) = (was.into(), now.into());
        assert_eq!(check(was.clone(), now.clone()), (vec![format!("transfer × transfer: {sentence}")], 0));
        assert_eq!(check(now, was), (Vec::new(), 1), "the way back is better");
    }

    #[test]
    fn every_way_of_getting_worse_is_named() {
        worse(
            when(&["same to"]),
            always(&["totalVolume"]),
            "was conditional (same to), now always (totalVolume)",
        );
        worse(None, when(&["same to"]), "was never, now conditional (same to)");
        worse(always(&["a"]), always(&["a", "b"]), "was always (a), now also always (b)");
        worse(
            when(&["same to"]),
            when(&["same caller", "same to"]),
            "was conditional (same to), now also conditional (same caller)",
        );
        let merged = |terms| Terms { mergeable: true, ..terms };
        worse(
            merged(always(&["total"])),
            always(&["total"]),
            "was always (total, mergeable), now always (total)",
        );
        worse(
            when(&["same id and same to"]),
            when(&["same id"]),
            "was conditional (same id and same to), now conditional (same id)",
        );
        worse(
            when(&["same id"]),
            when(&["a slot that is not known"]),
            "was conditional (same id), now conditional (a slot that is not known)",
        );
        worse(None, unknown(&[]), "was never, now unknown");
        worse(
            when(&["same to"]),
            unknown(&["same to"]),
            "was conditional (same to), now unknown (at least same to)",
        );
        assert_eq!(check(Some(when(&["same to"])), Some(when(&["same to"]))), (Vec::new(), 0));
        // A new name is no new conflict.
        assert_eq!(check(Some(when(&["same to"])), Some(when(&["same recipient"]))), (Vec::new(), 0));
        assert_eq!(check(Some(always(&["total"])), Some(always(&["sum"]))), (Vec::new(), 0));
    }

    #[test]
    fn what_is_not_known_is_no_gain() {
        // A call that always conflicted may do so still.
        assert_eq!(check(Some(always(&["total"])), Some(unknown(&["same to"]))), (Vec::new(), 0));
        let sentence = "transfer × transfer: was unknown (at least same to), now always (total)";
        let found = check(Some(unknown(&["same to"])), Some(always(&["total"])));
        assert_eq!(found, (vec![sentence.to_owned()], 0));
        // A budget that says nothing of a function that was not analysed in full promises nothing.
        let open = |terms| {
            let mut budget = budget(&["transfer(address)"], terms);
            let contract = budget.contracts.values_mut().next().expect("there is one");
            contract.functions.values_mut().for_each(|complete| *complete = false);
            budget
        };
        assert_eq!(compare(&open(None), &open(Some(unknown(&[])))).worse, []);
        // What is known now is better than what was not.
        let known = budget(&["transfer(address)"], None);
        assert_eq!(compare(&open(Some(unknown(&[]))), &known).better.len(), 1);
    }

    #[test]
    fn what_is_new_may_conflict_sometimes() {
        let old = budget(&["mint()"], None);
        let found = |terms| compare(&old, &budget(&["mint()", "transfer(address)"], Some(terms))).worse;
        assert_eq!(found(when(&["same to"])), []);
        let sentences: Vec<_> = found(always(&["total"])).iter().map(Change::sentence).collect();
        assert_eq!(sentences, ["transfer × transfer: was not there, now always (total)"]);
        let sentences: Vec<_> = found(unknown(&[])).iter().map(Change::sentence).collect();
        assert_eq!(sentences, ["transfer × transfer: was not there, now unknown"]);
        assert_eq!(compare(&old, &Budget::default()), Comparison::default(), "what is gone is no loss");
    }
}
