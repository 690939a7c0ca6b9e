//! A handler on a port of its own, and a client that sends exactly the bytes it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::config::ConfigError;
use exact_token_broker::consent::{Begun, Callback, Connected, Decision, Failed, Finished, Problem, Waiting};
use exact_token_broker::functions::{self, State, UseCases};
use exact_token_broker::get_token::{Ask, HandedOut, NoToken};
use exact_token_broker::refresh_token::Tick;
use exact_token_broker::status::Status;
use exact_token_broker::token::Secret;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// No test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a browser's visit came to, secrets opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    Look,
    Begin { cookie: Option<String> },
    Again { again: String, cookie: Option<String> },
    Finish { state: Option<String>, code: Option<String>, error: Option<String>, cookie: Option<String> },
    Decide { meant: bool, confirm: String, cookie: Option<String> },
    Named { meant: bool, version: String },
}

/// What every use case does.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    Succeed,
    Fail,
    Panic,
    /// Panics where nothing is waited for.
    PanicAtHand,
    /// Succeeds once the test lets it.
    Wait,
}

pub(crate) struct Stub {
    does: Does,
    begun: AtomicUsize,
    ended: AtomicUsize,
    pub(crate) asked: std::sync::Mutex<Vec<Ask>>,
    pub(crate) visits: std::sync::Mutex<Vec<Visit>>,
    /// One permit per use case that may go on.
    pub(crate) gate: Semaphore,
    changed: tokio::sync::Notify,
}

impl Stub {
    async fn act(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        match self.does {
            Does::Succeed | Does::Fail | Does::PanicAtHand => {}
            Does::Panic => panic!("made-up-canary"),
            Does::Wait => self.gate.acquire().await.expect("never closed").forget(),
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until so many use cases have begun, and so many ended.
    pub(crate) async fn until(&self, begun: usize, ended: usize) {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                if (self.begun(), self.ended.load(Ordering::SeqCst)) == (begun, ended) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("the use case's progress");
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn visit(&self, visit: Visit) -> Result<(), Failed> {
        self.visits.lock().unwrap().push(visit);
        self.act().await;
        if matches!(self.does, Does::Fail) { Err(Failed { problem: Problem::Used, again: Some(Secret::new("made.up-again")) }) } else { Ok(()) }
    }
}

#[async_trait]
impl UseCases for Stub {
    async fn tick(&self) -> Tick {
        self.act().await;
        Tick { failed: matches!(self.does, Does::Fail), line: "made-up line".to_owned() }
    }

    fn at_hand(&self, _: Ask) -> Option<HandedOut> {
        assert!(!matches!(self.does, Does::PanicAtHand), "made-up-canary");
        None
    }

    async fn get_token(&self, ask: Ask) -> Result<HandedOut, NoToken> {
        self.asked.lock().unwrap().push(ask);
        self.act().await;
        Err(NoToken::Unavailable { why: "made-up reason".to_owned(), retry_after: 25 })
    }

    async fn status(&self) -> Status {
        let _ = self.visit(Visit::Look).await;
        Status { servable: matches!(self.does, Does::Succeed), ..Status::unknown() }
    }

    fn consent_url(&self) -> Option<&str> {
        None
    }

    fn form_targets(&self) -> Vec<String> {
        vec!["https://exact.example".to_owned()]
    }

    async fn begin_consent(&self, cookie: Option<Secret>) -> Result<Begun, Problem> {
        self.visit(Visit::Begin { cookie: cookie.as_ref().map(opened) }).await.map(|()| begun()).map_err(|failed| failed.problem)
    }

    async fn begin_again(&self, again: &Secret, cookie: Option<Secret>) -> Result<Begun, Failed> {
        self.visit(Visit::Again { again: opened(again), cookie: cookie.as_ref().map(opened) }).await.map(|()| begun())
    }

    async fn finish_consent(&self, Callback { state, code, error, cookie }: Callback) -> Result<Finished, Failed> {
        self.visit(Visit::Finish { state: state.as_ref().map(opened), code: code.as_ref().map(opened), error, cookie: cookie.as_ref().map(opened) })
            .await?;
        Ok(Finished::Connected(Connected { person: None, epoch: 1, replaced: false, meanwhile: false }))
    }

    async fn decide_consent(&self, waiting: Waiting, decision: Decision) -> Result<Finished, Failed> {
        let meant = decision == Decision::Connect;
        self.visit(match waiting {
            Waiting::Signed { confirm, cookie } => Visit::Decide { meant, confirm: opened(&confirm), cookie: cookie.as_ref().map(opened) },
            Waiting::Named(version) => Visit::Named { meant, version: version.0 },
        })
        .await?;
        Ok(Finished::Connected(Connected { person: None, epoch: 2, replaced: true, meanwhile: false }))
    }
}

fn opened(secret: &Secret) -> String {
    secret.reveal().to_owned()
}

pub(crate) const AUTHORIZE_URL: &str = "https://exact.example/api/oauth2/auth?client_id=made-up&state=made.up-state";
/// As long as they are.
pub(crate) const COOKIE: &str = "made-up-cookie_0123456789-0123456789-012345";

fn begun() -> Begun {
    Begun { authorize_url: Secret::new(AUTHORIZE_URL), cookie: Secret::new(COOKIE) }
}

pub(crate) struct Handler {
    pub(crate) stub: Arc<Stub>,
    pub(crate) port: u16,
    pub(crate) served: JoinHandle<()>,
    pub(crate) stop: oneshot::Sender<()>,
}

impl Handler {
    pub(crate) async fn start(does: Does) -> Self {
        Self::start_with(does, None).await
    }

    /// Nothing works but readiness.
    pub(crate) async fn with_wrong_settings() -> Self {
        Self::start_with(Does::Succeed, Some(ConfigError { problems: vec!["EXACT_CLIENT_ID: is missing; set it".to_owned()] })).await
    }

    async fn start_with(does: Does, wrong: Option<ConfigError>) -> Self {
        let stub = Arc::new(Stub {
            does,
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            asked: std::sync::Mutex::default(),
            visits: std::sync::Mutex::default(),
            gate: Semaphore::new(0),
            changed: tokio::sync::Notify::new(),
        });
        let listener = functions::bind(0).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.ip().to_string(), "127.0.0.1");
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let state = State::new(wrong.map_or_else(|| Ok(Arc::clone(&stub)), Err));
        let served = tokio::spawn(functions::serve(listener, state, shutdown));
        Self { stub, port: address.port(), served, stop }
    }

    pub(crate) async fn connect(&self) -> Peer {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Peer(BufReader::new(stream))
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut peer = self.connect().await;
        peer.send(request).await;
        peer.reply().await
    }

    /// What the host and its scale controller ask for, at any time.
    pub(crate) async fn assert_alive(&self) {
        let reply = self.ask("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
        assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"status":"ok"}"#));
    }
}

pub(crate) struct Peer(pub(crate) BufReader<TcpStream>);

impl Peer {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The handler may have answered and closed already.
        let _closed = self.0.write_all(bytes.as_ref()).await;
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        tokio::time::timeout(PATIENCE, self.read(true)).await.expect("a reply in time")
    }

    /// To a HEAD request.
    pub(crate) async fn head(&mut self) -> Reply {
        tokio::time::timeout(PATIENCE, self.read(false)).await.expect("a reply in time")
    }

    /// Up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("an end in time");
        drop(read);
        rest
    }

    async fn read(&mut self, with_body: bool) -> Reply {
        let status = self.line().await;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut reply = Reply { status: status.split(' ').nth(1).expect("a status line").parse().unwrap(), headers, text: String::new() };
        let length = if with_body { reply.header("content-length").expect("a sized body").parse().unwrap() } else { 0 };
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        reply.text = String::from_utf8(body).unwrap();
        reply
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body, of which every answer has one: a JSON object, never stored by anybody.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("pragma"), Some("no-cache"));
        let json: Value = serde_json::from_str(&self.text).unwrap();
        assert!(json.as_object().is_some_and(|object| !object.is_empty()));
        json
    }

    /// The body of what a browser gets: HTML that holds nothing of what was asked with, and may load and send nothing but what its headers say.
    #[track_caller]
    pub(crate) fn html(&self) -> &str {
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(self.header(name), Some(value));
        }
        let policy = self.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("'; img-src 'none'; base-uri 'none'; "), "{policy}");
        assert!(self.text.starts_with("<!DOCTYPE html><html lang=\"en\">"));
        assert!(!self.text.contains("canary") && !self.text.contains("FAKEKEY") && !self.text.contains(COOKIE), "{}", self.text);
        &self.text
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, error: &str) {
        let json = self.json();
        assert_eq!((self.status, json["error"].as_str()), (status, Some(error)), "{json}");
        assert!(json["error_description"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

/// A body in chunks of so many bytes.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    for chunk in body.chunks(size) {
        sent.extend(format!("{:x}\r\n", chunk.len()).bytes());
        sent.extend(chunk);
        sent.extend(b"\r\n");
    }
    sent.extend(b"0\r\n\r\n");
    sent
}
