//! ## What it does
//!
//! Finds a flag that lets a function succeed once in the life of the contract.
//!
//! ## Why it serialises
//!
//! All calls of that function meet in the flag, and all but one fail; functions that ask whether it is set wait for that
//! one.
//!
//! ## Example
//!
//! ```solidity
//! function open() external {
//!     require(!opened);
//!     opened = true;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Do in the constructor what happens once, or let it follow from the time.
//!
//! ```solidity
//! uint256 private immutable opensAt;
//!
//! function opened() public view returns (bool) {
//!     return block.timestamp >= opensAt;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Nearly always: it happens once, which is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! A contract that is set up through a proxy cannot do without.

use deconflict_analyzer::{Condition, Effect, Escapes, ExprId};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G407",
    name: "once-flag",
    group: Group::Pedantic,
    summary: "a flag that the first call sets, and none after it",
    source: include_str!("once_flag.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let once = view.everyone().filter(|touch| {
        touch.access.slot.is_fixed() && touch.write().is_some_and(|(value, _)| sets_once(view, touch, value))
    });
    let mut found = fields(once);
    // What any other call takes back is no flag that is set for good.
    found.retain(|field| {
        let mut writes = view.everyone().filter(|touch| touch.is_write() && touch.touches(field));
        view.all_known
            && writes.all(|touch| touch.write().is_some_and(|(value, _)| sets_once(view, &touch, value)))
    });
    let report = |field: &Field| {
        let spots = view.everyone().filter(|touch| touch.touches(field)).map(|touch| Spot::of(&touch));
        let subject = Subject { view, field: Some(field.clone()), spots: spots.collect() };
        let (variable, writers) = (subject.variable(), subject.writers());
        let story = Story {
            message: format!("a call to {writers} succeeds once, which `{variable}` remembers"),
            label: format!("`{variable}` is set for good"),
            help: "do in the constructor what happens once, or let it follow from the time".to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        };
        subject.finding(rule, vec![field.clone()], story)
    };
    found.iter().filter_map(report).collect()
}

/// Whether the call only succeeds while the flag is not set, and sets it.
fn sets_once(view: &ContractView<'_>, touch: &Touch<'_>, value: ExprId) -> bool {
    let field = touch.field();
    let circumstance = &touch.access.circumstance;
    let constant = view.analysis.expressions.constant(value);
    let unset = |condition: &Condition| {
        let loads = view.loads(condition.expression);
        !condition.holds && !loads.is_empty() && loads.iter().all(|load| load.overlaps(&field))
    };
    let decides = |other: Touch<'_>| match other.access.effect {
        Effect::Read { escapes, .. } => {
            other.function == touch.function && other.touches(&field) && escapes.intersects(Escapes::REQUIRE)
        }
        Effect::Write { .. } => false,
    };
    let summary = &view.analysis.summaries[touch.function];
    constant.is_some_and(|it| !it.is_zero())
        && ContractView::is_unconditional(circumstance)
        && circumstance.when.iter().chain(&circumstance.requires).chain(&summary.requires).any(unset)
        && view.everyone().any(decides)
}
