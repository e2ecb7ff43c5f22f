//! What the block's beneficiary earns, kept out of the transactions' way.
//!
//! Every transaction pays the same account. So that they do not wait for each other, a transaction only says what it
//! pays; the fees of those that are final are added up here, and whoever looks at the beneficiary finds them added.

use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, U256};
use revm::{
    DatabaseRef,
    context::{Block as _, Cfg as _, Transaction as _},
    context_interface::result::{EVMError, HaltReason, InvalidTransaction},
    handler::{EvmTr as _, FrameResult, Handler},
    interpreter::Gas,
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

use crate::view::{Engine, View};

/// The fees of the transactions that are final.
#[derive(Debug)]
pub(crate) struct Fees {
    pub(crate) beneficiary: Address,
    total: Mutex<Total>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    amount: U256,
    /// Whether anything was paid, be it nothing.
    paid: bool,
}

impl Fees {
    pub(crate) fn new(beneficiary: Address) -> Self {
        Self { beneficiary, total: Mutex::default() }
    }

    /// Pays the fee of the next transaction; `earlier` says whether what was earned before is still the beneficiary's
    /// and not yet part of its account.
    pub(crate) fn pay(&self, fee: U256, earlier: bool) {
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if earlier { total.amount } else { U256::ZERO };
        *total = Total { amount: before.saturating_add(fee), paid: true };
    }

    /// The account at `address` with what it has earned.
    pub(crate) fn add_to(
        &self,
        address: Address,
        info: Option<AccountInfo>,
        spec: SpecId,
    ) -> Option<AccountInfo> {
        if address != self.beneficiary {
            return info;
        }
        let total = *self.total.lock().unwrap_or_else(PoisonError::into_inner);
        // Before Spurious Dragon an account that is paid nothing comes into being all the same.
        if total.amount.is_zero() && (!total.paid || spec.is_enabled_in(SpecId::SPURIOUS_DRAGON)) {
            return info;
        }
        let mut info = info.unwrap_or_default();
        info.balance = info.balance.saturating_add(total.amount);
        Some(info)
    }
}

/// Runs transactions as revm does, except that the beneficiary is not paid.
#[derive(Debug)]
pub(crate) struct Unpaid<'h, 'a, D> {
    /// What the beneficiary is to be paid, when the transaction has run.
    pub(crate) fee: std::cell::Cell<U256>,
    pub(crate) _view: std::marker::PhantomData<(&'h (), View<'a, D>)>,
}

impl<'a, D: DatabaseRef> Handler for Unpaid<'_, 'a, D> {
    type Evm = Engine<'a, D>;
    type Error = EVMError<D::Error, InvalidTransaction>;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Self::Evm, result: &mut FrameResult) -> Result<(), Self::Error> {
        self.fee.set(fee(evm, result.gas()));
        Ok(())
    }
}

fn fee<D: DatabaseRef>(evm: &Engine<'_, D>, gas: &Gas) -> U256 {
    let context = evm.ctx_ref();
    if context.cfg.is_fee_charge_disabled() {
        return U256::ZERO;
    }
    let base_fee = u128::from(context.block.basefee());
    let price = context.tx.effective_gas_price(base_fee);
    let earned =
        if context.cfg.spec.is_enabled_in(SpecId::LONDON) { price.saturating_sub(base_fee) } else { price };
    U256::from(earned * u128::from(gas.used().saturating_sub(gas.reservoir())))
}
