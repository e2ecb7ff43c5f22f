//! What formats share: why hints cannot be written, and bytes as a line of text.
//!
//! Nothing here knows a format.

use alloy_primitives::hex;
use thiserror::Error;

/// Why hints cannot be written in a format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The format is about a plan, and there is none.
    #[error("`{format}` is about the plan of a block: ask for the tier `plan`")]
    PlanMissing {
        /// The format.
        format: &'static str,
    },
    /// The format bounds its size.
    #[error(
        "the hints take {size} bytes in `{format}`, which allows {limit}: ask for fewer transactions, or for `bin`"
    )]
    TooLarge {
        /// The format.
        format: &'static str,
        /// The bytes that it would take.
        size: usize,
        /// The bytes that it may take.
        limit: usize,
    },
}

/// A line with the bytes as `0x` and digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let mut text = hex::encode_prefixed(bytes).into_bytes();
    text.push(b'\n');
    text
}
