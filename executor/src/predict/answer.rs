//! Predictions that need no code followed: plain transfers, and calls that a recipe at hand has an answer for.
//!
//! In: a transaction and a view of the state. Out: its access set, or that following the code has to find it. This is
//! what nearly all predictions of a block come to, so that nothing is set up here that they do not need. What is
//! answered must be what following would come to.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, TxKind};
use revm::{
    DatabaseRef,
    context::TxEnv,
    precompile::{PrecompileSpecId, Precompiles},
};

use super::gas::intrinsic_gas;
use super::machine::Workspace;
use super::recipe::{Root, Subject};
use super::{BlockContext, Predictor, settle};
use crate::access_set::{AccessSet, AccountAccess, StateKey};

/// What came of asking for an answer.
pub(super) enum Answer {
    /// The access set.
    Set(AccessSet),
    /// The recipe has none.
    Missing,
    /// No recipe was asked.
    NotAsked,
}

impl Predictor {
    /// The access set of a transaction, if it can be had without following code.
    pub(super) fn answer<D: DatabaseRef>(
        &self,
        workspace: &mut Workspace,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
    ) -> Answer {
        let TxKind::Call(to) = tx.kind else { return Answer::NotAsked };
        if !tx.authorization_list.is_empty() || self.follows_codes {
            return Answer::NotAsked;
        }
        let rules = PrecompileSpecId::from_spec_id(block.spec);
        let is_precompile = to.0[..18] == [0; 18] && Precompiles::new(rules).contains(&to);
        let Ok(account) = state.basic_ref(to) else { return Answer::NotAsked };
        if is_precompile {
            return Answer::NotAsked;
        }
        let code_hash = account.map_or(B256::ZERO, |account| account.code_hash);
        let Workspace { recipes, replay, ledger, answered, draft: set, .. } = workspace;
        set.clear();
        let intrinsic = intrinsic_gas(tx, block.spec);
        let mut gas = 0;
        if code_hash != KECCAK256_EMPTY && !code_hash.is_zero() {
            let selector = tx.data.first_chunk().copied();
            let root = Root { code_hash, selector, spec: block.spec, delegated: false };
            let Some(recipe) = recipes.get_mut(&root) else { return Answer::NotAsked };
            let subject = Subject::new(tx, block, state, to, intrinsic);
            match recipe.answer(&self.recipes, replay, &subject, &mut ledger.results, set) {
                Some(used) => gas = used,
                None => return Answer::Missing,
            }
            *answered += 1;
        }
        set.gas = (gas + intrinsic).min(tx.gas_limit);
        set.depends_on.push(StateKey::Code(to));
        note(&mut set.accounts, tx, to);
        settle(set, 1);
        Answer::Set(set.clone())
    }
}

/// Notes what a call touches of accounts before its first instruction.
fn note(accounts: &mut Vec<AccountAccess>, tx: &TxEnv, to: Address) {
    accounts.push(AccountAccess::NonceWrite(tx.caller));
    accounts.push(AccountAccess::BalanceDebit(tx.caller));
    accounts.push(AccountAccess::CodeRead(to));
    if !tx.value.is_zero() {
        accounts.push(AccountAccess::BalanceCredit(to));
    }
}
