//! ## What it does
//!
//! Finds storage on which two calls of users always meet, where no other rule knows what for.
//!
//! ## Why it serialises
//!
//! The conflict matrix says that the two calls write the same bytes, or that one writes what the other reads, whoever sends
//! them and whatever they bring. One of them has to wait for the other.
//!
//! ## Example
//!
//! ```solidity
//! function buy() external {
//!     require(!soldOut);
//!     boughtBy[msg.sender] += 1;
//!     if (lot[msg.sender] == lastLot) soldOut = true;
//! }
//! ```
//!
//! ## Rewrite
//!
//! There is none that fits all: the help says what the summary lets on.
//! What is only added to can be kept in parts and added up where it is read; what nobody needs on chain is an event; what
//! follows from the time can be computed; and what each user decides can stand in the record of that user.
//!
//! ```solidity
//! function buy() external {
//!     require(block.timestamp < closesAt);
//!     boughtBy[msg.sender] += 1;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The calls are rare, or their order is what the contract is about.
//!
//! ## Known gaps
//!
//! A function that does nothing but replace settings by what it is told is taken for an administrator's, wherever the code
//! asks who calls.
//! Calls that meet under a condition, such as the same key, are not reported: `deconflict inspect` lists them.

use std::collections::{BTreeMap, BTreeSet};

use deconflict_analyzer::{Alias, ByteRange, Effect, Escapes, Slot, Sources, Verdict};

use super::shared_text::is_text;
use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject, enumerate},
    rule::{Finding, Group, Rule},
    settings::Profile,
    view::{ContractView, Field, Touch},
};

/// Pairs of functions, by the indices of their summaries, the lower one first.
type Pairs = BTreeSet<(usize, usize)>;

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C100",
    name: "shared-state",
    group: Group::Default,
    summary: "storage on which calls always meet, for a reason that no other rule knows",
    source: include_str!("shared_state.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    unexplained(rule, view, &[])
}

/// Everything on which calls always meet and that is none of what other rules know.
pub(super) fn unexplained(rule: &Rule, view: &ContractView<'_>, known: &[Field]) -> Vec<Finding> {
    // What the same calls meet on is one finding, however many variables that are.
    let mut groups: BTreeMap<(bool, Pairs), Vec<Field>> = BTreeMap::new();
    for (field, pairs) in contended(view) {
        if known.iter().any(|it| it.overlaps(&field)) {
            continue;
        }
        let touching = meeting(view, &field, &pairs);
        // What only the first call of a block does, or of all times, keeps nobody waiting; what is done for each member of
        // a list is for the rules on lists to tell.
        let is_rare = |touch: &Touch<'_>| {
            view.is_once_per_block(touch)
                || view.is_first_time(touch)
                || view.is_unrolled(touch)
                || touch.access.slot.keys().any(|key| view.is_from_array(key))
        };
        let mut writes = touching.iter().filter(|touch| touch.is_write()).peekable();
        if writes.peek().is_none() || writes.clone().all(is_rare) {
            continue;
        }
        // What is the same for a whole block is changed by the first of its calls alone, unless it keeps the others out.
        let locks =
            || touching.iter().any(|it| view.escapes(it.function, &field).intersects(Escapes::REQUIRE));
        let is_stamp = writes.clone().all(|touch| is_of_block(view, touch));
        if is_stamp && view.settings.profile == Profile::NetChange && !locks() {
            continue;
        }
        // The time of the last call stands beside what is brought up to date by it.
        let is_beside = |function: usize| {
            let mut others = known.iter().flat_map(|it| view.touching(it));
            others.any(|touch| touch.function == function && touch.is_write())
        };
        let is_time =
            writes.clone().all(|touch| touch.write().is_some_and(|(value, _)| view.has_time(value)));
        if is_stamp && is_time && pairs.iter().flat_map(|&(a, b)| [a, b]).all(is_beside) {
            continue;
        }
        let is_sure = writes.any(|touch| touch.access.circumstance.is_of_every_call());
        // A key that is the same in all calls on one branch may be any other on the next.
        // A text that is replaced is a reason to wait for no longer than any other setting is.
        let is_replaced =
            || touching.iter().filter(|touch| touch.is_write()).all(|touch| is_text(view, touch));
        if is_sure || field.slot.keys().next().is_none() && !is_replaced() {
            groups.entry((!is_sure, pairs)).or_default().push(field);
        }
    }
    let groups = groups.into_iter();
    groups.filter_map(|((_, pairs), fields)| report(rule, view, &fields, &pairs)).collect()
}

/// What the functions of these pairs do to a field.
fn meeting<'a>(view: &ContractView<'a>, field: &Field, pairs: &Pairs) -> Vec<Touch<'a>> {
    let takes_part = |function: usize| pairs.iter().any(|&(a, b)| a == function || b == function);
    view.touching(field).into_iter().filter(|touch| takes_part(touch.function)).collect()
}

/// The bytes on which two calls of users always meet, with the pairs of functions that do.
fn contended(view: &ContractView<'_>) -> Vec<(Field, Pairs)> {
    let users: BTreeSet<usize> = view.users().map(|(function, _)| function).collect();
    let users: BTreeSet<usize> =
        users.into_iter().filter(|&function| !view.replaces_settings(function)).collect();
    let mut found: BTreeMap<Slot, Vec<(ByteRange, Pairs)>> = BTreeMap::new();
    // A key that the calls change themselves, or that calls set to what they bring, is another one in each of them.
    let brought = Sources::CALLER.with(Sources::CALLDATA).with(Sources::CALL_VALUE);
    let moves_key = |slot: &Slot, functions: [usize; 2]| {
        let moves = |holder: &Slot| {
            view.analysis.summaries.iter().enumerate().any(|(function, summary)| {
                summary.accesses.iter().filter(|it| it.slot == *holder).any(|it| match it.effect {
                    Effect::Write { value, .. } => {
                        functions.contains(&function)
                            || users.contains(&function)
                                && view.analysis.expressions.sources(value).intersects(brought)
                    }
                    Effect::Read { .. } => false,
                })
            })
        };
        slot.keys().any(|key| view.fixed_loads(key).iter().any(moves))
    };
    for conflict in view.conflicts.iter().filter(|it| it.verdict == Verdict::Always) {
        if !users.contains(&conflict.a) || !users.contains(&conflict.b) {
            continue;
        }
        let always = conflict.causes.iter().filter(|cause| {
            cause.alias == Alias::Always
                && cause.slot_a == cause.slot_b
                // What a list holds is for the rules on lists to tell.
                && view.element(&cause.slot_a).is_none()
                && !moves_key(&cause.slot_a, [conflict.a, conflict.b])
                && view.settings.profile.counts(cause.kind)
        });
        for cause in always {
            let pair = BTreeSet::from([(conflict.a, conflict.b)]);
            let ranges = found.entry(cause.slot_a.clone()).or_default();
            // Bytes that overlap are one place.
            let (mut bytes, mut pairs) = (cause.bytes, pair);
            ranges.retain(|(other, theirs)| {
                let apart = !other.overlaps(bytes);
                if !apart {
                    bytes = ByteRange { from: bytes.from.min(other.from), to: bytes.to.max(other.to) };
                    pairs.extend(theirs);
                }
                apart
            });
            ranges.push((bytes, pairs));
        }
    }
    let all = found.into_iter().flat_map(|(slot, ranges)| {
        ranges.into_iter().map(move |(bytes, pairs)| (Field { slot: slot.clone(), bytes }, pairs))
    });
    all.collect()
}

fn report(rule: &Rule, view: &ContractView<'_>, fields: &[Field], pairs: &Pairs) -> Option<Finding> {
    let (field, rest) = fields.split_first()?;
    let users: BTreeSet<usize> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
    let touching = meeting(view, field, pairs);
    let subject =
        Subject { view, field: Some(field.clone()), spots: touching.iter().map(Spot::of).collect() };
    let variable =
        |field: &Field| Subject { view, field: Some(field.clone()), spots: subject.spots.clone() }.variable();
    let all = enumerate(fields.iter().map(|field| format!("`{}`", variable(field))));
    let label = match rest.len() {
        0 => format!("{all} is the same for all of them"),
        _ => format!("{all} are the same for all of them"),
    };
    let names = |functions: &BTreeSet<usize>| {
        let names: BTreeSet<String> = functions.iter().map(|&function| view.short(function)).collect();
        enumerate(names.iter().map(|name| format!("`{name}`")))
    };
    let every = users.iter().all(|&a| users.iter().all(|&b| pairs.contains(&(a.min(b), a.max(b)))));
    let calls = if every {
        format!("any two calls to {}", names(&users))
    } else {
        format!("calls to {}", names(&users))
    };
    let mut writes = touching.iter().filter(|touch| touch.is_write());
    let is_sure = writes.any(|touch| touch.access.circumstance.is_of_every_call());
    let notes = vec!["no rule knows the pattern; that they meet is what the conflict matrix says".to_owned()];
    let (message, confidence) = if is_sure {
        (format!("{calls} meet on {all}"), Confidence::Proved)
    } else {
        (format!("{calls} meet on {all} when one of them writes it"), Confidence::Likely)
    };
    let story = Story { message, label, help: help(view, field, &touching).to_owned(), notes, confidence };
    subject.finding(rule, fields.to_vec(), story)
}

/// Whether nothing but the code and the block say what is stored.
fn is_of_block(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    touch.write().is_some_and(|(value, _)| {
        let sources = view.analysis.expressions.sources(value);
        sources.is_within(Sources::BLOCK.with(Sources::IMMUTABLE).with(Sources::ADDRESS).with(Sources::CODE))
    })
}

/// What the accesses let on of a way out.
fn help(view: &ContractView<'_>, field: &Field, touching: &[Touch<'_>]) -> &'static str {
    let mut writes = touching.iter().filter(|touch| touch.is_write()).peekable();
    let is_written = writes.peek().is_some();
    if is_written && writes.clone().all(|touch| touch.sum().is_some()) {
        return "keep a part of it for each user or shard, and add the parts up where the sum is read";
    }
    if is_written && writes.clone().all(|touch| is_of_block(view, touch)) {
        return "keep the time in the record of the user, or compute what follows from it where it is needed";
    }
    let shown = Escapes::RETURN.with(Escapes::LOG);
    let is_needed =
        |touch: &Touch<'_>| !touch.is_write() && !view.escapes(touch.function, field).is_within(shown);
    if is_written && !touching.iter().any(is_needed) {
        return "emit an event instead: no call needs what stands there";
    }
    if field.slot.keys().next().is_some() {
        return "a few keys that all calls share are as good as one slot: let the key follow from the user";
    }
    "let each call work on a record of its user, and bring together what all share in a call of its own, once in a while"
}
