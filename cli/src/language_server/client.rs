//! What the client can do, and how to talk to it.

use gen_lsp_types::InitializeParams;
use lsp_server::{Message, Notification, Request, RequestId};
use serde_json::{Value, json};

use super::{encoding::Encoding, transport::Outgoing};

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    out: crossbeam_channel::Sender<Outgoing>,
    next: i32,
    /// What positions are counted in.
    pub(super) encoding: Encoding,
    capabilities: Value,
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// For those who look into the log.
    Log,
    /// Something should be done.
    Warning,
}

impl Client {
    /// A client of whom nothing is known yet.
    pub(super) fn new(out: crossbeam_channel::Sender<Outgoing>) -> Self {
        Self { out, next: 0, encoding: Encoding::default(), capabilities: Value::Null }
    }

    /// Takes note of what the client can do.
    pub(super) fn learn(&mut self, parameters: &InitializeParams) {
        self.capabilities = serde_json::to_value(&parameters.capabilities).unwrap_or_default();
        let offered = self.capabilities.pointer("/general/positionEncodings").and_then(Value::as_array);
        let offered = offered.into_iter().flatten().filter_map(Value::as_str);
        self.encoding = Encoding::choose(offered);
    }

    /// Whether a capability such as `/workspace/configuration` is there and not `false`.
    pub(super) fn can(&self, pointer: &str) -> bool {
        self.capabilities
            .pointer(pointer)
            .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
    }

    /// Whether diagnostics are asked for rather than sent: the client has to be one that can be told to ask again.
    pub(super) fn pulls(&self) -> bool {
        self.can("/textDocument/diagnostic")
            && (self.can("/workspace/diagnostics/refreshSupport")
                || self.can("/workspace/diagnostic/refreshSupport"))
    }

    /// Sends a message.
    pub(super) fn send(&self, message: impl Into<Message>) {
        // The writer goes only when the client has.
        let _ = self.out.send(Outgoing::Message(message.into()));
    }

    /// Answers what had no identifier.
    pub(super) fn malformed(&self, code: i32, text: String) {
        let _ = self.out.send(Outgoing::Malformed(code, text));
    }

    /// Sends a notification.
    pub(super) fn notify(&self, method: &str, parameters: Value) {
        self.send(Notification { method: method.to_owned(), params: parameters });
    }

    /// Sends a request, whose answer will have this identifier.
    pub(super) fn request(&mut self, method: &str, parameters: Value) -> RequestId {
        self.next += 1;
        let id = RequestId::from(format!("deconflict-{}", self.next));
        self.send(Request { id: id.clone(), method: method.to_owned(), params: parameters });
        id
    }

    /// Tells the user something.
    pub(super) fn say(&self, urgency: Urgency, text: &str) {
        match urgency {
            Urgency::Log => self.notify("window/logMessage", json!({ "type": 3, "message": text })),
            Urgency::Warning => {
                self.notify("window/logMessage", json!({ "type": 2, "message": text }));
                self.notify("window/showMessage", json!({ "type": 2, "message": text }));
            }
        }
    }
}
