//! Doors: addresses and Unix sockets at which connections come in.
//!
//! In: connections. Out: conversations. Connections beyond the limit are closed at once, and whoever is being answered when
//! it is time to go is answered still.

use std::{fmt, future::Future, io, net::SocketAddr, path::PathBuf, sync::Arc};

use jsonrpsee::{
    core::BoxError,
    server::{HttpBody, HttpRequest, StopHandle, serve_with_graceful_shutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{admission::Admission, http, service::Service, socket};

/// Where connections come in.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// An address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests {
    /// What requests have to bear.
    pub(crate) token: Option<Arc<str>>,
    /// The hosts that requests may name beside those of this machine.
    pub(crate) hosts: Vec<String>,
}

/// Opens a door and answers who comes in, until `stop` says that it is enough. The address is told to `opened`.
pub(crate) async fn serve(
    service: Arc<Service>,
    door: Door,
    guests: Guests,
    stop: StopHandle,
    opened: impl FnOnce(&str),
) -> anyhow::Result<()> {
    let room = Arc::new(Semaphore::new(service.limits.connections as usize));
    let Guests { token, hosts } = guests;
    match door {
        Door::Tcp(address) => {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            let admission = Admission::at_address(token, address, &hosts);
            let host = Arc::new(Host { service: Arc::clone(&service), admission });
            opened(&format!("http://{address}"));
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
            let host =
                Arc::new(Host { service: Arc::clone(&service), admission: Admission::at_socket(token) });
            let (listener, identity) = socket::listen(&path)?;
            let listener = UnixListener::from_std(listener)?;
            opened(&path.display().to_string());
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted.map(|(stream, _)| stream),
                    () = stop.clone().shutdown() => break,
                };
                admit(&host, accepted, &room, &stop).await;
            }
            // Nobody listens any more, so that it can be told from the socket of a server that comes now.
            drop(listener);
            if let Err(error) = socket::remove(&path, identity) {
                tracing::warn!(%error, "the socket stays");
            }
        }
    }
    // Whoever is being answered still is answered; the connections know that it is time to go.
    let all = service.limits.connections;
    let _ = tokio::time::timeout(service.limits.request, room.acquire_many(all)).await;
    Ok(())
}

/// What all connections share.
struct Host {
    service: Arc<Service>,
    admission: Admission,
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
    let answer = tower::service_fn(move |request: HttpRequest<_>| {
        let host = Arc::clone(&host);
        let request = request.map(HttpBody::new);
        async move { Ok::<_, BoxError>(http::answer(&host.service, &host.admission, request).await) }
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
