//! ## What it does
//!
//! Finds a queue: elements are stored under a running number, the tail, and taken out under another, the head.
//!
//! ## Why it serialises
//!
//! The tail orders all that append, the head orders all that take out: producers conflict with producers and
//! consumers with consumers. An element's slot depends on all calls before, so that merging the counters cannot
//! help.
//!
//! ## Example
//!
//! ```solidity
//! function request(uint256 amount) external {
//!     queue[tail++] = Request(msg.sender, amount);
//! }
//!
//! function process() external {
//!     Request memory next = queue[head++];
//!     pay(next.account, next.amount);
//! }
//! ```
//!
//! ## Rewrite
//!
//! Give each user a lane of their own and drain lanes in batches, or key requests by sender and block and let the
//! consumer name what it takes.
//!
//! ```solidity
//! mapping(address account => mapping(uint256 height => uint256))
//!     public requested;
//!
//! function request(uint256 amount) external {
//!     requested[msg.sender][block.number] += amount;
//! }
//!
//! function process(address account, uint256 height) external {
//!     pay(account, requested[account][height]);
//!     delete requested[account][height];
//! }
//! ```
//!
//! ## When to ignore
//!
//! The order of requests is the point, as in a queue of withdrawals that are served first come, first served.
//!
//! ## Known gaps
//!
//! A queue whose consumer is another contract that names elements by index is reported as `sequential-id` or
//! `array-push`.

use alloy_primitives::U256;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, last_key},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "E505",
    name: "fifo-queue",
    group: Group::Default,
    summary: "a queue that every call appends to at one end or takes from at the other",
    source: include_str!("fifo_queue.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let tails = view.shared_fields(|touch| {
        is_step(view, touch)
            && elements(view, touch.function, &touch.field()).iter().any(|element| fills(view, element))
    });
    tails.iter().filter_map(|tail| report(rule, view, tail, &head_of(view, tail)?)).collect()
}

/// Whether it counts up by a constant.
fn is_step(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    touch.sum().is_some_and(|(amount, subtract)| !subtract && view.is_constant(amount))
}

/// Whether it stores something other than the zero that a removal leaves.
fn fills(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    touch.write().is_some_and(|(value, _)| view.analysis.expressions.constant(value) != Some(U256::ZERO))
}

/// The accesses of a function to elements whose number is made from `counter`.
fn elements<'a>(view: &ContractView<'a>, function: usize, counter: &Field) -> Vec<Touch<'a>> {
    let own = view.everyone().filter(|touch| touch.function == function);
    own.filter(|touch| last_key(&touch.access.slot).is_some_and(|(key, _)| view.is_made_from(key, counter)))
        .collect()
}

/// The counter under which the elements that `tail` numbers are taken out.
fn head_of(view: &ContractView<'_>, tail: &Field) -> Option<Field> {
    let appended: Vec<_> = (view.touching(tail).iter())
        .filter(|touch| touch.is_write())
        .flat_map(|touch| elements(view, touch.function, tail))
        .filter(Touch::is_write)
        .map(|touch| touch.access.slot.root)
        .collect();
    let mut heads = view.everyone().filter(|touch| touch.is_write() && is_step(view, touch));
    heads
        .find(|head| {
            let field = head.field();
            !field.overlaps(tail)
                && head.access.slot.is_fixed()
                && elements(view, head.function, &field)
                    .iter()
                    .any(|element| appended.contains(&element.access.slot.root))
        })
        .map(|head| head.field())
}

fn report(rule: &Rule, view: &ContractView<'_>, tail: &Field, head: &Field) -> Option<Finding> {
    let mut subject = Subject::storage(view, tail);
    let (producers, name) = (subject.writers(), Subject::storage(view, head).variable());
    for touch in view.touching(head).iter().filter(|touch| touch.is_write()) {
        let mut spot = Spot::of(touch);
        spot.does = format!("counts up the head, `{name}`");
        spot.rank = None;
        subject.spots.push(spot);
    }
    let variable = subject.list();
    let story = Story {
        message: format!("{producers:#} appends to the same queue, whose tail is `{variable}`"),
        label: format!("takes the next place from `{variable}`"),
        help: "give each user a lane of their own and drain lanes in batches, or key requests by sender and block".to_owned(),
        notes: vec![format!("the queue is taken from at `{name}`, which orders those calls in the same way")],
        confidence: Confidence::Proved,
    };
    subject.finding(rule, vec![tail.clone(), head.clone()], story)
}
