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

use deconflict_analyzer::{ExprId, Node, Sources};
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
            let (amount, down) = view.moved(&touch)?;
            Some(Move { touch, amount, down })
        })
        .collect();
    let curved = |field: &Field| {
        moves.iter().any(|it| {
            let takes_part = it.touch.touches(field) || view.is_made_from(it.amount, field);
            takes_part && is_on_curve(view, it.amount)
        })
    };
    let supplies: Vec<&Move<'_>> = moves
        .iter()
        .filter(|supply| {
            let assets = view.loads(supply.amount);
            is_priced(view, supply, &moves) && !curved(&supply.touch.field()) && !assets.iter().any(&curved)
        })
        .collect();
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
        message: format!("{writers:#} is priced by what the calls before it left, `{variable}`"),
        label: format!("the next call is priced by `{variable}`"),
        help: "take requests and settle them at one price for each epoch (ERC-7540)".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, claims, story).into_iter().collect()
}

/// Whether a call moves the price while it is being paid: its amount is part of what it is divided by. A vault gives all
/// of a deposit at one price; this is a pool.
fn is_on_curve(view: &ContractView<'_>, amount: ExprId) -> bool {
    let expressions = &view.analysis.expressions;
    let brought = |word| expressions.sources(word).intersects(Sources::CALLDATA.with(Sources::CALL_VALUE));
    let kept = |word| view.loads(word).iter().any(|load| load.slot.is_fixed());
    let adds = |part| match expressions.node(part) {
        Node::Binary { op: opcode::ADD, a, b } => (brought(a) && kept(b)) || (brought(b) && kept(a)),
        _ => false,
    };
    let is_counted = |part| matches!(expressions.node(part), Node::ReturnWord { .. } | Node::Balance { .. });
    view.parts(amount).into_iter().any(|part| match expressions.node(part) {
        Node::Binary { op: opcode::DIV, b: divisor, .. } => {
            let parts = view.parts(divisor);
            parts.iter().any(|&it| adds(it)) && !parts.iter().any(|&it| is_counted(it))
        }
        _ => false,
    })
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
    // What is worth a part of two reserves is a share of a pool.
    let divisors = || {
        let quotients = view.parts(supply.amount).into_iter();
        quotients.filter_map(|part| match view.analysis.expressions.node(part) {
            Node::Binary { op: opcode::DIV, b, .. } => Some(view.loads(b)),
            _ => None,
        })
    };
    let of_pool = divisors()
        .any(|one| divisors().any(|other| !one.is_empty() && !other.is_empty() && one.is_disjoint(&other)));
    !of_pool && in_products(&field) && (kept() || products.iter().any(|&(_, divisor)| is_counted(divisor)))
}
