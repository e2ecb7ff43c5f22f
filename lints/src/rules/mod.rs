//! The rules, and which of them speaks when several explain the same storage.
//!
//! In: all that a rule may see of one contract. Out: one finding for each hot location. This list is the registry: a rule that is not in it
//! does not exist, and its order is the order of precedence, the most specific rule first. A guard is no temporary, an
//! enumerable set is no mere array, a pool is more than the sums it is made of, an id is more than a counter; two
//! fields of one word are only blamed for sharing it when no other rule explains either of them.

mod array_push;
mod enumerable_set;
mod false_sharing;
mod fee_sink_balance;
mod global_accumulator;
mod global_counter;
mod pool_reserves;
mod self_balance_read;
mod sequential_id;
mod storage_reentrancy_guard;
mod temp_in_storage;
mod unknown_slot_write;

use crate::{
    rule::{Finding, Rule},
    view::{ContractView, Field},
};

/// Every rule, in order of precedence.
pub const RULES: &[Rule] = &[
    storage_reentrancy_guard::RULE,
    temp_in_storage::RULE,
    enumerable_set::RULE,
    array_push::RULE,
    pool_reserves::RULE,
    sequential_id::RULE,
    fee_sink_balance::RULE,
    global_counter::RULE,
    global_accumulator::RULE,
    unknown_slot_write::RULE,
    self_balance_read::RULE,
    false_sharing::RULE,
];

/// The rule of that name or code.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name || rule.code.eq_ignore_ascii_case(name))
}

/// Runs every rule over one contract and keeps, for each location, the finding of the most specific one.
pub(crate) fn run(view: &ContractView<'_>) -> Vec<Finding> {
    let mut claimed: Vec<Field> = Vec::new();
    let mut kept = Vec::new();
    for rule in RULES {
        let mut findings = (rule.check)(rule, view);
        findings.retain(|finding| {
            !finding.claims.iter().any(|claim| claimed.iter().any(|field| field.overlaps(claim)))
        });
        claimed.extend(findings.iter().flat_map(|finding| finding.claims.iter().cloned()));
        kept.append(&mut findings);
    }
    kept
}
