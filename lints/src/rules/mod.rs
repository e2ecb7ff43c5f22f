//! The rules, and which of them speaks when several explain the same storage.
//!
//! In: all that a rule may see of one contract. Out: one finding for each hot location. This list is the registry: a rule that is not in it
//! does not exist, and its order is the order of precedence, the most specific rule first. A guard is no temporary, an
//! enumerable set is no mere array, a pool is more than the sums it is made of, an id is more than a counter; two
//! fields of one word are only blamed for sharing it when no other rule explains either of them, or both are plain sums.

mod accrue_once_per_block;
mod admin_flag_read;
mod approval_ping_pong;
pub(crate) mod array_push;
mod best_price_pointer;
mod bitmap_256;
mod block_data_key;
mod callback_to_caller;
pub(crate) mod redundant_hot_check;
mod capped_counter;
mod coinbase_touch;
pub(crate) mod config_beside_hot_field;
pub(crate) mod create_nonce_address;
mod upgrade_slot_written_by_user_path;
mod dynamic_target;
mod enumerable_set;
mod eth_sink;
pub(crate) mod event_only_read;
mod exact_version_check;
pub(crate) mod factory_registry;
pub(crate) mod false_sharing;
mod fee_growth_global;
pub(crate) mod fee_sink_balance;
mod fifo_queue;
pub(crate) mod flash_balance_before;
mod gas_dependent_path;
mod gas_deposit;
pub(crate) mod global_counter;
pub(crate) mod global_accumulator;
mod global_checkpoints;
mod global_nonce;
mod global_rate_limit;
mod global_rebase;
mod global_statistics;
pub(crate) mod guard_in_packed_slot;
mod guarded_view;
mod hot_slot_read;
mod incremental_merkle;
mod last_block_lock;
mod shared_text;
pub(crate) mod last_touched;
mod linked_list_head;
mod once_flag;
mod oracle_push_and_read;
mod packed_array;
mod payable_self_credit;
mod pool_reserves;
mod pooled_debt_totals;
mod protocol_fee_slot;
mod push_payments;
pub(crate) mod return_only_read;
mod reward_accumulator;
mod role_split_struct;
mod running_max;
mod same_sender_chain;
mod self_balance_read;
pub(crate) mod self_counterparty;
mod selfdestruct_redeploy;
mod sequential_id;
mod share_price_read;
mod shared_account_read;
mod shared_ledger;
mod shared_operator;
pub(crate) mod shared_state;
mod storage_array_scan;
mod storage_derived_key;
pub(crate) mod storage_reentrancy_guard;
mod supply_on_mint;
mod supply_write_in_transfer;
mod swap_and_pop;
pub(crate) mod temp_in_storage;
mod twap_write;
mod unbounded_set;
mod unbounded_storage_delete;
mod unknown_slot_write;
mod user_advanced_phase;
mod vote_tally;
mod wide_write_set;

use crate::{
    rule::{Finding, Group, Rule},
    view::{ContractView, Field},
};

/// Every rule, in order of precedence.
pub const RULES: &[Rule] = &[
    guard_in_packed_slot::RULE,
    storage_reentrancy_guard::RULE,
    guarded_view::RULE,
    flash_balance_before::RULE,
    temp_in_storage::RULE,
    incremental_merkle::RULE,
    fifo_queue::RULE,
    enumerable_set::RULE,
    swap_and_pop::RULE,
    factory_registry::RULE,
    global_checkpoints::RULE,
    unbounded_storage_delete::RULE,
    array_push::RULE,
    push_payments::RULE,
    reward_accumulator::RULE,
    share_price_read::RULE,
    pooled_debt_totals::RULE,
    fee_growth_global::RULE,
    pool_reserves::RULE,
    global_rate_limit::RULE,
    user_advanced_phase::RULE,
    oracle_push_and_read::RULE,
    supply_write_in_transfer::RULE,
    global_nonce::RULE,
    best_price_pointer::RULE,
    linked_list_head::RULE,
    exact_version_check::RULE,
    sequential_id::RULE,
    block_data_key::RULE,
    fee_sink_balance::RULE,
    self_counterparty::RULE,
    global_statistics::RULE,
    protocol_fee_slot::RULE,
    capped_counter::RULE,
    running_max::RULE,
    event_only_read::RULE,
    global_counter::RULE,
    global_accumulator::RULE,
    unknown_slot_write::RULE,
    vote_tally::RULE,
    shared_ledger::RULE,
    gas_deposit::RULE,
    upgrade_slot_written_by_user_path::RULE,
    storage_derived_key::RULE,
    bitmap_256::RULE,
    self_balance_read::RULE,
    coinbase_touch::RULE,
    selfdestruct_redeploy::RULE,
    storage_array_scan::RULE,
    dynamic_target::RULE,
    create_nonce_address::RULE,
    hot_slot_read::RULE,
    config_beside_hot_field::RULE,
    false_sharing::RULE,
    last_touched::RULE,
    accrue_once_per_block::RULE,
    supply_on_mint::RULE,
    role_split_struct::RULE,
    packed_array::RULE,
    shared_text::RULE,
    return_only_read::RULE,
    wide_write_set::RULE,
    callback_to_caller::RULE,
    eth_sink::RULE,
    twap_write::RULE,
    unbounded_set::RULE,
    gas_dependent_path::RULE,
    shared_account_read::RULE,
    shared_operator::RULE,
    global_rebase::RULE,
    approval_ping_pong::RULE,
    redundant_hot_check::RULE,
    admin_flag_read::RULE,
    once_flag::RULE,
    last_block_lock::RULE,
    same_sender_chain::RULE,
    payable_self_credit::RULE,
    shared_state::RULE,
];

/// The rule of that name or code.
pub(crate) fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name || rule.code.eq_ignore_ascii_case(name))
}

/// Runs every rule over one contract and keeps, for each location, the finding of the most specific one.
pub(crate) fn run(view: &ContractView<'_>) -> Vec<Finding> {
    let mut claimed: Vec<(Field, &Rule)> = Vec::new();
    let mut kept = Vec::new();
    for rule in RULES {
        let mut findings = if rule.name == shared_state::RULE.name {
            let known: Vec<Field> = claimed.iter().map(|(field, _)| field.clone()).collect();
            shared_state::unexplained(rule, view, &known)
        } else {
            (rule.check)(rule, view)
        };
        let mut own: Vec<Field> = Vec::new();
        findings.retain(|finding| {
            let again = finding.claims.iter().any(|claim| own.iter().any(|field| field.overlaps(claim)));
            own.extend(finding.claims.iter().cloned());
            !again
        });
        let explains =
            |(field, by): &(Field, &Rule), claim: &Field| field.overlaps(claim) && !is_beside(rule, by);
        findings.retain(|finding| {
            rule.group == Group::Pedantic
                || !finding.claims.iter().any(|claim| claimed.iter().any(|it| explains(it, claim)))
        });
        // What nobody has asked for must not hide what everybody gets.
        if rule.group == Group::Default {
            let claims = findings.iter().flat_map(|finding| finding.claims.iter().cloned());
            claimed.extend(claims.map(|field| (field, rule)));
        }
        kept.append(&mut findings);
    }
    kept
}

/// Rules that say something else of storage than others which have explained it: a sum is hot by itself, and is so for
/// others too where it shares a slot with their sums, or where they need it, which no merging of sums cures.
const BESIDE: &[(&Rule, &[&Rule])] = &[
    (&false_sharing::RULE, &[&global_counter::RULE, &global_accumulator::RULE]),
    (&hot_slot_read::RULE, &[&global_counter::RULE, &global_accumulator::RULE]),
];

/// Whether the rule says something else of storage that another rule has explained.
fn is_beside(rule: &Rule, by: &Rule) -> bool {
    BESIDE.iter().any(|(it, others)| it.name == rule.name && others.iter().any(|other| other.name == by.name))
}
