//! What one request, and all of them together, may take.

use std::time::Duration;

/// The limits of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most bytes of a request.
    pub(crate) body: u32,
    /// The most requests in a batch, and transactions in a request.
    pub(crate) batch: u32,
    /// The most connections at a time.
    pub(crate) connections: u32,
    /// How long a request waits for the analysis of codes.
    pub(crate) analysis: Duration,
    /// How long a request may take to arrive and be answered.
    pub(crate) request: Duration,
    /// How many requests are worked on at a time; the others wait.
    pub(crate) workers: usize,
    /// How many requests that were answered without all of their hints are worked on behind that.
    pub(crate) background: usize,
}
