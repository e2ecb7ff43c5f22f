//! ## What it does
//!
//! Finds a number that a keeper, or anyone, brings in by a call, and that user functions multiply or divide by.
//!
//! ## Why it serialises
//!
//! A push writes the slot that every user of the price reads. In a block with a push, all users wait for it or run
//! before it; with a push in every block there is no block without.
//!
//! ## Example
//!
//! ```solidity
//! function push(uint256 newPrice) external {
//!     require(isKeeper[msg.sender]);
//!     price = newPrice;
//!     updatedAt = block.timestamp;
//! }
//!
//! function borrow(uint256 amount) external {
//!     require(collateralOf[msg.sender] * price / 1e18 >= amount * 2);
//!     debtOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Let the user bring a signed price along in calldata, or fix one price for each epoch under a key of its own, so
//! that a push writes what the users of the running epoch do not read.
//!
//! ```solidity
//! mapping(uint256 epoch => uint256) public priceOf;
//!
//! function push(uint256 newPrice) external {
//!     require(isKeeper[msg.sender]);
//!     priceOf[block.number / 32 + 1] = newPrice;
//! }
//!
//! function borrow(uint256 amount) external {
//!     uint256 price = priceOf[block.number / 32];
//!     require(collateralOf[msg.sender] * price / 1e18 >= amount * 2);
//!     debtOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Prices are pushed rarely, or at the top of a block, before its users.
//!
//! ## Known gaps
//!
//! A rate that only the owner sets is taken for a setting; whether one account is an owner or a feeder of prices is told
//! by the name of its variable.
//! A price in another contract is a call, and not looked at here.

use std::collections::BTreeSet;

use deconflict_analyzer::{Effect, Environment, ExprId, Names, Node, Permission, Sources, WriteForm};

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields, is_set_up},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "A606",
    name: "oracle-push-and-read",
    group: Group::Pedantic,
    summary: "a price that a keeper stores and user functions calculate with",
    source: include_str!("oracle_push_and_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let pushes: Vec<Touch<'_>> = view.everyone().filter(|touch| is_push(view, touch)).collect();
    let pushed = fields(pushes.iter().copied());
    pushed.iter().filter_map(|field| report(rule, view, &pushes, field)).collect()
}

/// Whether a call stores a number that it brings along in a slot that all share, as a keeper does and an owner does not.
fn is_push(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, WriteForm::Plain)) = touch.write() else { return false };
    let brought = Sources::CALLDATA.with(Sources::RETURN_DATA);
    if !view.analysis.expressions.sources(value).intersects(brought) || !view.is_shared(&touch.access.slot) {
        return false;
    }
    if is_set_up(&view.names.signature(view.analysis.summaries[touch.function].entry)) {
        return false;
    }
    match &view.analysis.summaries[touch.function].permission {
        Permission::Anyone => {
            view.users().any(|(function, _)| function == touch.function)
                && !view.checks_caller(touch.function)
        }
        Permission::Restricted(any) => {
            is_stamped(view, touch.function)
                || any.iter().any(|condition| {
                    is_keeper(view, condition.expression)
                        || is_named_keeper(view, condition.expression)
                        || (is_listed_for_good(view, condition.expression) && decides(view, &touch.field()))
                })
        }
    }
}

/// Whether the call notes the time as well: what is stamped is renewed. A stamp that users set too is none of the number,
/// but says up to when something has been paid by it.
fn is_stamped(view: &ContractView<'_>, function: usize) -> bool {
    let by_users = view.writes();
    let mut own = view.everyone().filter(|touch| touch.function == function);
    own.any(|touch| match touch.access.effect {
        Effect::Write { value, .. } => {
            view.has_time(value)
                && view.all_known
                && !by_users.iter().any(|it| it.function != function && it.touches(&touch.field()))
        }
        Effect::Read { .. } => false,
    })
}

/// Whether the caller has to hold a permission that another administrator gives, and that is no owner's.
fn is_keeper(view: &ContractView<'_>, check: ExprId) -> bool {
    let holders = view.loads(check);
    view.everyone().any(|touch| {
        let assigned = touch.is_write()
            && holders.iter().any(|holder| {
                touch.access.slot.root == holder.slot.root
                    && touch.access.slot.path.len() == holder.slot.path.len()
            });
        let Some(by) = needed(view, touch.function) else { return false };
        // The caller itself, or the record that the caller is held against.
        let accepts = touch.write().is_some_and(|(value, _)| {
            matches!(view.analysis.expressions.node(value), Node::Environment(Environment::Caller))
                || view.loaded(value).is_some_and(|slot| by.iter().any(|holder| holder.slot == slot))
        });
        assigned
            && by.is_disjoint(&holders)
            // Who accepts a permission is appointed by who offers it.
            && (!accepts
                || view.everyone().any(|offer| {
                    offer.is_write()
                        && offer.function != touch.function
                        && by.iter().any(|field| offer.touches(field))
                        && needed(view, offer.function).is_some_and(|by| by.is_disjoint(&holders))
                }))
    })
}

/// The permissions that the caller of a function has to hold one of, if it asks who calls.
fn needed(view: &ContractView<'_>, function: usize) -> Option<BTreeSet<Field>> {
    let callers = Sources::CALLER.with(Sources::TRANSACTION);
    match &view.analysis.summaries[function].permission {
        Permission::Restricted(any)
            if any.iter().any(|by| view.analysis.expressions.sources(by.expression).intersects(callers)) =>
        {
            Some(any.iter().flat_map(|by| view.loads(by.expression)).collect())
        }
        Permission::Restricted(_) | Permission::Anyone => None,
    }
}

/// Whether the caller has to hold one permission, and its name says that it feeds numbers: the code is that of an owner.
fn is_named_keeper(view: &ContractView<'_>, check: ExprId) -> bool {
    const KEEPER_NAMES: &[&str] =
        &["oracle", "feed", "keeper", "updater", "reporter", "relay", "pusher", "publisher", "poster", "bot"];
    let expressions = &view.analysis.expressions;
    let holders = view.loads(check).into_iter().filter(|holder| holder.slot.is_fixed());
    let stored =
        holders.filter_map(|holder| Some(view.names.variable(&holder.slot, holder.bytes)?.label.clone()));
    let fixed = view.parts(check).into_iter().filter_map(|part| match expressions.node(part) {
        Node::Immutable(id) => view.names.immutable(id),
        _ => None,
    });
    let mut names = stored.chain(fixed).map(|name| name.to_lowercase());
    names.any(|name| KEEPER_NAMES.iter().any(|part| name.contains(part)))
}

/// Whether the caller has to be on a list that was settled when the contract was made: keepers, where an owner is one.
fn is_listed_for_good(view: &ContractView<'_>, check: ExprId) -> bool {
    let holders = view.loads(check);
    let is_list = !holders.is_empty() && holders.iter().all(|holder| holder.slot.keys().count() == 1);
    is_list
        && view.all_known
        && !view.everyone().any(|touch| {
            touch.is_write() && holders.iter().any(|holder| touch.access.slot.root == holder.slot.root)
        })
}

/// Whether users pass or fail by a product with the number, as by a price: what only scales amounts may be a fee.
fn decides(view: &ContractView<'_>, price: &Field) -> bool {
    view.users().any(|(function, _)| {
        let compared = view.comparisons(function).into_iter().filter(|it| !it.is_equality());
        compared.flat_map(|it| [it.a, it.b]).any(|side| has_product_with(view, side, price))
    })
}

/// Whether user calls of the function store, send, or are decided by, a product with the number.
fn calculates_with(view: &ContractView<'_>, function: usize, price: &Field) -> bool {
    let summary = &view.analysis.summaries[function];
    let stored = summary.accesses.iter().filter_map(|access| match access.effect {
        Effect::Write { value, .. } if !access.circumstance.reverts => Some(value),
        _ => None,
    });
    let sent = summary.calls.iter().flat_map(|call| call.arguments.iter().copied().chain(call.value));
    let conditions = view.conditions(function);
    let required = conditions.iter().map(|condition| condition.expression);
    let words: BTreeSet<ExprId> = stored.chain(sent).chain(required).collect();
    words.into_iter().any(|word| has_product_with(view, word, price))
}

fn has_product_with(view: &ContractView<'_>, word: ExprId, price: &Field) -> bool {
    view.products(word).iter().any(|&(a, b)| view.is_made_from(a, price) || view.is_made_from(b, price))
}

fn report(rule: &Rule, view: &ContractView<'_>, pushes: &[Touch<'_>], price: &Field) -> Option<Finding> {
    let pushes: Vec<&Touch<'_>> = pushes.iter().filter(|touch| touch.touches(price)).collect();
    let pushers: BTreeSet<usize> = pushes.iter().map(|touch| touch.function).collect();
    let changed =
        view.touching(price).iter().any(|touch| touch.is_write() && !pushers.contains(&touch.function));
    let readers: BTreeSet<usize> = view
        .users()
        .map(|(function, _)| function)
        .filter(|function| !pushers.contains(function) && calculates_with(view, *function, price))
        .collect();
    if readers.is_empty() || changed {
        return None;
    }
    let mut subject = Subject::storage(view, price);
    subject.spots.retain(|spot| readers.contains(&spot.function));
    let users = subject.functions(|_| true);
    let writes: Vec<Spot<'_>> = pushes.iter().map(|touch| Spot::of(touch)).collect();
    subject.spots.extend(writes);
    let (variable, keepers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{keepers:#} writes `{variable}`, with which calls to {users} calculate"),
        label: format!("all users of `{variable}` in the block wait for this"),
        help: "let users bring a signed price along in calldata, or store the price of each epoch under a key of its own".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    };
    let claims = std::iter::once(price.clone()).chain(notes(view, &pushers, price)).collect();
    subject.finding(rule, claims, story)
}

/// What pushes note beside the price, and nobody but they look at: when it was, and by whom.
fn notes(view: &ContractView<'_>, pushers: &BTreeSet<usize>, price: &Field) -> Vec<Field> {
    let mut found = view.shared_fields(|touch| {
        pushers.contains(&touch.function) && matches!(touch.write(), Some((_, WriteForm::Plain)))
    });
    found.retain(|field| {
        !field.overlaps(price) && view.touching(field).iter().all(|touch| pushers.contains(&touch.function))
    });
    found
}
