//! ## What it does
//!
//! Finds a lock in the same slot as other variables that user functions read or write, as in `slot0.unlocked`.
//!
//! ## Why it serialises
//!
//! To lock, a call stores the whole word. Functions without the lock that only need one of the other variables
//! conflict with every guarded call.
//!
//! ## Example
//!
//! ```solidity
//! struct Slot0 { uint160 price; bool unlocked; }
//! Slot0 public slot0;
//!
//! modifier lock() {
//!     require(slot0.unlocked);
//!     slot0.unlocked = false;
//!     _;
//!     slot0.unlocked = true;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Keep the lock in transient storage, or at least in a slot of its own.
//!
//! ```solidity
//! bool private transient entered;
//!
//! modifier lock() {
//!     require(!entered);
//!     entered = true;
//!     _;
//!     entered = false;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The executor drops writes that change nothing, and the chain has no transient storage.
//!
//! ## Known gaps
//!
//! Variables that only an administrator or a view reads do not count.

use deconflict_analyzer::{ByteRange, NetZero, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "G402",
    name: "guard-in-packed-slot",
    group: Group::Default,
    summary: "a reentrancy guard packed beside variables that users need",
    source: include_str!("guard_in_packed_slot.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let guards = view.writes().into_iter().filter(|touch| {
        matches!(touch.write(), Some((_, WriteForm::NetZero(NetZero::Guard))))
            && view.is_shared(&touch.access.slot)
    });
    let mut found = fields(guards);
    found.retain(|guard| {
        let word = Field { slot: guard.slot.clone(), bytes: ByteRange::WORD };
        let narrow = guard.bytes != ByteRange::WORD;
        narrow
            && (view
                .touching(&word)
                .iter()
                .any(|touch| touch.is_write() && reaches_beyond(touch.access.bytes, guard.bytes))
                || is_read_beside(view, guard))
    });
    found.iter().filter_map(|guard| report(rule, view, guard)).collect()
}

fn report(rule: &Rule, view: &ContractView<'_>, guard: &Field) -> Option<Finding> {
    let word = Field { slot: guard.slot.clone(), bytes: ByteRange::WORD };
    let lasting = view.touching(&word).iter().any(|touch| touch.is_write() && !touch.is_net_zero());
    let subject = Subject::storage(view, guard);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{writers:#} locks `{variable}`, and with it all that is packed beside it"),
        label: "stores the whole word to lock".to_owned(),
        help: "keep the lock in transient storage (`transient`, Solidity 0.8.28), or in a slot of its own"
            .to_owned(),
        // Where calls leave something else in the word, it is written on every engine.
        notes: if lasting { Vec::new() } else { vec![view.settings.profile.of_unchanged("the slot")] },
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![guard.clone()], story)
}

/// Whether what users store elsewhere, send or call, or have to fulfil, is made from other bytes of the word.
fn is_read_beside(view: &ContractView<'_>, guard: &Field) -> bool {
    let is_beside = |load: &Field| {
        load.slot == guard.slot && load.bytes != ByteRange::WORD && !load.bytes.overlaps(guard.bytes)
    };
    let stored = view.writes().into_iter().filter(|touch| touch.access.slot != guard.slot);
    let stored = stored.filter_map(|touch| touch.write().map(|(value, _)| value));
    let asked = view.users().flat_map(|(function, summary)| {
        let sent = summary
            .calls
            .iter()
            .flat_map(|call| call.arguments.iter().copied().chain(call.value).chain([call.target]));
        let conditions = view.conditions(function).into_iter().map(|condition| condition.expression);
        conditions.chain(sent).collect::<Vec<_>>()
    });
    stored.chain(asked).any(|word| view.loads(word).iter().any(is_beside))
}

/// Whether a store changes more of the word than the lock.
fn reaches_beyond(bytes: ByteRange, lock: ByteRange) -> bool {
    bytes.from < lock.from || bytes.to > lock.to
}
