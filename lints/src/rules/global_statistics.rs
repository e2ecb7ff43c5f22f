//! ## What it does
//!
//! Finds a function that adds to three or more variables which nothing on chain needs but their sums.
//!
//! ## Why it serialises
//!
//! One total would be enough to run all calls one after the other. Here there are several, so that no single
//! rewrite helps: they belong off chain together.
//!
//! ## Example
//!
//! ```solidity
//! function play(uint256 stake) external payable {
//!     games += 1;
//!     volume += stake;
//!     fees += stake / 100;
//!     stakeOf[msg.sender] += stake;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Emit one event that indexers add up, or keep the statistics in one record for each shard of callers.
//!
//! ```solidity
//! function play(uint256 stake) external payable {
//!     stakeOf[msg.sender] += stake;
//!     emit Played(msg.sender, stake);
//! }
//! ```
//!
//! ## When to ignore
//!
//! The engine merges commutative updates: all of these commute.
//!
//! ## Known gaps
//!
//! Totals that are read by other users are reported one by one.

use std::collections::BTreeSet;

use deconflict_analyzer::WriteForm;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject, enumerate},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C110",
    name: "global-statistics",
    group: Group::Default,
    summary: "three or more totals that one call keeps for everybody",
    source: include_str!("global_statistics.rs"),
    check,
};

const ENOUGH: usize = 3;

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let sums = view.shared_fields(|touch| matches!(touch.write(), Some((_, WriteForm::Delta { .. }))));
    let only_added = |field: &&Field| {
        view.all_known
            && view.touching(field).iter().all(|touch| match touch.write() {
                Some((_, form)) => matches!(form, WriteForm::Delta { .. }),
                None => view
                    .touching(field)
                    .iter()
                    .any(|write| write.function == touch.function && write.is_write()),
            })
    };
    let sums: Vec<&Field> = sums.iter().filter(only_added).collect();
    let mut seen: BTreeSet<Field> = BTreeSet::new();
    let mut found = Vec::new();
    for (function, _) in view.users() {
        let own =
            |field: &&&Field| view.touching(field).iter().any(|it| it.function == function && it.is_write());
        let fields: Vec<Field> = sums.iter().filter(own).map(|field| (*field).clone()).collect();
        if fields.len() >= ENOUGH && fields.iter().all(|field| seen.insert(field.clone())) {
            found.extend(report(rule, view, &fields));
        }
    }
    found
}

fn report(rule: &Rule, view: &ContractView<'_>, fields: &[Field]) -> Option<Finding> {
    let mut subject = Subject::storage(view, fields.first()?);
    subject.spots = Vec::new();
    let mut names = Vec::new();
    for field in fields {
        let name = Subject::storage(view, field).variable();
        for touch in view.touching(field).iter().filter(|touch| touch.is_write()) {
            let mut spot = Spot::of(touch);
            spot.does = format!("adds to `{name}`");
            subject.spots.push(spot);
        }
        names.push(format!("`{name}`"));
    }
    let (count, writers) = (names.len(), subject.writers());
    let story = Story {
        message: format!("{writers:#} keeps {count} totals for everybody: {}", enumerate(names)),
        label: "one of the totals that all calls share".to_owned(),
        help: "emit one event that indexers add up, or keep the totals in a record for each shard of callers"
            .to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, fields.to_vec(), story)
}
