//! ## What it does
//!
//! Finds a vault: what a call credits or debits is its amount times the supply of shares, divided by the assets.
//!
//! ## Why it serialises
//!
//! The price of a share is made of two totals that every deposit and withdrawal moves. Each call needs what the one
//! before it left, on every executor.
//!
//! ## Example
//!
//! ```solidity
//! function deposit(uint256 assets) external {
//!     uint256 shares = assets * totalShares / totalAssets;
//!     sharesOf[msg.sender] += shares;
//!     totalShares += shares;
//!     totalAssets += assets;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Take requests and settle them at one price for each epoch (ERC-7540), so that requests of different users do not
//! meet.
//!
//! ```solidity
//! function requestDeposit(uint256 assets) external {
//!     requestOf[msg.sender][epoch()] += assets;
//!     requestedIn[epoch()][uint160(msg.sender) % 64] += assets;
//! }
//! ```
//!
//! ## When to ignore
//!
//! The vault is not what limits the chain, and users want their shares at once.
//!
//! ## Known gaps
//!
//! A vault whose assets are counted by another contract is recognised only where the call returns their number.

use deconflict_analyzer::{ExprId, Node};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B206",
    name: "share-price-read",
    group: Group::Default,
    summary: "shares that are priced by what all calls before have left in the vault",
    source: include_str!("share_price_read.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let moves: Vec<Move<'_>> = view
        .writes()
        .into_iter()
        .filter(|touch| view.is_shared(&touch.access.slot))
        .filter_map(|touch| {
            let (amount, down) = moved(view, &touch)?;
            Some(Move { touch, amount, down })
        })
        .collect();
    let supplies: Vec<&Move<'_>> = moves.iter().filter(|supply| is_priced(view, supply, &moves)).collect();
    let found = fields(supplies.iter().map(|supply| supply.touch));
    let Some(first) = found.first() else { return Vec::new() };
    // The assets that the price is made of are explained with the supply.
    let is_used =
        |it: &&Move<'_>| supplies.iter().any(|supply| view.is_made_from(supply.amount, &it.touch.field()));
    let mut claims = fields(moves.iter().filter(is_used).map(|it| it.touch));
    claims.extend(found.iter().filter(|field| !claims.contains(field)).cloned().collect::<Vec<_>>());
    let subject = Subject::storage(view, first);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("every call to {writers} is priced by what the calls before it left, `{variable}`"),
        label: format!("the next call is priced by `{variable}`"),
        help: "take requests and settle them at one price for each epoch (ERC-7540)".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, claims, story).into_iter().collect()
}

/// A total that a call moves.
struct Move<'a> {
    touch: Touch<'a>,
    amount: ExprId,
    down: bool,
}

/// Whether one call may do both: no condition of one is the opposite of a condition of the other.
fn may_meet(a: &Touch<'_>, b: &Touch<'_>) -> bool {
    let (of_a, of_b) = (&a.access.circumstance.when, &b.access.circumstance.when);
    !of_a
        .iter()
        .any(|it| of_b.iter().any(|other| other.expression == it.expression && other.holds != it.holds))
}

/// By what the field is moved, and whether down, even where the amount depends on the field itself.
fn moved(view: &ContractView<'_>, touch: &Touch<'_>) -> Option<(ExprId, bool)> {
    if let Some(sum) = touch.sum() {
        return Some(sum);
    }
    let field = touch.field();
    let expressions = &view.analysis.expressions;
    let is_old = |id: ExprId| view.is_made_from(id, &field) && view.products(id).is_empty();
    let by = |value: ExprId| match expressions.node(value) {
        Node::Binary { op: opcode::ADD, a, b } if is_old(a) => Some((b, false)),
        Node::Binary { op: opcode::ADD, a, b } if is_old(b) => Some((a, false)),
        Node::Binary { op: opcode::SUB, a, b } if is_old(a) => Some((b, true)),
        _ => None,
    };
    let (value, _) = touch.write()?;
    if let Some(moved) = by(value) {
        return Some(moved);
    }
    // The first deposit is priced in another way than all later ones; what goes up on one way and down on another is
    // no supply.
    let ways: Vec<(ExprId, bool)> = expressions.phi_operands(value).iter().filter_map(|&it| by(it)).collect();
    let (first, rest) = ways.split_first()?;
    rest.iter().all(|way| way.1 == first.1).then_some(*first)
}

/// Whether the supply moves by a product with itself and with assets that move in the same direction.
fn is_priced(view: &ContractView<'_>, supply: &Move<'_>, moves: &[Move<'_>]) -> bool {
    // What grows with time is an index of interest, no supply.
    if view.has_time(supply.amount) {
        return false;
    }
    let field = supply.touch.field();
    let products = view.products(supply.amount);
    let in_products = |field: &Field| {
        products.iter().any(|&(a, b)| view.is_made_from(a, field) || view.is_made_from(b, field))
    };
    let is_counted = |id: ExprId| {
        view.parts(id).iter().any(|&part| {
            matches!(view.analysis.expressions.node(part), Node::ReturnWord { .. } | Node::Balance { .. })
        })
    };
    let kept = || {
        moves.iter().any(|assets| {
            let other = assets.touch.field();
            let together = assets.touch.function == supply.touch.function
                && assets.down == supply.down
                && may_meet(&assets.touch, &supply.touch);
            together && !other.overlaps(&field) && in_products(&other)
        })
    };
    in_products(&field) && (kept() || products.iter().any(|&(_, divisor)| is_counted(divisor)))
}
