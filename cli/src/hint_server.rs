//! A server of hints: JSON-RPC 2.0 over lines, HTTP and Unix sockets.
//!
//! In: requests, and states to predict on. Out: hints, plans and templates. Whatever is asked, a worker is held no longer
//! than its budget, memory is bounded by the limits, and what is not known is marked in the answer.

mod refusal;
mod admission;
mod metrics;
mod pool;
mod request;
mod head;
mod bases;
mod limits;
mod work;
mod service;
mod methods;
mod rpc;
mod http;
mod lines;
mod socket;
mod listen;

pub(crate) use limits::Limits;
pub(crate) use lines::serve_lines;
pub(crate) use listen::{Door, Guests, serve};
pub(crate) use service::Service;

use crate::node::{state, upstream};
