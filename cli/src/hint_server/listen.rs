//! HTTP, over TCP and over Unix sockets.
//!
//! In: connections. Out: answers, `/metrics` and `/health`. Connections beyond the limit are closed at once, requests that
//! take too long to arrive are given up, and without the right token nothing is answered but 401.

use std::{future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc};

use jsonrpsee::{
    RpcModule,
    core::BoxError,
    server::{
        BatchRequestConfig, HttpBody, HttpRequest, HttpResponse, Server, ServerConfig, StopHandle,
        serve_with_graceful_shutdown,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::Service as _;

use super::service::Service;

/// The most bytes of an answer.
const MAX_ANSWER: u32 = 256 << 20;

/// Where connections come in.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// An address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Opens a door and answers who comes in, until `stop` says that it is enough. The address is told to `opened`.
pub(crate) async fn serve(
    service: Arc<Service>,
    methods: RpcModule<Arc<Service>>,
    door: Door,
    token: Option<Arc<str>>,
    stop: StopHandle,
    opened: impl FnOnce(&str),
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(service.limits.connections as usize));
    let host = Arc::new(Host { service, methods, token });
    match door {
        Door::Tcp(address) => {
            let listener = TcpListener::bind(address).await?;
            opened(&format!("http://{}", listener.local_addr()?));
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted.map(|(stream, _)| stream),
                    () = stop.clone().shutdown() => break,
                };
                if let Ok(stream) = &accepted {
                    // Answers are small, and waiting for more to send would only delay them.
                    let _ = stream.set_nodelay(true);
                }
                admit(&host, accepted, &room, &stop).await;
            }
        }
        Door::Unix(path) => {
            // What a server that was killed has left behind is in nobody's use.
            if std::os::unix::net::UnixStream::connect(&path).is_err() {
                let _ = std::fs::remove_file(&path);
            }
            let listener = UnixListener::bind(&path)?;
            opened(&path.display().to_string());
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted.map(|(stream, _)| stream),
                    () = stop.clone().shutdown() => break,
                };
                admit(&host, accepted, &room, &stop).await;
            }
            let _ = std::fs::remove_file(&path);
        }
    }
    // Whoever is being answered still is answered; the connections know that it is time to go.
    let all = host.service.limits.connections;
    let _ = tokio::time::timeout(host.service.limits.request, room.acquire_many(all)).await;
    Ok(())
}

/// What all connections share.
struct Host {
    service: Arc<Service>,
    methods: RpcModule<Arc<Service>>,
    token: Option<Arc<str>>,
}

/// Answers a connection if there is room for it.
async fn admit<S>(host: &Arc<Host>, accepted: io::Result<S>, room: &Arc<Semaphore>, stop: &StopHandle)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    match accepted {
        Ok(stream) => match Arc::clone(room).try_acquire_owned() {
            Ok(permit) => {
                tokio::spawn(converse(Arc::clone(host), stream, stop.clone(), permit));
            }
            Err(_) => {
                host.service.metrics.refused.inc();
            }
        },
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of files, most likely: others have to end first.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

async fn converse<S>(host: Arc<Host>, stream: S, stop: StopHandle, permit: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connections = host.service.metrics.connections.clone();
    connections.inc();
    let limits = host.service.limits;
    let config = ServerConfig::builder()
        .http_only()
        .max_request_body_size(limits.body)
        .max_response_body_size(MAX_ANSWER)
        .max_connections(limits.connections)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch))
        .build();
    let builder = Server::builder().set_config(config).to_service_builder();
    let handle = stop.clone();
    let answer = tower::service_fn(move |request: HttpRequest<_>| {
        let host = Arc::clone(&host);
        let mut inner = builder.clone().build(host.methods.clone(), handle.clone());
        async move {
            if !host.admits(&request) {
                return Ok(respond(401, "text/plain", "the token is missing or wrong\n".to_owned()));
            }
            match (request.method().as_str(), request.uri().path()) {
                ("GET", "/metrics") => {
                    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    return Ok(respond(200, kind, host.service.metrics.text()));
                }
                ("GET", "/health") => {
                    return Ok(respond(200, "application/json", host.service.health().to_string()));
                }
                _ => {}
            }
            let answered = tokio::time::timeout(limits.request, inner.call(request)).await;
            answered.unwrap_or_else(|_| {
                Ok::<_, BoxError>(respond(408, "text/plain", "the request took too long\n".to_owned()))
            })
        }
    });
    let ended: Result<(), BoxError> =
        boxed(serve_with_graceful_shutdown(stream, answer, stop.shutdown())).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection has ended");
    }
    connections.dec();
    drop(permit);
}

/// The future of a connection is large, and spawned often.
fn boxed<T>(
    future: impl Future<Output = T> + Send + 'static,
) -> std::pin::Pin<Box<dyn Future<Output = T> + Send>> {
    Box::pin(future)
}

impl Host {
    /// Whether a request bears the token, if one is needed.
    fn admits<B>(&self, request: &HttpRequest<B>) -> bool {
        let Some(token) = &self.token else { return true };
        let given = request.headers().get("authorization").map_or(&[][..], |value| value.as_bytes());
        let Some(given) = given.strip_prefix(b"Bearer ") else { return false };
        // In a time that does not depend on where they differ.
        let differs = given.iter().zip(token.as_bytes()).fold(0, |all, (one, other)| all | (one ^ other));
        given.len() == token.len() && differs == 0
    }
}

fn respond(status: u16, kind: &'static str, text: String) -> HttpResponse<HttpBody> {
    let mut response = HttpResponse::new(HttpBody::from(text));
    // All of these are numbers that there are.
    if let Ok(status) = status.try_into() {
        *response.status_mut() = status;
    }
    if let Ok(kind) = kind.try_into() {
        response.headers_mut().insert("content-type", kind);
    }
    response
}
