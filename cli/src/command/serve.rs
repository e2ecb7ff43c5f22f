//! `deconflict serve`: hints for whoever asks.

use std::{fs, io, net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use deconflict_executor::{
    BlockReader,
    fetch::{FetchError, next_block},
};
use jsonrpsee::server::stop_channel;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::hints::predictor;
use crate::{
    arguments::Serve,
    console::Console,
    forks::Forks,
    hint_server::{Door, Guests, Limits, Service, serve, serve_lines},
    node::{SERVING, connect, upstream::Upstream},
    text,
};

/// How long a request may take to arrive and be answered.
const REQUEST: Duration = Duration::from_secs(30);

/// How long a node may leave all questions unanswered before it is not asked more than it takes to see that it answers again.
const SILENCE: Duration = Duration::from_secs(2);

/// How often a node is asked for the head of its chain where nobody else wants to know it.
const LOOK: Duration = Duration::from_secs(2);

/// How long the start waits for what a node says of its chain.
const PROMPTLY: Duration = Duration::from_secs(1);

/// How often what was analysed is written to the store.
const FLUSH: Duration = Duration::from_secs(5);

/// The shortest token that is let through.
const MIN_TOKEN: usize = 16;

/// Answers requests until it is told to stop, or the input ends.
pub(crate) fn run(options: &Serve, console: &Console) -> anyhow::Result<ExitCode> {
    log(options);
    let token = token(options)?;
    let mut reader = BlockReader::new(options.codes.as_deref())?;
    let blocks = options.block.iter().map(|file| reader.read(file)).collect::<Result<Vec<_>, _>>()?;
    let node = match &options.rpc_url {
        Some(url) => {
            Some(Arc::new(Upstream::new(Box::new(connect(url, &options.node, SERVING)?), Some(SILENCE))))
        }
        None => None,
    };
    let forks = Forks::new(&options.forks)?;
    if let Some(node) = &node {
        check_rules(Arc::clone(node), &forks)?;
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let limits = Limits {
        body: options.max_body,
        batch: options.max_batch,
        connections: options.max_connections,
        analysis: Duration::from_millis(options.analysis_ms),
        request: REQUEST,
        workers: threads * 4,
        background: threads,
    };
    // What a template was learnt from shows in its estimate of gas. The same question has the same answer, whoever has asked
    // before.
    let predictor = predictor(options.templates.as_deref(), options.no_cache, console)?.without_recipes();
    let service = Arc::new(Service::new(predictor, blocks, (node, forks), limits, options.lanes)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // They only read and write; more of them than that wake each other for nothing.
        .worker_threads((threads / 2).max(1))
        // Signatures and predictions; those that are given up still run to their end.
        .max_blocking_threads(limits.workers * 2)
        .build()
        .context("cannot start the threads of the server")?;
    let guests = Guests { token, hosts: options.allow_host.clone() };
    let ended = runtime.block_on(all(options, &service, guests));
    // Work that nobody waits for any more does not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    service.flush();
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the rules at the head of the node's chain are known. A node that does not say so at once is asked when somebody wants
/// to know.
fn check_rules(node: Arc<Upstream>, forks: &Forks) -> anyhow::Result<()> {
    let (tell, told) = std::sync::mpsc::channel();
    let forks = forks.clone();
    std::thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = tell.send(next_block(&*node, forks.options()).map(drop));
    });
    match told.recv_timeout(PROMPTLY) {
        Ok(Err(
            error @ (FetchError::LaterFork { .. }
            | FetchError::UnknownFork
            | FetchError::OtherSchedule { .. }),
        )) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Opens every door that was asked for, or reads lines where none was.
async fn all(options: &Serve, service: &Arc<Service>, guests: Guests) -> anyhow::Result<()> {
    let flushing = tokio::spawn({
        let service = Arc::clone(service);
        async move {
            loop {
                tokio::time::sleep(FLUSH).await;
                let service = Arc::clone(&service);
                let _ = tokio::task::spawn_blocking(move || service.flush()).await;
            }
        }
    });
    let looking = tokio::spawn({
        let service = Arc::clone(service);
        async move {
            loop {
                tokio::time::sleep(LOOK).await;
                service.look();
            }
        }
    });
    let mut doors: Vec<Door> = options.listen.map(Door::Tcp).into_iter().collect();
    doors.extend(options.ipc.clone().map(Door::Unix));
    if doors.is_empty() {
        let ended = tokio::select! {
            ended = serve_lines(service) => ended.context("cannot read or write lines"),
            () = told_to_stop() => Ok(()),
        };
        flushing.abort();
        looking.abort();
        return ended;
    }
    let (stop, server) = stop_channel();
    let mut open = tokio::task::JoinSet::new();
    for door in doors {
        let (service, guests, stop) = (Arc::clone(service), guests.clone(), stop.clone());
        open.spawn(async move {
            let name = door.to_string();
            let opened = |at: &str| tracing::info!(at, "listening");
            serve(service, door, guests, stop, opened)
                .await
                .with_context(|| format!("cannot listen at {name}"))
        });
    }
    drop(stop);
    let mut ended = Ok(());
    tokio::select! {
        () = told_to_stop() => tracing::info!("stopping"),
        Some(first) = open.join_next() => ended = first.unwrap_or_else(|error| Err(error.into())),
    }
    // There is nobody to tell where every door has closed already.
    let _ = server.stop();
    while let Some(other) = open.join_next().await {
        other.unwrap_or_else(|error| Err(error.into()))?;
    }
    flushing.abort();
    looking.abort();
    ended
}

/// Comes back when the process is asked to end.
async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// The token, which has to be there where others than this machine can ask.
fn token(options: &Serve) -> anyhow::Result<Option<Arc<str>>> {
    let token = match &options.token_file {
        Some(path) => {
            let name = path.display();
            let text = text::read(path).with_context(|| format!("cannot read {name}"))?;
            warn_of_readers(path);
            let token = text.trim();
            if token.len() < MIN_TOKEN {
                bail!("{name}: the token is shorter than {MIN_TOKEN} characters");
            }
            Some(Arc::from(token))
        }
        None => None,
    };
    let is_local = |address: &SocketAddr| address.ip().is_loopback();
    if token.is_none() && options.listen.as_ref().is_some_and(|address| !is_local(address)) {
        bail!("others than this machine could ask: name a file with a token by `--token-file`");
    }
    Ok(token)
}

/// Says so where a token is no secret.
fn warn_of_readers(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_or(0, |there| there.permissions().mode());
        if mode & 0o006 != 0 {
            let path = path.display();
            tracing::warn!(
                "every user of this machine can read or write the token in {path}: `chmod 600` it"
            );
        }
    }
}

/// Writes the log to standard error, as much as `DECONFLICT_LOG` says.
fn log(options: &Serve) {
    let filter = EnvFilter::try_from_env("DECONFLICT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // There is one already where several servers run in a process.
    let _ = if options.log_json { builder.json().try_init() } else { builder.try_init() };
}
