//! HTTP requests: JSON-RPC at `/`, and what there is to be looked at.
//!
//! In: a request. Out: its answer, `/metrics` or `/health`; 401 or 403 for strangers, before anything else is looked at, 404
//! for all other paths. Each request is counted, whatever becomes of it. Never: a body in answer to notifications alone.

use std::{sync::Arc, time::Instant};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};

use super::{
    admission::{Admission, Stranger},
    rpc,
    service::Service,
};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// It is: those of JSON-RPC are counted one by one.
    Already,
    /// It is still to be.
    NotYet,
}

type Answered = (HttpResponse<HttpBody>, Counted);

/// Answers a request.
pub(super) async fn answer(
    service: &Arc<Service>,
    admission: &Admission,
    request: HttpRequest,
) -> HttpResponse<HttpBody> {
    let start = Instant::now();
    let answered = tokio::time::timeout(service.limits.request, routed(service, admission, request)).await;
    let late = || not_yet(respond(408, TEXT, "the request took too long\n".to_owned()));
    let (response, counted) = answered.unwrap_or_else(|_| late());
    if counted == Counted::NotYet {
        service.metrics.answered(start.elapsed(), response.status().is_success());
    }
    response
}

fn not_yet(response: HttpResponse<HttpBody>) -> Answered {
    (response, Counted::NotYet)
}

async fn routed(service: &Arc<Service>, admission: &Admission, request: HttpRequest) -> Answered {
    match admission.admits(&request) {
        Ok(()) => {}
        Err(Stranger::WithoutToken) => {
            let mut response = respond(401, TEXT, "the token is missing or wrong\n".to_owned());
            set(&mut response, "www-authenticate", "Bearer");
            return not_yet(response);
        }
        Err(Stranger::OfAnotherHost(host)) => {
            let host = host.escape_debug();
            return not_yet(respond(
                403,
                TEXT,
                format!(
                    "{host} is no host of this server: ask for its address, or name the host by --allow-host\n"
                ),
            ));
        }
    }
    let is_look = ["GET", "HEAD"].contains(&request.method().as_str());
    match request.uri().path() {
        "/" if request.method() == "POST" => called(service, request).await,
        "/" => not_yet(only("POST")),
        "/metrics" if is_look => {
            // This request is one of those that it tells of.
            service.metrics.answered(std::time::Duration::ZERO, true);
            (respond(200, METRICS, service.metrics.text()), Counted::Already)
        }
        "/health" if is_look => not_yet(respond(200, JSON, service.health().to_string())),
        "/metrics" | "/health" => not_yet(only("GET, HEAD")),
        _ => {
            let text = "there is nothing here: JSON-RPC is at /, and there are /health and /metrics\n";
            not_yet(respond(404, TEXT, text.to_owned()))
        }
    }
}

/// Answers JSON-RPC.
async fn called(service: &Arc<Service>, request: HttpRequest) -> Answered {
    // Browsers ask before they send this kind of content to others than whom they have it from.
    let kind = request.headers().get("content-type").map_or(&[][..], |value| value.as_bytes());
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if ![&b"application/json"[..], b"application/json-rpc"].iter().any(|it| kind.eq_ignore_ascii_case(it)) {
        return not_yet(respond(415, TEXT, "the content has to be application/json\n".to_owned()));
    }
    let most = service.limits.body as usize;
    let body = match Limited::new(request.into_body(), most).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return (respond(413, JSON, rpc::too_long(service)), Counted::Already);
        }
        Err(error) => return not_yet(respond(400, TEXT, format!("the request has broken off: {error}\n"))),
    };
    let response = match rpc::answer(service, &body).await {
        Some(text) => respond(200, JSON, text),
        None => respond(204, "", String::new()),
    };
    (response, Counted::Already)
}

/// A path that other methods than these are not for.
fn only(methods: &'static str) -> HttpResponse<HttpBody> {
    let mut response = respond(405, TEXT, format!("the method has to be {methods}\n"));
    set(&mut response, "allow", methods);
    response
}

fn respond(status: u16, kind: &'static str, text: String) -> HttpResponse<HttpBody> {
    let mut response = HttpResponse::new(HttpBody::from(text));
    // All of these are numbers that there are.
    if let Ok(status) = status.try_into() {
        *response.status_mut() = status;
    }
    if !kind.is_empty() {
        set(&mut response, "content-type", kind);
    }
    response
}

fn set(response: &mut HttpResponse<HttpBody>, name: &'static str, value: &'static str) {
    if let Ok(value) = value.try_into() {
        response.headers_mut().insert(name, value);
    }
}
