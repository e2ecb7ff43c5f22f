//! From transactions and a state to hints, and from hints to a plan.
//!
//! In: transactions, their block, a read-only state, a predictor. Out: hints in the order of the transactions, made by all
//! threads of rayon's pool. The result depends on the input alone.

use alloy_primitives::{Address, U256};
use rayon::prelude::*;
use revm::{
    DatabaseRef,
    context::{Transaction as _, TxEnv},
    context_interface::either::Either,
};

use super::{Basis, BlockHints, BlockPlan, TransactionHint};
use crate::{
    access_set::{AccessSet, AccountAccess},
    block::{Block, Transaction},
    environment::Assumed,
    plan::{Place, Planner, Reach, Rules, Touches, TransactionId},
    predict::{BlockContext, Limits, Predictor, Scratch},
    record::authorities,
};

/// The hints for these transactions in a block like `block`, on a state that holds before all of them. With `lanes`, they
/// hold a plan for so many.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader, BlockState, Predictor, hints::{Basis, FORMATS, hint_block}};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// let (predictor, state) = (Predictor::new(), BlockState::new(&block));
/// let hints = hint_block(&block, &block.transactions, &predictor, &state, Basis::StaticAndState, Some(4));
/// assert!(hints.transactions.iter().all(|hint| hint.is_complete()));
/// assert!(hints.plan.as_ref().is_some_and(|plan| plan.lanes.len() <= 4));
/// let json = FORMATS.iter().find(|format| format.name == "json").ok_or("there is JSON")?;
/// assert_eq!(json.render(&hints)?.first(), Some(&b'{'));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn hint_block<D: DatabaseRef + Sync>(
    block: &Block,
    transactions: &[Transaction],
    predictor: &Predictor,
    state: &D,
    basis: Basis,
    lanes: Option<usize>,
) -> BlockHints {
    let env = block.env();
    let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
    let hints = transactions.par_iter().map_init(Scratch::default, |scratch, transaction| {
        hint_transaction(scratch, predictor, transaction, context, state)
    });
    let transactions: Vec<TransactionHint> = hints.collect();
    let plan = lanes.map(|lanes| plan(&transactions, env.beneficiary, lanes));
    BlockHints {
        chain_id: block.chain_id,
        number: Some(block.number),
        hash: block.header.hash,
        spec: block.spec,
        spec_origin: None,
        analyzer: env!("CARGO_PKG_VERSION").to_owned(),
        basis,
        parent: block.header.parent_hash,
        assumed: Assumed::default(),
        beneficiary: Some(env.beneficiary),
        transactions,
        plan,
    }
}

/// The hint for one transaction.
pub fn hint_transaction<D: DatabaseRef>(
    scratch: &mut Scratch,
    predictor: &Predictor,
    transaction: &Transaction,
    context: BlockContext<'_>,
    state: &D,
) -> TransactionHint {
    let hint = hint_within(scratch, predictor, transaction, context, state, Limits::NONE);
    hint.expect("nothing says that it is to be given up")
}

/// The same within limits. None where they have ended it.
pub fn hint_within<D: DatabaseRef>(
    scratch: &mut Scratch,
    predictor: &Predictor,
    transaction: &Transaction,
    context: BlockContext<'_>,
    state: &D,
    limits: Limits<'_>,
) -> Option<TransactionHint> {
    let env = &transaction.env;
    let set = predictor.predict_within(scratch, env, context, state, limits)?;
    let places = places(&set, state);
    Some(TransactionHint {
        hash: transaction.hash,
        from: env.caller,
        to: env.kind.to().copied(),
        nonce: env.nonce,
        gas_limit: env.gas_limit,
        needs_funds: needs_funds(env, state),
        warm: warm(env, state),
        set,
        places,
        pending: false,
    })
}

/// The plan of a block with these hints in this order.
pub fn plan(hints: &[TransactionHint], beneficiary: Address, lanes: usize) -> BlockPlan {
    let rules = Rules::usual(beneficiary);
    let mut planner = Planner::new(lanes);
    planner.reserve(hints.iter().map(|hint| hint.set.reads.len() + hint.set.accounts.len()).sum());
    for hint in hints {
        let mut touches = Touches::of_sender(hint.from, &hint.set, &rules, hint.needs_funds);
        if hint.pending {
            touches.reach = Reach::Anything;
        }
        planner.insert(&[touches], Place::Last);
    }
    let order = planner.order().to_vec();
    // Nothing was removed or moved, so that numbers are positions.
    let numbers = |ids: Vec<TransactionId>| ids.into_iter().map(|id| id.0).collect::<Vec<u32>>();
    let (mut dependencies, mut possible) = (Vec::new(), Vec::new());
    for id in &order {
        let certain = planner.dependencies(*id);
        possible.push(numbers(planner.possible_beside(*id, &certain)));
        dependencies.push(numbers(certain));
    }
    BlockPlan {
        dependencies,
        possible,
        serial: numbers(order.iter().copied().filter(|id| planner.is_serial(*id)).collect()),
        prefetch: planner.prefetch_by_account(),
        critical_path_gas: planner.critical_path_gas(),
        gas: planner.gas(),
        lanes: planner.lanes().lanes.into_iter().map(numbers).collect(),
    }
}

/// What EIP-7702 loads before a transaction begins: who has signed its authorizations, and whose code the account has that it
/// calls.
fn warm<D: DatabaseRef>(transaction: &TxEnv, state: &D) -> Vec<Address> {
    let mut warm = authorities(transaction);
    let to = transaction.kind.to();
    let set_here = to.is_some_and(|to| warm.contains(to));
    let own = to.filter(|_| !set_here).and_then(|to| state.basic_ref(*to).ok().flatten());
    // A designator is short; other codes need not be looked at.
    let code = own.filter(|info| !info.is_empty_code_hash()).and_then(|info| match info.code {
        Some(code) => Some(code),
        None => state.code_by_hash_ref(info.code_hash).ok(),
    });
    warm.extend(code.and_then(|code| code.eip7702_address()));
    if set_here {
        let addresses = transaction.authorization_list.iter().map(|it| match it {
            Either::Left(signed) => signed.address,
            Either::Right(recovered) => recovered.address,
        });
        warm.extend(addresses);
    }
    warm.into_iter().collect()
}

/// Whether the sender has less than the transaction may take.
fn needs_funds<D: DatabaseRef>(transaction: &TxEnv, state: &D) -> bool {
    // A state that does not answer is no reason to wait for anybody.
    let Ok(account) = state.basic_ref(transaction.caller) else { return false };
    let balance = account.map_or(U256::ZERO, |info| info.balance);
    transaction.max_balance_spending().map_or(true, |needed| balance < needed)
}

/// The accounts whose codes the shortfalls of a prediction are in.
fn places<D: DatabaseRef>(set: &AccessSet, state: &D) -> Vec<Option<Address>> {
    let place = |code_hash| {
        set.accounts.iter().find_map(|access| match access {
            AccountAccess::CodeRead(address) => {
                let info = state.basic_ref(*address).ok().flatten()?;
                (info.code_hash == code_hash).then_some(*address)
            }
            _ => None,
        })
    };
    set.incomplete.iter().map(|shortfall| place(shortfall.code_hash)).collect()
}
