//! Messages on standard input and output.
//!
//! In: bytes. Out: one [`Incoming`] a message. What is no message is handed on as such, with the reading going on at the
//! next header, so that one malformed message costs that message alone.

use std::{
    io::{self, BufRead, Read, Write},
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender};
use lsp_server::Message;
use serde_json::json;

use super::Event;

/// More than this is no message but a header that lies.
const MAX_LENGTH: usize = 1 << 28;

/// What was read.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message.
    Message(Message),
    /// Something else, with the code and the text of the answer to it.
    Malformed(i32, String),
    /// There is nothing more to read.
    Closed,
}

/// What is to be written.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message.
    Message(Message),
    /// The answer to something that had no identifier.
    Malformed(i32, String),
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct MessageOutput {
    /// Takes what is to be written.
    pub(super) sender: Sender<Outgoing>,
    thread: JoinHandle<()>,
}

impl MessageOutput {
    /// Waits until everything is written. All other senders have to be gone.
    pub(super) fn finish(self) {
        drop(self.sender);
        // A writer that has failed has nobody left to write to.
        let _ = self.thread.join();
    }
}

/// Starts to read and write.
pub(super) fn start(events: Sender<Event>) -> MessageOutput {
    thread::spawn(move || read_all(&mut io::stdin().lock(), &events));
    let (sender, messages) = crossbeam_channel::unbounded();
    let thread = thread::spawn(move || write_all(&mut io::stdout().lock(), &messages));
    MessageOutput { sender, thread }
}

fn read_all(input: &mut impl BufRead, events: &Sender<Event>) {
    loop {
        let incoming = read_one(input).unwrap_or(Incoming::Closed);
        let closed = matches!(incoming, Incoming::Closed);
        if events.send(Event::Incoming(incoming)).is_err() || closed {
            return;
        }
    }
}

/// Reads headers up to an empty line, then as many bytes as they say.
fn read_one(input: &mut impl BufRead) -> io::Result<Incoming> {
    let mut length = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(Incoming::Closed);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            // Blank lines before a header are noise.
            if length.is_some() {
                break;
            }
            continue;
        }
        if let Some((name, value)) = text.split_once(':')
            && name.trim().eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok().filter(|&it| it <= MAX_LENGTH);
            if length.is_none() {
                return Ok(Incoming::Malformed(-32700, format!("`{text}` is no length of a message")));
            }
        }
    }
    let length = length.expect("the loop ends with a length alone");
    let mut body = Vec::new();
    input.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Ok(Incoming::Closed);
    }
    Ok(parse(&body))
}

fn parse(body: &[u8]) -> Incoming {
    if let Ok(message) = serde_json::from_slice::<Message>(body) {
        return Incoming::Message(message);
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(_) => Incoming::Malformed(-32600, "this is JSON, but no JSON-RPC message".to_owned()),
        Err(error) => Incoming::Malformed(-32700, format!("this is no JSON: {error}")),
    }
}

fn write_all(output: &mut impl Write, messages: &Receiver<Outgoing>) {
    for outgoing in messages {
        let written = match outgoing {
            Outgoing::Message(message) => message.write(output),
            Outgoing::Malformed(code, message) => {
                let answer =
                    json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } });
                let text = answer.to_string();
                write!(output, "Content-Length: {}\r\n\r\n{text}", text.len()).and_then(|()| output.flush())
            }
        };
        // The client is gone; the reader notices as well.
        if written.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_malformed_message_costs_that_message_alone() {
        let good = r#"{"jsonrpc":"2.0","method":"exit"}"#;
        let mut text = String::new();
        text.push_str("Content-Length: 9\r\n\r\n{\"id\": 7,");
        text.push_str("Nonsense\r\nContent-Length: many\r\n\r\n");
        text.push_str("Content-Length: 2\r\n\r\n{}");
        text.extend(["content-length: ", &good.len().to_string(), "\r\nContent-Type: x\r\n\r\n", good]);
        text.push_str("Content-Length: 99\r\n\r\ncut off");
        let mut input = text.as_bytes();
        let mut next = || read_one(&mut input).expect("memory can be read");
        assert!(matches!(next(), Incoming::Malformed(-32700, _)));
        assert!(matches!(next(), Incoming::Malformed(-32700, _)));
        assert!(matches!(next(), Incoming::Malformed(-32600, _)));
        assert!(matches!(next(), Incoming::Message(Message::Notification(it)) if it.method == "exit"));
        assert!(matches!(next(), Incoming::Closed));
    }
}
