//! Why a request is not answered as it was meant.
//!
//! Plain data; the numbers that JSON-RPC has for it are where answers are written.

/// Why a request is not answered as it was meant.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something is wrong with what it says.
    Params(String),
    /// It asks for too much.
    TooMuch(String),
    /// The server cannot do it.
    Internal(String),
}
