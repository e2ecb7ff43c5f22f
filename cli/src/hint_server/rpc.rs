//! JSON-RPC 2.0 as text: requests, notifications and batches of both.
//!
//! In: a text. Out: the text to answer with, or none where nobody waits for one. An `id` is given back as it was written,
//! whatever kind of number or string it is. Never: an answer to a notification.

use std::{borrow::Cow, sync::Arc, time::Instant};

use jsonrpsee::types::error::{INVALID_REQUEST_CODE, PARSE_ERROR_CODE};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    methods::{self, MethodFailure},
    service::Service,
};

/// The most bytes of all answers to a batch.
const MAX_ANSWER: usize = 256 << 20;

/// The number of the error for texts that are too long.
const TOO_LONG: i32 = -32_007;

/// The number of the error for batches that are too large.
const TOO_MANY: i32 = -32_010;

/// The number of the error for answers that are too large.
const TOO_LARGE: i32 = -32_011;

/// A request as it is written. What is there and null is there.
#[derive(Default, Deserialize)]
struct Request<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "there")]
    id: Option<&'a RawValue>,
}

fn there<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What a request asks for.
struct Call<'a> {
    method: Cow<'a, str>,
    params: Option<&'a RawValue>,
    /// None if nobody waits for an answer.
    id: Option<&'a RawValue>,
}

/// The answer to a text.
pub(super) async fn answer(service: &Arc<Service>, text: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Some(reject(service, PARSE_ERROR_CODE, "it is no UTF-8"));
    };
    let text = text.trim();
    if text.starts_with('[') { batch(service, text).await } else { one(service, text).await }
}

/// The answer to a text that is longer than is read.
pub(super) fn too_long(service: &Service) -> String {
    let most = service.limits.body;
    reject(service, TOO_LONG, &format!("it is longer than {most} bytes, which is what `--max-body` allows"))
}

async fn batch(service: &Arc<Service>, text: &str) -> Option<String> {
    let requests = match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(requests) => requests,
        Err(error) => return Some(reject(service, PARSE_ERROR_CODE, &format!("it is no JSON: {error}"))),
    };
    if requests.is_empty() {
        return Some(reject(service, INVALID_REQUEST_CODE, "there is no request in the batch"));
    }
    let most = service.limits.batch;
    if requests.len() > most as usize {
        let message =
            format!("{} requests are more than {most}, which is what `--max-batch` allows", requests.len());
        return Some(reject(service, TOO_MANY, &message));
    }
    let mut answers = String::new();
    for request in requests {
        let Some(answer) = one(service, request.get()).await else { continue };
        if answers.len() + answer.len() > MAX_ANSWER {
            let message = format!("the answers to the batch have more than {MAX_ANSWER} bytes: ask in parts");
            return Some(reject(service, TOO_LARGE, &message));
        }
        answers.push(if answers.is_empty() { '[' } else { ',' });
        answers.push_str(&answer);
    }
    // Nobody waits for anything if all of them were notifications.
    (!answers.is_empty()).then(|| answers + "]")
}

async fn one(service: &Arc<Service>, text: &str) -> Option<String> {
    let start = Instant::now();
    let call = match read(text) {
        Ok(call) => call,
        Err((id, MethodFailure { code, message })) => {
            service.metrics.answered(start.elapsed(), false);
            return Some(failed(id, code, &message));
        }
    };
    let result = methods::call(service, &call.method, call.params).await;
    service.metrics.answered(start.elapsed(), result.is_ok());
    let id = call.id?.get();
    Some(match result {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.get()),
        Err(MethodFailure { code, message }) => failed(id, code, &message),
    })
}

/// What a text asks for, or the `id` to refuse it by, and why.
fn read(text: &str) -> Result<Call<'_>, (&str, MethodFailure)> {
    let failure = |code, message: String| MethodFailure { code, message };
    let invalid = |message: &str| failure(INVALID_REQUEST_CODE, message.to_owned());
    let unread = |error: serde_json::Error| {
        if error.is_data() {
            failure(INVALID_REQUEST_CODE, format!("it is no request: {error}"))
        } else {
            failure(PARSE_ERROR_CODE, format!("it is no JSON: {error}"))
        }
    };
    // Any JSON is read by what expects nothing.
    let request = if text.starts_with('{') {
        serde_json::from_str::<Request<'_>>(text)
    } else {
        serde_json::from_str::<IgnoredAny>(text).map(|_| Request::default())
    };
    let request = request.map_err(|error| ("null", unread(error)))?;
    let id = request.id.map_or("null", RawValue::get);
    if !matches!(id.as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9' | b'n')) {
        return Err(("null", invalid("its `id` is no string, no number and not null")));
    }
    let word = |value: &RawValue| serde_json::from_str::<Cow<'_, str>>(value.get()).map(Cow::into_owned).ok();
    if request.jsonrpc.and_then(word).as_deref() != Some("2.0") {
        return Err((id, invalid("its `jsonrpc` is not \"2.0\"")));
    }
    let Some(method) = request.method.and_then(word) else {
        return Err((id, invalid("its `method` is no string")));
    };
    let params = request.params.filter(|params| params.get() != "null");
    if params.is_some_and(|params| !params.get().starts_with(['{', '['])) {
        return Err((id, invalid("its `params` are no object and no list")));
    }
    Ok(Call { method: method.into(), params, id: request.id })
}

/// Refuses a text that is no single request.
fn reject(service: &Service, code: i32, message: &str) -> String {
    service.metrics.answered(std::time::Duration::ZERO, false);
    failed("null", code, message)
}

fn failed(id: &str, code: i32, message: &str) -> String {
    let message = serde_json::Value::from(message);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, i32) {
        match read(text) {
            Ok(call) => panic!("{text} is taken for a call of {}", call.method),
            Err((id, failure)) => (id.to_owned(), failure.code),
        }
    }

    #[test]
    fn every_valid_id_is_kept_as_it_is_written() {
        let ids = [
            "0",
            "-7",
            "1.50",
            "-0.0",
            "1e3",
            "18446744073709551616",
            "123456789012345678901234567890",
            "null",
            "\"\"",
            "\"a\\u00e9\\\"b\"",
            "\"7\"",
        ];
        for id in ids {
            let text = format!(r#"{{"jsonrpc": "2.0", "id": {id}, "method": "m"}}"#);
            let call = read(&text).unwrap_or_else(|(_, failure)| panic!("{id}: {}", failure.message));
            assert_eq!(call.id.map(RawValue::get), Some(id));
            let text = format!(r#"{{"id": {id}, "method": "m"}}"#);
            assert_eq!(refused(&text), (id.to_owned(), INVALID_REQUEST_CODE), "an error has it as well");
        }
        assert!(read(r#"{"jsonrpc": "2.0", "method": "m"}"#).is_ok_and(|call| call.id.is_none()));
    }

    #[test]
    fn what_is_no_request_is_told_from_what_is_no_json() {
        for id in ["{}", "[1]", "true", "false"] {
            let text = format!(r#"{{"jsonrpc": "2.0", "id": {id}, "method": "m"}}"#);
            assert_eq!(refused(&text), ("null".to_owned(), INVALID_REQUEST_CODE), "{id}");
        }
        for text in
            ["1", "null", "\"x\"", "{}", r#"{"jsonrpc": "2.0"}"#, r#"{"jsonrpc": "2.0", "method": 1}"#]
        {
            assert_eq!(refused(text).1, INVALID_REQUEST_CODE, "{text}");
        }
        assert_eq!(refused(r#"{"jsonrpc": "2.0", "method": "m", "params": 1, "id": 4}"#).0, "4");
        for text in ["", "{", "nonsense", "{]", "1 2", r#"{"jsonrpc": "2.0", "method": "m"} x"#] {
            assert_eq!(refused(text), ("null".to_owned(), PARSE_ERROR_CODE), "{text}");
        }
    }
}
