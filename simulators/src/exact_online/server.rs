//! The rules behind real sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::config::Config;
use super::connection::{Ending, Lines};
use super::faults::Fault;
use super::log::{AskedMe, Logged, Violation, Visit};
use super::login::AuthRequest;
use super::me::{MeFault, MeRequest};
use super::reply::{Delivery, Reply};
use super::request::TokenRequest;
use super::rules::{Pair, Rules};

/// Forms are some 800 bytes long; more than this is not read.
const MOST_BODY_BYTES: usize = 64 * 1024;

/// Token requests that a slow listener may lag behind.
const EVENTS_KEPT: usize = 1024;

/// A simulated Exact Online on a port of 127.0.0.1. It stops when it is dropped, and with it every open connection.
pub struct ExactOnline {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

struct Shared {
    rules: Mutex<Rules>,
    clock: Clock,
    events: broadcast::Sender<Logged>,
    stopping: watch::Receiver<bool>,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExactOnline {
    /// Listens on a free port.
    pub async fn start(config: Config, clock: Clock) -> io::Result<Self> {
        Self::start_on(0, Rules::new(config), clock).await
    }

    /// Listens on a given port, 0 for a free one, and goes on from rules that may have a past.
    pub async fn start_on(port: u16, rules: Rules, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let shared = Arc::new(Shared { rules: Mutex::new(rules), clock, events, stopping: stopping.clone() });
        let router = Router::new()
            .route("/api/oauth2/token", any(token))
            .route("/api/oauth2/token/", any(token))
            .route("/api/oauth2/auth", axum::routing::get(auth).post(auth))
            .route("/api/oauth2/auth/", axum::routing::get(auth).post(auth))
            .route("/api/v1/current/Me", axum::routing::get(me))
            // A browser asks for it by itself.
            .route("/favicon.ico", axum::routing::get(|| async { StatusCode::NOT_FOUND }))
            .fallback(unknown_path)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Ending>();
        let task = tokio::spawn(async move { axum::serve(Lines(listener), router).with_graceful_shutdown(stopped(stopping)).await });
        Ok(Self { shared, address, stop, task })
    }

    /// `http://127.0.0.1:port`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The time that the simulator goes by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    /// Everything that a test may do and ask. Requests wait while the guard lives: do not hold it across an `await`.
    pub fn rules(&self) -> MutexGuard<'_, Rules> {
        self.shared.rules()
    }

    /// One message per token request from now on, without tokens.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Logged> {
        self.shared.events.subscribe()
    }

    /// Closes the port and every connection, and waits until that is done.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

/// What tests need most, at the simulator's own time.
impl ExactOnline {
    /// See [`Rules::authorize`].
    #[must_use]
    pub fn authorize(&self, user: &str, redirect_uri: &str) -> String {
        let now = self.now();
        self.rules().authorize(now, user, redirect_uri)
    }

    /// See [`Rules::issue_chain`].
    #[must_use]
    pub fn issue_chain(&self) -> String {
        let now = self.now();
        self.rules().issue_chain(now)
    }

    /// See [`Rules::issue_chain_aged`].
    #[must_use]
    pub fn issue_chain_aged(&self, age: Duration) -> Pair {
        let now = self.now();
        self.rules().issue_chain_aged(now, age)
    }

    /// See [`Rules::script`].
    pub fn script(&self, fault: Fault) {
        self.rules().script(fault);
    }

    /// See [`Rules::always`].
    pub fn always(&self, fault: Option<Fault>) {
        self.rules().always(fault);
    }

    /// See [`Rules::faults_left`].
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.rules().faults_left()
    }

    /// See [`Rules::is_alive`].
    #[must_use]
    pub fn is_alive(&self, access_token: &str) -> bool {
        let now = self.now();
        self.rules().is_alive(access_token, now)
    }

    /// See [`Rules::is_chain_alive`].
    #[must_use]
    pub fn is_chain_alive(&self, refresh_token: &str) -> bool {
        let now = self.now();
        self.rules().is_chain_alive(refresh_token, now)
    }

    /// See [`Rules::newest_refresh_token`].
    #[must_use]
    pub fn newest_refresh_token(&self) -> Option<String> {
        self.rules().newest_refresh_token().map(str::to_owned)
    }

    /// See [`Rules::log`].
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.rules().log().to_vec()
    }

    /// See [`Rules::fail_me`].
    pub fn fail_me(&self, fault: Option<MeFault>) {
        self.rules().fail_me(fault);
    }

    /// See [`Rules::visits`].
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.rules().visits().to_vec()
    }

    /// See [`Rules::asked_me`].
    #[must_use]
    pub fn asked_me(&self) -> Vec<AskedMe> {
        self.rules().asked_me().to_vec()
    }

    /// See [`Rules::violations`].
    #[must_use]
    pub fn violations(&self) -> Vec<(Timestamp, Violation)> {
        self.rules().violations().to_vec()
    }
}

impl Drop for ExactOnline {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone: stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn token(State(shared): State<Arc<Shared>>, ConnectInfo(ending): ConnectInfo<Ending>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // A form that breaks off or is too long is judged as an empty one: refused and recorded.
    let body = axum::body::to_bytes(body, MOST_BODY_BYTES).await.unwrap_or_default();
    let request = TokenRequest {
        method: head.method.to_string(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers.keys().filter_map(|name| Some((name.to_string(), text(&head.headers, name.as_str())?))).collect(),
        body: body.into(),
    };
    let (reply, logged) = {
        let now = (shared.clock)();
        let mut rules = shared.rules();
        let reply = rules.token(now, &request);
        (reply, rules.log().last().cloned())
    };
    // Nobody need be listening.
    let _ = logged.map(|it| shared.events.send(it));
    deliver(reply, &ending, shared.stopping.clone()).await
}

async fn auth(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let form = match head.method {
        Method::POST => Some(axum::body::to_bytes(body, MOST_BODY_BYTES).await.unwrap_or_default().into()),
        _ => None,
    };
    let request = AuthRequest { query: head.uri.query().map(str::to_owned), cookie: text(&head.headers, "cookie"), form };
    let now = (shared.clock)();
    respond(shared.rules().auth(now, &request))
}

async fn me(State(shared): State<Arc<Shared>>, ConnectInfo(ending): ConnectInfo<Ending>, request: Request) -> Response {
    let headers = request.headers();
    let request =
        MeRequest { query: request.uri().query().map(str::to_owned), authorization: text(headers, "authorization"), accept: text(headers, "accept") };
    let now = (shared.clock)();
    let reply = shared.rules().me(now, &request);
    deliver(reply, &ending, shared.stopping.clone()).await
}

async fn unknown_path(State(shared): State<Arc<Shared>>) -> Response {
    let now = (shared.clock)();
    respond(shared.rules().unknown_path(now))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
}

/// Does to the connection what the reply's delivery says.
async fn deliver(reply: Reply, ending: &Ending, stopping: watch::Receiver<bool>) -> Response {
    match reply.delivery {
        Delivery::Whole => {}
        Delivery::After(delay) => {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stopped(stopping) => ending.reset(),
            }
        }
        Delivery::Cut => ending.after_body(reply.body.len() / 2),
        Delivery::Reset => ending.reset(),
        Delivery::Never => {
            stopped(stopping).await;
            ending.reset();
        }
    }
    respond(reply)
}

fn respond(reply: Reply) -> Response {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).expect("status and headers of a simulated reply are valid HTTP")
}
