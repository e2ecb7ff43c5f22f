//! A node over HTTP.
//!
//! In: an address and how patient to be. Out: something that answers JSON-RPC, for as many threads as ask at once.

pub(crate) mod upstream;
pub(crate) mod state;

use std::time::Duration;

use anyhow::Context as _;
use deconflict_executor::fetch::{Node, NodeError, Patience, Patient};
use jsonrpsee::{
    core::{
        client::{ClientT as _, Error},
        traits::ToRpcParams,
    },
    http_client::{HttpClient, HttpClientBuilder},
};
use serde_json::{Value, value::RawValue};
use tokio::runtime::Runtime;

use crate::arguments::NodeOptions;

/// The most bytes of an answer: traces of full blocks are large.
const MAX_ANSWER: u32 = 1 << 30;

/// The code of "too many requests", which some nodes answer by.
const LIMITED: i32 = -32005;

/// A client, and the threads that it runs on.
#[derive(Debug)]
pub(crate) struct HttpNode {
    runtime: Runtime,
    client: HttpClient,
}

/// Parameters as they are.
struct Given(Value);

impl ToRpcParams for Given {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        serde_json::value::to_raw_value(&self.0).map(Some)
    }
}

/// How patient to be where the user does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usual {
    timeout: u64,
    retries: u32,
}

/// One user waits, and would rather wait than start again.
pub(crate) const ALONE: Usual = Usual { timeout: 60, retries: 5 };

/// Somebody waits for a page of text.
pub(crate) const BRIEF: Usual = Usual { timeout: 30, retries: 3 };

/// Many wait, and would rather have an answer that lacks something.
#[cfg(feature = "serve")]
pub(crate) const SERVING: Usual = Usual { timeout: 5, retries: 1 };

/// A node at an address. Nothing is asked of it yet.
pub(crate) fn connect(url: &str, options: &NodeOptions, usual: Usual) -> anyhow::Result<Patient<HttpNode>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("cannot start the threads of the client")?;
    let client = {
        let _inside = runtime.enter();
        HttpClientBuilder::default()
            .max_response_size(MAX_ANSWER)
            .request_timeout(Duration::from_secs(options.timeout.unwrap_or(usual.timeout)))
            .build(url)
            .with_context(|| format!("{url} is no address of a node"))?
    };
    let retries = options.retries.unwrap_or(usual.retries);
    let patience = Patience { retries, rate: options.rate_limit, ..Patience::default() };
    Ok(Patient::new(HttpNode { runtime, client }, patience))
}

impl Node for HttpNode {
    fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let answer: Result<Value, Error> = self.runtime.block_on(self.client.request(method, Given(params)));
        answer.map_err(|error| match error {
            Error::Call(object) if object.code() == LIMITED || object.code() == 429 => {
                NodeError::Limited(object.message().to_owned())
            }
            Error::Call(object) => {
                NodeError::Refused { code: object.code(), message: object.message().to_owned() }
            }
            Error::RequestTimeout => NodeError::TimedOut,
            Error::ParseError(error) => NodeError::Malformed(error.to_string()),
            Error::Transport(error) => {
                let text = whole(&*error);
                if text.contains("429") { NodeError::Limited(text) } else { NodeError::Unreachable(text) }
            }
            other => NodeError::Malformed(other.to_string()),
        })
    }
}

/// An error with all that caused it: the client's own text says no more than that it could not connect.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    // Some repeat what caused them.
    texts.dedup();
    texts.join(": ")
}
