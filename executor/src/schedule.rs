//! What transactions are likely to take, and whether several threads are worth while at all.
//!
//! In: predictions, or what transactions allow. Out: estimates in gas and nanoseconds. They decide about time only.

use crate::{
    access_set::AccessSet,
    tuning::{CALL_TIME, GAS_PER_NANOSECOND, TRANSFER_TIME},
};

/// The gas of a plain transfer.
pub(crate) const TRANSFER_GAS: u64 = 21_000;

/// The gas that a transaction is likely to use: what is predicted, as far as the transaction allows it.
pub(crate) fn gas(hint: Option<&AccessSet>, gas_limit: u64) -> u64 {
    hint.map_or(gas_limit, |hint| hint.gas.min(gas_limit))
}

/// The time that a transaction is likely to take, in nanoseconds.
pub(crate) fn cost(hint: Option<&AccessSet>, gas_limit: u64) -> u64 {
    let gas = gas(hint, gas_limit);
    if gas <= TRANSFER_GAS {
        return TRANSFER_TIME;
    }
    CALL_TIME + (gas - TRANSFER_GAS) / GAS_PER_NANOSECOND
}
