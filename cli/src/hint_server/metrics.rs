//! What the server counts, in the text format of Prometheus.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// The counters.
pub(crate) struct Metrics {
    registry: Registry,
    /// Requests that were answered.
    pub(crate) requests: Counter,
    /// Requests that were answered by an error.
    pub(crate) errors: Counter,
    /// Hints that were given.
    pub(crate) hints: Counter,
    /// Hints that were complete.
    pub(crate) complete: Counter,
    /// Hints that were not ready in time.
    pub(crate) pending: Counter,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    /// Connections that were turned away.
    pub(crate) refused: Counter,
    seconds: Histogram,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("deconflict");
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let requests = counter(&mut registry, "requests", "Requests that were answered");
        let errors = counter(&mut registry, "errors", "Requests that were answered by an error");
        let hints = counter(&mut registry, "hints", "Hints that were given");
        let complete = counter(&mut registry, "complete_hints", "Hints that were complete");
        let pending = counter(&mut registry, "pending_hints", "Hints whose codes were still being analysed");
        let refused = counter(&mut registry, "refused_connections", "Connections beyond the limit");
        let connections = Gauge::default();
        registry.register("connections", "Connections that are open", connections.clone());
        let seconds = Histogram::new(exponential_buckets(10e-6, 2.0, 20));
        registry.register("request_seconds", "The time that requests took", seconds.clone());
        Self { registry, requests, errors, hints, complete, pending, connections, refused, seconds }
    }
}

impl Metrics {
    /// A request was answered.
    pub(crate) fn answered(&self, took: Duration, right: bool) {
        self.requests.inc();
        if !right {
            self.errors.inc();
        }
        self.seconds.observe(took.as_secs_f64());
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
