//! ## What it does
//!
//! Finds two functions that write different bytes of the same word of a record that the caller names: what the maker
//! writes shares a word with what the taker writes.
//!
//! ## Why it serialises
//!
//! Both write the whole word. Calls for the same record conflict even though neither looks at what the other stores.
//!
//! ## Example
//!
//! ```solidity
//! struct Deal { uint128 byMaker; uint128 byTaker; }
//!
//! function payAsMaker(uint256 id) external payable {
//!     deals[id].byMaker = uint128(msg.value);
//! }
//!
//! function payAsTaker(uint256 id) external payable {
//!     deals[id].byTaker = uint128(msg.value);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Give each role a word of its own.
//!
//! ```solidity
//! struct Deal { uint256 byMaker; uint256 byTaker; }
//! ```
//!
//! ## When to ignore
//!
//! The two rarely call in the same block, and a load more is not worth it: this is why the rule is pedantic.
//!
//! ## Known gaps
//!
//! That the functions are called by different accounts is not shown, only that they are different functions.

use deconflict_analyzer::{ByteRange, Projection, Root, Slot, Sources};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "P303",
    name: "role-split-struct",
    group: Group::Pedantic,
    summary: "two roles that write fields of one word of a record",
    source: include_str!("role_split_struct.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes: Vec<Touch<'_>> =
        view.writes().into_iter().filter(|touch| is_of_record(view, touch)).collect();
    let apart = writes.iter().copied().filter(|touch| {
        writes.iter().any(|other| {
            other.function != touch.function
                && is_same_word(&touch.access.slot, &other.access.slot)
                && !other.access.bytes.overlaps(touch.access.bytes)
                && !together(&writes, touch, other)
        })
    });
    let found: Vec<Touch<'_>> = apart.collect();
    let Some(first) = found.first() else { return Vec::new() };
    let words: Vec<Field> = fields(found.iter().copied());
    let mut spots: Vec<Spot<'_>> = Vec::new();
    for touch in found.iter().filter(|touch| is_same_word(&touch.access.slot, &first.access.slot)) {
        let name = Subject::storage(view, &touch.field()).variable();
        let mut spot = Spot::of(touch);
        spot.does = format!("writes `{name}`");
        spots.push(spot);
    }
    let subject = Subject { view, field: Some(first.field()), spots };
    let writers = subject.writers();
    let story = Story {
        message: format!("{writers} write different fields of one word of a record"),
        label: "stores the whole word to change its own field".to_owned(),
        help: "give each role a word of its own".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, words, story).into_iter().collect()
}

/// Whether it is a part of a word in a record that the caller names and is not.
fn is_of_record(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let slot = &touch.access.slot;
    let chosen = |key| expressions.sources(key).intersects(Sources::CALLDATA);
    let own = |key| expressions.sources(key).intersects(Sources::CALLER);
    matches!(slot.root, Root::Fixed(_))
        && touch.access.bytes != ByteRange::WORD
        && slot.keys().any(chosen)
        && !slot.keys().any(own)
}

/// Whether two functions, each with its own arguments, may name the same word.
fn is_same_word(a: &Slot, b: &Slot) -> bool {
    let step = |pair: (&Projection, &Projection)| match pair {
        (Projection::Offset(a), Projection::Offset(b)) => a == b,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    a.root == b.root && a.path.len() == b.path.len() && a.path.iter().zip(&b.path).all(step)
}

/// Whether one of the two functions writes both fields anyway.
fn together(writes: &[Touch<'_>], a: &Touch<'_>, b: &Touch<'_>) -> bool {
    let both = |function: usize| {
        let covers = |wanted: &Touch<'_>| {
            writes.iter().any(|it| {
                it.function == function
                    && is_same_word(&it.access.slot, &wanted.access.slot)
                    && it.access.bytes.overlaps(wanted.access.bytes)
            })
        };
        covers(a) && covers(b)
    };
    both(a.function) || both(b.function)
}
