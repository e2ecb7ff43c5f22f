//! ## What it does
//!
//! Finds variables that the compiler packed into one slot although different functions write them.
//!
//! ## Why it serialises
//!
//! Storage is read and written in words of 32 bytes. To change its few bytes, each function has to load the word and
//! store it back with the other variable's bytes in it, so calls that have nothing to do with one another conflict.
//!
//! ## Example
//!
//! ```solidity
//! uint128 public latestBid;
//! uint128 public latestAsk;
//!
//! function postBid(uint128 price) external { latestBid = price; }
//! function postAsk(uint128 price) external { latestAsk = price; }
//! ```
//!
//! ## Rewrite
//!
//! Give variables with different writers slots of their own: widen them, or declare something else between them.
//! Whoever reads both pays one more load (2,100 gas when cold).
//!
//! ```solidity
//! uint256 public latestBid;
//! uint256 public latestAsk;
//! ```
//!
//! ## When to ignore
//!
//! The variables are nearly always used in one call, so that packing saves more than it costs.
//!
//! ## Known gaps
//!
//! Members of structs in mappings are not reported: only calls with one key meet there.
//! A variable that users only read beside one that they write is not reported either.

use std::collections::BTreeSet;

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject, enumerate},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};
use deconflict_analyzer::Slot;

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "P301",
    name: "false-sharing",
    group: Group::Default,
    summary: "variables of different writers packed into one slot",
    source: include_str!("false_sharing.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let mut writes = view.writes();
    writes.retain(|touch| {
        !touch.is_net_zero() && !view.checks_caller(touch.function) && view.is_shared(&touch.access.slot)
    });
    let slots: BTreeSet<&Slot> = writes.iter().map(|touch| &touch.access.slot).collect();
    slots.into_iter().filter_map(|slot| check_slot(rule, view, &writes, slot)).collect()
}

fn check_slot(rule: &Rule, view: &ContractView<'_>, writes: &[Touch<'_>], slot: &Slot) -> Option<Finding> {
    let all = fields(writes.iter().copied().filter(|touch| touch.access.slot == *slot));
    let writers = |field: &Field| -> BTreeSet<usize> {
        writes.iter().filter(|touch| touch.field().overlaps(field)).map(|touch| touch.function).collect()
    };
    let apart = |a: &Field, b: &Field| {
        let (a, b) = (writers(a), writers(b));
        !a.is_subset(&b) && !b.is_subset(&a)
    };
    let shared: Vec<Field> = all.iter().filter(|a| all.iter().any(|b| apart(a, b))).cloned().collect();
    if shared.len() < 2 {
        return None;
    }
    let mut subject = Subject { view, field: Some(shared[0].clone()), spots: Vec::new() };
    let mut names = Vec::new();
    for field in &shared {
        let of_field = Subject::storage(view, field);
        let name = of_field.variable();
        for touch in view.touching(field).iter().filter(|touch| touch.is_write()) {
            let mut spot = crate::finding::Spot::of(touch);
            spot.does = format!("writes `{name}`, in the same slot");
            subject.spots.push(spot);
        }
        names.push(format!("`{name}`"));
    }
    let functions = subject.writers();
    let first = names[0].clone();
    let story = Story {
        message: format!("{} share one slot although different functions write them: {functions}", enumerate(names)),
        label: format!("stores the whole word to change {first}"),
        help: "give variables with different writers slots of their own: widen them to 32 bytes or declare something else between them; whoever reads both pays one more load".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, shared, story)
}
