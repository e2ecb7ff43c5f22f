//! A server of hints: JSON-RPC 2.0 over lines, HTTP and Unix sockets.
//!
//! In: requests, and states to predict on. Out: hints, plans and templates. Whatever is asked, a worker is held no longer
//! than its budget, memory is bounded by the limits, and what is not known is marked in the answer.

mod admission;
mod state;
mod metrics;
mod pool;
mod request;
mod service;
mod bases;
mod head;
mod http;
mod limits;
mod work;
mod lines;
mod listen;
mod methods;
mod rpc;
mod socket;
mod upstream;

pub(crate) use limits::Limits;
pub(crate) use lines::serve_lines;
pub(crate) use listen::{Door, Guests, serve};
pub(crate) use service::Service;
pub(crate) use state::{NodeState, View};
pub(crate) use upstream::Upstream;
