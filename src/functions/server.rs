//! HTTP/1.1 on one loopback port.
//!
//! The host's requests all come over loopback, but so can anything else that runs beside it: no peer may hold up another or fill the memory.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::{Running, State, answer};

/// How long a connection may be idle between requests, or a request's head be on its way. The host's pool drops idle connections after some 60 s;
/// one that this side closed first could meet a request half-way, and the host does not repeat it.
const IDLE: Duration = Duration::from_mins(3);
/// After an accept that failed because something has run out, file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How long requests and use cases may go on after the shutdown began: as long as the host waits (azure-functions-host, `WebJobsScriptHostService`).
const DRAIN: Duration = Duration::from_secs(10);

const _: () = assert!(IDLE.as_secs() >= 120, "longer than the host keeps a connection");

/// Opens `127.0.0.1:port`, where alone the host looks. `SO_REUSEADDR` is set (by tokio): a restarted handler gets the port of the one before.
pub async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Answers the host until `shutdown` is ready, then finishes what has begun within 10 s. What has not ended by then is left to the caller, who
/// ends it with the runtime, or does not.
pub async fn serve(listener: TcpListener, state: State, shutdown: impl Future<Output = ()>) {
    let (running, mut all_done) = mpsc::channel(1);
    let (stop, stopping) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, state.clone(), stopping.clone(), running.clone()))),
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {}", error.kind());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, stop, running));
    if tokio::time::timeout(DRAIN, all_done.recv()).await.is_err() {
        tracing::warn!("shutting down with work still going on");
    }
}

async fn connection(stream: TcpStream, state: State, mut stopping: watch::Receiver<()>, running: Running) {
    let _only_slower_without = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    // No router: one comparison of the path costs less, and `answer` has to make it anyway.
    let service = service_fn(|request: Request<Incoming>| {
        let request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        let answered = answer(state.clone(), running.clone(), request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    // A connection that breaks is the peer's affair, and what it was about goes on in a task of its own.
    tokio::select! {
        _ended = served.as_mut() => return,
        _sender_gone = stopping.changed() => served.as_mut().graceful_shutdown(),
    }
    let _ended = served.await;
}
