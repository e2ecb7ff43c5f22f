//! Transactions that pay nobody: the fee is computed as revm does, and handed on instead of paid.
//!
//! In: an engine with a transaction. Out: its result, and what the beneficiary is to be paid. The beneficiary's account is
//! never loaded here.

use alloy_primitives::U256;
use revm::{
    DatabaseRef,
    context::{Block as _, Cfg as _, Transaction as _},
    context_interface::result::{EVMError, HaltReason, InvalidTransaction},
    handler::{EvmTr as _, FrameResult, Handler},
    interpreter::Gas,
    primitives::hardfork::SpecId,
};

use super::engine::Engine;
use crate::view::View;

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
