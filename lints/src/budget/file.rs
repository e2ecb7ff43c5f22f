//! The text of a budget: `deconflict/budget/1`.
//!
//! In: a budget or a text. Out: the other. Everything is sorted, so that a difference between two versions of the file is
//! a difference between what was agreed to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Budget, ContractBudget, Terms};

const SCHEMA: &str = "deconflict/budget/1";

/// Why a file is no budget.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// It is not what this program writes.
    #[error("{file} is no budget ({message}): write it again with `deconflict budget --write`")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong and where.
        message: String,
    },
    /// A newer version wrote it.
    #[error(
        "{file} has the format `{schema}`, and this version of Deconflict reads `{SCHEMA}`: install a newer one, or write it again with `deconflict budget --write`"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its format.
        schema: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: String,
    contracts: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    contract: String,
    functions: Vec<Function>,
    conflicts: Vec<Pair>,
}

#[derive(Serialize, Deserialize)]
struct Function {
    name: String,
    complete: bool,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    a: String,
    b: String,
    verdict: Verdict,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    conditions: BTreeSet<String>,
    variables: BTreeSet<String>,
    mergeable: bool,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    When,
    Unknown,
    Always,
}

impl Verdict {
    fn of(terms: &Terms) -> Self {
        match terms {
            Terms { always: true, .. } => Self::Always,
            Terms { unknown: true, .. } => Self::Unknown,
            Terms { .. } => Self::When,
        }
    }
}

#[derive(Deserialize)]
struct Heading {
    schema: String,
}

/// Reads the text of a budget; `file` is how messages call it.
///
/// ```
/// use deconflict_lints::budget::{Budget, parse, render};
///
/// let empty = Budget::default();
/// assert_eq!(parse("budget.json", &render(&empty)).unwrap(), empty);
/// assert!(parse("budget.json", "{}").is_err());
/// ```
pub fn parse(file: &str, text: &str) -> Result<Budget, BudgetError> {
    let malformed = |error: serde_json::Error| BudgetError::Malformed {
        file: file.to_owned(),
        message: error.to_string(),
    };
    let Heading { schema } = serde_json::from_str(text).map_err(malformed)?;
    if schema != SCHEMA {
        let file = file.to_owned();
        if schema.starts_with("deconflict/budget/") {
            return Err(BudgetError::Newer { file, schema });
        }
        return Err(BudgetError::Malformed { file, message: format!("its schema is `{schema}`") });
    }
    let document: Document = serde_json::from_str(text).map_err(malformed)?;
    let contracts = document.contracts.into_iter().map(|entry| {
        let functions = entry.functions.into_iter().map(|it| (it.name, it.complete)).collect();
        let conflicts = entry.conflicts.into_iter().map(|pair| {
            let terms = Terms {
                always: pair.verdict == Verdict::Always,
                unknown: pair.verdict == Verdict::Unknown,
                variables: pair.variables,
                conditions: pair.conditions,
                mergeable: pair.mergeable,
            };
            ((pair.a, pair.b), terms)
        });
        (entry.contract, ContractBudget { functions, conflicts: conflicts.collect() })
    });
    Ok(Budget { contracts: contracts.collect::<BTreeMap<_, _>>() })
}

/// The text of a budget, with a line break at its end.
pub fn render(budget: &Budget) -> String {
    let contracts = budget.contracts.iter().map(|(contract, budget)| Entry {
        contract: contract.clone(),
        functions: budget
            .functions
            .iter()
            .map(|(name, &complete)| Function { name: name.clone(), complete })
            .collect(),
        conflicts: budget
            .conflicts
            .iter()
            .map(|((a, b), terms)| Pair {
                a: a.clone(),
                b: b.clone(),
                verdict: Verdict::of(terms),
                conditions: terms.conditions.clone(),
                variables: terms.variables.clone(),
                mergeable: terms.mergeable,
            })
            .collect(),
    });
    let document = Document { schema: SCHEMA.to_owned(), contracts: contracts.collect() };
    let mut text =
        serde_json::to_string_pretty(&document).expect("the document holds strings and flags only");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let terms = |always, unknown| Terms {
            always,
            unknown,
            variables: BTreeSet::from(["total".to_owned()]),
            conditions: BTreeSet::from(["same to".to_owned()]),
            mergeable: false,
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let contract = ContractBudget {
            functions: BTreeMap::from([("f()".to_owned(), true), ("g()".to_owned(), false)]),
            conflicts: BTreeMap::from([
                (pair("f()", "f()"), terms(true, false)),
                (pair("f()", "g()"), terms(false, false)),
                (pair("g()", "g()"), terms(false, true)),
            ]),
        };
        let budget = Budget { contracts: BTreeMap::from([("src/A.sol:A".to_owned(), contract)]) };
        assert_eq!(parse("budget.json", &render(&budget)), Ok(budget));
    }

    #[test]
    fn what_is_no_budget_is_told() {
        let wrong = |text: &str| parse("budget.json", text).expect_err(text).to_string();
        assert!(wrong("{").starts_with("budget.json is no budget"));
        assert!(wrong("{\"schema\": \"deconflict/budget/9\"}").contains("install a newer one"));
        assert!(wrong("{\"schema\": \"deconflict/baseline/1\"}").contains("its schema is"));
        let verdict = "{\"schema\": \"deconflict/budget/1\", \"contracts\": [{\"contract\": \"A\", \"functions\": [],
            \"conflicts\": [{\"a\": \"f\", \"b\": \"f\", \"verdict\": \"never\", \"variables\": [], \"mergeable\": true}]}]}";
        assert!(wrong(verdict).contains("unknown variant `never`"));
    }
}
