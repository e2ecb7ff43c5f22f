//! A node that may fall silent.
//!
//! In: questions. Out: answers, or why there is none. Whoever asks waits no longer than he wants to, because questions wait
//! on threads of their own; while the node is silent it is not asked at all, but by whoever finds out whether it still is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{RecvTimeoutError, bounded};
use deconflict_executor::fetch::{Node, NodeError};
use serde_json::Value;

/// How long a node that has not answered is not asked again: else each piece of state would wait as long.
const PAUSE: Duration = Duration::from_secs(1);

/// How often whoever waits looks whether he still wants to.
const GLANCE: Duration = Duration::from_millis(5);

/// The most questions that wait at a time.
const MOST: usize = 256;

/// Asked now and then by whoever waits: whether it is enough.
pub(crate) type Stop<'a> = &'a dyn Fn() -> bool;

/// A node, and how it has behaved.
pub(crate) struct Upstream {
    node: Box<dyn Node + Send + Sync>,
    /// After how long without any answer it is not asked more.
    longest: Option<Duration>,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    /// Since when questions wait, by their numbers.
    waiting: BTreeMap<u64, Instant>,
    number: u64,
    /// When it last answered, whatever it said.
    answered: Option<Instant>,
    /// Until when it is not asked, because it has not answered.
    silent_until: Option<Instant>,
    unanswered: usize,
    problem: Option<String>,
}

impl Upstream {
    /// A node. With `longest`, it is taken to be silent when a question has waited so long and nothing else was answered.
    pub(crate) fn new(node: Box<dyn Node + Send + Sync>, longest: Option<Duration>) -> Self {
        Self { node, longest, record: Mutex::default() }
    }

    /// Asks, and waits for the answer until `stop` says that it is enough. What comes later is lost.
    pub(crate) fn ask(
        self: &Arc<Self>,
        method: &'static str,
        params: Value,
        stop: Stop<'_>,
    ) -> Result<Value, String> {
        if self.is_silent() {
            self.lock().unanswered += 1;
            return Err("it has not answered others, and is not asked for a while".to_owned());
        }
        if self.lock().waiting.len() >= MOST {
            return Err("too many questions wait for it".to_owned());
        }
        let (tell, told) = bounded(1);
        let own = Arc::clone(self);
        let question = move || {
            // Whoever asked may wait no longer.
            let _ = tell.send(own.call(method, params));
        };
        let thread = thread::Builder::new().name("question".to_owned()).spawn(question);
        thread.map_err(|error| format!("there is no thread to ask it on: {error}"))?;
        loop {
            match told.recv_timeout(GLANCE) {
                Ok(answer) => return answer.map_err(|error| error.to_string()),
                Err(RecvTimeoutError::Timeout) if !stop() => {}
                Err(_) => return Err("nobody waits for its answer any more".to_owned()),
            }
        }
    }

    /// How many questions it has not answered, and what was wrong the last time.
    pub(crate) fn unanswered(&self) -> Option<(usize, String)> {
        let record = self.lock();
        record.problem.clone().map(|problem| (record.unanswered, problem))
    }

    /// Whether it is not asked at present, because it does not answer.
    pub(crate) fn is_silent(&self) -> bool {
        let record = self.lock();
        if record.silent_until.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        let Some(longest) = self.longest else { return false };
        let waits = record.waiting.first_key_value().is_some_and(|(_, since)| since.elapsed() > longest);
        waits && record.answered.is_none_or(|last| last.elapsed() > longest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node for Upstream {
    /// Asks whether it is silent or not, and waits as long as it takes.
    fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let number = {
            let mut record = self.lock();
            record.number += 1;
            let number = record.number;
            record.waiting.insert(number, Instant::now());
            number
        };
        let answer = self.node.call(method, params);
        let mut record = self.lock();
        record.waiting.remove(&number);
        if let Err(error) = &answer {
            record.unanswered += 1;
            record.problem = Some(error.to_string());
        }
        if matches!(answer, Err(NodeError::Unreachable(_) | NodeError::TimedOut | NodeError::Limited(_))) {
            record.silent_until = Some(Instant::now() + PAUSE);
        } else {
            // A refusal is an answer.
            record.answered = Some(Instant::now());
            record.silent_until = None;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use serde_json::json;

    use super::*;

    /// Answers when it is let go on.
    struct Stalled {
        go_on: Arc<Barrier>,
        asked: Arc<AtomicUsize>,
    }

    impl Node for Stalled {
        fn call(&self, method: &str, _: Value) -> Result<Value, NodeError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if method == "stalls" {
                self.go_on.wait();
                return Err(NodeError::TimedOut);
            }
            Ok(json!(method))
        }
    }

    #[test]
    fn nobody_waits_longer_than_he_wants_to() {
        let (go_on, asked) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
        let node = Stalled { go_on: Arc::clone(&go_on), asked: Arc::clone(&asked) };
        let upstream = Arc::new(Upstream::new(Box::new(node), Some(Duration::from_millis(20))));
        assert_eq!(upstream.ask("works", json!([]), &|| false), Ok(json!("works")));
        let looked = AtomicBool::new(false);
        let stop = || looked.swap(true, Ordering::SeqCst);
        assert!(upstream.ask("stalls", json!([]), &stop).is_err(), "it is given up at the second look");
        // The question still waits, and after a while nobody else asks.
        while !upstream.is_silent() {
            thread::sleep(Duration::from_millis(1));
        }
        let before = asked.load(Ordering::SeqCst);
        assert!(upstream.ask("works", json!([]), &|| false).is_err());
        assert_eq!(asked.load(Ordering::SeqCst), before);
        // Who finds out whether it answers again is not held up.
        assert_eq!(upstream.call("works", json!([])), Ok(json!("works")));
        assert!(!upstream.is_silent());
        go_on.wait();
        while upstream.unanswered().is_none() {
            thread::yield_now();
        }
        assert!(upstream.is_silent(), "it has not answered, and is left alone for a while");
        assert!(upstream.unanswered().is_some_and(|(_, problem)| problem.contains("in time")));
    }
}
