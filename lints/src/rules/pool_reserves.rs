//! ## What it does
//!
//! Finds a pool: at least two quantities in fixed slots whose new values are computed from both of them by
//! multiplication and division, as in a constant-product exchange; or a single one that moves by a quotient of itself
//! and what the call brings, as in a bonding curve.
//!
//! ## Why it serialises
//!
//! The price that a call gets is made of what the call before it left behind. This is no sum that could be merged:
//! calls on one pool run in order, on every executor.
//!
//! ## Example
//!
//! ```solidity
//! function buy() external payable {
//!     uint256 points = pointReserve * msg.value / (etherReserve + msg.value);
//!     etherReserve += msg.value;
//!     pointReserve -= points;
//!     pointsOf[msg.sender] += points;
//! }
//! ```
//!
//! ## Rewrite
//!
//! The order is part of what the pool is; what can change is how many pools there are and how often they are asked.
//! Split the liquidity into several pools that are kept in line by arbitrage, collect orders and settle them once a
//! block at one price, or let makers quote from inventories of their own.
//!
//! ```solidity
//! struct Reserves { uint112 ether_; uint112 points; }
//! mapping(uint256 shard => Reserves) public reservesOf;
//!
//! function buy() external payable {
//!     Reserves storage reserves = reservesOf[uint160(msg.sender) % 16];
//!     // …the same arithmetic on one shard…
//! }
//! ```
//!
//! Measured on two threads against plain serial execution, with one pool and with ten (`amm-one-pool` and `amm-ten-pools` in docs/benchmarks.md): 1.02 of its speed before, 1.55 after.
//!
//! ## When to ignore
//!
//! One price for all is the point of the contract, and the pool is not what limits the chain.
//!
//! ## Known gaps
//!
//! Pools whose reserves are mapping entries are not reported: only calls on one pool meet there.

use std::collections::BTreeSet;

use deconflict_analyzer::{Effect, ExprId, Node, Slot, Sources, Space, Summary};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Spot, Story, Subject, enumerate},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "A601",
    name: "pool-reserves",
    group: Group::Default,
    summary: "reserves that price every call by what the call before it left",
    source: include_str!("pool_reserves.rs"),
    check,
};

/// A part of a loaded word: the slot, and how far the word was shifted down.
type Part = (Slot, u32);

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes: Vec<Touch<'_>> = view
        .writes()
        .into_iter()
        .filter(|touch| touch.access.slot.is_fixed() && !touch.is_net_zero())
        .collect();
    let mut reserves = BTreeSet::new();
    for (function, summary) in view.users() {
        let moved: BTreeSet<Slot> = writes
            .iter()
            .filter(|touch| touch.function == function)
            .filter(|touch| touch.write().is_some_and(|(value, _)| !is_stamp(view, value)))
            .map(|touch| touch.access.slot.clone())
            .collect();
        if moved.is_empty() {
            continue;
        }
        // A curve over one word: what a call adds to it is divided by what stood there.
        let own = writes.iter().filter(|touch| touch.function == function && is_on_curve(view, touch));
        reserves.extend(own.map(|touch| touch.access.slot.clone()));
        for word in words(summary) {
            for (a, b) in view.products(word) {
                // What grows with time is a rate, no price.
                if view.has_time(a) || view.has_time(b) {
                    continue;
                }
                let (a, b) = (parts(view, a, &moved), parts(view, b, &moved));
                if a.iter().any(|x| b.iter().any(|y| x != y)) {
                    reserves.extend(a.into_iter().chain(b).map(|(slot, _)| slot));
                }
            }
        }
    }
    if reserves.is_empty() {
        return Vec::new();
    }
    report(rule, view, &writes, &reserves).into_iter().collect()
}

/// Whether the word moves by a product or quotient of itself and what the call brings.
fn is_on_curve(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let expressions = &view.analysis.expressions;
    let field = touch.field();
    let is_old = |word| view.is_made_from(word, &field) && view.products(word).is_empty();
    let brought = |word| {
        expressions.sources(word).intersects(Sources::CALLDATA.with(Sources::CALL_VALUE))
            && !view.is_made_from(word, &field)
    };
    let step = touch.write().and_then(|(value, _)| match expressions.node(value) {
        Node::Binary { op: opcode::ADD, a, b } if is_old(a) => Some(b),
        Node::Binary { op: opcode::ADD, a, b } if is_old(b) => Some(a),
        Node::Binary { op: opcode::SUB, a, b } if is_old(a) => Some(b),
        _ => None,
    });
    step.is_some_and(|step| {
        let parted = |&(a, b): &(ExprId, ExprId)| {
            let priced = |amount, price| brought(amount) && view.is_made_from(price, &field);
            priced(a, b) || priced(b, a)
        };
        !view.has_time(step) && view.products(step).iter().any(parted)
    })
}

/// A time or block number that is stored beside the reserves is none of them.
fn is_stamp(view: &ContractView<'_>, value: ExprId) -> bool {
    view.is_block_constant(value) && !view.is_constant(value)
}

/// The words in which a price may hide: what is stored, what is sent, and what is required.
fn words(summary: &Summary) -> BTreeSet<ExprId> {
    let stored = summary.accesses.iter().filter_map(|access| match access.effect {
        Effect::Write { value, .. } if access.space == Space::Storage && !access.circumstance.reverts => {
            Some(value)
        }
        _ => None,
    });
    let sent = summary.calls.iter().filter(|call| !call.circumstance.reverts);
    let sent = sent.flat_map(|call| call.arguments.iter().copied().chain(call.value));
    let required = summary.accesses.iter().flat_map(|access| access.circumstance.requires.iter());
    let required = required.chain(&summary.requires).map(|condition| condition.expression);
    stored.chain(sent).chain(required).collect()
}

/// The parts of the words in `slots` that `word` is computed from.
fn parts(view: &ContractView<'_>, word: ExprId, slots: &BTreeSet<Slot>) -> BTreeSet<Part> {
    let expressions = &view.analysis.expressions;
    let load = |id: ExprId| match expressions.node(id) {
        Node::Load { space: Space::Storage, slot, .. } => {
            expressions.constant(slot).map(Slot::fixed).filter(|slot| slots.contains(slot))
        }
        _ => None,
    };
    // A mask between the load and the shift does not change which part it is.
    let unmasked = |id: ExprId| match expressions.node(id) {
        Node::Binary { op: opcode::AND, a, b } => load(a).or_else(|| load(b)),
        _ => load(id),
    };
    let shifted = |id: ExprId| match expressions.node(id) {
        Node::Binary { op: opcode::SHR, a, b } => {
            Some((unmasked(b)?, u32::try_from(expressions.constant(a)?).unwrap_or(u32::MAX)))
        }
        Node::Binary { op: opcode::DIV, a, b } => {
            let divisor = expressions.constant(b).filter(|divisor| divisor.is_power_of_two())?;
            Some((unmasked(a)?, divisor.trailing_zeros() as u32))
        }
        _ => None,
    };
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut stack = vec![word];
    while let Some(id) = stack.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(part) = shifted(id) {
            found.insert(part);
        } else if let Some(slot) = load(id) {
            found.insert((slot, 0));
        } else {
            stack.extend(expressions.operands(id));
            stack.extend_from_slice(expressions.phi_operands(id));
        }
    }
    found
}

fn report(
    rule: &Rule,
    view: &ContractView<'_>,
    writes: &[Touch<'_>],
    reserves: &BTreeSet<Slot>,
) -> Option<Finding> {
    let is_reserve = |touch: &Touch<'_>| reserves.contains(&touch.access.slot);
    let reserve_fields = fields(writes.iter().copied().filter(is_reserve));
    // Accumulated prices, the last product and the like are computed from the reserves, and explained with them.
    let follows = |touch: &Touch<'_>| {
        let value = touch.write().map(|(value, _)| value);
        value.is_some_and(|value| {
            view.products(value).iter().any(|&(a, b)| {
                let used = |word| view.fixed_loads(word).intersection(reserves).next().is_some();
                used(a) || used(b)
            })
        })
    };
    let claims = fields(writes.iter().copied().filter(|touch| is_reserve(touch) || follows(touch)));
    let mut subject = Subject::storage(view, reserve_fields.first()?);
    subject.spots = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for field in &reserve_fields {
        let name = Subject::storage(view, field).variable();
        for touch in view.touching(field) {
            let mut spot = Spot::of(&touch);
            spot.does = format!("{} `{name}`", if touch.is_write() { "writes" } else { "reads" });
            spot.rank = spot.rank.map(|_| 0);
            subject.spots.push(spot);
        }
        names.push(format!("`{name}`"));
    }
    names.dedup();
    let (reserves, writers) = (enumerate(names), subject.writers());
    let confidence =
        if is_sum_only(&reserve_fields, writes) { Confidence::Likely } else { Confidence::Proved };
    let story = Story {
        message: format!("{writers:#} is priced by the reserves that the call before it left: {reserves}"),
        label: "stores reserves that the next call is priced by".to_owned(),
        help: "the order is inherent in one pool: split liquidity into several pools, settle orders once a block at one price, or let makers quote from inventories of their own".to_owned(),
        notes: Vec::new(),
        confidence,
    };
    subject.finding(rule, claims, story)
}

/// Whether every write is a mere sum, so that the product only shows in what is required.
fn is_sum_only(fields: &[Field], writes: &[Touch<'_>]) -> bool {
    let mut touching =
        writes.iter().filter(|touch| fields.iter().any(|field| field.overlaps(&touch.field())));
    touching.all(|touch| touch.sum().is_some())
}
