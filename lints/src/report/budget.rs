//! Reports of `deconflict budget --check`, for people, for a pull request and for programs.
//!
//! In: what differs from what was agreed to. Out: text. The structs here are the format of the JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::budget::{Change, Comparison};

/// One sentence a pair, then a line that counts them.
pub fn human(comparison: &Comparison) -> String {
    let mut text = String::new();
    for change in &comparison.worse {
        let _ = writeln!(text, "error: {}: {}", change.contract_name(), change.sentence());
    }
    for change in &comparison.better {
        let _ = writeln!(text, "better: {}: {}", change.contract_name(), change.sentence());
    }
    let _ = writeln!(text, "{}", summary(comparison));
    text
}

/// A comment on a pull request.
pub fn markdown(comparison: &Comparison) -> String {
    let mut text = format!("### Deconflict budget: {}\n", summary(comparison));
    if comparison.worse.is_empty() && comparison.better.is_empty() {
        return text;
    }
    text.push_str("\n| | Contract | Functions | Was | Now |\n| --- | --- | --- | --- | --- |\n");
    for (mark, changes) in [("worse", &comparison.worse), ("better", &comparison.better)] {
        for change in changes {
            let cell = |text: &str| text.replace('|', "\\|");
            let pair = format!("`{}` × `{}`", cell(&change.a), cell(&change.b));
            let (name, was, now) = (cell(change.contract_name()), cell(&change.was), cell(&change.now));
            let _ = writeln!(text, "| {mark} | {name} | {pair} | {was} | {now} |");
        }
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    worse: Vec<Entry<'a>>,
    better: Vec<Entry<'a>>,
    pairs: usize,
}

#[derive(Serialize)]
struct Entry<'a> {
    contract: &'a str,
    a: &'a str,
    b: &'a str,
    was: &'a str,
    now: &'a str,
}

/// For programs: `deconflict/budget-check/1`.
pub fn json(comparison: &Comparison) -> String {
    let document = Document {
        schema: "deconflict/budget-check/1",
        worse: entries(&comparison.worse),
        better: entries(&comparison.better),
        pairs: comparison.pairs,
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("the document holds strings and numbers only");
    text.push('\n');
    text
}

fn entries(changes: &[Change]) -> Vec<Entry<'_>> {
    let changes = changes.iter();
    changes.map(|Change { contract, a, b, was, now }| Entry { contract, a, b, was, now }).collect()
}

fn summary(comparison: &Comparison) -> String {
    let pairs =
        if comparison.pairs == 1 { "1 pair".to_owned() } else { format!("{} pairs", comparison.pairs) };
    match (comparison.worse.len(), comparison.better.len()) {
        (0, 0) => format!("{pairs} of functions keep to the budget"),
        (0, better) => {
            format!(
                "{better} of {pairs} of functions conflict less than the budget allows: `deconflict budget --write` holds them to it"
            )
        }
        (worse, _) => format!("{worse} of {pairs} of functions conflict more than the budget allows"),
    }
}
