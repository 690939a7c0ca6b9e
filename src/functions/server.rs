//! HTTP/1.1 on one loopback port.
//!
//! The host's requests all come over loopback, but so can anything else that runs beside it: no peer may hold up another. Who opens thousands of
//! connections can still use up file descriptors, and memory by bodies of up to 1 MiB each: it runs as the same app, and could do worse.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::{Running, State, answer};

/// How long a connection may be idle between requests, or a request's head be on its way: at least this long, at most twice. The host's pool drops
/// idle connections after some 60 s; one that this side closed first could meet a request half-way, and the host does not repeat it.
const IDLE: Duration = Duration::from_mins(2);
/// After an accept that failed because something has run out, file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How long requests and use cases may go on after the shutdown began: as long as the host waits (azure-functions-host, `WebJobsScriptHostService`).
const DRAIN: Duration = Duration::from_secs(10);

/// Bytes of a request's head that are read. Exact's codes and the host's headers make some 4 KiB.
const MOST_HEAD: usize = 64 * 1024;

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
            Ok((stream, _)) => {
                let _only_slower_without = stream.set_nodelay(true);
                drop(tokio::spawn(connection(stream, state.clone(), stopping.clone(), running.clone())));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(
                    "a connection could not be accepted ({error}): something beside the Functions host opens too many, or the limit of open files is too low"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, stop, running));
    if tokio::time::timeout(DRAIN, all_done.recv()).await.is_err() {
        tracing::warn!("shutting down with work still going on");
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, state: State, mut stopping: watch::Receiver<()>, running: Running) {
    let calls = Calls::default();
    // No router: one comparison of the path costs less, and `answer` has to make it anyway.
    let service = service_fn(|request: Request<Incoming>| {
        let request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        let answered = calls.count(answer(state.clone(), running.clone(), request));
        async { Ok::<_, Infallible>(answered.await) }
    });
    // Without hyper's own timer for the head of a request: that is set and taken back with each, under a lock that all connections share.
    let mut served = pin!(http1::Builder::new().max_buf_size(MOST_HEAD).serve_connection(TokioIo::new(stream), service));
    // A connection that breaks is the peer's affair, and what it was about goes on in a task of its own.
    tokio::select! {
        biased;
        _ended = served.as_mut() => return,
        _sender_gone = stopping.changed() => served.as_mut().graceful_shutdown(),
        () = calls.cease() => return,
    }
    let _ended = served.await;
}

/// The requests of one connection.
#[derive(Default)]
struct Calls {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

impl Calls {
    async fn count<T>(&self, call: impl Future<Output = T>) -> T {
        self.begun.fetch_add(1, Relaxed);
        let result = call.await;
        self.ended.fetch_add(1, Relaxed);
        result
    }

    /// Ends when none is under way and for [`IDLE`] none has begun.
    async fn cease(&self) {
        let mut before = None;
        loop {
            let ended = self.ended.load(Relaxed);
            let idle_since = (self.begun.load(Relaxed) == ended).then_some(ended);
            if idle_since.is_some() && idle_since == before {
                return;
            }
            before = idle_since;
            tokio::time::sleep(IDLE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use crate::consent::{Begun, Callback, Decision, Failed, Finished, Problem, Waiting};
    use crate::get_token::{Ask, HandedOut, NoToken};
    use crate::refresh_token::Tick;
    use crate::status::Status;
    use crate::token::Secret;

    use super::super::UseCases;
    use super::*;

    const PING: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const GET_TOKEN: &[u8] = b"GET /api/GetToken HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Takes as long as the caller allows.
    struct Slow;

    #[async_trait::async_trait]
    impl UseCases for Slow {
        async fn tick(&self) -> Tick {
            std::future::pending().await
        }

        fn at_hand(&self, _: Ask) -> Option<HandedOut> {
            None
        }

        async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken> {
            tokio::time::sleep(ask.max_wait.unsigned_abs()).await;
            Err(NoToken::Unavailable { why: "made-up reason".to_owned(), retry_after: 25 })
        }

        async fn status(&self) -> Status {
            std::future::pending().await
        }

        fn consent_url(&self) -> Option<&str> {
            None
        }

        fn form_targets(&self) -> Vec<String> {
            Vec::new()
        }

        async fn begin_consent(&self, _: Option<Secret>) -> Result<Begun, Problem> {
            std::future::pending().await
        }

        async fn begin_again(&self, _: &Secret, _: Option<Secret>) -> Result<Begun, Failed> {
            std::future::pending().await
        }

        async fn finish_consent(&self, _: Callback) -> Result<Finished, Failed> {
            std::future::pending().await
        }

        async fn decide_consent(&self, _: Waiting, _: Decision) -> Result<Finished, Failed> {
            std::future::pending().await
        }
    }

    /// The peer's end, and what must live as long as the server.
    fn connect() -> (DuplexStream, watch::Sender<()>) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (stop, stopping) = watch::channel(());
        let (running, _) = mpsc::channel(1);
        tokio::spawn(connection(ours, State::new(Ok(Arc::new(Slow))), stopping, running));
        (theirs, stop)
    }

    async fn exchange(peer: &mut DuplexStream, request: &[u8]) {
        peer.write_all(request).await.unwrap();
        assert!(peer.read(&mut [0; 1024]).await.unwrap() > 0, "the connection was closed");
    }

    /// Asserts that the connection is closed after at least one and at most two idle times.
    async fn assert_closes_in_time(peer: &mut DuplexStream) {
        let since = Instant::now();
        assert_eq!(peer.read(&mut [0; 1024]).await.unwrap_or(0), 0);
        let after = since.elapsed();
        assert!(IDLE <= after && after <= 2 * IDLE, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_and_one_in_use_is_not() {
        for requests in [0, 1, 7] {
            let (mut peer, _stop) = connect();
            for _ in 0..requests {
                tokio::time::sleep(IDLE.saturating_sub(Duration::from_secs(1))).await;
                exchange(&mut peer, PING).await;
            }
            assert_closes_in_time(&mut peer).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_long_keeps_its_connection() {
        let (mut peer, _stop) = connect();
        for _ in 0..3 {
            let since = Instant::now();
            exchange(&mut peer, GET_TOKEN).await;
            assert!(since.elapsed() > IDLE);
        }
        assert_closes_in_time(&mut peer).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_not_waited_for() {
        let (mut peer, _stop) = connect();
        exchange(&mut peer, PING).await;
        let since = Instant::now();
        let begun = b"GET / HTTP/1.1\r\nX: ".iter().copied().chain(std::iter::repeat(b'x'));
        for byte in begun {
            if peer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let after = since.elapsed();
        assert!(IDLE <= after && after <= 2 * IDLE + Duration::from_secs(5), "{after:?}");
    }
}
