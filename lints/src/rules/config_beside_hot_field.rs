//! ## What it does
//!
//! Finds a variable that users only read, such as an owner, a fee or a flag, in one slot with another that user
//! functions write.
//!
//! ## Why it serialises
//!
//! A read of the setting reads the whole word. Functions that only need the setting conflict with every call that
//! writes the other variable, although the setting never changes.
//!
//! ## Example
//!
//! ```solidity
//! uint64 public feeBps;
//! uint192 public sold;
//!
//! function buy() external payable { sold += 1; }
//! function quote(uint256 amount) external {
//!     lastQuote[msg.sender] = amount * feeBps / 10_000;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Give the setting a slot of its own, away from what users write, or make it `immutable`. Whoever needs both pays
//! one more load (2,100 gas when cold).
//!
//! ```solidity
//! uint256 public feeBps;
//! uint256 public sold;
//! ```
//!
//! ## When to ignore
//!
//! All functions that read the setting write the other variable as well.
//!
//! ## Known gaps
//!
//! A setting that only functions read that write the other variable as well is not reported: moving it would not
//! help them.

use std::collections::BTreeSet;

use deconflict_analyzer::{Effect, ExprId};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "P302",
    name: "config-beside-hot-field",
    group: Group::Pedantic,
    summary: "a setting packed into one slot with a variable that users write",
    source: include_str!("config_beside_hot_field.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    // What is not known in full may change any setting.
    if !view.all_known {
        return Vec::new();
    }
    let hot = view.shared_fields(|_| true);
    let written = fields(view.writes());
    let mut found: Vec<Finding> = Vec::new();
    let mut seen: BTreeSet<Field> = BTreeSet::new();
    for (function, _) in view.users() {
        for setting in used(view, function) {
            let packed = hot.iter().find(|field| field.slot == setting.slot && !field.overlaps(&setting));
            let Some(packed) = packed.filter(|_| !written.iter().any(|field| field.overlaps(&setting)))
            else {
                continue;
            };
            let writes_too =
                view.touching(packed).iter().any(|touch| touch.is_write() && touch.function == function);
            if !writes_too && seen.insert(setting.clone()) {
                found.extend(report(rule, view, &setting, packed));
            }
        }
    }
    found
}

/// The bytes of storage that a function needs: for what it stores, requires, calls or names.
fn used(view: &ContractView<'_>, function: usize) -> BTreeSet<Field> {
    let summary = &view.analysis.summaries[function];
    let mut words: Vec<ExprId> =
        view.conditions(function).iter().map(|condition| condition.expression).collect();
    for access in &summary.accesses {
        words.extend(access.slot.keys());
        if let Effect::Write { value, .. } = access.effect {
            words.push(value);
        }
    }
    for call in &summary.calls {
        words.extend(call.arguments.iter().copied().chain([call.target]).chain(call.value));
    }
    words.extend(&summary.returned);
    words.into_iter().flat_map(|word| view.loads(word)).collect()
}

fn report(rule: &Rule, view: &ContractView<'_>, setting: &Field, hot: &Field) -> Option<Finding> {
    let of_setting = Subject::storage(view, setting);
    let name = of_setting.variable();
    let readers: BTreeSet<usize> = of_setting.spots.iter().map(|spot| spot.function).collect();
    let mut subject = Subject::storage(view, hot);
    let other = subject.variable();
    subject.spots.retain(|spot| spot.rank.is_some());
    for spot in &mut subject.spots {
        spot.does = format!("writes `{other}`");
    }
    let writers = subject.writers();
    let mut reads = of_setting.spots;
    reads.retain(|spot| readers.contains(&spot.function) && spot.rank.is_none());
    for mut spot in reads {
        spot.does = format!("reads `{name}`");
        subject.spots.push(Spot { rank: None, ..spot });
    }
    let readers = subject.functions(|spot| spot.rank.is_none());
    subject.field = Some(setting.clone());
    let story = Story {
        message: format!(
            "`{name}` never changes here, but shares a slot with `{other}`: calls to {readers} wait for calls to {writers}"
        ),
        label: format!("stores the whole word, with `{name}` in it"),
        help: format!("give `{name}` a slot away from what users write, or make it `immutable`"),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![setting.clone()], story)
}
