//! ## What it does
//!
//! Finds a record, such as a highest bid, that a call replaces if it brings a better value.
//!
//! ## Why it serialises
//!
//! Whether a call succeeds, and what it leaves behind, depends on the best of all calls before it. The record is
//! one slot, and the comparison keeps it from being merged.
//!
//! ## Example
//!
//! ```solidity
//! function bid() external payable {
//!     require(msg.value > highestBid);
//!     highestBid = msg.value;
//!     highestBidder = msg.sender;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Record each bid under its bidder, and find the best one when the auction closes, or let bidders commit to sealed
//! bids in batches.
//!
//! ```solidity
//! function bid() external payable {
//!     bidOf[msg.sender] += msg.value;
//! }
//!
//! function close(address winner) external {
//!     require(block.timestamp > end && bidOf[winner] >= bidOf[best]);
//!     best = winner;
//! }
//! ```
//!
//! ## When to ignore
//!
//! An open auction, where everybody has to see the best bid at once.
//!
//! ## Known gaps
//!
//! A record that is kept for each item (`bidOf[item]`) is not reported: only bids on one item meet.

use std::collections::BTreeSet;

use deconflict_analyzer::{Escapes, ExprId, Node, WriteForm};
use revm_bytecode::opcode;

use super::shared_text::is_text;
use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject},
    rule::{Finding, Group, Rule},
    view::{ComparedWords, ContractView, Field, Touch},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "C107",
    name: "running-max",
    group: Group::Default,
    summary: "a best value so far that every call is compared with",
    source: include_str!("running_max.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    // A text is compared with the one before it to see what has to be cleared.
    let found = view.shared_fields(|touch| is_record(view, touch) && !is_text(view, touch));
    let report = |field: &Field| {
        let subject = Subject::storage(view, field);
        let (variable, writers) = (subject.variable(), subject.writers());
        let story = Story {
            message: format!("{writers:#} is compared with the best one before it, `{variable}`"),
            label: format!("`{variable}` is replaced by what beats it"),
            help: "record each value under its sender and find the best one at the end, or take sealed values in batches".to_owned(),
            notes: Vec::new(),
            confidence: Confidence::Proved,
        };
        let claims = std::iter::once(field.clone()).chain(holders(view, field)).collect();
        subject.finding(rule, claims, story)
    };
    found.iter().filter_map(report).collect()
}

/// What is noted of whoever holds the record: fields that are replaced only where the record is.
fn holders(view: &ContractView<'_>, record: &Field) -> Vec<Field> {
    let records: Vec<Touch<'_>> = view.touching(record).into_iter().filter(Touch::is_write).collect();
    let with_record = |touch: &Touch<'_>| {
        matches!(touch.write(), Some((_, WriteForm::Plain)))
            && records.iter().any(|it| {
                it.function == touch.function && it.access.circumstance.when == touch.access.circumstance.when
            })
    };
    let mut found = view.shared_fields(with_record);
    found.retain(|field| {
        !field.overlaps(record) && view.touching(field).iter().all(|it| !it.is_write() || with_record(it))
    });
    found
}

/// Whether the call stores what it brings along, which was compared with what stood there.
fn is_record(view: &ContractView<'_>, touch: &Touch<'_>) -> bool {
    let Some((value, form)) = touch.write() else { return false };
    let field = touch.field();
    if view.is_appended(touch) {
        return false;
    }
    let compared: BTreeSet<ComparedWords> = match form {
        WriteForm::Plain => view.comparisons(touch.function),
        // The greater one of both is stored, whichever it is.
        WriteForm::ReadModifyWrite => selecting(view, touch, value),
        _ => return false,
    };
    // A record that shares its word with its holder is one of the parts of what is stored.
    let stored: BTreeSet<ExprId> = choices(view, value)
        .into_iter()
        .flat_map(|choice| members(view, choice))
        .map(|member| view.bare(member))
        .collect();
    if matches!(form, WriteForm::ReadModifyWrite) && is_kept_or_replaced(view, touch, value) {
        return true;
    }
    // What is added to and taken from is a sum, even where it is cut to a bound.
    let mut touching = view.touching(&field).into_iter();
    let adds_up = touching.any(|it| it.sum().is_some_and(|(amount, _)| !view.is_constant(amount)));
    view.is_chosen(value)
        && !adds_up
        && compared.into_iter().any(|comparison| {
            !comparison.is_equality()
                && comparison
                    .sides()
                    .into_iter()
                    .any(|(new, old)| stored.contains(&view.bare(new)) && view.is_made_from(old, &field))
        })
}

/// Whether the word stays, or is replaced by what the call brings, as the word itself decides: ways that have met do not
/// say by what comparison.
fn is_kept_or_replaced(view: &ContractView<'_>, touch: &Touch<'_>, value: ExprId) -> bool {
    let choices = choices(view, value);
    let [one, other] = choices.as_slice() else { return false };
    let brought = |word| view.is_chosen(word) && !view.is_made_from(word, &touch.field());
    let pairs = [(*one, *other), (*other, *one)];
    pairs.into_iter().any(|(old, new)| is_old(view, touch, old) && brought(new))
        && view.escapes(touch.function, &touch.field()).intersects(Escapes::BRANCH)
}

/// Whether it is the word that stands there, and nothing that is computed from it.
fn is_old(view: &ContractView<'_>, touch: &Touch<'_>, choice: ExprId) -> bool {
    let computed = matches!(
        view.analysis.expressions.node(view.bare(choice)),
        Node::Binary { op: opcode::ADD | opcode::SUB | opcode::MUL | opcode::DIV, .. }
    );
    !computed && view.is_made_from(choice, &touch.field()) && !view.is_chosen(choice)
}

/// The comparisons that decide whether a word stays or is replaced.
fn selecting(view: &ContractView<'_>, touch: &Touch<'_>, value: ExprId) -> BTreeSet<ComparedWords> {
    let expressions = &view.analysis.expressions;
    let choices = choices(view, value);
    if choices.len() != 2 || !choices.iter().any(|&choice| is_old(view, touch, choice)) {
        return BTreeSet::new();
    }
    let mut compared = view.comparisons(touch.function);
    for part in view.parts(value) {
        if let Node::Binary { op: op @ (opcode::LT | opcode::GT | opcode::SLT | opcode::SGT), a, b } =
            expressions.node(part)
        {
            compared.insert(ComparedWords { op, a, b });
        }
    }
    compared
}

/// The words one of which a word is: where ways have met, or where it was chosen without any
/// (`b ^ ((a ^ b) * (a > b))`).
fn choices(view: &ContractView<'_>, word: ExprId) -> Vec<ExprId> {
    let expressions = &view.analysis.expressions;
    let ways = expressions.phi_operands(word);
    if !ways.is_empty() {
        return ways.to_vec();
    }
    let exclusive = |id: ExprId| match expressions.node(id) {
        Node::Binary { op: opcode::XOR, a, b } => Some((a, b)),
        _ => None,
    };
    let differs_by = |id: ExprId| match expressions.node(id) {
        Node::Binary { op: opcode::MUL, a, b } => exclusive(a).or_else(|| exclusive(b)),
        _ => None,
    };
    let Some((a, b)) = exclusive(word) else { return vec![word] };
    for (one, difference) in [(a, b), (b, a)] {
        match differs_by(difference) {
            Some((x, other)) if x == one => return vec![one, other],
            Some((other, x)) if x == one => return vec![one, other],
            _ => {}
        }
    }
    vec![word]
}

/// The parts that a stored word is put together from, each shifted to where it begins.
fn members(view: &ContractView<'_>, word: ExprId) -> Vec<ExprId> {
    let expressions = &view.analysis.expressions;
    match expressions.node(word) {
        Node::Binary { op: opcode::OR, a, b } => {
            let mut all = members(view, a);
            all.extend(members(view, b));
            all
        }
        Node::Binary { op: opcode::SHL, b, .. } => vec![word, b],
        Node::Binary { op: opcode::MUL, a, b } if expressions.constant(b).is_some() => vec![word, a],
        Node::Binary { op: opcode::MUL, a, b } if expressions.constant(a).is_some() => vec![word, b],
        Node::Binary { op: opcode::AND, a, b } if expressions.constant(b).is_some() => {
            let mut all = members(view, a);
            all.push(word);
            all
        }
        _ => vec![word],
    }
}
