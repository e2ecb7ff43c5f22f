//! Plain transfers without an engine: a transaction without calldata to an account without code.
//!
//! In: a transaction and its view. Out: what revm would come to, or nothing: whatever is not plainly valid and plainly a
//! transfer is left to revm, which also words the reason if it is invalid.

use alloy_primitives::{Bytes, TxKind, U256};
use revm::{
    Database as _, DatabaseRef,
    context::{CfgEnv, Transaction as _, TransactionType, TxEnv},
    context_interface::{
        Cfg as _,
        result::{ExecutionResult, Output, ResultGas, SuccessReason},
    },
    handler::validation::validate_initial_tx_gas_with_gas_params,
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

use super::BlockRules;
use crate::{
    store::{AccountDelta, AccountWrite},
    view::{BalanceNeed, Effects, Presence, View},
};

/// The rules by which a block's plain transfers go.
#[derive(Debug)]
pub(super) struct Plain {
    base_fee: u128,
    block_gas_limit: u64,
    gas_limit_cap: u64,
    chain_id: u64,
    spec: SpecId,
    gas: ResultGas,
    precompiles: &'static Precompiles,
}

impl Plain {
    /// The rules for transfers; none if the block's rules are not those of a known fork.
    pub(super) fn new(rules: &BlockRules) -> Option<Self> {
        let spec = rules.cfg.spec;
        // Before Spurious Dragon an account also comes into being by receiving nothing.
        if !spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) || spec.is_enabled_in(SpecId::AMSTERDAM) {
            return None;
        }
        let mut usual = CfgEnv::new_with_spec(spec);
        usual.chain_id = rules.cfg.chain_id;
        let headless = spec.is_enabled_in(SpecId::MERGE) && rules.block.prevrandao.is_none()
            || spec.is_enabled_in(SpecId::CANCUN) && rules.block.blob_excess_gas_and_price.is_none();
        if usual != rules.cfg || headless {
            return None;
        }
        let cap = usual.tx_gas_limit_cap();
        let sample = TxEnv { gas_limit: cap.min(10_000_000), ..TxEnv::default() };
        let cost = validate_initial_tx_gas_with_gas_params(
            &sample,
            spec,
            usual.gas_params(),
            false,
            false,
            cap,
            None,
        )
        .ok()?;
        let gas = ResultGas::default()
            .with_total_gas_spent(cost.initial_total_gas())
            .with_floor_gas(cost.floor_gas());
        (gas.tx_gas_used() == cost.initial_total_gas()).then(|| Self {
            base_fee: u128::from(rules.block.basefee),
            block_gas_limit: rules.block.gas_limit,
            gas_limit_cap: cap,
            chain_id: rules.cfg.chain_id,
            spec,
            gas,
            precompiles: Precompiles::new(PrecompileSpecId::from_spec_id(spec)),
        })
    }

    /// Executes the transaction, if it is a plain transfer.
    pub(super) fn run<D: DatabaseRef>(
        &self,
        transaction: &TxEnv,
        view: &mut View<'_, D>,
        effects: &mut Effects,
    ) -> Result<Option<ExecutionResult>, D::Error> {
        let TxKind::Call(to) = transaction.kind else { return Ok(None) };
        if !self.admits(transaction) || to == transaction.caller || self.precompiles.contains(&to) {
            return Ok(None);
        }
        let Ok(most) = transaction.max_balance_spending() else { return Ok(None) };
        let sender = view.basic(transaction.caller)?.unwrap_or_default();
        let receiver = view.basic(to)?;
        let presence = Presence::of(receiver.as_ref());
        let plain = sender.is_empty_code_hash()
            && sender.nonce == transaction.nonce
            && sender.nonce < u64::MAX
            && sender.balance >= most
            && receiver.as_ref().is_none_or(AccountInfo::is_code_hash_empty_or_zero)
            // An account that is there and empty is removed when it is touched.
            && (!transaction.value.is_zero() || presence != Presence::Empty);
        let balance = receiver.as_ref().map_or(U256::ZERO, |it| it.balance);
        if !plain || balance.checked_add(transaction.value).is_none() {
            view.log.accounts.clear();
            return Ok(None);
        }
        if let [.., first, second] = view.log.accounts.as_mut_slice() {
            first.needs = BalanceNeed::AtLeast(most);
            first.needs_nonce = true;
            second.needs_presence = transaction.value.is_zero();
        }
        let (debit, fee) = self.costs(transaction);
        let writes = &mut effects.writes;
        // In its turn the transaction has seen the final state, so that its own is final too.
        let in_turn = view.assumed.is_none();
        let mut write = |address, before, addition: AccountDelta| {
            let write = match addition.apply(before) {
                Some(after) if in_turn && address != view.fees.beneficiary => AccountWrite::Set(Some(after)),
                _ => AccountWrite::Add(addition),
            };
            writes.accounts.push((address, write));
        };
        write(transaction.caller, Some(sender), AccountDelta { debit, nonce: 1, ..AccountDelta::default() });
        if !transaction.value.is_zero() {
            write(to, receiver, AccountDelta { credit: transaction.value, ..AccountDelta::default() });
        }
        writes.fee = fee;
        std::mem::swap(&mut effects.reads.accounts, &mut view.log.accounts);
        Ok(Some(self.result()))
    }

    /// Executes the transaction, if it is a plain transfer, one after the other in its turn: the accounts are changed where the batch
    /// has them. Says what the beneficiary is paid.
    pub(super) fn run_in_batch<D: DatabaseRef>(
        &self,
        transaction: &TxEnv,
        view: &mut View<'_, D>,
    ) -> Result<Option<(ExecutionResult, U256)>, D::Error> {
        let TxKind::Call(to) = transaction.kind else { return Ok(None) };
        if !self.admits(transaction) || self.precompiles.contains(&to) {
            return Ok(None);
        }
        let Ok(most) = transaction.max_balance_spending() else { return Ok(None) };
        let Some([mut sender, mut receiver]) = view.pair(transaction.caller, to)? else { return Ok(None) };
        let (debit, fee) = self.costs(transaction);
        let may_pay = sender.info().is_some_and(|sender| {
            sender.is_empty_code_hash()
                && sender.nonce == transaction.nonce
                && sender.nonce < u64::MAX
                && sender.balance >= most
                && sender.balance >= debit
        });
        let value = transaction.value;
        let may_receive = receiver.info().is_none_or(|receiver| {
            receiver.is_code_hash_empty_or_zero()
                // An account that is there and empty is removed when it is touched.
                && (!value.is_zero() || !receiver.is_empty())
                && receiver.balance.checked_add(value).is_some()
        });
        if !may_pay || !may_receive {
            return Ok(None);
        }
        sender.change(|info| {
            info.balance -= debit;
            info.nonce += 1;
        });
        if !value.is_zero() {
            receiver.change(|info| info.balance += value);
        }
        Ok(Some((self.result(), fee)))
    }

    /// What a plain transfer takes from its sender, and what of it the beneficiary is paid.
    fn costs(&self, transaction: &TxEnv) -> (U256, U256) {
        let price = transaction.effective_gas_price(self.base_fee);
        let tip =
            if self.spec.is_enabled_in(SpecId::LONDON) { price.saturating_sub(self.base_fee) } else { price };
        let used = U256::from(self.gas.tx_gas_used());
        let debit = (U256::from(price) * used).saturating_add(transaction.value);
        (debit, U256::from(tip) * used)
    }

    fn result(&self) -> ExecutionResult {
        ExecutionResult::Success {
            reason: SuccessReason::Stop,
            gas: self.gas,
            logs: Vec::new(),
            output: Output::Call(Bytes::new()),
        }
    }

    /// Whether the transaction may be a plain transfer, as far as it says itself.
    fn admits(&self, transaction: &TxEnv) -> bool {
        let kind_is_known = match TransactionType::from(transaction.tx_type) {
            TransactionType::Legacy => true,
            TransactionType::Eip2930 => self.spec.is_enabled_in(SpecId::BERLIN),
            TransactionType::Eip1559 => {
                self.spec.is_enabled_in(SpecId::LONDON)
                    && transaction.gas_priority_fee.is_some_and(|tip| tip <= transaction.gas_price)
            }
            _ => false,
        };
        let chain_fits = match transaction.chain_id {
            Some(chain_id) => chain_id == self.chain_id,
            None => transaction.tx_type == TransactionType::Legacy as u8,
        };
        kind_is_known
            && chain_fits
            && transaction.data.is_empty()
            && transaction.access_list.0.is_empty()
            && transaction.authorization_list.is_empty()
            && transaction.blob_hashes.is_empty()
            && transaction.gas_price >= self.base_fee
            && transaction.gas_limit <= self.block_gas_limit.min(self.gas_limit_cap)
            && transaction.gas_limit >= self.gas.tx_gas_used()
    }
}
