//! What the block's beneficiary earns, kept out of the transactions' way.
//!
//! Every transaction pays the same account. So that they do not wait for each other, a transaction only says what it
//! pays; the fees of those that are final are added up here, and whoever looks at the beneficiary finds them added.

use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, U256};
use revm::{primitives::hardfork::SpecId, state::AccountInfo};

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
