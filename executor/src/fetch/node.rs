//! What is asked of a node, and how often.
//!
//! In: methods and parameters. Out: results, or why there is none. How requests travel is the business of whoever
//! implements [`Node`]; [`Patient`] asks again where that may help, and never faster than it is allowed to.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use thiserror::Error;

/// Something that answers JSON-RPC.
pub trait Node: Sync {
    /// Calls a method.
    fn call(&self, method: &str, params: Value) -> Result<Value, NodeError>;
}

/// Why a node has not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NodeError {
    /// It cannot be reached, or has broken off.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the node did not answer in time")]
    TimedOut,
    /// It says that it is asked too often.
    #[error("the node asks for fewer requests: {0}; name a lower --rate-limit")]
    Limited(String),
    /// It refuses.
    #[error("the node refuses: {message} (code {code})")]
    Refused {
        /// The number of the error.
        code: i32,
        /// What the node says.
        message: String,
    },
    /// Its answer is not what such an answer has to be.
    #[error("the node's answer makes no sense: {0}")]
    Malformed(String),
}

impl NodeError {
    /// Whether the same request may be answered the next time.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut | Self::Limited(_))
    }
}

/// How patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How often to ask again.
    pub retries: u32,
    /// How long to wait before the first time; twice as long before each next.
    pub pause: Duration,
    /// The most requests a second, if there is a limit.
    pub rate: Option<u32>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { retries: 5, pause: Duration::from_millis(200), rate: None }
    }
}

/// A node that is asked again where that may help, and never faster than is allowed.
#[derive(Debug)]
pub struct Patient<N> {
    node: N,
    patience: Patience,
    next: Mutex<Instant>,
}

impl<N: Node> Patient<N> {
    /// Asks `node` so patiently.
    pub fn new(node: N, patience: Patience) -> Self {
        Self { node, patience, next: Mutex::new(Instant::now()) }
    }

    /// Waits for the next request's turn.
    fn wait(&self) {
        let Some(rate) = self.patience.rate else { return };
        let step = Duration::from_secs(1) / rate.max(1);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + step;
        drop(next);
        thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}

impl<N: Node> Node for Patient<N> {
    fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let mut pause = self.patience.pause;
        for _ in 0..self.patience.retries {
            self.wait();
            match self.node.call(method, params.clone()) {
                Err(error) if error.is_passing() => thread::sleep(pause),
                answer => return answer,
            }
            pause *= 2;
        }
        self.wait();
        self.node.call(method, params)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Mutex,
        time::{Duration, Instant},
    };

    use serde_json::{Value, json};

    use super::{Node, NodeError, Patience, Patient};

    /// Fails in these ways, one after the other, and then answers.
    struct Failing(Mutex<Vec<NodeError>>);

    impl Node for Failing {
        fn call(&self, _: &str, _: Value) -> Result<Value, NodeError> {
            self.0.lock().expect("nobody panics").pop().map_or(Ok(json!("0x1")), Err)
        }
    }

    fn patient(errors: Vec<NodeError>, rate: Option<u32>) -> Patient<Failing> {
        let patience = Patience { retries: 3, pause: Duration::from_millis(1), rate };
        Patient::new(Failing(Mutex::new(errors)), patience)
    }

    #[test]
    fn what_passes_is_waited_for() {
        let node = patient(vec![NodeError::TimedOut, NodeError::Unreachable("gone".to_owned())], None);
        assert_eq!(node.call("eth_chainId", json!([])), Ok(json!("0x1")));
        let node = patient(vec![NodeError::TimedOut; 4], None);
        assert_eq!(node.call("eth_chainId", json!([])), Err(NodeError::TimedOut));
    }

    #[test]
    fn what_stays_is_said_at_once() {
        let refused = NodeError::Refused { code: -32601, message: "no such method".to_owned() };
        let node = patient(vec![NodeError::TimedOut, refused.clone()], None);
        assert_eq!(node.call("eth_chainId", json!([])), Err(refused));
    }

    #[test]
    fn requests_keep_their_distance() {
        let node = patient(Vec::new(), Some(200));
        let start = Instant::now();
        for _ in 0..11 {
            assert!(node.call("eth_chainId", json!([])).is_ok());
        }
        assert!(start.elapsed() >= Duration::from_millis(50));
    }
}
